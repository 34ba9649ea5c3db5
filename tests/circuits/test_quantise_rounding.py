"""Weights are rounded so that errors cancel on inputs like those seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from circuits import forward, rounding
from circuits.integer import quantise_input, run
from circuits.layers import Conv2d, NumberFormat, windows
from circuits.onnx_import import load_onnx
from circuits.quantise import quantise_with_steps
from circuits.rounding import Moments, input_moments, round_weights
from tests.models import Graph, floats


def _moments(x: NDArray[np.float64]) -> Moments:
    return Moments(len(x), x.sum(axis=0), x.T @ x)


def _correlated(rng: np.random.Generator, count: int, size: int) -> NDArray[np.float64]:
    """Return samples [count, size] that a few directions explain, like images, with a mean."""
    return rng.normal(size=(count, 4)) @ rng.normal(size=(4, size)) + rng.uniform(0, 9, size)


@pytest.mark.parametrize("bias", [False, True])
def test_errors_cancel_on_correlated_inputs(bias: bool) -> None:
    rng = np.random.default_rng(0)
    x = _correlated(rng, 600, 40)
    weight = rng.normal(0, 20, (40, 7))
    limit = 60

    def error(rounded: NDArray[np.float64]) -> float:
        found = x[300:] @ (weight.clip(-limit, limit) - rounded)
        return float(np.square(found - (found.mean(axis=0) if bias else 0)).mean())

    nearest = round_weights(weight, limit, None, bias=bias)
    assert (nearest == np.rint(weight).clip(-limit, limit)).all()
    better = round_weights(weight.clip(-limit, limit), limit, _moments(x[:300]), bias=bias)
    assert (better == np.rint(better)).all()
    assert np.abs(better).max() <= limit
    assert error(better) < error(nearest) / 5


def test_only_a_bias_makes_up_for_the_mean() -> None:
    rng = np.random.default_rng(0)
    # All inputs are large, and hardly vary.
    x = 100 + rng.normal(size=(200, 30))
    weight = rng.normal(0, 5, (30, 50))
    moments = _moments(x)

    def mean_error(bias: bool) -> float:
        rounded = round_weights(weight, 99, moments, bias=bias)
        return float(np.abs(x.mean(axis=0) @ (weight - rounded)).mean())

    assert mean_error(False) < mean_error(True) / 3


def test_the_bias_makes_up_for_the_mean(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = 0.9 + 0.02 * rng.normal(size=(300, 30))
    graph = Graph(("n", 30))
    graph.node("Gemm", "x", floats(rng, 30, 20), floats(rng, 20))
    network = load_onnx(graph.save(tmp_path / "m.onnx", 20))
    made, weights, steps = quantise_with_steps(
        network, input_format=NumberFormat(16, False), input_exponent=15, weight_bits=4,
        rescale=True, calibration=x,
    )  # fmt: skip
    found = run(made, weights, quantise_input(made, x)) * float(steps[made.output])
    error = found - network.run(x)
    assert np.abs(error.mean(axis=0)).max() < np.abs(error).max() / 100


def test_inputs_that_never_vary_round_to_the_nearest() -> None:
    weight = np.array([[0.4, 7.6], [-1.2, 3.0]])
    found = round_weights(weight, 5, _moments(np.full((9, 2), 3.0)), bias=True)
    assert found.tolist() == [[0, 5], [-1, 3]]


def test_moments_are_those_of_what_each_group_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    graph = Graph(("n", 4, 5, 5))
    conv = graph.node("Conv", "x", floats(rng, 6, 2, 3, 2), group=2, pads=[1, 1, 1, 0],
                      strides=[2, 1])  # fmt: skip
    graph.node("Gemm", graph.node("Flatten", graph.node("Relu", conv)), floats(rng, 90, 3))
    network = load_onnx(graph.save(tmp_path / "m.onnx", 3))
    x = rng.normal(size=(8, 4, 5, 5))
    # Several batches, and several parts of each.
    monkeypatch.setattr(forward, "_BATCH_ELEMENTS", 300)
    monkeypatch.setattr(forward, "_GATHER_ELEMENTS", 100)
    found = input_moments(network, x)
    layer = network.layers[0]
    assert isinstance(layer, Conv2d)
    padded = np.concatenate([x.reshape(8, -1), np.zeros((8, 1))], axis=1)
    for moments, index in zip(found["conv1"], windows(layer), strict=True):
        read = padded[:, index].reshape(-1, layer.fan_in)
        np.testing.assert_allclose(moments.mean, read.mean(axis=0), atol=1e-12)
        np.testing.assert_allclose(moments.second, read.T @ read / len(read), atol=1e-12)
    assert [moments.count for moments in found["dense1"]] == [8]
    monkeypatch.setattr(rounding, "_MAX_FAN_IN", 50)
    assert list(input_moments(network, x)) == ["conv1"]
