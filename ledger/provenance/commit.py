r"""Committing to training data: one salted leaf for each file or row, under an RFC 6962 tree.

::

    salt   HMAC-SHA256(secret, "zkpot/training-salt\0" || u64 index || content digest)
    leaf   SHA-256(00 || "zkpot/training-leaf\0" || salt || content digest)
    root   digest("training-data", canonical {columns, count, tree, unit, version})

Without its salt, a leaf says nothing about the content, not even to who has a list of all rows
there could be. One secret makes all salts, and a membership proof shows one of them, from which
no other follows. Salts depend on the place, so equal rows have different leaves, and on the
content, so a secret that is used again for data that changed opens nothing of either.

The root names the number of leaves too: the same tree cannot be taken for one of another size.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from circuits import artefact
from circuits.encoding import DIGEST_BYTES, is_hex, json_digest
from circuits.errors import CorruptedArtefact, DataFormatError, InputError, MissingArtefact
from circuits.merkle import Frontier, leaf_hash
from ledger.provenance.arrays import Npz
from ledger.provenance.sources import Csv, Folder, Source, columns_digest

COMMITMENT_VERSION: Final = 1
SECRET_VERSION: Final = 1
UNITS: Final = ("files", "rows")
_SALT = b"zkpot/training-salt\x00"
_LEAF = b"zkpot/training-leaf\x00"
_SECRET_KIND = "training-secret"  # noqa: S105
_SECRET_LIMIT = 4096
_EVERY = 1 << 12


@dataclass(frozen=True)
class TrainingCommitment:
    """A public commitment to training data.

    Attributes
    ----------
    unit : {"files", "rows"}
        What a leaf is.
    count : int
        Number of leaves.
    columns : str
        Digest of the columns, as hex; of an empty list for files.
    tree : str
        RFC 6962 root over the leaves, as hex.

    Raises
    ------
    CorruptedArtefact
        If a field is malformed.
    """

    unit: str
    count: int
    columns: str
    tree: str

    def __post_init__(self) -> None:
        ok = is_hex(self.columns, DIGEST_BYTES) and is_hex(self.tree, DIGEST_BYTES)
        if not ok or self.unit not in UNITS or type(self.count) is not int or not (
            1 <= self.count < 2**53
        ):  # fmt: skip
            raise CorruptedArtefact("training commitment: malformed", artefact="commitment")

    @property
    def root(self) -> str:
        """What is registered: the digest of all of this, as hex."""
        return json_digest("training-data", {"version": COMMITMENT_VERSION, **asdict(self)})


@dataclass(frozen=True, repr=False)
class TrainingSecret:
    """What opens a commitment, leaf by leaf; whoever has it can test guesses of every leaf.

    Attributes
    ----------
    commitment : TrainingCommitment
        Which.
    key : bytes
        32 secret bytes, from which all salts follow.
    """

    commitment: TrainingCommitment
    key: bytes

    def __post_init__(self) -> None:
        if len(self.key) != DIGEST_BYTES:
            raise CorruptedArtefact("training secret: the key has another length",
                                    artefact=_SECRET_KIND)  # fmt: skip

    def save(self, path: Path) -> None:
        """Write the file, readable by its owner only."""
        fields: dict[str, Any] = {**asdict(self.commitment), "key": self.key.hex()}
        artefact.save(path, _SECRET_KIND, SECRET_VERSION, fields, secret=True)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises
        ------
        MissingArtefact, CorruptedArtefact, WrongVersion
            If there is none, or it is not one.
        """
        types = {"unit": str, "count": int, "columns": str, "tree": str, "key": str}
        fields = artefact.load(path, _SECRET_KIND, SECRET_VERSION, types, _SECRET_LIMIT)
        key = fields.pop("key")
        if not is_hex(key, DIGEST_BYTES):
            raise CorruptedArtefact("training secret: the key is no hex", artefact=_SECRET_KIND)
        return cls(TrainingCommitment(**fields), bytes.fromhex(key))


class Leaf(NamedTuple):
    """A leaf of the tree: path of the file (empty for a row), content digest, salt and hash."""

    name: str
    content: bytes
    salt: bytes
    hash: bytes


def salted(salt: bytes, content: bytes) -> bytes:
    """Return the leaf hash of a content digest under a salt."""
    return leaf_hash(_LEAF + salt + content)


def leaves(
    source: Source, key: bytes, progress: Callable[[int], None] | None = None
) -> Iterator[Leaf]:
    """Read training data from the beginning and salt every item; nothing is kept."""
    for index, item in enumerate(source):
        salt = hmac.digest(key, _SALT + index.to_bytes(8, "big") + item.content, "sha256")
        yield Leaf(item.name, item.content, salt, salted(salt, item.content))
        if progress is not None and (index + 1) % _EVERY == 0:
            progress(index + 1)


def commit_training(
    source: Source, key: bytes | None = None, progress: Callable[[int], None] | None = None
) -> TrainingSecret:
    """Commit to training data, in memory that does not grow with them.

    Parameters
    ----------
    source : Source
        See `open_source`.
    key : bytes, optional
        32 secret bytes; by default new ones. The same data and key give the same root.
    progress : callable, optional
        Called now and then with the number of items read.

    Returns
    -------
    TrainingSecret
        Keep it; its `commitment` is what to publish.

    Raises
    ------
    DataFormatError
        If an item cannot be read, or there is none.
    """
    key = secrets.token_bytes(DIGEST_BYTES) if key is None else key
    frontier = Frontier()
    for leaf in leaves(source, key, progress):
        frontier = frontier.append(leaf.hash)
    if frontier.size == 0:
        raise DataFormatError(f"there are no {source.unit} to commit to")
    commitment = TrainingCommitment(
        source.unit, frontier.size, columns_digest(source.columns), frontier.root.hex()
    )
    return TrainingSecret(commitment, key)


def open_source(path: Path, unit: str | None = None) -> Source:
    """Open training data.

    Parameters
    ----------
    path : pathlib.Path
        A folder, a ``.csv`` with a header, or an ``.npz`` of arrays with one row for each sample.
    unit : {"files", "rows"}, optional
        What to commit to, as a check: a folder gives files and a table rows.

    Raises
    ------
    MissingArtefact
        If there is nothing at `path`.
    DataFormatError
        If it is none of these.
    InputError
        If it does not give the unit asked for.
    """
    source: Source
    if path.is_dir():
        source = Folder(path)
    elif not path.exists():
        raise MissingArtefact(f"training data {path} does not exist", path=str(path))
    elif path.suffix.lower() == ".csv":
        source = Csv(path)
    elif path.suffix.lower() == ".npz":
        source = Npz(path)
    else:
        raise DataFormatError(f"{path} is no training data: give a folder, a .csv or an .npz file")
    if unit not in (None, source.unit):
        raise InputError(f"{path} is committed to by its {source.unit}, not its {unit}")
    return source
