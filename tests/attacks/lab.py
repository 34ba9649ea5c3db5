"""An attacker's workbench: ezkl in this process, circuits of our own, and rewired copies of them.

An edge of a circuit is attacked by compiling another graph with the honest settings: the edge's
value is put beside a constant of the attacker's choice, and a gather with constant indices, which
costs no row, takes the constant. Layout and fixed columns stay those of the honest circuit, so
the honest proving key makes a proof in which only the copy constraint at that edge is broken.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from circuits.halo2.circuit import Circuit, decomposition
from circuits.halo2.graph import INPUTS
from circuits.halo2.keys import Keys, derive
from circuits.halo2.model import weight_vector
from circuits.halo2.proof import FIELD_ORDER, context_elements, ezkl_accepts, ezkl_proof, felt
from circuits.halo2.proof import instances as honest_instances
from circuits.halo2.srs import SrsInfo
from circuits.integer import count_correct, run
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
    parameter_shapes,
)
from circuits.weights import Weights
from tests.attacks.ezkl_worker import Ezkl, Refused

CONTEXT = f"{0x1234:032x}{0x5678:032x}"
"""Small halves, so that the floats of a forged graph hold them exactly."""


EZKL = Ezkl()


@dataclass(frozen=True)
class Secrets:
    """What one shard's proof is made from, salts included."""

    features: list[int]
    labels: list[int]
    weights: list[int]
    context: str = CONTEXT

    def vectors(self) -> list[Sequence[int]]:
        return [self.features, self.labels, self.weights, context_elements(self.context)]

    def changed(self, name: str, at: int, value: int) -> Secrets:
        vector = list(getattr(self, name))
        vector[at] = value
        return replace(self, **{name: vector})


@dataclass(frozen=True)
class Made:
    """A proof, honest or not, with the public instances its maker claims."""

    proof: bytes
    instances: list[int]


@dataclass(frozen=True)
class Bench:
    """One circuit with keys, and the secrets of a shard of it."""

    circuit: Circuit
    keys: Keys
    srs: Path
    secrets: Secrets
    samples: int
    correct: int
    folder: Path = field(repr=False)

    @property
    def graph(self) -> onnx.ModelProto:
        return onnx.load(self.keys.path("graph"))

    def public(self, *, correct: int | None = None, samples: int | None = None) -> list[int]:
        """The instances of an honest proof of this shard, as the verifier computes them."""
        return honest_instances(
            self.circuit,
            correct=self.correct if correct is None else correct,
            samples=self.samples if samples is None else samples,
            context=self.secrets.context,
        )

    def input_json(self, secrets: Secrets) -> str:
        """The file that ``gen_witness`` reads."""
        data = [[felt(v) for v in vector] for vector in secrets.vectors()]
        return json.dumps({"input_data": data})

    def prove(self, secrets: Secrets | None = None, graph: onnx.ModelProto | None = None) -> Made:
        """Prove with the honest proving key; the graph may be another one.

        Raises
        ------
        Refused
            If ezkl makes no proof.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            at = Path(scratch)
            compiled = self.keys.path("compiled")
            if graph is not None:
                compiled = at / "circuit.ezkl"
                onnx.save(graph, at / "graph.onnx")
                EZKL("compile_circuit", at / "graph.onnx", compiled, self.keys.path("settings"))
            (at / "input.json").write_text(self.input_json(secrets or self.secrets))
            vk, pk = self.keys.path("verifying_key"), self.keys.path("proving_key")
            witness, proof = at / "witness.json", at / "proof.json"
            EZKL("gen_witness", at / "input.json", compiled, witness, vk, self.srs)
            EZKL("prove", witness, compiled, pk, proof, self.srs)
            return read_proof(proof)

    def accepts(self, made: Made, public: Sequence[int] | None = None) -> bool:
        """Tell whether ezkl, with the honest key, accepts a proof for its own instances."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            path = Path(scratch) / "proof.json"
            path.write_text(ezkl_proof(made.proof, made.instances if public is None else public))
            settings, key = self.keys.path("settings"), self.keys.path("verifying_key")
            try:
                return EZKL("verify", path, settings, key, self.srs) is True
            except Refused:
                return False

    def product_accepts(self, made: Made, public: Sequence[int]) -> bool:
        """The same question to the product's own code."""
        return ezkl_accepts(self.keys, self.srs, made.proof, public)

    def values(self) -> dict[str, NDArray[Any]]:
        """The honest value of every tensor of the graph, and of its inputs."""
        model = self.graph
        names = [out for node in model.graph.node for out in node.output]
        nodes = []
        for node in model.graph.node:
            nodes.append(node)
            if node.op_type == "Pow":  # ezkl's table is of rounded powers
                exact, node.output[0] = node.output[0], f"{node.output[0]}_exact"
                nodes.append(helper.make_node("Round", [node.output[0]], [exact]))
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        del model.graph.output[:]
        model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
        feeds = {
            name: np.array([_signed(v) for v in vector], np.float32)
            for name, vector in zip(INPUTS, self.secrets.vectors(), strict=True)
        }
        found = ReferenceEvaluator(model).run(None, feeds)
        return feeds | dict(zip(names, (np.asarray(v) for v in found), strict=True))


def _signed(value: int) -> int:
    return value - FIELD_ORDER if value > FIELD_ORDER // 2 else value


def read_proof(path: Path) -> Made:
    written = json.loads(path.read_bytes())
    return Made(
        bytes(written["proof"]),
        [int.from_bytes(bytes.fromhex(f), "little") for f in written["instances"][0]],
    )


