"""Compiled loops of the lookup argument (docs/protocol.md, sections 5.1 and 5.4).

Eight slots go side by side through the lanes of `field_lanes`: a block. All that happens to a
block within one loop happens while it is in the processor's cache. Arrays are uint64
[blocks, 2 entries, 8]: row 2i holds c0 and row 2i + 1 holds c1 of entry i, in eight slots.

The tree over the leaves of a slot is a heap: node i has the children 2i and 2i + 1, so its layer of
w nodes is entries w .. 2w - 1. Where the numerators `p` are None all of them are one: those of
lookups are never stored.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from circuits.sumcheck.field import GENERATOR
from circuits.sumcheck.field_jit import (
    IntegerArray,
    U64Array,
    compiled,
    lift,
    parallel,
    prange,
)
from circuits.sumcheck.field_lanes import (
    LANES,
    Lanes,
    add_lanes,
    load_lanes,
    mul_lanes,
    spread,
    store_lanes,
    sub_lanes,
)

_Pair: TypeAlias = tuple[Lanes, Lanes]
_Sums: TypeAlias = tuple[Lanes, Lanes, Lanes]
"""Sums of a0 b0, of a1 b1 and of (a0 + a1)(b0 + b1), over products a b in K (Karatsuba)."""

_ZERO = np.uint64(0)
_TILE = 64
assert GENERATOR == 7


@compiled
def _load(values: U64Array, i: int) -> _Pair:
    return load_lanes(values, 2 * i), load_lanes(values, 2 * i + 1)


@compiled
def _store(values: U64Array, i: int, a: _Pair) -> None:
    store_lanes(values, 2 * i, a[0])
    store_lanes(values, 2 * i + 1, a[1])


@compiled
def _spread(element: U64Array) -> _Pair:
    return spread(element[0]), spread(element[1])


@compiled
def _add(a: _Pair, b: _Pair) -> _Pair:
    return add_lanes(a[0], b[0]), add_lanes(a[1], b[1])


@compiled
def _sub(a: _Pair, b: _Pair) -> _Pair:
    return sub_lanes(a[0], b[0]), sub_lanes(a[1], b[1])


@compiled
def _product(a: _Pair, b: _Pair) -> _Sums:
    mixed = mul_lanes(add_lanes(a[0], a[1]), add_lanes(b[0], b[1]))
    return mul_lanes(a[0], b[0]), mul_lanes(a[1], b[1]), mixed


@compiled
def _join_sums(x: _Sums, y: _Sums) -> _Sums:
    return add_lanes(x[0], y[0]), add_lanes(x[1], y[1]), add_lanes(x[2], y[2])


@compiled
def _total(sums: _Sums) -> _Pair:
    twice = add_lanes(sums[1], sums[1])
    four = add_lanes(twice, twice)
    seven = sub_lanes(add_lanes(four, four), sums[1])
    mixed = sub_lanes(sub_lanes(sums[2], sums[0]), sums[1])
    return add_lanes(sums[0], seven), mixed


@compiled
def _mul(a: _Pair, b: _Pair) -> _Pair:
    return _total(_product(a, b))


@compiled
def _cross(p0: _Pair, p1: _Pair, q0: _Pair, q1: _Pair) -> _Pair:
    """Return the numerator ``p0 q1 + p1 q0`` of p0/q0 + p1/q1."""
    return _total(_join_sums(_product(p0, q1), _product(p1, q0)))


@compiled
def _at_two(a: _Pair, b: _Pair) -> _Pair:
    """Return the value at 2 of the line through a at 0 and b at 1."""
    return _add(b, _sub(b, a))


@compiled
def _leaves(slots: IntegerArray, first: int, start: int, out: U64Array) -> None:
    """Gather integers of eight slots (those there are) as field elements, [entries, 8]."""
    for lane in range(min(LANES, len(slots) - first)):
        for n in range(len(out)):
            out[n, lane] = lift(slots[first + lane, start + n])


@parallel
def grow(
    first: IntegerArray,
    second: IntegerArray,
    multiplicity: IntegerArray | None,
    bases: U64Array,
    gamma: U64Array,
    p: U64Array,
    q: U64Array,
) -> None:
    """Fill the trees over leaves with the denominators ``base - first - gamma second``.

    Their numerators are minus `multiplicity`; without it they are one, and `p` has no leaves.
    """
    size = first.shape[1]
    tile = min(_TILE, size)
    for block in prange(len(q)):
        left, right = np.zeros((tile, LANES), np.uint64), np.zeros((tile, LANES), np.uint64)
        base, factor = _load(bases[block], 0), _spread(gamma)
        for start in range(0, size, tile):
            _leaves(first, block * LANES, start, left)
            _leaves(second, block * LANES, start, right)
            for n in range(tile):
                v0, v1 = load_lanes(left, n), load_lanes(right, n)
                c0 = sub_lanes(sub_lanes(base[0], v0), mul_lanes(factor[0], v1))
                c1 = sub_lanes(base[1], mul_lanes(factor[1], v1))
                _store(q[block], size + start + n, (c0, c1))
            if multiplicity is not None:
                _leaves(multiplicity, block * LANES, start, left)
                for n in range(tile):
                    negative = sub_lanes(spread(_ZERO), load_lanes(left, n))
                    _store(p[block], size + start + n, (negative, spread(_ZERO)))
        top = size // 2
        if multiplicity is None:
            for i in range(top, 2 * top):
                q0, q1 = _load(q[block], 2 * i), _load(q[block], 2 * i + 1)
                _store(p[block], i, _add(q0, q1))
                _store(q[block], i, _mul(q0, q1))
            top //= 2
        for i in range(2 * top - 1, 0, -1):
            p0, p1 = _load(p[block], 2 * i), _load(p[block], 2 * i + 1)
            q0, q1 = _load(q[block], 2 * i), _load(q[block], 2 * i + 1)
            _store(p[block], i, _cross(p0, p1, q0, q1))
            _store(q[block], i, _mul(q0, q1))


@compiled
def _fold(values: U64Array, at: int, pairs: int, c: _Pair) -> None:
    """Bind the variable above the one that tells left children from right ones, in place."""
    for i in range(at, at + 2 * pairs, 2):
        for side in range(2):
            j = 2 * i - at + side
            a, b = _load(values, j), _load(values, j + 2)
            _store(values, i + side, _add(a, _mul(_sub(b, a), c)))


@compiled
def _message(
    p: U64Array, q: U64Array, at: int, eq: U64Array, combine: _Pair
) -> tuple[_Pair, _Pair]:
    """Return a block's part of t(0) and t(2)."""
    zero = spread(_ZERO)
    at_0 = at_2 = (zero, zero, zero)
    for i in range(len(eq)):
        j = at + 4 * i
        weight = _spread(eq[i])
        p0, p1, p2, p3 = _load(p, j), _load(p, j + 1), _load(p, j + 2), _load(p, j + 3)
        q0, q1, q2, q3 = _load(q, j), _load(q, j + 1), _load(q, j + 2), _load(q, j + 3)
        f = _total(_join_sums(_product(_cross(p0, p1, q0, q1), combine), _product(q0, q1)))
        at_0 = _join_sums(at_0, _product(f, weight))
        p0, p1 = _at_two(p0, p2), _at_two(p1, p3)
        q0, q1 = _at_two(q0, q2), _at_two(q1, q3)
        f = _total(_join_sums(_product(_cross(p0, p1, q0, q1), combine), _product(q0, q1)))
        at_2 = _join_sums(at_2, _product(f, weight))
    return _total(at_0), _total(at_2)


