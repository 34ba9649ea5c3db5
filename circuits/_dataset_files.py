"""Readers of test-set files: .npz, CSV and IDX.

A file may come from anyone, so every reader knows how much it will read before it reads it: a
few kilobytes that unpack to gigabytes, or a header that promises them, end in an error. Nothing
is unpickled. The readers return arrays as the file says; what a test set must satisfy is checked
in one place, `circuits.datasets.Dataset`.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import struct
import tokenize
import zipfile
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from circuits.errors import DataFormatError

MAX_VALUES = 2**27
"""Most values one array may hold: 1 GiB as float64, twice MNIST's 60,000 training images."""

MAX_CSV_BYTES = 2**31
LABEL_NAMES = ("label", "y", "target")
GROUP_NAME = "group"

Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any] | None]

_IDX_NAME = re.compile(r"(?P<stem>.*)(?P<what>images|labels)[.-]idx\d-ubyte(\.gz)?", re.IGNORECASE)
_IDX_UBYTE = 8

# What zipfile, and numpy's parser of .npy headers, were seen or are documented to raise on
# damaged files; the parser's recursion and memory errors come from nesting, not from size.
_NOT_A_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_NOT_A_HEADER = (
    ValueError,
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    RecursionError,
    MemoryError,
)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_npz(path: Path) -> Arrays:
    """Read the arrays x, y and, where present, group from an .npz file.

    Raises
    ------
    DataFormatError
        If the file is no zip of plain numeric arrays, lacks x or y, holds any other array, or
        would unpack to more than `MAX_VALUES` values.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename.removesuffix(".npy") for member in members]
            missing = sorted({"x", "y"} - set(names))
            if missing:
                raise DataFormatError(f"{path} lacks the array {missing[0]!r}; it has {names}")
            # An array that is silently ignored, say `groups`, is a mistake found too late.
            if len(set(names)) < len(names) or not set(names) <= {"x", "y", "group"}:
                raise DataFormatError(f"{path} may hold x, y and group, once each; it has {names}")
            arrays = {
                name: _read_npy(archive, member, f"array {name!r} of {path}")
                for name, member in zip(names, members, strict=True)
            }
    except _NOT_A_ZIP as error:
        raise DataFormatError(f"{path} is not a readable .npz file: {error}") from None
    return arrays["x"], arrays["y"], arrays.get("group")


def _read_npy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> npt.NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # The other decompressors of `zipfile` do not bound what one read unpacks.
        raise DataFormatError(f"{name} is compressed in a way numpy does not write")
    with archive.open(member) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            elif version == (2, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
            else:
                raise DataFormatError(f"{name} has .npy version {version}, not 1.0 or 2.0")
        except _NOT_A_HEADER as error:
            raise DataFormatError(f"{name} is not a .npy array: {error}") from None
        if dtype.kind not in "biuf":
            raise DataFormatError(f"{name} has type {dtype}, not numbers")
        if any(size < 0 for size in shape):
            raise DataFormatError(f"{name} has a negative dimension")
        data = _read_exactly(stream, math.prod(shape), dtype.itemsize, name)
    flat = np.frombuffer(data, dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _read_exactly(stream: _Readable, values: int, width: int, name: str) -> bytes:
    if values > MAX_VALUES:
        raise DataFormatError(f"{name} says it has {values} values; at most {MAX_VALUES} are read")
    # One byte more than announced, so that trailing data shows (and a zip member's CRC is read).
    data = stream.read(values * width + 1)
    if len(data) != values * width:
        found = "more" if len(data) > values * width else len(data)
        raise DataFormatError(f"{name} should hold {values * width} bytes and holds {found}")
    return data


def read_csv(path: Path, label: str | None = None) -> Arrays:
    """Read a CSV file with a header, a label column and feature columns.

    Parameters
    ----------
    path : Path
        Comma-separated UTF-8 text; the first line names the columns.
    label : str, optional
        The label column; by default the one column named label, y or target.

    Returns
    -------
    x : float64 [N, columns - label - group]
    y : float64 [N]
    group : float64 [N] or None
        From the column named group, where there is one.

    Raises
    ------
    DataFormatError
        If there is no such table in the file; names the row, from 0, and the column.
    """
    values = array("d")
    try:
        if path.stat().st_size > MAX_CSV_BYTES:
            raise DataFormatError(f"{path} is larger than {MAX_CSV_BYTES} bytes")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = (row for row in csv.reader(stream, strict=True) if row)
            header = [name.strip() for name in next(rows, [])]
            label_at = _label_column(header, label, path)
            for number, row in enumerate(rows):
                values.extend(_numbers(row, header, number, path))
                if len(values) > MAX_VALUES:
                    raise DataFormatError(f"{path} has more than {MAX_VALUES} values")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataFormatError(f"{path} is not a readable CSV file: {error}") from None
    table = np.frombuffer(values, dtype=np.float64).reshape(-1, len(header))
    group_at = header.index(GROUP_NAME) if GROUP_NAME in header else None
    features = [at for at in range(len(header)) if at not in (label_at, group_at)]
    return (
        table[:, features],
        table[:, label_at],
        None if group_at is None else table[:, group_at],
    )


def _label_column(header: list[str], label: str | None, path: Path) -> int:
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataFormatError(f"{path} has two columns named {twice!r}")
    wanted = LABEL_NAMES if label is None else (label,)
    found = [name for name in header if name in wanted]
    if len(found) != 1:
        raise DataFormatError(
            f"{path} needs one label column out of {list(wanted)} and has {found or 'none'}; "
            "name the column that holds the labels"
        )
    if found[0] == GROUP_NAME:
        raise DataFormatError(f"column {GROUP_NAME!r} of {path} cannot be the label as well")
    return header.index(found[0])


def _numbers(row: list[str], header: list[str], number: int, path: Path) -> Iterator[float]:
    if len(row) != len(header):
        raise DataFormatError(
            f"row {number} of {path} has {len(row)} fields and the header {len(header)}", row=number
        )
    for name, text in zip(header, row, strict=True):
        try:
            yield float(text)
        except ValueError:
            shown = "is empty" if not text.strip() else f"is {text[:40]!r}, not a number"
            raise DataFormatError(
                f"column {name!r} in row {number} of {path} {shown}", row=number, column=name
            ) from None


def read_idx_folder(folder: Path) -> Arrays:
    """Read images and labels in the IDX format of MNIST, plain or gzipped.

    The two files are found by name: ``<set>images-idx3-ubyte[.gz]`` and
    ``<set>labels-idx1-ubyte[.gz]``. Where the folder holds several sets, the one whose name has
    t10k or test in it is taken.

    Returns
    -------
    x : float64 [N, 1, rows, columns]
        Channels, rows, columns, as convolutions take them. Pixels are divided by 255, so 0..1,
        which is what networks for MNIST are trained on.
    y : uint8 [N]
    group : None

    Raises
    ------
    DataFormatError
        If no pair, or more than one, is found, or a file is not what its name says.
    """
    found: dict[str, dict[str, Path]] = {"images": {}, "labels": {}}
    try:
        for path in sorted(folder.iterdir()):  # a plain file sorts, and so counts, before its .gz
            match = _IDX_NAME.fullmatch(path.name)
            if match:
                found[match["what"].lower()].setdefault(match["stem"], path)
        stems = sorted(found["images"].keys() & found["labels"].keys())
        if len(stems) > 1:
            stems = [stem for stem in stems if re.search("t10k|test", stem, re.IGNORECASE)]
        if len(stems) != 1:
            raise DataFormatError(
                f"{folder} should hold one pair of IDX files (images-idx3-ubyte, "
                f"labels-idx1-ubyte; .gz or plain) and holds {len(stems) or 'none'}"
            )
        images = _read_idx(found["images"][stems[0]], dimensions=3)
        labels = _read_idx(found["labels"][stems[0]], dimensions=1)
    except (EOFError, zlib.error, OSError) as error:  # OSError covers gzip.BadGzipFile
        raise DataFormatError(f"{folder} is not a readable IDX folder: {error}") from None
    return images[:, np.newaxis] / 255.0, labels, None


def _read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        start = stream.read(4)
        if start != bytes([0, 0, _IDX_UBYTE, dimensions]):
            raise DataFormatError(
                f"{path} does not start as an IDX file of bytes in {dimensions} dimensions"
            )
        sizes = stream.read(4 * dimensions)
        if len(sizes) != 4 * dimensions:
            raise DataFormatError(f"{path} ends within its header")
        shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
        data = _read_exactly(stream, math.prod(shape), 1, str(path))
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)
