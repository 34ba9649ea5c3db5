"""The common frame of our JSON files: magic, version, exact fields, canonical encoding."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from circuits.encoding import canonical_json, parse_canonical, read_bytes, write_atomic
from circuits.errors import CorruptedArtefact, WrongVersion


def encode(kind: str, version: int, fields: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of an artefact of a `kind`, such as ``model``."""
    return canonical_json({"magic": f"zkpot-{kind}", "version": version, **fields})


def decode(data: bytes, kind: str, version: int, types: Mapping[str, type]) -> dict[str, Any]:
    """Read an artefact back.

    Parameters
    ----------
    data : bytes
        The file.
    kind, version
        What it must be.
    types : mapping of str to type
        Every field it must have, and no other, with the exact JSON type.

    Raises
    ------
    CorruptedArtefact
        If the bytes are not canonical, of another kind, or have other fields.
    WrongVersion
        If it was made by another format version.
    """
    value = parse_canonical(data, kind)
    if not isinstance(value, dict) or value.get("magic") != f"zkpot-{kind}":
        found = value.get("magic") if isinstance(value, dict) else None
        raise CorruptedArtefact(f"this is no {kind} file but {found or 'something else'}",
                                artefact=kind)  # fmt: skip
    if isinstance(value.get("version"), bool):  # which would equal 1
        raise CorruptedArtefact(f"{kind} file: the version is no number", artefact=kind)
    if value.get("version") != version:
        raise WrongVersion(
            f"the {kind} file has version {value.get('version')}, this tool reads {version}"
        )
    return exact_fields(
        {k: v for k, v in value.items() if k not in ("magic", "version")}, kind, types
    )


def exact_fields(value: Mapping[str, Any], kind: str, types: Mapping[str, type]) -> dict[str, Any]:
    """Return `value` after checking that it has exactly the fields of these exact JSON types.

    Raises
    ------
    CorruptedArtefact
        If it has not.
    """
    if value.keys() != types.keys():
        odd = sorted(value.keys() ^ types.keys())[0]
        raise CorruptedArtefact(f"{kind} file: field {odd!r} is missing or unknown", artefact=kind)
    for name, kind_of in types.items():
        if type(value[name]) is not kind_of:
            raise CorruptedArtefact(
                f"{kind} file: field {name!r} is not {kind_of.__name__}", artefact=kind
            )
    return dict(value)


def load(
    path: Path, kind: str, version: int, types: Mapping[str, type], limit: int = 1 << 28
) -> dict[str, Any]:
    """Read the artefact at `path`; MissingArtefact if there is none, else as `decode`."""
    return decode(read_bytes(path, f"{kind} file", limit), kind, version, types)


def save(
    path: Path, kind: str, version: int, fields: Mapping[str, Any], *, secret: bool = False
) -> None:
    """Write an artefact, whole or not at all; 0600 if it is `secret`."""
    write_atomic(path, encode(kind, version, fields), secret=secret)
