"""Tiny integer networks, one for each thing the sumcheck backend has to prove."""

import numpy as np

from circuits.layers import (
    Add,
    Conv2d,
    Dense,
    Flatten,
    MaxPool,
    NumberFormat,
    Requantise,
    SumPool,
)
from circuits.network import Architecture, parameter_shapes
from circuits.weights import Weights, parameter_limits

SMALL = NumberFormat(2, False)  # 0 .. 3
SIGNED = NumberFormat(2, True)  # -2 .. 1


def network(input_shape, *layers, input_format=SMALL, weight_bits=2):
    classes = layers[-1].shape[0]
    return Architecture(input_shape, input_format, 0, weight_bits, classes, layers, layers[-1].name)


def dense(name, source, inputs, outputs, *, bias=True):
    return Dense(name, (source,), inputs, outputs, bias)


def convolution(name, source, shape, channels, kernel=(2, 2), **options):
    fields = {"stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1, "bias": True}
    fields |= options
    return Conv2d(
        name,
        (source,),
        shape,
        kernel,
        fields["stride"],
        fields["padding"],
        fields["dilation"],
        channels,
        fields["groups"],
        fields["bias"],
    )


def pool(kind, name, source, shape, kernel=(2, 2), stride=(1, 1), padding=(0,) * 4):
    return kind(name, (source,), shape, kernel, stride, padding, (1, 1))


def requantise(name, source, shape, shift=1, form=SMALL):
    return Requantise(name, (source,), shape, shift, form)


NETWORKS = {
    "one layer": network((3,), dense("d", "input", 3, 3)),
    "one class": network((2,), dense("d", "input", 2, 1, bias=False)),
    "two layers": network(
        (2,),
        dense("d", "input", 2, 2),
        requantise("r", "d", (2,)),
        dense("e", "r", 2, 2),
        input_format=SIGNED,
    ),
    "split": network(
        (2,),
        dense("d", "input", 2, 1),
        requantise("r", "d", (1,), 3),
        dense("e", "r", 1, 2, bias=False),
        weight_bits=3,
        input_format=NumberFormat(4, False),
    ),
    "convolution": network(
        (2, 4, 3),
        convolution(
            "c",
            "input",
            (2, 4, 3),
            4,
            stride=(2, 1),
            padding=(1, 0, 1, 2),
            dilation=(2, 1),
            groups=2,
        ),
        requantise("r", "c", (4, 2, 4), 2, SIGNED),
        pool(SumPool, "p", "r", (4, 2, 4), padding=(1, 0, 0, 0), stride=(2, 2)),
        Flatten("f", ("p",), (8,)),
        dense("d", "f", 8, 3),
    ),
    "max pools": network(
        (1, 3, 3),
        pool(MaxPool, "m", "input", (1, 3, 3), padding=(1, 0, 0, 1)),
        convolution("c", "m", (1, 3, 3), 2, bias=False),
        requantise("r", "c", (2, 2, 2)),
        pool(MaxPool, "n", "r", (2, 2, 2)),
        Flatten("f", ("n",), (2,)),
        dense("d", "f", 2, 2),
    ),
    "residual": network(
        (1, 2, 2),
        convolution("c", "input", (1, 2, 2), 1, padding=(1, 1, 0, 0)),
        Add("s", ("c", "input"), (1, 2, 2), (0, 2)),
        requantise("r", "s", (1, 2, 2), 2, SIGNED),
        Add("t", ("r", "input", "r"), (1, 2, 2), (1, 0, 0)),
        Flatten("f", ("t",), (4,)),
        dense("d", "f", 4, 2),
    ),
    "pooled accumulator": network(
        (1, 2, 2),
        convolution("c", "input", (1, 2, 2), 2, kernel=(1, 1)),
        pool(MaxPool, "m", "c", (2, 2, 2), kernel=(1, 2)),
        Flatten("f", ("m",), (4,)),
    ),
    "requantised output": network(
        (2,),
        dense("d", "input", 2, 2),
        requantise("r", "d", (2,), 0),
        requantise("s", "r", (2,), 1),
    ),
}


def random_weights(architecture, rng):
    limits = parameter_limits(architecture)
    shapes = parameter_shapes(architecture)
    return Weights(
        architecture,
        {n: rng.integers(-limits[n], limits[n] + 1, shape) for n, shape in shapes.items()},
    )


def random_samples(architecture, count, rng):
    form = architecture.input_format
    return rng.integers(form.low, form.high + 1, (count, *architecture.input_shape), dtype=np.int64)
