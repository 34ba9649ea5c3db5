"""Deadlines, to the entry and to the second."""

from dataclasses import replace

import pytest
from ledger_world import (
    ALICE,
    BOB,
    EVALUATOR,
    OPERATOR,
    POLICY,
    TASK,
    WINDOWED,
    commitment,
    opened,
    statement,
    submission,
)

from ledger import entries
from ledger.checks import LONGEST
from ledger.errors import MalformedEntry
from ledger.policy import Policy, Windows
from ledger.rules import phases

# 10 to commit, then 5 to release, then 10 to prove; in seconds the clock stands at 1000 first.
UNITS = ["entries", "seconds"]


class Timed:
    """A task with windows, and a way to stand exactly at a place of them."""

    def __init__(self, unit, policy=WINDOWED, **changes):
        self.unit = unit
        self.world, _ = opened()
        self.world.tick(1000)
        windows = replace(policy.windows, unit=unit)
        policy = replace(policy, windows=windows)
        self.task = self.world.open(title="timed", policy=policy, **changes)
        self.start = self.record.opened
        assert self.start == (self.world.state.size - 1 if unit == "entries" else 1000)

    @property
    def record(self):
        return self.world.state.task(self.task)

    def at(self, place):
        """Go to where the next entry is `place` after the task's opening."""
        if self.unit == "entries":
            self.world.wait(self.start + place)
        else:
            self.world.tick(self.start + place)

    def commit(self, who=ALICE, model="m", round_=0):
        return who, commitment(self.task, who, model, round_)

    def release(self, round_=0):
        return EVALUATOR, entries.TestsetRelease(self.task, round_)

    def prove(self, who=ALICE, model="m", correct=80, round_=0):
        said = statement(self.task, who, model, correct, round_)
        return who, submission(self.task, said, round_)

    def close(self, who=BOB):
        return who, entries.TaskClose(self.task)


@pytest.fixture(params=UNITS)
def timed(request):
    return Timed(request.param)


def test_the_last_moment_of_each_phase(timed):
    do, refuse = timed.world.do, timed.world.refuse
    timed.at(8)
    do(*timed.commit(model="early"))
    timed.at(9)
    do(*timed.commit())
    # It is 10 now, by entries; by the clock time has not moved.
    timed.at(10 if timed.unit == "seconds" else 12)
    refuse("TOO_LATE", *timed.commit(BOB))
    timed.at(14)
    do(*timed.release())
    released = timed.record.releases[0]
    assert released == timed.start + 14
    timed.at(23)
    do(*timed.prove())
    if timed.unit == "seconds":
        timed.world.tick(timed.start + 24)
    refuse("TOO_LATE", *timed.prove(model="early"))


def test_the_first_moment_of_the_release(timed):
    timed.world.do(*timed.commit())
    timed.at(9)
    timed.world.refuse("WRONG_PHASE", *timed.release(), match="taken until")
    timed.at(10)
    timed.world.do(*timed.release())


def test_a_late_release(timed):
    timed.world.do(*timed.commit())
    timed.at(15)
    timed.world.refuse("TOO_LATE", *timed.release())
    # Nothing else comes of the round.
    timed.world.refuse("TOO_LATE", *timed.commit(model="late"))
    timed.world.refuse("WRONG_PHASE", *timed.prove())


def test_commitments_end_though_nothing_was_released(timed):
    timed.at(10)
    timed.world.refuse("TOO_LATE", *timed.commit())
    timed.world.refuse("WRONG_PHASE", *timed.prove())


def test_a_task_without_release_is_closed_at_its_deadline(timed):
    timed.world.do(*timed.commit())
    timed.at(14)
    timed.world.refuse("WRONG_PHASE", *timed.close(), match="before the end")
    timed.world.refuse("NO_FAULT", BOB, entries.Slash("no-release", EVALUATOR.public, timed.task))
    timed.at(15)
    timed.world.do(*timed.close())
    assert timed.record.closed


