"""Each promise of a ledger, by breaking the rule that keeps it: the second lock holds.

A mutation makes a rule do the wrong thing and an honest entry, or one that the rule would have
refused, meets it. Whatever the rule says then, `ledger.invariants` stops the ledger and names the
promise. Each mutation is also the proof that its check can fail at all.
"""

from dataclasses import replace
from pathlib import Path

import mutations_order  # noqa: F401
import mutations_units  # noqa: F401
import pytest
from immutables import Map
from ledger_world import (
    ALICE,
    BOB,
    CAROL,
    CHARTER,
    EVALUATOR,
    ORIGIN,
    RICH,
    World,
    commitment,
    digest_of,
    spelt,
)
from mutations import (
    CASES,
    bonded,
    changed,
    closing,
    paid,
    proof,
)

from ledger import entries, invariants
from ledger.checks import NOTHING
from ledger.entries import ENTRY_TYPES
from ledger.errors import LedgerCorrupt
from ledger.records import Locked
from ledger.rules import machine
from ledger.state import State
from ledger.tlog.note import Checkpoint

ROOT = Path(__file__).parents[2]

# Kept by what stores entries or verifies proofs, so broken and seen to hold in its tests.
ELSEWHERE = {
    5: "tests/ledger/test_proofs.py",
    6: "tests/ledger/test_ledger.py",
    8: "tests/ledger/embedded/test_mark.py",
    12: "tests/ledger/test_audit.py",
    14: "tests/ledger/embedded/test_faults.py",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.promise}: {case.name}")
def test_a_broken_rule_is_stopped(case, monkeypatch):
    # In the very entry, and not when somebody looks at the whole again.
    monkeypatch.setattr(invariants, "check_all", lambda state: None)
    with pytest.raises(LedgerCorrupt, match=rf"promise {case.promise} of the ledger is broken"):
        case.run(monkeypatch)


def test_every_promise_is_broken_somewhere():
    here = {case.promise for case in CASES}
    assert here == {1, 2, 3, 4, 7, 9, 10, 11, 13}
    assert here | set(ELSEWHERE) == set(range(1, 15))
    assert all((ROOT / path).is_file() for path in ELSEWHERE.values())


def test_no_type_of_entry_is_without_a_rule():
    assert {cls.type for cls in machine.RULES} | {"credit"} == set(ENTRY_TYPES)


# The whole state at once, for engines that load one


def whole():
    """A state with something of everything."""
    world, task = bonded()
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.wait(world.state.task(task).opened + 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.do(ALICE, proof(task, ALICE))
    world.do(ALICE, entries.ModelRelease("digits", "1", digest_of("m")))
    # Something is burned.
    world.do(CAROL, entries.Bond(NOTHING, 10))
    notes = tuple(Checkpoint(ORIGIN, 5, bytes([n]) * 32).sign(CAROL) for n in (1, 2))
    world.do(BOB, entries.Slash("equivocation", CAROL.public, NOTHING, notes))
    return world.state, task


WHOLE = [
    (1, lambda s, t: replace(s, bonded=s.bonded + 1)),
    (1, lambda s, t: paid(replace(s, bonded=s.bonded + 1), CAROL, -1)),
    (1, lambda s, t: replace(s, minted=s.minted + 1)),
    (1, lambda s, t: replace(s, burned=s.burned + 1)),
    (1, lambda s, t: replace(s, promised=s.promised + 1)),
    (1, lambda s, t: paid(s, CAROL, 1)),
    (1, lambda s, t: paid(paid(s, CAROL, -1001), BOB, 1001)),
    (1, lambda s, t: replace(s, bonds=s.bonds.set((BOB.public, t), Locked(0)))),
    (1, lambda s, t: replace(s, genesis=replace(RICH, grants=()))),
    (1, lambda s, t: changed(s, t, charter=replace(CHARTER, max_pool=1))),
    (1, lambda s, t: changed(s, t, minted=0)),
    (2, lambda s, t: changed(s, t, spent=2)),
    (2, lambda s, t: changed(s, t, submissions=Map())),
    (2, lambda s, t: changed(s, t, submissions=Map(), spent=0)),
    (2, lambda s, t: replace(s, credits=Map({1: 600}))),
    (2, lambda s, t: replace(s, credits=Map())),
    (3, lambda s, t: replace(s, nullifiers=Map())),
    (3, lambda s, t: replace(s, nullifiers=s.nullifiers.set(digest_of("more"), 1))),
    (3, lambda s, t: replace(s, nullifiers=Map({digest_of("x"): next(iter(s.proofs))}))),
    (7, lambda s, t: replace(s, versions=Map())),
    (7, lambda s, t: replace(s, releases=Map())),
    (13, lambda s, t: changed(s, t, commits=Map())),
    (13, lambda s, t: changed(s, t, releases=Map({0: 1, 1: 2}))),
    (13, lambda s, t: changed(s, t, releases=Map({1: 1}))),
]


@pytest.mark.parametrize(("promise", "spoil"), WHOLE)
def test_a_state_that_cannot_be(promise, spoil):
    state, task = whole()
    invariants.check_all(state)
    with pytest.raises(LedgerCorrupt, match=f"promise {promise} "):
        invariants.check_all(spoil(state, task))


def test_states_that_can_be():
    invariants.check_all(State())
    invariants.check_all(World().state)
    invariants.check_all(World(RICH).state)
    world, task = closing()
    entry = world.sign(BOB, entries.TaskClose(task))
    world.push(entry, spelt(entry.body))
    # Also while something is due.
    assert world.state.due
    invariants.check_all(world.state)
