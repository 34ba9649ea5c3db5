"""The integer network is exact, bounded and counts as each backend counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from circuits import forward
from circuits.compare import compare
from circuits.errors import (
    CorruptedArtefact,
    ModelFormatError,
    NotFinite,
    ShapeMismatch,
    TooManyFlips,
    WouldOverflow,
)
from circuits.integer import (
    NO_PREDICTION,
    check_int64,
    count_correct,
    predict,
    quantise_input,
    run,
    trace,
)
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
    parameter_shapes,
)
from circuits.onnx_import import load_onnx
from circuits.quantise import quantise
from circuits.weights import Weights, parameter_limits
from tests.models import Graph, floats

S8 = NumberFormat(8, True)
U8 = NumberFormat(8, False)


def everything(weight_bits: int = 8) -> Architecture:
    """Return a network with every layer."""
    image = (2, 5, 5)
    return Architecture(
        image, S8, 4, weight_bits, 3,
        (
            Conv2d("c1", ("input",), image, (3, 2), (1, 1), (1, 1, 1, 0), (1, 1), 4, 2, True),
            Requantise("q1", ("c1",), (4, 5, 5), 6, S8),
            Conv2d("c2", ("q1",), (4, 5, 5), (1, 1), (1, 1), (0,) * 4, (1, 1), 4, 1, False),
            Add("a1", ("c2", "q1"), (4, 5, 5), (0, 5)),
            Relu("r1", ("a1",), (4, 5, 5)),
            MaxPool("m1", ("r1",), (4, 5, 5), (2, 2), (2, 2), (1, 0, 0, 1), (1, 1)),
            Requantise("q2", ("m1",), (4, 3, 3), 5, U8),
            SumPool("s1", ("q2",), (4, 3, 3), (2, 2), (1, 1), (0,) * 4, (2, 1)),
            Flatten("f1", ("s1",), (8,)),
            Dense("d1", ("f1",), 8, 3, True),
        ),
        "d1",
    )  # fmt: skip


def random_weights(architecture: Architecture, rng: np.random.Generator) -> Weights:
    limits = parameter_limits(architecture)
    arrays = {
        name: rng.integers(-limits[name], limits[name] + 1, shape)
        for name, shape in parameter_shapes(architecture).items()
    }
    return Weights(architecture, arrays)


def by_hand(
    architecture: Architecture, weights: Weights, x: NDArray[np.int64]
) -> dict[str, list[int]]:
    """Run one sample in Python integers, from the definitions and without `windows`."""
    values: dict[str, NDArray[Any]] = {"input": x.astype(object)}
    for layer in architecture.layers:
        given = [values[name] for name in layer.inputs]
        z = given[0]
        out: NDArray[Any]
        if isinstance(layer, Dense):
            out = z @ weights[f"{layer.name}.weight"].astype(object)
            if layer.bias:
                out = out + weights[f"{layer.name}.bias"].astype(object)
        elif isinstance(layer, Conv2d | SumPool | MaxPool):
            out = np.zeros(layer.shape, dtype=object)
            for place in np.ndindex(*layer.shape):
                out[place] = _window(layer, weights, z, place)
        elif isinstance(layer, Relu):
            out = np.maximum(z, 0)
        elif isinstance(layer, Add):
            out = sum(v * 2**s for v, s in zip(given, layer.shifts, strict=True))
        elif isinstance(layer, Flatten):
            out = z.reshape(-1)
        else:
            rounded = np.array([(int(v) + layer.half) // 2**layer.shift for v in z.reshape(-1)])
            out = np.clip(rounded, layer.format.low, layer.format.high).astype(object)
            out = out.reshape(z.shape)
        values[layer.name] = out
    return {name: [int(v) for v in value.reshape(-1)] for name, value in values.items()}


def _window(
    layer: Conv2d | SumPool | MaxPool, weights: Weights, z: NDArray[Any], place: tuple[int, ...]
) -> int:
    channel, row, column = place
    _, rows, columns = layer.input_shape
    reads = [channel]
    if isinstance(layer, Conv2d):
        each = layer.input_shape[0] // layer.groups
        first = channel // (layer.out_channels // layer.groups) * each
        reads = list(range(first, first + each))
    total, seen = 0, []
    for k, source in enumerate(reads):
        for i in range(layer.kernel[0]):
            for j in range(layer.kernel[1]):
                r = row * layer.stride[0] - layer.padding[0] + i * layer.dilation[0]
                c = column * layer.stride[1] - layer.padding[1] + j * layer.dilation[1]
                if not (0 <= r < rows and 0 <= c < columns):
                    continue
                value = int(z[source, r, c])
                seen.append(value)
                if isinstance(layer, Conv2d):
                    value *= int(weights[f"{layer.name}.weight"][channel, k, i, j])
                total += value
    if isinstance(layer, Conv2d) and layer.bias:
        total += int(weights[f"{layer.name}.bias"][channel])
    return max(seen) if isinstance(layer, MaxPool) else total


@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([2, 8, 20, 24]))
@settings(max_examples=40, deadline=None)
def test_run_is_the_definition_in_python_integers(seed: int, bits: int) -> None:
    # 24 bits pushes a layer past 2^53, so both ways of multiplying are met.
    rng = np.random.default_rng(seed)
    architecture = everything(bits)
    weights = random_weights(architecture, rng)
    x = rng.integers(-128, 128, (3, 2, 5, 5))
    found = run(architecture, weights, x)
    assert found.dtype == np.int64
    by_name = [by_hand(architecture, weights, sample) for sample in x]
    assert found.tolist() == [values["d1"] for values in by_name]
    traced = {name: value.T.tolist() for name, value in trace(architecture, weights, x)}
    assert traced == {name: [values[name] for values in by_name] for name in by_name[0]}


def test_trace_has_every_tensor_in_order_and_the_narrow_type_that_fits() -> None:
    architecture = everything(20)
    weights = random_weights(architecture, np.random.default_rng(0))
    x = np.random.default_rng(1).integers(-128, 128, (3, 2, 5, 5))
    traced = list(trace(architecture, weights, x))
    assert [name for name, _ in traced] == ["input", *(layer.name for layer in architecture.layers)]
    limits = bounds(architecture)
    for name, value in traced:
        assert value.shape == (np.prod(architecture.shape_of(name)), 3)
        assert value.flags.c_contiguous
        assert value.dtype == (np.int32 if limits[name] < 2**31 else np.int64)
    assert {value.dtype.name for _, value in traced} == {"int32", "int64"}


def test_rounding_may_need_more_bits_than_the_accumulator() -> None:
    layers = (
        Dense("d", ("input",), 2, 2, False),
        Requantise("q", ("d",), (2,), 31, S8),
    )
    architecture = Architecture((2,), NumberFormat(23, True), 0, 9, 2, layers, "q")
    assert 2**30 < bounds(architecture)["d"] < 2**31 < bounds(architecture)["d"] + 2**30
    weights = Weights(architecture, {"d.weight": np.full((2, 2), -255)})
    assert run(architecture, weights, np.full((1, 2), -(2**22))).tolist() == [[1, 1]]


def test_products_past_float64_are_exact() -> None:
    form = NumberFormat(30, True)
    architecture = Architecture(
        (3,), form, 0, 30, 2, (Dense("d", ("input",), 3, 2, True),), "d"
    )  # fmt: skip
    assert 2**53 < bounds(architecture)["d"] < 2**63
    rng = np.random.default_rng(0)
    weights = random_weights(architecture, rng)
    x = rng.integers(form.low, form.high + 1, (50, 3))
    found = run(architecture, weights, x).tolist()
    assert found == [by_hand(architecture, weights, sample)["d"] for sample in x]


def test_bound_is_reached() -> None:
    architecture = Architecture(
        (2,), S8, 0, 8, 2, (Dense("d", ("input",), 2, 2, True),), "d"
    )  # fmt: skip
    weights = Weights(
        architecture,
        {"d.weight": np.full((2, 2), -127), "d.bias": np.full(2, 127 * 128)},
    )
    found = run(architecture, weights, np.full((1, 2), -128))
    assert found.max() == bounds(architecture)["d"]


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    architecture = everything()
    weights = random_weights(architecture, rng)
    x = rng.integers(-128, 128, (23, 2, 5, 5))
    whole = run(architecture, weights, x)
    monkeypatch.setattr(forward, "_BATCH_ELEMENTS", 2000)
    assert (run(architecture, weights, x) == whole).all()
    assert run(architecture, weights, x[:0]).shape == (0, 3)


def test_samples_are_checked() -> None:
    architecture = everything()
    weights = random_weights(architecture, np.random.default_rng(0))
    with pytest.raises(ShapeMismatch, match=r"\[5, 5\].*\[2, 5, 5\]"):
        run(architecture, weights, np.zeros((2, 5, 5), dtype=np.int64))
    with pytest.raises(ShapeMismatch, match="float64"):
        run(architecture, weights, np.zeros((1, 2, 5, 5)))
    with pytest.raises(ShapeMismatch, match="float64"):
        trace(architecture, weights, np.zeros((1, 2, 5, 5)))  # before anything is yielded
    for value in (128, -129):
        with pytest.raises(WouldOverflow, match="input"):
            run(architecture, weights, np.full((1, 2, 5, 5), value))


def test_overflow_names_the_layer() -> None:
    layers = tuple(
        Dense(f"d{i}", (f"d{i - 1}" if i else "input",), 64, 64, False) for i in range(5)
    )
    architecture = Architecture((64,), U8, 8, 8, 64, layers, "d4")
    with pytest.raises(WouldOverflow, match="'d4' needs 74 bits") as caught:
        check_int64(architecture)
    assert caught.value.details["bits_available"] == 64


def test_weights_are_checked_and_flatten_in_order() -> None:
    architecture = everything()
    weights = random_weights(architecture, np.random.default_rng(5))
    flat = weights.flatten()
    again = Weights.from_flat(architecture, flat)
    assert list(again) == list(parameter_shapes(architecture))
    assert all((again[name] == weights[name]).all() for name in weights)
    assert flat[:4].tolist() == weights["c1.weight"].reshape(-1)[:4].tolist()
    assert "128" not in repr(weights)
    with pytest.raises(ValueError, match="read-only"):
        weights["d1.bias"][0] = 1
    with pytest.raises(CorruptedArtefact, match="values"):
        Weights.from_flat(architecture, flat[1:])
    arrays: dict[str, Any] = dict(weights)
    with pytest.raises(CorruptedArtefact, match="extra"):
        Weights(architecture, {**arrays, "extra": arrays["d1.bias"]})
    with pytest.raises(CorruptedArtefact, match=r"d1\.bias"):
        Weights(architecture, {**arrays, "d1.bias": arrays["d1.bias"].astype(float)})
    with pytest.raises(WouldOverflow, match=r"c1\.weight"):
        Weights(architecture, {**arrays, "c1.weight": np.full((4, 1, 3, 2), -128)})
    limit = 127 * 128
    Weights(architecture, {**arrays, "c1.bias": np.full(4, limit)})
    with pytest.raises(WouldOverflow, match=r"c1\.bias"):
        Weights(architecture, {**arrays, "c1.bias": np.full(4, limit + 1)})
    with pytest.raises(WouldOverflow):
        Weights(architecture, {**arrays, "c1.weight": np.full((4, 1, 3, 2), -(2**63))})
    with pytest.raises(WouldOverflow):
        Weights(architecture, {**arrays, "c1.weight": np.full((4, 1, 3, 2), 2**64 - 1, np.uint64)})


def test_inputs_round_to_even_and_saturate() -> None:
    architecture = everything()
    x = np.zeros((1, 2, 5, 5))
    x[0, 0, 0] = [0.5 / 16, 1.5 / 16, -2.5 / 16, 100, -100]
    assert quantise_input(architecture, x)[0, 0, 0].tolist() == [0, 2, -2, 127, -128]
    x[0, 0, 0, 0] = np.nan
    with pytest.raises(NotFinite):
        quantise_input(architecture, x)


def test_tie_rules() -> None:
    logits = np.array([[3, 1, 2], [5, 5, 0], [0, 4, 4], [0, 0, 0]])
    assert predict(logits, "first").tolist() == [0, 0, 1, 0]
    none = NO_PREDICTION
    assert predict(logits, "strict").tolist() == [0, none, none, none]
    labels = np.array([0, 0, 1, 0])
    assert count_correct(logits, labels, "first") == 4
    assert count_correct(logits, labels, "strict") == 1
    with pytest.raises(ShapeMismatch):
        count_correct(logits, labels[:3], "first")


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_compare_counts_flips(tmp_path: Path, batch: int | str) -> None:
    rng = np.random.default_rng(3)
    graph = Graph((batch, 6))
    graph.node("Gemm", "x", floats(rng, 6, 3), floats(rng, 3))
    path = graph.save(tmp_path / "m.onnx", 3)
    x = rng.normal(size=(203, 6)).astype(np.float32)
    network = load_onnx(path)
    labels = network.run(x).argmax(axis=1)
    fine = quantise(network, input_format=NumberFormat(16, True), input_exponent=12,
                    weight_bits=16, rescale=False)  # fmt: skip
    found = compare(path, *fine, x, labels)
    assert (found.samples, found.float_correct) == (203, 203)
    assert found.integer_correct == 203 - found.flips
    coarse = quantise(network, input_format=NumberFormat(2, True), input_exponent=0,
                      weight_bits=2, rescale=False)  # fmt: skip
    with pytest.raises(TooManyFlips, match=r"of 203 predictions.*0\.50%") as caught:
        compare(path, *coarse, x, labels)
    flips = caught.value.details["flips"]
    loose = compare(path, *coarse, x, labels, limit=1)
    assert loose.flips == flips
    assert loose.float_accuracy == 1.0
    assert loose.integer_accuracy == (203 - loose.flips) / 203
    with pytest.raises(ShapeMismatch):
        compare(path, *fine, x, labels[:-1])
    path.write_bytes(b"nothing")
    with pytest.raises(ModelFormatError, match="onnxruntime"):
        compare(path, *fine, x, labels)
