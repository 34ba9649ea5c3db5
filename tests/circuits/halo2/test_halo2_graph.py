"""The generated graph computes what the integer network computes, and counts what it counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from circuits.errors import CorruptedArtefact, UnsafeConfiguration, WouldOverflow
from circuits.halo2.graph import (
    INPUTS,
    build,
    checked_elements,
    range_exponent,
    vector_sizes,
    weight_order,
)
from circuits.halo2.model import weight_vector
from circuits.integer import count_correct, run
from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    NumberFormat,
    Relu,
    Requantise,
    SumPool,
    bounds,
)
from circuits.weights import Weights
from tests.circuits.halo2.halo2_world import mlp, random_weights

SALTS = (3, 2, 4, 0)
EXACT = 1 << 24
"""Integers up to here are exact in the 32-bit floats that onnxruntime computes with."""

ALLOWED = {
    "Reshape", "Transpose", "Gather", "Concat", "Add", "Sub", "Mul", "MatMul",
    "ReduceSum", "Relu", "Sign", "Equal", "Cast", "Pow",
}  # fmt: skip


@dataclass(frozen=True)
class Outputs:
    correct: int
    valid: int
    logits: NDArray[np.float32]
    in_range: float


def with_logits(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make an output of the logits, from which the one Sign takes its differences."""
    (sign,) = (node for node in model.graph.node if node.op_type == "Sign")
    (difference,) = (node for node in model.graph.node if sign.input[0] in node.output)
    model.graph.output.append(helper.make_empty_tensor_value_info(difference.input[1]))
    return model


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Round every power, as ezkl's table does and a float does not."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    nodes = []
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "Pow":
            name = node.output[0]
            node.output[0] = f"{name}_exact"
            nodes.append(helper.make_node("Round", [node.output[0]], [name]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def evaluate(
    model: onnx.ModelProto,
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    weights: NDArray[np.int64],
    *,
    seed: int = 0,
) -> Outputs:
    """Run a graph on vectors that end in random salts, as the committed ones do."""
    rng = np.random.default_rng(seed)
    context = rng.integers(0, EXACT, 2)
    values = (x.reshape(-1), y.reshape(-1), weights, context)
    feeds = {
        name: np.concatenate([vector, rng.integers(-EXACT, EXACT, salts)]).astype(np.float32)
        for name, vector, salts in zip(INPUTS, values, SALTS, strict=True)
    }
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        with_logits(rounded(model)).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    correct, valid, passed, in_range, logits = session.run(None, feeds)
    assert passed.tolist() == context.tolist()
    assert float(correct).is_integer() and float(valid).is_integer()
    return Outputs(int(correct), int(valid), logits, float(in_range))


def vector_of(architecture: Architecture, weights: Weights) -> NDArray[np.int64]:
    return np.array(weight_vector(architecture, weights), dtype=np.int64)


# --- random networks of every layer the graph knows

small = st.integers(1, 2)
pairs = st.tuples(small, small)
pads = st.tuples(*[st.integers(0, 1)] * 4)


@st.composite
def windowed(draw: st.DrawFn, kind: type[Conv2d | SumPool | MaxPool], name: str, source: str,
             shape: tuple[int, int, int]) -> Layer | None:  # fmt: skip
    """Return a layer over an image, or None where the drawn sizes do not fit it."""
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    padding = draw(pads)
    given_fields = (name, (source,), shape, kernel, stride, padding, dilation)
    try:
        if kind is Conv2d:
            groups = draw(st.sampled_from([g for g in (1, 2) if shape[0] % g == 0]))
            out = groups * draw(small)
            return Conv2d(*given_fields, out, groups, draw(st.booleans()))
        return kind(*given_fields)
    except CorruptedArtefact:  # the layers' own tests say which sizes are refused
        return None


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """A network that stays exact in 32-bit floats whatever its weights."""
    classes = draw(st.integers(2, 4))
    form = NumberFormat(draw(st.integers(1, 4)), draw(st.booleans()))
    layers: list[Layer] = []
    shape: tuple[int, ...]
    if draw(st.booleans()):
        shape = (draw(small), draw(st.integers(2, 4)), draw(st.integers(2, 4)))
    else:
        shape = (draw(st.integers(1, 5)),)
    input_shape, source = shape, "input"
    for index in range(draw(st.integers(0, 4))):
        name = f"l{index}"
        choices = ["relu", "add"] + (["conv", "sum", "max"] * 2 if len(shape) == 3 else ["dense"])
        choice = draw(st.sampled_from(choices))
        layer: Layer | None
        if choice == "relu":
            layer = Relu(name, (source,), shape)
        elif choice == "add":
            count = draw(st.integers(2, 3))
            others = [la.name for la in layers if la.shape == shape] or [source]
            inputs = (source, *(draw(st.sampled_from(others)) for _ in range(count - 1)))
            shifts = tuple(draw(st.integers(0, 2)) for _ in range(count))
            layer = Add(name, inputs, shape, shifts)
        elif choice == "dense":
            layer = Dense(name, (source,), shape[0], draw(st.integers(1, 5)), draw(st.booleans()))
        else:
            kind = {"conv": Conv2d, "sum": SumPool, "max": MaxPool}[choice]
            layer = draw(windowed(kind, name, source, shape))  # type: ignore[arg-type]
        if layer is not None:
            layers.append(layer)
            source, shape = name, layer.shape
    if len(shape) == 3:
        layers.append(Flatten("flat", (source,), (math.prod(shape),)))
        source, shape = "flat", (math.prod(shape),)
    layers.append(Dense("last", (source,), shape[0], classes, draw(st.booleans())))
    bits = draw(st.integers(2, 4))
    made = Architecture(input_shape, form, 0, bits, classes, tuple(layers), "last")
    if 4 * classes * max(bounds(made).values()) >= EXACT:
        made = replace(made, input_format=NumberFormat(1, form.signed), weight_bits=2)
    return made


@st.composite
def shards(draw: st.DrawFn) -> tuple[Architecture, int, int, int]:
    """A network, a shard size, how many of its samples are real, and a seed."""
    architecture = draw(architectures())
    size = draw(st.integers(1, 4))
    return architecture, size, draw(st.integers(0, size)), draw(st.integers(0, 2**32 - 1))


@settings(max_examples=300,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])  # fmt: skip
@given(shards())
def test_graph_equals_integer_network(case: tuple[Architecture, int, int, int]) -> None:
    architecture, size, real, seed = case
    if 4 * architecture.classes * max(bounds(architecture).values()) >= EXACT:
        return  # deeper than 32-bit floats can follow; the next example is not
    rng = np.random.default_rng(seed)
    form, classes = architecture.input_format, architecture.classes
    weights = random_weights(architecture, rng)
    x = rng.integers(form.low, form.high + 1, (size, *architecture.input_shape))
    x[real:] = 0
    logits = run(architecture, weights, x)
    # Right labels often enough that counts differ from zero; padding has the label C.
    y = np.where(rng.random(size) < 0.6, logits.argmax(axis=1), rng.integers(0, classes, size))
    y[real:] = classes
    expected = count_correct(logits, y, "strict")
    stray = rng.integers(0, real + 1) if real else 0
    for at in range(stray):
        y[at] = rng.choice([-1, classes, classes + 1, 1000])
    if stray:
        expected = count_correct(logits[stray:real], y[stray:real], "strict")

    found = evaluate(build(architecture, size, SALTS), x, y, vector_of(architecture, weights))
    assert (found.logits == logits).all()
    assert found.correct == expected
    assert found.valid == real - stray
    assert found.in_range == checked_elements(architecture, size)


def everything() -> Architecture:
    """One network with every layer, groups, dilation, padding on all sides and shifts."""
    image = (2, 4, 4)
    return Architecture(
        image, NumberFormat(2, True), 0, 2, 3,
        (
            Conv2d("c1", ("input",), image, (2, 2), (1, 1), (1, 0, 1, 2), (2, 1), 4, 2, True),
            Relu("r1", ("c1",), (4, 4, 5)),
            Add("a1", ("c1", "r1", "c1"), (4, 4, 5), (0, 3, 1)),
            MaxPool("m1", ("a1",), (4, 4, 5), (2, 2), (2, 2), (1, 0, 0, 1), (1, 2)),
            SumPool("s1", ("m1",), (4, 2, 2), (2, 1), (1, 1), (0, 1, 1, 0), (1, 1)),
            Conv2d("c2", ("s1",), (4, 2, 3), (1, 2), (1, 1), (0,) * 4, (1, 1), 2, 1, False),
            Flatten("f1", ("c2",), (8,)),
            Dense("d1", ("f1",), 8, 3, True),
        ),
        "d1",
    )  # fmt: skip


def test_network_with_every_layer() -> None:
    architecture = everything()
    assert 4 * 3 * max(bounds(architecture).values()) < EXACT
    model = build(architecture, 6, SALTS)
    counts = set()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        weights = random_weights(architecture, rng)
        x = rng.integers(-2, 2, (6, 2, 4, 4))
        y = rng.integers(0, 3, 6)
        logits = run(architecture, weights, x)
        expected = count_correct(logits, y, "strict")
        found = evaluate(model, x, y, vector_of(architecture, weights), seed=seed)
        assert (found.logits == logits).all()
        assert (found.correct, found.valid) == (expected, 6)
        counts.add(expected)
    assert len(counts) > 2, "the examples must not all have the same count"


def test_padding_never_wins_a_maximum() -> None:
    """Every window holds one real value, so the pool changes nothing, negative values included."""
    image = (1, 2, 2)
    layers = (
        MaxPool("m", ("input",), image, (2, 2), (2, 2), (1, 1, 1, 1), (1, 1)),
        Flatten("f", ("m",), (4,)),
    )
    architecture = Architecture(image, NumberFormat(4, True), 0, 2, 4, layers, "f")
    x = np.array([[-5, -1, -3, -4], [-1, -2, -3, -8], [7, -8, 0, 3]]).reshape(3, 1, 2, 2)
    found = evaluate(
        build(architecture, 3, SALTS), x, np.array([1, 0, 0]), np.zeros(0, dtype=np.int64)
    )
    assert found.logits.reshape(-1).tolist() == x.reshape(-1).tolist()
    assert found.correct == 3


def test_ties_count_as_wrong() -> None:
    architecture = Architecture(
        (2,), NumberFormat(2, False), 0, 2, 2, (Dense("d", ("input",), 2, 2, False),), "d"
    )
    model = build(architecture, 3, SALTS)
    identity = np.array([1, 0, 0, 1])
    x = np.array([[2, 1], [1, 1], [0, 0]])
    for labels, expected in (([0, 0, 0], 1), ([1, 1, 1], 0)):
        assert evaluate(model, x, np.array(labels), identity).correct == expected


@pytest.mark.parametrize("label", [-3, -1, 2, 3, 7, EXACT - 1])
def test_no_stray_label_is_ever_right(label: int) -> None:
    """Whatever the logits: all negative makes every sign of a sample without a label positive."""
    architecture = Architecture(
        (2,), NumberFormat(3, True), 0, 2, 2, (Dense("d", ("input",), 2, 2, False),), "d"
    )
    model = build(architecture, 4, SALTS)
    x = np.array([[-4, -4], [-1, -3], [0, 0], [3, -2]])
    found = evaluate(model, x, np.full(4, label), np.array([1, 0, 0, 1]))
    assert (found.correct, found.valid) == (0, 0)


# --- range checks


@settings(max_examples=60)
@given(st.data())
def test_one_element_out_of_range_shows(data: st.DataObject) -> None:
    form = NumberFormat(data.draw(st.integers(1, 6)), data.draw(st.booleans()))
    architecture = mlp(
        features=2, hidden=2, classes=2, input_format=form,
        weight_bits=data.draw(st.integers(2, 6)),
    )  # fmt: skip
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    x = rng.integers(form.low, form.high + 1, (2, 2))
    weights = vector_of(architecture, random_weights(architecture, rng))
    model = build(architecture, 2, SALTS)
    y = np.zeros(2, np.int64)
    expected = checked_elements(architecture, 2)
    assert evaluate(model, x, y, weights).in_range == expected
    beyond = data.draw(st.integers(1, 40))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, 3))
        x.reshape(-1)[place] = data.draw(st.sampled_from([form.low - beyond, form.high + beyond]))
    else:
        # The 8 weights come first; what follows are biases, whose range is the accumulators'.
        place = data.draw(st.integers(0, 7))
        limit = architecture.weight_max + beyond
        weights[place] = data.draw(st.sampled_from([-limit, limit]))
    # NaN, for a negative base, is as different as any other number.
    assert evaluate(model, x, y, weights).in_range != expected


