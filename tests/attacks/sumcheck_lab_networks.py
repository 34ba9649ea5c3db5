"""Small networks and samples for the attacks on the sumcheck backend."""

from __future__ import annotations

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
from circuits.sumcheck.public import Metrics
from tests.attacks.sumcheck_lab import Bench

U2, S3 = NumberFormat(2, False), NumberFormat(3, True)
NONE, ONE = (0, 0, 0, 0), (1, 1)
ALL = Metrics(per_class=True, confusion=True, groups=2)


def network(
    shape: tuple[int, ...],
    classes: int,
    *layers: Layer,
    weight_bits: int = 3,
    input_format: NumberFormat = U2,
) -> Architecture:
    return Architecture(shape, input_format, 0, weight_bits, classes, layers, layers[-1].name)


def mlp_architecture() -> Architecture:
    """Two dense layers; what is between them is looked up by quotient and remainder."""
    return network(
        (3,),
        3,
        Dense("first", ("input",), 3, 4, True),
        Requantise("relu", ("first",), (4,), 3, U2),
        Dense("second", ("relu",), 4, 3, True),
    )


def zoo_architecture() -> Architecture:
    """Every kind of layer; activations by direct lookup and by quotient, margins of two limbs."""
    windows = ((2, 2, 2), ONE, (0, 0, 0, 0), ONE)
    return network(
        (2, 3, 3),
        3,
        Conv2d("conv", ("input",), (2, 3, 3), (2, 2), (2, 2), (1, 1, 0, 0), ONE, 2, 2, True),
        Requantise("act", ("conv",), (2, 2, 2), 2, S3),
        MaxPool("max", ("act",), (2, 2, 2), (2, 2), ONE, (1, 1, 0, 0), ONE),
        SumPool("sum", ("act",), (2, 2, 2), (2, 2), ONE, (1, 1, 0, 0), ONE),
        Add("add", ("max", "sum", "act"), (2, 2, 2), (1, 0, 0)),
        Requantise("back", ("add",), (2, 2, 2), 1, NumberFormat(5, True)),
        Flatten("flat", ("back",), (8,)),
        Dense("dense", ("flat",), 8, 3, True),
        weight_bits=6,
    )
    _ = windows


def random_weights(architecture: Architecture, seed: int) -> dict[str, np.ndarray]:
    rng, most = np.random.default_rng(seed), architecture.weight_max
    return {
        name: rng.integers(-most, most + 1, shape)
        for name, shape in parameter_shapes(architecture).items()
    }


def bench(
    architecture: Architecture, samples: int, a: int, *, seed: int = 5, groups: int = 0, **fields
) -> Bench:
    rng, form = np.random.default_rng(seed), architecture.input_format
    return Bench(
        architecture,
        random_weights(architecture, seed),
        rng.integers(form.low, form.high + 1, (samples, *architecture.input_shape)),
        rng.integers(0, architecture.classes, samples).tolist(),
        a,
        rng.integers(0, groups, samples).tolist() if groups else (),
        groups,
        **fields,
    )


def mlp() -> Bench:
    """Three samples in a shard for four, with all counts there are."""
    return bench(mlp_architecture(), 3, 2, groups=2, metrics=ALL, seed=28)


def zoo() -> Bench:
    """Seven samples in a shard for eight."""
    return bench(zoo_architecture(), 7, 3)
