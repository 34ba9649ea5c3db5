"""Lies about predictions, labels and counts (docs/protocol.md, 4.4 and 5.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from circuits.sumcheck.field_k import K
from circuits.sumcheck.public import Metrics, Outputs
from tests.attacks.sumcheck_lab import accepted, caught
from tests.attacks.sumcheck_lab_fractions import Cheats
from tests.attacks.sumcheck_lab_networks import mlp, zoo
from tests.attacks.sumcheck_lab_values import Block, Edit, add_at, set_at

MLP = mlp()
PLAIN = replace(MLP, metrics=Metrics())
"""The same, and only right predictions are counted."""
HONEST = MLP.attack().public.outputs
LOGITS = MLP.witness().blocks["logits", ""]


def predict(sample: int, *classes: int) -> Edit:
    """Return the lie that these classes are predicted."""

    def edit(predictions: Block) -> None:
        predictions[:, sample] = 0
        predictions[list(classes), sample] = 1

    return edit


def flat(block: Block) -> None:
    """Make the weights zero, so that all logits are equal."""
    block[...] = 0


def test_the_samples_are_worth_lying_about() -> None:
    """Sample 0 is predicted as class 1 and is of class 0; no margin is zero."""
    first = [column.index(max(column)) for column in LOGITS.T.tolist()]
    assert (first[0], MLP.y[0]) == (1, 0)
    assert HONEST.correct == 1
    assert sorted(LOGITS[:, 0].tolist())[-2] < max(LOGITS[:, 0])


def test_a_prediction_that_is_not_the_maximum_is_caught() -> None:
    """With the true maximum, the margin of the predicted class is not zero: P (M - A) is seen."""
    made = MLP.attack({("predictions", ""): predict(0, 0)})
    assert made.public.outputs.correct == HONEST.correct + 1
    caught(made, "F")


def test_a_maximum_that_is_not_the_largest_is_caught() -> None:
    """With the logit of the predicted class as maximum, a margin is negative."""
    lies = {("predictions", ""): predict(0, 0), ("maximum", ""): set_at((0, 0), LOGITS[0, 0])}
    assert MLP.attack(lies).public.outputs.correct == HONEST.correct + 1
    caught(MLP.attack(lies), "step 0")
    caught(MLP.attack(lies, pretend=True), "z* m*")


def test_a_maximum_above_all_logits_is_caught() -> None:
    caught(MLP.attack({("maximum", ""): add_at((0, 1), 1)}), "F")


@pytest.mark.parametrize("chosen", [1, 2])
def test_a_tie_is_not_broken_for_a_later_class(chosen: int) -> None:
    """All logits are equal: the first class is predicted, and no other."""
    lies = {("weights", ""): flat}
    honest = MLP.attack(lies)
    assert honest.public.outputs.confusion[0][0] == MLP.y.count(0)
    accepted(honest)
    lies[("predictions", "")] = predict(0, chosen)
    caught(MLP.attack(lies), "step 0")
    caught(MLP.attack(lies, pretend=True), "z* m*")


def test_one_class_is_predicted() -> None:
    """Not two, not none, and none twice, though the sum be one."""
    caught(MLP.attack({("predictions", ""): predict(0, 0, 1)}), "F", "P one-hot")
    caught(MLP.attack({("predictions", ""): predict(0)}), "P one-hot")
    caught(MLP.attack({("predictions", ""): set_at((1, 0), 2)}), "F", "P one-hot")

    def shared(predictions: Block) -> None:
        predictions[:, 0] = [2, 0, -1]

    caught(PLAIN.attack({("predictions", ""): shared}), "F")


@pytest.mark.parametrize("c", [0, 1, 2])
def test_logits_are_the_output_of_the_network(c: int) -> None:
    """The logits of one class raised for one sample; all that follows is honest."""
    made = MLP.attack({("logits", ""): add_at((c, 0), 9)})
    assert made.public.outputs.confusion[0] != HONEST.confusion[0] or c == 1
    caught(made, "z* m*")


def claiming(**fields: object) -> Callable[[Outputs], Outputs]:
    return lambda outputs: replace(outputs, **fields)


def per_class(c: int, correct: int, total: int) -> Callable[[Outputs], Outputs]:
    """Return a claim that adds to a class's counts, and to the sums that depend on them."""

    def claim(outputs: Outputs) -> Outputs:
        rows = [list(row) for row in outputs.per_class]
        rows[c][0] += correct
        rows[c][1] += total
        confusion = [list(row) for row in outputs.confusion]
        confusion[c][c] += correct
        return replace(
            outputs,
            correct=outputs.correct + correct,
            per_class=tuple(map(tuple, rows)),
            confusion=tuple(map(tuple, confusion)),
        )

    return claim


