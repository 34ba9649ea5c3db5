"""Verification of a proof bundle: every check, in order, stopping at the first that fails.

What all backends have in common is checked here; each backend adds its own (`halo2_bundle`,
`sumcheck.bundle`). Nothing is taken from the prover that can be derived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from circuits.bundle import Bundle
from circuits.encoding import json_digest
from circuits.errors import (
    ArtefactError,
    InputError,
    MissingArtefact,
    ProofRejected,
    WrongContext,
)
from circuits.testset import Manifest
from verifier.halo2_bundle import Halo2Checks
from verifier.question import BundleChecks, Expectation, Options, Verifiers, require_same
from verifier.sumcheck.bundle import SumcheckChecks
from verifier.verdict import Check, Verdict

__all__ = ["Expectation", "Options", "Verifiers", "verify_bundle"]

_BACKENDS: dict[str, Callable[[Bundle, Expectation, Options], BundleChecks]] = {
    "halo2": Halo2Checks,
    "sumcheck": SumcheckChecks,
}


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
        If there is no such bundle file, or no proof that the test set is well-formed was given.
    SrsError
        If this verifier has no SRS to verify with, or only a development one; halo2 only.
    OutOfMemory
        If verification would take more than `Options.memory`.
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
        self.done: list[Check] = []
        self.bundle: Bundle | None = None
        self.backend: BundleChecks | None = None

    def verdict(self, error: ProofRejected | None) -> Verdict:
        statement = self.bundle.statement if self.bundle else None
        insecure = self.backend is not None and self.backend.insecure
        return Verdict(statement, tuple(self.done), error, insecure)

    @contextmanager
    def check(self, name: str, detail: str = "") -> Iterator[None]:
        if self.options.progress is not None:
            self.options.progress(name)
        begin = time.monotonic()
        try:
            yield
        except ProofRejected as error:
            self.done.append(Check(name, False, error.message, time.monotonic() - begin))
            raise
        self.done.append(Check(name, True, detail, time.monotonic() - begin))

    def run(self, source: Path | bytes) -> None:
        expected = self.expected
        manifest = expected.manifest
        with self.check("format"):
            self.bundle = bundle = _decode(source)
            statement, digest = bundle.statement, json_digest("circuit", bundle.circuit)
            # A circuit that was not asked for is not even looked at.
            wanted = expected.circuit in (None, digest)
            backend = self._examine(bundle) if wanted else None
            self.backend = backend
        with self.check("circuit", digest):
            require_same("circuit", "digest", expected.circuit or digest, digest)
            require_same("circuit", "digest", digest, statement.circuit)
        assert backend is not None
        with self.check("test set", manifest.testset_id):
            _check_testset(bundle, backend, manifest)
        with self.check("context", expected.context):
            if statement.context != expected.context:
                raise WrongContext(
                    "context",
                    f"made for context {statement.context} and not {expected.context}: "
                    "another task, round or submitter",
                )
        for step in backend.steps():
            with self.check(step.name, step.detail):
                step.run()

    def _examine(self, bundle: Bundle) -> BundleChecks:
        checks = _BACKENDS[bundle.statement.backend]
        try:
            return checks(bundle, self.expected, self.options)
        except (ArtefactError, InputError) as error:
            raise ProofRejected("format", error.message, reason=error.code) from None


def _decode(source: Path | bytes) -> Bundle:
    try:
        return Bundle.load(source) if isinstance(source, Path) else Bundle.decode(source)
    except MissingArtefact:
        raise
    except ArtefactError as error:
        raise ProofRejected("format", error.message, reason=error.code) from None


def _check_testset(bundle: Bundle, backend: BundleChecks, manifest: Manifest) -> None:
    statement = bundle.statement
    require_same("test set", "id", manifest.testset_id, statement.testset)
    require_same("test set", "number of samples", manifest.samples, statement.samples)
    if statement.backend not in manifest.backends:
        raise ProofRejected("test set", f"it is not committed for {statement.backend}")
    for name, committed, compiled in backend.differences():
        require_same("test set", name, committed, compiled)
