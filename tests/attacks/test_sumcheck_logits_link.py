"""Logits that are not the network's, paid for by shifting all denominators of the lookups.

The claim of the lookups V and the debt sum_c delta_c (output_c - A_c) are checked in one equation.
A prover that knew delta before the lookups could run them honestly on denominators that are all
smaller by what it owes: the fractions still add up, as for another alpha. So delta is drawn when
the lookups are over (docs/protocol.md, 5.6); these tests show both what that prevents and that the
attack is a real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ZERO, K, from_array
from circuits.sumcheck.transcript import Transcript
from circuits.sumcheck.vectors import k_add
from tests.attacks.sumcheck_lab import Bench, Made, caught
from tests.attacks.sumcheck_lab_networks import bench, mlp, mlp_architecture
from tests.attacks.sumcheck_lab_rounds import Cheats
from tests.attacks.sumcheck_lab_witness import Block

SHIFTS = (40, -11, 3)
"""What is added to the logits of each class: class 0 wins."""

BENCHES = {"one sample": bench(mlp_architecture(), 1, 0, seed=28), "many samples": mlp()}


def raised(logits: Block) -> None:
    for c, shift in enumerate(SHIFTS):
        logits[c] += shift


def shifted_by(delta: list[K]) -> Cheats:
    """Take from all denominators, implicit ones too, what these coefficients make of the lie."""
    owed = sum((d * -shift for d, shift in zip(delta, SHIFTS, strict=True)), ZERO)

    def edit(_: U64Array, denominators: U64Array) -> None:
        away = np.broadcast_to((-owed).to_array(), denominators.shape)
        denominators[...] = k_add(denominators, np.ascontiguousarray(away))

    return Cheats(leaves=edit)


def forged(made_by: Bench, delta: list[K]) -> Made:
    made = made_by.attack({("logits", ""): raised}, cheats=shifted_by(delta))
    # All samples are predicted to be of class 0.
    assert made.public.outputs.correct == list(made_by.y).count(0)
    return made


@contextmanager
def delta_drawn_early() -> Iterator[list[K]]:
    """Let both sides draw delta with the other challenges of step 3, as an older protocol did."""
    drawn: list[K] = []
    draw_array = Transcript.draw_array

    def patched(self: Transcript, label: str, count: int) -> U64Array:
        if label == "lookups":
            self.early = draw_array(self, "logits", len(SHIFTS))
            drawn[:] = from_array(self.early)
        return self.early if label == "logits" else draw_array(self, label, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transcript, "draw_array", patched)
        yield drawn


class EarlyDelta(list):
    """Coefficients that are read only when the leaves are made, after step 3."""

    def __init__(self, drawn: list[K]) -> None:
        super().__init__()
        self.drawn = drawn

    def __iter__(self) -> Iterator[K]:
        return iter(self.drawn)


@pytest.mark.parametrize("name", BENCHES)
def test_the_attack_works_where_delta_is_known_before_the_lookups(name: str) -> None:
    with delta_drawn_early() as delta:
        made = BENCHES[name].attack(
            {("logits", ""): raised}, cheats=Cheats(leaves=_lazily(delta))
        )
        assert made.public.outputs.correct == list(BENCHES[name].y).count(0)
        assert made.broken == {}
        assert made.verdicts()[0] == ""


def _lazily(delta: list[K]):
    def edit(numerators: U64Array, denominators: U64Array) -> None:
        assert delta
        shifted_by(delta).leaves(numerators, denominators)

    return edit
