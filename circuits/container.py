"""A file with a canonical JSON header and raw bytes after it, for proofs of megabytes.

::

    header, RFC 8785 JSON, in one line | line feed | the parts, one after the other

The header's field ``parts`` gives the exact length and SHA-256 of every part, so that the header
alone fixes every byte of the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from circuits import artefact
from circuits.errors import CorruptedArtefact

MAX_HEADER_BYTES: Final = 1 << 22
_PART = {"bytes", "sha256"}


def encode(kind: str, version: int, fields: Mapping[str, Any], parts: Sequence[bytes]) -> bytes:
    """Return the bytes of a container of a `kind`, such as ``bundle``."""
    listed = [{"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()} for part in parts]
    return b"".join((artefact.encode(kind, version, {**fields, "parts": listed}), b"\n", *parts))


def decode(
    data: bytes, kind: str, version: int, types: Mapping[str, type]
) -> tuple[dict[str, Any], tuple[bytes, ...]]:
    """Read a container back: its fields, ``parts`` left out, and its parts.

    Raises
    ------
    CorruptedArtefact
        If the header is not canonical, of another kind or has other fields, or the parts are not
        exactly those it lists.
    WrongVersion
        If it was made by another format version.
    """
    # No line feed can occur in canonical JSON.
    end = data.find(b"\n", 0, MAX_HEADER_BYTES)
    if end < 0:
        raise CorruptedArtefact(f"this is no {kind} file: it has no header", artefact=kind)
    fields = artefact.decode(data[:end], kind, version, {**types, "parts": list})
    found, at = [], end + 1
    for number, listed in enumerate(fields.pop("parts")):
        if not isinstance(listed, dict) or listed.keys() != _PART:
            raise CorruptedArtefact(f"{kind} file: part {number} is malformed", artefact=kind)
        size, expected = listed["bytes"], listed["sha256"]
        if type(size) is not int or not 0 <= size <= len(data) - at:
            raise CorruptedArtefact(
                f"{kind} file: part {number} should have {size!r} bytes and {len(data) - at} are "
                "left",
                artefact=kind,
            )
        part = data[at : at + size]
        digest = hashlib.sha256(part).hexdigest()
        if digest != expected:
            raise CorruptedArtefact(
                f"{kind} file: part {number} has SHA-256 {digest}, not {expected}",
                artefact=kind,
                expected=expected,
                found=digest,
            )
        found.append(part)
        at += size
    if at != len(data):
        raise CorruptedArtefact(
            f"{kind} file: {len(data) - at} bytes follow its last part", artefact=kind
        )
    return fields, tuple(found)
