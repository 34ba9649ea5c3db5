"""One function per ONNX operator, from a node to layers of our own.

Whatever cannot be carried over exactly is refused with the name of the node and a remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from circuits.layers import Add, Conv2d, Dense, Flatten, MaxPool, Relu, Shape, SumPool
from circuits.onnx_fold import (
    Affine,
    Builder,
    Floats,
    Value,
    compose,
    flatten,
    fold_forward_conv,
    fold_forward_dense,
)
from circuits.onnx_node import Node, ceiling, pair, per_channel, reshaped, sliding


def _dense(node: Node, build: Builder, weight: Floats, bias: Floats | None) -> Value:
    value = node.value()
    if len(value.shape) != 1:
        node.refuse("put a Flatten before it, so that a sample is a vector")
    if value.affine is not None:
        weight, bias = fold_forward_dense(value.affine, weight, bias)
    inputs, outputs = weight.shape
    layer = Dense(build.name("dense"), (value.source,), inputs, outputs, False)
    return build.add_linear(layer, weight, bias)


def gemm(node: Node, build: Builder) -> Value:
    """``alpha * A @ B + beta * C``."""
    if node.attributes.get("transA", 0):
        node.refuse("transA would mix the samples of a batch; export with transA=0")
    weight = node.weight(1, 2) * node.attributes.get("alpha", 1.0)
    if node.attributes.get("transB", 0):
        weight = weight.T
    bias = node.constant(2)
    if bias is not None:
        bias = per_channel(node, bias, (weight.shape[1],)) * node.attributes.get("beta", 1.0)
    return _dense(node, build, weight, bias)


def matmul(node: Node, build: Builder) -> Value:
    """Return ``A @ B`` with a constant B."""
    return _dense(node, build, node.weight(1, 2), None)


def conv(node: Node, build: Builder) -> Value:
    """Two-dimensional convolution."""
    value, shape = node.image()
    weight = node.weight(1, 4)
    bias = node.constant(2)
    groups = int(node.attributes.get("group", 1))
    kernel = (weight.shape[2], weight.shape[3])
    stride, padding, dilation = sliding(node, shape, kernel)
    if value.affine is not None and any(padding) and value.affine.offset.any():
        value = build.plain(value)
    if value.affine is not None:
        weight, bias = fold_forward_conv(value.affine, weight, bias, groups)
    layer = Conv2d(
        build.name("conv"), (value.source,), shape, kernel, stride, padding, dilation,
        weight.shape[0], groups, False,
    )  # fmt: skip
    return build.add_linear(layer, weight, bias)


def average_pool(node: Node, build: Builder) -> Value:
    """Average over a window, where every window has the same divisor."""
    value, shape = node.image()
    value = build.plain(value)
    if node.operator == "GlobalAveragePool":
        kernel, stride, padding, dilation = shape[1:], (1, 1), (0, 0, 0, 0), (1, 1)
    else:
        kernel = pair(node, "kernel_shape")
        stride, padding, dilation = sliding(node, shape, kernel)
        if any(padding) and not node.attributes.get("count_include_pad", 0):
            node.refuse("with padding the divisor varies; use count_include_pad=1 or no padding")
        if any(ceiling(node, shape, kernel, stride, padding, dilation)):
            node.refuse("ceil_mode makes the divisor vary; use ceil_mode=0")
    return build.add(
        SumPool(build.name("pool"), (value.source,), shape, kernel, stride, padding, dilation)
    )


def max_pool(node: Node, build: Builder) -> Value:
    """Maximum over a window."""
    value, shape = node.image()
    value = build.plain(value)
    kernel = pair(node, "kernel_shape")
    stride, padding, dilation = sliding(node, shape, kernel)
    # Padding never wins, so the partial windows of ceil_mode are windows over more padding.
    below, right = ceiling(node, shape, kernel, stride, padding, dilation)
    padding = (padding[0], padding[1], padding[2] + below, padding[3] + right)
    return build.add(
        MaxPool(build.name("maxpool"), (value.source,), shape, kernel, stride, padding, dilation)
    )


def relu(node: Node, build: Builder) -> Value:
    """``max(x, 0)``."""
    value = build.plain(node.value())
    return build.add(Relu(build.name("relu"), (value.source,), value.shape))


def add(node: Node, build: Builder) -> Value:
    """Add two values, or a constant per channel."""
    if len(node.inputs) != 2:
        node.refuse("it must add two inputs")
    constants = [i for i in (0, 1) if not isinstance(node.inputs[i], Value)]
    if constants:
        value = node.value(1 - constants[0])
        offset = per_channel(node, node.constant(constants[0]), value.shape)
        return _affine(node, build, value, np.ones_like(offset), offset)
    first, second = build.plain(node.value(0)), build.plain(node.value(1))
    if first.shape != second.shape:
        node.refuse("its two inputs must have the same shape")
    sources = (first.source, second.source)
    return build.add(Add(build.name("add"), sources, first.shape, (0, 0)))


def batch_normalisation(node: Node, build: Builder) -> Value:
    """Apply the running statistics, as at inference."""
    if node.attributes.get("training_mode", 0):
        node.refuse("export the model in evaluation mode")
    value = node.value()
    gamma, beta, mean, variance = (node.weight(i, 1) for i in range(1, 5))
    with np.errstate(all="ignore"):  # a variance below zero ends as NotFinite
        scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return _affine(node, build, value, scale, beta - mean * scale)


def to_vector(node: Node, build: Builder) -> Value:
    """Flatten, or a Reshape that does the same or nothing."""
    value = node.value()
    size = math.prod(value.shape)
    wanted: Shape = (size,)
    if node.operator == "Flatten":
        if node.attributes.get("axis", 1) not in (1, -len(value.shape)):
            node.refuse("use axis=1, which keeps the samples apart")
    else:
        wanted = reshaped(node, value.shape)
    if wanted == value.shape:
        return value
    if wanted != (size,):
        node.refuse("only a Reshape to [batch, features] is supported; feed images as images")
    affine = flatten(value, value.shape)
    made = build.add(Flatten(build.name("flatten"), (value.source,), wanted))
    return replace(made, affine=affine)


def softmax(node: Node, build: Builder) -> Value:
    """Drop a final Softmax or LogSoftmax: argmax does not see it."""
    value = node.value()
    if len(value.shape) != 1 or node.attributes.get("axis", -1) not in (1, -1):
        node.refuse("only over the class axis at the end of the network")
    return replace(build.plain(value), softmax=(node.name, node.operator))


def keep(node: Node, _build: Builder) -> Value:
    """Identity at inference."""
    if node.operator == "Dropout" and np.any(node.constant(2)):
        node.refuse("export the model in evaluation mode")
    if node.operator == "Cast" and node.attributes["to"] not in _FLOATS:
        node.refuse("only casts to a float type keep the values")
    return node.value()


_FLOATS = (1, 10, 11)  # TensorProto.FLOAT, FLOAT16, DOUBLE

OPERATORS: dict[str, Callable[[Node, Builder], Value]] = {
    "Add": add,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalisation,
    "Cast": keep,
    "Conv": conv,
    "Dropout": keep,
    "Flatten": to_vector,
    "Gemm": gemm,
    "GlobalAveragePool": average_pool,
    "Identity": keep,
    "LogSoftmax": softmax,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Relu": relu,
    "Reshape": to_vector,
    "Softmax": softmax,
}

TRANSPARENT = ("Identity", "Dropout", "Cast")
"""Operators whose output is their first input under another name."""


def _affine(node: Node, build: Builder, value: Value, scale: Floats, offset: Floats) -> Value:
    if scale.shape != offset.shape or scale.shape != value.shape[:1]:
        node.refuse("it must have one number per channel")
    affine = Affine(scale, offset, node.name, node.operator)
    if node.sole and build.fold_back(value, affine):
        return value
    return replace(value, affine=compose(value.affine, affine))
