"""A proof tells nothing but what it says: exact checks on the product's code, at toy size.

Challenges are fixed, and so few random coefficients are in a row that every one of them is needed.
Then the opening is a linear map, its ranks are exact, and for every witness with the same counts
there is one choice of the randomness with which it makes the same proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from circuits.network import Dense, NumberFormat
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.field_k import from_array, to_array
from circuits.sumcheck.public import AccuracyInput, Metrics, Outputs, WellFormedInput
from tests.attacks.sumcheck_lab import Bench, count
from tests.attacks.sumcheck_lab_exchange import (
    Chosen,
    Rows,
    Shown,
    difference,
    exchanged_pads,
    fixed_challenges,
    show,
    total,
    toy_profiles,
    unseen_masks,
    unseen_tail,
)
from tests.attacks.sumcheck_lab_networks import bench, network
from tests.attacks.sumcheck_lab_opening import Random, commit_rows
from tests.attacks.sumcheck_lab_ranks import MASKS, View, joined, rank_of, view_of

TOY = network(
    (2,),
    2,
    Dense("only", ("input",), 2, 2, True),
    weight_bits=2,
    input_format=NumberFormat(1, False),
)
SUMS = 2
"""The combined constraint is public: one element of K."""


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    with toy_profiles(), fixed_challenges():
        yield


def toys(how_many: int, **fields: object) -> list[Bench]:
    """Return benches with the same counts and other samples, labels and weights."""
    found: dict[Outputs, list[Bench]] = {}
    for seed in range(100):
        made = replace(bench(TOY, 2, 1, seed=seed, groups=2), kappa=5, **fields)
        same = found.setdefault(count(made.witness(), 2), [])
        if all((made.x != other.x).any() for other in same):
            same.append(made)
        if len(same) == how_many:
            return same
    raise AssertionError


def public_of(made: Bench, matrices: dict, relation: str, proof: int = 0) -> object:
    if relation == "accuracy":
        outputs = count(made.witness(), made.samples)
        return replace(made.public(matrices, outputs), shard=proof)
    identity = made.shard_id(matrices)
    return WellFormedInput(made.kappa, made.a, f"{proof:02x}{identity[2:]}", made.samples)


def shown_by(made: Bench, matrices: dict, public: object, chosen: Chosen) -> Shown:
    assert isinstance(public, AccuracyInput | WellFormedInput)
    if isinstance(public, WellFormedInput):
        matrices = {"shard": matrices["shard"]}
    return show(made, public, matrices, chosen)


def proven(made: Bench, relation: str, proof: int = 0) -> Shown:
    matrices = made.commit(made.witness())
    public = public_of(made, matrices, relation, proof)
    plan = made.relation if relation == "accuracy" else made.well_formed
    return shown_by(made, matrices, public, Chosen.drawn(plan, bytes([proof]) * 32))


def opening_view(shown: Shown) -> View:
    challenged, positions = shown.challenged()
    return view_of(challenged, shown.rows, positions, shown.relation.profile)


RELATIONS = ["accuracy", "well-formed"]


@pytest.mark.parametrize("relation", RELATIONS)
def test_the_linear_map_is_the_products(relation: str) -> None:
    """The ranks below are of this map: it gives what a proof of the product shows."""
    shown = proven(toys(1)[0], relation)
    view = opening_view(shown)
    masks = {name: shown.rows["proof"] - 6 + i for i, name in enumerate(MASKS)}
    values = []
    for name, row, kind, place in view.coordinates:
        matrix = shown.matrices["proof" if name in masks else name]
        values.append(int((matrix.values if kind == "slot" else matrix.tail)[row, place]))
    columns = [shown.view[name].T.reshape(-1) for name in shown.rows]
    expected = [*columns, shown.view["u"].reshape(-1), shown.view["q"].reshape(-1)]
    found = np.array(values, object) @ view.shown.astype(object)
    modulus = (1 << 64) - (1 << 32) + 1
    assert [int(v) % modulus for v in found] == np.concatenate(expected).tolist()


@pytest.mark.parametrize("relation", RELATIONS)
def test_an_opening_shows_no_slot(relation: str) -> None:
    """Not one dimension of any matrix, pads included, but the sum that is proven."""
    view = opening_view(proven(toys(1)[0], relation))
    assert view.leaked(SUMS) == 0


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_random_coefficient_is_needed(relation: str) -> None:
    """Without any one of them, of any tail or mask, a dimension of the slots is shown.

    The random part determines itself: a change of the slots that is not seen changes it in one way
    only. So what cannot be hidden without a coefficient are the changes that move it.
    """
    view = opening_view(proven(toys(1)[0], relation))
    exchanges = view.exchanges()
    data = view.is_data
    assert len(exchanges) == data.sum() - SUMS
    assert rank_of(view.shown[~data]) == (~data).sum()
    assert exchanges[:, ~data].any(axis=0).all()
    names = np.array([c[0] for c in view.coordinates])
    for mask in MASKS:
        assert rank_of(exchanges[:, names == mask]) > 1, mask
    # The same by definition, for some of them.
    kinds = {(c[0], c[2]): i for i, c in enumerate(view.coordinates) if not data[i]}
    for at in kinds.values():
        kept = np.arange(len(data)) != at
        coordinates = [c for i, c in enumerate(view.coordinates) if kept[i]]
        assert View(coordinates, view.shown[kept]).leaked(SUMS) == 1


def exchanged(one: Shown, other: Bench) -> Shown:
    """Return `one`'s proof made from another witness."""
    return exchanged_all([one], other)[0]


