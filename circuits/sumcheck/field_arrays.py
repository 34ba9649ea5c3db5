"""Arrays of field elements: checks, conversion of integers, inversion."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from circuits.sumcheck.field import P, inverse, knorm, mul, neg
from circuits.sumcheck.field_jit import IntegerArray, U64Array, compiled, lift, parallel, prange

_Scalar = TypeVar("_Scalar", bound=np.generic)
_RUN = 1024  # elements that share one inversion: its ~100 multiplications vanish among 3 each
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


def require_field(values: U64Array) -> U64Array:
    """Return `values`, having checked that they are words.

    Raises
    ------
    TypeError
        If the dtype is not uint64.
    """
    if values.dtype != np.uint64:
        raise TypeError(f"expected field elements in uint64, got {values.dtype}")
    return values


def require_k(values: U64Array) -> U64Array:
    """Return `values`, having checked that they are pairs of words.

    Raises
    ------
    TypeError, ValueError
        If the dtype is not uint64, or the last axis does not have length 2.
    """
    if require_field(values).shape[-1:] != (2,):
        raise ValueError(f"expected pairs in the last axis, got shape {values.shape}")
    return values


def readable(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """Return a contiguous, read-only view (a copy if need be) to hand to a compiled function.

    Numba compiles anew for every combination of layout and writability; this leaves one.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


@compiled
def invert_run(values: U64Array, out: U64Array, start: int, stop: int) -> bool:
    """Write the inverses of ``values[start:stop]``, with one inversion; False if one is zero."""
    # Montgomery's trick. First the product of all that come before each value, ...
    product = _ONE
    for i in range(start, stop):
        out[i] = product
        product = mul(product, values[i])
    # ... then, from the end, 1 / (product up to each value).
    rest = inverse(product)
    for i in range(stop - 1, start - 1, -1):
        value = values[i]
        out[i] = mul(out[i], rest)
        rest = mul(rest, value)
    return bool(product != _ZERO)


@parallel
def _batch_inverse(values: U64Array, out: U64Array) -> int:
    failed = 0
    for run in prange((len(values) + _RUN - 1) // _RUN):
        start = run * _RUN
        failed += not invert_run(values, out, start, min(start + _RUN, len(values)))
    return failed


@parallel
def _k_batch_inverse(values: U64Array, out: U64Array) -> int:
    failed = 0
    for run in prange((len(values) + _RUN - 1) // _RUN):
        start = run * _RUN
        stop = min(start + _RUN, len(values))
        norms = np.empty(stop - start, np.uint64)
        for i in range(start, stop):
            norms[i - start] = knorm(values[i, 0], values[i, 1])
        scales = np.empty_like(norms)
        failed += not invert_run(norms, scales, 0, stop - start)
        for i in range(start, stop):
            out[i, 0] = mul(values[i, 0], scales[i - start])
            out[i, 1] = neg(mul(values[i, 1], scales[i - start]))
    return failed


@parallel
def _from_signed(values: IntegerArray, out: U64Array) -> None:
    for i in prange(len(values)):
        out[i] = lift(values[i])


def batch_inverse(values: U64Array) -> U64Array:
    """Return 1/v for every v.

    Parameters
    ----------
    values : uint64 array, any shape
        Elements of F.

    Returns
    -------
    uint64 array of the same shape

    Raises
    ------
    ZeroDivisionError
        If an element is zero.
    """
    out = np.empty(values.shape, np.uint64)
    if _batch_inverse(readable(require_field(values)).reshape(-1), out.reshape(-1)):
        raise ZeroDivisionError("zero has no inverse")
    return out


def k_batch_inverse(values: U64Array) -> U64Array:
    """Return 1/v for every v.

    Parameters
    ----------
    values : uint64 array [..., 2]
        Elements of K.

    Returns
    -------
    uint64 array of the same shape

    Raises
    ------
    ZeroDivisionError
        If an element is zero.
    """
    out = np.empty(values.shape, np.uint64)
    if _k_batch_inverse(readable(require_k(values)).reshape(-1, 2), out.reshape(-1, 2)):
        raise ZeroDivisionError("zero has no inverse")
    return out


def from_signed(values: IntegerArray) -> U64Array:
    """Return integers as field elements: a negative v becomes p - abs(v).

    Parameters
    ----------
    values : integer array, any shape
        Of any signed type, or unsigned of at most 32 bits.

    Returns
    -------
    uint64 array of the same shape

    Raises
    ------
    TypeError
        For any other type; uint64 arrays are field elements already.
    """
    if values.dtype.kind not in "iu" or values.dtype == np.uint64:
        raise TypeError(f"expected signed integers, got {values.dtype}")
    out = np.empty(values.shape, np.uint64)
    _from_signed(readable(values).reshape(-1), out.reshape(-1))
    return out


def is_canonical(values: U64Array) -> bool:
    """Return whether every word is below p. Whoever reads elements from outside must ask."""
    return bool(np.all(require_field(values) < P))
