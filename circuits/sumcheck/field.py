"""The field F of p = 2^64 - 2^32 + 1 elements and its extension K = F[X]/(X^2 - 7), compiled.

Elements of F are canonical words below p; elements of K are pairs ``c0 + c1 X`` of them, in arrays
uint64[..., 2]. Scalar functions are for use inside compiled functions and trust their arguments to
be canonical; they return canonical values. Whole arrays are in ``field_arrays.py``, single elements
outside compiled code in ``field_k.py``.

p is the Goldilocks prime (Hamburg 2015; reduction as in Plonky2). 7 generates the multiplicative
group, so it is no square and X^2 - 7 is irreducible; as 2^32 divides p - 1, there are subgroups of
every order 2^k up to 2^32.
"""

from __future__ import annotations

import numpy as np

from circuits.sumcheck.field_jit import (
    MODULUS,
    U64,
    Sum,
    add_product,
    compiled,
    mul_wide,
)

GENERATOR = 7
"""Generates the multiplicative group of F; also the non-residue X^2."""

TWO_ADICITY = 32
"""2^32 is the largest power of two that divides p - 1."""

P = np.uint64(MODULUS)
_SEVEN = np.uint64(GENERATOR)
_LOW_HALF = np.uint64(0xFFFF_FFFF)  # 2^64 mod p
_HALF_BITS = np.uint64(32)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_P_MINUS_2 = np.uint64(MODULUS - 2)

NO_SUM: Sum = (_ZERO, _ZERO, _ZERO)
"""The empty sum to start `add_product` from. At most 2^32 - 2 products may be added to it."""


def root_of_unity(log_order: int) -> int:
    """Return the generator of the subgroup of order ``2**log_order``.

    Each is the square of the next; the one of order 2^32 is 7^((p-1)/2^32) = 1753635133440165772.

    Raises
    ------
    ValueError
        If the group has no such subgroup.
    """
    if not 0 <= log_order <= TWO_ADICITY:
        raise ValueError(f"no subgroup of order 2^{log_order}")
    return pow(GENERATOR, (MODULUS - 1) >> log_order, MODULUS)


@compiled
def add(a: U64, b: U64) -> U64:
    """Return a + b."""
    return sub(a, P - b)


@compiled
def sub(a: U64, b: U64) -> U64:
    """Return a - b; b may be p."""
    difference = a - b
    return difference + P if a < b else difference


@compiled
def neg(a: U64) -> U64:
    """Return -a."""
    return sub(_ZERO, a)


@compiled
def reduce_wide(low: U64, high: U64) -> U64:
    """Return ``low + 2^64 high`` mod p, for any two words."""
    # 2^64 = 2^32 - 1 and 2^96 = -1 modulo p. `rest` is below 2^64 - 2^33 + 2, so that p - rest is
    # at least 2^32 and the result is canonical even where the difference is not.
    high_half = high >> _HALF_BITS
    low_half = high & _LOW_HALF
    rest = (low_half << _HALF_BITS) - low_half
    return sub(sub(low, high_half), P - rest)


@compiled
def reduce_sum(total: Sum) -> U64:
    """Return the field element of a sum made by `add_product`."""
    # 2^128 = -2^32 modulo p. The top word counts carries: below 2^32 - 1, so no overflow here.
    return sub(reduce_wide(total[0], total[1]), total[2] << _HALF_BITS)


@compiled
def mul(a: U64, b: U64) -> U64:
    """Return a b; both may be any words."""
    low, high = mul_wide(a, b)
    return reduce_wide(low, high)


@compiled
def mul_add(a: U64, b: U64, c: U64) -> U64:
    """Return a b + c."""
    low, high = mul_wide(a, b)
    low += c
    return reduce_wide(low, high + _ONE if low < c else high)


@compiled
def power(base: U64, exponent: U64) -> U64:
    """Return base^exponent."""
    result = _ONE
    while exponent != _ZERO:
        if exponent & _ONE:
            result = mul(result, base)
        base = mul(base, base)
        exponent >>= _ONE
    return result


@compiled
def inverse(a: U64) -> U64:
    """Return 1/a, and 0 for 0."""
    return power(a, _P_MINUS_2)


@compiled
def kadd(a0: U64, a1: U64, b0: U64, b1: U64) -> tuple[U64, U64]:
    """Return a + b in K."""
    return add(a0, b0), add(a1, b1)


@compiled
def ksub(a0: U64, a1: U64, b0: U64, b1: U64) -> tuple[U64, U64]:
    """Return a - b in K."""
    return sub(a0, b0), sub(a1, b1)


@compiled
def kscale(a0: U64, a1: U64, b: U64) -> tuple[U64, U64]:
    """Return a b for a in K, b in F."""
    return mul(a0, b), mul(a1, b)


@compiled
def kmul(a0: U64, a1: U64, b0: U64, b1: U64) -> tuple[U64, U64]:
    """Return a b in K."""
    # Four products and two reductions. Karatsuba's three products need three: a quarter slower.
    c0 = add_product(add_product(NO_SUM, a0, b0), a1, mul(_SEVEN, b1))
    c1 = add_product(add_product(NO_SUM, a0, b1), a1, b0)
    return reduce_sum(c0), reduce_sum(c1)


@compiled
def knorm(a0: U64, a1: U64) -> U64:
    """Return (c0 + c1 X)(c0 - c1 X) = c0^2 - 7 c1^2, in F and zero only for zero."""
    return sub(mul(a0, a0), mul(_SEVEN, mul(a1, a1)))


@compiled
def kinverse(a0: U64, a1: U64) -> tuple[U64, U64]:
    """Return 1/a in K, and 0 for 0."""
    scale = inverse(knorm(a0, a1))
    return mul(a0, scale), neg(mul(a1, scale))
