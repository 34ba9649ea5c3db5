"""What a worker does: verify one bundle against what the ledger pins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from circuits.encoding import read_bytes
from circuits.errors import ProofRejected, WrongContext
from ledger.embedded.blobs import Blobs
from ledger.entries import Genesis
from ledger.proofs import bundle_verifier
from ledger.records import Accepted, TaskPins
from ledger.reveals import invalid_reveal
from ledger.state import State
from verifier.verify import Options

_REJECTIONS = {cls.code: cls for cls in (ProofRejected, WrongContext)}


@dataclass(frozen=True)
class Job:
    """A proof to verify.

    Attributes
    ----------
    bundle : Path
        File with the bundle; too large to send.
    limit : int
        Bytes that it may have.
    pins : TaskPins
        What it is held against.
    """

    bundle: Path
    limit: int
    pins: TaskPins


@dataclass(frozen=True)
class Reveal:
    """An opening file that is said not to open a test set.

    Attributes
    ----------
    manifest, opening : Path
        The files.
    """

    manifest: Path
    opening: Path


@dataclass(frozen=True)
class Outcome:
    """What a verifier found.

    Attributes
    ----------
    accepted : Accepted or None
        What was proven.
    code, check, message : str
        Why it was rejected.
    """

    accepted: Accepted | None
    code: str = ""
    check: str = ""
    message: str = ""

    def require(self) -> Accepted:
        """Return what was proven.

        Raises
        ------
        ProofRejected
            If it was not.
        """
        if self.accepted is None:
            raise _REJECTIONS.get(self.code, ProofRejected)(self.check, self.message)
        return self.accepted


@dataclass(frozen=True)
class _Pinned:
    """As much of a ledger as a verifier looks at."""

    state: State
    blobs: Blobs

    def blob(self, digest: str) -> bytes:
        return self.blobs.get(digest)


@dataclass(frozen=True)
class ProofVerifier:
    """Makes the real verifier in a worker.

    Attributes
    ----------
    folder : Path
        The ledger, whose blobs are read.
    genesis : Genesis
        Its rules.
    options : Options
        Where keys and SRS are.
    """

    folder: Path
    genesis: Genesis
    options: Options

    def __call__(self) -> Callable[[Job | Reveal], Outcome | bool]:
        """Return what verifies; it remembers which test sets are well-formed."""
        ledger = _Pinned(State(genesis=self.genesis), Blobs(self.folder))
        verify = bundle_verifier(ledger, replace(self.options, progress=None))

        def handle(job: Job | Reveal) -> Outcome | bool:
            if isinstance(job, Reveal):
                return invalid_reveal(job.manifest.read_bytes(), job.opening.read_bytes())
            bundle = read_bytes(job.bundle, "bundle", job.limit)
            try:
                return Outcome(Accepted.from_verdict(verify(bundle, job.pins)))
            except ProofRejected as error:
                message = error.message.removeprefix(f"{error.check}: ")
                return Outcome(None, error.code, error.check, message)

        return handle
