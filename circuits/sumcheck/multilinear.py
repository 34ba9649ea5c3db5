"""Multilinear extensions and the matrix products around them, over K.

A vector of length 2^k is the function of k bits whose value at x is entry ``sum x_j 2^j``: little-
endian. Points are uint64[k, 2], coordinate j for bit j. Sumcheck binds variable 0 first, which
joins the neighbours 2i and 2i + 1 (Thaler, "Proofs, Arguments, and Zero-Knowledge", section 4.1).

Matrices hold elements of F (uint64) or small integers of another integer type, which stand for
their residues and need no conversion or copy.
"""

from __future__ import annotations

import numpy as np

from circuits.sumcheck.field import NO_SUM, add, kadd, kmul, ksub, reduce_sum
from circuits.sumcheck.field_arrays import readable, require_k
from circuits.sumcheck.field_jit import (
    IntegerArray,
    U64Array,
    add_product,
    compiled,
    lift,
    parallel,
    prange,
)

_FEW = 1 << 14  # up to here one thread takes 0.1 ms, which waking others can cost as well
_RUN = 1 << 11
_ROW_RUN = 8  # rows summed between reductions: as many streams as the L1 cache has ways for
_COLUMN_RUN = 64


@compiled
def _eq_doubling(point: U64Array) -> U64Array:
    table = np.empty((1 << len(point), 2), np.uint64)
    table[0, 0], table[0, 1] = 1, 0
    for j in range(len(point)):
        for i in range(1 << j):
            c0, c1 = table[i, 0], table[i, 1]
            high0, high1 = kmul(c0, c1, point[j, 0], point[j, 1])
            table[i + (1 << j), 0], table[i + (1 << j), 1] = high0, high1
            table[i, 0], table[i, 1] = ksub(c0, c1, high0, high1)
    return table


@parallel
def _outer(high: U64Array, low: U64Array, out: U64Array) -> None:
    for i in prange(len(high)):
        for j in range(len(low)):
            c0, c1 = kmul(high[i, 0], high[i, 1], low[j, 0], low[j, 1])
            out[i, j, 0], out[i, j, 1] = c0, c1


@compiled
def _fold_run(values: U64Array, r: U64Array, out: U64Array, start: int, stop: int) -> None:
    for i in range(start, stop):
        low0, low1 = values[2 * i, 0], values[2 * i, 1]
        step0, step1 = ksub(values[2 * i + 1, 0], values[2 * i + 1, 1], low0, low1)
        step0, step1 = kmul(step0, step1, r[0], r[1])
        out[i, 0], out[i, 1] = kadd(low0, low1, step0, step1)


