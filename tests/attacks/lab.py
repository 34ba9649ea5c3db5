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
from attacks.ezkl_worker import Ezkl, Refused
from circuits.halo2.circuit import Circuit, decomposition
from circuits.halo2.graph import INPUTS
from circuits.halo2.keys import Keys, derive
from circuits.halo2.model import weight_vector
from circuits.halo2.proof import FIELD_ORDER, context_elements, ezkl_accepts, ezkl_proof, felt
from circuits.halo2.proof import instances as honest_instances
from circuits.halo2.srs import SrsInfo
from circuits.integer import count_correct, run
from circuits.network import Architecture
from circuits.weights import Weights
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

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
            data = [[felt(v) for v in vector] for vector in (secrets or self.secrets).vectors()]
            (at / "input.json").write_text(json.dumps({"input_data": data}))
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
            name: np.array([_small(v) for v in vector], np.float32)
            for name, vector in zip(INPUTS, self.secrets.vectors(), strict=True)
        }
        found = ReferenceEvaluator(model).run(None, feeds)
        return dict(zip(names, (np.asarray(v) for v in found), strict=True))


def _small(value: int) -> int:
    # Salts and the context are full field elements, which float32 has no room for; no value
    # that a test substitutes depends on them.
    value = (value + FIELD_ORDER // 2) % FIELD_ORDER - FIELD_ORDER // 2
    return value if abs(value) < 1 << 24 else 0


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
    return Circuit(
        architecture, shard_size, srs.k, columns, base, legs, srs=srs.digest, **given
    )


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
    salts = [
        [int.from_bytes(rng.bytes(32), "little") % FIELD_ORDER for _ in range(count)]
        for count in circuit.salts
    ]
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
    value = np.asarray(value)
    shape = value.shape or (1,)
    # Not Gather: the compiler folds one that takes a whole operand, and the layout would change.
    pick = np.arange(shape[0], 2 * shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    constants = {
        "evil": value.reshape(shape).astype(np.float32),
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
    nodes: list[onnx.NodeProto] = []
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


def off_by_one(value: NDArray[Any]) -> NDArray[Any]:
    """The least forgery: one element, one off, towards zero so that it stays in range."""
    forged = np.asarray(value, np.float32).copy()
    flat = forged.reshape(-1)
    flat[-1] += -1 if flat[-1] > 0 else 1
    return forged
