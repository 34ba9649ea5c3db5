"""Lies about what is looked up: accumulators, activations, remainders, maxima, weights, digits.

Every lie is told in two ways. The prover may look up what it has committed, which is in no table,
so the fractions do not add up to zero ("step 0"). Or it may look up something that is in the table
and is not what it has committed, so the claim on the leaves fails at the linear layers ("z* m*").
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from circuits.sumcheck.field_arrays import k_batch_inverse
from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.field_k import from_array
from circuits.sumcheck.sums import k_total
from circuits.sumcheck.vectors import k_multiply
from tests.attacks.sumcheck_lab import Bench, accepted, caught
from tests.attacks.sumcheck_lab_fractions import Cheats
from tests.attacks.sumcheck_lab_networks import mlp, zoo
from tests.attacks.sumcheck_lab_opening import Forgery
from tests.attacks.sumcheck_lab_values import Block, Edit, Lies, add_at, set_at

HALF = (MODULUS + 1) // 2
BENCHES = {"mlp": mlp(), "zoo": zoo()}


def quotient_for(bench: Bench, layer: str, remainder: int, by: int) -> Edit:
    """Change the quotient of the first element that has a remainder."""
    honest = bench.witness()
    segments = {(s.kind, s.layer): i for i, s in enumerate(bench.relation.lookups)}
    found, _ = honest.leaves[segments["remainder", layer]]
    places = np.argwhere(found == remainder)
    return add_at(tuple(places[0]), by)


LIES: dict[str, tuple[str, Callable[[Bench], Lies]]] = {
    "remainder 2^s": ("mlp", lambda b: {("quotient", "relu"): quotient_for(b, "relu", 0, -1)}),
    "remainder -1": ("mlp", lambda b: {("quotient", "relu"): quotient_for(b, "relu", 7, 1)}),
    "wrong accumulator": ("mlp", lambda b: {("quotient", "relu"): add_at((1, 2), -3)}),
    "wrong accumulator of padding": ("mlp", lambda b: {("quotient", "relu"): add_at((1, 3), 1)}),
    "quotient a fraction": ("mlp", lambda b: {("quotient", "relu"): set_at((0, 0), HALF)}),
    "wrong activation": ("mlp", lambda b: {("output", "relu"): add_at((2, 1), 1)}),
    "activation out of its format": ("mlp", lambda b: {("output", "relu"): set_at((2, 1), -1)}),
    "wrong activation, direct": ("zoo", lambda b: {("output", "back"): add_at((7, 6), 1)}),
    "wrong activation, split": ("zoo", lambda b: {("output", "act"): add_at((0, 0), -1)}),
    "maximum too large": ("zoo", lambda b: {("increments", "max"): add_at((9, 3), 1)}),
    "maximum too small": ("zoo", lambda b: {("increments", "max"): add_at((0, 1), -1)}),
    "weight W + 1": ("mlp", lambda b: {("weights", ""): set_at(3, 4)}),
    "weight -W - 1": ("mlp", lambda b: {("weights", ""): set_at(23, -4)}),
    "weight 1/2": ("mlp", lambda b: {("weights", ""): set_at(0, HALF)}),
    "digit of a margin too large": ("zoo", lambda b: {("limbs", ""): add_at((0, 0), 1)}),
    "digit of a margin negative": ("zoo", lambda b: {("limbs", ""): set_at((2, 5), -1)}),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_value_outside_its_table_is_caught_at_the_root(lie: str) -> None:
    bench, lies = BENCHES[LIES[lie][0]], LIES[lie][1]
    caught(bench.attack(lies(bench)), "step 0")


@pytest.mark.parametrize("lie", LIES)
def test_a_value_replaced_in_its_lookup_is_caught_at_the_linear_layers(lie: str) -> None:
    bench, lies = BENCHES[LIES[lie][0]], LIES[lie][1]
    caught(bench.attack(lies(bench), pretend=True), "z* m*")


def test_the_lies_change_the_counts() -> None:
    """What is to be gained: another activation is another number of right predictions."""
    bench = BENCHES["mlp"]
    honest = bench.attack().public.outputs

    def clear(block: Block) -> None:
        block[...] = 0

    lied = bench.attack({("output", "relu"): clear})
    assert lied.public.outputs != honest
    caught(lied, "step 0")


def test_a_table_does_not_pay_for_another() -> None:
    """A quotient out of range is a value of the table of remainders, which counts one more."""
    bench = BENCHES["mlp"]
    lies = {("quotient", "relu"): set_at((0, 0), 6), ("output", "relu"): set_at((0, 0), 0)}
    relation, missing = bench.relation, bench.witness(lies)
    table = relation.table(relation.lookups[0])
    assert not table.lo <= 6 <= table.hi
    first = relation.table_slots[0].start
    entries = relation.table_slots[1]
    place = divmod(6 - relation.tables[1].lo, 1 << relation.a)
    row = entries.start - first + place[0]
    before = missing.blocks["multiplicities", ""][row, place[1]]
    paid = {**lies, ("multiplicities", ""): set_at((row, place[1]), before + 1)}
    caught(bench.attack(paid), "step 0")


@pytest.mark.parametrize("change", [1, -1, MODULUS - 7, HALF])
def test_multiplicities_count_the_lookups(change: int) -> None:
    bench = BENCHES["mlp"]
    caught(bench.attack({("multiplicities", ""): add_at((1, 0), change)}), "step 0")


def test_multiplicities_of_one_entry_do_not_cancel_with_another() -> None:
    """Negative ones are field elements like others: a sum of zero does not help."""

    def shift(block: Block) -> None:
        block[0, 0] += 5
        block[0, 1] -= 5

    caught(BENCHES["mlp"].attack({("multiplicities", ""): shift}), "step 0")


def test_stale_multiplicities_of_another_witness_are_caught() -> None:
    bench = BENCHES["mlp"]
    other = bench.witness({("inputs", ""): set_at((0, 0), 3)}).blocks["multiplicities", ""]
    assert (other != bench.witness().blocks["multiplicities", ""]).any()

    def stale(block: Block) -> None:
        block[...] = other

    caught(bench.attack({("multiplicities", ""): stale}), "step 0")


def test_committed_multiplicities_are_those_of_the_fractions() -> None:
    """Fractions with the right ones add up; the committed ones are others."""
    bench = BENCHES["mlp"]
    start = bench.relation.proof.span("multiplicities").start << bench.relation.a

    def change(values: np.ndarray) -> None:
        values.reshape(-1)[start] += np.uint64(1)

    caught(bench.attack(forgery=Forgery(values=change)), "p")


def test_a_copy_of_the_last_entry_may_be_counted() -> None:
    """Copies fill a table's last slot up; which of them is counted makes no difference."""
    bench = BENCHES["mlp"]
    relation = bench.relation
    table, entries = relation.tables[0], relation.table_slots[0]
    assert table.entries % (1 << relation.a)
    last = divmod(table.entries - 1, 1 << relation.a)

    def move(block: Block) -> None:
        copies = block[: entries.count]
        copies[-1, -1], copies[last] = copies[last], 0

    accepted(bench.attack({("multiplicities", ""): move}))


