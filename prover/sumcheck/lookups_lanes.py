"""Elements of K in eight lanes at a time, for use inside compiled functions."""

from __future__ import annotations

from typing import TypeAlias

from circuits.sumcheck.field_jit import U64Array, compiled
from circuits.sumcheck.field_lanes import (
    Lanes,
    add_lanes,
    load_lanes,
    mul_lanes,
    spread,
    store_lanes,
    sub_lanes,
)

Pair: TypeAlias = tuple[Lanes, Lanes]
"""c0 and c1 of eight elements."""

Sums: TypeAlias = tuple[Lanes, Lanes, Lanes]
"""For a sum of products a b: the sums of a0 b0, of a1 b1 and of (a0 + a1)(b0 + b1). This is
Karatsuba's multiplication, with what follows the products left for the end."""


@compiled
def load(values: U64Array, i: int) -> Pair:
    """Return entry i of a block [2 entries, 8]."""
    return load_lanes(values, 2 * i), load_lanes(values, 2 * i + 1)


@compiled
def store(values: U64Array, i: int, a: Pair) -> None:
    """Replace entry i of a block [2 entries, 8]."""
    store_lanes(values, 2 * i, a[0])
    store_lanes(values, 2 * i + 1, a[1])


@compiled
def spread_pair(element: U64Array) -> Pair:
    """Return one element, uint64 [2], in all lanes."""
    return spread(element[0]), spread(element[1])


@compiled
def add(a: Pair, b: Pair) -> Pair:
    """Return a + b."""
    return add_lanes(a[0], b[0]), add_lanes(a[1], b[1])


@compiled
def sub(a: Pair, b: Pair) -> Pair:
    """Return a - b."""
    return sub_lanes(a[0], b[0]), sub_lanes(a[1], b[1])


@compiled
def product(a: Pair, b: Pair) -> Sums:
    """Return a b as a sum of one product."""
    mixed = mul_lanes(add_lanes(a[0], a[1]), add_lanes(b[0], b[1]))
    return mul_lanes(a[0], b[0]), mul_lanes(a[1], b[1]), mixed


@compiled
def add_sums(x: Sums, y: Sums) -> Sums:
    """Return the sum of two sums."""
    return add_lanes(x[0], y[0]), add_lanes(x[1], y[1]), add_lanes(x[2], y[2])


@compiled
def total(sums: Sums) -> Pair:
    """Return the elements that a sum of products amounts to."""
    # c0 = a0 b0 + 7 a1 b1, as X^2 = 7
    twice = add_lanes(sums[1], sums[1])
    four = add_lanes(twice, twice)
    seven = sub_lanes(add_lanes(four, four), sums[1])
    mixed = sub_lanes(sub_lanes(sums[2], sums[0]), sums[1])
    return add_lanes(sums[0], seven), mixed


@compiled
def mul(a: Pair, b: Pair) -> Pair:
    """Return a b."""
    return total(product(a, b))
