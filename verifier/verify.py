"""Verification of a proof bundle: every check, in order, stopping at the first that fails.

Nothing is taken from the prover that can be derived: settings and keys are rebuilt from the
public circuit, instances from the statement, and the SRS is the verifier's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from circuits.bundle import Bundle
from circuits.errors import (
    ArtefactError,
    InputError,
    MissingArtefact,
    ProofRejected,
    WrongContext,
    WrongVersion,
)
from circuits.halo2 import keys as halo2_keys
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import BACKEND, Circuit
from circuits.halo2.match import testset_differences
from circuits.halo2.plan import require_memory
from circuits.testset import Manifest
from verifier import halo2
from verifier.verdict import Check, Verdict
from verifier.yul import UnsupportedVerifier


@dataclass(frozen=True)
class Expectation:
    """What a proof is held against; all of it comes from somebody other than the prover.

    Attributes
    ----------
    manifest : Manifest
        The committed test set.
    context : str
        Context digest the proof must be bound to, as hex.
    circuit : str, optional
        Circuit digest, where one was agreed on.
    model : str, optional
        Model id, where one was registered.
    verifying_key : str, optional
        SHA-256 of the verifying key, where one was pinned.
    """

    manifest: Manifest
    context: str
    circuit: str | None = None
    model: str | None = None
    verifying_key: str | None = None


@dataclass(frozen=True)
class Options:
    """How a verifier works.

    Attributes
    ----------
    allow_insecure_srs : bool
        Whether a development SRS is tolerated; the verdict says so if one was used.
    second_opinion : bool
        Whether the independent verifier over py_ecc must accept as well.
    srs : Path, optional
        SRS file; by default the one of the local store.
    key_store : Path, optional
        Where derived keys are kept.
    memory : int
        Bytes that deriving keys may take; a circuit that needs more is not for this machine.
    fresh_keys : bool
        Derive the keys again even if the local store has them.
    progress : callable, optional
        Called with the name of each check as it starts.
    """

    allow_insecure_srs: bool = False
    second_opinion: bool = True
    srs: Path | None = None
    key_store: Path | None = None
    memory: int = 8 << 30
    fresh_keys: bool = False
    progress: Callable[[str], None] | None = None


def verify_bundle(
    bundle: Path | bytes, expected: Expectation, options: Options | None = None
) -> Verdict:
    """Decide whether a bundle establishes its statement.

    Parameters
    ----------
    bundle : Path or bytes
        The bundle file or its content.
    expected : Expectation
        What it must be about.
    options : Options, optional
        How to verify.

    Returns
    -------
    Verdict
        Accepted or not, with every check made. A bundle that is wrong in any way gives a verdict;
        only what says nothing of the bundle raises.

    Raises
    ------
    MissingArtefact
        If there is no such bundle file.
    SrsError
        If this verifier has no SRS to verify with, or only a development one.
    OutOfMemory
        If deriving the keys would take more than `Options.memory`.
    WorkerFailed
        If the backend crashed or ran out of time.
    """
    run = _Run(expected, options or Options())
    try:
        run.run(bundle)
    except ProofRejected as error:
        return run.verdict(error)
    return run.verdict(None)


class _Run:
    def __init__(self, expected: Expectation, options: Options) -> None:
        self.expected = expected
        self.options = options
        self.checks: list[Check] = []
        self.bundle: Bundle | None = None
        self.insecure = False

    def verdict(self, error: ProofRejected | None) -> Verdict:
        statement = self.bundle.statement if self.bundle else None
        return Verdict(statement, tuple(self.checks), error, self.insecure)

    @contextmanager
    def check(self, name: str, detail: str = "") -> Iterator[None]:
        if self.options.progress is not None:
            self.options.progress(name)
        begin = time.monotonic()
        try:
            yield
        except ProofRejected as error:
            self.checks.append(Check(name, False, error.message, time.monotonic() - begin))
            raise
        self.checks.append(Check(name, True, detail, time.monotonic() - begin))

    def run(self, source: Path | bytes) -> None:
        expected, options = self.expected, self.options
        manifest = expected.manifest
        with self.check("format"):
            bundle, circuit = _read(source)
            self.bundle = bundle
        statement = bundle.statement
        with self.check("circuit", circuit.digest):
            _same("circuit", "digest", circuit.digest, statement.circuit)
            if expected.circuit is not None:
                _same("circuit", "digest", expected.circuit, statement.circuit)
        with self.check("test set", manifest.testset_id):
            _check_testset(bundle, circuit, manifest)
        with self.check("context", expected.context):
            if statement.context != expected.context:
                raise WrongContext(
                    "context",
                    f"made for context {statement.context} and not {expected.context}: "
                    "another task, round or submitter",
                )
        with self.check("shards", f"{len(manifest.shards)} shards, each once"):
            halo2.check_shards(bundle, manifest)
            _same("shards", "number of counts", len(manifest.shards), len(statement.shard_correct))
        with self.check("model", statement.model):
            if expected.model is not None:
                _same("model", "id", expected.model, statement.model)
            halo2.check_model(bundle, circuit)
        with self.check("srs", circuit.srs):
            srs = self._srs(bundle, circuit)
        with self.check("keys"), _examined("keys"):
            # A bundle names its circuit, and a hostile one could name an enormous one.
            require_memory(circuit, options.memory)
            keys = halo2_keys.derive(
                circuit, srs, proving=False, store=options.key_store, fresh=options.fresh_keys
            )
            if expected.verifying_key is not None:
                _same("keys", "verifying key",
                      expected.verifying_key, keys.verifying_key_digest)  # fmt: skip
        public = halo2.expected_instances(bundle, circuit, manifest)
        with self.check("proof form"), _examined("proof form"):
            contract = halo2.generate_contract(keys, srs)
            halo2.check_lengths(bundle, contract, public)
        with self.check("ezkl", f"{len(bundle.proofs)} proofs"):
            halo2.check_with_ezkl(bundle, keys, srs, public)
        if options.second_opinion:
            with self.check("py_ecc", f"{len(bundle.proofs)} proofs"):
                halo2.check_with_py_ecc(bundle, contract, public)

    def _srs(self, bundle: Bundle, circuit: Circuit) -> Path:
        allow = self.options.allow_insecure_srs
        if self.options.srs is not None:
            info = srs_files.require(self.options.srs, k=circuit.k, allow_insecure=allow)
        else:
            info = srs_files.find(circuit.k, allow_insecure=allow)
        self.insecure = info.insecure
        _same("srs", "digest", info.digest, circuit.srs)
        _same("srs", "digest in the manifest", info.digest, self.expected.manifest.srs)
        # The marks are for people who look at the files; they must not say otherwise.
        for marked in (bundle.srs_insecure, self.expected.manifest.srs_insecure):
            _same("srs", "development mark", info.insecure, marked)
        return info.path


@contextmanager
def _examined(check: str) -> Iterator[None]:
    """Turn what is wrong with the bundle's own circuit into a rejection."""
    try:
        yield
    except (InputError, UnsupportedVerifier) as error:
        raise ProofRejected(check, error.message, reason=error.code) from None


def _read(source: Path | bytes) -> tuple[Bundle, Circuit]:
    try:
        bundle = Bundle.load(source) if isinstance(source, Path) else Bundle.decode(source)
        if bundle.statement.backend != BACKEND:
            raise WrongVersion(f"this verifier has no backend {bundle.statement.backend!r}")
        return bundle, Circuit.from_dict(bundle.circuit)
    except MissingArtefact:
        raise
    except (ArtefactError, InputError) as error:
        raise ProofRejected("format", error.message, reason=error.code) from None


def _check_testset(bundle: Bundle, circuit: Circuit, manifest: Manifest) -> None:
    statement = bundle.statement
    _same("test set", "id", manifest.testset_id, statement.testset)
    _same("test set", "number of samples", manifest.samples, statement.samples)
    for name, committed, compiled in testset_differences(circuit, manifest):
        _same("test set", name, committed, compiled)


def _same(check: str, what: str, expected: object, found: object) -> None:
    if expected != found:
        raise ProofRejected(check, f"{what}: expected {expected}, found {found}")
