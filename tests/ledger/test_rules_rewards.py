"""What is paid, to whom, by each of the three rules; exactly."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import (
    ALICE,
    BOB,
    CAROL,
    DATA,
    EVALUATOR,
    GENESIS,
    POLICY,
    WINDOWED,
    World,
    commitment,
    ready,
    signer,
    statement,
    submission,
)

from ledger import entries
from ledger.checks import MOST_UNITS
from ledger.errors import MalformedEntry
from ledger.policy import Policy

NAMES = {ALICE: "alice", BOB: "bob", CAROL: "carol"}


def settled(rule, results, **changes):
    """Return a world in which `results`, (who, correct) each, were proven and the task closed."""
    policy = replace(WINDOWED, rule=rule, openings=5, **changes)
    world = World()
    world.introduce()
    task = world.open(policy=policy, rounds=1)
    for place, (who, _) in enumerate(results):
        world.do(who, commitment(task, who, f"m{place}"))
    world.wait(world.state.task(task).opened + 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    for place, (who, correct) in enumerate(results):
        world.do(who, submission(task, statement(task, who, f"m{place}", correct)))
        if rule != "gain":
            assert world.state.minted == 0
    world.wait(world.state.task(task).opened + 10)
    world.do(CAROL, entries.TaskClose(task))
    assert world.replay().digest == world.state.digest
    return world


def paid(world):
    return {NAMES[who]: world.balance(who) for who in NAMES if world.balance(who)}


# Gain


def test_the_ladder_pays_for_gains_above_eta_only():
    world, task = ready([("alice", "a"), ("bob", "b"), ("bob", "c"), ("bob", "d")])
    for who, model, correct, total in (
        (ALICE, "a", 81, 600),  # rounded down to 80
        (BOB, "b", 82, 600),  # 2 above 80: not more than eta
        (BOB, "c", 83, 640),
        (BOB, "d", 60, 640),
    ):
        world.do(who, submission(task, statement(task, who, model, correct)))
        assert world.state.minted == total
    assert paid(world) == {"alice": 600, "bob": 40}


def test_gain_is_paid_at_once_and_nothing_at_the_end():
    world = settled("gain", [(ALICE, 80), (BOB, 90)])
    assert paid(world) == {"alice": 600, "bob": 200}
    assert world.log[-1].body.type == "task.close"


def test_a_perfect_model_exhausts_the_pool():
    world, task = ready()
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 100)))
    assert world.state.minted == POLICY.pool


def test_a_ladder_with_one_step():
    world, task = ready([("alice", "a"), ("bob", "b")], policy=replace(POLICY, eta=Fraction(1, 2)))
    # A gain of exactly eta is not above it.
    world.do(ALICE, submission(task, statement(task, ALICE, "a", 100)))
    assert world.state.minted == 0


policies = st.builds(
    Policy,
    minimum_accuracy=st.fractions(0, Fraction(99, 100), max_denominator=1000),
    eta=st.fractions(Fraction(1, 1000), 1, max_denominator=1000),
    pool=st.one_of(st.integers(0, 2000), st.just(MOST_UNITS)),
    submissions_per_identity=st.just(1),
    openings=st.just(1),
)


@given(policies, st.lists(st.fractions(0, 1, max_denominator=500), max_size=12))
def test_however_scores_arrive_the_pool_is_not_exceeded(policy, scores):
    """Blum and Hardt: what is paid in all depends on the best score alone, to within a step."""
    step, total = 0, 0
    for score in (s for s in scores if s >= policy.minimum_accuracy):
        new = policy.step(score, step)
        # A step is paid once, for a gain above eta, and only if it was reached.
        assert new == step or score > policy.minimum_accuracy + (step + 1) * policy.eta
        assert policy.minimum_accuracy + new * policy.eta <= max(
            score, policy.minimum_accuracy + step * policy.eta
        )
        total += policy.paid_at(new) - policy.paid_at(step)
        step = new
    assert 0 <= total == policy.paid_at(step) <= policy.pool


# Best


def test_the_best_takes_all():
    assert paid(settled("best", [(ALICE, 80), (BOB, 90), (CAROL, 85)])) == {"bob": 1000}


def test_the_first_of_the_best():
    """Whoever comes later with the same accuracy may have copied it."""
    assert paid(settled("best", [(ALICE, 80), (BOB, 90), (CAROL, 90)])) == {"bob": 1000}
    assert paid(settled("best", [(CAROL, 90), (BOB, 90), (ALICE, 80)])) == {"carol": 1000}


def test_who_equals_oneself_does_not_become_later():
    assert paid(settled("best", [(ALICE, 90), (BOB, 90), (ALICE, 90)])) == {"alice": 1000}


def test_the_best_of_what_one_has_proven_counts():
    results = [(ALICE, 80), (BOB, 85), (ALICE, 90), (ALICE, 60)]
    world = settled("best", results)
    assert paid(world) == {"alice": 1000}
    # It names the proof that earned it.
    assert world.state.proofs[world.log[-1].body.proof].correct == 90


def test_nobody_passed():
    for rule in ("best", "equal"):
        world = settled(rule, [])
        assert paid(world) == {}
        assert world.state.due == ()


def test_no_pool():
    for rule in ("best", "equal"):
        assert paid(settled(rule, [(ALICE, 90)], pool=0)) == {}


# Equal


def test_everyone_who_passed_has_the_same():
    world = settled("equal", [(ALICE, 50), (BOB, 100)])
    assert paid(world) == {"alice": 500, "bob": 500}


def test_the_rest_of_an_equal_division_is_not_minted():
    world = settled("equal", [(CAROL, 60), (BOB, 70), (ALICE, 80)], pool=1000)
    assert paid(world) == {"alice": 333, "bob": 333, "carol": 333}
    assert (world.state.minted, world.state.promised) == (999, 999)
    # In the order of the proofs, one entry each.
    whose = [entry.body.identity for entry in world.log[-3:]]
    assert whose == [CAROL.public, BOB.public, ALICE.public]


def test_nobody_is_counted_twice():
    results = [(ALICE, 80), (ALICE, 90), (ALICE, 70), (BOB, 60)]
    assert paid(settled("equal", results)) == {"alice": 500, "bob": 500}


def test_a_pool_too_small_to_divide():
    assert paid(settled("equal", [(ALICE, 80), (BOB, 90)], pool=1)) == {}


def test_all_that_comes_due_at_once_fits_into_a_transaction():
    with pytest.raises(MalformedEntry, match="at most 1000"):
        replace(WINDOWED, rule="equal", openings=1001)
    replace(WINDOWED, rule="best", openings=10**6)


def test_who_was_ended_keeps_what_was_earned_and_cannot_spend_it():
    world = World()
    world.introduce()
    task = world.open(policy=replace(WINDOWED, rule="best"), rounds=1)
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.wait(world.state.task(task).opened + 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
    world.do(ALICE, entries.IdentityRevoke(ALICE.public))
    world.wait(world.state.task(task).opened + 10)
    world.do(BOB, entries.TaskClose(task))
    assert world.balance(ALICE) == 1000
    world.refuse("REVOKED", ALICE, entries.Transfer(BOB.public, 1))


# Policies


@pytest.mark.parametrize(
    "changes",
    [
        {"minimum_accuracy": Fraction(1)},
        {"minimum_accuracy": 0.9},
        {"minimum_accuracy": Fraction(-1, 2)},
        {"minimum_accuracy": Fraction(1, 2**53)},
        {"eta": Fraction(0)},
        {"eta": Fraction(2)},
        {"pool": -1},
        {"pool": 1.5},
        {"pool": MOST_UNITS + 1},
        {"submissions_per_identity": 0},
        {"openings": True},
        {"rule": "generous"},
        {"bond": -1},
        {"evaluator_bond": 0.5},
        {"windows": None},
    ],
)
def test_policies_that_cannot_be(changes):
    with pytest.raises(MalformedEntry):
        replace(POLICY, **changes)


def test_many_at_the_end():
    """As many credits as can come due at once do, each in its turn."""
    people = [signer(f"passer {i}") for i in range(40)]
    world = World(GENESIS)
    world.do(EVALUATOR, entries.IdentityRegister("evaluator"))
    world.do(EVALUATOR, replace(DATA, openings=40))
    policy = replace(
        WINDOWED, rule="equal", openings=40, windows=replace(WINDOWED.windows, commit=90, prove=45)
    )
    task = world.open(policy=policy, rounds=1)
    for who in people:
        world.do(who, entries.IdentityRegister("somebody"))
        world.do(who, commitment(task, who, who.public))
    world.wait(world.state.task(task).opened + 90)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    for who in people:
        world.do(who, submission(task, statement(task, who, who.public, 80)))
    world.wait(world.state.task(task).opened + 45)
    world.do(EVALUATOR, entries.TaskClose(task))
    assert {world.balance(who) for who in people} == {25}
    assert world.state.testsets[DATA.root].spent == 40
