"""A test set committed for the halo2 backend: KZG commitments to salted vectors.

A commitment is to the values of one tensor of one shard, in row-major order, followed by its
salts. The last shard is padded with zero features and the label C, which matches no class, so
that padding never counts as correct.

Each published proof opens the committed polynomial at one point. With budget + 1 salts, uniform
in the field, the openings of `budget` proofs and the commitment say nothing about the values.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from circuits._testset_parts import (
    MAX_BUDGET,
    MAX_SHARD,
    Part,
    SetHeader,
    Shard,
    bad,
    check_integer,
)
from circuits._testset_samples import NAME, IntArray, Samples, pad, unusable
from circuits.encoding import is_hex
from circuits.errors import CorruptedArtefact, InputError

COMMITMENT_BYTES = 64
MAX_K = 28
"""The scalar field has no larger power-of-two domain."""

SCALAR_FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order of the BN254 group: committed values and salts are integers modulo it."""

_SALT_BYTES = 32

Committer: TypeAlias = Callable[[Sequence[int]], bytes]
"""Commits to a vector of field elements; 64 bytes."""


@dataclass(frozen=True)
class Halo2Shard(Shard):
    """A shard and the commitments to its two tensors, 64 bytes of lowercase hex each."""

    features: str
    labels: str

    @property
    def commitment(self) -> str:
        """The commitment to the features, under which openings are counted."""
        return self.features


@dataclass(frozen=True)
class Halo2Part(Part):
    """The commitments of the halo2 backend.

    Attributes
    ----------
    shard_size, budget, shards
        As in `Part`.
    k : int
        Base-2 logarithm of the circuit's rows; the commitments depend on it.
    srs : str
        SHA-256 of the SRS file the commitments were made with, as hex.
    srs_insecure : bool
        True for a development SRS: whoever made it can forge openings.
    """

    backend: ClassVar[str] = "halo2"

    shards: tuple[Halo2Shard, ...]
    k: int
    srs: str
    srs_insecure: bool

    def __post_init__(self) -> None:
        if not is_hex(self.srs, 32) or type(self.srs_insecure) is not bool:
            bad("the SRS is not described by a SHA-256 and a flag")
        check_integer("k", self.k, 1, MAX_K)
        check_integer("shard size", self.shard_size, 1, MAX_SHARD)
        check_integer("budget", self.budget, 1, MAX_BUDGET)
        for index, shard in enumerate(self.shards):
            for name, value in (("features", shard.features), ("labels", shard.labels)):
                if not is_hex(value, COMMITMENT_BYTES):
                    bad(f"the commitment to the {name} of shard {index} is malformed")

    @property
    def size(self) -> str:
        """The size of the commitments, for people."""
        return f"2^{self.k} rows"

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Halo2Part:
        """Read a part back; KeyError or TypeError where a field is missing or unknown."""
        shards = tuple(Halo2Shard(**shard) for shard in value["shards"])
        return cls(**{**value, "shards": shards})

    def check(self, header: SetHeader) -> None:
        """Check as `Part` does, and that a shard fits the rows."""
        # Also what keeps a hostile manifest from asking for a padded shard that fills the memory.
        if (values := self.shard_size * header.feature_count + self.budget + 1) > 2**self.k:
            bad(f"a shard has {values} values with its salts, more than 2^{self.k}")
        super().check(header)


