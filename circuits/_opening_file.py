"""The file a test set's opening is kept in.

All counts are derived from the header, and nothing follows the checksum::

    magic (the text zkpot-testset-opening and a line feed) | u32 version | u32 header length
    header, RFC 8785 JSON
    features, little-endian, in the header's type | labels, little-endian uint32
    groups, little-endian uint16, if there are any
    what each backend needs to open its commitments, in the order of their names
    SHA-256 of everything before it

The two u32 are big-endian. The checksum finds accidents; what finds a forger is that the content
must open the commitments of the manifest that the header names.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from circuits._testset_parts import MAX_DIMENSIONS, MAX_GROUPS
from circuits._testset_samples import NAME, IntArray, Samples, unusable
from circuits.datasets import MAX_CLASSES
from circuits.encoding import canonical_json, is_hex, parse_canonical
from circuits.errors import CorruptedArtefact, WrongVersion

OPENING_VERSION: Final = 2

_MAGIC = b"zkpot-testset-opening\n"
_START = len(_MAGIC) + 8
_MAX_HEADER_BYTES = 4096
_SUM_BYTES = 32
# The first that holds all features is used, so that one test set has one encoding.
_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")
_FIELDS = {"manifest", "samples", "shape", "classes", "groups", "type", "parts"}


@dataclass(frozen=True, repr=False, eq=False)
class Content:
    """What the file holds: whose opening it is, the samples, and each backend's own secrets."""

    manifest: str
    samples: Samples
    parts: Mapping[str, tuple[dict[str, Any], bytes]]
    """By backend: the fields of the header that size its secrets, and their bytes."""


def pack(content: Content) -> bytes:
    """Return the file's bytes."""
    samples = content.samples
    low, high = int(samples.features.min()), int(samples.features.max())
    kind = next(t for t in _TYPES if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    header = canonical_json(
        {
            "manifest": content.manifest,
            "samples": len(samples.labels),
            "shape": list(samples.shape),
            "classes": samples.classes,
            "groups": samples.groups,
            "type": kind,
            "parts": {
                name: {**fields, "bytes": len(data)}
                for name, (fields, data) in content.parts.items()
            },
        }
    )
    data = b"".join(
        (
            _MAGIC,
            _u32(OPENING_VERSION),
            _u32(len(header)),
            header,
            samples.features.astype(np.dtype(kind).newbyteorder("<")).tobytes(),
            samples.labels.astype("<u4").tobytes(),
            b"" if samples.group is None else samples.group.astype("<u2").tobytes(),
            *(content.parts[name][1] for name in sorted(content.parts)),
        )
    )
    return data + hashlib.sha256(data).digest()


def unpack(data: bytes) -> Content:
    """Read the bytes back.

    Raises
    ------
    CorruptedArtefact
        If a byte is missing, added or changed.
    WrongVersion
        If the file was written in another format version.
    """
    if len(data) < _START + _SUM_BYTES or not data.startswith(_MAGIC):
        unusable("this is another kind of file")
    version = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "big")
    length = int.from_bytes(data[len(_MAGIC) + 4 : _START], "big")
    if version != OPENING_VERSION:
        raise WrongVersion(f"{NAME} has version {version}, this tool reads {OPENING_VERSION}")
    if length > _MAX_HEADER_BYTES:
        unusable(f"its header has {length} bytes")
    view = memoryview(data)
    found, expected = hashlib.sha256(view[:-_SUM_BYTES]).hexdigest(), view[-_SUM_BYTES:].hex()
    if found != expected:
        raise CorruptedArtefact(
            f"{NAME} has digest {found}, not {expected}",
            artefact=NAME,
            expected=expected,
            found=found,
        )
    header = _header(parse_canonical(data[_START : _START + length], f"header of {NAME}"))
    content = _payload(header, view[_START + length : -_SUM_BYTES])
    if pack(content) != data:
        unusable("it is not in canonical form")
    return content


def _header(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != _FIELDS:
        unusable("its header has other fields")
    if not is_hex(value["manifest"], 32):
        unusable("the manifest's digest in its header is malformed")
    limits = {"samples": (1, 2**32), "classes": (1, MAX_CLASSES), "groups": (0, MAX_GROUPS)}
    for name, (low, high) in limits.items():
        _integer(name, value[name], low, high)
    shape = value["shape"]
    if not isinstance(shape, list) or not 1 <= len(shape) <= MAX_DIMENSIONS:
        unusable("the shape in its header is malformed")
    for size in shape:
        _integer("a dimension of the shape", size, 1, 2**32)
    if value["type"] not in _TYPES:
        unusable(f"the type in its header is {value['type']!r}")
    parts = value["parts"]
    if not isinstance(parts, dict) or not all(isinstance(part, dict) for part in parts.values()):
        unusable("the parts in its header are malformed")
    for part in parts.values():
        _integer("bytes of a part", part.get("bytes"), 0, 2**53)
    return value


def _integer(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        unusable(f"{name} in its header is {value!r}")


def _payload(header: dict[str, Any], payload: memoryview) -> Content:
    samples, shape, kind = header["samples"], header["shape"], np.dtype(header["type"])
    sizes = [
        samples * math.prod(shape) * kind.itemsize,
        samples * 4,
        samples * 2 * bool(header["groups"]),
        *(header["parts"][name]["bytes"] for name in sorted(header["parts"])),
    ]
    # Before anything is made of it: a header alone must not make anything large.
    if len(payload) != sum(sizes):
        unusable(f"it holds {len(payload)} bytes, which is not what its header says")
    ends = np.cumsum(sizes).tolist()
    features, labels, group, *secrets = (
        payload[end - size : end] for size, end in zip(sizes, ends, strict=True)
    )
    x = np.frombuffer(features, kind.newbyteorder("<")).reshape(samples, *shape)
    content = Samples(
        features=x.astype(np.int64),
        labels=_whole(labels, "<u4"),
        group=_whole(group, "<u2") if header["groups"] else None,
        classes=header["classes"],
        groups=header["groups"],
    )
    parts = {}
    for name, secret in zip(sorted(header["parts"]), secrets, strict=True):
        fields = {key: value for key, value in header["parts"][name].items() if key != "bytes"}
        parts[name] = (fields, bytes(secret))
    return Content(header["manifest"], content, parts)


def _whole(data: memoryview, kind: str) -> IntArray:
    return np.frombuffer(data, kind).astype(np.int64)


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "big")
