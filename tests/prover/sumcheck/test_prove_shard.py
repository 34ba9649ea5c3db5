"""Whole proofs: made by the fast prover, accepted by the fast verifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from circuits.errors import ProofRejected, WorkerFailed
from circuits.integer import count_correct, quantise_input, run
from circuits.layers import NumberFormat
from circuits.onnx_import import load_onnx
from circuits.quantise import quantise
from circuits.sumcheck import randomness
from circuits.sumcheck.public import Metrics
from circuits.sumcheck.relation import accuracy
from circuits.weights import Weights
from tests.circuits.sumcheck.toy_networks import NETWORKS
from tests.models import mnist, shared_model
from tests.prover.sumcheck.shard_world import KAPPA, Toy, toy

ALL = Metrics(per_class=True, confusion=True, groups=3)


def check(made: Toy) -> None:
    outputs, proof = made.prove()
    network = made.relation.architecture
    assert network is not None
    logits = run(network, made.weights, made.inputs)
    assert outputs.correct == count_correct(logits, made.labels, "first")
    made.verify(outputs, proof)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("a", "samples"), [(0, 1), (3, 5)])
def test_every_kind_of_network(name: str, a: int, samples: int) -> None:
    check(toy(NETWORKS[name], a, samples))


@pytest.mark.parametrize("a", [1, 2, 5, 9])
def test_every_size_of_shard(a: int) -> None:
    check(toy(NETWORKS["max pools"], a, 1 << a, seed=a))


@pytest.mark.parametrize(
    ("metrics", "groups"),
    [
        (Metrics(per_class=True), 0),
        (Metrics(confusion=True), 2),
        (Metrics(groups=2), 2),
        (ALL, 3),
    ],
)
@pytest.mark.parametrize("a", [0, 4])
def test_every_count(metrics: Metrics, groups: int, a: int) -> None:
    made = toy(NETWORKS["convolution"], a, max(1, (1 << a) - 3), metrics, groups)
    check(made)
    outputs, _ = made.prove()
    assert len(outputs.per_class) == (3 if metrics.per_class else 0)
    assert len(outputs.groups) == metrics.groups
    assert bool(outputs.confusion) == metrics.confusion


@pytest.mark.parametrize("name", ["one class", "residual", "convolution"])
def test_all_logits_equal(name: str) -> None:
    made = toy(NETWORKS[name], 2, 4, Metrics(per_class=True))
    zeros = {key: np.zeros_like(array) for key, array in made.weights.items()}
    network = made.relation.architecture
    assert network is not None
    made.weights = Weights(network, zeros)
    check(made)
    assert made.prove()[0].correct == int((made.labels == 0).sum())


@pytest.mark.parametrize("groups", [0, 3])
@pytest.mark.parametrize(("a", "samples"), [(0, 1), (3, 8), (3, 5)])
def test_a_well_formed_shard(a: int, samples: int, groups: int) -> None:
    toy(NETWORKS["two layers"], a, samples, groups=groups).prove_and_verify_well_formed()


def test_an_input_out_of_range_is_refused() -> None:
    made = toy(NETWORKS["two layers"], 1, 2)
    made.inputs[0, 0] = 2
    with pytest.raises(WorkerFailed, match="in no table"):
        made.prove_and_verify_well_formed()


def test_other_weights_than_the_committed_ones_are_rejected() -> None:
    made = toy(NETWORKS["two layers"], 1, 2)
    other = toy(NETWORKS["two layers"], 1, 2, seed=1)
    made_model = made.model
    assert other.model.root != made_model.root
    outputs, proof = other.prove()
    with pytest.raises(ProofRejected):
        made.verify(outputs, proof)


def test_other_counts_are_rejected() -> None:
    made = toy(NETWORKS["two layers"], 2, 3)
    outputs, proof = made.prove()
    with pytest.raises(ProofRejected, match="sum"):
        made.verify(replace(outputs, correct=(outputs.correct + 1) % 4), proof)


def test_progress_names_the_phases() -> None:
    phases: list[tuple[str, float]] = []
    toy(NETWORKS["one layer"], 1, 2).prove(progress=lambda *phase: phases.append(phase))
    names = ["witness", "commit", "zero check", "lookups", "linear", "opening"]
    assert [name for name, _ in phases] == names
    assert all(seconds >= 0 for _, seconds in phases)


def test_the_same_randomness_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = toy(NETWORKS["residual"], 2, 3)
    one, two = made.prove(), made.prove()
    assert one[0] == two[0]
    assert one[1] != two[1]
    monkeypatch.setattr(randomness.secrets, "token_bytes", bytes)
    assert made.prove() == made.prove()


@pytest.mark.shared
def test_a_trained_network() -> None:
    network = load_onnx(shared_model("lenet5_mnist.onnx"))
    images, labels = mnist()
    images = images.reshape(-1, *network.input_shape)
    architecture, weights = quantise(
        network,
        input_format=NumberFormat(8, False),
        input_exponent=8,
        rescale=True,
        calibration=images[:100],
    )
    made = Toy(
        accuracy(architecture, 6, KAPPA, Metrics(), 0),
        weights,
        quantise_input(architecture, images[100:150]),
        labels[100:150].astype(np.int64),
        None,
    )
    check(made)
    assert made.prove()[0].correct >= 48
