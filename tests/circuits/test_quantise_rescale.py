"""Networks that rescale: one public architecture, private scales, and few flipped predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from circuits.compare import Comparison, compare, run_onnx
from circuits.errors import UnsupportedOperator
from circuits.float_network import FloatNetwork
from circuits.integer import quantise_input, run
from circuits.layers import Layer
from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    MaxPool,
    NumberFormat,
    Relu,
    Requantise,
    SumPool,
    bounds,
)
from circuits.onnx_import import load_onnx
from circuits.passes import check_rescaled, equalise
from circuits.quantise import quantise, quantise_with_steps
from circuits.weights import Weights
from tests.models import Graph, floats, mnist, shared_model

U8 = NumberFormat(8, False)
S8 = NumberFormat(8, True)
S10 = NumberFormat(10, True)


def residual(seed: int) -> Graph:
    """Return an image network with residual sums around every kind of layer."""
    rng = np.random.default_rng(seed)
    graph = Graph(("n", 4, 8, 8))
    conv = graph.node("Conv", "x", floats(rng, 4, 2, 3, 3), floats(rng, 4), group=2,
                      dilations=[2, 2], pads=[2, 2, 2, 2])  # fmt: skip
    stem = graph.node("Relu", graph.node("MaxPool", conv, kernel_shape=[2, 2], strides=[2, 2]))
    inner = graph.node("Relu", graph.node("Conv", stem, floats(rng, 8, 4, 1, 1), floats(rng, 8)))
    more = graph.node("Conv", inner, floats(rng, 4, 8, 3, 3), pads=[1, 1, 1, 1])
    total = graph.node("Relu", graph.node("Add", more, stem))
    narrow = graph.node("Conv", total, floats(rng, 6, 4, 2, 2), strides=[2, 2])
    pooled = graph.node("AveragePool", total, kernel_shape=[2, 2], strides=[2, 2])
    wide = graph.node("Conv", pooled, floats(rng, 6, 4, 1, 1), floats(rng, 6))
    again = graph.node("Add", graph.node("Add", narrow, wide), narrow)
    graph.node("Gemm", graph.node("Flatten", again), floats(rng, 24, 3), floats(rng, 3))
    return graph


def mixed(seed: int) -> Graph:
    """Return a network with batch normalisation and pools on top of each other."""
    rng = np.random.default_rng(seed)
    graph = Graph(("n", 4, 8, 8))
    conv = graph.node("Conv", "x", floats(rng, 6, 4, 3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
    norm = graph.node("BatchNormalization", conv, np.abs(floats(rng, 6)) + 0.5, floats(rng, 6),
                      floats(rng, 6), np.abs(floats(rng, 6)) + 0.5)  # fmt: skip
    pooled = graph.node("AveragePool", norm, kernel_shape=[3, 3], pads=[1, 1, 1, 1],
                        count_include_pad=1)  # fmt: skip
    largest = graph.node("MaxPool", pooled, kernel_shape=[2, 2])
    rectified = graph.node("Relu", graph.node("Relu", largest))
    graph.node("Gemm", graph.node("Flatten", rectified), floats(rng, 54, 3), floats(rng, 3))
    return graph


def around_input(seed: int) -> Graph:
    """Return a network that adds its input, and an average of it, to something."""
    rng = np.random.default_rng(seed)
    graph = Graph(("n", 4, 8, 8))
    mean = graph.node("AveragePool", "x", kernel_shape=[2, 2], pads=[1, 1, 0, 0],
                      count_include_pad=1)  # fmt: skip
    inner = graph.node("Conv", "x", floats(rng, 4, 4, 1, 1))
    total = graph.node("Add", graph.node("Add", inner, "x"), mean)
    graph.node("Gemm", graph.node("Flatten", total), floats(rng, 256, 3))
    return graph


def around_vector(seed: int) -> Graph:
    """Return a network of dense layers that adds its input to something."""
    rng = np.random.default_rng(seed)
    graph = Graph(("n", 256))
    inner = graph.node("Relu", graph.node("Gemm", "x", floats(rng, 256, 9) / 9, floats(rng, 9)))
    total = graph.node("Add", graph.node("Gemm", inner, floats(rng, 9, 256)), "x")
    graph.node("Relu", graph.node("Gemm", total, floats(rng, 256, 3)))
    return graph


def smoothing(seed: int) -> Graph:
    """Return a network that adds averages over windows of no power of two."""
    rng = np.random.default_rng(seed)
    graph = Graph(("n", 4, 8, 8))
    conv = graph.node("Relu", graph.node("Conv", "x", floats(rng, 4, 4, 3, 3), floats(rng, 4)))
    mean = graph.node("AveragePool", conv, kernel_shape=[3, 1])
    total = graph.node("Add", mean, graph.node("Conv", conv, floats(rng, 4, 4, 3, 1)))
    graph.node("Gemm", graph.node("Flatten", total), floats(rng, 96, 3), floats(rng, 3))
    return graph


KINDS = [residual, mixed, smoothing, around_input, around_vector]


def samples(graph: Graph, count: int, seed: int = 0) -> NDArray[np.float32]:
    shape = [int(size) for size in graph.shape[1:]]
    return np.random.default_rng(seed).uniform(-1, 1, (count, *shape)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blind", [False, True])
def test_every_kind_of_network_is_kept_closely(
    tmp_path: Path, kind: Callable[[int], Graph], blind: bool
) -> None:
    for seed in range(5):
        graph = kind(seed)
        path = graph.save(tmp_path / "m.onnx", 3)
        x = samples(graph, 60)
        made, weights, steps = quantise_with_steps(
            load_onnx(path), input_format=S10, input_exponent=9, weight_bits=12,
            activation_bits=12, rescale=True, calibration=None if blind else x[:40],
        )  # fmt: skip
        check_rescaled(made)
        found = run(made, weights, quantise_input(made, x)) * float(steps[made.output])
        expected = run_onnx(path, x)
        assert np.abs(found - expected).max() < (0.04 if blind else 0.02) * np.abs(expected).max()


@pytest.mark.parametrize("kind", KINDS)
def test_the_architecture_shows_neither_weights_nor_data(
    tmp_path: Path, kind: Callable[[int], Graph]
) -> None:
    made: list[tuple[Architecture, Weights]] = []
    for seed in range(3):
        graph = kind(seed)
        network = load_onnx(graph.save(tmp_path / "m.onnx", 3))
        made += [
            quantise(network, input_format=S8, input_exponent=7, rescale=True, calibration=x)
            for x in (None, samples(graph, 9, seed), 0.01 * samples(graph, 9))
        ]
    assert len({architecture.digest for architecture, _ in made}) == 1
    assert len({weights.flatten().tobytes() for _, weights in made}) == len(made)


def test_a_requantise_follows_each_inner_layer_and_takes_over_its_relu(tmp_path: Path) -> None:
    network = load_onnx(residual(0).save(tmp_path / "m.onnx", 3))
    made, _ = quantise(network, input_format=S8, input_exponent=7, activation_bits=8, rescale=True)
    kinds = [type(layer).__name__ for layer in made.layers]
    assert kinds == [
        "Conv2d", "Requantise", "MaxPool",  # the ReLU has changed places with the pool
        "Conv2d", "Requantise", "Conv2d", "Requantise", "Add", "Requantise",
        "Conv2d", "Requantise", "SumPool", "Conv2d", "Requantise",
        "Add", "Requantise", "Add", "Requantise", "Flatten", "Dense",
    ]  # fmt: skip
    forms = [layer.format for layer in made.layers if isinstance(layer, Requantise)]
    assert forms == [U8, U8, S8, U8, S8, S8, S8, S8]


def test_a_maximum_is_taken_of_requantised_values_only(tmp_path: Path) -> None:
    network = load_onnx(mixed(0).save(tmp_path / "m.onnx", 3))
    made, _ = quantise(network, input_format=S8, input_exponent=7, activation_bits=8, rescale=True)
    kinds = [type(layer).__name__ for layer in made.layers]
    # One ReLU has changed places with the pool, the other has nothing left to do.
    assert kinds == ["Conv2d", "Requantise", "SumPool", "Requantise", "MaxPool", "Flatten", "Dense"]
    rectifier = made.layers[3]
    assert isinstance(rectifier, Requantise)
    assert rectifier.format == U8
    # The smallest shift that clips nothing: 9 taps of up to 128 each.
    assert rectifier.shift == 3


IMAGE = (2, 4, 4)


def _conv(name: str, source: str) -> Conv2d:
    return Conv2d(name, (source,), IMAGE, (1, 1), (1, 1), (0,) * 4, (1, 1), 2, 1, False)  # type: ignore[arg-type]


def _pool(kind: type[SumPool] | type[MaxPool], name: str, source: str) -> Layer:
    return kind(name, (source,), IMAGE, (1, 1), (1, 1), (0,) * 4, (1, 1))  # type: ignore[arg-type]


def _architecture(*layers: Layer) -> Architecture:
    closing = (
        Requantise("rq", (layers[-1].name,), IMAGE, 3, S8),
        Flatten("rf", ("rq",), (32,)),
        Dense("rd", ("rf",), 32, 3, True),
    )
    return Architecture(IMAGE, S8, 0, 8, 3, (*layers, *closing), "rd")


REFUSED = {
    "conv after conv": ([_conv("c", "input"), _conv("d", "c")], "'d'"),
    "pool of accumulators": ([_conv("c", "input"), _pool(SumPool, "s", "c")], "'s'"),
    "sum of accumulators": ([_conv("c", "input"), Add("a", ("c", "input"), IMAGE, (0, 0))], "'a'"),
    "maximum of accumulators": ([_conv("c", "input"), _pool(MaxPool, "m", "c")], "'m'"),
    "maximum of sums": ([_pool(SumPool, "s", "input"), _pool(MaxPool, "m", "s")], "'m'"),
    "a ReLU": ([_conv("c", "input"), Relu("r", ("c",), IMAGE)], "'r'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_networks_that_do_not_rescale_are_refused(case: str) -> None:
    layers, name = REFUSED[case]
    with pytest.raises(UnsupportedOperator, match=name):
        check_rescaled(_architecture(*layers))


def test_networks_that_rescale_are_taken() -> None:
    made = _architecture(
        _pool(MaxPool, "m", "input"),
        _pool(MaxPool, "n", "m"),
        _pool(SumPool, "s", "n"),
        Add("a", ("s", "input"), IMAGE, (0, 1)),
        _conv("c", "a"),
    )
    check_rescaled(made)
    last = Relu("last", ("rd",), (3,))
    check_rescaled(replace(made, layers=(*made.layers, last), output="last"))


def test_weights_that_grow_around_a_sum_are_clipped(tmp_path: Path) -> None:
    # Neurons come in equal pairs, and readers subtract most of one from the other: outputs are
    # small for such large weights, and no step of the sum would let all of them fit.
    rng = np.random.default_rng(1)
    signs = np.where(np.arange(16) % 2, -1, 1)[:, None].astype(np.float32)
    graph = Graph(("n", 16))
    pairs = [np.repeat(floats(rng, 16, 8), 2, axis=1) for _ in range(3)]
    stem = graph.node("Relu", graph.node("Gemm", "x", pairs[0]))
    inner = graph.node("Relu", graph.node("Gemm", stem, signs + pairs[1]))
    total = graph.node("Add", graph.node("Gemm", inner, signs + pairs[2]), stem)
    graph.node("Gemm", total, floats(rng, 16, 3))
    network = load_onnx(graph.save(tmp_path / "m.onnx", 3))
    x = rng.uniform(0, 1, (50, 16))
    made, weights, steps = quantise_with_steps(
        network, input_format=U8, input_exponent=7, weight_bits=12, rescale=True, calibration=x
    )
    share = np.abs(network.parameters["dense3.weight"]) * float(
        steps["relu2"] / steps["dense3"] / made.weight_max
    )
    assert 1.1 < share.max() < 2
    assert int(np.abs(weights["dense3.weight"]).max()) == made.weight_max
    found = run(made, weights, quantise_input(made, x)) * float(steps[made.output])
    expected = network.run(x)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()


def test_equalising_changes_weights_and_not_logits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    graph = Graph(("n", 2, 8, 8))
    uneven = floats(rng, 6, 2, 3, 3) * np.float32(10) ** rng.uniform(-2, 2, (6, 1, 1, 1))
    uneven[4] = 0
    conv = graph.node("Relu", graph.node("Conv", "x", uneven.astype(np.float32), floats(rng, 6)))
    conv = graph.node("Conv", graph.node("MaxPool", conv, kernel_shape=[2, 2]),
                      floats(rng, 12, 2, 2, 2), floats(rng, 12), group=3)  # fmt: skip
    pooled = graph.node("AveragePool", graph.node("Relu", conv), kernel_shape=[2, 2])
    dense = graph.node(
        "Gemm", graph.node("Flatten", pooled), floats(rng, 12 * 9, 5), floats(rng, 5)
    )
    graph.node("Gemm", graph.node("Relu", dense), floats(rng, 5, 3))
    network = load_onnx(graph.save(tmp_path / "m.onnx", 3))
    found = equalise(network)
    x = rng.uniform(-1, 1, (20, 2, 8, 8))
    np.testing.assert_allclose(found.run(x), network.run(x), rtol=1e-9, atol=1e-9)

    def spread(network: FloatNetwork) -> float:
        most = np.abs(network.parameters["conv1.weight"]).max(axis=(1, 2, 3))
        return float(most.max() / most[most > 0].min())

    assert spread(network) > 50
    assert spread(found) < spread(network) ** 0.6


def _compared(
    path: Path, x: NDArray[np.float32], labels: NDArray[np.uint8], bits: tuple[int, int, int],
    calibration: slice | None,
) -> tuple[Architecture, Comparison]:  # fmt: skip
    input_bits, weight_bits, activation_bits = bits
    made, weights = quantise(
        load_onnx(path),
        input_format=NumberFormat(input_bits, False),
        input_exponent=input_bits - 1,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        rescale=True,
        calibration=None if calibration is None else x[calibration],
    )
    return made, compare(path, made, weights, x, labels)


@pytest.mark.shared
@pytest.mark.parametrize("bits", [(9, 12, 12), (8, 9, 12)])
@pytest.mark.parametrize("calibration", [slice(256), slice(5000, 5512)])
@pytest.mark.parametrize("model", ["lenet5_mnist.onnx", "mlp_784_56_10.onnx"])
def test_mnist_flips_at_most_three(
    model: str, calibration: slice, bits: tuple[int, int, int]
) -> None:
    images, labels = mnist()
    path = shared_model(model)
    x = images.reshape(-1, *load_onnx(path).input_shape)
    made, found = _compared(path, x, labels, bits, calibration)
    assert found.float_correct == {"lenet5_mnist.onnx": 9872, "mlp_784_56_10.onnx": 9740}[model]
    assert found.flips <= 3
    # The backend has tables of what is left of an accumulator after the shift.
    limits = bounds(made)
    for layer in made.layers:
        if isinstance(layer, Requantise):
            assert 2 * limits[layer.inputs[0]] >> layer.shift < 2**20
    if bits == (8, 9, 12) and "conv1" in limits:
        assert 2 * limits["conv1"] + 1 < 2**22  # and of these accumulators as they are


@pytest.mark.shared
@pytest.mark.parametrize("model", ["lenet5_mnist.onnx", "mlp_784_56_10.onnx"])
def test_mnist_flips_at_most_ten_without_calibration(model: str) -> None:
    images, labels = mnist()
    path = shared_model(model)
    x = images.reshape(-1, *load_onnx(path).input_shape)
    assert _compared(path, x, labels, (9, 12, 12), None)[1].flips <= 10
