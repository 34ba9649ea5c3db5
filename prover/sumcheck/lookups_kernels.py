"""Compiled loops of the lookup argument (docs/protocol.md, sections 5.1 and 5.4).

Eight slots go side by side, as a block, through the lanes of a vector register. All that a loop
does to a block it does at once, while the block is in the processor's cache. Arrays are uint64
[blocks, 2 entries, 8]: rows 2i and 2i + 1 hold c0 and c1 of entry i, for eight slots.

The tree over the leaves of a slot is a heap: node i has the children 2i and 2i + 1, so its layer of
w nodes is entries w .. 2w - 1. All lookups have the numerator one, which is not stored.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from circuits.sumcheck.field_jit import IntegerArray, U64Array, compiled, lift, parallel, prange
from circuits.sumcheck.field_lanes import LANES, load_lanes, mul_lanes, spread, sub_lanes
from prover.sumcheck.lookups_lanes import (
    Pair,
    add,
    add_sums,
    load,
    mul,
    product,
    spread_pair,
    store,
    sub,
    total,
)

_Message: TypeAlias = tuple[Pair, Pair]

LeafArrays: TypeAlias = tuple[IntegerArray, IntegerArray, IntegerArray, U64Array, U64Array]
"""Leaves ``base - first - gamma second``: first and second [slots, 2^a]; the multiplicities of
tables, [slots, 2^a], or [0, 2^a] for lookups; base [blocks, 2, 8]; gamma [2]."""

TILE = 64
"""Leaves of a slot that are made at a time: what becomes of them stays in the fastest cache."""

_ZERO = np.uint64(0)


@compiled
def _cross(p0: Pair, p1: Pair, q0: Pair, q1: Pair) -> Pair:
    """Return the numerator ``p0 q1 + p1 q0`` of p0/q0 + p1/q1."""
    return total(add_sums(product(p0, q1), product(p1, q0)))


@compiled
def _at_two(a: Pair, b: Pair) -> Pair:
    """Return the value at 2 of the line through a at 0 and b at 1."""
    return add(b, sub(b, a))


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
    base, factor = load(bases[block], 0), spread_pair(gamma)
    _gather(first, block, start, spare)
    for n in range(tile):
        store(q, tile + n, (sub_lanes(base[0], load_lanes(spare, n)), base[1]))
    _gather(second, block, start, spare)
    for n in range(tile):
        v1 = load_lanes(spare, n)
        value = mul_lanes(factor[0], v1), mul_lanes(factor[1], v1)
        store(q, tile + n, sub(load(q, tile + n), value))
    if len(counts):
        zero = spread(_ZERO)
        _gather(counts, block, start, spare)
        for n in range(tile):
            store(p, tile + n, (sub_lanes(zero, load_lanes(spare, n)), zero))


@compiled
def _join(p: U64Array, q: U64Array, nodes: int, ones: bool) -> None:
    """Fill the layer of so many nodes of a heap; if `ones`, all numerators below are one."""
    for i in range(nodes, 2 * nodes):
        q0, q1 = load(q, 2 * i), load(q, 2 * i + 1)
        if ones:
            store(p, i, add(q0, q1))
        else:
            store(p, i, _cross(load(p, 2 * i), load(p, 2 * i + 1), q0, q1))
        store(q, i, mul(q0, q1))


@compiled
def _copy(source: U64Array, at: int, count: int, out: U64Array, to: int) -> None:
    for i in range(count):
        store(out, to + i, load(source, at + i))


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
    by = spread_pair(c[0])
    for i in range(0, count // 2, 2):
        for side in range(2):
            j = at + 2 * i + side
            a, b = load(values, j), load(values, j + 2)
            store(values, at + i + side, add(a, mul(sub(b, a), by)))


@compiled
def _message(p: U64Array, q: U64Array, at: int, eq: U64Array, combine: U64Array) -> _Message:
    """Return the sums at 0 and 2 of eq (combine (p0 q1 + p1 q0) + q0 q1) over entries from `at`."""
    factor, zero = spread_pair(combine), spread(_ZERO)
    at_0 = at_2 = (zero, zero, zero)
    for i in range(len(eq)):
        j = at + 4 * i
        weight = spread_pair(eq[i])
        p0, p1, p2, p3 = load(p, j), load(p, j + 1), load(p, j + 2), load(p, j + 3)
        q0, q1, q2, q3 = load(q, j), load(q, j + 1), load(q, j + 2), load(q, j + 3)
        f = total(add_sums(product(_cross(p0, p1, q0, q1), factor), product(q0, q1)))
        at_0 = add_sums(at_0, product(f, weight))
        p0, p1 = _at_two(p0, p2), _at_two(p1, p3)
        q0, q1 = _at_two(q0, q2), _at_two(q1, q3)
        f = total(add_sums(product(_cross(p0, p1, q0, q1), factor), product(q0, q1)))
        at_2 = add_sums(at_2, product(f, weight))
    return total(at_0), total(at_2)


@compiled
def _message_ones(q: U64Array, at: int, eq: U64Array, combine: U64Array) -> _Message:
    """Return `_message` for p0 = p1 = 1."""
    # combine (q0 + q1) + q0 q1 = (q0 + combine)(q1 + combine) - combine^2
    factor, zero = spread_pair(combine), spread(_ZERO)
    square = mul(factor, factor)
    at_0 = at_2 = (zero, zero, zero)
    for i in range(len(eq)):
        j = at + 4 * i
        weight = spread_pair(eq[i])
        q0, q1 = add(load(q, j), factor), add(load(q, j + 1), factor)
        q2, q3 = add(load(q, j + 2), factor), add(load(q, j + 3), factor)
        at_0 = add_sums(at_0, product(sub(mul(q0, q1), square), weight))
        f = mul(_at_two(q0, q2), _at_two(q1, q3))
        at_2 = add_sums(at_2, product(sub(f, square), weight))
    return total(at_0), total(at_2)


@compiled
def _finish(message: _Message, outer: U64Array, out: U64Array) -> None:
    weight = load(outer, 0)
    store(out, 0, mul(weight, message[0]))
    store(out, 1, mul(weight, message[1]))


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
            at_0, at_2 = add(at_0, found[0]), add(at_2, found[1])
        _finish((at_0, at_2), outer[block], out[block])
