"""Committing to a test set: features become integers, and each backend commits to its shards.

The result is a public `Manifest` and a secret `Opening`. How a backend cuts, pads and hides the
samples is said in `circuits.halo2.testset` and `circuits.sumcheck.testset`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from circuits._manifest import MANIFEST_VERSION, Manifest
from circuits._opening import Opening, PartOpening
from circuits._opening_file import OPENING_VERSION
from circuits._testset_parts import (
    MAX_BUDGET,
    MAX_EXPONENT,
    MAX_GROUPS,
    MAX_INPUT_BITS,
    Part,
    SetHeader,
    Shard,
)
from circuits._testset_samples import IntArray, Samples
from circuits.datasets import Dataset
from circuits.errors import DataFormatError, InputError, WouldOverflow
from circuits.network import NumberFormat

__all__ = [
    "MANIFEST_VERSION",
    "MAX_BUDGET",
    "MAX_EXPONENT",
    "MAX_GROUPS",
    "MAX_INPUT_BITS",
    "OPENING_VERSION",
    "SMALLEST_GROUP",
    "Commit",
    "Manifest",
    "NumberFormat",
    "Opening",
    "Part",
    "Samples",
    "SetHeader",
    "Shard",
    "choose_format",
    "commit_testset",
    "quantise",
]

SMALLEST_GROUP: Final = 10
"""A published count of fewer samples says too much about each of them."""


class Commit(Protocol):
    """How one backend commits to a test set."""

    @property
    def shard_size(self) -> int:
        """Samples proven together."""

    def check(self, header: SetHeader) -> None:
        """Raise InputError if the set cannot be committed this way."""

    def __call__(
        self, header: SetHeader, content: Samples, progress: Callable[[int, int], None]
    ) -> tuple[Part, PartOpening]:
        """Commit to every shard; `progress` gets (shards done, shards)."""


def choose_format(
    x: npt.NDArray[np.float64],
    bits: int,
    *,
    signed: bool | None = None,
    exponent: int | None = None,
) -> tuple[NumberFormat, int]:
    """Choose how features become integers of `bits` bits.

    Parameters
    ----------
    x : float64 [N, ...]
        Finite features.
    bits : int
        1 to `MAX_INPUT_BITS`.
    signed : bool, optional
        By default, whether a feature is negative.
    exponent : int, optional
        By default the largest one, up to `MAX_EXPONENT`, with which no feature is clipped; 0
        where all features are zero.

    Returns
    -------
    NumberFormat, int
        The format and the exponent; x becomes round(x * 2**exponent).

    Raises
    ------
    WouldOverflow
        If a feature does not fit what was asked for; names row and feature.
    InputError
        If `bits` or `exponent` is out of range.
    """
    _check_range(bits, exponent or 0)
    form = NumberFormat(bits, bool((x < 0).any()) if signed is None else signed)
    if exponent is None:
        exponent = _largest_exponent(x, form)
    _check_fit(x, form, exponent)
    return form, exponent


def quantise(x: npt.NDArray[np.float64], form: NumberFormat, exponent: int) -> IntArray:
    """Return round(x * 2**exponent), exactly, with halves rounded to even; int64 like `x`.

    Raises
    ------
    WouldOverflow
        If a feature does not fit the format: nothing is clipped. Names row and feature.
    InputError
        If `exponent` or the format's width is out of range.
    """
    _check_fit(x, form, exponent)
    return _scaled(x, exponent).astype(np.int64)


def _scaled(x: npt.NDArray[np.float64], exponent: int) -> npt.NDArray[np.float64]:
    # Scaling by a power of two is exact, and rint rounds halves to even, so integers of up to 53
    # bits come out the same on every machine. What overflows to infinity fits no format.
    with np.errstate(over="ignore", under="ignore"):
        return np.rint(np.ldexp(x, exponent))


def _largest_exponent(x: npt.NDArray[np.float64], form: NumberFormat) -> int:
    extremes = np.array([x.min(), x.max()])
    if not form.signed:
        # A negative feature is refused below; it must not be scaled away to zero first.
        extremes = np.abs(extremes)
    if not extremes.any():
        return 0
    _, width = np.frexp(np.abs(extremes).max())
    exponent = min(form.bits - int(width) + 1, MAX_EXPONENT)
    while exponent > -MAX_EXPONENT and _misfits(extremes, form, exponent).any():
        exponent -= 1
    return max(exponent, -MAX_EXPONENT)


def _check_range(bits: int, exponent: int) -> None:
    if not 1 <= bits <= MAX_INPUT_BITS:
        raise InputError(f"features can have 1 to {MAX_INPUT_BITS} bits, not {bits}")
    if abs(exponent) > MAX_EXPONENT:
        raise InputError(f"input exponent {exponent} is not in -{MAX_EXPONENT}..{MAX_EXPONENT}")


def _misfits(
    x: npt.NDArray[np.float64], form: NumberFormat, exponent: int
) -> npt.NDArray[np.bool_]:
    scaled = _scaled(x, exponent)
    wrong: npt.NDArray[np.bool_] = (scaled < form.low) | (scaled > form.high)
    # Rounding a small negative feature to an unsigned zero would be clipping by another name.
    return wrong if form.signed else wrong | (x < 0)


def _check_fit(x: npt.NDArray[np.float64], form: NumberFormat, exponent: int) -> None:
    _check_range(form.bits, exponent)
    wrong = _misfits(x, form, exponent)
    if not wrong.any():
        return
    row, *place = (int(i) for i in np.unravel_index(int(wrong.argmax()), x.shape))
    value = float(x[(row, *place)])
    name = f"feature {place[0] if len(place) == 1 else place} of row {row}"
    scaled = round(Fraction(value) * Fraction(2) ** exponent)
    needs_sign = form.signed or value < 0
    error = WouldOverflow(
        f"input, {name}",
        max(scaled, -scaled - 1).bit_length() + needs_sign,
        form.bits,
        f"{value} at exponent {exponent} is not in {form.low}..{form.high}; give a smaller "
        f"exponent, more bits{'' if form.signed else ', a signed format'} or scaled features",
    )
    error.details |= {"row": row, "feature": place}
    raise error


def commit_testset(
    dataset: Dataset,
    commits: Sequence[Commit],
    *,
    bits: int = 8,
    signed: bool | None = None,
    exponent: int | None = None,
    shuffle: random.Random | None = None,
    smallest_group: int = SMALLEST_GROUP,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, Opening]:
    """Quantise a test set and commit to it, for one backend or several.

    Parameters
    ----------
    dataset : Dataset
    commits : sequence of Commit
        How each backend commits.
    bits, signed, exponent
        As in `choose_format`.
    shuffle : random.Random, optional
        Permutes the samples before they are cut into shards; `random.SystemRandom()` for a secret
        order, a seeded generator for one that can be repeated. By default the order is kept.
    smallest_group : int
        Fewest samples of a group that a shard may hold, if it holds any: counts for each group
        and shard become public.
    progress : callable, optional
        Called with (shards done, shards) after each shard, for each backend anew.

    Returns
    -------
    Manifest, Opening
        What to publish and what to keep.

    Raises
    ------
    WouldOverflow
        If a feature does not fit the format; names row and feature.
    InputError
        If an option is out of range, a shard does not fit the backend, or a group is too small.
    DataFormatError
        If the groups are not numbered from 0.
    """
    form, exponent = choose_format(dataset.x, bits, signed=signed, exponent=exponent)
    header = SetHeader(
        samples=dataset.samples,
        shape=dataset.shape,
        classes=dataset.classes,
        groups=_groups(dataset),
        input_format=form,
        input_exponent=exponent,
    )
    for commit in commits:
        commit.check(header)
    order = list(range(dataset.samples))
    if shuffle is not None:
        shuffle.shuffle(order)
    content = Samples(
        quantise(dataset.x, form, exponent)[order],
        dataset.y[order],
        None if dataset.group is None else dataset.group[order],
        header.classes,
        header.groups,
    )
    for commit in commits:
        _check_groups(content, commit.shard_size, smallest_group)
    made = [commit(header, content, progress or _silent) for commit in commits]
    made.sort(key=lambda pair: pair[0].backend)
    manifest = Manifest(**vars(header), parts=tuple(part for part, _ in made))
    return manifest, Opening(manifest.digest, content, tuple(opening for _, opening in made))


def _silent(done: int, total: int) -> None:
    """Report nothing."""


def _groups(dataset: Dataset) -> int:
    if dataset.group is None:
        return 0
    wrong = (dataset.group < 0) | (dataset.group >= MAX_GROUPS)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataFormatError(
            f"group of row {row} is {dataset.group[row]}, not in 0..{MAX_GROUPS - 1}", row=row
        )
    return int(dataset.group.max()) + 1


def _check_groups(content: Samples, shard_size: int, smallest: int) -> None:
    if content.group is None:
        return
    for start in range(0, len(content.labels), shard_size):
        sizes = np.bincount(content.group[start : start + shard_size], minlength=content.groups)
        for group in np.flatnonzero((sizes > 0) & (sizes < smallest)).tolist():
            raise InputError(
                f"group {group} has {sizes[group]} samples in shard {start // shard_size}, fewer "
                f"than {smallest}, and their count will be public: join small groups, use larger "
                "shards, or allow it with a smaller --smallest-group",
                group=group,
                samples=int(sizes[group]),
            )
