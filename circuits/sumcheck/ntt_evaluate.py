"""Polynomials at a few points: evaluation, Lagrange values, pointwise products."""

from __future__ import annotations

import math

import numpy as np

from circuits.sumcheck.field import NO_SUM, kadd, kmul, mul, mul_add, power, reduce_sum, sub
from circuits.sumcheck.field_arrays import invert_run, readable, require_field, require_k
from circuits.sumcheck.field_jit import (
    MODULUS,
    U64,
    U64Array,
    add_product,
    compiled,
    parallel,
    prange,
)
from circuits.sumcheck.ntt_tables import subgroup

_CHUNK = 512  # coefficients summed between reductions, and powers kept of each point
_RUN = 1024  # elements that share one inversion


@parallel
def _evaluate(coefficients: U64Array, points: U64Array, out: U64Array) -> None:
    n, lanes = coefficients.shape
    for j in prange(len(points)):
        powers = np.empty(_CHUNK, np.uint64)
        step = np.uint64(1)
        for i in range(_CHUNK):
            powers[i] = step
            step = mul(step, points[j])
        for lane in range(lanes):
            result = np.uint64(0)
            for chunk in range((n + _CHUNK - 1) // _CHUNK - 1, -1, -1):
                total = NO_SUM
                start = chunk * _CHUNK
                for i in range(start, min(start + _CHUNK, n)):
                    total = add_product(total, powers[i - start], coefficients[i, lane])
                result = mul_add(result, step, reduce_sum(total))
            out[j, lane] = result


def evaluate_polynomial(coefficients: U64Array, points: U64Array) -> U64Array:
    """Return polynomials at points of F.

    Parameters
    ----------
    coefficients : uint64 array [n, ...]
        Low first along the first axis: [n] over F, [n, 2] over K, or several beside each other.
    points : uint64 array [t]

    Returns
    -------
    uint64 array [t, ...]

    Raises
    ------
    TypeError
        If a dtype is another.
    """
    width = math.prod(require_field(coefficients).shape[1:])
    flat = coefficients.reshape(-1, width)
    out = np.empty((len(require_field(points)), width), np.uint64)
    _evaluate(readable(flat), readable(points), out)
    return out.reshape(len(points), *coefficients.shape[1:])


@parallel
def _lagrange(points: U64Array, group: U64Array, inverse_n: U64, out: U64Array) -> int:
    n, failed = len(group), 0
    for j in prange(len(points)):
        vanishing = sub(power(points[j], np.uint64(n)), np.uint64(1))
        scale = mul(vanishing, inverse_n)
        differences = np.empty(min(n, _RUN), np.uint64)
        for start in range(0, n, _RUN):
            count = min(_RUN, n - start)
            for s in range(count):
                differences[s] = sub(points[j], group[start + s])
            failed += not invert_run(differences, out[j, start : start + count], 0, count)
            for s in range(start, start + count):
                out[j, s] = mul(mul(out[j, s], group[s]), scale)
    return failed


def lagrange_at(order: int, points: U64Array) -> U64Array:
    """Return the Lagrange basis of the subgroup H at points outside it.

    L_s(x) = (x^N - 1) w^s / (N (x - w^s)) is 1 at w^s and 0 elsewhere on H.

    Parameters
    ----------
    order : int
        N, a power of two.
    points : uint64 array [t]

    Returns
    -------
    uint64 array [t, N]

    Raises
    ------
    ZeroDivisionError
        If a point lies in H.
    """
    out = np.empty((len(require_field(points)), order), np.uint64)
    inverse_n = np.uint64(pow(order, -1, MODULUS))
    if _lagrange(readable(points), subgroup(order), inverse_n, out):
        raise ZeroDivisionError("a point lies in the subgroup")
    return out


@compiled
def _multiply_add(total: U64Array, a: U64Array, b: U64Array) -> None:
    for i in range(len(total)):
        c0, c1 = kmul(a[i, 0], a[i, 1], b[i, 0], b[i, 1])
        total[i, 0], total[i, 1] = kadd(total[i, 0], total[i, 1], c0, c1)


def k_multiply_add(total: U64Array, a: U64Array, b: U64Array) -> None:
    """Add the products of the entries of a and b to `total`, in place.

    On the values of polynomials at enough points (`k_ntt`) this is a sum of products of them.

    Parameters
    ----------
    total, a, b : uint64 array [n, 2]

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes are wrong.
    """
    if not require_k(total).shape == require_k(a).shape == require_k(b).shape:
        raise ValueError(f"shapes {total.shape}, {a.shape}, {b.shape} differ")
    _multiply_add(total, readable(a), readable(b))
