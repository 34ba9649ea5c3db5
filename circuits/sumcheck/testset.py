"""A test set committed for the sumcheck backend: the public side (docs/protocol.md, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from circuits._testset_parts import MAX_BUDGET, Part, SetHeader, Shard, bad, check_integer
from circuits.encoding import is_hex
from circuits.sumcheck.commitment import commitment_id, shard_header
from circuits.sumcheck.layout import ShardLayout
from circuits.sumcheck.params import MAX_KAPPA, MIN_KAPPA, Profile

BACKEND = "sumcheck"


@dataclass(frozen=True)
class SumcheckShard(Shard):
    """A shard and the Merkle root of its matrix, 32 bytes of lowercase hex."""

    root: str

    @property
    def commitment(self) -> str:
        """The root, under which openings are counted."""
        return self.root


@dataclass(frozen=True)
class SumcheckPart(Part):
    """The commitments of the sumcheck backend.

    Attributes
    ----------
    shard_size, budget, shards
        As in `Part`; the shard size is 2^a.
    kappa : int
        The profile: 2^kappa slots in a row.
    """

    backend: ClassVar[str] = BACKEND
    own_openings: ClassVar[int] = 1
    """The proof that the set is well-formed opens every shard once."""

    shards: tuple[SumcheckShard, ...]
    kappa: int

    def __post_init__(self) -> None:
        check_integer("kappa", self.kappa, MIN_KAPPA, MAX_KAPPA)
        check_integer("shard size", self.shard_size, 1, 1 << self.kappa)
        if self.shard_size & (self.shard_size - 1):
            bad(f"the shard size is {self.shard_size}, which is no power of two")
        most = min(MAX_BUDGET, Profile(self.kappa).max_openings)
        check_integer("budget", self.budget, 1 + self.own_openings, most)
        for index, shard in enumerate(self.shards):
            if not is_hex(shard.root, 32):
                bad(f"the commitment to shard {index} is malformed")

    @property
    def a(self) -> int:
        """Base-2 logarithm of the shard size."""
        return self.shard_size.bit_length() - 1

    @property
    def size(self) -> str:
        """The size of the commitments, for people."""
        return f"profile {self.kappa}"

    def commitment_id(self, header: SetHeader, index: int) -> str:
        """Return the id of one shard's commitment (docs/protocol.md, 3.4), as hex."""
        shard = self.shards[index]
        layout = ShardLayout(
            self.a, self.kappa, header.feature_count, header.classes, header.groups
        )
        return commitment_id(
            shard_header(
                kappa=self.kappa,
                a=self.a,
                samples=shard.samples,
                features=header.feature_count,
                classes=header.classes,
                groups=header.groups,
                bits=header.input_format.bits,
                signed=header.input_format.signed,
                exponent=header.input_exponent,
                budget=self.budget,
                rows=layout.rows,
            ),
            bytes.fromhex(shard.root),
        )

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> SumcheckPart:
        """Read a part back; KeyError or TypeError where a field is missing or unknown."""
        shards = tuple(SumcheckShard(**shard) for shard in value["shards"])
        return cls(**{**value, "shards": shards})
