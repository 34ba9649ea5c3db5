"""Eight elements of F at a time, in vector registers.

A processor multiplies two 64-bit words into 128 bits one pair at a time. Split into 32-bit halves,
eight pairs go through AVX-512 in the time of three, through AVX2 in that of five, and elsewhere in
that of nine; compilers do not find this by themselves. For use inside compiled functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from circuits.sumcheck.field_jit import MODULUS, U64, U64Array

LANES = 8
"""Elements in a register; eight words are also a cache line."""

_VECTOR = ir.VectorType(ir.IntType(64), LANES)
_UNDEFINED = ir.Constant(_VECTOR, ir.Undefined)
_TO_ALL = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)


class Lanes(types.Type):  # type: ignore[misc]
    """Numba's type of eight elements."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


lanes_type = Lanes()


def _constant(word: int) -> Any:
    return ir.Constant(_VECTOR, [word] * LANES)


_P = _constant(MODULUS)
_LOW_HALF = _constant(0xFFFF_FFFF)
_HALF_BITS = _constant(32)


class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


register_model(Lanes)(_LanesModel)


def _sub(builder: Any, a: Any, b: Any) -> Any:
    # As `field.sub`: b may be p, and a any word that is at least b.
    difference = builder.sub(a, b)
    wrapped = builder.add(difference, _P)
    return builder.select(builder.icmp_unsigned("<", a, b), wrapped, difference)


def _add(builder: Any, a: Any, b: Any) -> Any:
    return _sub(builder, a, builder.sub(_P, b))


def _mul(builder: Any, a: Any, b: Any) -> Any:
    # Schoolbook on halves; no sum below exceeds a word, as (2^32 - 1)^2 + 2 (2^32 - 1) < 2^64.
    a0, a1 = builder.and_(a, _LOW_HALF), builder.lshr(a, _HALF_BITS)
    b0, b1 = builder.and_(b, _LOW_HALF), builder.lshr(b, _HALF_BITS)
    lowest = builder.mul(a0, b0)
    middle = builder.add(builder.mul(a1, b0), builder.lshr(lowest, _HALF_BITS))
    other = builder.add(builder.mul(a0, b1), builder.and_(middle, _LOW_HALF))
    low = builder.or_(builder.shl(other, _HALF_BITS), builder.and_(lowest, _LOW_HALF))
    carried = builder.add(builder.lshr(middle, _HALF_BITS), builder.lshr(other, _HALF_BITS))
    high = builder.add(builder.mul(a1, b1), carried)
    # As `field.reduce_wide`.
    high_half = builder.lshr(high, _HALF_BITS)
    low_half = builder.and_(high, _LOW_HALF)
    rest = builder.sub(builder.shl(low_half, _HALF_BITS), low_half)
    return _sub(builder, _sub(builder, low, high_half), builder.sub(_P, rest))


def _binary(emit: Callable[[Any, Any, Any], Any]) -> Callable[[Lanes, Lanes], Lanes]:
    def typed(_context: Any, _a: Any, _b: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return emit(builder, *arguments)

        return lanes_type(lanes_type, lanes_type), generate

    return cast(Callable[[Lanes, Lanes], Lanes], intrinsic(typed))


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(builder.bitcast(data, _VECTOR.as_pointer()), [index])


def _load(_context: Any, array: Any, _index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature.args[0], *arguments), align=8)

    return lanes_type(array, types.intp), generate


def _store(_context: Any, array: Any, _index: Any, _lanes: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], address, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes_type), generate


def _spread(_context: Any, _value: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        first = builder.insert_element(_UNDEFINED, arguments[0], ir.IntType(32)(0))
        return builder.shuffle_vector(first, _UNDEFINED, _TO_ALL)

    return lanes_type(types.uint64), generate


add_lanes = _binary(_add)
sub_lanes = _binary(_sub)
mul_lanes = _binary(_mul)

load_lanes = cast(Callable[[U64Array, int], Lanes], intrinsic(_load))
"""Row i of a contiguous array uint64[n, 8]."""

store_lanes = cast(Callable[[U64Array, int, Lanes], None], intrinsic(_store))
"""Replace row i of a contiguous array uint64[n, 8]."""

spread = cast(Callable[[U64], Lanes], intrinsic(_spread))
"""One element in all lanes."""
