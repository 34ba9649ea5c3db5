"""Training data as a sequence of things to commit to: the files of a folder, or rows of a table.

A source is read from beginning to end, piece by piece, so that data larger than memory can be
committed to. Every item comes down to 32 bytes, its content digest::

    file   digest("training-file", canonical {"bytes", "path", "sha256"})
    row    digest("training-row", digest of the columns || canonical row)

The canonical row of a CSV is the RFC 8785 list of its fields as text, so 1 and 1.0 differ. That
of an .npz is described in `ledger.provenance.arrays`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple, Protocol, TextIO

from circuits.encoding import digest, json_digest
from circuits.errors import DataFormatError

MAX_COLUMNS = 1 << 16
MAX_NAME = 1000
"""Characters of a column's name."""
_MAX_LINE = 1 << 24
_TYPE = re.compile(r"text|[<|][biufSU][1-9]\d{0,8}")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
    type : str
        ``text``, or for arrays numpy's name of a little-endian type, such as ``<f8``.
    shape : tuple of int
        Shape of one row's value; empty for a single one.

    Raises
    ------
    DataFormatError
        If a field is not as described.
    """

    name: str
    type: str = "text"
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.name) > MAX_NAME or not _TYPE.fullmatch(self.type):
            raise DataFormatError(
                f"column {self.name[:80]!r} has type {self.type[:80]!r}, or more than {MAX_NAME} "
                "characters"
            )
        if not all(type(size) is int and 0 < size < 2**53 for size in self.shape):
            raise DataFormatError(f"column {self.name!r} has shape {self.shape}")


class Item(NamedTuple):
    """One file or row: the path of a file, empty for a row, and its content digest."""

    name: str
    content: bytes


class Source(Protocol):
    """Training data, read in one order that depends on nothing but the data."""

    @property
    def unit(self) -> str:
        """Whether the items are ``files`` or ``rows``."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns of a table; none for files."""

    @property
    def encoding(self) -> str:
        """Media type of the data."""

    def __iter__(self) -> Iterator[Item]:
        """Read the items, from the first one on."""


def columns_digest(columns: Sequence[Column]) -> str:
    """Return the digest that every row is bound to, so that no value changes its column."""
    return json_digest("training-columns", [[c.name, c.type, list(c.shape)] for c in columns])


def row_digester(columns: Sequence[Column]) -> Callable[[bytes], bytes]:
    """Return the function from a canonical row to its content digest."""
    schema = bytes.fromhex(columns_digest(columns))
    return lambda row: bytes.fromhex(digest("training-row", schema + row))


def check_columns(columns: Sequence[Column], path: Path) -> tuple[Column, ...]:
    """Return the columns, or refuse a table that has none, too many, or two of one name."""
    if not 1 <= len(columns) <= MAX_COLUMNS:
        raise DataFormatError(f"{path} has {len(columns)} columns, not 1 to {MAX_COLUMNS}")
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataFormatError(f"{path} has two columns named {twice!r}")
    return tuple(columns)


