"""Elementwise arithmetic on vectors over K, uint64 [n, 2]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from circuits.sumcheck.field import add, kmul
from circuits.sumcheck.field_jit import U64Array, parallel, prange
from circuits.sumcheck.field_k import K


@parallel
def _add(a: U64Array, b: U64Array, out: U64Array) -> None:
    for i in prange(len(a)):
        out[i, 0] = add(a[i, 0], b[i, 0])
        out[i, 1] = add(a[i, 1], b[i, 1])


@parallel
def _scale(by: U64Array, values: U64Array, out: U64Array) -> None:
    for i in prange(len(values)):
        out[i, 0], out[i, 1] = kmul(by[0], by[1], values[i, 0], values[i, 1])


@parallel
def _multiply(a: U64Array, b: U64Array, out: U64Array) -> None:
    for i in prange(len(a)):
        out[i, 0], out[i, 1] = kmul(a[i, 0], a[i, 1], b[i, 0], b[i, 1])


def k_add(a: U64Array, b: U64Array) -> U64Array:
    """Return a + b, both uint64 [n, 2]."""
    return _binary(_add, a, b)


def k_multiply(a: U64Array, b: U64Array) -> U64Array:
    """Return the elementwise products of a and b, both uint64 [n, 2]."""
    return _binary(_multiply, a, b)


def k_scale(by: K, values: U64Array) -> U64Array:
    """Return an element times a vector, uint64 [n, 2]."""
    out = np.empty_like(values)
    _scale(by.to_array(), np.ascontiguousarray(values), out)
    return out


def powers(base: K, count: int) -> list[K]:
    """Return base, base^2, .., base^count."""
    found: list[K] = []
    for _ in range(count):
        found.append(found[-1] * base if found else base)
    return found


def _binary(
    kernel: Callable[[U64Array, U64Array, U64Array], None], a: U64Array, b: U64Array
) -> U64Array:
    if a.shape != b.shape:
        raise ValueError(f"vectors of {len(a)} and {len(b)} elements")
    out = np.empty_like(a)
    kernel(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out
