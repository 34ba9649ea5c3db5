"""Canonical bytes: RFC 8785 JSON, domain-separated digests, fixed-width hex, safe file writes.

Everything that is hashed, signed or compared passes through this module, so that two parties
who mean the same thing produce the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import rfc8785

from circuits.errors import CorruptedArtefact, MissingArtefact

DIGEST_BYTES = 32

_MAX_DEPTH = 64
# Brackets, and whole strings; one that never ends is a token too, so that none is read twice.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)


def canonical_json(value: Any) -> bytes:
    """Encode `value` as RFC 8785 JSON.

    Floats are refused: their text form is where two implementations disagree, and no public
    artefact of this project needs one.

    Raises
    ------
    TypeError
        If `value` contains a float or a type JSON does not have.
    """
    _refuse_floats(value)
    return rfc8785.dumps(value)


def parse_canonical(data: bytes, name: str) -> Any:
    """Parse canonical JSON and refuse any other encoding of the same value.

    Parameters
    ----------
    data : bytes
        The file or message as received.
    name : str
        How to call the artefact in the error.

    Raises
    ------
    CorruptedArtefact
        If `data` is not JSON, or not the canonical encoding of what it says.
    """
    try:
        # Decoded here: json would guess at UTF-16, in which no bracket is where it seems.
        text = data.decode()
        _refuse_depth(text, name)
        value = json.loads(text)
        again = canonical_json(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise CorruptedArtefact(f"{name} is not canonical JSON: {error}", artefact=name) from None
    if again != data:
        raise CorruptedArtefact(f"{name} is JSON, but not in canonical form", artefact=name)
    return value


def parse_json(data: bytes, name: str) -> Any:
    """Parse a stranger's JSON, in any encoding of its values; for what nobody signs or hashes.

    Raises
    ------
    CorruptedArtefact
        If it is not JSON, or nested too deeply.
    """
    try:
        text = data.decode()
        _refuse_depth(text, name)
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptedArtefact(f"{name} is not JSON: {error}", artefact=name) from None


def _refuse_depth(text: str, name: str) -> None:
    # py_ecc raises Python's recursion limit, without which nested brackets overflow the C stack
    # of the JSON parser: a few kilobytes from a stranger would end the process.
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise CorruptedArtefact(f"{name} is nested too deeply", artefact=name)
        elif token[0] in "]}":
            depth -= 1


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("floats have no place in a canonical encoding")
    if isinstance(value, dict):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def digest(label: str, data: bytes) -> str:
    """Return the SHA-256 of `data` under a domain label, as 64 lowercase hex digits.

    The label is length-prefixed, so no label and data can be confused with another pair.
    """
    tag = f"zkpot/{label}".encode()
    return hashlib.sha256(len(tag).to_bytes(2, "big") + tag + data).hexdigest()


def json_digest(label: str, value: Any) -> str:
    """Return `digest` of the canonical encoding of `value`."""
    return digest(label, canonical_json(value))


def is_hex(text: object, size: int) -> bool:
    """Tell whether `text` is exactly `size` bytes of lowercase hex."""
    return (
        isinstance(text, str)
        and len(text) == 2 * size
        and all(c in "0123456789abcdef" for c in text)
    )


def file_digest(path: Path) -> str:
    """Return the plain SHA-256 of a file, as published for SRS files, reading it in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_bytes(path: Path, name: str, limit: int | None = None) -> bytes:
    """Read a whole file, with a named error where it is missing or larger than `limit` bytes."""
    try:
        if limit is not None and path.stat().st_size > limit:
            raise CorruptedArtefact(
                f"{name} {path} is larger than {limit} bytes", artefact=name, path=str(path)
            )
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingArtefact(f"{name} {path} does not exist", path=str(path)) from None
    except IsADirectoryError:
        raise MissingArtefact(f"{name} {path} is a folder, not a file", path=str(path)) from None
    except PermissionError:
        raise MissingArtefact(f"{name} {path} may not be read", path=str(path)) from None


def write_atomic(path: Path, data: bytes, *, secret: bool = False) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one.

    Temporary file in the same folder, fsync, rename, fsync of the folder. A `secret` file gets
    mode 0600 before its first byte is written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), 0o600 if secret else 0o644)
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
