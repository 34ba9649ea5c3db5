"""Proofs that one file or row is part of committed training data, checked offline.

A proof shows the salt of its own leaf and hashes of others. It says that the item was in the data
when they were committed to, and at which place; nothing about what the other items are.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Self

from circuits import artefact, merkle
from circuits.encoding import DIGEST_BYTES, is_hex, read_bytes
from circuits.errors import CorruptedArtefact, DataFormatError, InputError, ProofRejected
from circuits.merkle import Frontier
from ledger.provenance.commit import TrainingCommitment, TrainingSecret, leaves, salted
from ledger.provenance.sources import Folder, Source, columns_digest, file_content

MEMBERSHIP_VERSION: Final = 1
_KIND = "membership"
_LIMIT = 1 << 16
_PATH = 4096
_HASHES = 64
_CHECK = "membership"


@dataclass(frozen=True)
class MembershipProof:
    """That one item is a leaf of a commitment.

    Attributes
    ----------
    commitment : TrainingCommitment
        Of which data.
    index : int
        Place of the item, from 0.
    name : str
        Relative path of a file; empty for a row.
    salt : str
        Salt of its leaf, as hex.
    hashes : tuple of str
        RFC 6962 inclusion proof, from the leaf's sibling up, as hex.

    Raises
    ------
    CorruptedArtefact
        If a field is malformed.
    """

    commitment: TrainingCommitment
    index: int
    name: str
    salt: str
    hashes: tuple[str, ...]

    def __post_init__(self) -> None:
        rows = self.commitment.unit == "rows"
        for what, good in (
            ("index", type(self.index) is int and 0 <= self.index < self.commitment.count),
            ("name", isinstance(self.name, str) and len(self.name) <= _PATH
             and rows == (self.name == "")),
            ("salt", is_hex(self.salt, DIGEST_BYTES)),
            ("hashes", len(self.hashes) <= _HASHES
             and all(is_hex(h, DIGEST_BYTES) for h in self.hashes)),
        ):  # fmt: skip
            if not good:
                raise CorruptedArtefact(f"membership proof: {what} is malformed", artefact=_KIND)

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        fields: dict[str, Any] = {
            **asdict(self.commitment), "root": self.commitment.root, "index": self.index,
            "name": self.name, "salt": self.salt, "hashes": list(self.hashes),
        }  # fmt: skip
        return artefact.encode(_KIND, MEMBERSHIP_VERSION, fields)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a proof back.

        Raises
        ------
        CorruptedArtefact
            If the bytes are not the canonical encoding of a well-formed proof.
        WrongVersion
            If it was made by another format version.
        """
        types = {"unit": str, "count": int, "columns": str, "tree": str, "root": str,
                 "index": int, "name": str, "salt": str, "hashes": list}  # fmt: skip
        fields = artefact.decode(data, _KIND, MEMBERSHIP_VERSION, types)
        root = fields.pop("root")
        commitment = TrainingCommitment(
            **{name: fields.pop(name) for name in TrainingCommitment.__dataclass_fields__}
        )
        if commitment.root != root:
            raise CorruptedArtefact(
                f"membership proof: its root should be {commitment.root}", artefact=_KIND,
                expected=commitment.root, found=root,
            )  # fmt: skip
        fields["hashes"] = tuple(fields["hashes"])
        return cls(commitment=commitment, **fields)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file at `path`; MissingArtefact if there is none, else as `decode`."""
        return cls.decode(read_bytes(path, "membership proof", _LIMIT))

    def require_root(self, root: str) -> None:
        """Check that the proof is about the data with this root.

        Raises
        ------
        ProofRejected
            If it is about others.
        """
        if self.commitment.root != root:
            raise ProofRejected(
                _CHECK, f"the proof is about the data {self.commitment.root}, not {root}"
            )

    def verify(self, root: str, content: bytes) -> None:
        """Check that the item with this content digest is in the data with this root.

        Raises
        ------
        ProofRejected
            If the proof is of other data, or does not hold for this content.
        """
        self.require_root(root)
        try:
            merkle.verify_inclusion(
                salted(bytes.fromhex(self.salt), content),
                self.index,
                self.commitment.count,
                [bytes.fromhex(h) for h in self.hashes],
                bytes.fromhex(self.commitment.tree),
            )
        except ProofRejected as error:
            unit = self.commitment.unit.removesuffix("s")
            raise ProofRejected(
                _CHECK, f"this is not {unit} {self.index} of the data: {error.message}"
            ) from None


def prove_membership(
    source: Source, secret: TrainingSecret, *, index: int | None = None, name: str | None = None
) -> MembershipProof:
    """Prove that an item is in committed data; reads all of them once more.

    Parameters
    ----------
    source : Source
        The data, unchanged.
    secret : TrainingSecret
        From when they were committed to.
    index : int, optional
        Place of the item, from 0.
    name : str, optional
        Relative path of a file, instead of its place.

    Raises
    ------
    InputError
        If there is no such item, or not one of `index` and `name` is given.
    DataFormatError
        If the data cannot be read, or are not those that were committed to.
    """
    commitment = secret.commitment
    if (index is None) == (name is None):
        raise InputError("an item is named by its index or by its path, and by one of them")
    if name is not None:
        if not isinstance(source, Folder):
            raise InputError("a row has no path: name it by its index")
        index = next((i for i, path in enumerate(source.paths()) if path == name), None)
        if index is None:
            raise InputError(f"there is no file {name!r} in the data")
    assert index is not None
    if not 0 <= index < commitment.count:
        raise InputError(f"there is no item {index} among {commitment.count}")
    if source.unit != commitment.unit or columns_digest(source.columns) != commitment.columns:
        raise DataFormatError("these data have other columns than those committed to")
    siblings = _siblings(index, commitment.count)
    reading = leaves(source, secret.key)
    found, subtrees = None, {}
    # The siblings' ranges and the leaf itself are all there is, each in one piece: the proof is
    # made in one pass, with a logarithmic number of hashes in memory.
    for start, end in sorted([*siblings, (index, index + 1)]):
        frontier = Frontier()
        for leaf in islice(reading, end - start):
            frontier = frontier.append(leaf.hash)
            found = leaf if start == index else found
        subtrees[start] = frontier.root.hex()
    if found is not None and next(reading, None) is None:
        hashes = tuple(subtrees[start] for start, _ in siblings)
        proof = MembershipProof(commitment, index, found.name, found.salt.hex(), hashes)
        with contextlib.suppress(ProofRejected):
            proof.verify(commitment.root, found.content)
            return proof
    raise DataFormatError(
        f"these are not the {commitment.count} {commitment.unit} that were committed to as "
        f"{commitment.root}: something has changed since"
    )


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves under the hashes of an inclusion proof, lowest first."""
    ranges, start, end = [], 0, size
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def verify_file(root: str, proof: MembershipProof, path: Path) -> None:
    """Check that a file is in the data with this root, under the path that the proof names.

    Raises
    ------
    ProofRejected
        If it is not.
    DataFormatError
        If it cannot be read.
    """
    proof.require_root(root)
    if proof.commitment.unit != "files":
        raise ProofRejected(_CHECK, "the proof is about a row, not about a file")
    try:
        content = file_content(path.resolve(), proof.name)
    except OSError as error:
        raise DataFormatError(f"{path} cannot be read: {error.strerror}") from None
    proof.verify(root, content)


def verify_row(root: str, proof: MembershipProof, table: Source, row: int = 0) -> None:
    """Check that a row of a table is in the data with this root.

    Parameters
    ----------
    root : str
        As registered.
    proof : MembershipProof
    table : Source
        A table with the same columns, such as one that holds this row only.
    row : int
        Which row of this table, from 0.

    Raises
    ------
    ProofRejected
        If it is not.
    InputError
        If the table has no such row.
    """
    proof.require_root(root)
    if proof.commitment.unit != "rows" or table.unit != "rows":
        raise ProofRejected(_CHECK, "the proof is about a file, or no table is given")
    if columns_digest(table.columns) != proof.commitment.columns:
        raise ProofRejected(_CHECK, "the table has other columns than the data")
    item = next(islice(table, row, None), None)
    if item is None:
        raise InputError(f"the table has no row {row}")
    proof.verify(root, item.content)
