"""The statement a proof makes, and its canonical encoding.

"The submitter of CONTEXT knows a network whose weights open MODEL, of the public architecture
CIRCUIT, that predicts the right class on exactly CORRECT of the N samples that open TESTSET."
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from circuits.encoding import canonical_json, digest, is_hex, json_digest, parse_canonical
from circuits.errors import CorruptedArtefact, WrongVersion

STATEMENT_VERSION = 1
BACKENDS = ("halo2", "sumcheck")


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True)
class Context:
    """What a proof is bound to, so that nobody can submit another's proof as their own.

    Attributes
    ----------
    submitter : str
        Ed25519 public key of the submitter, 32 bytes of lowercase hex.
    task : str
        Digest of the task the proof answers, 32 bytes of lowercase hex.
    round : int
        Round of the task, from 0.
    origin : str
        Name of the ledger, as in its checkpoints; empty for a proof outside any ledger.
    """

    submitter: str
    task: str
    round: int
    origin: str

    def __post_init__(self) -> None:
        ok = is_hex(self.submitter, 32) and is_hex(self.task, 32)
        if (
            not ok
            or type(self.round) is not int
            or not 0 <= self.round < 2**32
            or not _is_text(self.origin)
        ):
            raise CorruptedArtefact("context fields are malformed", artefact="context")

    def to_dict(self) -> dict[str, Any]:
        """Return the context as JSON-ready values."""
        return {
            "submitter": self.submitter,
            "task": self.task,
            "round": self.round,
            "origin": self.origin,
        }

    @property
    def digest(self) -> str:
        """The 32-byte context digest that the circuit takes as public input, as hex."""
        return json_digest("context", self.to_dict())


@dataclass(frozen=True)
class Statement:
    """The public tuple of a proof bundle.

    Attributes
    ----------
    backend : str
        ``halo2`` or ``sumcheck``.
    circuit : str
        Digest of the weight-free architecture with everything that fixes the circuit.
    model : str
        Hiding commitment to the quantised weights, as hex; the same in all shards.
    testset : str
        Digest of the test set: its header and the Merkle root over its shards, as hex.
    samples : int
        N, the number of real samples.
    correct : int
        Right predictions among them.
    shard_correct : tuple of int
        Right predictions of each shard, in the order of the manifest.
    context : str
        Digest of the context.
    """

    backend: str
    circuit: str
    model: str
    testset: str
    samples: int
    correct: int
    shard_correct: tuple[int, ...]
    context: str

    def __post_init__(self) -> None:
        hexes = (self.circuit, self.model, self.testset, self.context)
        counts = (self.samples, self.correct, *self.shard_correct)
        if (
            self.backend not in BACKENDS
            or not all(is_hex(h, 32) for h in hexes)
            or not all(type(c) is int and 0 <= c < 2**53 for c in counts)
        ):
            raise CorruptedArtefact("statement fields are malformed", artefact="statement")
        if self.correct != sum(self.shard_correct) or self.correct > self.samples:
            raise CorruptedArtefact(
                f"statement says {self.correct} of {self.samples}, "
                f"but its shards sum to {sum(self.shard_correct)}",
                artefact="statement",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the statement as JSON-ready values."""
        return {
            "version": STATEMENT_VERSION,
            "backend": self.backend,
            "circuit": self.circuit,
            "model": self.model,
            "testset": self.testset,
            "samples": self.samples,
            "correct": self.correct,
            "shard_correct": list(self.shard_correct),
            "context": self.context,
        }

    def encode(self) -> bytes:
        """Return the RFC 8785 encoding, which is what gets hashed and signed."""
        return canonical_json(self.to_dict())

    @property
    def digest(self) -> str:
        """Digest of the encoded statement, as hex."""
        return digest("statement", self.encode())

    @classmethod
    def decode(cls, data: bytes) -> Statement:
        """Read a statement back.

        Raises
        ------
        CorruptedArtefact
            If the bytes are not the canonical encoding of a well-formed statement.
        WrongVersion
            If it was written in another statement format.
        """
        value = parse_canonical(data, "statement")
        if not isinstance(value, dict):
            raise CorruptedArtefact("statement is not an object", artefact="statement")
        if value.get("version") != STATEMENT_VERSION:
            raise WrongVersion(
                f"statement has version {value.get('version')}, this tool reads {STATEMENT_VERSION}"
            )
        try:
            fields = {name: value[name] for name in cls.__dataclass_fields__}
            fields["shard_correct"] = tuple(fields["shard_correct"])
            statement = cls(**fields)
        except (KeyError, TypeError) as error:
            raise CorruptedArtefact(f"statement lacks {error}", artefact="statement") from None
        if statement.encode() != data:
            raise CorruptedArtefact("statement has fields of its own", artefact="statement")
        return statement
