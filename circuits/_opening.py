"""The secret side of a committed test set: integers, labels and salts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from circuits._manifest import Manifest
from circuits._opening_file import NAME, Content, IntArray, bad, pack, unpack
from circuits.encoding import read_bytes, write_atomic
from circuits.errors import CorruptedArtefact

SCALAR_FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617
"""Order of the BN254 group: committed values and salts are integers modulo it."""

Committer: TypeAlias = Callable[[Sequence[int]], bytes]
"""Commits to a vector of field elements; 64 bytes."""


@dataclass(frozen=True, repr=False)
class ShardSalts:
    """The salts of one shard: uniform field elements that hide its two tensors."""

    features: tuple[int, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Opening:
    """Everything a prover needs to open the commitments of a manifest.

    Attributes
    ----------
    manifest_digest : str
        Digest of the manifest this opens, as hex.
    classes : int
        C; also the label of padding.
    shard_size : int
        Samples of a shard, padding included.
    features : int64 [N, ...]
        Quantised features of the real samples, in the order of the shards.
    labels : int64 [N]
        Their labels, 0 .. C - 1.
    salts : tuple of ShardSalts
        One per shard, all with the same number of salts, budget + 1.

    Raises
    ------
    CorruptedArtefact
        If the parts contradict each other, or a label or salt is out of its range.
    """

    manifest_digest: str
    classes: int
    shard_size: int
    features: IntArray
    labels: IntArray
    salts: tuple[ShardSalts, ...]

    def __post_init__(self) -> None:
        if (
            self.features.ndim < 2
            or self.features.size == 0
            or self.labels.shape != self.features.shape[:1]
        ):
            bad(f"features of shape {self.features.shape} have labels {self.labels.shape}")
        if self.shard_size < 1 or len(self.salts) != -(-len(self.labels) // self.shard_size):
            bad(f"{len(self.labels)} samples and {len(self.salts)} shards of {self.shard_size}")
        if int(self.labels.min()) < 0 or int(self.labels.max()) >= self.classes:
            bad(f"a label is not in 0..{self.classes - 1}")
        sizes = {len(part) for salts in self.salts for part in (salts.features, salts.labels)}
        if len(sizes) != 1 or min(sizes) < 2:
            bad("the numbers of salts differ, or are below two")
        for salts in self.salts:
            if not all(0 <= salt < SCALAR_FIELD for salt in (*salts.features, *salts.labels)):
                bad("a salt is not an element of the field")

    def __repr__(self) -> str:
        """Say the sizes only: no feature, label or salt may end in a log."""
        return (
            f"Opening(manifest={self.manifest_digest[:16]}, samples={len(self.labels)}, "
            f"shards={len(self.salts)})"
        )

    @property
    def shards(self) -> int:
        """Number of shards."""
        return len(self.salts)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample's features."""
        return self.features.shape[1:]

    @property
    def budget(self) -> int:
        """Proofs that may be published for each shard."""
        return len(self.salts[0].features) - 1

    def samples(self, shard: int) -> int:
        """Return the number of real samples in a shard; IndexError if there is no such shard."""
        return len(self.labels[self._rows(shard)])

    def x_int(self, shard: int) -> IntArray:
        """Return the features of a shard as committed, int64 [shard_size, ...], padded with 0."""
        return pad(self.features[self._rows(shard)], self.shard_size, 0)

    def y(self, shard: int) -> IntArray:
        """Return the labels of a shard as committed, int64 [shard_size], padded with C."""
        return pad(self.labels[self._rows(shard)], self.shard_size, self.classes)

    def features_vector(self, shard: int) -> list[int]:
        """Return what the feature commitment commits to: values in row-major order, then salts.

        Canonical field elements, 0 .. r - 1; a negative value v is r + v.
        """
        return vector(self.x_int(shard), self.salts[shard].features)

    def labels_vector(self, shard: int) -> list[int]:
        """Return what the label commitment commits to: values, then salts."""
        return vector(self.y(shard), self.salts[shard].labels)

    def _rows(self, shard: int) -> slice:
        if not 0 <= shard < self.shards:
            raise IndexError(f"there is no shard {shard} among {self.shards}")
        return slice(shard * self.shard_size, (shard + 1) * self.shard_size)

    def check(self, manifest: Manifest, committer: Committer) -> None:
        """Check that this opens every commitment of `manifest`.

        Raises
        ------
        CorruptedArtefact
            If it belongs to another manifest, does not fit it, or a commitment comes out
            different; names the first such shard and tensor.
        """
        if manifest.digest != self.manifest_digest:
            raise CorruptedArtefact(
                f"{NAME} belongs to manifest {self.manifest_digest}, not {manifest.digest}",
                artefact=NAME,
                expected=manifest.digest,
                found=self.manifest_digest,
            )
        found = (len(self.labels), self.shape, self.classes, self.shard_size, self.budget)
        if found != (
            manifest.samples,
            manifest.shape,
            manifest.classes,
            manifest.shard_size,
            manifest.budget,
        ):
            bad("its sizes are not those of the manifest")
        form = manifest.input_format
        if int(self.features.min()) < form.low or int(self.features.max()) > form.high:
            bad(f"a feature is not in {form.low}..{form.high}, the manifest's input format")
        for entry in manifest.shards:
            for name, values, expected in (
                ("features", self.features_vector(entry.index), entry.features),
                ("labels", self.labels_vector(entry.index), entry.labels),
            ):
                commitment = committer(values).hex()
                if commitment != expected:
                    raise CorruptedArtefact(
                        f"{NAME}: the {name} of shard {entry.index} do not open their commitment",
                        artefact=NAME,
                        shard=entry.index,
                        expected=expected,
                        found=commitment,
                    )

    def to_bytes(self) -> bytes:
        """Return the file's content; secret."""
        salts = [s for shard in self.salts for s in (*shard.features, *shard.labels)]
        return pack(
            Content(
                self.manifest_digest,
                self.classes,
                self.shard_size,
                self.budget,
                self.features,
                self.labels,
                salts,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Opening:
        """Read an opening back.

        Raises
        ------
        CorruptedArtefact
            If a byte is missing, added or changed, or the content contradicts itself.
        WrongVersion
            If it was written in another format version.
        """
        content = unpack(data)
        size = content.budget + 1
        runs = [tuple(content.salts[at : at + size]) for at in range(0, len(content.salts), size)]
        return cls(
            manifest_digest=content.manifest,
            classes=content.classes,
            shard_size=content.shard_size,
            features=content.features,
            labels=content.labels,
            salts=tuple(map(ShardSalts, runs[::2], runs[1::2])),
        )

    def save(self, path: Path) -> None:
        """Write the opening to `path` with mode 0600, whole or not at all."""
        write_atomic(path, self.to_bytes(), secret=True)

    @classmethod
    def load(cls, path: Path) -> Opening:
        """Read the opening at `path`; MissingArtefact if there is none, else as `from_bytes`."""
        return cls.from_bytes(read_bytes(path, NAME))


def pad(values: IntArray, size: int, filler: int) -> IntArray:
    """Return `values` [n, ...] extended along the first axis to `size` with `filler`, int64."""
    padded = np.full((size, *values.shape[1:]), filler, dtype=np.int64)
    padded[: len(values)] = values
    return padded


def vector(values: IntArray, salts: tuple[int, ...]) -> list[int]:
    """Return the field elements of `values` in row-major order, followed by `salts`."""
    return [value % SCALAR_FIELD for value in values.ravel().tolist()] + list(salts)
