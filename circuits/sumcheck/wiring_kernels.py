"""The two products of a convolution's wiring, in O(multiply-accumulates) and without index lists.

A convolution is bilinear in weights and inputs: acc_o = sum of W_k z_i over its uses (i, k, o).
Numbers of a use: input channel, row and column; kernel row and column; output row and column, with
row = output row * stride + kernel row * dilation - padding, and columns likewise.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from circuits.layers import Conv2d
from circuits.sumcheck.field import GENERATOR, NO_SUM, add, kmul, mul, reduce_sum
from circuits.sumcheck.field_jit import (
    IntegerArray,
    U64Array,
    add_product,
    compiled,
    lift,
    parallel,
    prange,
)

Geometry: TypeAlias = tuple[
    int, int, int, int, int, int, int, int, int, int, int, int, int, int, int
]
_SEVEN = np.uint64(GENERATOR)


def geometry(layer: Conv2d) -> Geometry:
    """Return the sizes of a convolution for the kernels below."""
    return (
        *layer.input_shape,
        *layer.positions,
        *layer.kernel,
        *layer.stride,
        *layer.padding[:2],
        *layer.dilation,
        layer.input_shape[0] // layer.groups,
        layer.out_channels // layer.groups,
    )


@compiled
def _output(place: int, stride: int, count: int) -> int:
    """Return the output row (or column) whose window starts at `place`, or -1."""
    if place < 0 or place % stride != 0 or place // stride >= count:
        return -1
    return place // stride


@parallel
def convolution_inputs(weight: IntegerArray, e: U64Array, sizes: Geometry, out: U64Array) -> None:
    """Write ``out[i] = sum W_k e_o`` over the uses (k, o) of each input i.

    Output channels, over which the inner loop runs, come last: weight [in / groups, rows, columns,
    out]; e [rows, columns, out, 2]; out [in, rows, columns, 2].
    """
    channels, rows, columns, high, wide, kr, kc, sr, sc, top, left, dr, dc, inner, outer = sizes
    for line in prange(channels * rows):
        channel, row = line // rows, line % rows
        first, tap = channel // inner * outer, channel % inner
        for column in range(columns):
            sum0, sum1 = NO_SUM, NO_SUM
            for i in range(kr):
                y = _output(row + top - i * dr, sr, high)
                if y < 0:
                    continue
                for j in range(kc):
                    x = _output(column + left - j * dc, sc, wide)
                    if x < 0:
                        continue
                    for o in range(first, first + outer):
                        w = lift(weight[tap, i, j, o])
                        sum0 = add_product(sum0, w, e[y, x, o, 0])
                        sum1 = add_product(sum1, w, e[y, x, o, 1])
            out[channel, row, column, 0] = reduce_sum(sum0)
            out[channel, row, column, 1] = reduce_sum(sum1)


@parallel
def convolution_weights(z: U64Array, e: U64Array, sizes: Geometry, out: U64Array) -> None:
    """Write ``out[k] = sum z_i e_o`` over the uses (i, o) of each weight k, all in K.

    z [in, rows, columns, 2]; e [out, rows, columns, 2]; out [out, in / groups, rows, columns, 2].
    """
    _, rows, columns, high, wide, kr, kc, sr, sc, top, left, dr, dc, inner, outer = sizes
    for pair in prange(len(e) * inner):
        o, tap = pair // inner, pair % inner
        channel = o // outer * inner + tap
        for i in range(kr):
            for j in range(kc):
                # (a0 + a1 X)(b0 + b1 X) = (a0 b0 + 7 a1 b1) + (a0 b1 + a1 b0) X
                sum00, sum11, cross = NO_SUM, NO_SUM, NO_SUM
                for y in range(high):
                    row = y * sr + i * dr - top
                    if row < 0 or row >= rows:
                        continue
                    for x in range(wide):
                        column = x * sc + j * dc - left
                        if column < 0 or column >= columns:
                            continue
                        a0, a1 = z[channel, row, column, 0], z[channel, row, column, 1]
                        b0, b1 = e[o, y, x, 0], e[o, y, x, 1]
                        sum00 = add_product(sum00, a0, b0)
                        sum11 = add_product(sum11, a1, b1)
                        cross = add_product(add_product(cross, a0, b1), a1, b0)
                low = add(reduce_sum(sum00), mul(_SEVEN, reduce_sum(sum11)))
                out[o, tap, i, j, 0], out[o, tap, i, j, 1] = low, reduce_sum(cross)


@parallel
def outer_product(a: U64Array, b: U64Array, out: U64Array) -> None:
    """Write ``out[i, j] = a[i] b[j]``, in K."""
    for i in prange(len(a)):
        for j in range(len(b)):
            c0, c1 = kmul(a[i, 0], a[i, 1], b[j, 0], b[j, 1])
            out[i, j, 0], out[i, j, 1] = c0, c1