def circuit_for(
    architecture: Architecture, srs: SrsInfo, *, shard_size: int, columns: int = 2, **fields: Any
) -> Circuit:
    base, legs = decomposition(architecture, srs.k)
    given = {"testset_budget": 1, "model_budget": 1, **fields}
    return Circuit(architecture, shard_size, srs.k, columns, base, legs, srs=srs.digest, **given)


def bench(
    circuit: Circuit,
    srs: SrsInfo,
    folder: Path,
    *,
    weights: Weights,
    x: NDArray[np.int64],
    y: NDArray[np.int64],
    seed: int = 0,
) -> Bench:
    """Derive the keys and fill a shard; samples that `x` lacks are padding."""
    rng = np.random.default_rng(seed)
    # Small salts, which a forged graph's floats hold exactly; real ones fill the field.
    salts = [[int(v) for v in rng.integers(1, 1 << 20, count)] for count in circuit.salts]
    padding = circuit.shard_size - len(x)
    features = [*(int(v) for v in x.reshape(-1)), *[0] * (padding * math.prod(x.shape[1:]))]
    labels = [*(int(v) for v in y), *[circuit.architecture.classes] * padding]
    secrets = Secrets(
        features + salts[0],
        labels + salts[1],
        weight_vector(circuit.architecture, weights) + salts[2],
    )
    keys = derive(circuit, srs.path, proving=True)
    correct = count_correct(run(circuit.architecture, weights, x), y, "strict")
    return Bench(circuit, keys, srs.path, secrets, len(x), correct, folder)


def consumers(model: onnx.ModelProto, edge: str) -> list[str]:
    """Names of the nodes that read an edge, in order."""
    return [node.name for node in model.graph.node if edge in node.input]


def substitute(
    model: onnx.ModelProto, edge: str, value: NDArray[Any], only: Sequence[str] | None = None
) -> onnx.ModelProto:
    """Return the graph in which readers of `edge` (all, or those named) read `value` instead."""
    forged = onnx.ModelProto.FromString(model.SerializeToString())
    graph = forged.graph
    value = np.asarray(value, np.float32)
    shape = value.shape or (1,)
    # Not Gather: the compiler folds one that takes a whole operand, and the layout would change.
    pick = np.arange(shape[0], 2 * shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    constants = {
        "evil": value.reshape(shape),
        "pick": np.broadcast_to(pick, shape).copy(),
    }
    source, final = edge, f"{edge}_forged"
    added: list[onnx.NodeProto] = []

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        added.append(helper.make_node(kind, inputs, [output], name=f"evil_{output}", **attributes))

    if value.ndim == 0:
        constants |= {"flat": np.array([1]), "point": np.array([], np.int64)}
        add("Reshape", [edge, "flat"], f"{edge}_flat")
        source = f"{edge}_flat"
    add("Concat", [source, "evil"], f"{edge}_both", axis=0)
    taken = f"{edge}_taken" if value.ndim == 0 else final
    add("GatherElements", [f"{edge}_both", "pick"], taken, axis=0)
    if value.ndim == 0:
        add("Reshape", [taken, "point"], final)
    graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in constants.items())
    nodes: list[onnx.NodeProto] = list(added) if edge in INPUTS else []
    for node in graph.node:
        if only is None or node.name in only:
            for i, name in enumerate(node.input):
                if name == edge:
                    node.input[i] = final
        nodes.append(node)
        if edge in node.output:
            nodes.extend(added)
    if only is None:
        for output in graph.output:
            if output.name == edge:
                output.name = final
    del graph.node[:]
    graph.node.extend(nodes)
    return forged


def off_by_one(value: NDArray[Any], at: int = -1) -> NDArray[Any]:
    """The least forgery: one element, one off, so that what follows stays within its tables."""
    forged = np.asarray(value, np.float32).copy()
    forged.reshape(-1)[at] += -1 if forged.reshape(-1)[at] > 1 else 1
    return forged


def mlp_architecture(hidden: int = 3) -> Architecture:
    return Architecture(
        input_shape=(3,),
        input_format=NumberFormat(4, True),
        input_exponent=0,
        weight_bits=4,
        classes=3,
        layers=(
            Dense("first", ("input",), 3, hidden, True),
            Relu("relu", ("first",), (hidden,)),
            Dense("second", ("relu",), hidden, 3, True),
        ),
        output="second",
    )


def conv_architecture() -> Architecture:
    """Padding, stride, groups, both pools, and a residual sum with a shift."""
    windows = ((4, 2, 2), (2, 2), (1, 1), (1, 1, 0, 0), (1, 1))
    return Architecture(
        input_shape=(2, 3, 3),
        input_format=NumberFormat(3, False),
        input_exponent=0,
        weight_bits=3,
        classes=2,
        layers=(
            Conv2d("conv", ("input",), (2, 3, 3), (2, 2), (2, 2), (1, 1, 0, 0), (1, 1), 4, 2, True),
            Relu("relu", ("conv",), (4, 2, 2)),
            SumPool("sum", ("relu",), *windows),
            MaxPool("max", ("relu",), *windows),
            Add("add", ("sum", "max"), (4, 2, 2), (0, 1)),
            Flatten("flat", ("add",), (16,)),
            Dense("dense", ("flat",), 16, 2, True),
        ),
        output="dense",
    )


def random_weights(architecture: Architecture, seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    most = architecture.weight_max
    arrays = {
        name: rng.integers(-most, most + 1, shape)
        for name, shape in parameter_shapes(architecture).items()
    }
    return Weights(architecture, arrays)
