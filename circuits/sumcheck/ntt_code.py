"""The Ligero row code: a row of values and randomness as a Reed-Solomon codeword.

A row of N values and T random coefficients is the polynomial P = I + Z_H tail: I interpolates the
values on the subgroup H of order N, Z_H = x^N - 1, so P has the values on H whatever the tail is.
Its codeword is P on a coset of order L = blowup N that is disjoint from H (Ames, Hazay, Ishai,
Venkitasubramaniam, "Ligero"; docs/protocol.md). That coset consists of `blowup` cosets of H, on
each of which x^N is constant, so a codeword costs `blowup` transforms of size N and no larger one.
"""

from __future__ import annotations

import numpy as np

from circuits.sumcheck.field import mul, sub
from circuits.sumcheck.field_arrays import readable, require_field
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
)
from circuits.sumcheck.ntt import butterflies, inverse_ntt, load_rows, require_rows
from circuits.sumcheck.ntt_tables import (
    bit_reversal,
    coset_shifts,
    domain_point,
    log2,
    twiddles,
)


@compiled
def _enter_coset(
    coefficients: U64Array,
    tail: U64Array,
    x_to_n: U64,
    shifts: U64Array,
    order: IntegerArray,
    block: U64Array,
) -> None:
    """Fold N I + N Z_H tail modulo x^N - h^N, substitute h x for x, divide by N."""
    n = len(block)
    vanishing = mul(np.uint64(n), sub(x_to_n, np.uint64(1)))
    for i in range(n):
        value = load_lanes(coefficients, i)
        if i < len(tail):
            last = i + (len(tail) - 1 - i) // n * n
            folded = load_lanes(tail, last)
            for entry in range(last - n, -1, -n):
                folded = add_lanes(mul_lanes(folded, spread(x_to_n)), load_lanes(tail, entry))
            value = add_lanes(value, mul_lanes(folded, spread(vanishing)))
        store_lanes(block, order[i], mul_lanes(value, spread(shifts[i])))


@parallel
def _encode(
    values: U64Array,
    tail: U64Array,
    tables: tuple[U64Array, U64Array, IntegerArray, U64Array],
    cosets: U64Array,
    out: U64Array,
) -> None:
    forward, inverse, order, shifts = tables
    straight = np.arange(tail.shape[1])
    for run in prange((len(values) + LANES - 1) // LANES):
        first = run * LANES
        last = min(first + LANES, len(values))
        coefficients = load_rows(values, first, order)
        butterflies(coefficients, inverse)
        randomness = load_rows(tail, first, straight)
        block = np.empty_like(coefficients)
        for coset in range(len(cosets)):
            _enter_coset(coefficients, randomness, cosets[coset], shifts[coset], order, block)
            butterflies(block, forward)
            for i in range(len(block)):
                for row in range(first, last):
                    out[i * len(cosets) + coset, row] = block[i, row - first]


def interpolate(values: U64Array, tail: U64Array) -> U64Array:
    """Return the coefficients of the row polynomials I + (x^N - 1) tail.

    Parameters
    ----------
    values : uint64 array [rows, N]
        Value s belongs to the point w^s.
    tail : uint64 array [rows, T]
        Coefficients, low first; T may be 0.

    Returns
    -------
    uint64 array [rows, N + T]

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes are wrong.
    """
    n, extra = _require_code(values, tail), tail.shape[1]
    out = np.empty((len(values), n + extra), np.uint64)
    out[:, :n] = inverse_ntt(values)
    # Two steps, since for T > N the shifted tail overlaps what it is subtracted from.
    out[:, n:] = tail
    _subtract(readable(tail), out)
    return out


@compiled
def _subtract(rows: U64Array, out: U64Array) -> None:
    for row in range(len(rows)):
        for i in range(rows.shape[1]):
            out[row, i] = sub(out[row, i], rows[row, i])


def encode(values: U64Array, tail: U64Array, blowup: int) -> U64Array:
    """Return the codewords of rows, position first.

    Parameters
    ----------
    values : uint64 array [rows, N]
        Value s of a row belongs to the point w^s.
    tail : uint64 array [rows, T]
        Random coefficients, low first; T at most ``(blowup - 1) * N``, possibly 0.
    blowup : int
        L / N, a power of two.

    Returns
    -------
    uint64 array [L, rows]
        Entry j is the column of all rows at x_j = 7 w_L^j (`domain_point`), contiguous.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes are wrong.
    """
    n = _require_code(values, tail)
    log2(blowup)
    if tail.shape[1] > (blowup - 1) * n:
        raise ValueError(
            f"{n} + {tail.shape[1]} coefficients need more than {blowup * n} positions"
        )
    out = np.empty((blowup * n, len(values)), np.uint64)
    tables = twiddles(n, False), twiddles(n, True), bit_reversal(n), coset_shifts(n, blowup)
    cosets = [pow(domain_point(n * blowup, c), n, MODULUS) for c in range(blowup)]
    _encode(readable(values), readable(tail), tables, readable(np.array(cosets, np.uint64)), out)
    return out


def _require_code(values: U64Array, tail: U64Array) -> int:
    n = require_rows(values)
    if require_field(tail).ndim != 2 or len(tail) != len(values):
        raise ValueError(f"a tail {tail.shape} does not fit rows {values.shape}")
    return n
