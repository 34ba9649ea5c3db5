"""The parts of the fast prover against those of the slow one, written out in Python."""

from __future__ import annotations

import numpy as np
import pytest

from circuits.layers import NumberFormat
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.field_k import K, to_array
from circuits.sumcheck.multilinear import eq_table
from circuits.sumcheck.public import Metrics
from circuits.sumcheck.relation import accuracy, well_formed
from circuits.sumcheck.rounds import Rounds, ZeroChallenges
from prover.sumcheck.linear import linear_prover
from prover.sumcheck.witness import Witness, look_up_inputs, outputs, run_network
from prover.sumcheck.zero_check import AccuracyCheck, OneHotCheck
from tests.circuits.sumcheck.slow_prover import World, random_k
from tests.circuits.sumcheck.toy_networks import NETWORKS, random_samples, random_weights

KAPPA = 9
ALL = Metrics(per_class=True, confusion=True, groups=2)


def make(name: str, a: int, samples: int, metrics: Metrics = ALL) -> World:
    rng = np.random.default_rng(0)
    network = NETWORKS[name]
    return World(
        accuracy(network, a, KAPPA, metrics, 2),
        samples,
        random_samples(network, samples, rng),
        rng.integers(0, network.classes, samples),
        rng.integers(0, 2, samples),
        random_weights(network, rng),
    )


def inputs(world: World) -> np.ndarray:
    layout = world.relation.shard
    network = world.relation.architecture
    return world.shard[: layout.inputs, : world.samples].T.reshape(-1, *network.input_shape)


def witness(world: World) -> Witness:
    return run_network(world.relation, world.weights, inputs(world))


def words(rows: np.ndarray) -> np.ndarray:
    return np.array([[int(v) % MODULUS for v in row] for row in rows], np.uint64)


def challenges(world: World) -> ZeroChallenges:
    relation, metrics = world.relation, world.relation.metrics

    def some(count: int) -> list[K]:
        return [random_k() for _ in range(count)]

    classes = relation.shard.classes
    omega = some(classes) if metrics.per_class else [random_k()] * classes
    tau = some(relation.a + relation.zero_bits)
    weights = classes * metrics.confusion
    return ZeroChallenges(
        random_k(), tau, omega, some(metrics.groups), some(weights), some(weights)
    )


def assert_same(fast: Rounds, slow: Rounds, rounds: int) -> None:
    for _ in range(rounds):
        assert fast.message() == slow.message()
        c = random_k()
        fast.bind(c)
        slow.bind(c)
    assert fast.claims() == slow.claims()


@pytest.mark.parametrize(("a", "samples"), [(0, 1), (2, 3), (3, 8)])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_witness(name: str, a: int, samples: int) -> None:
    world = make(name, a, samples)
    found = witness(world)
    assert (found.lookups.first == world.first).all()
    assert (found.lookups.second == world.second).all()
    for block in world.relation.proof.blocks:
        if block.role != "pads":
            assert (found.feature(block) == world.proof[block.span]).all(), block
    labels = world.shard[world.relation.shard.label_span, :samples].argmax(axis=0)
    groups = world.shard[world.relation.shard.group_span, :samples].argmax(axis=0)
    assert outputs(found, labels, groups, ALL) == world.outputs()
    assert repr(found).startswith("<prover.sumcheck.witness.Witness object")


@pytest.mark.parametrize("metrics", [Metrics(), ALL])
@pytest.mark.parametrize(("a", "samples"), [(0, 1), (2, 3)])
@pytest.mark.parametrize("name", ["one class", "convolution", "residual"])
def test_the_zero_check(name: str, a: int, samples: int, metrics: Metrics) -> None:
    world = make(name, a, samples, metrics)
    found, drawn, layout = witness(world), challenges(world), world.relation.shard
    fast = AccuracyCheck(
        drawn,
        found.predictions,
        found.maximum - found.logits,
        words(world.shard[layout.label_span]),
        words(world.shard[layout.group_span]),
        samples,
    )
    assert_same(fast, world.zero_check(drawn), len(drawn.tau))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_linear_layers(name: str) -> None:
    world = make(name, 2, 4)
    relation = world.relation
    rho = to_array([random_k(), random_k()])
    e = {
        item.layer.name: to_array(random_k() for _ in range(int(np.prod(item.layer.shape))))
        for item in relation.linear
    }
    fast = linear_prover(
        relation,
        world.weights,
        witness(world),
        words(world.shard[: relation.shard.inputs]),
        eq_table(rho),
        e,
    )
    assert_same(fast, world.linear(rho, e), relation.input_bits)


def test_a_well_formed_shard() -> None:
    relation = well_formed(NumberFormat(2, True), 2, 3, 2, 3, KAPPA)
    x = np.array([[-2, 1], [0, 0], [1, -1]])
    world = World(relation, 3, x, [0, 2, 1], [1, 0, 0])
    found = look_up_inputs(relation, words(world.shard[:2]))
    assert (found.lookups.first == world.first).all()
    counts = world.proof[relation.proof.span("multiplicities")]
    assert (found.tables.multiplicities == counts).all()
    drawn = ZeroChallenges(random_k(), [random_k() for _ in range(6)], [], [], [], [])
    fast = OneHotCheck(drawn.tau, words(world.shard[2:]))
    assert_same(fast, world.zero_check(drawn), 6)
