"""The public architecture of an integer network: everything about it but the weights.

Two contributors with the same architecture have the same circuit. So whatever is computed here
(bounds, shapes, costs) comes from number formats and sizes only, never from weights or data.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from circuits.encoding import json_digest
from circuits.layers import (
    INPUT,
    Add,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    NumberFormat,
    Relu,
    Requantise,
    Shape,
    SumPool,
    Windowed,
    bad,
    check_shape,
    windows,
)

__all__ = [
    "INPUT",
    "Add",
    "Architecture",
    "Conv2d",
    "Dense",
    "Flatten",
    "Layer",
    "MaxPool",
    "NumberFormat",
    "Relu",
    "Requantise",
    "Shape",
    "SumPool",
    "Windowed",
    "bounds",
    "check_layers",
    "layer_bound",
    "layers_parameters",
    "macs",
    "parameter_shapes",
    "windows",
]

_OPERATORS: dict[str, type[Layer]] = {
    "dense": Dense,
    "conv2d": Conv2d,
    "sum_pool": SumPool,
    "max_pool": MaxPool,
    "relu": Relu,
    "add": Add,
    "flatten": Flatten,
    "requantise": Requantise,
}
_TAGS = {kind: tag for tag, kind in _OPERATORS.items()}
_MAX_WEIGHT_BITS = 32
_MAX_EXPONENT = 64
_MAX_LAYERS = 1024
"""Bounds grow with every layer, so a hostile description must not have any number of them."""


@dataclass(frozen=True)
class Architecture:
    """An integer network without its weights.

    Attributes
    ----------
    input_shape : tuple of int
        Shape of one sample: [features] or [channels, rows, columns].
    input_format : NumberFormat
        Range of the integers of a sample.
    input_exponent : int
        A real feature x becomes the integer round(x * 2**input_exponent).
    weight_bits : int
        A weight w has |w| <= 2**(weight_bits - 1) - 1. A bias counts as the weight of a constant
        input as large as the layer's largest input: |bias| <= weight_max * input bound.
    classes : int
        Number of logits.
    layers : tuple of Layer
        In topological order; the last one makes the logits, every other one is used.
    output : str
        Name of the last layer.

    Raises
    ------
    CorruptedArtefact
        If the parts do not fit together.
    """

    input_shape: tuple[int, ...]
    input_format: NumberFormat
    input_exponent: int
    weight_bits: int
    classes: int
    layers: tuple[Layer, ...]
    output: str

    def __post_init__(self) -> None:
        if not 2 <= self.weight_bits <= _MAX_WEIGHT_BITS:
            bad(f"weights have {self.weight_bits} bits, not 2 to {_MAX_WEIGHT_BITS}")
        if abs(self.input_exponent) > _MAX_EXPONENT:
            bad(f"the input exponent is {self.input_exponent}")
        check_layers(self.input_shape, self.classes, self.layers, self.output)

    @property
    def weight_max(self) -> int:
        """The largest absolute value of a weight."""
        return (1 << (self.weight_bits - 1)) - 1

    def layer(self, name: str) -> Layer:
        """Return the layer called `name`; KeyError if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def shape_of(self, name: str) -> Shape:
        """Return the shape of one sample of a layer's output, or of the input."""
        return self.input_shape if name == INPUT else self.layer(name).shape

    def to_dict(self) -> dict[str, Any]:
        """Return the architecture as JSON values."""
        return {
            **_fields_to_json(self),
            "layers": [
                {"op": _TAGS[type(layer)], **_fields_to_json(layer)} for layer in self.layers
            ],
        }

    @classmethod
    def from_dict(cls, value: object) -> Architecture:
        """Read an architecture from JSON values.

        Raises
        ------
        CorruptedArtefact
            If a field is unknown, missing or of a wrong type, or the parts do not fit together.
        """
        return cls(**_fields_from_json(cls, value, "the network"))

    @property
    def digest(self) -> str:
        """Digest of the canonical encoding, as hex."""
        return json_digest("architecture", self.to_dict())


def check_layers(input_shape: Shape, classes: int, layers: Sequence[Layer], output: str) -> None:
    """Check that layers form a network from `input_shape` to `classes` logits.

    Raises
    ------
    CorruptedArtefact
        If a name is repeated or not defined earlier, a shape does not fit, a layer is not used,
        or the output is not the last layer or not a vector of `classes` logits.
    """
    check_shape("the input", input_shape)
    _check_count(len(layers))
    shapes: dict[str, Shape] = {INPUT: input_shape}
    used: set[str] = set()
    last = INPUT
    for layer in layers:
        if layer.name in shapes:
            bad(f"there are two layers {layer.name!r}")
        for name in layer.inputs:
            if name not in shapes:
                bad(f"layer {layer.name!r} reads {name!r}, which is not an earlier layer")
            if not _fits(layer, shapes[name]):
                bad(f"layer {layer.name!r} cannot take {name!r} of shape {list(shapes[name])}")
        used.update(layer.inputs)
        shapes[layer.name] = layer.shape
        last = layer.name
    if last == INPUT or output != last:
        bad(f"the output is {output!r} and the last layer is {last!r}")
    if unused := sorted(shapes.keys() - used - {output}):
        bad(f"{unused[0]!r} is not used")
    if shapes[output] != (classes,):
        bad(f"the output has the shape {list(shapes[output])}, not [{classes}]")