@compiled
def _message_ones(q: U64Array, at: int, eq: U64Array, combine: _Pair) -> tuple[_Pair, _Pair]:
    """Return `_message` for p0 = p1 = 1."""
    # combine (q0 + q1) + q0 q1 = (q0 + combine)(q1 + combine) - combine^2, and eq sums to one.
    zero = spread(_ZERO)
    at_0 = at_2 = (zero, zero, zero)
    for i in range(len(eq)):
        j = at + 4 * i
        weight = _spread(eq[i])
        q0, q1 = _add(_load(q, j), combine), _add(_load(q, j + 1), combine)
        q2, q3 = _add(_load(q, j + 2), combine), _add(_load(q, j + 3), combine)
        at_0 = _join_sums(at_0, _product(_mul(q0, q1), weight))
        f = _mul(_at_two(q0, q2), _at_two(q1, q3))
        at_2 = _join_sums(at_2, _product(f, weight))
    square = _mul(combine, combine)
    return _sub(_total(at_0), square), _sub(_total(at_2), square)


@parallel
def messages(
    p: U64Array | None,
    q: U64Array,
    at: int,
    inner: U64Array,
    outer: U64Array,
    combine: U64Array,
    out: U64Array,
) -> None:
    """Write every slot's part of t(0), t(2): its rounds' eq is ``outer[slot] inner[rest]``."""
    for block in prange(len(q)):
        factor = _spread(combine)
        if p is not None:
            t0, t2 = _message(p[block], q[block], at, inner, factor)
        else:
            t0, t2 = _message_ones(q[block], at, inner, factor)
        weight = _load(outer[block], 0)
        _store(out[block], 0, _mul(weight, t0))
        _store(out[block], 1, _mul(weight, t2))


@parallel
def fold_messages(
    p: U64Array | None,
    q: U64Array,
    at: int,
    inner: U64Array,
    outer: U64Array,
    combine: U64Array,
    c: U64Array,
    out: U64Array,
) -> None:
    """Bind a variable to c, in place, then do as `messages` with what remains."""
    for block in prange(len(q)):
        factor, by = _spread(combine), _spread(c)
        _fold(q[block], at, 2 * len(inner), by)
        if p is not None:
            _fold(p[block], at, 2 * len(inner), by)
            t0, t2 = _message(p[block], q[block], at, inner, factor)
        else:
            t0, t2 = _message_ones(q[block], at, inner, factor)
        weight = _load(outer[block], 0)
        _store(out[block], 0, _mul(weight, t0))
        _store(out[block], 1, _mul(weight, t2))