@dataclass(frozen=True, repr=False)
class ShardSalts:
    """The salts of one shard: uniform field elements that hide its two tensors."""

    features: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Halo2Opening:
    """What opens the commitments of a `Halo2Part`; secret.

    Attributes
    ----------
    content : Samples
        The quantised samples.
    shard_size : int
        Samples of a shard, padding included.
    salts : tuple of ShardSalts
        One per shard, all with the same number of salts, budget + 1.

    Raises
    ------
    CorruptedArtefact
        If the parts contradict each other, or a salt is no element of the field.
    """

    content: Samples
    shard_size: int
    salts: tuple[ShardSalts, ...]

    def __post_init__(self) -> None:
        count = len(self.content.labels)
        if self.shard_size < 1 or len(self.salts) != -(-count // self.shard_size):
            unusable(f"{count} samples and {len(self.salts)} shards of {self.shard_size}")
        sizes = {len(part) for salts in self.salts for part in (salts.features, salts.labels)}
        if len(sizes) != 1 or min(sizes) < 2:
            unusable("the numbers of salts differ, or are below two")
        for salts in self.salts:
            if not all(0 <= salt < SCALAR_FIELD for salt in (*salts.features, *salts.labels)):
                unusable("a salt is not an element of the field")

    backend: ClassVar[str] = "halo2"

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self.salts)

    @property
    def budget(self) -> int:
        """Proofs that may be published for each shard."""
        return len(self.salts[0].features) - 1

    def x_int(self, shard: int) -> IntArray:
        """Return the features of a shard as committed, int64 [shard_size, ...], padded with 0."""
        return pad(self.content.of_shard(shard, self.shard_size).features, self.shard_size, 0)

    def y(self, shard: int) -> IntArray:
        """Return the labels of a shard as committed, int64 [shard_size], padded with C."""
        labels = self.content.of_shard(shard, self.shard_size).labels
        return pad(labels, self.shard_size, self.content.classes)

    def features_vector(self, shard: int) -> list[int]:
        """Return what the feature commitment commits to: values in row-major order, then salts.

        Canonical field elements, 0 .. r - 1; a negative value v is r + v.
        """
        return vector(self.x_int(shard), self.salts[shard].features)

    def labels_vector(self, shard: int) -> list[int]:
        """Return what the label commitment commits to: values, then salts."""
        return vector(self.y(shard), self.salts[shard].labels)

    def check(self, part: Halo2Part, committer: Committer) -> None:
        """Check that this opens every commitment of `part`.

        Raises
        ------
        CorruptedArtefact
            If a commitment comes out different; names the first such shard and tensor.
        """
        if (self.shard_size, self.budget) != (part.shard_size, part.budget):
            unusable("its sizes are not those of the manifest")
        for shard in part.shards:
            for name, values, expected in (
                ("features", self.features_vector(shard.index), shard.features),
                ("labels", self.labels_vector(shard.index), shard.labels),
            ):
                commitment = committer(values).hex()
                if commitment != expected:
                    raise CorruptedArtefact(
                        f"{NAME}: the {name} of shard {shard.index} do not open their commitment",
                        artefact=NAME,
                        shard=shard.index,
                        expected=expected,
                        found=commitment,
                    )

    def pack(self) -> tuple[dict[str, Any], bytes]:
        """Return the fields that size the salts, and the salts as bytes."""
        salts = [salt for shard in self.salts for salt in (*shard.features, *shard.labels)]
        data = b"".join(salt.to_bytes(_SALT_BYTES, "big") for salt in salts)
        return {"shard_size": self.shard_size, "budget": self.budget}, data

    @classmethod
    def unpack(cls, content: Samples, fields: dict[str, Any], data: bytes) -> Halo2Opening:
        """Undo `pack`; CorruptedArtefact if the fields do not size the data."""
        size, budget = (fields.get(name) for name in ("shard_size", "budget"))
        if type(size) is not int or type(budget) is not int or not (size > 0 < budget):
            unusable("the sizes of its halo2 part are malformed")
        run = (budget + 1) * _SALT_BYTES
        if len(fields) != 2 or len(data) != 2 * run * -(-len(content.labels) // size):
            unusable("its halo2 part is not what its header says")
        runs = [_salts(data[at : at + run]) for at in range(0, len(data), run)]
        return cls(content, size, tuple(map(ShardSalts, runs[::2], runs[1::2])))


def _salts(data: bytes) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(data[at : at + _SALT_BYTES], "big")
        for at in range(0, len(data), _SALT_BYTES)
    )


@dataclass(frozen=True)
class Halo2Commit:
    """How to commit for the halo2 backend.

    Attributes
    ----------
    committer : callable
        Commits to a vector of field elements, for the `srs` and `k` given.
    srs : str
        SHA-256 of the SRS file, as hex.
    k : int
        Base-2 logarithm of the circuit's rows.
    srs_insecure : bool
        Whether that SRS is a development one; recorded in the manifest.
    shard_size : int
        Samples proven together.
    budget : int
        Proofs that may be published for each shard, 1 to `MAX_BUDGET`.
    randbelow : callable
        Returns a uniform integer below its argument; replaced in tests only.

    Raises
    ------
    InputError
        If `shard_size` or `budget` is out of range.
    """

    committer: Committer
    srs: str
    k: int
    srs_insecure: bool
    shard_size: int
    budget: int
    randbelow: Callable[[int], int] = secrets.randbelow

    def __post_init__(self) -> None:
        if not 1 <= self.budget <= MAX_BUDGET:
            raise InputError(
                f"the opening budget must be from 1 to {MAX_BUDGET}, not {self.budget}"
            )
        if self.shard_size < 1:
            raise InputError(f"a shard must have at least one sample, not {self.shard_size}")

    def check(self, header: SetHeader) -> None:
        """Raise InputError if a shard of a set is too large for `k`."""
        values = self.shard_size * header.feature_count + self.budget + 1
        if not 1 <= self.k <= MAX_K or values > 2**self.k:
            raise InputError(
                f"a shard of {self.shard_size} samples, {header.feature_count} features each, "
                f"with {self.budget + 1} salts has {values} values, and k = {self.k} takes at "
                f"most 2^k and k up to {MAX_K}; make shards smaller or k larger",
                values=values,
                k=self.k,
            )

    def __call__(
        self, header: SetHeader, content: Samples, progress: Callable[[int, int], None]
    ) -> tuple[Halo2Part, Halo2Opening]:
        """Salt and commit to every shard; `progress` gets (shards done, shards)."""
        count = -(-header.samples // self.shard_size)
        salts = tuple(ShardSalts(self._salts(), self._salts()) for _ in range(count))
        opening = Halo2Opening(content, self.shard_size, salts)
        shards = []
        for index in range(count):
            real = len(content.of_shard(index, self.shard_size).labels)
            features = self.committer(opening.features_vector(index)).hex()
            labels = self.committer(opening.labels_vector(index)).hex()
            shards.append(Halo2Shard(index, real, features, labels))
            progress(index + 1, count)
        part = Halo2Part(
            self.shard_size, self.budget, tuple(shards), self.k, self.srs, self.srs_insecure
        )
        return part, opening

    def _salts(self) -> tuple[int, ...]:
        return tuple(self.randbelow(SCALAR_FIELD) for _ in range(self.budget + 1))


def vector(values: IntArray, salts: tuple[int, ...]) -> list[int]:
    """Return the field elements of `values` in row-major order, followed by `salts`."""
    return [value % SCALAR_FIELD for value in values.ravel().tolist()] + list(salts)