@pytest.mark.parametrize("bits", range(1, 17))
def test_exponent_separates_exactly(bits: int) -> None:
    """For features, 2^bits values; for weights, two fewer than that plus one."""
    for values in {1 << bits, max(2, (1 << bits) - 1)}:
        exponent = range_exponent(values)
        assert exponent == float(np.float32(exponent)), "a graph holds 32-bit floats"
        inside = np.arange(1, values + 1, dtype=np.float64) ** exponent
        assert (np.rint(inside) == 1).all()
        assert np.rint(np.float64(values + 1) ** exponent) >= 2
        # The margin must survive a power function that is a few units in the last place off.
        assert inside[-1] < 1.5 - 1e-9 and (values + 1) ** exponent > 1.5 + 1e-9


def test_exponent_that_cannot_separate_is_refused() -> None:
    with pytest.raises(UnsafeConfiguration, match="no range check separates"):
        range_exponent(1 << 40)


# --- form of the graph


def test_graph_has_only_examined_operators_and_no_weight() -> None:
    model = build(everything(), 2, SALTS)
    assert {node.op_type for node in model.graph.node} <= ALLOWED
    assert [i.name for i in model.graph.input] == list(INPUTS)
    sizes = vector_sizes(everything(), 2)
    lengths = [i.type.tensor_type.shape.dim[0].dim_value for i in model.graph.input]
    assert lengths == [size + salts for size, salts in zip(sizes, SALTS, strict=True)]
    for constant in model.graph.initializer:
        array = numpy_helper.to_array(constant)
        if array.dtype == np.float32 and array.size > 1:
            # Zeros behind padding and the class numbers; nothing else may be a float tensor.
            assert not array.any() or array.reshape(-1).tolist() == [0.0, 1.0, 2.0]


