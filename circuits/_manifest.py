"""The public side of a committed test set."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from circuits import merkle
from circuits.datasets import MAX_CLASSES
from circuits.encoding import (
    canonical_json,
    digest,
    is_hex,
    json_digest,
    parse_canonical,
    read_bytes,
    write_atomic,
)
from circuits.errors import CorruptedArtefact, WrongVersion
from circuits.network import NumberFormat

MANIFEST_VERSION = 1
COMMITMENT_BYTES = 64
MAX_INPUT_BITS = 32
MAX_EXPONENT = 64
MAX_BUDGET = 4096
MAX_DIMENSIONS = 8
MAX_K = 28
"""The scalar field has no larger power-of-two domain."""

_MAGIC = "zkpot"
_KIND = "testset"
_MAX_FILE_BYTES = 2**28


@dataclass(frozen=True)
class ShardEntry:
    """The commitments to one shard.

    Attributes
    ----------
    index : int
        Place in the set, from 0.
    samples : int
        Real samples in it; the rest up to the shard size is padding.
    features, labels : str
        The commitment to each tensor, 64 bytes of lowercase hex.
    """

    index: int
    samples: int
    features: str
    labels: str

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON-ready values."""
        return {
            "index": self.index,
            "samples": self.samples,
            "features": self.features,
            "labels": self.labels,
        }


