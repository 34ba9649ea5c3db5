"""The file a test set's opening is kept in.

All counts are derived from the header, and nothing follows the checksum::

    magic (the text zkpot-testset-opening and a line feed) | u32 version | u32 header length
    header, RFC 8785 JSON
    features, little-endian, in the header's type | labels, little-endian uint32
    salts, 32 bytes big-endian each: shard by shard, those of the features, then of the labels
    SHA-256 of everything before it

The two u32 are big-endian. The checksum finds accidents; what finds a forger is that the content
must open the commitments of the manifest that the header names.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from circuits._manifest import MAX_BUDGET, MAX_DIMENSIONS
from circuits.datasets import MAX_CLASSES
from circuits.encoding import canonical_json, is_hex, parse_canonical
from circuits.errors import CorruptedArtefact, WrongVersion

OPENING_VERSION = 1
NAME = "test-set opening"

IntArray: TypeAlias = npt.NDArray[np.int64]

_MAGIC = b"zkpot-testset-opening\n"
_START = len(_MAGIC) + 8
_MAX_HEADER_BYTES = 4096
_SALT_BYTES = 32
_SUM_BYTES = 32
# The first that holds all features is used, so that one test set has one encoding.
_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64")
_FIELDS = {"manifest", "samples", "shape", "classes", "shard_size", "budget", "type"}


class Content(NamedTuple):
    """What the file holds; the fields are those of ``Opening``, the salts in one row."""

    manifest: str
    classes: int
    shard_size: int
    budget: int
    features: IntArray
    labels: IntArray
    salts: Sequence[int]


def pack(content: Content) -> bytes:
    """Return the file's bytes."""
    features, labels = content.features, content.labels
    low, high = int(features.min()), int(features.max())
    kind = next(t for t in _TYPES if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    payload = b"".join(
        (
            features.astype(np.dtype(kind).newbyteorder("<")).tobytes(),
            labels.astype("<u4").tobytes(),
            *(salt.to_bytes(_SALT_BYTES, "big") for salt in content.salts),
        )
    )
    header = canonical_json(
        {
            "manifest": content.manifest,
            "samples": len(labels),
            "shape": list(features.shape[1:]),
            "classes": content.classes,
            "shard_size": content.shard_size,
            "budget": content.budget,
            "type": kind,
        }
    )
    data = b"".join((_MAGIC, _u32(OPENING_VERSION), _u32(len(header)), header, payload))
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
        bad("this is another kind of file")
    version = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "big")
    length = int.from_bytes(data[len(_MAGIC) + 4 : _START], "big")
    if version != OPENING_VERSION:
        raise WrongVersion(f"{NAME} has version {version}, this tool reads {OPENING_VERSION}")
    if length > _MAX_HEADER_BYTES:
        bad(f"its header has {length} bytes")
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
        bad("it is not in canonical form")
    return content


def _header(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != _FIELDS:
        bad("its header has other fields")
    if not is_hex(value["manifest"], 32):
        bad("the manifest's digest in its header is malformed")
    limits = {"samples": 2**32, "classes": MAX_CLASSES, "shard_size": 2**32, "budget": MAX_BUDGET}
    for name, high in limits.items():
        if type(value[name]) is not int or not 1 <= value[name] <= high:
            bad(f"{name} in its header is {value[name]!r}")
    shape = value["shape"]
    if (
        not isinstance(shape, list)
        or not 1 <= len(shape) <= MAX_DIMENSIONS
        or not all(type(size) is int and 1 <= size < 2**32 for size in shape)
    ):
        bad("the shape in its header is malformed")
    if value["type"] not in _TYPES:
        bad(f"the type in its header is {value['type']!r}")
    return value


def _payload(header: dict[str, Any], payload: memoryview) -> Content:
    samples, shape, kind = header["samples"], header["shape"], np.dtype(header["type"])
    shards = -(-samples // header["shard_size"])
    features = samples * math.prod(shape) * kind.itemsize
    labels = features + 4 * samples
    # Before anything is made of it: a header alone must not make anything large.
    if len(payload) != labels + 2 * shards * (header["budget"] + 1) * _SALT_BYTES:
        bad(f"it holds {len(payload)} bytes, which is not what its header says")
    x = np.frombuffer(payload[:features], kind.newbyteorder("<"))
    y = np.frombuffer(payload[features:labels], "<u4")
    return Content(
        manifest=header["manifest"],
        classes=header["classes"],
        shard_size=header["shard_size"],
        budget=header["budget"],
        features=x.reshape(samples, *shape).astype(np.int64),
        labels=y.astype(np.int64),
        salts=[
            int.from_bytes(payload[at : at + _SALT_BYTES], "big")
            for at in range(labels, len(payload), _SALT_BYTES)
        ],
    )


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def bad(message: str) -> NoReturn:
    """Refuse an opening."""
    raise CorruptedArtefact(f"{NAME}: {message}", artefact=NAME)
