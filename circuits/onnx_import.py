"""Reading an ONNX classifier into a `FloatNetwork`.

The file is data from a stranger: sizes are limited before anything is parsed, external data is
never followed, and every tensor is checked to be finite.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.reference
from numpy.typing import NDArray

from circuits.encoding import read_bytes
from circuits.errors import (
    CorruptedArtefact,
    DynamicShape,
    ModelFormatError,
    NotFinite,
    UnsupportedOperator,
)
from circuits.float_network import FloatNetwork
from circuits.layers import INPUT, Layer
from circuits.onnx_fold import Builder, Value
from circuits.onnx_node import Node
from circuits.onnx_operators import OPERATORS, TRANSPARENT

_MAX_FILE = 1 << 29
_MAX_NODES = 10_000
_MAX_CONSTANT = 1 << 27

# Stands for a symbolic batch size where exporters compute shapes from it: a number no real
# dimension is likely to have, so that "the batch size" can be told from any other number.
_BATCH = 1_000_003

_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)

# Evaluated where all inputs are constant. None makes a large output from a small file.
_FOLDABLE = frozenset(
    ("Cast", "Concat", "Constant", "Gather", "Identity", "Reshape", "Slice", "Squeeze",
     "Transpose", "Unsqueeze")
)  # fmt: skip

_REMEDIES = {
    "ArgMax": "export the logits, without ArgMax",
    "Sigmoid": "export two logits and no Sigmoid, and use Relu between layers",
    "Tanh": "retrain with Relu",
    "Gelu": "retrain with Relu",
    "LeakyRelu": "retrain with Relu",
    "QLinearConv": "export the float model; zkpot quantises it itself",
    "QuantizeLinear": "export the float model; zkpot quantises it itself",
    "DequantizeLinear": "export the float model; zkpot quantises it itself",
}


def load_onnx(path: Path) -> FloatNetwork:
    """Read a classifier from an ONNX file.

    Parameters
    ----------
    path : Path
        A file with one float input [batch, ...] and one output [batch, classes].

    Raises
    ------
    MissingArtefact
        If there is no such file.
    ModelFormatError
        If it is not a readable ONNX classifier, or keeps its weights in other files.
    DynamicShape
        If a dimension other than the batch is symbolic.
    UnsupportedOperator
        If a node is outside the supported set; names the node and the remedy.
    NotFinite
        If a weight is NaN or infinite.
    """
    model = _read(path)
    graph = model.graph
    constants = _initializers(graph)
    # First, because a symbolic size would make the check of shapes fail less clearly.
    name, shape, batch = _input(graph, constants)
    _check(model, path)
    if len(graph.output) != 1:
        raise ModelFormatError(f"the model has {len(graph.output)} outputs: export the logits only")
    build = Builder()
    values: dict[str, Value] = {name: Value(INPUT, shape)}
    uses = _uses(graph)
    for proto in graph.node:
        _translate(proto, build, values, constants, uses, batch)
    output = values.get(graph.output[0].name)
    if output is None:
        raise ModelFormatError("the output of the model does not depend on its input")
    output = build.plain(output)
    return _network(build, shape, output)


def _read(path: Path) -> onnx.ModelProto:
    try:
        data = read_bytes(path, "model", _MAX_FILE)
    except CorruptedArtefact as error:
        raise ModelFormatError(error.message) from None
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's error class is not part of its public interface
        raise ModelFormatError(f"{path} is not an ONNX file: {_line(error)}") from None
    if len(model.graph.node) > _MAX_NODES:
        raise ModelFormatError(f"{path} has {len(model.graph.node)} nodes, over {_MAX_NODES}")
    attributes = [item for proto in model.graph.node for item in proto.attribute]
    if model.graph.sparse_initializer or any(a.HasField("sparse_tensor") for a in attributes):
        raise ModelFormatError(f"{path} has sparse weights: export dense ones")
    for tensor in [*model.graph.initializer, *(a.t for a in attributes)]:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ModelFormatError(
                f"{path} keeps the weight {tensor.name!r} in another file: "
                "save the model as one file (onnx.save with save_as_external_data=False)"
            )
    for proto in model.graph.node:
        # Before the checker, whose message on an unknown operator names no remedy.
        if proto.domain not in ("", "ai.onnx") or (
            proto.op_type not in OPERATORS and proto.op_type not in _FOLDABLE | {"Shape"}
        ):
            raise _unsupported(proto)
    return model


def _check(model: onnx.ModelProto, path: Path) -> None:
    try:
        onnx.checker.check_model(model)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except Exception as error:  # onnx raises classes of its compiled module
        raise ModelFormatError(f"{path} is not a valid model: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _unsupported(proto: onnx.NodeProto) -> UnsupportedOperator:
    remedy = _REMEDIES.get(proto.op_type, f"use only {', '.join(sorted(OPERATORS))}")
    return UnsupportedOperator(_name(proto), proto.op_type, remedy)


def _name(proto: onnx.NodeProto) -> str:
    return str(proto.name or (proto.output[0] if proto.output else "unnamed"))


def _initializers(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    found = {}
    for tensor in graph.initializer:
        try:
            found[tensor.name] = _finite(onnx.numpy_helper.to_array(tensor), tensor.name)
        except (ValueError, TypeError) as error:
            raise ModelFormatError(f"weight {tensor.name!r}: {_line(error)}") from None
    return found


def _finite(array: NDArray[Any], name: str) -> NDArray[Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NotFinite(f"weight {name!r} is NaN or infinite somewhere")
    return array


def _input(
    graph: onnx.GraphProto, constants: dict[str, NDArray[Any]]
) -> tuple[str, tuple[int, ...], int]:
    """Return the name, the shape of one sample and the batch size of the model's input."""
    inputs = [item for item in graph.input if item.name not in constants]
    if len(inputs) != 1:
        raise ModelFormatError(f"the model has {len(inputs)} inputs, not one")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type not in _FLOATS:
        raise ModelFormatError("the input of the model is not a float tensor")
    dims = tensor.shape.dim
    if len(dims) < 2:
        raise ModelFormatError("the input of the model must be [batch, features ...]")
    for i, dim in enumerate(dims):
        if i and not (dim.HasField("dim_value") and dim.dim_value > 0):
            what = dim.dim_param or "unknown"
            raise DynamicShape(
                f"dimension {i} of the input {inputs[0].name!r} is {what}: export it with a "
                "fixed size; only dimension 0, the batch, may be symbolic"
            )
    batch = dims[0].dim_value if dims[0].HasField("dim_value") else 0
    return inputs[0].name, tuple(dim.dim_value for dim in dims[1:]), batch or _BATCH


