"""Lies of the opening (docs/protocol.md, 6): masks, pads, products, rows that are no codewords."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from circuits.sumcheck.field_arrays import from_signed
from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.field_k import K, from_array
from circuits.sumcheck.ntt_tables import coset_points
from circuits.sumcheck.randomness import Randomness
from circuits.sumcheck.transcript import Transcript
from prover.sumcheck.channel import MaskingChannel, draw_pads
from tests.attacks.sumcheck_lab import accepted, caught
from tests.attacks.sumcheck_lab_networks import mlp, zoo
from tests.attacks.sumcheck_lab_opening import Forgery, repair_sum
from tests.attacks.sumcheck_lab_product import honest

MLP = mlp()
HONEST = MLP.attack()
PROFILE = MLP.relation.profile
M0, M1, A0, A1, B0, B1 = range(-6, 0)


def plus(row: int, place: int, value: int) -> Callable[[U64Array], None]:
    """Return a change of one value or coefficient of a row."""

    def change(rows: U64Array) -> None:
        rows[row, place] = (int(rows[row, place]) + value) % MODULUS

    return change


def high_power(row: int, power: int) -> Callable[[U64Array], None]:
    """Return a change of a row's codeword that adds x^power to its polynomial."""

    def change(codeword: U64Array) -> None:
        points = coset_points(PROFILE.positions, np.arange(PROFILE.positions))
        added = [
            (int(v) + pow(x, power, MODULUS)) % MODULUS
            for v, x in zip(codeword[:, row], points.tolist(), strict=True)
        ]
        codeword[:, row] = np.array(added, np.uint64)

    return change


@pytest.mark.parametrize("row", [A0, A1])
def test_a_mask_that_does_not_add_up_is_caught(row: int) -> None:
    made = MLP.attack(forgery=Forgery(values=plus(row, 3, 1)))
    assert made.verdicts() == ("sum", "sum")
    assert made.reopened(Forgery(q=repair_sum)).verdicts() == ("linear", "linear")


@pytest.mark.parametrize("sign", [1, -1])
def test_a_mask_does_not_pay_for_a_constraint(sign: int) -> None:
    """A class total that is wrong by one is a number known beforehand.

    Masks that add up to it would cancel it if a constraint had the coefficient r^0.
    """
    total = HONEST.public.outputs.per_class[1]

    def claim(outputs):
        rows = list(outputs.per_class)
        rows[1] = (total[0], total[1] + 1)
        return replace(outputs, per_class=tuple(rows))

    made = MLP.attack(claim=claim, forgery=Forgery(values=plus(A0, 0, sign)))
    assert list(made.broken) == ["total of class 1"]
    assert made.broken["total of class 1"] == K.of(-1)
    assert made.verdicts() == ("sum", "sum")
    assert made.reopened(Forgery(q=repair_sum)).verdicts() == ("linear", "linear")


@pytest.mark.parametrize("row", [B0, B1])
def test_a_mask_of_too_high_a_degree_is_caught(row: int) -> None:
    """b has one coefficient less: Z_H b would have a power that q cannot have."""
    made = MLP.attack(forgery=Forgery(tail=plus(row, -1, 1)))
    assert made.verdicts() == ("linear", "linear")


@pytest.mark.parametrize("row", [M0, M1, A0, B1, 0])
@pytest.mark.parametrize("power", [0, 1, 40])
def test_a_row_that_is_no_codeword_is_caught(row: int, power: int) -> None:
    """From degree k' on; u, which has k' coefficients, is that of the codeword next to it."""
    made = MLP.attack(forgery=Forgery(codeword=high_power(row, PROFILE.degree + power)))
    assert made.broken == {}
    assert made.verdicts() == ("proximity", "proximity")


def test_a_codeword_for_other_values_is_caught() -> None:
    """A row of degree below k' that has another value in a slot that a constraint reads."""

    def change(codeword: U64Array) -> None:
        codeword[:, 0] = (codeword[:, 0] + np.uint64(1)) % np.uint64(MODULUS)

    made = MLP.attack(forgery=Forgery(codeword=change))
    assert made.verdicts() == ("proximity", "proximity")


def test_a_matrix_of_others_must_be_codewords_too() -> None:
    """The shard's owner commits to a row of too high a degree."""
    witness = MLP.witness()
    matrices = MLP.commit(witness, forgery=Forgery(codeword=high_power(0, PROFILE.degree)))
    made = MLP.prove(witness, matrices)
    assert made.verdicts() == ("proximity", "proximity")


