"""Whole proofs of toy shards by a slow prover: accepted, and rejected once anything is changed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from circuits.errors import ProofRejected
from circuits.layers import NumberFormat
from circuits.sumcheck import params
from circuits.sumcheck.proof_bytes import encode, parse
from circuits.sumcheck.public import Metrics, Outputs
from circuits.sumcheck.relation import accuracy, well_formed
from tests.circuits.sumcheck.slow_prover import World, prove
from tests.circuits.sumcheck.toy_networks import NETWORKS, random_samples, random_weights
from verifier import plain
from verifier.sumcheck.shard import verify_shard

KAPPA = 9
PLAIN = Metrics()


def make(name, a=1, samples=2, metrics=PLAIN, groups=0):
    rng = np.random.default_rng(0)
    network = NETWORKS[name]
    return World(
        accuracy(network, a, KAPPA, metrics, groups),
        samples,
        random_samples(network, samples, rng),
        rng.integers(0, network.classes, samples),
        rng.integers(0, max(groups, 1), samples),
        random_weights(network, rng),
    )


def make_shard():
    relation = well_formed(NumberFormat(2, True), 2, 3, 2, 2, KAPPA)
    x = np.array([[-2, 1], [0, 0], [1, -1]])
    return World(relation, 3, x, [0, 2, 1], [1, 0, 0])


@pytest.fixture(scope="module")
def proven():
    world = make("convolution", 2, 3, Metrics(per_class=True, confusion=True, groups=2), 2)
    return world, *prove(world)


def rejected(relation, statement, roots, data):
    """The name of the check that fails."""
    with pytest.raises(ProofRejected) as caught:
        verify_shard(relation, statement, roots, data)
    return caught.value.check


@pytest.mark.parametrize(("a", "samples"), [(0, 1), (2, 3)])
@pytest.mark.parametrize("name", ["one class", "max pools", "requantised output", "residual"])
def test_honest_proofs(name, a, samples):
    world = make(name, a, samples)
    roots, data = prove(world)
    verify_shard(world.relation, world.statement(), roots, data)


def test_an_honest_proof_with_all_counts(proven):
    world, roots, data = proven
    verify_shard(world.relation, world.statement(), roots, data)


def test_a_well_formed_shard():
    world = make_shard()
    roots, data = prove(world)
    statement = world.statement()
    verify_shard(world.relation, statement, roots, data)
    for other in (replace(statement, samples=2), replace(statement, commitment="01" * 32)):
        assert rejected(world.relation, other, roots, data) == "sum"


@pytest.mark.parametrize(("feature", "value"), [(0, 2), (2, 5), (5, 1)])
def test_a_shard_that_is_not_well_formed(feature, value):
    world = make_shard()
    world.shard[feature, 0] = value
    world.set_pairs()
    world.count_lookups()
    roots, data = prove(world)
    assert rejected(world.relation, world.statement(), roots, data) == "sum"


@pytest.mark.parametrize(
    "field", ["circuit", "testset", "commitment", "model", "context", "shard", "samples"]
)
def test_another_statement(proven, field):
    world, roots, data = proven
    value = {"shard": 1, "samples": 4}.get(field, "01" * 32)
    statement = replace(world.statement(), **{field: value})
    assert rejected(world.relation, statement, roots, data) == "sum"


def test_other_counts():
    world = make("one layer", 2, 3)
    roots, data = prove(world)
    correct = world.outputs().correct
    for other in set(range(4)) - {correct}:
        statement = replace(world.statement(), outputs=Outputs(other))
        assert rejected(world.relation, statement, roots, data) == "sum"
        # Nor does it help to make the proof for the wrong count.
        forged = prove(world, statement)
        assert rejected(world.relation, statement, *forged) == "sum"
    statement = replace(world.statement(), outputs=Outputs(4))
    assert rejected(world.relation, statement, roots, data) == "outputs"


@pytest.mark.parametrize("name", ["shard", "model"])
def test_another_commitment(proven, name):
    world, roots, data = proven
    other = {**roots, name: bytes(32)}
    assert rejected(world.relation, world.statement(), other, data) == "columns"


@pytest.mark.parametrize("part", ["differences", "messages"])
def test_every_message_counts(proven, part):
    world, roots, data = proven
    relation = world.relation
    proof = parse(data, relation.shape)
    for place in range(0, len(getattr(proof, part)), 7):
        changed = getattr(proof, part).copy()
        changed[place, 0] ^= np.uint64(1)
        forged = encode(replace(proof, **{part: changed}))
        assert rejected(relation, world.statement(), roots, forged) == "sum"


def accepted_by_plain(world, roots, data):
    relation, statement = world.relation, world.statement()
    shard = relation.shard
    shape = plain.ShardShape(
        KAPPA, relation.a, statement.samples, shard.inputs, shard.classes, shard.groups
    )
    try:
        plain.verify_shard(
            relation.architecture,
            shape=shape,
            metrics=plain.Metrics(per_class=True, confusion=True, groups=True),
            public=json.loads(statement.encode()),
            shard_root=roots["shard"],
            model_root=roots["model"],
            proof=data,
        )
    except ProofRejected:
        return False
    return True


def test_the_plain_verifier_agrees(proven):
    world, roots, data = proven
    assert accepted_by_plain(world, roots, data)
    for place in range(0, len(data), len(data) // 5):
        other = bytearray(data)
        other[place] ^= 1
        assert not accepted_by_plain(world, roots, bytes(other))
        rejected(world.relation, world.statement(), roots, bytes(other))


def test_bytes_that_are_no_proof(proven):
    world, roots, data = proven
    for other in (b"", data[:-1], data + bytes(1), bytes(len(data))[:-32]):
        assert rejected(world.relation, world.statement(), roots, other) == "encoding"


def test_too_little_security(monkeypatch):
    world = make("one layer")
    monkeypatch.setattr(params, "MIN_SECURITY_BITS", 101)
    roots, data = prove(world)
    assert rejected(world.relation, world.statement(), roots, data) == "security"
