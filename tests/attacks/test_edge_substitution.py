"""For every edge of our circuits: another value there gives no accepted proof, the honest one does.

What holds the circuit together is that each value an operator reads is the one another operator,
or a committed input, has made. A prover is free to compile a graph in which it is not (see
`tests.attacks.lab`), and would then choose logits, weights per sample, or the count itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from circuits.halo2.graph import INPUTS, build
from circuits.network import Architecture
from tests.attacks.lab import (
    Bench,
    consumers,
    conv_architecture,
    mlp_architecture,
    off_by_one,
    substitute,
)

pytestmark = pytest.mark.ezkl

MLP_SHARD, CONV_SHARD = 3, 2


def _roles(model: onnx.ModelProto) -> dict[str, str]:
    """Name the edges of the count by what they mean."""
    nodes = model.graph.node
    one_hot, right = (node.output[0] for node in nodes if node.op_type == "Cast")
    (sign,) = (node for node in nodes if node.op_type == "Sign")
    (difference,) = (node for node in nodes if sign.input[0] in node.output)
    equals = [node for node in nodes if node.op_type == "Equal"]
    products = [node for node in nodes if one_hot in node.input and node.op_type == "Mul"]
    (has_label,) = (n for n in nodes if one_hot in n.input and n.op_type == "ReduceSum")
    outputs = [output.name for output in model.graph.output]
    return {
        "logits": products[0].input[0],
        "one-hot": one_hot,
        "has-label": has_label.output[0],
        "own": difference.input[0],
        "differences": difference.output[0],
        "signs": sign.output[0],
        "score": equals[-1].input[0],
        "right": right,
        "correct": outputs[0],
        "valid": outputs[1],
    }


def _edges(architecture: Architecture, shard_size: int, *, layers_only: bool) -> Iterator[Any]:
    """Every tensor, or those up to the logits; of several nodes that read one, also each alone.

    A node that only moves values computes nothing: what it takes is an edge of its own. Neither
    does the cast of a comparison, for which ezkl lays out no cell: its result is attacked.
    """
    model = build(architecture, shard_size, (2, 2, 2, 0))
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    kinds = {node.name: node.op_type for node in model.graph.node}
    tensors = [*INPUTS, *makers]
    if layers_only:
        tensors = tensors[: tensors.index(_roles(model)["logits"]) + 1]
    for edge in tensors:
        kind = makers.get(edge, "Input")
        readers = consumers(model, edge)
        assert readers or edge in {output.name for output in model.graph.output}
        if kind == "Equal":
            assert [kinds[reader] for reader in readers] == ["Cast"]
            continue
        yield pytest.param(edge, None, id=f"{kind}-{edge}")
        for reader in readers if len(readers) > 1 else ():
            if kinds[reader] not in ("Gather", "Concat"):
                yield pytest.param(
                    edge, (reader,), id=f"{kind}-{edge}-for-{kinds[reader]}-{reader}"
                )


def _attack(bench: Bench, edge: str, only: tuple[str, ...] | None) -> None:
    graph, honest = bench.graph, bench.values()[edge]
    control = bench.prove(graph=substitute(graph, edge, honest, only))
    assert control.instances == bench.public()
    assert bench.accepts(control), "the edge cannot be replaced, so the attack would say nothing"

    # The last element of an input is a salt, which nothing reads.
    forged = off_by_one(honest, at=0 if edge in INPUTS else -1)
    assert (forged != honest).sum() == 1
    made = bench.prove(graph=substitute(graph, edge, forged, only))
    # The forger still opens the committed tensors: nothing but the circuit stands in the way.
    assert made.proof[:192] == control.proof[:192]
    assert not bench.accepts(made)
    assert not bench.accepts(made, bench.public())


@pytest.mark.parametrize(
    ("edge", "only"), [*_edges(mlp_architecture(), MLP_SHARD, layers_only=False)]
)
def test_no_edge_of_a_dense_network_can_be_replaced(mlp, edge, only):
    """One element of one tensor, off by one: no value of the circuit is the prover's choice."""
    _attack(mlp, edge, only)


@pytest.mark.parametrize(
    ("edge", "only"), [*_edges(conv_architecture(), CONV_SHARD, layers_only=True)]
)
def test_no_edge_of_a_convolution_can_be_replaced(conv, edge, only):
    """The same for padding, stride, groups, both pools and a residual sum.

    What follows the logits is the same in every network.
    """
    _attack(conv, edge, only)


def _claims(bench: Bench) -> dict[str, tuple[NDArray[Any], int, int]]:
    """For each role, values that make a useful claim, and the claim: correct and valid."""
    roles = _roles(bench.graph)
    values = {role: bench.values()[edge] for role, edge in roles.items()}
    one_hot, logits = values["one-hot"], values["logits"]
    classes, samples = bench.circuit.architecture.classes, bench.samples
    real = (np.arange(len(logits)) < samples).reshape(-1, 1)
    own = np.where(one_hot > 0, 0, 9) * real
    predicted = np.eye(classes)[logits.argmax(1)] * real
    return {
        "logits": (np.where(one_hot > 0, 40, -40), samples, samples),
        "one-hot": (predicted, samples, samples),
        "has-label": (np.ones_like(values["has-label"]), bench.correct, len(logits)),
        "own": (np.where(real, 5000, 0), 0, samples),  # the sign of 0 at the own class is lost
        "differences": (own, samples, samples),
        "signs": (np.sign(own), samples, samples),
        "score": (np.where(real, 2 * classes - 1, 0), samples, samples),
        "right": (real, samples, samples),
        "correct": (np.array(samples), samples, samples),
        "valid": (np.array(samples + 1), bench.correct, samples + 1),
    }


@pytest.mark.parametrize("role", [
    "logits", "one-hot", "has-label", "own", "differences", "signs", "score", "right", "correct",
    "valid",
])  # fmt: skip
def test_no_count_can_be_claimed_by_replacing_what_it_is_made_of(mlp, role):
    """All samples right, or padding counted as samples: the claims somebody would pay for."""
    assert mlp.correct < mlp.samples
    value, correct, valid = _claims(mlp)[role]
    made = mlp.prove(graph=substitute(mlp.graph, _roles(mlp.graph)[role], value))
    assert made.instances == mlp.public(correct=correct, samples=valid)
    assert made.instances != mlp.public()
    assert not mlp.accepts(made)
    assert not mlp.product_accepts(made, made.instances)


def test_no_other_context_can_be_passed_through(mlp):
    """The context is an output of the circuit; with another one the proof is somebody else's."""
    context = mlp.graph.graph.output[2].name
    made = mlp.prove(graph=substitute(mlp.graph, context, np.array([3, 4])))
    assert made.instances[2:4] == [3, 4]
    assert not mlp.accepts(made)
    assert not mlp.accepts(made, mlp.public())


def test_honest_proofs_are_accepted(mlp, conv):
    """The baseline: untouched circuits, for which exactly the honest instances are accepted."""
    for bench in (mlp, conv):
        made = bench.prove()
        assert made.instances == bench.public()
        assert bench.accepts(made)
        assert bench.product_accepts(made, bench.public())
        for at in range(5):
            for change in (-1, 1):
                wrong = list(made.instances)
                wrong[at] += change
                assert not bench.accepts(made, wrong)