@pytest.mark.parametrize("step", [0, 1, 2, 5, 9])
def test_a_false_claim_of_the_lookups_is_caught_wherever_it_is_last_told(step: int) -> None:
    """The claims of each step are made to fit the step before, up to the one that is caught."""
    bench = BENCHES["zoo"]
    cheats = Cheats(carry="p", carry_to=step)
    lies = {("output", "back"): add_at((7, 6), 1)}
    caught(bench.attack(lies, cheats=cheats), f"step {step}")


@pytest.mark.parametrize(("carry", "broken"), [("p", "p"), ("q", "z* m*")])
def test_a_false_claim_on_the_leaves_is_caught(carry: str, broken: str) -> None:
    bench = BENCHES["zoo"]
    lies = {("output", "back"): add_at((7, 6), 1)}
    caught(bench.attack(lies, cheats=Cheats(carry=carry)), broken)


@pytest.mark.parametrize("part", ["numerator", "denominator"])
def test_fractions_that_are_made_to_add_up_are_caught(part: str) -> None:
    """By a numerator beyond the last slot, where there are none, or by a lookup's denominator."""
    bench = BENCHES["zoo"]
    assert bench.relation.slots < 1 << bench.relation.slot_bits

    def pay(numerators: U64Array, denominators: U64Array) -> None:
        missing = -k_total(k_multiply(numerators, k_batch_inverse(denominators)))
        if part == "numerator":
            numerators[-1] = missing.to_array()
        else:
            first = (missing + 1 / from_array(denominators[:1])[0]).inverse()
            denominators[0] = first.to_array()

    lies = {("output", "back"): add_at((7, 6), 1)}
    broken = {"numerator": "p", "denominator": "z* m*"}[part]
    caught(bench.attack(lies, cheats=Cheats(leaves=pay)), broken)