@dataclass(frozen=True)
class Manifest:
    """What everyone may know about a committed test set.

    Attributes
    ----------
    backend : str
        ``halo2``; fixes how the commitments are made.
    k : int
        Base-2 logarithm of the circuit's rows; the commitments depend on it.
    srs : str
        SHA-256 of the SRS file the commitments were made with, as hex.
    srs_insecure : bool
        True for a development SRS: whoever made it can forge openings.
    samples : int
        N, the number of real samples.
    shape : tuple of int
        Shape of one sample's features.
    classes : int
        Number of classes C; labels are 0 .. C - 1, and C marks padding.
    input_format : NumberFormat
        Range of the integers that stand for features.
    input_exponent : int
        A real feature x was committed as the integer round(x * 2**input_exponent), half to even.
    shard_size : int
        Samples of a shard, padding included.
    budget : int
        Proofs that may be published for each shard before its openings leak a secret.
    shards : tuple of ShardEntry
        In order; every one full but the last.

    Raises
    ------
    CorruptedArtefact
        If a field is malformed or the fields contradict each other.
    """

    backend: str
    k: int
    srs: str
    srs_insecure: bool
    samples: int
    shape: tuple[int, ...]
    classes: int
    input_format: NumberFormat
    input_exponent: int
    shard_size: int
    budget: int
    shards: tuple[ShardEntry, ...]

    def __post_init__(self) -> None:
        if self.backend != "halo2":
            _bad(f"backend is {self.backend!r}, not 'halo2'")
        if not is_hex(self.srs, 32) or type(self.srs_insecure) is not bool:
            _bad("the SRS is not described by a SHA-256 and a flag")
        _integer("k", self.k, 1, MAX_K)
        _integer("samples", self.samples, 1, 2**32)
        if not 1 <= len(self.shape) <= MAX_DIMENSIONS:
            _bad(f"shape has {len(self.shape)} dimensions, not 1 to {MAX_DIMENSIONS}")
        for size in self.shape:
            _integer("a dimension of shape", size, 1, 2**MAX_K)
        _integer("classes", self.classes, 2, MAX_CLASSES)
        _integer("input bits", self.input_format.bits, 1, MAX_INPUT_BITS)
        if type(self.input_format.signed) is not bool:
            _bad("the sign of the input format is not true or false")
        _integer("input exponent", self.input_exponent, -MAX_EXPONENT, MAX_EXPONENT)
        _integer("shard size", self.shard_size, 1, 2**MAX_K)
        _integer("budget", self.budget, 1, MAX_BUDGET)
        # Also what keeps a hostile manifest from asking for a padded shard that fills the memory.
        if (values := self.shard_size * self.feature_count + self.budget + 1) > 2**self.k:
            _bad(f"a shard has {values} values with its salts, more than 2^{self.k}")
        self._check_shards()

    def _check_shards(self) -> None:
        # A short shard in the middle, or one too many, would let padding stand for samples.
        expected = -(-self.samples // self.shard_size)
        if len(self.shards) != expected:
            _bad(
                f"{self.samples} samples in shards of {self.shard_size} make {expected} shards, "
                f"not {len(self.shards)}"
            )
        for index, shard in enumerate(self.shards):
            real = min(self.shard_size, self.samples - index * self.shard_size)
            if (type(shard.index), type(shard.samples)) != (int, int) or (
                shard.index,
                shard.samples,
            ) != (index, real):
                _bad(
                    f"shard {index} should hold {real} samples; found number {shard.index!r} "
                    f"with {shard.samples!r}"
                )
            for name, value in (("features", shard.features), ("labels", shard.labels)):
                if not is_hex(value, COMMITMENT_BYTES):
                    _bad(f"the commitment to the {name} of shard {index} is malformed")
        # One shard under two numbers would count its samples twice.
        if len({shard.features for shard in self.shards}) < expected:
            _bad("two shards have the same commitment to their features")

    @property
    def feature_count(self) -> int:
        """Number of features of one sample."""
        return math.prod(self.shape)

    @property
    def header(self) -> dict[str, Any]:
        """Everything but the shards, as JSON-ready values."""
        return {
            "magic": _MAGIC,
            "kind": _KIND,
            "version": MANIFEST_VERSION,
            "backend": self.backend,
            "k": self.k,
            "srs": self.srs,
            "srs_insecure": self.srs_insecure,
            "samples": self.samples,
            "shape": list(self.shape),
            "classes": self.classes,
            "input": {
                "bits": self.input_format.bits,
                "signed": self.input_format.signed,
                "exponent": self.input_exponent,
            },
            "shard_size": self.shard_size,
            "budget": self.budget,
        }

    @property
    def root(self) -> str:
        """RFC 6962 Merkle root over the canonical shard entries, as hex."""
        leaves = [merkle.leaf_hash(canonical_json(shard.to_dict())) for shard in self.shards]
        return merkle.root(leaves).hex()

    @property
    def testset_id(self) -> str:
        """Digest of header and Merkle root: what a statement names as its test set.

        The header is bound too, because the same commitments under another scale, number of
        classes or SRS would be another test set.
        """
        return json_digest("testset", {"header": self.header, "root": self.root})

    @property
    def digest(self) -> str:
        """Digest of the encoded manifest, as hex."""
        return digest("testset-manifest", self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the RFC 8785 encoding."""
        return canonical_json({**self.header, "shards": [shard.to_dict() for shard in self.shards]})

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest back.

        Raises
        ------
        CorruptedArtefact
            If the bytes are not the canonical encoding of a well-formed, consistent manifest.
        WrongVersion
            If it was written in another format version.
        """
        value = parse_canonical(data, "test-set manifest")
        if not isinstance(value, dict) or (value.get("magic"), value.get("kind")) != (
            _MAGIC,
            _KIND,
        ):
            _bad("this is another kind of file")
        if value.get("version") != MANIFEST_VERSION:
            raise WrongVersion(
                f"test-set manifest has version {value.get('version')}, "
                f"this tool reads {MANIFEST_VERSION}"
            )
        try:
            manifest = cls(
                backend=value["backend"],
                k=value["k"],
                srs=value["srs"],
                srs_insecure=value["srs_insecure"],
                samples=value["samples"],
                shape=tuple(value["shape"]),
                classes=value["classes"],
                input_format=NumberFormat(value["input"]["bits"], value["input"]["signed"]),
                input_exponent=value["input"]["exponent"],
                shard_size=value["shard_size"],
                budget=value["budget"],
                shards=tuple(ShardEntry(**shard) for shard in value["shards"]),
            )
        except (KeyError, TypeError) as error:
            _bad(f"a field is missing or has another type: {error}")
        if manifest.to_bytes() != data:
            _bad("it has fields of its own")
        return manifest

    def save(self, path: Path) -> None:
        """Write the manifest to `path`, whole or not at all."""
        write_atomic(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read the manifest at `path`; MissingArtefact if there is none, else as `from_bytes`."""
        return cls.from_bytes(read_bytes(path, "test-set manifest", _MAX_FILE_BYTES))


def _bad(message: str) -> NoReturn:
    raise CorruptedArtefact(f"test-set manifest: {message}", artefact="test-set manifest")


def _integer(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        _bad(f"{name} is {value!r}, not a whole number from {low} to {high}")
