"""The public face: the Python API and the ``zkpot`` command.

>>> import zkpot
>>> verdict = zkpot.verify(bundle, zkpot.Manifest.load(path), context)  # doctest: +SKIP
>>> statement = verdict.require()  # doctest: +SKIP
"""

from circuits.artefact_files import load_circuit, load_model
from circuits.bundle import Bundle
from circuits.errors import ZkpotError
from circuits.statement import Context, Statement
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import Manifest
from verifier.verdict import Check, Verdict
from verifier.verify import Options
from zkpot.api import commit_data, commit_model, compile_model, prove, verify

__all__ = [
    "Bundle",
    "Check",
    "Context",
    "Manifest",
    "Options",
    "Statement",
    "Verdict",
    "WellFormed",
    "ZkpotError",
    "commit_data",
    "commit_model",
    "compile_model",
    "load_circuit",
    "load_model",
    "prove",
    "verify",
]
