"""Entries about data: test sets that are proven on, training data that models come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ledger.checks import NOTHING, is_count, require, require_digests, require_sorted, require_text
from ledger.entries.base import Entry

_PARENTS = 256


@dataclass(frozen=True)
class DataRegister(Entry):
    """A test set or training data is committed.

    The signer of a test set is its evaluator, who alone can release it.

    Attributes
    ----------
    kind : {"testset", "training"}
        What it is for.
    root : str
        Id of the test set, the statement's `testset`; for training data the digest of what is
        public of it, above all the root of the Merkle tree over its salted files or rows, see
        `ledger.provenance.commit`.
    samples : int
        Number of samples, files or rows.
    manifest : str
        Blob digest of the manifest of a test set; for training data of its card.
    openings : int
        Proofs that may be made on a test set in all, over every task; 0 for training data.
    well_formed : str
        Blob digest of the proof that a test set is well-formed; `NOTHING` where no backend of
        the set has one.
    unit : {"", "files", "rows"}
        What a leaf of training data is; empty for a test set.
    licence : str
        Licence of training data, by custom an SPDX identifier; empty for a test set.
    parents : tuple of str
        Roots of registered data that this was made from, in ascending order.
    """

    type = "data.register"

    kind: str
    root: str
    samples: int
    manifest: str
    openings: int = 0
    well_formed: str = NOTHING
    unit: str = ""
    licence: str = ""
    parents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(self.kind in ("testset", "training"), f"data of kind {self.kind!r} is unknown")
        require_digests(root=self.root, manifest=self.manifest, well_formed=self.well_formed)
        require(is_count(self.samples, 1), "samples is not a positive integer")
        require_sorted("parents", self.parents, _PARENTS)
        if self.kind == "testset":
            require(is_count(self.openings, 1), "openings is not a positive integer")
            require((self.unit, self.licence) == ("", ""), "a test set has no unit or licence")
        else:
            require(
                self.openings == 0 and type(self.openings) is int and self.well_formed == NOTHING,
                "training data has no openings and no proof that it is well-formed",
            )
            require(self.unit in ("files", "rows"), f"no such unit of data: {self.unit!r}")
            require_text("licence", self.licence, 200)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(**{**value, "parents": tuple(value["parents"])})

    @property
    def blobs(self) -> tuple[str, ...]:
        """The manifest or card, and the proof that the set is well-formed."""
        return tuple(name for name in (self.manifest, self.well_formed) if name != NOTHING)
