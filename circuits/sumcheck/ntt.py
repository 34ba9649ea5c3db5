"""Number-theoretic transforms: polynomials at all points of a subgroup of two-power order.

They run on blocks [n, 8] that hold eight vectors side by side: arithmetic is in vector registers
(``field_lanes.py``), every memory access is a whole cache line, and a block is its own transpose.
"""

from __future__ import annotations

import numpy as np

from circuits.sumcheck.field import mul
from circuits.sumcheck.field_arrays import readable, require_field, require_k
from circuits.sumcheck.field_jit import (
    MODULUS,
    U64,
    IntegerArray,
    U64Array,
    compiled,
    parallel,
    prange,
)
from circuits.sumcheck.field_lanes import (
    LANES,
    add_lanes,
    load_lanes,
    mul_lanes,
    spread,
    store_lanes,
    sub_lanes,
)
from circuits.sumcheck.ntt_tables import (
    bit_reversal,
    log2,
    twiddles,
)


@compiled
def butterflies(data: U64Array, roots: U64Array) -> None:
    """Transform every lane in place, from bit-reversed to natural order (Cooley-Tukey)."""
    n = len(data)
    # Two levels at once halve the traffic between cache and registers. If their number is odd, the
    # first, whose only root is 1, comes alone.
    half = n
    while half > 2:
        half >>= 2
    if half == 2:
        for i in range(0, n, 2):
            a, b = load_lanes(data, i), load_lanes(data, i + 1)
            store_lanes(data, i, add_lanes(a, b))
            store_lanes(data, i + 1, sub_lanes(a, b))
    while half < n:
        for block in range(0, n, 4 * half):
            for j in range(half):
                root, upper, lower = roots[half + j], roots[2 * half + j], roots[3 * half + j]
                i0 = block + j
                i1, i2, i3 = i0 + half, i0 + 2 * half, i0 + 3 * half
                a = load_lanes(data, i0)
                b = mul_lanes(load_lanes(data, i1), spread(root))
                c = load_lanes(data, i2)
                d = mul_lanes(load_lanes(data, i3), spread(root))
                a, b = add_lanes(a, b), sub_lanes(a, b)
                c, d = add_lanes(c, d), sub_lanes(c, d)
                c, d = mul_lanes(c, spread(upper)), mul_lanes(d, spread(lower))
                store_lanes(data, i0, add_lanes(a, c))
                store_lanes(data, i1, add_lanes(b, d))
                store_lanes(data, i2, sub_lanes(a, c))
                store_lanes(data, i3, sub_lanes(b, d))
        half *= 4


@compiled
def load_rows(rows: U64Array, first: int, order: IntegerArray) -> U64Array:
    """Return a block with up to eight rows, entry i of each at place ``order[i]``."""
    count, n = min(len(rows) - first, LANES), rows.shape[1]
    block = np.zeros((n, LANES), np.uint64)
    for i in range(n):
        for lane in range(count):
            block[order[i], lane] = rows[first + lane, i]
    return block


@compiled
def _transform_run(
    rows: U64Array, first: int, roots: U64Array, order: IntegerArray, scale: U64, out: U64Array
) -> None:
    block = load_rows(rows, first, order)
    butterflies(block, roots)
    for row in range(first, min(first + LANES, len(rows))):
        for i in range(len(block)):
            out[row, i] = mul(block[i, row - first], scale)


@parallel
def _transform_all(
    rows: U64Array, roots: U64Array, order: IntegerArray, scale: U64, out: U64Array
) -> None:
    for run in prange((len(rows) + LANES - 1) // LANES):
        _transform_run(rows, run * LANES, roots, order, scale, out)


def ntt(rows: U64Array) -> U64Array:
    """Return every row's polynomial at the points w^0, w^1, .. of the subgroup.

    Parameters
    ----------
    rows : uint64 array [rows, n]
        Coefficients, low first; n a power of two.

    Returns
    -------
    uint64 array [rows, n]

    Raises
    ------
    TypeError, ValueError
        If dtype or shape are wrong.
    """
    return _transform(rows, inverse=False)


def inverse_ntt(rows: U64Array) -> U64Array:
    """Return the coefficients of the polynomials that have the given values; undoes `ntt`.

    Parameters
    ----------
    rows : uint64 array [rows, n]

    Returns
    -------
    uint64 array [rows, n]

    Raises
    ------
    TypeError, ValueError
        If dtype or shape are wrong.
    """
    return _transform(rows, inverse=True)


def _transform(rows: U64Array, *, inverse: bool) -> U64Array:
    n = require_rows(rows)
    scale = np.uint64(pow(n, -1, MODULUS) if inverse else 1)
    out = np.empty(rows.shape, np.uint64)
    tables = twiddles(n, inverse), bit_reversal(n), scale
    if len(rows) <= LANES:
        _transform_run(readable(rows), 0, *tables, out)
    else:
        _transform_all(readable(rows), *tables, out)
    return out


def k_ntt(coefficients: U64Array, size: int) -> U64Array:
    """Return a polynomial over K at the points of the subgroup of order `size`.

    Parameters
    ----------
    coefficients : uint64 array [m, 2]
        Low first, m at most `size`.
    size : int
        A power of two.

    Returns
    -------
    uint64 array [size, 2]

    Raises
    ------
    TypeError, ValueError
        If dtype or shape are wrong, or the polynomial is longer.
    """
    if len(require_k(coefficients)) > size:
        raise ValueError(f"{len(coefficients)} coefficients do not fit {size} points")
    padded = np.zeros((2, size), np.uint64)
    padded[:, : len(coefficients)] = coefficients.T
    return np.ascontiguousarray(ntt(padded).T)


def k_inverse_ntt(values: U64Array) -> U64Array:
    """Return the coefficients of a polynomial over K; undoes `k_ntt`.

    Parameters
    ----------
    values : uint64 array [size, 2]

    Returns
    -------
    uint64 array [size, 2]

    Raises
    ------
    TypeError, ValueError
        If dtype or shape are wrong.
    """
    return np.ascontiguousarray(inverse_ntt(require_k(values).T).T)


def require_rows(values: U64Array) -> int:
    """Return the row length of a matrix of F, having checked that it is a power of two.

    Raises
    ------
    TypeError, ValueError
        If it is not, or the array is no such matrix.
    """
    if require_field(values).ndim != 2:
        raise ValueError(f"expected rows, got shape {values.shape}")
    log2(values.shape[1])
    return int(values.shape[1])
