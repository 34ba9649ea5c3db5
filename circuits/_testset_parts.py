"""What a committed test set says of itself under every backend: its header, and its shards."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from circuits import merkle
from circuits.datasets import MAX_CLASSES
from circuits.encoding import canonical_json, json_digest
from circuits.errors import CorruptedArtefact
from circuits.network import NumberFormat

MAX_INPUT_BITS = 32
MAX_EXPONENT = 64
MAX_BUDGET = 4096
MAX_DIMENSIONS = 8
MAX_FEATURES = 2**26
MAX_GROUPS = 256
MAX_SHARD = 2**28

MANIFEST = "test-set manifest"


def bad(message: str) -> NoReturn:
    """Refuse a manifest."""
    raise CorruptedArtefact(f"{MANIFEST}: {message}", artefact=MANIFEST)


def check_integer(name: str, value: object, low: int, high: int) -> None:
    """Refuse what is not a whole number from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        bad(f"{name} is {value!r}, not a whole number from {low} to {high}")


@dataclass(frozen=True)
class SetHeader:
    """What the commitments of all backends have in common.

    Attributes
    ----------
    samples : int
        N, the number of real samples.
    shape : tuple of int
        Shape of one sample's features.
    classes : int
        Number of classes C; labels are 0 .. C - 1.
    groups : int
        Number of groups that are counted apart, 0 if there are none.
    input_format : NumberFormat
        Range of the integers that stand for features.
    input_exponent : int
        A real feature x was committed as the integer round(x * 2**input_exponent), half to even.

    Raises
    ------
    CorruptedArtefact
        If a field is malformed.
    """

    samples: int
    shape: tuple[int, ...]
    classes: int
    groups: int
    input_format: NumberFormat
    input_exponent: int

    def __post_init__(self) -> None:
        check_integer("samples", self.samples, 1, 2**32)
        if not 1 <= len(self.shape) <= MAX_DIMENSIONS:
            bad(f"shape has {len(self.shape)} dimensions, not 1 to {MAX_DIMENSIONS}")
        for size in self.shape:
            check_integer("a dimension of shape", size, 1, MAX_FEATURES)
        check_integer("number of features", self.feature_count, 1, MAX_FEATURES)
        check_integer("classes", self.classes, 2, MAX_CLASSES)
        check_integer("groups", self.groups, 0, MAX_GROUPS)
        check_integer("input bits", self.input_format.bits, 1, MAX_INPUT_BITS)
        if type(self.input_format.signed) is not bool:
            bad("the sign of the input format is not true or false")
        check_integer("input exponent", self.input_exponent, -MAX_EXPONENT, MAX_EXPONENT)

    @property
    def feature_count(self) -> int:
        """Number of features of one sample."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Shard:
    """The commitments to one shard; a backend adds what they are.

    Attributes
    ----------
    index : int
        Place in the set, from 0.
    samples : int
        Real samples in it; the rest up to the shard size is padding.
    """

    index: int
    samples: int

    @property
    def commitment(self) -> str:
        """What no two shards may share, and under which openings are counted."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return the shard as JSON-ready values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Part(ABC):
    """The commitments of one backend to a test set.

    Attributes
    ----------
    shard_size : int
        Samples of a shard, padding included.
    budget : int
        Openings that one shard allows before they would leak a secret.
    shards : tuple of Shard
        In order; every one full but the last.
    """

    backend: ClassVar[str]
    own_openings: ClassVar[int] = 0
    """Openings that the evaluator's own proofs about the set take."""

    shard_size: int
    budget: int
    shards: Sequence[Shard]

    @property
    @abstractmethod
    def size(self) -> str:
        """The size of the commitments, for people."""

    @property
    def proofs(self) -> int:
        """Accuracy proofs that may be published against the set."""
        return self.budget - self.own_openings

    @property
    def header(self) -> dict[str, Any]:
        """Everything but the shards, as JSON-ready values."""
        return {name: value for name, value in vars(self).items() if name != "shards"}

    @property
    def root(self) -> str:
        """RFC 6962 Merkle root over the canonical shards, as hex."""
        leaves = [merkle.leaf_hash(canonical_json(shard.to_dict())) for shard in self.shards]
        return merkle.root(leaves).hex()

    @property
    def digest(self) -> str:
        """Digest of header and root, as hex."""
        return json_digest("testset-part", {"header": self.header, "root": self.root})

    def to_dict(self) -> dict[str, Any]:
        """Return the part as JSON-ready values."""
        return {**self.header, "shards": [shard.to_dict() for shard in self.shards]}

    @classmethod
    @abstractmethod
    def from_dict(cls, value: dict[str, Any]) -> Part:
        """Read a part back; KeyError or TypeError where a field is missing or unknown."""

    def check(self, header: SetHeader) -> None:
        """Check that the part commits to the set that `header` describes.

        Raises
        ------
        CorruptedArtefact
            If its shards do not hold every sample exactly once, or do not fit the backend.
        """
        # A short shard in the middle, or one too many, would let padding stand for samples.
        expected = -(-header.samples // self.shard_size)
        if len(self.shards) != expected:
            bad(
                f"{header.samples} samples in shards of {self.shard_size} make {expected} shards, "
                f"not {len(self.shards)}"
            )
        for index, shard in enumerate(self.shards):
            real = min(self.shard_size, header.samples - index * self.shard_size)
            if (type(shard.index), type(shard.samples)) != (int, int) or (
                shard.index,
                shard.samples,
            ) != (index, real):
                bad(
                    f"shard {index} should hold {real} samples; found number {shard.index!r} "
                    f"with {shard.samples!r}"
                )
        # One shard under two numbers would count its samples twice.
        if len({shard.commitment for shard in self.shards}) < expected:
            bad("two shards have the same commitment")