def test_a_few_broken_columns_prove_nothing_else() -> None:
    """Where no broken position is opened, the proof is one of the codeword next to it."""

    def break_some(codeword: U64Array) -> None:
        codeword[:3, 0] = from_signed(np.array([1, 2, 3]))

    made = MLP.attack(forgery=Forgery(codeword=break_some))
    opened = made.proof.openings["proof"].columns[:, 0]
    assert not set(opened.tolist()) & {1, 2, 3}
    accepted(made)


@pytest.mark.parametrize("name", ["u", "q"])
@pytest.mark.parametrize("place", [0, 1, 511, 512, -1])
def test_another_polynomial_is_caught(name: str, place: int) -> None:
    """Polynomials are part of what the positions are drawn from, so a prover may change them."""

    def change(polynomial: U64Array, *_: K) -> None:
        polynomial[place, 1] = (int(polynomial[place, 1]) + 1) % MODULUS

    made = HONEST.reopened(Forgery(**{name: change}))
    check = "proximity" if name == "u" else "sum" if place in (0, 512) else "linear"
    assert made.verdicts() == (check, check)


def test_the_product_of_two_pads_is_committed() -> None:
    """z of any product off by one: seen as such, and by the constraint that uses the product."""
    first = MLP.relation.schedule.messages
    for product, user in ((0, "F"), (2, "F"), (5, "step 0"), (-1, "z* m*")):
        number = product % len(MLP.relation.schedule.products)

        def change(pads: list[K], at: int = first + 3 * number) -> None:
            pads[at] += 1

        made = MLP.attack(pads=change)
        assert {f"product {number}", user} <= set(made.broken)
        assert made.verdicts() == ("sum", "sum")


@pytest.mark.parametrize("offset", [1, 2])
def test_the_checks_of_a_product_are_committed(offset: int) -> None:
    """x' or z' off by one: eps is drawn when they are committed."""
    at = MLP.relation.schedule.messages + 3 * 4 + offset

    def change(pads: list[K]) -> None:
        pads[at] += 1

    caught(MLP.attack(pads=change), "product 4")


def test_a_false_product_with_a_false_check_is_caught() -> None:
    """z' = eps z - d y would need eps before it is drawn; a guess fails."""
    relation = MLP.relation
    x, y = relation.schedule.products[3]
    at = relation.schedule.messages + 9

    def change(pads: list[K]) -> None:
        guess = K(123, 456)
        pads[at] += 1
        pads[at + 2] = guess * pads[at] - (guess * pads[x] - pads[at + 1]) * pads[y]

    made = MLP.attack(pads=change)
    assert "product 3" in made.broken
    assert made.verdicts() == ("sum", "sum")


def test_pads_that_are_known_prove_as_well_as_others() -> None:
    """Pads serve secrecy, not soundness: all zero, they make an accepted proof."""

    def clear(pads: list[K]) -> None:
        pads[:] = [K(0)] * len(pads)

    accepted(MLP.attack(pads=clear))


def test_the_prover_uses_no_pad_twice() -> None:
    """The product's prover stops rather than mask two values, or open two differences, alike."""
    schedule = MLP.relation.schedule
    pads = draw_pads(schedule, Randomness(bytes(32)))
    channel = MaskingChannel(schedule, Transcript(), bytes(32), pads)
    channel.open_products(K(3, 4))
    with pytest.raises(AssertionError):
        channel.open_products(K(5, 6))
    channel.send("claims", [K(5)] * schedule.messages, schedule.messages)
    assert len({(m.c0, m.c1) for m in channel.messages}) == schedule.messages
    with pytest.raises(AssertionError):
        channel.send("claims", [K(5)], 1)


def test_all_pads_of_the_product_differ() -> None:
    """No pad, nor z, x', z', occurs twice in a proof matrix, nor a masked value in a proof."""
    made = honest(MLP)
    shown = from_array(draw_pads(MLP.relation.schedule, Randomness()))
    assert len(set(shown)) == MLP.relation.schedule.pads
    values = made.proof.messages
    assert len({tuple(v) for v in values.tolist()}) == len(values)


def test_a_proof_of_one_shard_is_none_of_another() -> None:
    other = replace(MLP, y=[1, 1, 2]).attack()
    swapped = replace(HONEST, roots=other.roots)
    assert swapped.verdicts() == ("columns", "columns")
    model = replace(HONEST, roots={**HONEST.roots, "model": zoo().attack().roots["model"]})
    assert model.verdicts() == ("columns", "columns")
