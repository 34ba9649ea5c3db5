"""Shards that are not well-formed: what an accuracy proof alone would believe (5.0, 5.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.public import Metrics
from tests.attacks.sumcheck_lab import accepted, caught
from tests.attacks.sumcheck_lab_fractions import Cheats
from tests.attacks.sumcheck_lab_networks import mlp, zoo
from tests.attacks.sumcheck_lab_opening import Forgery
from tests.attacks.sumcheck_lab_values import Block, Edit, Lies, add_at, set_at

MLP = mlp()
HALF = (MODULUS + 1) // 2


def column(sample: int, *values: int) -> Edit:
    def edit(block: Block) -> None:
        block[:, sample] = values

    return edit


LIES: dict[str, tuple[Lies, tuple[str, ...]]] = {
    "Y = 5": ({("labels", ""): column(0, 5, 0, 0)}, ("F", "Y one-hot")),
    "Y = 5 that sums to one": ({("labels", ""): column(0, 5, -4, 0)}, ("F",)),
    "Y of halves": ({("labels", ""): column(0, HALF, HALF, 0)}, ("F",)),
    "two labels": ({("labels", ""): column(0, 1, 1, 0)}, ("Y one-hot",)),
    "no label": ({("labels", ""): column(0, 0, 0, 0)}, ("Y one-hot",)),
    "a label on padding": ({("labels", ""): column(3, 0, 0, 1)}, ("Y one-hot",)),
    "two groups": ({("groups", ""): column(1, 1, 1)}, ("G one-hot",)),
    "no group": ({("groups", ""): column(1, 0, 0)}, ("G one-hot",)),
    "half a group": ({("groups", ""): column(1, HALF, HALF)}, ("F",)),
    "a group on padding": ({("groups", ""): column(3, 1, 0)}, ("G one-hot",)),
    "an input on padding": ({("inputs", ""): set_at((2, 3), 1)}, ("padding",)),
    "an input too large": ({("inputs", ""): set_at((0, 0), 4)}, ("step 0",)),
    "an input negative": ({("inputs", ""): set_at((2, 2), -1)}, ("step 0",)),
    "an input a fraction": ({("inputs", ""): set_at((1, 1), HALF)}, ("step 0",)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_shard_that_is_not_well_formed_is_caught(lie: str) -> None:
    lies, broken = LIES[lie]
    caught(MLP.attack_well_formed(lies), *broken)


@pytest.mark.parametrize("lie", ["an input too large", "an input a fraction"])
def test_an_input_replaced_in_its_lookup_is_caught(lie: str) -> None:
    caught(MLP.attack_well_formed(LIES[lie][0], pretend=True), "V")


def test_what_a_shard_that_is_not_well_formed_is_good_for() -> None:
    """Y = 5 at a sample that is right: five right predictions, and the accuracy proof holds."""
    bench = replace(zoo(), metrics=Metrics())
    honest = bench.attack().public.outputs.correct
    predictions = bench.witness().predictions
    sample = next(n for n, y in enumerate(bench.y) if predictions[y, n])
    lies = {("labels", ""): set_at((bench.y[sample], sample), 5)}
    made = bench.attack(lies)
    assert made.public.outputs.correct == honest + 4
    accepted(made)
    assert set(bench.attack_well_formed(lies).broken) == {"F", "Y one-hot"}


def test_an_input_out_of_range_breaks_only_the_shard_proof() -> None:
    """An input beyond its format may still lie in the tables of the network that reads it."""
    lies = {("inputs", ""): set_at((0, 0), 4)}
    accepted(MLP.attack(lies))
    caught(MLP.attack_well_formed(lies), "step 0")


def test_bits_are_the_committed_ones() -> None:
    def other(arrays: dict) -> None:
        arrays["b"].reshape(-1, 4, 2)[0, 0] = (1, 0)

    lies = {("labels", ""): column(0, 5, -4, 0)}
    made = MLP.attack_well_formed(lies, cheats=Cheats(arrays=other))
    assert "B*" in made.broken
    assert made.verdicts() == ("sum", "sum")


def test_fewer_samples_than_are_labelled_is_caught() -> None:
    """All but the last sample: its label, its group and its input are on padding."""
    caught(MLP.attack_well_formed(samples=2), "Y one-hot", "G one-hot", "padding")


def test_more_samples_than_are_labelled_is_caught() -> None:
    caught(MLP.attack_well_formed(samples=4), "Y one-hot", "G one-hot")


def test_a_sum_over_padding_does_not_cancel() -> None:
    """Inputs on padding that add up to zero: each feature has a power of its own, eta^(f+1)."""

    def cancelling(block: Block) -> None:
        block[0, 3], block[1, 3] = 1, -1

    caught(MLP.attack_well_formed({("inputs", ""): cancelling}, pretend=True), "V", "padding")


def test_a_full_shard_has_no_padding_to_check() -> None:
    full = replace(MLP, x=MLP.x.repeat(2, axis=0)[:4], y=[*MLP.y, 1], groups=[*MLP.groups, 0])
    accepted(full.attack_well_formed())
    accepted(full.attack())


def test_multiplicities_of_the_inputs_are_counted() -> None:
    caught(MLP.attack_well_formed({("multiplicities", ""): add_at((0, 2), 1)}), "step 0")


def test_unused_slots_of_both_matrices_have_no_effect() -> None:
    def fill(values) -> None:
        values[:-6].reshape(-1)[-3:] = MODULUS - 1

    accepted(MLP.attack_well_formed(filler=MODULUS - 1, forgery=Forgery(values=fill)))
