"""Small ONNX models made on the spot, and the public ones where they are at hand."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_SHARED = Path(__file__).resolve().parents[2] / "shared"


class Graph:
    """A chain of nodes; `node` returns the name of the output it makes."""

    def __init__(self, shape: tuple[int | str, ...], opset: int = 17) -> None:
        self.shape, self.opset = shape, opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, NDArray[Any]] = {}

    def constant(self, array: NDArray[Any]) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = array
        return name

    def node(self, operator: str, *inputs: str | NDArray[Any], **attributes: Any) -> str:
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        output = f"t{len(self.nodes)}"
        name = f"node{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, [output], name=name, **attributes))
        return output

    def model(self, classes: int | None, rank: int = 2) -> onnx.ModelProto:
        batch = self.shape[0]
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, self.shape)],
            [
                helper.make_tensor_value_info(
                    self.nodes[-1].output[0],
                    onnx.TensorProto.FLOAT,
                    [batch, classes, None, None][:rank],
                )
            ],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 8 if self.opset < 21 else 10
        return model

    def save(self, path: Path, classes: int) -> Path:
        path.write_bytes(self.model(classes).SerializeToString())
        return path


def floats(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.normal(0, 0.5, shape).astype(np.float32)


def whole(rng: np.random.Generator, *shape: int, most: int = 5) -> NDArray[np.float32]:
    return rng.integers(-most, most + 1, shape).astype(np.float32)


def shared_model(name: str) -> Path:
    path = Path(os.environ.get("ZKPOT_MODELS_DIR", _SHARED / "models")) / name
    if not path.exists():
        pytest.skip(f"{path} is absent: set ZKPOT_MODELS_DIR")
    return path


def mnist() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return images [10000, 28, 28] in 0..1 and labels."""
    folder = Path(os.environ.get("ZKPOT_MNIST_DIR", _SHARED / "data" / "mnist"))
    if not folder.exists():
        pytest.skip(f"{folder} is absent: set ZKPOT_MNIST_DIR")
    images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:]
    pixels = np.frombuffer(images, np.uint8).reshape(-1, 28, 28)
    return (pixels / 255).astype(np.float32), np.frombuffer(labels, np.uint8)
