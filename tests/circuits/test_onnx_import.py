"""Every supported operator agrees with onnxruntime; everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from circuits.compare import run_onnx
from circuits.errors import (
    DynamicShape,
    MissingArtefact,
    ModelFormatError,
    NotFinite,
    UnsupportedOperator,
    ZkpotError,
)
from circuits.network import Add, Conv2d, Relu
from circuits.onnx_import import load_onnx
from tests.models import Graph, floats, mnist, shared_model

RNG = np.random.default_rng(1)
Build = Callable[[Graph], str]


def agrees(path: Path, *shape: int) -> None:
    """Check our float network against onnxruntime on random samples."""
    x = np.random.default_rng(2).normal(size=(5, *shape)).astype(np.float32)
    np.testing.assert_allclose(load_onnx(path).run(x), run_onnx(path, x), rtol=1e-3, atol=1e-4)


def image(path: Path, build: Build, *, classes: int = 3, side: int = 9, channels: int = 4) -> None:
    """Check a network on images that ends in Flatten and Gemm."""
    graph = Graph(("batch", channels, side, side), opset=22)
    made = build(graph)
    flat = graph.node("Flatten", made)
    probe = onnx.shape_inference.infer_shapes(graph.model(1))
    dims = {v.name: v.type.tensor_type.shape.dim for v in probe.graph.value_info}[made]
    size = int(np.prod([d.dim_value for d in dims[1:]]))
    graph.node("Gemm", flat, floats(RNG, size, classes), floats(RNG, classes))
    agrees(graph.save(path / "m.onnx", classes), channels, side, side)


def batch_norm(graph: Graph, x: str, channels: int, **attributes: Any) -> str:
    scale, offset, mean = (floats(RNG, channels) for _ in range(3))
    variance = RNG.uniform(0.5, 2, channels).astype(np.float32)
    return graph.node("BatchNormalization", x, scale, offset, mean, variance, **attributes)


IMAGES: dict[str, Build] = {
    "conv": lambda g: g.node("Conv", "x", floats(RNG, 5, 4, 3, 3), floats(RNG, 5)),
    "conv without bias": lambda g: g.node("Conv", "x", floats(RNG, 5, 4, 1, 3)),
    "conv, everything": lambda g: g.node(
        "Conv", "x", floats(RNG, 6, 2, 3, 2), floats(RNG, 6), group=2, strides=[2, 1],
        pads=[1, 0, 2, 1], dilations=[2, 1]),
    "depthwise": lambda g: g.node("Conv", "x", floats(RNG, 8, 1, 3, 3), group=4),
    "conv same upper": lambda g: g.node(
        "Conv", "x", floats(RNG, 2, 4, 2, 4), auto_pad="SAME_UPPER", strides=[2, 3]),
    "conv same lower": lambda g: g.node(
        "Conv", "x", floats(RNG, 2, 4, 2, 4), auto_pad="SAME_LOWER", strides=[2, 1]),
    "conv valid": lambda g: g.node("Conv", "x", floats(RNG, 2, 4, 3, 3), auto_pad="VALID"),
    "relu": lambda g: g.node("Relu", "x"),
    "average": lambda g: g.node("AveragePool", "x", kernel_shape=[3, 2], strides=[2, 1]),
    "average with padding": lambda g: g.node(
        "AveragePool", "x", kernel_shape=[3, 3], pads=[1, 0, 1, 2], count_include_pad=1),
    "average, idle ceil_mode": lambda g: g.node(
        "AveragePool", "x", kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1),
    "global average": lambda g: g.node("GlobalAveragePool", "x"),
    "max": lambda g: g.node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2]),
    "max with padding": lambda g: g.node(
        "MaxPool", "x", kernel_shape=[3, 3], pads=[1, 1, 0, 2], strides=[2, 2]),
    "max, ceil_mode": lambda g: g.node(
        "MaxPool", "x", kernel_shape=[3, 2], strides=[2, 4], ceil_mode=1),
    "max, ceil_mode drops a window": lambda g: g.node(
        "MaxPool", "x", kernel_shape=[2, 2], strides=[4, 3], pads=[1, 1, 1, 1], ceil_mode=1),
    "max with dilation": lambda g: g.node("MaxPool", "x", kernel_shape=[2, 3], dilations=[3, 2]),
    "residual": lambda g: g.node(
        "Add", g.node("Relu", g.node("Conv", "x", floats(RNG, 4, 4, 1, 1))), "x"),
    "twice": lambda g: g.node("Add", "x", "x"),
    "norm after conv": lambda g: batch_norm(
        g, g.node("Conv", "x", floats(RNG, 5, 4, 3, 3), floats(RNG, 5)), 5),
    "norm after conv without bias": lambda g: batch_norm(
        g, g.node("Conv", "x", floats(RNG, 5, 4, 3, 3)), 5, epsilon=0.1),
    "norm before conv": lambda g: g.node(
        "Conv", batch_norm(g, "x", 4), floats(RNG, 6, 2, 3, 3), floats(RNG, 6), group=2),
    "norm before padded conv": lambda g: g.node(
        "Conv", batch_norm(g, "x", 4), floats(RNG, 6, 4, 3, 3), pads=[1, 1, 1, 1]),
    "norm before dense": lambda g: batch_norm(g, g.node("Relu", "x"), 4),
    "norm before relu": lambda g: g.node("Relu", batch_norm(g, "x", 4)),
    "two norms": lambda g: batch_norm(g, batch_norm(g, "x", 4), 4),
    "constant after conv": lambda g: g.node(
        "Add", floats(RNG, 5, 1, 1), g.node("Conv", "x", floats(RNG, 5, 4, 3, 3))),
    "constant number": lambda g: g.node("Add", "x", floats(RNG, 1)),
    "identity, dropout, cast": lambda g: g.node(
        "Cast", g.node("Dropout", g.node("Identity", "x")), to=1),
}  # fmt: skip


@pytest.mark.parametrize("name", IMAGES)
def test_operator_on_images(tmp_path: Path, name: str) -> None:
    image(tmp_path, IMAGES[name])


def test_norm_is_folded_only_where_nothing_else_reads(tmp_path: Path) -> None:
    def build(graph: Graph) -> str:
        conv = graph.node("Conv", "x", floats(RNG, 4, 4, 3, 3))
        renamed = graph.node("Identity", conv)
        norm = batch_norm(graph, renamed, 4)
        return graph.node("Add", graph.node("Relu", conv), graph.node("Relu", norm))

    image(tmp_path, build)
    made = load_onnx(tmp_path / "m.onnx")
    assert [type(layer) for layer in made.layers[:4]] == [Conv2d, Relu, Conv2d, Relu]


def test_norm_behind_a_reshape_that_does_nothing(tmp_path: Path) -> None:
    graph = Graph((1, 6))
    dense = graph.node("MatMul", "x", floats(RNG, 6, 3))
    same = graph.node("Reshape", dense, np.array([1, -1]))
    graph.node("Add", graph.node("Relu", dense), graph.node("Add", same, floats(RNG, 3)))
    path = graph.save(tmp_path / "m.onnx", 3)
    with pytest.raises(UnsupportedOperator, match="on a vector"):
        load_onnx(path)


def test_gemm_and_matmul(tmp_path: Path) -> None:
    graph = Graph(("n", 6))
    first = graph.node(
        "Gemm", "x", floats(RNG, 7, 6), floats(RNG, 7), transB=1, alpha=0.5, beta=2.0
    )
    second = graph.node("Relu", graph.node("Gemm", first, floats(RNG, 7, 5)))
    third = graph.node("Add", graph.node("MatMul", second, floats(RNG, 5, 4)), floats(RNG, 4))
    norm = batch_norm(graph, graph.node("Relu", third), 4)
    graph.node("Softmax", graph.node("Add", graph.node("MatMul", norm, floats(RNG, 4, 3)),
                                     floats(RNG, 1, 3)))  # fmt: skip
    path = graph.save(tmp_path / "m.onnx", 3)
    x = np.random.default_rng(3).normal(size=(6, 6)).astype(np.float32)
    logits = load_onnx(path).run(x)
    soft = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(soft, run_onnx(path, x), atol=1e-5)


def test_shape_computation_of_an_exporter(tmp_path: Path) -> None:
    graph = Graph(("batch", 2, 3, 3))
    shape = graph.node("Shape", "x")
    size = graph.node("Gather", shape, np.array(0), axis=0)
    one = graph.node("Unsqueeze", size, np.array([0]))
    target = graph.node("Concat", one, np.array([-1]), axis=0)
    flat = graph.node("Reshape", "x", target)
    weight = graph.node("Transpose", floats(RNG, 4, 18), perm=[1, 0])
    graph.node("MatMul", flat, weight)
    agrees(graph.save(tmp_path / "m.onnx", 4), 2, 3, 3)


@pytest.mark.parametrize("target", [[1, -1], [-1, 18], [0, -1], [1, 18], [0, 18]])
def test_reshape_that_flattens_a_static_batch(tmp_path: Path, target: list[int]) -> None:
    graph = Graph((1, 2, 3, 3))
    graph.node("MatMul", graph.node("Reshape", "x", np.array(target)), floats(RNG, 18, 3))
    agrees(graph.save(tmp_path / "m.onnx", 3), 2, 3, 3)


def test_names_do_not_depend_on_the_exporter(tmp_path: Path) -> None:
    graph = Graph(("n", 4))
    graph.node("Gemm", graph.node("Relu", graph.node("Gemm", "x", floats(RNG, 4, 4))),
               floats(RNG, 4, 2))  # fmt: skip
    first = load_onnx(graph.save(tmp_path / "a.onnx", 2))
    for number, node in enumerate(graph.nodes):
        node.name = f"/some/other/{number}"
    second = load_onnx(graph.save(tmp_path / "b.onnx", 2))
    assert first.layers == second.layers
    assert [layer.name for layer in first.layers] == ["dense1", "relu1", "dense2"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_random_networks(tmp_path: Path, data: st.DataObject) -> None:
    names = st.sampled_from(
        ["conv", "relu", "average", "max", "norm", "residual", "constant", "identity"]
    )

    def build(graph: Graph) -> str:
        value, side = "x", 9
        for name in data.draw(st.lists(names, min_size=1, max_size=6)):
            if name == "conv":
                pads = data.draw(st.sampled_from([0, 1]))
                group = data.draw(st.sampled_from([1, 2, 4]))
                weight = floats(RNG, 4, 4 // group, 3, 3)
                if side + 2 * pads >= 3:
                    value = graph.node("Conv", value, weight, group=group, pads=[pads] * 4)
                    side += 2 * pads - 2
            elif name in ("average", "max") and side >= 2:
                operator = {"average": "AveragePool", "max": "MaxPool"}[name]
                value = graph.node(operator, value, kernel_shape=[2, 2], strides=[2, 2])
                side //= 2
            elif name == "norm":
                value = batch_norm(graph, value, 4)
            elif name == "residual":
                value = graph.node("Add", value, graph.node("Relu", value))
            elif name == "constant":
                value = graph.node("Add", value, floats(RNG, 1, 4, 1, 1))
            else:
                value = graph.node("Relu" if name == "relu" else "Identity", value)
        return graph.node("Identity", value)

    image(tmp_path, build)


def _vector(operator: str, *more: Any, **attributes: Any) -> Graph:
    graph = Graph(("n", 4))
    made = graph.node(operator, "x", *more, **attributes)
    graph.node("Gemm", made, floats(RNG, 4, 3))
    return graph


def _image(operator: str, *more: Any, **attributes: Any) -> Graph:
    graph = Graph(("n", 4, 6, 6))
    graph.node(operator, "x", *more, **attributes)
    return graph


def _reshape() -> Graph:
    graph = Graph(("n", 4))
    flat = graph.node("Flatten", graph.node("Reshape", "x", np.array([0, 1, 2, 2])))
    graph.node("MatMul", flat, floats(RNG, 4, 3))
    return graph


def _cast() -> Graph:
    graph = Graph(("n", 4))
    graph.node("MatMul", graph.node("Cast", graph.node("Cast", "x", to=7), to=1), floats(RNG, 4, 3))
    return graph


REFUSED: dict[str, tuple[Graph, str]] = {
    "sigmoid": (_vector("Sigmoid"), "Sigmoid.*two logits"),
    "tanh": (_vector("Tanh"), "Tanh.*Relu"),
    "mul": (_vector("Mul", floats(RNG, 4)), "Mul"),
    "argmax": (_vector("ArgMax", axis=1), "ArgMax.*logits"),
    "softmax inside": (_vector("Softmax"), "Softmax.*end of the network"),
    "softmax over space": (_image("Softmax", axis=1), "class axis"),
    "transA": (_vector("Gemm", floats(RNG, 4, 4), transA=1), "transA"),
    "average with varying divisor": (
        _image("AveragePool", kernel_shape=[2, 2], pads=[1, 1, 1, 1]), "count_include_pad"),
    "average with ceil_mode": (
        _image("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), "ceil_mode"),
    "cast to integer": (_cast(), "Cast"),
    "reshape over samples": (_image("Reshape", np.array([-1, 4])), "batch axis"),
    "reshape to an image": (_reshape(), "Reshape"),
    "flatten of the batch": (_image("Flatten", axis=0), "axis=1"),
    "constant per pixel": (_image("Add", floats(RNG, 4, 6, 6)), "per channel"),
    "matmul on images": (_image("MatMul", floats(RNG, 6, 6)), "Flatten"),
    "conv of weights": (_image("Conv", "x"), "constant"),
}  # fmt: skip


_KEEPS_IMAGES = ("Softmax", "AveragePool", "Add", "MatMul", "Conv")


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_node_operator_and_remedy(tmp_path: Path, name: str) -> None:
    graph, expected = REFUSED[name]
    path = tmp_path / "m.onnx"
    rank = 4 if graph.nodes[-1].op_type in _KEEPS_IMAGES and len(graph.shape) == 4 else 2
    path.write_bytes(graph.model(None, rank).SerializeToString())
    with pytest.raises((UnsupportedOperator, ModelFormatError), match=expected) as caught:
        load_onnx(path)
    assert "\n" not in caught.value.message
    if isinstance(caught.value, UnsupportedOperator):
        assert caught.value.details["node"] == "node0"


def test_batch_norm_in_training_mode(tmp_path: Path) -> None:
    graph = Graph(("n", 4))
    ones = [np.ones(4, np.float32)] * 4
    graph.node("BatchNormalization", "x", *ones, training_mode=1)
    graph.nodes[0].output.extend(["mean", "variance"])
    path = tmp_path / "m.onnx"
    model = graph.model(4)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedOperator, match="evaluation mode"):
        load_onnx(path)


def test_custom_domain_is_refused(tmp_path: Path) -> None:
    graph = _vector("Relu")
    graph.nodes[0].domain = "com.example"
    with pytest.raises(UnsupportedOperator, match="node0"):
        load_onnx(graph.save(tmp_path / "m.onnx", 3))


def test_symbolic_dimension(tmp_path: Path) -> None:
    graph = Graph(("n", 3, "height", 6))
    graph.node("Relu", "x")
    with pytest.raises(DynamicShape, match="height"):
        (tmp_path / "m.onnx").write_bytes(graph.model(3, 4).SerializeToString())
        load_onnx(tmp_path / "m.onnx")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_must_be_finite(tmp_path: Path, value: float) -> None:
    graph = Graph(("n", 2))
    graph.node("MatMul", "x", np.array([[1, value], [0, 1]], dtype=np.float32))
    with pytest.raises(NotFinite, match="w0"):
        load_onnx(graph.save(tmp_path / "m.onnx", 2))


def test_negative_variance_is_not_finite(tmp_path: Path) -> None:
    graph = Graph(("n", 2))
    one = np.ones(2, np.float32)
    made = graph.node("MatMul", "x", floats(RNG, 2, 2))
    graph.node("BatchNormalization", made, one, one, one, -one)
    with pytest.raises(NotFinite):
        load_onnx(graph.save(tmp_path / "m.onnx", 2))


def test_files_that_are_no_classifier(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with pytest.raises(MissingArtefact):
        load_onnx(path)
    good = _vector("Relu").model(3)
    for data in (b"", b"not a model", good.SerializeToString()[:-20]):
        path.write_bytes(data)
        with pytest.raises(ModelFormatError):
            load_onnx(path)
    one_logit = Graph(("n", 2))
    one_logit.node("MatMul", "x", floats(RNG, 2, 1))
    with pytest.raises(ModelFormatError, match="one logit per class"):
        load_onnx(one_logit.save(path, 1))
    no_layer = Graph(("n", 2))
    no_layer.node("Identity", "x")
    with pytest.raises(ModelFormatError):
        load_onnx(no_layer.save(path, 2))
    two = _vector("Relu").model(3)
    two.graph.output.append(helper.make_tensor_value_info("t0", 1, ["n", 4]))
    path.write_bytes(two.SerializeToString())
    with pytest.raises(ModelFormatError, match="2 outputs"):
        load_onnx(path)


def test_external_data_is_never_followed(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = _vector("Relu").model(3)
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    with pytest.raises(ModelFormatError, match="one file"):
        load_onnx(path)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_files_end_in_our_errors(tmp_path: Path, data: st.DataObject) -> None:
    graph = Graph(("n", 1, 4, 4))
    conv = graph.node("Conv", "x", floats(np.random.default_rng(0), 2, 1, 3, 3))
    graph.node("Gemm", graph.node("Flatten", conv), floats(np.random.default_rng(0), 8, 2))
    raw = bytearray(graph.model(2).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "m.onnx"
    path.write_bytes(bytes(raw))
    try:
        load_onnx(path)
    except ZkpotError as error:
        assert "\n" not in error.message


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "shape", "right"),
    [("mlp_784_56_10.onnx", (784,), 9740), ("lenet5_mnist.onnx", (1, 28, 28), 9872)],
)
def test_public_models(name: str, shape: tuple[int, ...], right: int) -> None:
    images, labels = mnist()
    network = load_onnx(shared_model(name))
    logits: NDArray[np.float64] = network.run(images.reshape(-1, *shape))
    assert int((logits.argmax(axis=1) == labels).sum()) == right
    assert not any(isinstance(layer, Add) for layer in network.layers)