@pytest.mark.parametrize(("factor", "broken"), [(0, "z*"), (1, "m*")])
def test_a_false_claim_on_inputs_or_weights_is_caught(factor: int, broken: str) -> None:
    """The last claims are made to fit the linear layers, and are not those of what is committed."""
    bench = BENCHES["mlp"]
    lies = {("output", "relu"): add_at((2, 1), 1)}
    error = bench.attack(lies, pretend=True).broken["z* m*"]

    def fit(claims: list) -> list:
        found = list(claims)
        found[factor] = (claims[0] * claims[1] - error) / claims[1 - factor]
        return found

    caught(bench.attack(lies, pretend=True, cheats=Cheats(linear_claims=fit)), broken)


@pytest.mark.parametrize("name", ["first.weight", "second.weight", "second.bias"])
def test_every_layer_is_of_the_committed_model(name: str) -> None:
    """One layer of another model, used consistently; the model's commitment is opened as it is."""
    bench = BENCHES["mlp"]
    span = bench.relation.model.span(name)

    def other(slots: Block) -> None:
        slots[span] = slots[span][::-1].copy()

    made = bench.prove(bench.witness({("weights", ""): other}), bench.commit(bench.witness()))
    assert set(made.broken) == ({"z* m*"} if name.endswith("bias") else {"z* m*", "m*"})
    assert made.verdicts() == ("sum", "sum")


@pytest.mark.parametrize(
    ("role", "broken"), [("inputs", "z*"), ("labels", "Y*"), ("groups", "Gamma*")]
)
def test_samples_are_the_committed_ones(role: str, broken: str) -> None:
    """Other samples, labels or groups, used consistently, under the shard's commitment."""
    bench = BENCHES["mlp"]

    def other(block: Block) -> None:
        block[:, :3] = block[:, :3][::-1].copy()

    made = bench.prove(bench.witness({(role, ""): other}), bench.commit(bench.witness()))
    assert broken in made.broken
    assert made.verdicts() == ("sum", "sum")


def test_a_bias_is_not_looked_up() -> None:
    """A constant added to all biases of the output cancels, however large (section 4)."""
    bench = BENCHES["mlp"]
    honest = bench.attack()
    span = bench.relation.model.span("second.bias")

    def raise_all(slots: Block) -> None:
        slots[span] += HALF

    made = bench.attack({("weights", ""): raise_all})
    assert made.public.outputs == honest.public.outputs
    accepted(made)


def test_unused_slots_have_no_effect() -> None:
    """Slots that nobody reads may hold anything, and padding may run through the network."""
    for bench in BENCHES.values():
        honest, filled = bench.attack(), bench.attack(filler=MODULUS - 2)
        assert filled.public.outputs == honest.public.outputs
        accepted(filled)
        accepted(bench.attack_well_formed(filler=12345))
