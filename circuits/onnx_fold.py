"""Folding per-channel affine maps (batch normalisation, added constants) into linear layers.

An affine map ``scale * x + offset`` per channel is folded backward into the linear layer that
made x where nothing else reads x. Otherwise it stays pending on the value, and whoever reads the
value folds it forward into its own weights, or has it made into a layer of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from circuits.errors import UnsupportedOperator
from circuits.layers import INPUT, Conv2d, Dense, Layer, Shape

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Affine:
    """``scale * x + offset``, both [channels]; `node` and `operator` are named in errors.

    Compared by identity, so that one map pending for two readers becomes one layer.
    """

    scale: Floats
    offset: Floats
    node: str
    operator: str


@dataclass(frozen=True)
class Value:
    """What an ONNX tensor is in the network being built.

    `source` is a layer or the input, `affine` is still to be applied to it; `softmax` names the
    final node that argmax lets us drop, after which nothing may follow.
    """

    source: str
    shape: Shape
    affine: Affine | None = None
    softmax: tuple[str, str] | None = None


class Builder:
    """The layers and parameters made so far, with names that depend on the structure only."""

    def __init__(self) -> None:
        self.layers: dict[str, Layer] = {}
        self.parameters: dict[str, Floats] = {}
        self._counts: dict[str, int] = {}
        self._made: dict[tuple[str, Affine], Value] = {}

    def name(self, kind: str) -> str:
        """Return a fresh name such as ``conv2``."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}{self._counts[kind]}"

    def add(self, layer: Layer) -> Value:
        """Append a layer without parameters, or one whose parameters are set already."""
        self.layers[layer.name] = layer
        return Value(layer.name, layer.shape)

    def add_linear(self, layer: Dense | Conv2d, weight: Floats, bias: Floats | None) -> Value:
        """Append a linear layer; `layer.bias` follows from whether there is a bias."""
        layer = replace(layer, bias=bias is not None)
        self.parameters[f"{layer.name}.weight"] = weight
        if bias is not None:
            self.parameters[f"{layer.name}.bias"] = bias
        return self.add(layer)

    def fold_back(self, value: Value, affine: Affine) -> bool:
        """Fold into the linear layer that made `value`, and tell whether there is one."""
        layer = None if value.source == INPUT else self.layers[value.source]
        if not isinstance(layer, Dense | Conv2d) or value.affine is not None:
            return False
        weight = self.parameters[f"{layer.name}.weight"]
        by_output = (1, -1) if isinstance(layer, Dense) else (-1, 1, 1, 1)
        bias = self.parameters.get(f"{layer.name}.bias", np.zeros(1)) * affine.scale
        keep = layer.bias or bool(affine.offset.any())
        scaled = weight * affine.scale.reshape(by_output)
        self.add_linear(layer, scaled, bias + affine.offset if keep else None)
        return True

    def plain(self, value: Value) -> Value:
        """Return the value with any pending affine map made into a depthwise 1x1 convolution.

        Raises
        ------
        UnsupportedOperator
            If the value is not an image.
        """
        affine = value.affine
        if affine is None:
            return value
        if len(value.shape) != 3:
            raise UnsupportedOperator(
                affine.node,
                affine.operator,
                "on a vector it must come right after or right before a Gemm or MatMul",
            )
        key = (value.source, affine)
        if key not in self._made:
            channels, rows, columns = value.shape
            one, none = (1, 1), (0, 0, 0, 0)
            layer = Conv2d(
                self.name("conv"), (value.source,), (channels, rows, columns),
                one, one, none, one, channels, channels, False,
            )  # fmt: skip
            weight = affine.scale.reshape(channels, 1, 1, 1)
            bias = affine.offset if affine.offset.any() else None
            self._made[key] = self.add_linear(layer, weight, bias)
        return self._made[key]


def compose(first: Affine | None, then: Affine) -> Affine:
    """Return the affine map that applies `first` and then `then`."""
    if first is None:
        return then
    return replace(
        then, scale=first.scale * then.scale, offset=first.offset * then.scale + then.offset
    )


def flatten(value: Value, shape: Shape) -> Affine | None:
    """Return the pending affine map of a flattened image, now per element."""
    if value.affine is None:
        return None
    times = math.prod(shape) // value.shape[0]
    affine = value.affine
    return replace(
        affine, scale=np.repeat(affine.scale, times), offset=np.repeat(affine.offset, times)
    )


def fold_forward_dense(
    affine: Affine, weight: Floats, bias: Floats | None
) -> tuple[Floats, Floats | None]:
    """Fold an affine map of the inputs into a dense weight [in, out] and its bias."""
    if not affine.offset.any():
        return weight * affine.scale[:, None], bias
    moved = affine.offset @ weight
    return weight * affine.scale[:, None], moved if bias is None else bias + moved


def fold_forward_conv(
    affine: Affine, weight: Floats, bias: Floats | None, groups: int
) -> tuple[Floats, Floats | None]:
    """Fold an affine map of the input channels into a convolution.

    Exact only where no window reads padding, or the offset is zero: padding is zero after the
    affine map, not before it.
    """
    outputs, inputs = weight.shape[:2]
    # Row o of these holds the input channels that output channel o reads.
    scale = np.repeat(affine.scale.reshape(groups, inputs), outputs // groups, axis=0)
    offset = np.repeat(affine.offset.reshape(groups, inputs), outputs // groups, axis=0)
    folded = weight * scale[:, :, None, None]
    if not affine.offset.any():
        return folded, bias
    moved = (weight.sum(axis=(2, 3)) * offset).sum(axis=1)
    return folded, moved if bias is None else bias + moved
