"""What a proof of the sumcheck backend says in the clear (docs/protocol.md, 5.2, step 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from circuits.encoding import canonical_json
from circuits.errors import ProofRejected

Counts: TypeAlias = tuple[int, ...]

_PROTOCOL = {"protocol": "zkpot-sumcheck", "version": 1}


@dataclass(frozen=True)
class Metrics:
    """What a circuit counts beside the right predictions.

    Attributes
    ----------
    per_class : bool
        Right predictions and samples of each true class.
    confusion : bool
        Samples by true and predicted class.
    groups : int
        Number of groups of the test set whose right predictions and samples are counted; 0 if the
        circuit does not ask for them.
    """

    per_class: bool = False
    confusion: bool = False
    groups: int = 0


@dataclass(frozen=True)
class Outputs:
    """The counts that a proof establishes for one shard. A table not asked for is empty.

    Attributes
    ----------
    correct : int
        Number of right predictions.
    per_class : tuple of (int, int)
        Right predictions and samples of each true class.
    confusion : tuple of tuple of int
        Number of samples by true class (row) and predicted class.
    groups : tuple of (int, int)
        Right predictions and samples of each group.
    """

    correct: int
    per_class: tuple[tuple[int, int], ...] = ()
    confusion: tuple[Counts, ...] = ()
    groups: tuple[tuple[int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON value that is absorbed; empty tables are left out."""
        tables = {
            "per_class": self.per_class,
            "confusion": self.confusion,
            "groups": self.groups,
        }
        filled = {name: [list(row) for row in table] for name, table in tables.items() if table}
        return {"correct": self.correct, **filled}

    def check(self, metrics: Metrics, classes: int, samples: int) -> None:
        """Check what of the counts is checked in the clear (section 5.2, step 1).

        A proof shows counts modulo p, and with `per_class` the sum `correct` in no other way.

        Raises
        ------
        ProofRejected
            If a table is missing, not asked for or of a wrong shape, a count is not an integer in
            0 .. samples, or `correct` is not what the tables sum to.
        """
        _check_table("per_class", self.per_class, classes * metrics.per_class, 2)
        _check_table("confusion", self.confusion, classes * metrics.confusion, classes)
        _check_table("groups", self.groups, metrics.groups, 2)
        for row in ((self.correct,), *self.per_class, *self.confusion, *self.groups):
            for count in row:
                if type(count) is not int or not 0 <= count <= samples:
                    _reject(f"a count is {count!r}, not an integer in 0 .. {samples}")
        sums = {
            "per_class": sum(row[0] for row in self.per_class),
            "confusion": sum(row[c] for c, row in enumerate(self.confusion)),
        }
        for name in sums:
            if getattr(self, name) and sums[name] != self.correct:
                _reject(f"{name} has {sums[name]} right predictions, correct says {self.correct}")


@dataclass(frozen=True)
class AccuracyInput:
    """The public input of the relation "accuracy".

    Attributes
    ----------
    circuit, testset, commitment, model, context : str
        Digests in hex: of the circuit, of the list of shards, of the shard's and of the model's
        commitment (section 3.4), and of what the proof is bound to.
    shard : int
        Index of the shard in the test set.
    samples : int
        Number of real samples in the shard.
    outputs : Outputs
        The claim.
    """

    circuit: str
    testset: str
    shard: int
    commitment: str
    model: str
    samples: int
    context: str
    outputs: Outputs

    def encode(self) -> bytes:
        """Return the bytes that open the transcript."""
        return canonical_json(
            {
                **_PROTOCOL,
                "relation": "accuracy",
                "circuit": self.circuit,
                "testset": self.testset,
                "shard": self.shard,
                "commitment": self.commitment,
                "model": self.model,
                "samples": self.samples,
                "context": self.context,
                "outputs": self.outputs.to_dict(),
            }
        )


@dataclass(frozen=True)
class WellFormedInput:
    """The public input of the relation "well-formed": of one shard commitment.

    Attributes
    ----------
    kappa, a : int
        Profile and base-2 logarithm of the shard's size.
    commitment : str
        Id of the shard's commitment (section 3.4), in hex.
    samples : int
        Number of real samples in the shard.
    """

    kappa: int
    a: int
    commitment: str
    samples: int

    def encode(self) -> bytes:
        """Return the bytes that open the transcript."""
        return canonical_json(
            {
                **_PROTOCOL,
                "relation": "well-formed",
                "kappa": self.kappa,
                "a": self.a,
                "commitment": self.commitment,
                "samples": self.samples,
            }
        )


def _check_table(name: str, table: Sequence[Sequence[int]], rows: int, columns: int) -> None:
    if len(table) != rows or any(len(row) != columns for row in table):
        _reject(f"{name} is not a table of {rows} by {columns} counts")


def _reject(message: str) -> NoReturn:
    raise ProofRejected("outputs", message)
