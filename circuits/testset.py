"""Committing to a test set: features become integers, shards get salts and commitments.

The result is a public `Manifest` and a secret `Opening`. A commitment is to the values of one
tensor of one shard, in row-major order, followed by its salts. The last shard is padded with
zero features and the label C, which matches no class, so that padding never counts as correct.

Each published proof opens the committed polynomial at one point. With budget + 1 salts, uniform
in the field, the openings of `budget` proofs and the commitment say nothing about the values.
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from circuits._manifest import (
    COMMITMENT_BYTES,
    MANIFEST_VERSION,
    MAX_BUDGET,
    MAX_EXPONENT,
    MAX_INPUT_BITS,
    MAX_K,
    Manifest,
    ShardEntry,
)
from circuits._opening import SCALAR_FIELD, Committer, Opening, ShardSalts, pad, vector
from circuits._opening_file import OPENING_VERSION, IntArray
from circuits.datasets import Dataset
from circuits.errors import InputError, WouldOverflow
from circuits.network import NumberFormat

__all__ = [
    "COMMITMENT_BYTES",
    "MANIFEST_VERSION",
    "MAX_BUDGET",
    "MAX_EXPONENT",
    "MAX_INPUT_BITS",
    "OPENING_VERSION",
    "SCALAR_FIELD",
    "Committer",
    "Manifest",
    "NumberFormat",
    "Opening",
    "ShardEntry",
    "ShardSalts",
    "choose_format",
    "commit_testset",
    "quantise",
]


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
    *,
    committer: Committer,
    srs: str,
    k: int,
    srs_insecure: bool,
    shard_size: int,
    budget: int,
    bits: int = 8,
    signed: bool | None = None,
    exponent: int | None = None,
    shuffle: random.Random | None = None,
    randbelow: Callable[[int], int] = secrets.randbelow,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, Opening]:
    """Quantise, shard, salt and commit to a test set.

    Parameters
    ----------
    dataset : Dataset
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
    bits, signed, exponent
        As in `choose_format`.
    shuffle : random.Random, optional
        Permutes the samples before they are cut into shards; `random.SystemRandom()` for a secret
        order, a seeded generator for one that can be repeated. By default the order is kept.
    randbelow : callable
        Returns a uniform integer below its argument; replaced in tests only.
    progress : callable, optional
        Called with (shards done, shards) after each shard.

    Returns
    -------
    Manifest, Opening
        What to publish and what to keep.

    Raises
    ------
    WouldOverflow
        If a feature does not fit the format; names row and feature.
    InputError
        If `shard_size`, `budget`, `bits` or `exponent` is out of range, or a shard is too large
        for `k`.
    """
    if not 1 <= budget <= MAX_BUDGET:
        raise InputError(f"the opening budget must be from 1 to {MAX_BUDGET}, not {budget}")
    if shard_size < 1:
        raise InputError(f"a shard must have at least one sample, not {shard_size}")
    values = shard_size * math.prod(dataset.shape) + budget + 1
    if not 1 <= k <= MAX_K or values > 2**k:
        raise InputError(
            f"a shard of {shard_size} samples, {math.prod(dataset.shape)} features each, with "
            f"{budget + 1} salts has {values} values, and k = {k} takes at most 2^k and k up to "
            f"{MAX_K}; make shards smaller or k larger",
            values=values,
            k=k,
        )
    form, exponent = choose_format(dataset.x, bits, signed=signed, exponent=exponent)
    order = list(range(dataset.samples))
    if shuffle is not None:
        shuffle.shuffle(order)
    features, labels = quantise(dataset.x, form, exponent)[order], dataset.y[order]
    starts = range(0, dataset.samples, shard_size)
    salts, entries = [], []
    for index, start in enumerate(starts):
        rows = slice(start, start + shard_size)
        shard_salts = ShardSalts(
            *(tuple(randbelow(SCALAR_FIELD) for _ in range(budget + 1)) for _ in range(2))
        )
        shard_features = pad(features[rows], shard_size, 0)
        shard_labels = pad(labels[rows], shard_size, dataset.classes)
        entries.append(
            ShardEntry(
                index,
                len(labels[rows]),
                committer(vector(shard_features, shard_salts.features)).hex(),
                committer(vector(shard_labels, shard_salts.labels)).hex(),
            )
        )
        salts.append(shard_salts)
        if progress is not None:
            progress(index + 1, len(starts))
    manifest = Manifest(
        backend="halo2",
        k=k,
        srs=srs,
        srs_insecure=srs_insecure,
        samples=dataset.samples,
        shape=dataset.shape,
        classes=dataset.classes,
        input_format=form,
        input_exponent=exponent,
        shard_size=shard_size,
        budget=budget,
        shards=tuple(entries),
    )
    opening = Opening(manifest.digest, dataset.classes, shard_size, features, labels, tuple(salts))
    return manifest, opening
