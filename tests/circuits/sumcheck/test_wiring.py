"""The wiring of networks against explicit lists of all products, and against running them."""

import numpy as np
import pytest
from field_reference import elements, k_sum, k_vector

from circuits.integer import run
from circuits.layers import INPUT, Dense, MaxPool, NumberFormat, SumPool
from circuits.onnx_import import load_onnx
from circuits.quantise import quantise
from circuits.sumcheck.field_k import ZERO
from circuits.sumcheck.pooling import taps
from circuits.sumcheck.public import Metrics
from circuits.sumcheck.relation import accuracy, well_formed
from circuits.sumcheck.wiring import (
    Coefficients,
    bias_coefficients,
    input_coefficients,
    weight_coefficients,
)
from tests.circuits.sumcheck.slow_prover import World, broken, uses
from tests.circuits.sumcheck.toy_networks import (
    NETWORKS,
    convolution,
    dense,
    pool,
    random_samples,
    random_weights,
)
from tests.models import Graph, floats


def random_convolution(rng):
    groups, inner, outer = rng.integers(1, 4, 3)
    channels = int(groups * inner)
    kernel, stride, dilation = (tuple(map(int, rng.integers(1, 4, 2))) for _ in range(3))
    padding = tuple(map(int, rng.integers(0, 3, 4)))
    reach = [dilation[i] * (kernel[i] - 1) + 1 for i in range(2)]
    shape = (channels, *(int(reach[i] + rng.integers(0, 4)) for i in range(2)))
    return convolution(
        "c",
        INPUT,
        shape,
        int(groups * outer),
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=int(groups),
    )


LAYERS = [random_convolution(np.random.default_rng(seed)) for seed in range(30)]
LAYERS += [dense("d", INPUT, 5, 3), dense("d", INPUT, 1, 1)]