def moved(outputs: Outputs) -> Outputs:
    """Claim that a wrong prediction was of another wrong class."""
    rows = [list(row) for row in outputs.confusion]
    rows[0][1] -= 1
    rows[0][2] += 1
    return replace(outputs, confusion=tuple(map(tuple, rows)))


CLAIMS: dict[str, tuple[Callable[[Outputs], Outputs], tuple[str, ...]]] = {
    "one more correct": (per_class(0, 1, 0), ("F",)),
    "one less correct": (per_class(0, -1, 0), ("F",)),
    "one more of a class": (per_class(1, 0, 1), ("total of class 1",)),
    "one less of a class": (per_class(0, 0, -1), ("total of class 0",)),
    "another confusion": (moved, ("F",)),
    "one more correct in a group": (
        lambda o: replace(o, groups=(o.groups[0], (o.groups[1][0] + 1, o.groups[1][1]))),
        ("F",),
    ),
    "one more in a group": (
        lambda o: replace(o, groups=((o.groups[0][0], o.groups[0][1] + 1), o.groups[1])),
        ("total of group 0",),
    ),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_other_counts_than_the_true_ones_are_caught(claim: str) -> None:
    change, broken = CLAIMS[claim]
    made = MLP.attack(claim=change)
    assert made.public.outputs != HONEST
    caught(made, *broken)


@pytest.mark.parametrize("correct", range(8))
def test_no_other_number_is_accepted_where_nothing_else_is_counted(correct: int) -> None:
    bench = zoo()
    honest = bench.attack().public.outputs.correct
    made = bench.attack(claim=claiming(correct=correct))
    if correct == honest:
        accepted(made)
    else:
        caught(made, "F")


COUNTS_THAT_CONTRADICT = {
    "correct is not the sum of the classes": claiming(correct=HONEST.correct + 1),
    "more than the samples": claiming(correct=4),
    "negative": claiming(correct=-1),
    "not an integer": claiming(correct=True),
    "no class": claiming(per_class=()),
    "a class too few": claiming(per_class=HONEST.per_class[:2]),
    "no confusion": claiming(confusion=()),
    "a group too many": claiming(groups=(*HONEST.groups, (0, 0))),
    "far more than the samples": claiming(groups=((1 << 52, 2), (0, 1))),
}


@pytest.mark.parametrize("claim", COUNTS_THAT_CONTRADICT)
def test_counts_that_contradict_each_other_are_refused_in_the_clear(claim: str) -> None:
    made = MLP.attack()
    claimed = made.claiming(outputs=COUNTS_THAT_CONTRADICT[claim](made.public.outputs))
    assert claimed.verdicts() == ("outputs", "public")


def test_labels_are_the_committed_ones() -> None:
    """The zero check is run, consistently, with the label that was predicted."""

    def other(arrays: dict[str, np.ndarray]) -> None:
        y = arrays["y"].reshape(-1, 4, 2)
        y[0, 0], y[1, 0] = (0, 0), (1, 0)

    made = PLAIN.attack(cheats=Cheats(arrays=other), claim=claiming(correct=HONEST.correct + 1))
    caught(made, "Y*")


def test_predictions_and_margins_are_the_committed_ones() -> None:
    def other(arrays: dict[str, np.ndarray]) -> None:
        for name, column in (("p", 0), ("p", 1)):
            arrays[name].reshape(-1, 4, 2)[column, 0] = (1 - column, 0)

    def and_margin(arrays: dict[str, np.ndarray]) -> None:
        other(arrays)
        arrays["d"].reshape(-1, 4, 2)[0, 0] = (0, 0)

    claim = claiming(correct=HONEST.correct + 1)
    caught(PLAIN.attack(cheats=Cheats(arrays=other), claim=claim), "F", "P*")
    caught(PLAIN.attack(cheats=Cheats(arrays=and_margin), claim=claim), "D*", "P*")


@pytest.mark.parametrize("name", ["gamma", "yt", "pf"])
def test_groups_and_confusion_are_of_what_is_committed(name: str) -> None:
    """Any other value in the zero check leaves a claim that is not that of the commitment."""
    broken = {"gamma": "Gamma*", "yt": "Yt*", "pf": "Pf*"}[name]

    def other(arrays: dict[str, np.ndarray]) -> None:
        arrays[name].reshape(-1, 4, 2)[:, 1] = (5, 0)

    made = MLP.attack(cheats=Cheats(arrays=other))
    assert broken in made.broken
    assert made.verdicts() == ("sum", "sum")


@pytest.mark.parametrize(
    ("claim", "broken"),
    [(1, "D*"), (2, "Y*"), (3, "W*"), (4, "Gamma*"), (5, "Yt*"), (6, "Pf*")],
)
def test_false_claims_that_fit_the_zero_check_are_caught(claim: int, broken: str) -> None:
    """One more right prediction, and one claim changed so that the last round fits."""
    change = per_class(0, 1, 0)
    error = MLP.attack(claim=change).broken["F"]

    def step(claims: list[K]) -> list[K]:
        return [c + (i == claim) for i, c in enumerate(claims)]

    slope = MLP.attack(claim=change, cheats=Cheats(zero_claims=step)).broken["F"] - error

    def fit(claims: list[K]) -> list[K]:
        return [c - error / slope * (i == claim) for i, c in enumerate(claims)]

    made = MLP.attack(claim=change, cheats=Cheats(zero_claims=fit))
    expected = {broken, "W*"} if claim == 2 else {broken}
    caught(made, *expected)


def test_padding_is_not_counted() -> None:
    """The selector of real samples is the verifier's: a prover's own that has one more is seen."""
    size = 1 << MLP.a
    labelled = {("labels", ""): set_at((1, 3), 1)}
    assert MLP.witness().predictions[1, 3] == 1

    def select(arrays: dict[str, np.ndarray]) -> None:
        omega = arrays["omega"].reshape(-1, size, 2)
        omega[:, 3] = omega[:, 0]

    accepted(PLAIN.attack(labelled))
    claim = claiming(correct=HONEST.correct + 1)
    caught(PLAIN.attack(labelled, claim=claim, cheats=Cheats(arrays=select)), "F")


def test_a_group_of_padding_would_be_counted() -> None:
    """Why an accuracy proof needs the shard's well-formedness: groups have no selector (5.0)."""
    lies = {("labels", ""): set_at((1, 3), 1), ("groups", ""): set_at((0, 3), 1)}
    bench = replace(MLP, metrics=replace(MLP.metrics, per_class=False, confusion=False))
    made = bench.attack(lies)
    assert made.public.outputs.groups[0][0] == HONEST.groups[0][0] + 1
    accepted(made)
    assert set(bench.attack_well_formed(lies).broken) == {"Y one-hot", "G one-hot"}


def test_fewer_samples_under_the_same_commitment() -> None:
    """The proof itself holds for the samples it names; that they are the header's is 5.0's."""
    made = MLP.attack(samples=2)
    accepted(made)
    assert made.claiming(samples=3).verdicts()[0] == "sum"
    assert all(MLP.attack().claiming(samples=n).verdicts()[0] == "sum" for n in (2, 4))