def _check_count(layers: int) -> None:
    if layers > _MAX_LAYERS:
        bad(f"there are {layers} layers, more than {_MAX_LAYERS}")


def _fits(layer: Layer, shape: Shape) -> bool:
    if isinstance(layer, Dense):
        return shape == (layer.in_features,)
    if isinstance(layer, Conv2d | SumPool | MaxPool):
        return shape == layer.input_shape
    if isinstance(layer, Flatten):
        return math.prod(shape) == layer.shape[0]
    return shape == layer.shape


def parameter_shapes(architecture: Architecture) -> dict[str, Shape]:
    """Return the shape of every weight and bias, in canonical order.

    The order is that of the layers, the weight before the bias. Names are ``layer.weight`` and
    ``layer.bias``; a dense weight is [in, out], a convolution's [out, in / groups, rows, columns].
    """
    return layers_parameters(architecture.layers)


def layers_parameters(layers: Iterable[Layer]) -> dict[str, Shape]:
    """Return `parameter_shapes` of a sequence of layers."""
    shapes: dict[str, Shape] = {}
    for layer in layers:
        if isinstance(layer, Dense):
            outputs = layer.out_features
            shapes[f"{layer.name}.weight"] = (layer.in_features, outputs)
        elif isinstance(layer, Conv2d):
            outputs = layer.out_channels
            channels = layer.input_shape[0] // layer.groups
            shapes[f"{layer.name}.weight"] = (outputs, channels, *layer.kernel)
        else:
            continue
        if layer.bias:
            shapes[f"{layer.name}.bias"] = (outputs,)
    return shapes


def bounds(architecture: Architecture) -> dict[str, int]:
    """Return the largest absolute value every layer's output, and the input, can have.

    Python integers of any size: whether they fit is for the backend to say. A linear layer has
    (fan_in + 1) * weight_max * input bound, without the 1 if it has no bias.
    """
    found = {INPUT: architecture.input_format.magnitude}
    for layer in architecture.layers:
        given = [found[name] for name in layer.inputs]
        found[layer.name] = layer_bound(layer, given, architecture.weight_max)
    return found


def layer_bound(layer: Layer, given: list[int], weight_max: int) -> int:
    """Return the largest absolute output of one layer whose inputs are bounded by `given`."""
    if isinstance(layer, Dense | Conv2d):
        return (layer.fan_in + layer.bias) * weight_max * given[0]
    if isinstance(layer, SumPool):
        return layer.fan_in * given[0]
    if isinstance(layer, Add):
        return sum(bound << shift for bound, shift in zip(given, layer.shifts, strict=True))
    if isinstance(layer, Requantise):
        return min(layer.format.magnitude, (given[0] + layer.half) >> layer.shift)
    return given[0]


def macs(architecture: Architecture) -> int:
    """Return the multiply-accumulates of one sample, biases and pooling not counted."""
    return sum(
        math.prod(layer.shape) * layer.fan_in
        for layer in architecture.layers
        if isinstance(layer, Dense | Conv2d)
    )


def _fields_to_json(item: Architecture | Layer | NumberFormat) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if isinstance(value, NumberFormat):
            value = _fields_to_json(value)
        elif isinstance(value, tuple):
            value = list(value)
        found[field.name] = value
    return found


def _layer_from_json(value: object) -> Layer:
    tag = value.get("op") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(tag, str) or tag not in _OPERATORS:
        bad(f"there is no layer of kind {tag!r}")
    kind = _OPERATORS[tag]
    fields = {name: item for name, item in value.items() if name != "op"}
    return kind(**_fields_from_json(kind, fields, f"a {tag} layer"))


def _fields_from_json(kind: type[Any], value: object, what: str) -> dict[str, Any]:
    expected = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    if not isinstance(value, dict) or value.keys() != expected.keys():
        names = sorted(map(str, value)) if isinstance(value, dict) else value
        bad(f"{what} has the fields {names}, not {sorted(expected)}")
    return {
        name: _from_json(value[name], annotation, f"{name!r} of {what}")
        for name, annotation in expected.items()
    }


def _from_json(value: Any, annotation: str, what: str) -> Any:
    if annotation == "NumberFormat":
        return NumberFormat(**_fields_from_json(NumberFormat, value, what))
    if annotation == "tuple[Layer, ...]" and isinstance(value, list):
        _check_count(len(value))
        return tuple(_layer_from_json(item) for item in value)
    if annotation.startswith("tuple[") and isinstance(value, list):
        kind: type = str if annotation == "tuple[str, ...]" else int
        if all(type(item) is kind for item in value):
            return tuple(value)
    # The exact type, because a bool is an int to isinstance.
    if type(value).__name__ != annotation or annotation not in ("int", "bool", "str"):
        bad(f"{what} is {value!r}, which is not of type {annotation}")
    return value