def _uses(graph: onnx.GraphProto) -> Counter[str]:
    """Count the readers of each tensor; one that was only renamed has its readers added up.

    A Reshape or Flatten may be a renaming too; counting it as one errs on the safe side.
    """
    renaming = (*TRANSPARENT, "Flatten", "Reshape")
    counts = Counter(item.name for item in graph.output)
    for proto in graph.node:
        if proto.op_type != "Shape":
            counts.update(name for name in proto.input if name)
    for proto in reversed(graph.node):
        if proto.op_type in renaming and proto.input and proto.output:
            counts[proto.input[0]] += counts[proto.output[0]] - 1
    for proto in graph.node:
        if proto.op_type in renaming and proto.input and proto.output:
            counts[proto.output[0]] = counts[proto.input[0]]
    return counts


def _translate(
    proto: onnx.NodeProto,
    build: Builder,
    values: dict[str, Value],
    constants: dict[str, NDArray[Any]],
    uses: Counter[str],
    batch: int,
) -> None:
    """Turn one node into a constant or into layers."""
    given = [values.get(name, constants.get(name)) if name else None for name in proto.input]
    if proto.op_type == "Shape":
        item = given[0]
        dims = (batch, *item.shape) if isinstance(item, Value) else np.shape(np.asarray(item))
        start, end = (_attributes(proto).get(key) for key in ("start", "end"))
        constants[proto.output[0]] = np.array(dims[start:end], dtype=np.int64)
        return
    if proto.op_type in _FOLDABLE and not any(isinstance(item, Value) for item in given):
        constants[proto.output[0]] = _finite(_evaluate(proto, constants), _name(proto))
        return
    if proto.op_type not in OPERATORS:
        raise _unsupported(proto)
    for item in given:
        if isinstance(item, Value) and item.softmax and proto.op_type not in TRANSPARENT:
            raise UnsupportedOperator(*item.softmax, "only at the end of the network")
    read = [name for name in proto.input if name in values]
    if not read:
        raise UnsupportedOperator(
            _name(proto), proto.op_type, "it works on constants only; simplify the model first"
        )
    for name in proto.output[1:]:
        if uses[name]:
            raise UnsupportedOperator(
                _name(proto), proto.op_type, "only its first output may be used"
            )
    node = Node(_name(proto), proto.op_type, given, _attributes(proto), uses[read[0]] == 1, batch)
    try:
        values[proto.output[0]] = OPERATORS[proto.op_type](node, build)
    except (CorruptedArtefact, ValueError) as error:
        # A layer or numpy refused sizes that do not fit: here they come from the file.
        raise ModelFormatError(f"node {node.name!r}: {_line(error)}") from None


def _attributes(proto: onnx.NodeProto) -> dict[str, Any]:
    return {item.name: onnx.helper.get_attribute_value(item) for item in proto.attribute}


def _evaluate(proto: onnx.NodeProto, constants: dict[str, NDArray[Any]]) -> NDArray[Any]:
    feeds = {name: constants[name] for name in proto.input if name in constants}
    sizes = [array.size for array in feeds.values()]
    if (math.prod(sizes) if proto.op_type == "Gather" else sum(sizes)) > _MAX_CONSTANT:
        raise ModelFormatError(f"node {_name(proto)!r} computes too large a constant")
    try:
        return np.asarray(onnx.reference.ReferenceEvaluator(proto).run(None, feeds)[0])
    except Exception as error:  # whatever numpy says about a malformed shape computation
        raise ModelFormatError(f"node {_name(proto)!r}: {_line(error)}") from None


def _network(build: Builder, shape: tuple[int, ...], output: Value) -> FloatNetwork:
    """Return the layers that the output depends on, as a network."""
    if len(output.shape) != 1:
        raise ModelFormatError(
            f"the output for one sample has the shape {list(output.shape)}, not [classes]"
        )
    if output.shape[0] < 2:
        raise ModelFormatError("the model has one output only: export one logit per class")
    needed = {output.source}
    layers: list[Layer] = []
    for layer in reversed(build.layers.values()):
        if layer.name in needed:
            needed.update(layer.inputs)
            layers.append(layer)
    for name, array in build.parameters.items():
        _finite(array, name)
    try:
        return FloatNetwork(
            input_shape=shape,
            classes=output.shape[0],
            layers=tuple(reversed(layers)),
            output=output.source,
            parameters={
                name: array
                for name, array in build.parameters.items()
                if name.rpartition(".")[0] in needed
            },
        )
    except CorruptedArtefact as error:
        raise ModelFormatError(f"the model is not a network: {error.message}") from None
