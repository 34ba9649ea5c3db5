"""The layers of an integer network, without weights.

Every layer is a frozen dataclass with a `name`, the names of its `inputs` and the `shape` of its
output for one sample (no batch axis; images are channels, rows, columns). A layer checks itself
when it is made; how layers fit together is checked by `circuits.network`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from circuits.errors import CorruptedArtefact

Shape: TypeAlias = tuple[int, ...]

INPUT = "input"
"""The name under which layers refer to the network's input."""

MAX_SIZE = 1 << 26
"""No tensor of one sample may be larger: a hostile description must not exhaust memory."""

_MAX_BITS = 62
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")


def bad(message: str) -> NoReturn:
    """Refuse a description of a network."""
    raise CorruptedArtefact(f"architecture: {message}", artefact="architecture")


def check_shape(name: str, shape: Shape) -> None:
    """Refuse a shape that is empty, has a dimension below one, or is too large."""
    if not shape or min(shape) < 1 or math.prod(shape) > MAX_SIZE:
        bad(f"{name} has the shape {shape}")


@dataclass(frozen=True)
class NumberFormat:
    """The integers a tensor may hold: `bits` wide, two's complement if `signed`."""

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= _MAX_BITS:
            bad(f"a number format has {self.bits} bits, not 1 to {_MAX_BITS}")

    @property
    def low(self) -> int:
        """The smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest value."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def magnitude(self) -> int:
        """The largest absolute value."""
        return max(-self.low, self.high)


@dataclass(frozen=True)
class _Layer:
    name: str
    inputs: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name == INPUT:
            bad(f"{self.name!r} cannot be the name of a layer")
        if not self._arity(len(self.inputs)):
            bad(f"layer {self.name!r} has {len(self.inputs)} inputs")
        self._check()

    def _arity(self, count: int) -> bool:
        return count == 1

    def _check(self) -> None:
        """Check the fields of the concrete layer."""


@dataclass(frozen=True)
class Dense(_Layer):
    """``x @ weight + bias`` on a vector; `weight` is [in_features, out_features]."""

    in_features: int
    out_features: int
    bias: bool

    def _check(self) -> None:
        check_shape(f"the weight of {self.name!r}", (self.in_features, self.out_features))

    @property
    def shape(self) -> Shape:
        """Output of one sample: [out_features]."""
        return (self.out_features,)

    @property
    def fan_in(self) -> int:
        """Products summed into one output, not counting the bias."""
        return self.in_features


@dataclass(frozen=True)
class _Window(_Layer):
    """A layer that slides a kernel over an image.

    `input_shape` is [channels, rows, columns]; `padding` is (top, left, bottom, right), the order
    of ONNX; the other pairs are (rows, columns).
    """

    input_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]

    def _check(self) -> None:
        if len(self.input_shape) != 3:
            bad(f"layer {self.name!r} slides over an image, not over {self.input_shape}")
        check_shape(f"the input of {self.name!r}", self.input_shape)
        for field in (self.kernel, self.stride, self.dilation):
            if len(field) != 2 or not 1 <= min(field) <= max(field) <= MAX_SIZE:
                bad(f"layer {self.name!r} has a kernel, stride or dilation {field}")
        if len(self.padding) != 4 or not 0 <= min(self.padding) <= max(self.padding) <= MAX_SIZE:
            bad(f"layer {self.name!r} has the padding {self.padding}")
        if min(self.positions) < 1:
            bad(f"the kernel of {self.name!r} is larger than its padded input")
        check_shape(f"the windows of {self.name!r}", (self._groups, *self.positions, self.fan_in))

    @property
    def positions(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        rows, columns = (
            (
                self.input_shape[1 + axis]
                + self.padding[axis]
                + self.padding[2 + axis]
                - self.dilation[axis] * (self.kernel[axis] - 1)
                - 1
            )
            // self.stride[axis]
            + 1
            for axis in (0, 1)
        )
        return rows, columns

    @property
    def _groups(self) -> int:
        return self.input_shape[0]

    @property
    def fan_in(self) -> int:
        """Taps of one window."""
        return self.input_shape[0] // self._groups * math.prod(self.kernel)


@dataclass(frozen=True)
class Conv2d(_Window):
    """Cross-correlation with zero padding; `weight` is [out, in / groups, rows, columns]."""

    out_channels: int
    groups: int
    bias: bool

    def _check(self) -> None:
        if self.groups < 1 or self.out_channels < 1:
            bad(f"layer {self.name!r} has {self.groups} groups, {self.out_channels} channels")
        super()._check()
        if self.input_shape[0] % self.groups or self.out_channels % self.groups:
            bad(f"the channels of {self.name!r} do not divide into {self.groups} groups")
        check_shape(f"the output of {self.name!r}", self.shape)
        check_shape(f"the weight of {self.name!r}", (self.out_channels, self.fan_in))

    @property
    def _groups(self) -> int:
        return self.groups

    @property
    def shape(self) -> Shape:
        """Output of one sample: [out_channels, rows, columns]."""
        return (self.out_channels, *self.positions)


@dataclass(frozen=True)
class _Pool(_Window):
    @property
    def shape(self) -> Shape:
        """Output of one sample: [channels, rows, columns]."""
        return (self.input_shape[0], *self.positions)


@dataclass(frozen=True)
class SumPool(_Pool):
    """Sum over each window, padding counting as zero.

    It is how integers do average pooling: the division by the number of taps belongs to the
    scale, see `circuits.quantise`.
    """


@dataclass(frozen=True)
class MaxPool(_Pool):
    """Maximum over the real taps of each window; padding never wins."""

    def _check(self) -> None:
        super()._check()
        for axis in (0, 1):
            first, step = _first_taps(self, axis), self.dilation[axis]
            # The first tap that is not before the image; not all taps, of which there may be many.
            tap = -(np.minimum(first, 0) // step)
            inside = (tap < self.kernel[axis]) & (first + tap * step < self.input_shape[1 + axis])
            if not inside.all():
                bad(f"layer {self.name!r} has a window that lies wholly in the padding")


@dataclass(frozen=True)
class _Shaped(_Layer):
    shape: tuple[int, ...]

    def _check(self) -> None:
        check_shape(f"layer {self.name!r}", self.shape)


@dataclass(frozen=True)
class Relu(_Shaped):
    """``max(x, 0)``."""


@dataclass(frozen=True)
class Flatten(_Shaped):
    """The same values as one vector, in row-major order."""

    def _check(self) -> None:
        super()._check()
        if len(self.shape) != 1:
            bad(f"layer {self.name!r} flattens to {self.shape}")


@dataclass(frozen=True)
class Add(_Shaped):
    """Residual sum ``sum_i (inputs[i] << shifts[i])``; the shifts align the inputs' scales."""

    shifts: tuple[int, ...]

    def _arity(self, count: int) -> bool:
        return count >= 2

    def _check(self) -> None:
        super()._check()
        if len(self.shifts) != len(self.inputs) or min(self.shifts) < 0:
            bad(f"layer {self.name!r} has {len(self.inputs)} inputs and the shifts {self.shifts}")
        if max(self.shifts) > _MAX_BITS:
            bad(f"layer {self.name!r} shifts by {max(self.shifts)} bits")


