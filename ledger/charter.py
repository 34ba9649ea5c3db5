"""Who governs a ledger: what the governors may change, and nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ledger.checks import LONGEST, is_count, is_ratio, ratio_from_json, require, require_sorted

# A new charter and the approvals of all its governors fit into one entry.
_GOVERNORS = 100
_OWNERS = 256

CHARTER_DOMAIN = b"zkpot/charter\x00"
"""What the governors' signatures over a new charter start with; see `rules.governance`."""


@dataclass(frozen=True)
class Charter:
    """The rules of a ledger that its governors can change, for tasks opened later.

    Attributes
    ----------
    number : int
        0 in the genesis entry, one more with every change: an approval counts once.
    governors : tuple of str
        Identities of those who decide, in ascending order.
    threshold : int
        How many of them must approve a change.
    task_owners : tuple of str
        Identities of those who may open tasks, in ascending order. Tasks mint credit: if anyone
        could open one, anyone could pay themselves.
    max_pool : int
        Most that one task may mint.
    bond_entries : int
        For how many entries after notice a bond to the ledger itself stays locked, and a
        replaced key still counts; within these the fault of a witness or operator must be shown.
    finder_share : fractions.Fraction
        Share of a slashed bond that goes to who shows the fault; the rest is burned. Below 1, so
        that nobody can save a bond by slashing themselves.
    """

    number: int
    governors: tuple[str, ...]
    threshold: int
    task_owners: tuple[str, ...]
    max_pool: int
    bond_entries: int
    finder_share: Fraction

    def __post_init__(self) -> None:
        require(is_count(self.number), "number of the charter is not a non-negative integer")
        require_sorted("governors", self.governors, _GOVERNORS)
        require_sorted("task_owners", self.task_owners, _OWNERS)
        require(
            is_count(self.threshold, 1) and self.threshold <= len(self.governors),
            "threshold is not between 1 and the number of governors",
        )
        require(len(self.task_owners) > 0, "a charter without task owners")
        require(
            is_count(self.max_pool) and is_count(self.bond_entries, most=LONGEST),
            f"max_pool is a non-negative integer, and bond_entries one of at most {LONGEST}",
        )
        require(is_ratio(self.finder_share) and self.finder_share < 1, "finder_share is below 1")

    @classmethod
    def alone(cls, identity: str) -> Charter:
        """Return the first charter of a ledger that one identity governs."""
        return cls(0, (identity,), 1, (identity,), 2**53 - 1, 1000, Fraction(1, 2))

    def to_dict(self) -> dict[str, Any]:
        """Return the charter as JSON-ready values."""
        return {
            "number": self.number,
            "governors": list(self.governors),
            "threshold": self.threshold,
            "task_owners": list(self.task_owners),
            "max_pool": self.max_pool,
            "bond_entries": self.bond_entries,
            "finder_share": list(self.finder_share.as_integer_ratio()),
        }

    @classmethod
    def from_dict(cls, value: Any) -> Charter:
        """Read a charter back; the caller compares encodings."""
        require(isinstance(value, dict), "charter is not an object")
        fields = dict(value)
        for name in ("governors", "task_owners"):
            fields[name] = tuple(fields[name])
        fields["finder_share"] = ratio_from_json(fields.get("finder_share"))
        return cls(**fields)
