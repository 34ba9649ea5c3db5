"""Logits that are not the network's, paid for by shifting all denominators of the lookups.

The claim of the lookups V and the debt sum_c delta_c (output_c - A_c) are checked in one equation.
A prover that knew delta before the lookups could run them honestly on denominators that are all
smaller by what it owes: the fractions still add up, as for another alpha. So delta is drawn when
the lookups are over (docs/protocol.md, 5.6). These tests show what that prevents, and, with both
verifiers changed to draw it early, that the attack is a real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ONE, ZERO, K, from_array
from circuits.sumcheck.transcript import Transcript
from circuits.sumcheck.vectors import k_add
from tests.attacks.sumcheck_lab import caught
from tests.attacks.sumcheck_lab_fractions import Cheats
from tests.attacks.sumcheck_lab_networks import bench, mlp, mlp_architecture
from tests.attacks.sumcheck_lab_proof import Made
from tests.attacks.sumcheck_lab_values import Block
from verifier.plain.transcript import Transcript as PlainTranscript

SHIFTS = (40, -11, 3)
"""What is added to the logits of each class: class 0 wins."""

BENCHES = {"one sample": bench(mlp_architecture(), 1, 0, seed=28), "several samples": mlp()}


def raised(logits: Block) -> None:
    for c, shift in enumerate(SHIFTS):
        logits[c] += shift


def forged(name: str, delta: list[K]) -> Made:
    """Claim that class 0 is predicted throughout; `delta` is read when the leaves are made."""

    def shift(_: U64Array, denominators: U64Array) -> None:
        owed = sum((d * -shift for d, shift in zip(delta, SHIFTS, strict=True)), ZERO)
        minus = np.ascontiguousarray(np.broadcast_to((-owed).to_array(), denominators.shape))
        denominators[...] = k_add(denominators, minus)  # the implicit slots' too

    made = BENCHES[name].attack({("logits", ""): raised}, cheats=Cheats(leaves=shift))
    assert made.public.outputs.correct == list(BENCHES[name].y).count(0)
    return made


@contextmanager
def delta_drawn_early() -> Iterator[list[K]]:
    """Let prover and verifiers draw delta in step 3; yield the list it will be found in."""
    drawn: list[K] = []
    fast, plain = Transcript.draw_array, PlainTranscript.draw

    def draw_array(self: Any, label: str, count: int) -> U64Array:
        if label == "lookups":
            self.early = fast(self, "logits", len(SHIFTS))
            drawn[:] = from_array(self.early)
        return self.early if label == "logits" else fast(self, label, count)

    def draw(self: Any, label: str, count: int) -> list[tuple[int, int]]:
        if label == "lookups":
            self.early = plain(self, "logits", len(SHIFTS))
        return self.early if label == "logits" else plain(self, label, count)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transcript, "draw_array", draw_array)
        patch.setattr(PlainTranscript, "draw", draw)
        yield drawn


@pytest.mark.parametrize("name", BENCHES)
def test_it_would_work_if_delta_were_known_before_the_lookups(name: str) -> None:
    with delta_drawn_early() as delta:
        made = forged(name, delta)
        assert made.broken == {}
        assert made.verdicts() == ("", "")
    assert made.verdicts() == ("sum", "columns")


@pytest.mark.parametrize("name", BENCHES)
def test_it_does_not_work(name: str) -> None:
    """Whatever is guessed for delta, the debt is not paid."""
    for guess in ([ZERO] * 3, [ONE] * 3, [K(5, 7), K(11), K(0, 13)]):
        caught(forged(name, guess), "z* m*")


def test_an_early_delta_alone_makes_no_proof() -> None:
    """The older order without the shift: the lie is seen where it is told."""
    with delta_drawn_early():
        made = BENCHES["several samples"].attack({("logits", ""): raised})
        assert list(made.broken) == ["z* m*"]
        assert made.verdicts() == ("sum", "sum")
