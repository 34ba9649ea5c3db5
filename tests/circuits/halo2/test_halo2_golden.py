"""What a circuit digest stands for must not change behind its back."""

from __future__ import annotations

import hashlib

from circuits.halo2.circuit import EZKL_VERSION, VERSION, Circuit, decomposition
from circuits.halo2.graph import build
from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    MaxPool,
    NumberFormat,
    Relu,
    SumPool,
)

GOLDEN = {
    (1, "23.0.5"): (
        "c3a9ba45d11758a6853d2e1d2ce75d23024fd461f0fb301eb60a7e3d54c337bb",
        "0a5ecb68e8a596830a0721d48ee1c3ca9c351e9c6951c2c156f87d71078869a7",
    )
}
"""Circuit digest and SHA-256 of the graph, for each format version and ezkl version."""


def _circuit() -> Circuit:
    architecture = Architecture(
        input_shape=(2, 4, 4),
        input_format=NumberFormat(3, False),
        input_exponent=0,
        weight_bits=3,
        classes=2,
        layers=(
            Conv2d("conv", ("input",), (2, 4, 4), (3, 3), (2, 2), (1, 1, 0, 0), (1, 1), 4, 2, True),
            Relu("relu", ("conv",), (4, 2, 2)),
            SumPool("sum", ("relu",), (4, 2, 2), (2, 2), (1, 1), (1, 1, 0, 0), (1, 1)),
            MaxPool("max", ("relu",), (4, 2, 2), (2, 2), (1, 1), (1, 1, 0, 0), (1, 1)),
            Add("add", ("sum", "max"), (4, 2, 2), (0, 1)),
            Flatten("flat", ("add",), (16,)),
            Dense("dense", ("flat",), 16, 2, True),
        ),
        output="dense",
    )
    base, legs = decomposition(architecture, 12)
    return Circuit(architecture, 3, 12, 2, base, legs, 4, 8, "ab" * 32)


def test_the_graph_changes_only_with_the_version() -> None:
    """If this fails, the graph is another circuit under the same digest: raise VERSION."""
    circuit = _circuit()
    graph = build(circuit.architecture, circuit.shard_size, circuit.salts)
    digest = hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest()
    assert (circuit.digest, digest) == GOLDEN[VERSION, EZKL_VERSION]
