"""Networks and shards at the edges: proven by the product, accepted by both verifiers.

The workbench's prover, written apart from the product's, makes the same proof byte for byte from
the same randomness. So what the attacks change is what the product does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from circuits.errors import ZkpotError
from circuits.integer import count_correct, run
from circuits.network import Conv2d, Dense, Flatten, MaxPool, NumberFormat, Requantise, SumPool
from circuits.sumcheck.public import Metrics
from circuits.weights import Weights
from tests.attacks.sumcheck_lab import Bench, accepted
from tests.attacks.sumcheck_lab_networks import (
    NONE,
    ONE,
    S3,
    U2,
    bench,
    mlp,
    mlp_architecture,
    network,
    random_network,
    zoo,
)
from tests.attacks.sumcheck_lab_product import honest, honest_well_formed

ONE_LAYER = network((3,), 3, Dense("only", ("input",), 3, 3, False))
ONE_CLASS = network((2,), 1, Dense("only", ("input",), 2, 1, True))
ONE_INPUT = network((1,), 1, Dense("only", ("input",), 1, 1, False), weight_bits=2)
SIGNED = network((3,), 2, Dense("only", ("input",), 3, 2, True), input_format=S3)
POOLS = network(
    (1, 3, 3),
    2,
    MaxPool("single", ("input",), (1, 3, 3), ONE, ONE, NONE, ONE),
    SumPool("sum", ("single",), (1, 3, 3), (2, 2), ONE, NONE, ONE),
    Conv2d("conv", ("sum",), (1, 2, 2), (2, 2), ONE, (0, 0, 1, 1), ONE, 2, 1, True),
    MaxPool("of_sums", ("conv",), (2, 2, 2), (2, 1), ONE, NONE, ONE),
    Requantise("act", ("of_sums",), (2, 1, 2), 3, U2),
    Flatten("flat", ("act",), (4,)),
    Dense("dense", ("flat",), 4, 2, False),
)
WIDE = network(
    (8,),
    2,
    Dense("only", ("input",), 8, 2, True),
    weight_bits=14,
    input_format=NumberFormat(8, False),
)
"""Margins of three digits."""


def _flat(made: Bench) -> Bench:
    return replace(made, weights={name: 0 * array for name, array in made.weights.items()})


def _equal(made: Bench) -> Bench:
    """Make the logits of all classes alike: every sample is a tie, and not at zero."""
    weights = dict(made.weights)
    for name in ("second.weight", "second.bias"):
        weights[name] = np.repeat(weights[name][..., :1], 3, axis=-1)
    return replace(made, weights=weights)


EDGES: dict[str, Callable[[], Bench]] = {
    "one sample": lambda: bench(mlp_architecture(), 1, 0),
    "one sample in a shard for four": lambda: bench(mlp_architecture(), 1, 2),
    "three samples": mlp,
    "a full shard": lambda: bench(mlp_architecture(), 4, 2),
    "five samples": lambda: bench(mlp_architecture(), 5, 3, groups=3),
    "sixty samples": lambda: bench(mlp_architecture(), 60, 6),
    "a row for every feature": lambda: bench(ONE_LAYER, 500, 9),
    "every layer": zoo,
    "one layer": lambda: bench(ONE_LAYER, 3, 2),
    "one class": lambda: bench(ONE_CLASS, 3, 2, groups=2, metrics=Metrics(True, True, 2)),
    "one of all": lambda: bench(ONE_INPUT, 1, 0, metrics=Metrics(True, True)),
    "signed inputs": lambda: bench(SIGNED, 3, 2),
    "pools": lambda: bench(POOLS, 3, 2),
    "three digits": lambda: bench(WIDE, 2, 1),
    "all weights zero": lambda: _flat(mlp()),
    "all logits equal": lambda: _equal(mlp()),
    "per class": lambda: replace(mlp(), metrics=Metrics(per_class=True)),
    "confusion": lambda: replace(mlp(), metrics=Metrics(confusion=True)),
    "groups": lambda: replace(mlp(), metrics=Metrics(groups=2)),
    "a group without samples": lambda: replace(
        mlp(), groups=[2, 2, 0], group_count=3, metrics=Metrics(groups=3)
    ),
    "groups that are not counted": lambda: replace(mlp(), metrics=Metrics()),
    "a larger profile": lambda: replace(mlp(), kappa=10),
}


@pytest.mark.parametrize("edge", EDGES)
def test_an_edge_is_proven(edge: str) -> None:
    made_for = EDGES[edge]()
    made = honest(made_for, seed=3)
    accepted(made)
    weights = Weights(made_for.architecture, made_for.weights)
    logits = run(made_for.architecture, weights, made_for.x)
    expected = count_correct(logits, np.array(made_for.y), "first")
    assert made.public.outputs.correct == expected
    lab = made_for.attack(seed=3)
    assert lab.broken == {}
    assert lab.public == made.public
    assert lab.data == made.data


@pytest.mark.parametrize("edge", EDGES)
def test_an_edges_shard_is_well_formed(edge: str) -> None:
    made_for = EDGES[edge]()
    made = honest_well_formed(made_for, seed=4)
    accepted(made)
    assert made_for.attack_well_formed(seed=4).data == made.data


def test_random_networks_are_proven_alike() -> None:
    """Networks of all kinds of layers: accepted by both, and the same bytes by both provers."""
    rng = np.random.default_rng(11)
    proven = 0
    while proven < 6:
        architecture, a = random_network(rng), int(rng.integers(0, 4))
        made_for = bench(architecture, int(rng.integers(1, (1 << a) + 1)), a, seed=proven)
        try:
            depth = made_for.relation.depth
        except ZkpotError:  # it cannot be proven
            continue
        if depth < 13:
            made = honest(made_for, seed=3)
            accepted(made)
            assert made_for.attack(seed=3).data == made.data
            proven += 1


def test_all_equal_logits_predict_the_first_class() -> None:
    for edge in ("all weights zero", "all logits equal"):
        made_for = EDGES[edge]()
        confusion = honest(made_for).public.outputs.confusion
        assert [sum(row[1:]) for row in confusion] == [0, 0, 0]
        assert confusion[0][0] == made_for.y.count(0) > 0


def test_tables_of_all_sizes_are_used() -> None:
    """The edges have all kinds of lookups, one to three digits, tables that fill slots or not."""
    relations = [make().relation for make in EDGES.values()]
    kinds = {segment.kind for relation in relations for segment in relation.lookups}
    assert kinds == {"direct", "quotient", "remainder", "increment", "limb", "weight"}
    assert {relation.limbs.count for relation in relations if relation.limbs} == {1, 2, 3}
    fits = {t.entries % (1 << r.a) == 0 for r in relations for t in r.tables}
    assert fits == {True, False}


def test_two_proofs_of_one_statement_share_no_value() -> None:
    """Masked values, polynomials, salts and opened columns of masks are all fresh."""
    made = mlp()
    one, two = honest(made).proof, honest(made).proof
    assert one.root != two.root
    for name in ("differences", "messages", "u", "q"):
        assert not set(getattr(one, name).reshape(-1)) & set(getattr(two, name).reshape(-1)), name
    own = one.openings["proof"], two.openings["proof"]
    assert not set(own[0].columns[:, -6:].reshape(-1)) & set(own[1].columns[:, -6:].reshape(-1))
    assert not {s.tobytes() for s in own[0].salts} & {s.tobytes() for s in own[1].salts}
