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

_Message: TypeAlias = tuple[_Pair, _Pair]

LeafArrays: TypeAlias = tuple[IntegerArray, IntegerArray, IntegerArray, U64Array, U64Array]
"""Leaves ``base - first - gamma second``: first and second [slots, 2^a]; the multiplicities of
tables, [slots, 2^a], or [0, 2^a] for lookups; base by blocks; gamma [2]."""

TILE = 64
"""Leaves that are made at a time: what becomes of them fits the fastest cache."""

_ZERO = np.uint64(0)
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
def _gather(slots: IntegerArray, block: int, start: int, out: U64Array) -> None:
    """Write integers of the eight slots of a block (those there are) as elements of F, [n, 8]."""
    first = block * LANES
    for lane in range(min(LANES, len(slots) - first)):
        for n in range(len(out)):
            out[n, lane] = lift(slots[first + lane, start + n])


@compiled
def _buffers(tile: int) -> tuple[U64Array, U64Array, U64Array]:
    """Return space for `_gather` and for two heaps over so many leaves."""
    low_p = np.empty((4 * tile, LANES), np.uint64)
    return np.zeros((tile, LANES), np.uint64), low_p, np.empty_like(low_p)


@compiled
def _lay(
    leaves: LeafArrays, block: int, start: int, spare: U64Array, p: U64Array, q: U64Array
) -> None:
    """Write the leaves from `start` on, as many as there are rows in `spare`, into a heap."""
    first, second, counts, bases, gamma = leaves
    tile = len(spare)
    base, factor = _load(bases[block], 0), _spread(gamma)
    _gather(first, block, start, spare)
    for n in range(tile):
        _store(q, tile + n, (sub_lanes(base[0], load_lanes(spare, n)), base[1]))
    _gather(second, block, start, spare)
    for n in range(tile):
        v1 = load_lanes(spare, n)
        value = mul_lanes(factor[0], v1), mul_lanes(factor[1], v1)
        _store(q, tile + n, _sub(_load(q, tile + n), value))
    if len(counts):
        zero = spread(_ZERO)
        _gather(counts, block, start, spare)
        for n in range(tile):
            _store(p, tile + n, (sub_lanes(zero, load_lanes(spare, n)), zero))


@compiled
def _join(p: U64Array, q: U64Array, nodes: int, ones: bool) -> None:
    """Fill the layer of so many nodes of a heap; if `ones`, all numerators below are one."""
    for i in range(nodes, 2 * nodes):
        q0, q1 = _load(q, 2 * i), _load(q, 2 * i + 1)
        if ones:
            _store(p, i, _add(q0, q1))
        else:
            _store(p, i, _cross(_load(p, 2 * i), _load(p, 2 * i + 1), q0, q1))
        _store(q, i, _mul(q0, q1))


@compiled
def _copy(source: U64Array, at: int, count: int, out: U64Array, to: int) -> None:
    for i in range(count):
        _store(out, to + i, _load(source, at + i))


@parallel
def grow(leaves: LeafArrays, skipped: int, p: U64Array, q: U64Array) -> None:
    """Fill the heaps `p` and `q` from leaves; they lack the `skipped` lowest layers."""
    size, ones = leaves[0].shape[1], len(leaves[2]) == 0
    tile = min(TILE, size)
    for block in prange(len(q)):
        spare, low_p, low_q = _buffers(tile)
        for start in range(0, size, tile):
            _lay(leaves, block, start, spare, low_p, low_q)
            for layer in range(skipped):
                _join(low_p, low_q, tile >> (layer + 1), ones and layer == 0)
            at, to = tile >> skipped, (size + start) >> skipped
            _copy(low_p, at, at, p[block], to)
            _copy(low_q, at, at, q[block], to)
        nodes = size >> (skipped + 1)
        while nodes:
            _join(p[block], q[block], nodes, ones and 2 * nodes == size)
            nodes //= 2