def sizes(layer):
    inputs = layer.in_features if isinstance(layer, Dense) else int(np.prod(layer.input_shape))
    if isinstance(layer, Dense):
        return inputs, (inputs, layer.out_features), layer.out_features
    shape = (layer.out_channels, layer.input_shape[0] // layer.groups, *layer.kernel)
    return inputs, shape, int(np.prod(layer.shape))


def dot(coefficients, values):
    pairs = zip(k_vector(coefficients), np.asarray(values).reshape(-1).tolist(), strict=True)
    return k_sum(c * int(v) for c, v in pairs)


@pytest.mark.parametrize("layer", LAYERS, ids=range(len(LAYERS)))
def test_products_are_those_of_the_list(layer):
    rng = np.random.default_rng(0)
    inputs, shape, outputs = sizes(layer)
    weight = rng.integers(-100, 101, shape)
    e, z = elements(rng, outputs, 2), elements(rng, inputs, 2)
    e_list, z_list, w = k_vector(e), k_vector(z), weight.reshape(-1).tolist()
    m, g = [ZERO] * inputs, [ZERO] * len(w)
    for i, k, o in uses(layer):
        m[i] += e_list[o] * w[k]
        g[k] += z_list[i] * e_list[o]
    found_m, found_g = input_coefficients(layer, weight, e), weight_coefficients(layer, z, e)
    assert (k_vector(found_m), k_vector(found_g)) == (m, g)
    # The same bilinear form, by inputs and by weights.
    assert k_sum(x * y for x, y in zip(z_list, m, strict=True)) == dot(found_g, weight)


def test_a_bias_counts_at_every_position():
    rng = np.random.default_rng(0)
    layer = convolution("c", INPUT, (1, 3, 2), 2)
    e = elements(rng, 4, 2)
    listed = k_vector(e)
    assert k_vector(bias_coefficients(layer, e)) == [k_sum(listed[:2]), k_sum(listed[2:])]
    assert bias_coefficients(dense("d", INPUT, 3, 4), e) is e


def one_sample(architecture, weights, seed):
    rng = np.random.default_rng(seed)
    relation = accuracy(architecture, 0, 9, Metrics(), 0)
    return World(relation, 1, random_samples(architecture, 1, rng), [0], None, weights)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_coefficients_are_traced_back_to_what_is_committed(name, seed):
    rng = np.random.default_rng(seed)
    architecture = NETWORKS[name]
    world = one_sample(architecture, random_weights(architecture, rng), seed)
    traced = Coefficients(world.relation)
    expected = ZERO
    for tensor, values in world.tensors.items():
        e = elements(rng, len(values), 2)
        traced.tensor(tensor)[...] = e
        expected += dot(e, values)
    found = dot(traced.trace_back(), world.tensors[INPUT])
    found += dot(traced.features, world.proof)
    for item in world.relation.linear:
        layer, e = item.layer, traced.accumulators[item.layer.name]
        m = input_coefficients(layer, world.weights[f"{layer.name}.weight"], e)
        found += dot(m, world.tensors[layer.inputs[0]])
        if layer.bias:
            found += dot(bias_coefficients(layer, e), world.weights[f"{layer.name}.bias"])
    assert found == expected


@pytest.mark.parametrize("name", ["max pools", "pooled accumulator"])
def test_differences_of_a_max_pool(name):
    rng = np.random.default_rng(0)
    world = one_sample(NETWORKS[name], random_weights(NETWORKS[name], rng), 0)
    for layer in world.relation.architecture.layers:
        if isinstance(layer, MaxPool):
            differences, _, last = world.chain(layer)
            e = elements(rng, len(differences), 2)
            traced = Coefficients(world.relation)
            traced.add_differences(layer, e)
            found = dot(traced.tensor(layer.inputs[0]), world.tensors[layer.inputs[0]])
            assert found + dot(traced.features, world.proof) == dot(e, differences)
            assert np.array_equal(last, world.tensors[layer.name])


@pytest.mark.parametrize("kind", [MaxPool, SumPool])
def test_taps_are_real_and_numbered_by_window(kind):
    layer = pool(kind, "p", INPUT, (2, 2, 3), padding=(1, 0, 0, 1))
    found = taps(layer)
    windows = np.split(found.inputs, found.starts[1:-1])
    assert [window.tolist() for window in windows[:6]] == [
        [0, 1],
        [1, 2],
        [2],
        [0, 1, 3, 4],
        [1, 2, 4, 5],
        [2, 5],
    ]
    assert [window.tolist() for window in windows[6:]] == [
        [tap + 6 for tap in window.tolist()] for window in windows[:6]
    ]
    assert found.increments == 2 * (1 + 1 + 0 + 3 + 3 + 1)


def quantised(tmp_path, seed):
    """A small convolutional network with a residual and both poolings, from floats."""
    rng = np.random.default_rng(seed)
    graph = Graph(("n", 1, 4, 4))
    value = graph.node(
        "Conv", "x", floats(rng, 2, 1, 3, 3), floats(rng, 2), pads=[1, 1, 1, 1], strides=[1, 1]
    )
    value = graph.node("MaxPool", graph.node("Relu", value), kernel_shape=[2, 2], strides=[2, 2])
    inner = graph.node("Conv", value, floats(rng, 2, 1, 1, 1), floats(rng, 2), group=2)
    value = graph.node("Add", inner, value)
    value = graph.node("AveragePool", value, kernel_shape=[2, 1])
    value = graph.node("Gemm", graph.node("Flatten", value), floats(rng, 4, 3), floats(rng, 3))
    return quantise(
        load_onnx(graph.save(tmp_path / "m.onnx", 3)),
        input_format=NumberFormat(3, True),
        input_exponent=2,
        weight_bits=3,
        activation_bits=3,
        rescale=True,
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_quantised_network(tmp_path, seed):
    architecture, weights = quantised(tmp_path, seed)
    world = one_sample(architecture, weights, seed)
    x = world.shard[: world.relation.shard.inputs].T.reshape(1, *architecture.input_shape)
    assert run(architecture, weights, x).reshape(-1).tolist() == (
        world.tensors[architecture.output].reshape(-1).tolist()
    )
    assert broken(world) == []


def test_a_relation_without_a_network_has_no_wiring():
    with pytest.raises(ValueError, match="network"):
        Coefficients(well_formed(NumberFormat(2, True), 2, 2, 0, 0, 9))
