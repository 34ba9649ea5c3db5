"""Quantisation: exact where nothing needs rounding, close where it does."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from circuits.compare import compare, run_onnx
from circuits.errors import InputError, ShapeMismatch, UnsupportedOperator, WouldOverflow
from circuits.integer import quantise_input, run
from circuits.network import Add, NumberFormat
from circuits.onnx_import import load_onnx
from circuits.quantise import quantise, quantise_with_steps
from tests.models import Graph, floats, mnist, shared_model, whole

U8 = NumberFormat(8, False)
S8 = NumberFormat(8, True)


def image_network(
    graph: Graph, names: list[str], weight: type[np.floating] | None, seed: int, close: str
) -> Graph:
    """Add operators to a graph over [n, 4, 8, 8], then `close`, Flatten and Gemm."""
    rng = np.random.default_rng(seed)
    make = floats if weight else whole
    value, side = "x", 8
    for name in names:
        if name == "conv":
            value = graph.node("Conv", value, make(rng, 4, 2, 3, 3), make(rng, 4), group=2,
                               pads=[1, 1, 1, 1])  # fmt: skip
        elif name == "conv, no bias":
            value = graph.node("Conv", value, make(rng, 4, 4, 1, 1))
        elif name in ("average", "max") and side >= 2:
            operator = "AveragePool" if name == "average" else "MaxPool"
            value = graph.node(operator, value, kernel_shape=[2, 2], strides=[2, 2])
            side //= 2
        elif name == "residual":
            inner = graph.node("Conv", value, make(rng, 4, 4, 1, 1), make(rng, 4))
            value = graph.node("Add", graph.node("Relu", inner), value)
        else:
            value = graph.node("Relu", value)
    if close == "average of three" and side >= 3:
        value = graph.node("AveragePool", value, kernel_shape=[3, 3], strides=[1, 1])
        side -= 2
    flat = graph.node("Flatten", value)
    graph.node("Gemm", flat, make(rng, 4 * side * side, 3), make(rng, 3))
    return graph


NAMES = st.lists(
    st.sampled_from(["conv", "conv, no bias", "relu", "average", "max", "residual"]), max_size=3
)
QUIET = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)


@QUIET
@given(names=NAMES, seed=st.integers(0, 99))
def test_whole_weights_are_kept_exactly(tmp_path: Path, names: list[str], seed: int) -> None:
    path = image_network(Graph(("n", 4, 8, 8)), names, None, seed, "").save(tmp_path / "m.onnx", 3)
    network = load_onnx(path)
    architecture, weights, steps = quantise_with_steps(
        network, input_format=S8, input_exponent=0, weight_bits=6, rescale=False
    )
    x = whole(np.random.default_rng(seed), 4, 4, 8, 8, most=3)
    found = run(architecture, weights, quantise_input(architecture, x))
    step = steps[architecture.output]
    assert step.numerator == 1
    expected = network.run(x)
    assert found.tolist() == [[Fraction(v) / step for v in row] for row in expected.tolist()]
    np.testing.assert_allclose(run_onnx(path, x), expected, rtol=1e-4)


@QUIET
@given(
    names=NAMES,
    seed=st.integers(0, 99),
    close=st.sampled_from(["", "average of three"]),
    rescale=st.booleans(),
)
def test_real_weights_are_kept_closely(
    tmp_path: Path, names: list[str], seed: int, close: str, rescale: bool
) -> None:
    # Without rescaling the worst case of a deeper network does not fit 64 bits.
    assume(rescale or len(names) - names.count("relu") <= 2)
    graph = image_network(Graph(("n", 4, 8, 8)), names, np.float32, seed, close)
    path = graph.save(tmp_path / "m.onnx", 3)
    network = load_onnx(path)
    x = np.random.default_rng(seed).uniform(-1, 1, (20, 4, 8, 8)).astype(np.float32)
    architecture, weights, steps = quantise_with_steps(
        network, input_format=NumberFormat(10, True), input_exponent=9,
        weight_bits=12 if rescale else 9, activation_bits=12, rescale=rescale, calibration=x,
    )  # fmt: skip
    found = run(architecture, weights, quantise_input(architecture, x))
    expected = run_onnx(path, x)
    error = np.abs(found * float(steps[architecture.output]) - expected).max()
    assert error < 0.02 * max(1.0, float(np.abs(expected).max()))


def three_layers(tmp_path: Path, seed: int) -> Path:
    return image_network(
        Graph(("n", 4, 8, 8)), ["conv", "relu", "average"], np.float32, seed, ""
    ).save(tmp_path / f"{seed}.onnx", 3)


def test_all_contributors_have_one_circuit_without_rescaling(tmp_path: Path) -> None:
    made = [
        quantise(load_onnx(three_layers(tmp_path, seed)), input_format=U8, input_exponent=8,
                 rescale=False)
        for seed in (1, 2)
    ]  # fmt: skip
    assert made[0][0].digest == made[1][0].digest
    assert (made[0][1].flatten() != made[1][1].flatten()).any()


def test_sum_of_scales_that_no_shift_aligns(tmp_path: Path) -> None:
    def graph(kernel: int, conv: bool) -> Path:
        made = Graph(("n", 2, 6, 6))
        rng = np.random.default_rng(0)
        pads = [kernel // 2] * 2 + [(kernel - 1) // 2] * 2
        pooled = made.node("AveragePool", "x", kernel_shape=[kernel] * 2, pads=pads,
                           count_include_pad=1)  # fmt: skip
        if conv:
            pooled = made.node("Conv", pooled, floats(rng, 2, 2, 1, 1))
        total = made.node("Add", pooled, "x")
        made.node("Gemm", made.node("Flatten", total), floats(rng, 72, 3))
        return made.save(tmp_path / "m.onnx", 3)

    with pytest.raises(UnsupportedOperator, match="power of two"):
        quantise(load_onnx(graph(3, False)), input_format=U8, input_exponent=8, rescale=False)
    for kernel, conv, shifts in ((2, False, (0, 2)), (3, True, None)):
        made, weights = quantise(load_onnx(graph(kernel, conv)), input_format=U8, input_exponent=8,
                                 rescale=False)  # fmt: skip
        adds = [layer for layer in made.layers if isinstance(layer, Add)]
        assert shifts is None or adds[0].shifts == shifts
        x = np.random.default_rng(1).uniform(0, 0.99, (50, 2, 6, 6)).astype(np.float32)
        compare(tmp_path / "m.onnx", made, weights, x, np.zeros(50, np.int64), limit=0.05)


def test_large_bias_coarsens_the_step_and_zero_weights_do_no_harm(tmp_path: Path) -> None:
    for weight, bias in ((1e-3, 1000.0), (0.0, 3.0), (0.0, 0.0), (1e-20, 0.0), (1e10, 1e-10)):
        graph = Graph(("n", 2))
        graph.node("Gemm", "x", np.full((2, 2), weight, np.float32),
                   np.array([bias, -bias / 2], np.float32))  # fmt: skip
        network = load_onnx(graph.save(tmp_path / "m.onnx", 2))
        made, weights, steps = quantise_with_steps(
            network, input_format=U8, input_exponent=8, rescale=False
        )
        x = np.array([[0.5, 0.25]])
        found = run(made, weights, quantise_input(made, x)) * float(steps["dense1"])
        expected = network.run(x)
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


def test_errors(tmp_path: Path) -> None:
    network = load_onnx(three_layers(tmp_path, 1))
    for widths in ({"weight_bits": 1}, {"weight_bits": 33}, {"activation_bits": 1}):
        with pytest.raises(InputError, match="2 to 32"):
            quantise(network, input_format=U8, input_exponent=8, rescale=True, **widths)
    with pytest.raises(WouldOverflow, match="dense1"):
        quantise(network, input_format=U8, input_exponent=8, rescale=False, weight_bits=26)
    for bad in (np.zeros((0, 4, 8, 8)), np.zeros((1, 8, 8, 4))):
        with pytest.raises(ShapeMismatch):
            quantise(network, input_format=U8, input_exponent=8, rescale=True, calibration=bad)


def _mnist(*shape: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    images, labels = mnist()
    return images.reshape(-1, *shape), labels


@pytest.mark.shared
def test_mlp_flips_at_most_twenty_without_rescaling() -> None:
    x, labels = _mnist(784)
    path = shared_model("mlp_784_56_10.onnx")
    made, weights = quantise(load_onnx(path), input_format=U8, input_exponent=8, rescale=False)
    found = compare(path, made, weights, x, labels, ties="strict")
    assert found.float_correct == 9740
    assert found.flips <= 20


@pytest.mark.shared
def test_lenet5_without_rescaling_says_which_layer_overflows() -> None:
    network = load_onnx(shared_model("lenet5_mnist.onnx"))
    with pytest.raises(WouldOverflow, match="dense2"):
        quantise(network, input_format=U8, input_exponent=8, rescale=False)
