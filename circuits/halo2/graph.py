"""The weight-free ONNX graph that ezkl compiles: a network, a shard, and the count.

Features, labels, weights and context are graph inputs, so every contributor has the same circuit
and the same verifying key; the initialisers are structural constants. Only operators whose
constraints were tried as an attacker are used (tests/attacks): Reshape, Transpose, Gather and
Concat with constant indices (rewiring), Add, Sub, Mul, MatMul, ReduceSum, Relu, Sign, Equal
with Cast, and Pow with a constant exponent (a lookup table).

Public outputs, in order: `correct`, `valid`, the two context elements, `in_range`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from circuits.errors import UnsafeConfiguration, WouldOverflow
from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Relu,
    SumPool,
    parameter_shapes,
    windows,
)

OPSET = 17
CONTEXT_ELEMENTS = 2
INPUTS = ("features", "labels", "weights", "context")
"""Graph inputs, in the order in which their commitments start a proof."""

_FLOAT_EXACT = 1 << 24


def weight_order(architecture: Architecture) -> list[str]:
    """Return the parameters in the order of the committed vector: weights first, then biases.

    Weights stand together so that one slice of the vector is range-checked.
    """
    names = list(parameter_shapes(architecture))
    return [n for n in names if n.endswith(".weight")] + [n for n in names if n.endswith(".bias")]


def vector_sizes(architecture: Architecture, shard_size: int) -> tuple[int, int, int, int]:
    """Return how many values, without salts, each of `INPUTS` holds."""
    shapes = parameter_shapes(architecture)
    return (
        shard_size * math.prod(architecture.input_shape),
        shard_size,
        sum(math.prod(shape) for shape in shapes.values()),
        CONTEXT_ELEMENTS,
    )


def checked_elements(architecture: Architecture, shard_size: int) -> int:
    """Return how many values the circuit range-checks: all features and all weights."""
    shapes = parameter_shapes(architecture)
    weights = sum(math.prod(s) for name, s in shapes.items() if name.endswith(".weight"))
    return weights + shard_size * math.prod(architecture.input_shape)


def range_exponent(values: int) -> float:
    """Return the a for which round(u**a) is 1 exactly for u = 1 .. `values`.

    ezkl turns Pow with a fractional constant into a table over consecutive integers from 1 on,
    so an element outside the table has no proof, and one beyond `values` gives 2 or more.
    """
    exponent = float(np.float32(math.log(1.5) / math.log(values + 0.5)))
    if not values**exponent < 1.5 < (values + 1) ** exponent:
        raise UnsafeConfiguration(f"no range check separates {values} from {values + 1} values")
    return exponent


def build(
    architecture: Architecture, shard_size: int, salts: tuple[int, int, int, int]
) -> onnx.ModelProto:
    """Build the graph of one shard.

    Parameters
    ----------
    architecture : Architecture
        The network; without `Requantise`.
    shard_size : int
        Samples of a shard, padding included.
    salts : tuple of int
        Salt elements at the end of each of `INPUTS`.

    Raises
    ------
    UnsafeConfiguration
        If the network rescales: ezkl lets the prover choose how a division rounds.
    WouldOverflow
        If a structural constant is too large for the graph's floats.
    """
    graph = _Graph()
    sizes = vector_sizes(architecture, shard_size)
    features = graph.part("features", 0, sizes[0], (shard_size, -1))
    labels = graph.part("labels", 0, sizes[1], (shard_size, 1))
    context = graph.part("context", 0, sizes[3], (CONTEXT_ELEMENTS,))
    parameters, checked = _split_weights(graph, architecture)

    values = {"input": features}
    for layer in architecture.layers:
        values[layer.name] = _Emitter(graph, layer, shard_size, parameters).emit(values)
    logits = values[architecture.output]

    form = architecture.input_format
    in_range = graph.op(
        "Add",
        _count_in_range(graph, features, form.low, form.high),
        _count_in_range(graph, checked, -architecture.weight_max, architecture.weight_max),
    )
    correct, valid = _count(graph, logits, labels, architecture.classes)
    lengths = [size + salt for size, salt in zip(sizes, salts, strict=True)]
    return graph.model(lengths, [correct, valid, context, in_range])


def _split_weights(graph: _Graph, architecture: Architecture) -> tuple[dict[str, str], str]:
    shapes = parameter_shapes(architecture)
    parameters: dict[str, str] = {}
    offset = checked = 0
    for name in weight_order(architecture):
        shape = shapes[name]
        is_weight = name.endswith(".weight")
        # A convolution's weight becomes [out, taps], a bias a row.
        rows = shape[0] if is_weight else 1
        size = math.prod(shape)
        parameters[name] = graph.part("weights", offset, offset + size, (rows, -1))
        offset += size
        checked += size if is_weight else 0
    return parameters, graph.part("weights", 0, checked, (1, -1))


def _count_in_range(graph: _Graph, tensor: str, low: int, high: int) -> str:
    # u = x - low + 1 is in 1 .. values exactly for x in low .. high; every term of the sum is
    # then 1, and at least 2 otherwise, so the sum equals the element count only if all are in.
    shifted = graph.op("Add", tensor, graph.scalar(1 - low))
    exponent = range_exponent(high - low + 1)
    ones = graph.op("Pow", shifted, graph.constant(np.float32(exponent)))
    return graph.sum(ones, (0, 1), keep=False)


def _count(graph: _Graph, logits: str, labels: str, classes: int) -> tuple[str, str]:
    # A sample counts if its label is a class and its logit is strictly above all others: then
    # C - 1 differences are positive and its own is zero. Without a valid label the signs sum to
    # C at most, and C < 2C - 1, so neither padding nor a stray label can ever count.
    indices = graph.constant(np.arange(classes, dtype=np.float32).reshape(1, classes))
    one_hot = graph.op("Cast", graph.op("Equal", labels, indices), to=TensorProto.FLOAT)
    has_label = graph.sum(one_hot, (1,))
    own = graph.sum(graph.op("Mul", logits, one_hot), (1,))
    signs = graph.op("Sign", graph.op("Sub", own, logits))
    score = graph.op(
        "Add", graph.sum(signs, (1,)), graph.op("Mul", has_label, graph.scalar(classes))
    )
    right = graph.op("Equal", score, graph.scalar(2 * classes - 1))
    right = graph.op("Cast", right, to=TensorProto.FLOAT)
    return graph.sum(right, (0, 1), keep=False), graph.sum(has_label, (0, 1), keep=False)


class _Emitter:
    """Writes one layer; every tensor between layers is [samples, flat size]."""

    def __init__(
        self, graph: _Graph, layer: Layer, samples: int, parameters: dict[str, str]
    ) -> None:
        self.graph = graph
        self.layer = layer
        self.samples = samples
        self.parameters = parameters

    def emit(self, values: dict[str, str]) -> str:
        layer, graph = self.layer, self.graph
        inputs = [values[name] for name in layer.inputs]
        if isinstance(layer, Dense):
            product = graph.op("MatMul", inputs[0], self.parameters[f"{layer.name}.weight"])
            return self._biased(product, layer.bias)
        if isinstance(layer, Conv2d):
            return self._convolve(layer, inputs[0])
        if isinstance(layer, SumPool):
            pooled = self._gather(inputs[0], windows(layer))
            return graph.sum(pooled, (2,), keep=False)
        if isinstance(layer, MaxPool):
            return self._maximum(layer, inputs[0])
        if isinstance(layer, Relu):
            return graph.op("Relu", inputs[0])
        if isinstance(layer, Flatten):
            return inputs[0]
        if isinstance(layer, Add):
            terms = [
                graph.op("Mul", term, graph.scalar(1 << shift)) if shift else term
                for term, shift in zip(inputs, layer.shifts, strict=True)
            ]
            total = terms[0]
            for term in terms[1:]:
                total = graph.op("Add", total, term)
            return total
        raise UnsafeConfiguration(
            f"layer {layer.name!r} rescales, and ezkl lets the prover choose how a division "
            "rounds: compile without rescaling, or use the sumcheck backend"
        )

    def _biased(self, product: str, bias: bool) -> str:
        if not bias:
            return product
        return self.graph.op("Add", product, self.parameters[f"{self.layer.name}.bias"])

    def _gather(self, tensor: str, index: NDArray[np.int64]) -> str:
        """Return [samples, groups * positions, taps] of a [samples, size] tensor."""
        graph = self.graph
        if (index < 0).any():
            # Padding reads a column of zeros placed behind the real ones.
            zeros = graph.constant(np.zeros((self.samples, 1), np.float32))
            size = math.prod(_input_shape(self.layer))
            tensor = graph.op("Concat", tensor, zeros, axis=1)
            index = np.where(index < 0, size, index)
        taken = graph.op("Gather", tensor, graph.constant(index.reshape(-1)), axis=1)
        return graph.reshape(taken, (self.samples, -1, index.shape[-1]))

    def _convolve(self, layer: Conv2d, tensor: str) -> str:
        graph = self.graph
        weight = self.parameters[f"{layer.name}.weight"]
        index = windows(layer)
        positions = index.shape[1]
        outputs = layer.out_channels // layer.groups
        groups = []
        for group in range(layer.groups):
            patches = graph.reshape(
                self._gather(tensor, index[group]), (self.samples * positions, -1)
            )
            rows = weight
            if layer.groups > 1:
                chosen = np.arange(group * outputs, (group + 1) * outputs)
                rows = graph.op("Gather", weight, graph.constant(chosen), axis=0)
            product = graph.op("MatMul", patches, graph.op("Transpose", rows, perm=[1, 0]))
            groups.append(graph.reshape(product, (self.samples, positions, outputs)))
        joined = groups[0] if len(groups) == 1 else graph.op("Concat", *groups, axis=2)
        joined = self._biased(joined, layer.bias)
        return graph.reshape(graph.op("Transpose", joined, perm=[0, 2, 1]), (self.samples, -1))

    def _maximum(self, layer: MaxPool, tensor: str) -> str:
        index = windows(layer)
        # Padding never wins: a padded tap repeats a real one of its window.
        real = index.max(axis=-1, keepdims=True)
        index = np.where(index < 0, real, index).reshape(-1, index.shape[-1])
        columns = [
            self.graph.op("Gather", tensor, self.graph.constant(index[:, tap]), axis=1)
            for tap in range(index.shape[1])
        ]
        # max(a, b) = b + relu(a - b); ReduceMax would go through shuffles.
        best = columns[0]
        for other in columns[1:]:
            above = self.graph.op("Relu", self.graph.op("Sub", best, other))
            best = self.graph.op("Add", other, above)
        return best


def _input_shape(layer: Layer) -> tuple[int, ...]:
    assert isinstance(layer, Conv2d | SumPool | MaxPool)
    return layer.input_shape


class _Graph:
    """Collects nodes and constants, and names them."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(value)
        return name

    def scalar(self, value: int) -> str:
        if abs(value) >= _FLOAT_EXACT:
            raise WouldOverflow(
                "constant", value.bit_length(), 24, "use fewer bits, or the sumcheck backend"
            )
        return self.constant(np.full((1, 1), value, np.float32))

    def reshape(self, tensor: str, shape: tuple[int, ...]) -> str:
        return self.op("Reshape", tensor, self.constant(np.asarray(shape, np.int64)))

    def part(self, tensor: str, start: int, stop: int, shape: tuple[int, ...]) -> str:
        # Not Slice: ezkl's row count takes a Slice for a copy of the whole tensor it is cut from.
        rows = self.constant(np.arange(start, stop, dtype=np.int64))
        return self.reshape(self.op("Gather", tensor, rows, axis=0), shape)

    def sum(self, tensor: str, axes: tuple[int, ...], *, keep: bool = True) -> str:
        return self.op(
            "ReduceSum", tensor, self.constant(np.asarray(axes, np.int64)), keepdims=int(keep)
        )

    def model(self, lengths: list[int], outputs: list[str]) -> onnx.ModelProto:
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [length])
            for name, length in zip(INPUTS, lengths, strict=True)
        ]
        results = [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, [CONTEXT_ELEMENTS] if position == 2 else []
            )
            for position, name in enumerate(outputs)
        ]
        initializers = [numpy_helper.from_array(a, n) for n, a in self.constants.items()]
        graph = helper.make_graph(self.nodes, "shard", inputs, results, initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        return model
