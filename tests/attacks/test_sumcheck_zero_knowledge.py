"""A proof tells nothing but what it says: exact checks on the product's code, at toy size.

Challenges are fixed, and so few random coefficients are in a row that every one of them is needed.
Then the opening is a linear map, its ranks are exact, and for every witness with the same counts
there is one choice of the randomness with which it makes the same proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pytest

from circuits.network import Dense, NumberFormat
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.field_k import from_array
from circuits.sumcheck.public import Metrics, Outputs, WellFormedInput
from tests.attacks.sumcheck_lab import Bench, count
from tests.attacks.sumcheck_lab_exchange import exchanged
from tests.attacks.sumcheck_lab_networks import bench, network, random_weights
from tests.attacks.sumcheck_lab_ranks import MASKS, View, joined, rank_of, view_of
from tests.attacks.sumcheck_lab_shown import (
    Chosen,
    Shown,
    fixed_challenges,
    show,
    toy_profiles,
)

TOY = network(
    (2,),
    2,
    Dense("only", ("input",), 2, 2, True),
    weight_bits=2,
    input_format=NumberFormat(1, False),
)
RELATIONS = ["accuracy", "well-formed"]
SUM = 2
"""Dimensions of a combined constraint, which is public: an element of K."""


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    with toy_profiles(), fixed_challenges():
        yield


def toys(how_many: int, kappa: int = 5, metrics: Metrics | None = None) -> list[Bench]:
    """Return benches with the same counts and other samples, labels and weights."""
    found: dict[Outputs, list[Bench]] = {}
    for seed in range(200):
        drawn = bench(TOY, 2, 1, seed=seed, groups=2, metrics=metrics or Metrics())
        same = found.setdefault(count(drawn.witness(), 2), [])
        if all((drawn.x != other.x).any() for other in same):
            same.append(replace(drawn, kappa=kappa))
        if len(same) == how_many:
            return same
    raise AssertionError


def proven(
    made: Bench,
    relation: str,
    number: int = 0,
    chosen: Chosen | None = None,
    public_of: Bench | None = None,
) -> Shown:
    """Return a proof; `number` tells proofs of one shard apart.

    `public_of` is the bench whose public input it has, so that challenges are the same.
    """
    matrices: Mapping[MatrixName, Matrix] = made.commit(made.witness())
    of = public_of or made
    theirs = of.commit(of.witness())
    if relation == "accuracy":
        public = replace(of.public(theirs, count(of.witness(), of.samples)), shard=number)
        plan = made.relation
    else:
        identity = f"{number:02x}{of.shard_id(theirs)[2:]}"
        public = WellFormedInput(of.kappa, of.a, identity, of.samples)
        plan, matrices = made.well_formed, {"shard": matrices["shard"]}
    return show(made, public, matrices, chosen or Chosen.drawn(plan, bytes([number]) * 32))


def view(shown: Shown) -> View:
    challenged, positions = shown.challenged()
    return view_of(challenged, shown.rows, positions, shown.relation.profile)


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_linear_map_is_the_products(relation: str) -> None:
    """The ranks below are those of this map, and it gives what the product's proof shows."""
    shown = proven(toys(1)[0], relation)
    found = view(shown)
    values = []
    for name, row, kind, place in found.coordinates:
        matrix = shown.matrices["proof" if name in MASKS else name]
        values.append(int((matrix.values if kind == "slot" else matrix.tail)[row, place]))
    columns = [shown.view[name].T.reshape(-1) for name in shown.rows]
    expected = [*columns, shown.view["u"].reshape(-1), shown.view["q"].reshape(-1)]
    total = np.array(values, object) @ found.shown.astype(object)
    assert [int(v) % MODULUS for v in total] == np.concatenate(expected).tolist()


@pytest.mark.parametrize("relation", RELATIONS)
def test_an_opening_shows_no_slot(relation: str) -> None:
    """Not one dimension of any matrix, pads included, but the sum that is proven."""
    assert view(proven(toys(1)[0], relation)).leaked(SUM) == 0


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_random_coefficient_is_needed(relation: str) -> None:
    """Without any one of them, of any tail or mask, a dimension of the slots is shown.

    A change of the slots that is not seen changes the random part in one way only. So what cannot
    be hidden without a coefficient are the changes that move it, and every one is moved by some.
    """
    found = view(proven(toys(1)[0], relation))
    exchanges, data = found.exchanges(), found.is_data
    assert len(exchanges) == data.sum() - SUM
    assert rank_of(found.shown[~data]) == (~data).sum()
    assert exchanges[:, ~data].any(axis=0).all()
    names = np.array([c[0] for c in found.coordinates])
    for mask in MASKS:
        assert rank_of(exchanges[:, names == mask]) > 1, mask
    # The same by definition, for one coefficient of every kind.
    kinds = {(c[0], c[2]): i for i, c in enumerate(found.coordinates) if not data[i]}
    for at in kinds.values():
        kept = np.arange(len(data)) != at
        coordinates = [c for i, c in enumerate(found.coordinates) if kept[i]]
        assert View(coordinates, found.shown[kept]).leaked(SUM) == 1


