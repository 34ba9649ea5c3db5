"""Pooling windows: their real taps, and the adjoints of pooling (docs/protocol.md, 4.3 and 5.6).

Windows are the outputs of the layer in flat order, ``channel * positions + position``. Padding is
not a tap. The adjoint of a linear map takes coefficients of outputs to coefficients of inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from circuits.layers import MaxPool, SumPool, windows
from circuits.sumcheck.field import kadd, ksub
from circuits.sumcheck.field_arrays import readable
from circuits.sumcheck.field_jit import U64Array, compiled


@dataclass(frozen=True)
class Taps:
    """The real taps of every window.

    Attributes
    ----------
    inputs : int64 array
        Flat index of the input that each tap reads, window after window.
    starts : int64 array [windows + 1]
        Where the taps of each window start. Increment i >= 1 of window w (section 4.3) has the
        number ``starts[w] - w + i - 1``.
    """

    inputs: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def increments(self) -> int:
        """Number of increments of a `MaxPool`: one less than taps for each window."""
        return len(self.inputs) - len(self.starts) + 1


@lru_cache(maxsize=64)
def taps(layer: MaxPool | SumPool) -> Taps:
    """Return the real taps of the windows of a pooling layer."""
    found = windows(layer).reshape(-1, layer.fan_in)
    real = found >= 0
    starts = np.concatenate([[0], real.sum(axis=1).cumsum()]).astype(np.int64)
    return Taps(readable(found[real]), readable(starts))


@compiled
def _sum_adjoint(
    inputs: NDArray[np.int64], starts: NDArray[np.int64], e: U64Array, x: U64Array
) -> None:
    for window in range(len(starts) - 1):
        for tap in range(starts[window], starts[window + 1]):
            i = inputs[tap]
            x[i, 0], x[i, 1] = kadd(x[i, 0], x[i, 1], e[window, 0], e[window, 1])


@compiled
def _last_adjoint(
    inputs: NDArray[np.int64], starts: NDArray[np.int64], e: U64Array, x: U64Array, u: U64Array
) -> None:
    for window in range(len(starts) - 1):
        last = starts[window + 1] - 1
        i = inputs[last]
        x[i, 0], x[i, 1] = kadd(x[i, 0], x[i, 1], e[window, 0], e[window, 1])
        if last > starts[window]:
            k = last - window - 1
            u[k, 0], u[k, 1] = kadd(u[k, 0], u[k, 1], e[window, 0], e[window, 1])


@compiled
def _difference_adjoint(
    inputs: NDArray[np.int64], starts: NDArray[np.int64], e: U64Array, x: U64Array, u: U64Array
) -> None:
    for window in range(len(starts) - 1):
        for tap in range(starts[window] + 1, starts[window + 1]):
            k = tap - window - 1
            i, before = inputs[tap], inputs[tap - 1]
            x[i, 0], x[i, 1] = ksub(x[i, 0], x[i, 1], e[k, 0], e[k, 1])
            x[before, 0], x[before, 1] = kadd(x[before, 0], x[before, 1], e[k, 0], e[k, 1])
            if tap > starts[window] + 1:
                u[k - 1, 0], u[k - 1, 1] = kadd(u[k - 1, 0], u[k - 1, 1], e[k, 0], e[k, 1])


def add_sums(layer: SumPool, e: U64Array, x: U64Array) -> None:
    """Add to `x` [inputs, 2] the coefficients of ``sum_o e[o] output_o``."""
    found = taps(layer)
    _sum_adjoint(found.inputs, found.starts, readable(e), x)


def add_maxima(layer: MaxPool, e: U64Array, x: U64Array, u: U64Array) -> None:
    """Add to `x` [inputs, 2], `u` [increments, 2] those of ``sum_o e[o] m_{k-1}`` (section 4.3)."""
    found = taps(layer)
    _last_adjoint(found.inputs, found.starts, readable(e), x, u)


def add_differences(layer: MaxPool, e: U64Array, x: U64Array, u: U64Array) -> None:
    """Add to `x` [inputs, 2], `u` [increments, 2] those of ``sum_i e[i] d_i`` (section 4.3)."""
    found = taps(layer)
    _difference_adjoint(found.inputs, found.starts, readable(e), x, u)
