"""An ONNX node with its inputs and attributes decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from circuits.errors import UnsupportedOperator
from circuits.layers import Shape
from circuits.onnx_fold import Floats, Value


@dataclass(frozen=True)
class Node:
    """An ONNX node with its inputs resolved.

    Attributes
    ----------
    name, operator : str
        As in the file; the name of the first output where the node has none.
    inputs : list
        A `Value`, a constant array, or None for an optional input left out.
    attributes : dict
        By name.
    sole : bool
        Whether this node is the only reader of its first input.
    batch : int
        The static batch size, or the stand-in for a symbolic one.
    """

    name: str
    operator: str
    inputs: list[Value | NDArray[Any] | None]
    attributes: dict[str, Any]
    sole: bool
    batch: int

    def refuse(self, remedy: str) -> NoReturn:
        """Refuse the node."""
        raise UnsupportedOperator(self.name, self.operator, remedy)

    def value(self, index: int = 0) -> Value:
        """Return an input that depends on the sample."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(found, Value):
            self.refuse(f"its input {index} must come from the network's input")
        return found

    def constant(self, index: int) -> Floats | None:
        """Return a constant input as float64, or None where it is left out."""
        found = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(found, Value):
            self.refuse(f"its input {index} must be a constant")
        return None if found is None else found.astype(np.float64)

    def weight(self, index: int, rank: int) -> Floats:
        """Return a constant input of a given rank."""
        found = self.constant(index)
        if found is None or found.ndim != rank:
            self.refuse(f"its input {index} must be a constant of rank {rank}")
        return found

    def ints(self, name: str, default: list[int]) -> list[int]:
        """Return a list attribute."""
        return list(self.attributes.get(name, default))

    def image(self) -> tuple[Value, tuple[int, int, int]]:
        """Return the first input, which must be an image, and its shape."""
        value = self.value()
        if len(value.shape) != 3:
            self.refuse("only images, [batch, channels, rows, columns], are supported here")
        return value, (value.shape[0], value.shape[1], value.shape[2])


def per_channel(node: Node, constant: Floats | None, shape: Shape) -> Floats:
    """Return a constant that broadcasts over a batch as one number per channel."""
    rank = len(shape) + 1
    constant = np.zeros(0) if constant is None else constant
    padded = constant.reshape((1,) * (rank - constant.ndim) + constant.shape)
    if padded.ndim != rank or padded.size not in (1, shape[0]) or padded.shape[1] != padded.size:
        node.refuse("a constant may be added per channel only")
    return np.broadcast_to(padded.reshape(-1), (shape[0],)).copy()


def pair(node: Node, name: str) -> tuple[int, int]:
    """Return a list attribute of two numbers, by default 1 and 1."""
    found = node.ints(name, [1, 1])
    if len(found) != 2:
        node.refuse(f"its {name} must have two numbers")
    return found[0], found[1]


def sliding(
    node: Node, shape: tuple[int, int, int], kernel: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int, int, int], tuple[int, int]]:
    """Return stride, padding and dilation."""
    stride, dilation = pair(node, "strides"), pair(node, "dilations")
    mode = node.attributes.get("auto_pad", b"NOTSET").decode()
    pads = node.ints("pads", [0, 0, 0, 0])
    if mode == "VALID":
        pads = [0, 0, 0, 0]
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = [0, 0, 0, 0]
        for axis in (0, 1):
            size = shape[1 + axis]
            reach = (-(-size // stride[axis]) - 1) * stride[axis]
            total = max(reach + dilation[axis] * (kernel[axis] - 1) + 1 - size, 0)
            small, large = total // 2, total - total // 2
            upper = mode == "SAME_UPPER"
            pads[axis], pads[2 + axis] = (small, large) if upper else (large, small)
    if len(pads) != 4 or min(pads) < 0:
        node.refuse("its pads must be four numbers, none negative")
    return stride, (pads[0], pads[1], pads[2], pads[3]), dilation


def ceiling(
    node: Node,
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> tuple[int, int]:
    """Return the rows and columns of padding that ceil_mode adds at the end."""
    if not node.attributes.get("ceil_mode", 0):
        return 0, 0
    extra = [0, 0]
    for axis in (0, 1):
        begin, size = padding[axis], shape[1 + axis]
        span = size + begin + padding[2 + axis] - dilation[axis] * (kernel[axis] - 1) - 1
        last = -(-span // stride[axis])
        # ONNX: a window that would start in the padding after the image is dropped.
        if last * stride[axis] >= size + begin:
            last -= 1
        extra[axis] = max(last * stride[axis] - span, 0)
    return extra[0], extra[1]


def reshaped(node: Node, shape: Shape) -> Shape:
    """Return the shape of one sample after a Reshape that keeps the batch axis."""
    target = node.constant(1)
    if target is None or target.ndim != 1 or len(target) < 2:
        node.refuse("its target must be a constant [batch, ...]")
    dims = [int(d) for d in target]
    if not node.attributes.get("allowzero", 0):
        dims = [(node.batch, *shape)[i] if d == 0 and i <= len(shape) else d
                for i, d in enumerate(dims)]  # fmt: skip
    size = math.prod(shape)
    rest = dims[1:]
    if rest.count(-1) == 1 and dims[0] == node.batch:
        known = -math.prod(rest)
        rest = [size // known if d == -1 and known > 0 else d for d in rest]
    keeps = dims[0] in (node.batch, -1) and -1 not in rest and math.prod(rest) == size
    if not keeps:
        node.refuse("it must keep the batch axis: use Flatten, or the target [0, -1]")
    return tuple(rest)
