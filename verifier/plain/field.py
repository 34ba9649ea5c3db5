"""The fields F and K of section 1, on Python integers.

An element of F is an integer in 0 .. p-1, an element c0 + c1 X of K the pair (c0, c1). Where many
products are summed the sum is reduced once, since Python's integers do not overflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import accumulate, repeat
from operator import mul
from typing import TypeAlias

P = (1 << 64) - (1 << 32) + 1
GENERATOR = 7
"""Generates the multiplicative group of F, so it is no square and X^2 - 7 has no root."""

Element: TypeAlias = tuple[int, int]
"""An element of K."""

Columns: TypeAlias = tuple[list[int], list[int]]
"""A vector over K as two vectors over F: all c0, all c1."""

ZERO: Element = (0, 0)
ONE: Element = (1, 0)


def base(value: int) -> Element:
    """Return an integer, of any sign and size, as an element of K."""
    return value % P, 0


def add(x: Element, y: Element) -> Element:
    """Return x + y."""
    return (x[0] + y[0]) % P, (x[1] + y[1]) % P


def sub(x: Element, y: Element) -> Element:
    """Return x - y."""
    return (x[0] - y[0]) % P, (x[1] - y[1]) % P


def times(x: Element, y: Element) -> Element:
    """Return x y, where X^2 = 7."""
    (a, b), (c, d) = x, y
    return (a * c + GENERATOR * b * d) % P, (a * d + b * c) % P


def scale(x: Element, factor: int) -> Element:
    """Return x times an integer of any sign and size."""
    return x[0] * factor % P, x[1] * factor % P


def total(items: Iterable[Element]) -> Element:
    """Return the sum of elements."""
    c0 = c1 = 0
    for a, b in items:
        c0 += a
        c1 += b
    return c0 % P, c1 % P


def product(items: Iterable[Element]) -> Element:
    """Return the product of elements."""
    return reduce(times, items, ONE)


def inverse(x: Element) -> Element:
    """Return 1/x; ZeroDivisionError for zero."""
    a, b = x
    norm = (a * a - GENERATOR * b * b) % P
    if norm == 0:  # only for x = 0, since 7 is not a square
        raise ZeroDivisionError("zero has no inverse")
    factor = pow(norm, -1, P)
    return a * factor % P, -b * factor % P


def inverses(values: Sequence[int]) -> list[int]:
    """Return 1/v of elements of F, none of them zero, at the cost of one inversion."""
    before = list(accumulate(values, lambda x, y: x * y % P, initial=1))
    running = pow(before.pop(), -1, P)
    found = []
    for value, earlier in zip(reversed(values), reversed(before), strict=True):
        found.append(running * earlier % P)
        running = running * value % P
    return found[::-1]


def root_of_unity(order: int) -> int:
    """Return 7^((p-1)/order), for an order that divides 2^32."""
    return pow(GENERATOR, (P - 1) // order, P)


def powers(x: int, count: int) -> list[int]:
    """Return 1, x, .., x^(count-1)."""
    return list(accumulate(repeat(x, count - 1), lambda a, b: a * b % P, initial=1))


def columns(vector: Iterable[Element]) -> Columns:
    """Return a vector over K as two over F."""
    pairs = list(vector)
    return [c0 for c0, _ in pairs], [c1 for _, c1 in pairs]


def dot(vector: Columns, values: Sequence[int]) -> Element:
    """Return the sum of the products of a vector over K and one of integers of any size."""
    return sum(map(mul, vector[0], values)) % P, sum(map(mul, vector[1], values)) % P


def eq(point: Sequence[Element]) -> list[Element]:
    """Return eq(point, x) for all x, variable j being bit j of the index x."""
    table = [ONE]
    for r in point:
        upper = [times(value, r) for value in table]
        table = [sub(value, high) for value, high in zip(table, upper, strict=True)] + upper
    return table


def eq_at(x: Sequence[Element], y: Sequence[Element]) -> Element:
    """Return eq(x, y) of two points."""
    found = ONE
    for r, c in zip(x, y, strict=True):
        both = times(r, c)
        found = times(found, add(both, sub(add(both, ONE), add(r, c))))
    return found


def lagrange(count: int, x: Element) -> list[Element]:
    """Return, for the nodes 0 .. count-1, the Lagrange polynomials at x."""
    found = []
    for node in range(count):
        others = [other for other in range(count) if other != node]
        over = product(sub(x, base(other)) for other in others)
        under = reduce(mul, (node - other for other in others), 1)
        found.append(scale(over, pow(under, -1, P)))
    return found
