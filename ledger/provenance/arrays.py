"""The rows of an .npz: row i is the i-th slice of every array, in the order of their names.

Its canonical form is the bytes of these slices, little-endian and in C order, one after the
other; how many each has follows from the columns. So -0.0 and 0.0 differ, and two NaN may.
"""

from __future__ import annotations

import contextlib
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
import numpy.typing as npt

from circuits.errors import DataFormatError
from ledger.provenance.sources import Column, Item, check_columns, row_digester

_KINDS = "biufSU"
_PIECE = 1 << 20
"""Bytes that are read of an array at once, if a row is not larger."""
_MAX_ROW = 1 << 28
_MAX_WHOLE = 1 << 30

# What zipfile, and numpy's parser of headers, raise on damaged files.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, RuntimeError,
    ValueError, TypeError, SyntaxError, tokenize.TokenError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class _Array:
    member: zipfile.ZipInfo
    column: Column
    rows: int
    dtype: np.dtype[Any]
    fortran: bool

    @property
    def row_bytes(self) -> int:
        return math.prod(self.column.shape) * self.dtype.itemsize


class Npz:
    """The rows of arrays that all have one slice for each row; nothing is unpickled.

    Raises
    ------
    DataFormatError
        If the file is no zip of plain arrays, or they differ in their number of rows.
    """

    unit: ClassVar[str] = "rows"
    encoding: ClassVar[str] = "application/zip"

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._archive() as archive:
            arrays = [self._described(archive, member) for member in archive.infolist()]
        self._arrays = sorted(arrays, key=lambda array: array.column.name)
        self.columns = check_columns([array.column for array in self._arrays], path)
        rows = {array.rows for array in self._arrays}
        if len(rows) > 1:
            found = {array.column.name: array.rows for array in self._arrays}
            raise DataFormatError(f"the arrays of {path} differ in their number of rows: {found}")
        self._rows = rows.pop()

    @contextlib.contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        try:
            with zipfile.ZipFile(self._path) as archive:
                yield archive
        except _DAMAGE as error:
            raise DataFormatError(f"{self._path} is not a readable .npz file: {error}") from None

    def _described(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Array:
        name = member.filename.removesuffix(".npy")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # The other decompressors of `zipfile` do not bound what one read unpacks.
            raise DataFormatError(f"array {name!r} of {self._path} is compressed in an odd way")
        with archive.open(member) as stream:
            shape, fortran, dtype = _header(stream)
        if dtype.kind not in _KINDS:
            raise DataFormatError(f"array {name!r} of {self._path} has type {dtype}, not numbers "
                                  "or text of fixed length")  # fmt: skip
        if not shape or min(shape[1:], default=1) < 1 or shape[0] < 0 or dtype.itemsize == 0:
            raise DataFormatError(f"array {name!r} of {self._path} has no rows: shape {shape}")
        dtype = dtype.newbyteorder("<")
        array = _Array(member, Column(name, dtype.str, shape[1:]), shape[0], dtype, fortran)
        if array.row_bytes > _MAX_ROW:
            raise DataFormatError(f"a row of array {name!r} has more than {_MAX_ROW} bytes")
        if fortran and len(shape) > 1 and array.row_bytes * shape[0] > _MAX_WHOLE:
            raise DataFormatError(
                f"array {name!r} of {self._path} is in Fortran order and larger than {_MAX_WHOLE} "
                "bytes: save numpy.ascontiguousarray of it, which can be read row by row"
            )
        return array

    def __iter__(self) -> Iterator[Item]:
        """Read the rows, from the first one on."""
        digester = row_digester(self.columns)
        with self._archive() as archive, contextlib.ExitStack() as opened:
            slices = [
                self._slices(opened.enter_context(archive.open(array.member)), array)
                for array in self._arrays
            ]
            for _ in range(self._rows):
                yield Item("", digester(b"".join(next(rows) for rows in slices)))
            for rows in slices:
                # Reads to the end, where the archive's checksum is checked.
                next(rows, None)

    def _slices(self, stream: IO[bytes], array: _Array) -> Iterator[bytes]:
        _, _, dtype = _header(stream)
        shape, width = array.column.shape, array.row_bytes
        if array.fortran and shape:
            every = self._read(stream, array.rows * width)
            table: npt.NDArray[Any] = np.frombuffer(every, dtype).reshape(
                (array.rows, *shape), order="F"
            )
            yield from (row.astype(array.dtype).tobytes() for row in table)
        else:
            step = max(1, _PIECE // width)
            for start in range(0, array.rows, step):
                data = self._read(stream, min(step, array.rows - start) * width)
                if dtype != array.dtype:
                    data = np.frombuffer(data, dtype).astype(array.dtype).tobytes()
                yield from (data[at : at + width] for at in range(0, len(data), width))
        if stream.read(1):
            raise DataFormatError(f"bytes follow the array {array.column.name!r} of {self._path}")

    def _read(self, stream: IO[bytes], size: int) -> bytes:
        data = stream.read(size)
        if len(data) != size:
            raise DataFormatError(f"{self._path} ends within an array")
        return data


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f".npy version {version}, not (1, 0) or (2, 0)")
