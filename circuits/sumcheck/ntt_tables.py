"""Subgroups of two-power order, their cosets, and the tables that transforms over them read.

H is the subgroup of order N, its points w^s in the order of s, w = `root_of_unity` of log2 N. A
codeword of length L lives on the coset 7<w_L>: position j is 7 w_L^j. 7 generates the whole group,
so that coset meets no subgroup, and no codeword symbol is a data value.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from circuits.sumcheck.field import GENERATOR, mul, root_of_unity
from circuits.sumcheck.field_jit import MODULUS, U64, IntegerArray, U64Array, compiled


def log2(order: int) -> int:
    """Return the logarithm of a power of two.

    Raises
    ------
    ValueError
        If it is none.
    """
    if order < 1 or order & (order - 1):
        raise ValueError(f"{order} is not a power of two")
    return order.bit_length() - 1


@compiled
def _fill_powers(first: U64, base: U64, out: U64Array) -> None:
    for i in range(len(out)):
        out[i] = first
        first = mul(first, base)


def powers(base: int, count: int, first: int = 1) -> U64Array:
    """Return ``first * base**i`` for i below `count`."""
    out = np.empty(count, np.uint64)
    _fill_powers(np.uint64(first), np.uint64(base), out)
    return out


@cache
def subgroup(order: int) -> U64Array:
    """Return the points w^s of the subgroup, read-only.

    Raises
    ------
    ValueError
        If there is no such subgroup.
    """
    return _frozen(powers(root_of_unity(log2(order)), order))


@cache
def twiddles(order: int, inverse: bool) -> U64Array:
    """Return, from index h on, w^j for j < h and w of order 2h, for every h; or their inverses."""
    table = np.ones(order, np.uint64)
    for level in range(log2(order)):
        half = 1 << level
        table[half : 2 * half] = powers(
            pow(root_of_unity(level + 1), 1 - 2 * inverse, MODULUS), half
        )
    return _frozen(table)


@cache
def bit_reversal(order: int) -> IntegerArray:
    """Return the index whose bits are those of i reversed, for every i, read-only."""
    table = np.zeros(1, np.int64)
    for _ in range(log2(order)):
        table = np.concatenate([2 * table, 2 * table + 1])
    table.flags.writeable = False
    return table


@cache
def coset_shifts(order: int, blowup: int) -> U64Array:
    """Return h_c^s / N for the cosets h_c H, h_c = 7 w_L^c, of which a codeword consists.

    Returns
    -------
    uint64 array [blowup, N], read-only
    """
    scale = pow(order, -1, MODULUS)
    table = [powers(domain_point(order * blowup, c), order, scale) for c in range(blowup)]
    return _frozen(np.stack(table))


def domain_point(length: int, position: int) -> int:
    """Return x_j = 7 w^j, the point of position j of a codeword."""
    return GENERATOR * pow(root_of_unity(log2(length)), position, MODULUS) % MODULUS


def coset_points(length: int, positions: IntegerArray) -> U64Array:
    """Return the points of several positions.

    Parameters
    ----------
    length : int
        Of a codeword.
    positions : integer array [t]

    Returns
    -------
    uint64 array [t]
    """
    return np.array([domain_point(length, int(j)) for j in positions], np.uint64)


def _frozen(table: U64Array) -> U64Array:
    table.flags.writeable = False
    return table