def test_graph_is_deterministic() -> None:
    first, second = (
        build(everything(), 3, SALTS).SerializeToString(deterministic=True) for _ in range(2)
    )
    assert first == second


def test_weights_stand_before_biases() -> None:
    order = weight_order(everything())
    assert order == ["c1.weight", "c2.weight", "d1.weight", "c1.bias", "d1.bias"]
    size = vector_sizes(everything(), 1)[2]
    weights = random_weights(everything(), np.random.default_rng(0))
    vector = weight_vector(everything(), weights)
    assert len(vector) == size
    taps = weights["c1.weight"].size
    assert vector[:taps] == weights["c1.weight"].reshape(-1).tolist()
    assert vector[-3:] == weights["d1.bias"].tolist()


def test_checked_elements_are_features_and_weights_without_biases() -> None:
    assert checked_elements(mlp(features=4, hidden=5, classes=3), 7) == 7 * 4 + 4 * 5 + 5 * 3


def test_rescaling_is_refused() -> None:
    form = NumberFormat(4, True)
    architecture = Architecture(
        (2,), form, 0, 4, 2,
        (Dense("d", ("input",), 2, 2, True), Requantise("q", ("d",), (2,), 3, form)),
        "q",
    )  # fmt: skip
    with pytest.raises(UnsafeConfiguration, match="layer 'q' rescales"):
        build(architecture, 1, SALTS)


def test_shift_beyond_a_float_is_refused() -> None:
    architecture = Architecture(
        (2,), NumberFormat(1, False), 0, 2, 2,
        (Dense("d", ("input",), 2, 2, False), Add("a", ("d", "d"), (2,), (0, 24))),
        "a",
    )  # fmt: skip
    with pytest.raises(WouldOverflow) as caught:
        build(architecture, 1, SALTS)
    assert caught.value.details["bits_available"] == 24


def test_largest_shift_that_fits_is_exact() -> None:
    architecture = Architecture(
        (1,), NumberFormat(1, False), 0, 2, 2,
        (Dense("d", ("input",), 1, 2, False), Add("a", ("d", "d"), (2,), (0, 22))),
        "a",
    )  # fmt: skip
    model = build(architecture, 1, SALTS)
    assert Fraction(bounds(architecture)["a"]) < EXACT
    found = evaluate(model, np.array([[1]]), np.array([1]), np.array([0, 1]))
    assert found.correct == 1