def exchanged_all(all_shown: list[Shown], other: Bench) -> list[Shown]:
    """Return the same proofs made from another witness, all of one shard and model."""
    profile = other.relation.profile
    old = all_shown[0].matrices
    targets = other.commit(other.witness())
    opened = [shown.challenged() for shown in all_shown]
    everywhere = sorted({int(p) for _, positions in opened for p in positions})
    own: dict[MatrixName, Matrix] = {}
    changes: dict[MatrixName, Rows] = {}
    for name in (name for name in old if name != "proof"):
        change = difference(targets[name].values, old[name].values)
        tail = unseen_tail(profile, change, _filled(everywhere, profile.tail))
        changes[name] = Rows(change, tail)
        own[name] = _matrix(targets[name].values, total(old[name].tail, tail))
    found = []
    for shown, (challenged, positions) in zip(all_shown, opened, strict=True):
        first = shown_by(other, own, shown.public, shown.chosen)
        chosen = exchanged_pads(shown, first)
        second = shown_by(other, own, shown.public, chosen)
        change = difference(second.matrices["proof"].values, shown.matrices["proof"].values)
        change[-6:] = 0
        tail = np.zeros((len(change), profile.tail), np.uint64)
        tail[:-6] = unseen_tail(
            profile, change[:-6], _filled(positions.tolist(), profile.tail)
        )
        proof = {**changes, "proof": Rows(change, tail)}
        values, mask_tail = unseen_masks(profile, challenged, proof, positions)
        tail[-6:] = mask_tail
        chosen.tail = total(shown.chosen.tail, tail)
        chosen.masks = total(shown.matrices["proof"].values[-6:], values)
        found.append(shown_by(other, own, shown.public, chosen))
    return found


def _filled(positions: list[int], count: int) -> list[int]:
    """Add positions up to `count`."""
    assert len(positions) <= count
    rest = (p for p in range(1 << 20) if p not in positions)
    return [*positions, *(next(rest) for _ in range(count - len(positions)))]


def _matrix(values: np.ndarray, tail: np.ndarray) -> Matrix:
    """Commit to rows with chosen random coefficients."""
    from circuits.sumcheck.params import Profile

    profile = Profile(values.shape[1].bit_length() - 1)
    made = commit_rows(values, Random(9), profile)
    codeword = _encode(values, tail)
    tree = type(made._tree)(_leaves(codeword, made._salts))
    return Matrix(values, tail, made._salts, tree, codeword)


def _encode(values: np.ndarray, tail: np.ndarray) -> np.ndarray:
    from circuits.sumcheck.ntt_code import encode

    return encode(values, tail, 8)


def _leaves(codeword: np.ndarray, salts: np.ndarray) -> np.ndarray:
    from circuits.sumcheck.columns import leaf_hashes

    return leaf_hashes(codeword, salts)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("metrics", [Metrics(), Metrics(True, True, 2)], ids=["one", "all"])
def test_another_witness_makes_the_same_proof(relation: str, metrics: Metrics) -> None:
    one, other = toys(2, metrics=metrics)
    assert any((one.weights[name] != other.weights[name]).any() for name in one.weights)
    shown = proven(one, relation)
    again = exchanged(shown, other)
    assert again.matrices["shard"].root != shown.matrices["shard"].root
    for name, part in shown.view.items():
        assert np.array_equal(again.view[name], part), name


_ = (pairwise, from_array, to_array, joined)
