"""A test set committed for the sumcheck backend: the secret side (docs/protocol.md, section 3).

The evaluator keeps the samples, a seed for each shard, from which all its random coefficients and
salts come, and the hashes of its columns, so that a prover need not hash them again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from circuits._testset_parts import MAX_SHARD, SetHeader
from circuits._testset_samples import NAME, IntArray, Samples, pad, unusable
from circuits.errors import CorruptedArtefact, InputError
from circuits.sumcheck.columns import HASH_BYTES, Hashes
from circuits.sumcheck.commitment import Matrix, commit, feature_rows, restore
from circuits.sumcheck.params import MAX_KAPPA, MIN_KAPPA, Profile
from circuits.sumcheck.randomness import SEED_BYTES
from circuits.sumcheck.relation import well_formed
from circuits.sumcheck.testset import BACKEND, SumcheckPart, SumcheckShard


@dataclass(frozen=True, eq=False, repr=False)
class SumcheckOpening:
    """What opens the commitments of a `SumcheckPart`; secret.

    Attributes
    ----------
    content : Samples
        The quantised samples.
    shard_size, kappa : int
        As in the part.
    seeds : tuple of bytes
        One of 32 bytes for each shard.
    leaves : tuple of uint8 array [L, 32]
        Leaf hashes of each shard's matrix; they show nothing, but save work.
    """

    backend: ClassVar[str] = BACKEND

    content: Samples
    shard_size: int
    kappa: int
    seeds: tuple[bytes, ...]
    leaves: tuple[Hashes, ...]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self.seeds)

    def samples(self, shard: int) -> Samples:
        """Return the real samples of a shard; IndexError if there is no such shard."""
        return self.content.of_shard(shard, self.shard_size)

    def matrix(self, shard: int) -> Matrix:
        """Return the committed matrix of a shard, without encoding it again."""
        rows = feature_rows(shard_features(self.samples(shard), self.shard_size),
                            Profile(self.kappa))  # fmt: skip
        return restore(rows, self.seeds[shard], self.leaves[shard])

    def check(self, part: SumcheckPart) -> None:
        """Check that the leaf hashes are those of the commitments of `part`.

        That the samples belong to them is checked when columns are opened.

        Raises
        ------
        CorruptedArtefact
            If a root comes out different; names the shard.
        """
        if (self.shard_size, self.kappa) != (part.shard_size, part.kappa):
            unusable("its sizes are not those of the manifest")
        for shard in part.shards:
            found = self.matrix(shard.index).root.hex()
            if found != shard.root:
                raise CorruptedArtefact(
                    f"{NAME}: shard {shard.index} does not open its commitment",
                    artefact=NAME,
                    shard=shard.index,
                    expected=shard.root,
                    found=found,
                )

    def pack(self) -> tuple[dict[str, Any], bytes]:
        """Return the fields that size the secrets, and the secrets: seed and leaves by shard."""
        pairs = zip(self.seeds, self.leaves, strict=True)
        data = b"".join(part for seed, leaves in pairs for part in (seed, leaves.tobytes()))
        return {"shard_size": self.shard_size, "kappa": self.kappa}, data

    @classmethod
    def unpack(cls, content: Samples, fields: dict[str, Any], data: bytes) -> SumcheckOpening:
        """Undo `pack`; CorruptedArtefact if the fields do not size the data."""
        size, kappa = (fields.get(name) for name in ("shard_size", "kappa"))
        if type(size) is not int or type(kappa) is not int or len(fields) != 2:
            unusable("the sizes of its sumcheck part are malformed")
        if not 1 <= size <= MAX_SHARD or not MIN_KAPPA <= kappa <= MAX_KAPPA:
            unusable(f"its sumcheck part has shards of {size} and profile {kappa}")
        run = SEED_BYTES + Profile(kappa).positions * HASH_BYTES
        if len(data) != run * -(-len(content.labels) // size):
            unusable("its sumcheck part is not what its header says")
        runs = np.frombuffer(data, np.uint8).reshape(-1, run)
        leaves = tuple(row[SEED_BYTES:].reshape(-1, HASH_BYTES) for row in runs)
        return cls(content, size, kappa, tuple(r[:SEED_BYTES].tobytes() for r in runs), leaves)


@dataclass(frozen=True)
class SumcheckCommit:
    """How to commit for the sumcheck backend.

    Attributes
    ----------
    shard_size : int
        Samples of a shard, a power of two.
    kappa : int
        The profile: 2^kappa slots in a row.
    budget : int
        Openings of a shard, with the one of the proof that it is well-formed.
    seed : callable
        Returns so many secret random bytes; replaced in tests only.

    Raises
    ------
    InputError
        If the numbers do not fit together.
    """

    shard_size: int
    kappa: int
    budget: int
    seed: Callable[[int], bytes] = secrets.token_bytes

    def __post_init__(self) -> None:
        most = Profile(self.kappa).max_openings
        if not 1 + SumcheckPart.own_openings <= self.budget <= most:
            raise InputError(
                f"a set in rows of 2^{self.kappa} slots can be opened 2 to {most} times, not "
                f"{self.budget}"
            )
        if self.shard_size.bit_count() != 1 or self.shard_size > 1 << self.kappa:
            raise InputError(
                f"a shard of the sumcheck backend has a power of two of samples, at most "
                f"2^{self.kappa}, not {self.shard_size}"
            )

    def check(self, header: SetHeader) -> None:
        """Raise WouldOverflow if the format is too wide for a set to be proven well-formed."""
        well_formed(
            header.input_format,
            header.feature_count,
            header.classes,
            header.groups,
            self.shard_size.bit_length() - 1,
            self.kappa,
        )

    def __call__(
        self, header: SetHeader, content: Samples, progress: Callable[[int, int], None]
    ) -> tuple[SumcheckPart, SumcheckOpening]:
        """Commit to every shard; `progress` gets (shards done, shards)."""
        count = -(-header.samples // self.shard_size)
        seeds, leaves, shards = [], [], []
        for index in range(count):
            samples = content.of_shard(index, self.shard_size)
            rows = feature_rows(shard_features(samples, self.shard_size), Profile(self.kappa))
            seeds.append(self.seed(SEED_BYTES))
            matrix = commit(rows, seeds[-1])
            leaves.append(matrix.leaves)
            shards.append(SumcheckShard(index, len(samples.labels), matrix.root.hex()))
            progress(index + 1, count)
        part = SumcheckPart(self.shard_size, self.budget, tuple(shards), self.kappa)
        opening = SumcheckOpening(content, self.shard_size, self.kappa, tuple(seeds), tuple(leaves))
        return part, opening


def shard_features(samples: Samples, size: int) -> IntArray:
    """Return the features of a shard's matrix (3.5), int64 [F + C + Gr, size].

    Inputs in row-major order, then one-hot labels, then one-hot groups; padding is zero in all.
    """
    blocks: list[npt.NDArray[np.int64]] = [
        samples.features.reshape(len(samples.labels), -1),
        _one_hot(samples.labels, samples.classes),
    ]
    if samples.group is not None:
        blocks.append(_one_hot(samples.group, samples.groups))
    features: IntArray = pad(np.concatenate(blocks, axis=1), size, 0).T
    return features


def _one_hot(values: IntArray, count: int) -> IntArray:
    return np.eye(count, dtype=np.int64)[values]
