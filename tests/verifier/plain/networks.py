"""Small networks that use every kind of layer, and test data for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    NumberFormat,
    Requantise,
    SumPool,
    parameter_shapes,
)
from circuits.weights import Weights

U2, S3 = NumberFormat(2, False), NumberFormat(3, True)
NONE, ONE = (0, 0, 0, 0), (1, 1)


def _network(shape: tuple[int, ...], classes: int, *layers: Layer) -> Architecture:
    return Architecture(
        input_shape=shape,
        input_format=U2,
        input_exponent=2,
        weight_bits=3,
        classes=classes,
        layers=layers,
        output=layers[-1].name,
    )


def single() -> Architecture:
    return _network((3,), 2, Dense("d", ("input",), 3, 2, False))


def dense() -> Architecture:
    return _network(
        (4,),
        3,
        Dense("d1", ("input",), 4, 3, True),
        Requantise("q1", ("d1",), (3,), 3, U2),
        Dense("d2", ("q1",), 3, 3, True),
    )


def convolution() -> Architecture:
    return _network(
        (2, 4, 5),
        3,
        Conv2d("c1", ("input",), (2, 4, 5), (3, 2), (2, 1), (1, 0, 1, 1), (1, 2), 4, 2, True),
        Requantise("q1", ("c1",), (4, 2, 4), 3, S3),
        Conv2d("c2", ("q1",), (4, 2, 4), (1, 2), (1, 2), NONE, ONE, 2, 1, False),
        Requantise("q2", ("c2",), (2, 2, 2), 3, U2),
        Flatten("f", ("q2",), (8,)),
        Dense("d", ("f",), 8, 3, True),
    )


def residual() -> Architecture:
    image = (2, 3, 3)
    return _network(
        image,
        3,
        Conv2d("c1", ("input",), image, (3, 3), ONE, (1, 1, 1, 1), ONE, 2, 1, True),
        Requantise("q1", ("c1",), image, 3, S3),
        Add("sum", ("q1", "input", "q1"), image, (0, 1, 2)),
        Requantise("q2", ("sum",), image, 1, S3),
        Conv2d("c2", ("q2",), image, (1, 1), ONE, NONE, ONE, 2, 2, False),
        Add("tail", ("c2", "q2"), image, (0, 1)),
        Requantise("q3", ("tail",), image, 2, S3),
        SumPool("pool", ("q3",), image, (3, 3), ONE, NONE, ONE),
        Flatten("f", ("pool",), (2,)),
        Dense("d", ("f",), 2, 3, True),
    )


def average_pool() -> Architecture:
    return _network(
        (1, 4, 4),
        2,
        SumPool("p", ("input",), (1, 4, 4), (2, 3), (2, 1), (0, 1, 0, 0), ONE),
        Flatten("f", ("p",), (6,)),
        Dense("d", ("f",), 6, 2, True),
    )


def max_pool() -> Architecture:
    return _network(
        (2, 4, 4),
        3,
        MaxPool("m1", ("input",), (2, 4, 4), (3, 3), (2, 2), (1, 1, 0, 0), ONE),
        Conv2d("c", ("m1",), (2, 2, 2), (2, 2), ONE, (1, 0, 0, 1), ONE, 2, 1, True),
        MaxPool("m2", ("c",), (2, 2, 2), (1, 2), ONE, NONE, ONE),
        Requantise("q", ("m2",), (2, 2, 1), 2, S3),
        MaxPool("m3", ("q",), (2, 2, 1), ONE, ONE, NONE, ONE),
        Flatten("f", ("m3",), (4,)),
        Dense("d", ("f",), 4, 3, False),
    )


def one_class() -> Architecture:
    return _network((2,), 1, Dense("d", ("input",), 2, 1, True))


def requantised_output() -> Architecture:
    return _network(
        (5,),
        5,
        Requantise("r", ("input",), (5,), 1, S3),
        Dense("d", ("r",), 5, 5, True),
        Requantise("q", ("d",), (5,), 2, S3),
    )


ALL = {
    "single": single,
    "dense": dense,
    "convolution": convolution,
    "residual": residual,
    "average_pool": average_pool,
    "max_pool": max_pool,
    "one_class": one_class,
    "requantised_output": requantised_output,
}


def random_weights(architecture: Architecture, rng: np.random.Generator) -> Weights:
    most = architecture.weight_max
    shapes = parameter_shapes(architecture)
    return Weights(
        architecture,
        {name: rng.integers(-most, most + 1, shape) for name, shape in shapes.items()},
    )


def uses(layer: Dense | Conv2d) -> Iterator[tuple[int, int, int]]:
    """Yield every multiply-accumulate as (input, weight, output), by the book."""
    if isinstance(layer, Dense):
        for i in range(layer.in_features):
            for o in range(layer.out_features):
                yield i, i * layer.out_features + o, o
        return
    channels, height, width = layer.input_shape
    each_in, each_out = channels // layer.groups, layer.out_channels // layer.groups
    rows, columns = layer.positions
    (kernel_y, kernel_x), (top, left, _, _) = layer.kernel, layer.padding
    spots = [(y, x) for y in range(rows) for x in range(columns)]
    taps = [(i, j) for i in range(kernel_y) for j in range(kernel_x)]
    for out in range(layer.out_channels):
        for y, x in spots:
            for c in range(each_in):
                for i, j in taps:
                    v = y * layer.stride[0] - top + i * layer.dilation[0]
                    h = x * layer.stride[1] - left + j * layer.dilation[1]
                    if 0 <= v < height and 0 <= h < width:
                        channel = out // each_out * each_in + c
                        weight = ((out * each_in + c) * kernel_y + i) * kernel_x + j
                        yield (
                            (channel * height + v) * width + h,
                            weight,
                            (out * rows + y) * columns + x,
                        )
