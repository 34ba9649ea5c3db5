"""The statement a proof makes, and its canonical encoding.

"The submitter of CONTEXT knows a network whose weights open MODEL, of the public architecture
CIRCUIT, that predicts the right class on exactly CORRECT of the N samples that open TESTSET."
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from circuits.encoding import canonical_json, digest, is_hex, json_digest, parse_canonical
from circuits.errors import CorruptedArtefact, WrongVersion

STATEMENT_VERSION = 1
BACKENDS = ("halo2", "sumcheck")

Share: TypeAlias = tuple[int, int]
"""Right predictions among so many samples."""


_TABLES = ("per_class", "confusion", "groups")
"""Present in the encoding only where there is something in them."""


def _total(table: Sequence[Sequence[int]]) -> tuple[int, int]:
    if any(len(row) != 2 for row in table):
        raise CorruptedArtefact("statement fields are malformed", artefact="statement")
    return sum(row[0] for row in table), sum(row[1] for row in table)


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
    per_class : tuple of (int, int)
        Right predictions and samples of each true class, where the circuit counts them.
    confusion : tuple of tuple of int
        Number of samples by true class (row) and predicted class, where the circuit counts them.
    groups : tuple of (int, int)
        Right predictions and samples of each group, where the set has groups.
    """

    backend: str
    circuit: str
    model: str
    testset: str
    samples: int
    correct: int
    shard_correct: tuple[int, ...]
    context: str
    per_class: tuple[Share, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    groups: tuple[Share, ...] = ()

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
        self._check_tables()

    def _check_tables(self) -> None:
        tables = (self.per_class, self.confusion, self.groups)
        if not all(isinstance(table, tuple) for table in tables) or not all(
            isinstance(row, tuple) and all(type(c) is int and 0 <= c < 2**53 for c in row)
            for table in tables
            for row in table
        ):
            raise CorruptedArtefact("statement fields are malformed", artefact="statement")
        shares = [("per_class", self.per_class), ("groups", self.groups)]
        if self.confusion:
            if any(len(row) != len(self.confusion) for row in self.confusion):
                raise CorruptedArtefact("the confusion matrix is not square", artefact="statement")
            diagonal = tuple((row[c], sum(row)) for c, row in enumerate(self.confusion))
            if self.per_class not in ((), diagonal):
                raise CorruptedArtefact(
                    "per_class and confusion of the statement differ", artefact="statement"
                )
            shares.append(("confusion", diagonal))
        for name, table in shares:
            if table and _total(table) != (self.correct, self.samples):
                raise CorruptedArtefact(
                    f"statement says {self.correct} of {self.samples}, but {name} sums to "
                    f"{_total(table)}",
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
            **{
                name: [list(row) for row in table]
                for name in _TABLES
                if (table := getattr(self, name))
            },
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
            fields = {name: value[name] for name in cls.__dataclass_fields__ if name not in _TABLES}
            fields["shard_correct"] = tuple(fields["shard_correct"])
            fields |= {name: tuple(map(tuple, value.get(name, ()))) for name in _TABLES}
            statement = cls(**fields)
        except (KeyError, TypeError) as error:
            raise CorruptedArtefact(f"statement lacks {error}", artefact="statement") from None
        if statement.encode() != data:
            raise CorruptedArtefact("statement has fields of its own", artefact="statement")
        return statement