def test_a_task_is_closed_when_the_last_proofs_have_ended(timed):
    do, refuse = timed.world.do, timed.world.refuse
    do(*timed.commit())
    timed.at(10)
    do(*timed.release())
    # A second round begins with the release of the first.
    assert timed.record.opened == timed.start + 10
    timed.at(12)
    do(*timed.commit(round_=1))
    timed.at(20)
    refuse("TOO_LATE", *timed.prove())
    do(*timed.release(1))
    refuse("WRONG_PHASE", *timed.close())
    timed.at(29)
    refuse("WRONG_PHASE", *timed.close(OPERATOR))
    timed.at(30)
    refuse("TOO_LATE", *timed.prove(round_=1))
    do(*timed.close())
    for late in (timed.commit(), timed.prove(round_=1), timed.close(), timed.release(1)):
        refuse("WRONG_PHASE", *late, match="closed")


def test_a_task_that_stopped_between_rounds(timed):
    """Round 0 was proven, round 1 never released: the proofs of round 0 still have their time."""
    windows = Windows(timed.unit, 2, 3, 50)
    timed = Timed(timed.unit, replace(WINDOWED, windows=windows))
    timed.world.do(*timed.commit())
    timed.at(3)
    timed.world.do(*timed.release())
    timed.at(12)
    timed.world.refuse("TOO_LATE", *timed.release(1))
    timed.world.refuse("WRONG_PHASE", *timed.close())
    timed.world.do(*timed.prove())
    timed.at(52)
    timed.world.refuse("WRONG_PHASE", *timed.close())
    timed.at(53)
    timed.world.do(*timed.close())


def test_who_may_close(timed):
    timed.at(15)
    # Anyone who is registered.
    timed.world.do(*timed.close(ALICE))


def test_without_windows_there_are_no_deadlines():
    world, task = opened()
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.tick(10**9)
    world.wait(200)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.wait(400)
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    world.refuse("WRONG_PHASE", OPERATOR, entries.TaskClose(task))


def test_only_the_deadline_for_commitments():
    world, _ = opened()
    task = world.open(title="t", policy=replace(POLICY, windows=Windows("entries", 3)))
    start = world.state.task(task).opened
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.refuse("WRONG_PHASE", EVALUATOR, entries.TestsetRelease(task, 0))
    world.wait(start + 3)
    world.refuse("TOO_LATE", BOB, commitment(task, BOB, "m"))
    world.wait(start + 300)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))


def test_windows_in_seconds_need_a_clock():
    world, _ = opened()
    policy = replace(WINDOWED, windows=replace(WINDOWED.windows, unit="seconds"))
    world.refuse("WRONG_PHASE", OPERATOR, replace(TASK, policy=policy), match="clock")
    world.tick(1)
    world.do(OPERATOR, replace(TASK, policy=policy))


def test_what_people_see_is_what_the_rules_go_by(timed):
    """`phases` on a state tells of the next entry, for who asks before writing it."""
    state, record = timed.world.state, timed.record
    assert phases.commit_ends(record) == timed.start + 10
    assert phases.release_ends(record) == timed.start + 15
    assert not phases.over(state, record)
    timed.at(14)
    assert not phases.unreleased(timed.world.state, timed.record)
    timed.at(15)
    assert phases.unreleased(timed.world.state, timed.record)
    assert phases.over(timed.world.state, timed.record)


@pytest.mark.parametrize(
    "windows",
    [
        {"unit": "blocks"},
        {"commit": -1},
        {"commit": 1.0},
        {"prove": True},
        {"release": 5},
        {"commit": LONGEST + 1},
        {"prove": LONGEST + 1},
    ],
)
def test_windows_that_cannot_be(windows):
    with pytest.raises(MalformedEntry):
        Windows(**windows)


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "best"},
        {"rule": "equal"},
        {"bond": 1},
        {"evaluator_bond": 1},
        {"bond": 1, "windows": Windows("entries", 0, 0, 10)},
        {"bond": 1, "windows": Windows("entries", 10, 5, 0)},
        {"evaluator_bond": 1, "windows": Windows("entries", 10, 0, 10)},
    ],
)
def test_nothing_is_left_for_an_end_that_does_not_come(changes):
    with pytest.raises(MalformedEntry):
        replace(POLICY, **changes)


def test_policies_and_windows_read_back():
    assert Policy.from_dict(WINDOWED.to_dict()) == WINDOWED
