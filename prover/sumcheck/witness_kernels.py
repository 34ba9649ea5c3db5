"""Compiled loops over all values of a witness (docs/protocol.md, sections 4.1 and 4.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits.sumcheck.field_jit import IntegerArray, compiled, parallel, prange


@parallel
def increments(
    values: IntegerArray,
    inputs: NDArray[np.int64],
    starts: NDArray[np.int64],
    column: int,
    first: NDArray[np.int32],
    second: NDArray[np.int32],
) -> None:
    """Write d_i and u_i of a MaxPool for some samples: `values`, from `column` on.

    `inputs` and `starts` are those of `circuits.sumcheck.pooling.Taps`.
    """
    samples = values.shape[1]
    for window in prange(len(starts) - 1):
        maximum = values[inputs[starts[window]]].copy()
        for tap in range(starts[window] + 1, starts[window + 1]):
            row, slot = values[inputs[tap]], tap - window - 1
            for n in range(samples):
                difference = maximum[n] - row[n]
                first[slot, column + n] = difference
                second[slot, column + n] = max(difference, 0)
                maximum[n] = max(maximum[n], row[n])


@compiled
def _count_slots(values: NDArray[np.int32], lo: int, counts: NDArray[np.int32]) -> int:
    outside = 0
    for slot in range(len(values)):
        for n in range(values.shape[1]):
            entry = values[slot, n] - lo
            if 0 <= entry < len(counts):
                counts[entry] += 1
            else:
                outside += 1
    return outside


@parallel
def count(values: NDArray[np.int32], lo: int, counts: NDArray[np.int32]) -> int:
    """Add to `counts` [parts, entries] how often lo, lo + 1, .. occur; return what does not fit."""
    parts = len(counts)
    step = (len(values) + parts - 1) // parts
    outside = 0
    for part in prange(parts):
        outside += _count_slots(values[part * step : (part + 1) * step], lo, counts[part])
    return outside