def same(one: Shown, other: Shown) -> None:
    assert one.matrices["shard"].root != other.matrices["shard"].root
    assert one.view.keys() == other.view.keys()
    for name, part in one.view.items():
        assert np.array_equal(other.view[name], part), name


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("metrics", [Metrics(), Metrics(True, True, 2)], ids=["one", "all"])
def test_another_witness_makes_the_same_proof(relation: str, metrics: Metrics) -> None:
    """Other samples, labels, groups and weights; every masked value, column and polynomial."""
    one, other = toys(2, metrics=metrics)
    assert any((one.weights[name] != other.weights[name]).any() for name in one.weights)
    shown = proven(one, relation)
    same(shown, exchanged([shown], other)[0])


@pytest.mark.parametrize("known", ["shard", "model"])
def test_who_knows_one_side_learns_nothing_of_the_other(known: str) -> None:
    """The samples' owner knows the shard's random coefficients too, and the model's owner those."""
    one = toys(1)[0]
    rng = np.random.default_rng(3)
    for seed in range(100):
        if known == "shard":
            other = replace(one, weights=random_weights(TOY, seed))
        else:
            other = replace(
                one, x=rng.integers(0, 2, one.x.shape), y=rng.integers(0, 2, 2).tolist()
            )
        same_counts = count(other.witness(), 2) == count(one.witness(), 2)
        if same_counts and (other.witness().leaves[0][0] != one.witness().leaves[0][0]).any():
            break
    shown = proven(one, "accuracy")
    (again,) = exchanged([shown], other)
    for part in ("values", "tail"):
        mine, theirs = (getattr(s.matrices[known], part) for s in (shown, again))  # type: ignore[index]
        assert np.array_equal(mine, theirs)
    assert again.view.keys() == shown.view.keys()
    for name, part in shown.view.items():
        assert np.array_equal(again.view[name], part), name
    # And by ranks: nothing is told apart where the known matrix is given.
    found = view(shown)
    rest = np.array([c[0] != known for c in found.coordinates])
    coordinates = [c for c in found.coordinates if c[0] != known]
    assert View(coordinates, found.shown[rest]).leaked(SUM) == 0


def test_proofs_within_the_budget_are_those_of_another_witness() -> None:
    """A shard with a budget of three: its own proof, and two of accuracy with one model."""
    with toy_profiles(openings=3):
        one, other = toys(2)
        proofs = [
            proven(one, "well-formed"),
            proven(one, "accuracy", 1),
            proven(one, "accuracy", 2),
        ]
        for shown, again in zip(proofs, exchanged(proofs, other), strict=True):
            same(shown, again)


@pytest.mark.parametrize("budget", [1, 2, 4])
def test_a_proof_beyond_the_budget_shows_slots(budget: int) -> None:
    """Within it none, by all proofs together; with one more as many as it opens positions."""
    with toy_profiles(openings=budget):
        (made,) = toys(1, kappa=4)
        views = [view(proven(made, "well-formed", i)) for i in range(budget + 1)]
        positions = {
            int(p)
            for i in range(budget + 1)
            for p in proven(made, "well-formed", i).challenged()[1]
        }
        profile, rows = made.relation.profile, made.relation.shard.rows
        within = joined(views[:budget], ["shard"])
        assert within.leaked(budget * SUM) == 0
        shown = min(len(positions), profile.degree) - profile.tail
        assert shown > 0
        assert joined(views, ["shard"]).leaked((budget + 1) * SUM) == rows * shown


def test_a_proof_beyond_the_budget_cannot_be_exchanged() -> None:
    with toy_profiles(openings=2):
        one, other = toys(2)
        proofs = [proven(one, "accuracy", i) for i in range(3)]
        exchanged(proofs[:2], other)
        with pytest.raises(AssertionError):
            exchanged(proofs, other)


@pytest.mark.parametrize(("relation", "public"), [("accuracy", [12, 18]), ("well-formed", [0, 13])])
def test_every_pad_is_needed(relation: str, public: list[int]) -> None:
    """A message whose pad is zero is shown, and messages are not the same for all witnesses.

    But for those that follow from what is public: q1 of the first steps, where the upper half of
    the slots is of tables alone, and the first g(0) of bits, which is zero.
    """
    benches = toys(8)
    plan = benches[0].relation if relation == "accuracy" else benches[0].well_formed
    zeros = np.zeros((plan.schedule.messages, 2), np.uint64)
    chosen = replace(Chosen.drawn(plan, bytes(32)), pads=zeros)
    true = [proven(b, relation, 0, chosen, benches[0]).view["messages"] for b in benches]
    different = np.array([(t != true[0]).any(axis=1) for t in true])
    assert np.flatnonzero(~different.any(axis=0)).tolist() == public


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_x_of_a_product_is_needed(relation: str) -> None:
    """With x' = 0 a difference is eps x: the pad, and with it the message, can be computed."""
    (made,) = toys(1)
    shown = proven(made, relation)
    plan = shown.relation.schedule
    chosen = replace(shown.chosen, fresh=np.zeros_like(shown.chosen.fresh))
    without = proven(made, relation, 0, chosen)
    pads = from_array(shown.chosen.pads)
    for difference, (x, _) in zip(
        from_array(without.proof.differences), plan.products, strict=True
    ):
        assert difference / without.epsilon() == pads[x]
    for difference, (x, _) in zip(from_array(shown.proof.differences), plan.products, strict=True):
        assert difference / shown.epsilon() != pads[x]
