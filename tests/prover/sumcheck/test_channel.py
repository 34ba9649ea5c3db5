"""Pads: each hides one message, and their products are those the protocol asks for."""

from __future__ import annotations

import pytest

from circuits.sumcheck.field_k import ZERO, K, from_array
from circuits.sumcheck.randomness import Randomness
from circuits.sumcheck.schedule import Schedule
from circuits.sumcheck.transcript import Transcript
from prover.sumcheck.channel import MaskingChannel, draw_pads

PLAN = Schedule(messages=3, products=((0, 0), (2, 1)), constraints=4)


def make() -> tuple[MaskingChannel, list[K]]:
    pads = draw_pads(PLAN, Randomness(bytes(32)))
    return MaskingChannel(PLAN, Transcript(), bytes(32), pads), from_array(pads)


def test_products_of_pads() -> None:
    _, pads = make()
    assert len(pads) == PLAN.pads == len(set(pads))
    for number, (i, j) in enumerate(PLAN.products):
        z, other, product = pads[3 + 3 * number : 6 + 3 * number]
        assert z == pads[i] * pads[j]
        assert product == other * pads[j]


def test_every_message_has_a_pad_of_its_own() -> None:
    channel, pads = make()
    values = [K(5), K(6), ZERO]
    channel.send("round", values[:2], 2)
    channel.send("claims", values[2:], 1)
    assert channel.messages == [v + p for v, p in zip(values, pads, strict=False)]
    with pytest.raises(AssertionError):
        channel.send("claims", [ZERO], 1)


def test_a_group_of_another_length_is_not_sent() -> None:
    channel, _ = make()
    with pytest.raises(AssertionError):
        channel.send("round", [ZERO], 2)
    assert channel.messages == []


def test_differences_are_opened_once() -> None:
    channel, pads = make()
    epsilon = K(3, 4)
    channel.open_products(epsilon)
    assert channel.opened == [epsilon * pads[0] - pads[4], epsilon * pads[2] - pads[7]]
    with pytest.raises(AssertionError):
        channel.open_products(K(7))


def test_products_of_messages_are_proven() -> None:
    channel, pads = make()
    channel.open_products(K(3, 4))
    values = [K(10), K(20), K(30, 1)]
    x, y, z = channel.send("claims", values, 3)

    def value(form) -> K:
        return form.constant + sum((by * pads[i] for i, by in form.pads.items()), ZERO)

    assert value(channel.product(x, x)) == values[0] * values[0]
    assert value(channel.product(z, y)) == values[2] * values[1]
    assert [value(form) for form in channel.constraints] == [ZERO] * 4