@compiled
def _fold(values: U64Array, at: int, count: int, c: U64Array) -> None:
    """Bind the variable above the one that tells left children from right ones, in place.

    From `count` entries on, so many remain; c is [1, 2].
    """
    by = _spread(c[0])
    for i in range(0, count // 2, 2):
        for side in range(2):
            j = at + 2 * i + side
            a, b = _load(values, j), _load(values, j + 2)
            _store(values, at + i + side, _add(a, _mul(_sub(b, a), by)))


@compiled
def _message(p: U64Array, q: U64Array, at: int, eq: U64Array, combine: U64Array) -> _Message:
    """Return the sums at 0 and 2 of eq (combine (p0 q1 + p1 q0) + q0 q1) over entries from `at`."""
    factor, zero = _spread(combine), spread(_ZERO)
    at_0 = at_2 = (zero, zero, zero)
    for i in range(len(eq)):
        j = at + 4 * i
        weight = _spread(eq[i])
        p0, p1, p2, p3 = _load(p, j), _load(p, j + 1), _load(p, j + 2), _load(p, j + 3)
        q0, q1, q2, q3 = _load(q, j), _load(q, j + 1), _load(q, j + 2), _load(q, j + 3)
        f = _total(_join_sums(_product(_cross(p0, p1, q0, q1), factor), _product(q0, q1)))
        at_0 = _join_sums(at_0, _product(f, weight))
        p0, p1 = _at_two(p0, p2), _at_two(p1, p3)
        q0, q1 = _at_two(q0, q2), _at_two(q1, q3)
        f = _total(_join_sums(_product(_cross(p0, p1, q0, q1), factor), _product(q0, q1)))
        at_2 = _join_sums(at_2, _product(f, weight))
    return _total(at_0), _total(at_2)


@compiled
def _message_ones(q: U64Array, at: int, eq: U64Array, combine: U64Array) -> _Message:
    """Return `_message` for p0 = p1 = 1."""
    # combine (q0 + q1) + q0 q1 = (q0 + combine)(q1 + combine) - combine^2
    factor, zero = _spread(combine), spread(_ZERO)
    square = _mul(factor, factor)
    at_0 = at_2 = (zero, zero, zero)
    for i in range(len(eq)):
        j = at + 4 * i
        weight = _spread(eq[i])
        q0, q1 = _add(_load(q, j), factor), _add(_load(q, j + 1), factor)
        q2, q3 = _add(_load(q, j + 2), factor), _add(_load(q, j + 3), factor)
        at_0 = _join_sums(at_0, _product(_sub(_mul(q0, q1), square), weight))
        f = _mul(_at_two(q0, q2), _at_two(q1, q3))
        at_2 = _join_sums(at_2, _product(_sub(f, square), weight))
    return _total(at_0), _total(at_2)


@compiled
def _finish(message: _Message, outer: U64Array, out: U64Array) -> None:
    weight = _load(outer, 0)
    _store(out, 0, _mul(weight, message[0]))
    _store(out, 1, _mul(weight, message[1]))


@parallel
def advance(
    p: U64Array,
    q: U64Array,
    at: int,
    ones: bool,
    inner: U64Array,
    outer: U64Array,
    combine: U64Array,
    c: U64Array,
    out: U64Array,
) -> None:
    """Write every slot's part of t(0) and t(2), for which eq is ``outer[slot] inner[rest]``.

    If `c` is [1, 2] and not [0, 2], first bind a variable to it, in place. If `ones`, all
    numerators are one.
    """
    for block in prange(len(q)):
        if len(c):
            _fold(q[block], at, 8 * len(inner), c)
            if not ones:
                _fold(p[block], at, 8 * len(inner), c)
        if ones:
            found = _message_ones(q[block], at, inner, combine)
        else:
            found = _message(p[block], q[block], at, inner, combine)
        _finish(found, outer[block], out[block])


@parallel
def advance_leaves(
    leaves: LeafArrays,
    layer: int,
    p: U64Array,
    q: U64Array,
    inner: U64Array,
    outer: U64Array,
    combine: U64Array,
    c: U64Array,
    out: U64Array,
) -> None:
    """Do as `advance` for the leaves (layer 0) or what is above them (layer 1), made again.

    What is left when a variable was bound is written to the first entries of `p` and `q`.
    """
    size, ones = leaves[0].shape[1], len(leaves[2]) == 0 and layer == 0
    at = TILE >> layer
    left = at >> len(c)
    for block in prange(len(q)):
        spare, low_p, low_q = _buffers(TILE)
        zero = spread(_ZERO)
        at_0 = at_2 = (zero, zero)
        for number in range(size // TILE):
            _lay(leaves, block, number * TILE, spare, low_p, low_q)
            if layer:
                _join(low_p, low_q, at, len(leaves[2]) == 0)
            if len(c):
                _fold(low_q, at, at, c)
                _copy(low_q, at, left, q[block], number * left)
                if not ones:
                    _fold(low_p, at, at, c)
                    _copy(low_p, at, left, p[block], number * left)
            eq = inner[number * (left // 4) : (number + 1) * (left // 4)]
            if ones:
                found = _message_ones(low_q, at, eq, combine)
            else:
                found = _message(low_p, low_q, at, eq, combine)
            at_0, at_2 = _add(at_0, found[0]), _add(at_2, found[1])
        _finish((at_0, at_2), outer[block], out[block])