class Folder:
    """The regular files below a folder, in the order of the bytes of their paths.

    Nothing is skipped, hidden files included: what the folder holds is what is committed. Empty
    folders, times, owners and modes are not part of it.
    """

    unit: ClassVar[str] = "files"
    columns: ClassVar[tuple[Column, ...]] = ()
    encoding: ClassVar[str] = "application/octet-stream"

    def __init__(self, path: Path) -> None:
        self._path = path

    def paths(self) -> Iterator[str]:
        """Return the relative paths, with ``/`` between their parts.

        Raises
        ------
        DataFormatError
            At a symbolic link, anything but a file or folder, a name that is not UTF-8, or a
            folder that cannot be read; names it.
        """
        # Only the folders from the top down to the present one are held, never the whole list.
        waiting = [iter(self._listed(""))]
        while waiting:
            name = next(waiting[-1], None)
            if name is None:
                waiting.pop()
            elif name.endswith("/"):
                waiting.append(iter(self._listed(name)))
            else:
                yield name

    def _listed(self, folder: str) -> list[str]:
        names = []
        try:
            with os.scandir(self._path / folder) as found:
                for entry in found:
                    name = folder + entry.name
                    if entry.is_symlink():
                        raise DataFormatError(
                            f"{name!r} in {self._path} is a symbolic link: what it leads to is not "
                            "part of the folder; put a copy in its place, or leave it out",
                            path=name,
                        )
                    if entry.is_dir():
                        names.append(name + "/")
                    elif entry.is_file():
                        names.append(name)
                    else:
                        raise DataFormatError(f"{name!r} in {self._path} is no file", path=name)
        except OSError as error:
            raise _unreadable(folder or ".", self._path, error) from None
        for name in names:
            try:
                name.encode()
            except UnicodeEncodeError:
                raise DataFormatError(
                    f"the name {name!r} in {self._path} is not UTF-8", path=name
                ) from None
        # With its slash, a folder sorts as the paths of its files do: the order is that of the
        # whole paths, whichever way the tree is walked.
        return sorted(names, key=str.encode)

    def __iter__(self) -> Iterator[Item]:
        """Read the files, from the first one on."""
        for name in self.paths():
            try:
                yield Item(name, file_content(self._path / name, name))
            except OSError as error:
                raise _unreadable(name, self._path, error) from None


def _unreadable(name: str, folder: Path, error: OSError) -> DataFormatError:
    return DataFormatError(f"{name!r} in {folder} cannot be read: {error.strerror}", path=name)


def file_content(path: Path, name: str) -> bytes:
    """Return the content digest of a file, committed under the relative path `name`.

    Raises
    ------
    DataFormatError
        If it is no regular file, or changes while it is read.
    OSError
        If it cannot be read.
    """
    # Opened without following a link, and without waiting for the writer of a pipe: between
    # listing and opening, somebody may have put either there.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(handle, "rb") as stream:  # noqa: PTH123
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise DataFormatError(f"{path} is no file", path=name)
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        after, read = os.fstat(handle), stream.tell()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
        read != after.st_size
    ):
        raise DataFormatError(f"{path} changed while it was read", path=name)
    fields = {"path": name, "bytes": read, "sha256": sha256}
    return bytes.fromhex(json_digest("training-file", fields))


class Csv:
    """The rows of a CSV with a header; blank lines are no rows.

    Raises
    ------
    DataFormatError
        While it is read: at a row that has not as many fields as the header, and where the text
        is not comma-separated UTF-8.
    """

    unit: ClassVar[str] = "rows"
    encoding: ClassVar[str] = "text/csv"

    def __init__(self, path: Path) -> None:
        self._path = path
        header = next(self._records(), [])
        self.columns = check_columns([Column(name) for name in header], path)

    def _records(self) -> Iterator[list[str]]:
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as stream:
                yield from (row for row in csv.reader(_lines(stream), strict=True) if row)
        except (UnicodeDecodeError, csv.Error, OSError) as error:
            raise DataFormatError(f"{self._path} is not a readable CSV file: {error}") from None

    def __iter__(self) -> Iterator[Item]:
        """Read the rows, from the first one on."""
        digester, width = row_digester(self.columns), len(self.columns)
        records = self._records()
        next(records, None)
        for number, row in enumerate(records):
            if len(row) != width:
                raise DataFormatError(
                    f"row {number} of {self._path} has {len(row)} fields and the header {width}",
                    row=number,
                )
            # For a list of text this is RFC 8785, at a tenth of the time.
            text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
            yield Item("", digester(text.encode()))


def _lines(stream: TextIO) -> Iterator[str]:
    # A file without line feeds must not end up in memory as one line.
    while line := stream.readline(_MAX_LINE):
        if len(line) == _MAX_LINE and not line.endswith("\n"):
            raise csv.Error(f"a line has more than {_MAX_LINE} characters")
        yield line
