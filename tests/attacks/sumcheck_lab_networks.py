"""Small networks and samples for the attacks on the sumcheck backend."""

from __future__ import annotations

import numpy as np

from circuits.errors import CorruptedArtefact
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
from circuits.weights import parameter_limits
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


def random_weights(architecture: Architecture, seed: int) -> dict[str, np.ndarray]:
    rng, most = np.random.default_rng(seed), architecture.weight_max
    limits = parameter_limits(architecture)
    found = {}
    for name, shape in parameter_shapes(architecture).items():
        limit = min(most, limits[name])
        found[name] = rng.integers(-limit, limit + 1, shape)
    return found


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


def random_network(rng: np.random.Generator) -> Architecture:
    """Return a small network of layers of all kinds, which may be provable or not."""
    while True:
        try:
            return _random_network(rng)
        except CorruptedArtefact:  # its layers do not fit together
            continue


def _random_network(rng: np.random.Generator) -> Architecture:
    shape = (int(rng.integers(1, 3)), 3, 3)
    layers: list[Layer] = []
    tensor, at = "input", shape
    for i in range(int(rng.integers(1, 6))):
        kind, name = rng.integers(0, 6), f"l{i}"
        window = (at, tuple(rng.integers(1, 3, 2).tolist()), ONE, NONE, ONE)
        if kind == 0:
            out, groups = int(rng.integers(1, 4)), int(rng.choice([1, at[0]]))
            layers.append(Conv2d(name, (tensor,), *window, out * groups, groups, bool(i % 2)))
        elif kind <= 2:
            bits, signed = int(rng.integers(1, 7)), bool(rng.integers(0, 2))
            form = NumberFormat(bits, signed)
            layers.append(Requantise(name, (tensor,), at, int(rng.integers(0, 6)), form))
        elif kind == 3:
            layers.append(MaxPool(name, (tensor,), *window))
        elif kind == 4:
            layers.append(SumPool(name, (tensor,), *window))
        else:
            others = ["input", *(x.name for x in layers if x.shape == at)]
            pair = (tensor, str(rng.choice(others)))
            layers.append(Add(name, pair, at, tuple(rng.integers(0, 2, 2).tolist())))
        tensor, at = name, layers[-1].shape  # type: ignore[assignment]
    size, classes = int(np.prod(at)), int(rng.integers(1, 5))
    layers += [Flatten("flat", (tensor,), (size,)), Dense("dense", ("flat",), size, classes, True)]
    form = NumberFormat(int(rng.integers(1, 5)), bool(rng.integers(0, 2)))
    return network(shape, classes, *layers, weight_bits=int(rng.integers(2, 9)), input_format=form)