@parallel
def _fold_all(values: U64Array, r: U64Array, out: U64Array) -> None:
    for run in prange((len(out) + _RUN - 1) // _RUN):
        _fold_run(values, r, out, run * _RUN, min((run + 1) * _RUN, len(out)))


@parallel
def _evaluate_rows(matrix: IntegerArray, weights: U64Array, out: U64Array) -> None:
    for row in prange(len(matrix)):
        sum0, sum1 = NO_SUM, NO_SUM
        for i in range(len(weights)):
            value = lift(matrix[row, i])
            sum0 = add_product(sum0, value, weights[i, 0])
            sum1 = add_product(sum1, value, weights[i, 1])
        out[row, 0], out[row, 1] = reduce_sum(sum0), reduce_sum(sum1)


@parallel
def _combine_rows(coefficients: U64Array, matrix: IntegerArray, out: U64Array) -> None:
    rows, columns = matrix.shape
    for run in prange((columns + _COLUMN_RUN - 1) // _COLUMN_RUN):
        for first in range(0, rows, _ROW_RUN):
            last = min(first + _ROW_RUN, rows)
            for column in range(run * _COLUMN_RUN, min((run + 1) * _COLUMN_RUN, columns)):
                sum0, sum1 = NO_SUM, NO_SUM
                for row in range(first, last):
                    value = lift(matrix[row, column])
                    sum0 = add_product(sum0, value, coefficients[row, 0])
                    sum1 = add_product(sum1, value, coefficients[row, 1])
                out[column, 0] = add(out[column, 0], reduce_sum(sum0))
                out[column, 1] = add(out[column, 1], reduce_sum(sum1))


def eq_table(point: U64Array) -> U64Array:
    """Return eq(point, x) = prod_j (x_j r_j + (1 - x_j)(1 - r_j)) for all x.

    Parameters
    ----------
    point : uint64 array [k, 2]
        Coordinate j belongs to bit j of the index.

    Returns
    -------
    uint64 array [2**k, 2]

    Raises
    ------
    TypeError, ValueError
        If `point` is not an array of elements of K.
    """
    point = readable(_k_vector(point))
    half = len(point) // 2
    if len(point) < _FEW.bit_length():
        return _eq_doubling(point)
    low, high = _eq_doubling(point[:half]), _eq_doubling(point[half:])
    out = np.empty((len(high), len(low), 2), np.uint64)
    _outer(high, low, out)
    return out.reshape(-1, 2)


def fold(values: U64Array, r: U64Array, out: U64Array | None = None) -> U64Array:
    """Bind variable 0 to r: entry i becomes ``v[2i] + r (v[2i+1] - v[2i])``.

    Parameters
    ----------
    values : uint64 array [2m, 2]
    r : uint64 array [2]
    out : uint64 array [m, 2], optional
        Contiguous; receives the result. It must not overlap `values`.

    Returns
    -------
    uint64 array [m, 2]

    Raises
    ------
    TypeError, ValueError
        If an argument is not an array of elements of K, or has another shape.
    """
    half, odd = divmod(len(_k_vector(values)), 2)
    out = np.empty((half, 2), np.uint64) if out is None else out
    if odd or require_k(r).shape != (2,) or require_k(out).shape != (half, 2):
        raise ValueError(f"cannot fold {values.shape} with {r.shape} into {out.shape}")
    if not out.flags.c_contiguous or np.may_share_memory(values, out):
        raise ValueError("the result needs contiguous memory of its own")
    if half <= _FEW:
        _fold_run(readable(values), readable(r), out, 0, half)
    else:
        _fold_all(readable(values), readable(r), out)
    return out


def evaluate(values: U64Array, point: U64Array) -> U64Array:
    """Return the multilinear extension of `values` at `point`.

    Parameters
    ----------
    values : uint64 array [2**k, 2]
        For values in F or small integers, use `evaluate_rows` with `eq_table`.
    point : uint64 array [k, 2]

    Returns
    -------
    uint64 array [2]

    Raises
    ------
    TypeError, ValueError
        If an argument is not an array of elements of K, or the lengths do not match.
    """
    if len(_k_vector(values)) != 1 << len(_k_vector(point)):
        raise ValueError(f"{len(values)} values are not a function of {len(point)} bits")
    for r in point:
        values = fold(values, r)
    return np.array(values[0])


def evaluate_rows(matrix: IntegerArray, weights: U64Array) -> U64Array:
    """Return ``matrix @ weights``: the inner product of every row with weights in K.

    Parameters
    ----------
    matrix : integer array [rows, n]
        Elements of F if uint64, otherwise small integers.
    weights : uint64 array [n, 2]

    Returns
    -------
    uint64 array [rows, 2]

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape is another.
    """
    _require_matrix(matrix, matrix.shape[-1:], _k_vector(weights))
    out = np.empty((len(matrix), 2), np.uint64)
    _evaluate_rows(readable(matrix), readable(weights), out)
    return out


def combine_rows(coefficients: U64Array, matrix: IntegerArray) -> U64Array:
    """Return ``coefficients @ matrix``: the sum of the rows with coefficients in K.

    Parameters
    ----------
    coefficients : uint64 array [rows, 2]
    matrix : integer array [rows, n]
        Elements of F if uint64, otherwise small integers.

    Returns
    -------
    uint64 array [n, 2]

    Raises
    ------
    TypeError, ValueError
        If a dtype or shape is another.
    """
    _require_matrix(matrix, matrix.shape[:1], _k_vector(coefficients))
    out = np.zeros((matrix.shape[1], 2), np.uint64)
    _combine_rows(readable(coefficients), readable(matrix), out)
    return out


def _k_vector(values: U64Array) -> U64Array:
    if require_k(values).ndim != 2:
        raise ValueError(f"expected shape [n, 2], got {values.shape}")
    return values


def _require_matrix(matrix: IntegerArray, side: tuple[int, ...], vector: U64Array) -> None:
    if matrix.dtype.kind not in "iu":
        raise TypeError(f"expected integers, got {matrix.dtype}")
    if matrix.ndim != 2 or side != (len(vector),):
        raise ValueError(f"a matrix {matrix.shape} does not fit a vector of {len(vector)}")
