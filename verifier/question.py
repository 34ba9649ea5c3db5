"""What a verifier is asked: what a proof is held against, and how it is to be checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from circuits.errors import ProofRejected
from circuits.testset import Manifest

Verifiers: TypeAlias = Literal["auto", "fast", "plain", "both"]
"""Which of a backend's two verifiers must accept. ``fast`` is ezkl, or the one that is built on
the prover's field arithmetic; ``plain`` is the one written in plain Python apart from it. ``auto``
is both, but for a sumcheck proof that would keep the plain one busy for more than ten seconds."""


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
        SHA-256 of the verifying key, where one was pinned; halo2 only.
    well_formed : Path, bytes or True, optional
        The proof that the set is well-formed, as a file or its content; sumcheck only. True if it
        was verified before for the commitments of this very manifest, as a ledger does.
    """

    manifest: Manifest
    context: str
    circuit: str | None = None
    model: str | None = None
    verifying_key: str | None = None
    well_formed: Path | bytes | Literal[True] | None = None


@dataclass(frozen=True)
class Options:
    """How a verifier works.

    Attributes
    ----------
    verifiers : {"auto", "fast", "plain", "both"}
        Which of the two verifiers of a backend must accept.
    allow_insecure_srs : bool
        Whether a development SRS is tolerated; the verdict says so if one was used. halo2 only,
        as are the following.
    srs : Path, optional
        SRS file; by default the one of the local store.
    key_store : Path, optional
        Where derived keys are kept.
    fresh_keys : bool
        Derive the keys again even if the local store has them.
    memory : int
        Bytes that verification may take; a circuit that needs more is not for this machine.
    progress : callable, optional
        Called with the name of each check as it starts.
    """

    verifiers: Verifiers = "auto"
    allow_insecure_srs: bool = False
    srs: Path | None = None
    key_store: Path | None = None
    fresh_keys: bool = False
    memory: int = 8 << 30
    progress: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Step:
    """One check of a backend.

    Attributes
    ----------
    name : str
        Stable name of the check.
    run : callable
        Raises ProofRejected where it fails.
    detail : str
        What was compared.
    """

    name: str
    run: Callable[[], None]
    detail: str = ""


class BundleChecks(Protocol):
    """What a backend knows of one bundle whose form is good."""

    insecure: bool
    """Whether the proofs rest on a development SRS; known when all steps have run."""

    @property
    def circuit_digest(self) -> str:
        """Digest of the bundle's circuit."""

    def differences(self) -> Iterator[tuple[str, object, object]]:
        """Yield (what, test set's value, circuit's value) wherever the two disagree."""

    def steps(self) -> Iterator[Step]:
        """Yield the checks that are the backend's own, from the shards to the proofs."""


def count(number: int, what: str) -> str:
    """Return a number of things for a person."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def require_same(check: str, what: str, expected: object, found: object) -> None:
    """Raise ProofRejected, naming both, if two values differ."""
    if expected != found:
        raise ProofRejected(check, f"{what}: expected {expected}, found {found}")
