"""The quantised samples of a committed test set, which every backend's commitments are to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from circuits._testset_parts import SetHeader
from circuits.errors import CorruptedArtefact

NAME = "test-set opening"

IntArray: TypeAlias = npt.NDArray[np.int64]


def unusable(message: str) -> NoReturn:
    """Refuse an opening."""
    raise CorruptedArtefact(f"{NAME}: {message}", artefact=NAME)


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """Real samples, in the order of the shards; secret.

    Attributes
    ----------
    features : int64 [N, ...]
        Quantised features.
    labels : int64 [N]
        0 .. classes - 1.
    group : int64 [N] or None
        0 .. groups - 1; None if there are no groups.
    classes, groups : int
        Their numbers; 0 groups if there are none.

    Raises
    ------
    CorruptedArtefact
        If the arrays contradict each other, or a label or group is out of its range.
    """

    features: IntArray
    labels: IntArray
    group: IntArray | None
    classes: int
    groups: int

    def __post_init__(self) -> None:
        if self.features.ndim < 2 or self.features.size == 0:
            unusable(f"features of shape {self.features.shape}")
        if (self.group is None) != (self.groups == 0):
            unusable("groups are announced and missing, or there and not announced")
        for name, values, count in (
            ("label", self.labels, self.classes),
            ("group", self.group, self.groups),
        ):
            if values is None:
                continue
            if values.shape != self.features.shape[:1]:
                unusable(f"features of shape {self.features.shape} have {name}s {values.shape}")
            if int(values.min()) < 0 or int(values.max()) >= count:
                unusable(f"a {name} is not in 0..{count - 1}")

    def __repr__(self) -> str:
        """Say the sizes only: no sample may end in a log."""
        return f"Samples({len(self.labels)} of shape {self.shape})"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample's features."""
        return self.features.shape[1:]

    def of_shard(self, shard: int, size: int) -> Samples:
        """Return the real samples of one shard of `size`; IndexError if there is no such shard."""
        rows = slice(shard * size, (shard + 1) * size)
        if not 0 <= rows.start < len(self.labels):
            raise IndexError(f"there is no shard {shard}")
        group = None if self.group is None else self.group[rows]
        return Samples(self.features[rows], self.labels[rows], group, self.classes, self.groups)

    def check(self, header: SetHeader) -> None:
        """Raise CorruptedArtefact if these are not samples of the set that `header` describes."""
        found = (len(self.labels), self.shape, self.classes, self.groups)
        if found != (header.samples, header.shape, header.classes, header.groups):
            unusable("its sizes are not those of the manifest")
        form = header.input_format
        if int(self.features.min()) < form.low or int(self.features.max()) > form.high:
            unusable(f"a feature is not in {form.low}..{form.high}, the manifest's input format")


def pad(values: IntArray, size: int, filler: int) -> IntArray:
    """Return `values` [n, ...] extended along the first axis to `size` with `filler`, int64."""
    padded = np.full((size, *values.shape[1:]), filler, dtype=np.int64)
    padded[: len(values)] = values
    return padded
