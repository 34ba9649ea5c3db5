"""Lookup tables: arithmetic functions on an interval of integers (docs/protocol.md, 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from circuits.sumcheck.field import NO_SUM, kmul, reduce_sum
from circuits.sumcheck.field_arrays import readable
from circuits.sumcheck.field_jit import U64Array, add_product, compiled, lift, parallel, prange
from circuits.sumcheck.field_k import K
from circuits.sumcheck.sums import k_total

MAX_ENTRIES = 1 << 22
"""No table is larger."""

_RUN = 1 << 12  # entries whose products are summed before they are reduced


@dataclass(frozen=True)
class Table:
    """The entries ``(v, clamp((v + half) >> shift, low, high))`` for v = lo .. hi.

    ``half`` is 2^(shift-1), or 0 for shift 0. A range table has low = high = 0.
    """

    lo: int
    hi: int
    shift: int
    low: int
    high: int

    @classmethod
    def range(cls, lo: int, hi: int) -> Table:
        """Return the table of the pairs (v, 0), v = lo .. hi."""
        return cls(lo, hi, 0, 0, 0)

    @property
    def half(self) -> int:
        """What is added before the shift."""
        return (1 << self.shift) >> 1

    @property
    def entries(self) -> int:
        """Number of entries; entry i has v = lo + i."""
        return self.hi - self.lo + 1

    def slots(self, a: int) -> int:
        """Return the number of slots of 2^a leaves that the table takes."""
        return -(-self.entries >> a)

    def columns(self, a: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return both values of every leaf of the table's slots, each int64 [slots, 2^a]."""
        places = self.slots(a) << a
        first = np.minimum(self.lo + np.arange(places, dtype=np.int64), self.hi)
        second = np.clip((first + self.half) >> self.shift, self.low, self.high)
        return first.reshape(-1, 1 << a), second.reshape(-1, 1 << a)


@compiled
def _sum_run(
    weights: U64Array, entry: int, step: int, table: tuple[int, int, int, int, int]
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Sum weight times value over the entries entry, entry + step, ..: for both values, in K."""
    lo, hi, shift, low, high = table
    half = (1 << shift) >> 1
    first0, first1, second0, second1 = NO_SUM, NO_SUM, NO_SUM, NO_SUM
    for i in range(len(weights)):
        value = min(lo + entry + i * step, hi)
        v = lift(value)
        w = lift(min(max((value + half) >> shift, low), high))
        first0 = add_product(first0, v, weights[i, 0])
        first1 = add_product(first1, v, weights[i, 1])
        second0 = add_product(second0, w, weights[i, 0])
        second1 = add_product(second1, w, weights[i, 1])
    return reduce_sum(first0), reduce_sum(first1), reduce_sum(second0), reduce_sum(second1)


@parallel
def _sum_runs(
    outer: U64Array,
    inner: U64Array,
    steps: tuple[int, int],
    table: tuple[int, int, int, int, int],
    out: U64Array,
) -> None:
    runs = (len(inner) + _RUN - 1) // _RUN
    for unit in prange(len(outer) * runs):
        i, start = unit // runs, unit % runs * _RUN
        entry = i * steps[0] + start * steps[1]
        v0, v1, w0, w1 = _sum_run(inner[start : start + _RUN], entry, steps[1], table)
        out[0, unit, 0], out[0, unit, 1] = kmul(v0, v1, outer[i, 0], outer[i, 1])
        out[1, unit, 0], out[1, unit, 1] = kmul(w0, w1, outer[i, 0], outer[i, 1])


def evaluate(table: Table, slots: U64Array, samples: U64Array) -> tuple[K, K]:
    """Return the multilinear extensions of both columns of a table at a point (section 5.4).

    Parameters
    ----------
    table : Table
    slots : uint64 array [slots, 2]
        eq of the point's slot part, for the slots of the table.
    samples : uint64 array [2^a, 2]
        eq of the point's sample part.

    Returns
    -------
    K, K
        ``sum_i slots[i] sum_n samples[n] t[i, n]`` for t = t0 and t = t1.
    """
    # The longer part is the inner loop, whose products are reduced once a run.
    wide = len(slots) > len(samples)
    outer, inner = (samples, slots) if wide else (slots, samples)
    steps = (1, len(samples)) if wide else (len(samples), 1)
    out = np.empty((2, len(outer) * -(-len(inner) // _RUN), 2), np.uint64)
    numbers = (table.lo, table.hi, table.shift, table.low, table.high)
    _sum_runs(readable(outer), readable(inner), steps, numbers, out)
    return k_total(out[0]), k_total(out[1])