@dataclass(frozen=True)
class Requantise(_Shaped):
    """``clamp((x + half) >> shift)`` to `format`, where half = 2^(shift-1), or 0 if shift = 0.

    Rounds to nearest, halves upwards. With an unsigned format this is also a ReLU.
    """

    shift: int
    format: NumberFormat

    def _check(self) -> None:
        super()._check()
        if not 0 <= self.shift <= _MAX_BITS:
            bad(f"layer {self.name!r} shifts by {self.shift} bits")

    @property
    def half(self) -> int:
        """What is added before the shift."""
        return (1 << self.shift) >> 1


Layer: TypeAlias = Dense | Conv2d | SumPool | MaxPool | Relu | Add | Flatten | Requantise
Windowed: TypeAlias = Conv2d | SumPool | MaxPool


def _taps(layer: _Window, axis: int) -> NDArray[np.int64]:
    """Return the row (axis 0) or column (axis 1) of each tap of each window: [positions, taps]."""
    step = np.arange(layer.kernel[axis], dtype=np.int64) * layer.dilation[axis]
    return _first_taps(layer, axis)[:, None] + step[None, :]


def _first_taps(layer: _Window, axis: int) -> NDArray[np.int64]:
    """Return the row or column of the first tap of each window: [positions]."""
    first = np.arange(layer.positions[axis], dtype=np.int64) * layer.stride[axis]
    return first - layer.padding[axis]


def windows(layer: Windowed) -> NDArray[np.int64]:
    """Return which inputs each window of `layer` reads.

    Returns
    -------
    int64 array [groups, positions, taps]
        Flat indices into one sample's input in row-major [channels, rows, columns] order; -1 is
        padding. Positions are the output's rows and columns in row-major order. Taps run over
        (channel within the group, kernel row, kernel column), row-major: the order of
        ``weight.reshape(out_channels, taps)``. For a convolution, group g reads input channels
        ``g * C/groups ...`` and makes output channels ``g * O/groups ...``. A pool has one
        group per channel. The flat output index is ``channel * positions + position``.
    """
    channels, rows, columns = layer.input_shape
    groups = layer.groups if isinstance(layer, Conv2d) else channels
    channel = np.arange(channels).reshape(groups, 1, 1, channels // groups, 1, 1)
    row = _taps(layer, 0)[None, :, None, None, :, None]
    column = _taps(layer, 1)[None, None, :, None, None, :]
    index = (channel * rows + row) * columns + column
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    flat = np.where(inside, index, -1).astype(np.int64)
    return flat.reshape(groups, math.prod(layer.positions), layer.fan_in)
