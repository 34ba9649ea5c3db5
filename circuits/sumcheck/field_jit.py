"""What numba compiles and how: typed decorators, and the machine instructions Python lacks.

`compiled` and `parallel` are the only two ways this package compiles. Both release the GIL and keep
machine code in ``__pycache__``. Two warnings come with that:

* numba recompiles a cached function when its *own* file changes, not when a function it calls
  does. After editing this file or ``field.py``, delete ``circuits/sumcheck/__pycache__``.
* A process must not fork once a `parallel` function has run: the threads do not survive it.

Numba turns ``uint64 + int64`` into a signed or floating-point number without a word. So constants
that meet field elements are wrapped in ``np.uint64``, and indices are never mixed with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

# Waiting OpenMP threads spin by default, which costs milliseconds a call as soon as anyone else
# uses a core. Read when the threads' library is loaded, so before numba; the user's choice stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

U64: TypeAlias = np.uint64
U64Array: TypeAlias = NDArray[np.uint64]
IntegerArray: TypeAlias = NDArray[np.integer[Any]]
Sum: TypeAlias = tuple[U64, U64, U64]
"""An unreduced sum of products: 192 bits, low word first."""

MODULUS = 0xFFFF_FFFF_0000_0001
"""p = 2^64 - 2^32 + 1, the Goldilocks prime."""

_Function = TypeVar("_Function", bound=Callable[..., object])
prange = numba.prange


def compiled(function: _Function) -> _Function:
    """Compile for one thread; other compiled functions inline it."""
    return _compiled(function, parallel=False)


def parallel(function: _Function) -> _Function:
    """Compile with `prange` loops spread over numba's threads."""
    return _compiled(function, parallel=True)


def _compiled(function: _Function, *, parallel: bool) -> _Function:
    def decorate(cache: bool) -> _Function:
        made = numba.njit(cache=cache, nogil=True, error_model="numpy", parallel=parallel)
        return cast(_Function, made(function))

    try:
        return decorate(cache=True)
    except RuntimeError:
        # Neither the package's folder nor the user's may be written: compile every time.
        return decorate(cache=False)


def _mul_wide(_context: Any, _a: Any, _b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, double = ir.IntType(64), ir.IntType(128)
        x, y = (builder.zext(argument, double) for argument in arguments)
        product = builder.mul(x, y)
        low = builder.trunc(product, word)
        high = builder.trunc(builder.lshr(product, ir.Constant(double, 64)), word)
        return context.make_tuple(builder, signature.return_type, (low, high))

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), generate


def _add_product(_context: Any, _total: Any, _a: Any, _b: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, double = ir.IntType(64), ir.IntType(128)
        shift = ir.Constant(double, 64)
        x, y = (builder.zext(argument, double) for argument in arguments[1:])
        low, high, top = (builder.extract_value(arguments[0], i) for i in range(3))
        old = builder.or_(builder.zext(low, double), builder.shl(builder.zext(high, double), shift))
        # Two adds and a carry into the top word; LLVM's 192-bit add costs half as much again.
        result = builder.uadd_with_overflow(old, builder.mul(x, y))
        new, carry = (builder.extract_value(result, i) for i in range(2))
        words = (
            builder.trunc(new, word),
            builder.trunc(builder.lshr(new, shift), word),
            builder.add(top, builder.zext(carry, word)),
        )
        return context.make_tuple(builder, signature.return_type, words)

    sum_type = types.UniTuple(types.uint64, 3)
    return sum_type(sum_type, types.uint64, types.uint64), generate


def _lift(_context: Any, value: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        if not value.signed:
            return builder.zext(arguments[0], word) if value.bitwidth < 64 else arguments[0]
        wide = builder.sext(arguments[0], word) if value.bitwidth < 64 else arguments[0]
        negative = builder.icmp_signed("<", wide, ir.Constant(word, 0))
        wrapped = builder.add(wide, ir.Constant(word, MODULUS))
        return builder.select(negative, wrapped, wide)

    if not isinstance(value, types.Integer):
        return None
    return types.uint64(value), generate


mul_wide = cast(Callable[[U64, U64], tuple[U64, U64]], intrinsic(_mul_wide))
"""The product of two words: low word, high word."""

add_product = cast(Callable[[Sum, U64, U64], Sum], intrinsic(_add_product))
"""``total + a * b`` without reduction."""

lift = cast(Callable[[Any], U64], intrinsic(_lift))
"""The field element of an integer of any type: negative v becomes p - abs(v). uint64 stays."""
