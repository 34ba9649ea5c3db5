"""Each promise of a ledger, by breaking the rule that keeps it: the second lock holds.

A mutation makes a rule do the wrong thing and an honest entry, or one that the rule would have
refused, meets it. Whatever the rule says then, `ledger.invariants` stops the ledger and names the
promise. Each mutation is also the proof that its check can fail at all.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest
from immutables import Map
from ledger_world import (
    ALICE,
    BOB,
    BONDED,
    CAROL,
    CHARTER,
    DATA,
    EVALUATOR,
    GOVERNORS,
    OPERATOR,
    ORIGIN,
    POLICY,
    RICH,
    TASK,
    WINDOWED,
    World,
    charter_change,
    commitment,
    digest_of,
    opened,
    ready,
    signer,
    spelt,
    statement,
    submission,
)

from ledger import entries, invariants
from ledger.checks import NOTHING
from ledger.entries import ENTRY_TYPES
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt
from ledger.policy import Policy
from ledger.records import Locked, Proven
from ledger.rules import machine, money, phases, proofs, tasks
from ledger.state import State

ROOT = Path(__file__).parents[2]
CASES = []

# Kept by what stores entries or verifies proofs, so broken and seen to hold in its tests.
ELSEWHERE = {
    5: "tests/ledger/test_proofs.py",
    6: "tests/ledger/test_ledger.py",
    8: "tests/ledger/embedded/test_mark.py",
    12: "tests/ledger/test_audit.py",
    14: "tests/ledger/embedded/test_faults.py",
}


@dataclass(frozen=True)
class Case:
    promise: int
    name: str
    run: Callable


def mutation(promise):
    def register(run):
        CASES.append(Case(promise, run.__name__.replace("_", " "), run))
        return run

    return register


def spoilt(patch, body, spoil):
    """Let the rule of a type end in another state than it should."""
    honest = machine.RULES[body]
    patch.setitem(
        machine.RULES,
        body,
        lambda state, entry, body, vouched: spoil(honest(state, entry, body, vouched), state, body),
    )


def skipped(patch, module, name):
    """Let a check pass whatever comes."""
    patch.setattr(module, name, lambda *args, **kwargs: None)


def paid(state, who, amount):
    owned = state.balances.get(who.public, 0)
    return replace(state, balances=state.balances.set(who.public, owned + amount))


def proof(task, who, model="m", correct=80, round_=0, **changes):
    return submission(task, statement(task, who, model, correct, round_, **changes), round_)


def rich():
    return opened(RICH)


def bonded():
    world = World(RICH)
    world.introduce()
    task = world.open(policy=BONDED, rounds=1)
    world.do(EVALUATOR, entries.Bond(task, 100))
    world.do(ALICE, entries.Bond(task, 50))
    return world, task


def closing():
    """A world in which the next entry can close the task, and pays Alice then."""
    world = World(RICH)
    world.introduce()
    task = world.open(policy=replace(WINDOWED, rule="best"), rounds=1)
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.wait(world.state.task(task).opened + 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.do(ALICE, proof(task, ALICE))
    world.wait(world.state.task(task).opened + 10)
    return world, task


# 1: units


@mutation(1)
def a_credit_is_paid_twice(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: paid(honest(s, e, b), ALICE, b.amount))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def a_credit_is_not_counted_as_minted(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: replace(honest(s, e, b), minted=s.minted))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def a_credit_is_not_counted_by_its_task(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: replace(honest(s, e, b), tasks=s.tasks))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def the_ladder_pays_beyond_the_pool(patch):
    patch.setattr(Policy, "paid_at", lambda self, step: step and self.pool + 1)
    world, task = ready(genesis=RICH, policy=replace(POLICY, pool=10))
    world.open(title="so that the sum is promised")
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def more_is_minted_than_was_promised(patch):
    spoilt(patch, entries.TaskOpen, lambda after, before, _: replace(after, promised=0))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def a_transfer_costs_nothing(patch):
    world, _ = rich()
    spoilt(patch, entries.Transfer, lambda after, before, body: paid(after, ALICE, body.amount))
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(1)
def a_transfer_of_what_is_not_there(patch):
    def take(state, identity, amount):
        owned = state.balances.get(identity, 0)
        return replace(state, balances=state.balances.set(identity, owned - amount))

    patch.setattr(money, "_take", take)
    world, _ = rich()
    world.do(ALICE, entries.Transfer(BOB.public, 1001))


@mutation(1)
def a_commitment_is_rewarded(patch):
    world, task = rich()
    spoilt(patch, entries.ModelCommit, lambda after, *_: paid(after, ALICE, 1))
    world.do(ALICE, commitment(task, ALICE, "m"))


@mutation(1)
def a_bond_is_not_locked(patch):
    world, task = bonded()
    spoilt(patch, entries.Bond, lambda after, before, _: replace(after, bonds=before.bonds))
    world.do(ALICE, entries.Bond(task, 5))


@mutation(1)
def a_bond_comes_out_of_nowhere(patch):
    patch.setattr(money, "_take", lambda state, *_: state)
    world, _ = rich()
    world.do(ALICE, entries.Bond(NOTHING, 5))


@mutation(1)
def a_bond_is_returned_and_kept(patch):
    patch.setattr(money, "_unlock", lambda state, *_: state)
    world, _ = opened(replace(RICH, charter=replace(CHARTER, bond_entries=0)))
    world.do(ALICE, entries.Bond(NOTHING, 5))
    world.do(ALICE, entries.BondReturn(NOTHING))
    world.do(ALICE, entries.BondReturn(NOTHING))


@mutation(1)
def a_bond_of_another_is_returned(patch):
    honest = money._unlock
    patch.setattr(money, "_unlock", lambda s, who, subject: honest(s, BOB.public, subject))
    world, _ = opened(replace(RICH, charter=replace(CHARTER, bond_entries=0)))
    for who in (ALICE, BOB):
        world.do(who, entries.Bond(NOTHING, 5))
    world.do(ALICE, entries.BondReturn(NOTHING))
    world.do(ALICE, entries.BondReturn(NOTHING))


@mutation(1)
def what_is_slashed_vanishes_without_being_burned(patch):
    world, task = bonded()
    world.wait(world.state.task(task).opened + 15)
    spoilt(patch, entries.Slash, lambda after, before, _: replace(after, burned=before.burned))
    world.do(BOB, entries.Slash("no-release", EVALUATOR.public, task))


@mutation(1)
def a_fault_burns_and_pays_the_whole(patch):
    del patch
    world, task = bonded()
    world.wait(world.state.task(task).opened + 15)
    # A charter whose finders get twice the bond, which its class would refuse.
    charter = replace(CHARTER)
    object.__setattr__(charter, "finder_share", Fraction(2))
    world.state = changed(world.state, task, charter=charter)
    world.do(BOB, entries.Slash("no-release", EVALUATOR.public, task))


@mutation(1)
def genesis_grants_more_than_it_says(patch):
    spoilt(patch, entries.Genesis, lambda after, *_: replace(after, minted=5, promised=5))
    World()


@mutation(1)
def the_clock_burns(patch):
    world, _ = rich()
    spoilt(patch, entries.Clock, lambda after, *_: replace(after, burned=1))
    world.tick(5)


# 2: credit


@mutation(2)
def a_commitment_makes_a_credit_due(patch):
    world, task = rich()
    due = (entries.Credit(task, ALICE.public, 5, 3),)
    spoilt(patch, entries.ModelCommit, lambda after, *_: replace(after, due=due))
    world.do(ALICE, commitment(task, ALICE, "m"))


@mutation(2)
def a_proof_makes_a_credit_due_to_another(patch):
    def spoil(after, *_):
        return replace(after, due=(replace(after.due[0], identity=BOB.public),))

    world, task = ready()
    spoilt(patch, entries.ProofSubmit, spoil)
    world.do(ALICE, proof(task, ALICE))


@mutation(2)
def the_end_of_a_task_pays_whoever_proved_nothing(patch):
    world, task = closing()
    patch.setattr(
        tasks, "_settled", lambda state, task: (entries.Credit(task.id, BOB.public, 5, 3),)
    )
    world.do(BOB, entries.TaskClose(task))


@mutation(2)
def the_end_of_a_task_pays_a_proof_twice(patch):
    honest = tasks._settled
    patch.setattr(tasks, "_settled", lambda *args: honest(*args) * 2)
    world, task = closing()
    world.do(BOB, entries.TaskClose(task))


@mutation(2)
def a_credit_is_not_recorded(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: replace(honest(s, e, b), credits=s.credits))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(2)
def a_credit_stays_due(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: replace(honest(s, e, b), due=s.due))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(2)
def a_credit_of_ones_own_making(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: honest(replace(s, due=(b,)), e, b))
    world, task = ready()
    entry = world.do(ALICE, proof(task, ALICE, correct=50))
    credit = entries.Credit(task, ALICE.public, 400, world.log.index(entry))
    world.push(SignedEntry.by_rule(credit, ORIGIN))


@mutation(2)
def a_transfer_counts_as_a_payment(patch):
    world, _ = rich()
    spoilt(patch, entries.Transfer, lambda after, *_: replace(after, credits=Map({3: 5})))
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(2)
def a_proof_comes_without_a_submission(patch):
    world, task = rich()
    made = Map({3: Proven(task, 0, ALICE.public, digest_of("m"), 100, 100)})
    spoilt(patch, entries.ModelCommit, lambda after, *_: replace(after, proofs=made))
    world.do(ALICE, commitment(task, ALICE, "m"))


# 3: nullifiers


@mutation(3)
def a_model_is_proven_twice(patch):
    honest = machine.RULES[entries.ProofSubmit]
    patch.setitem(
        machine.RULES,
        entries.ProofSubmit,
        lambda state, *args: honest(replace(state, nullifiers=Map()), *args),
    )
    world, task = ready([("alice", "m"), ("bob", "m")])
    world.do(ALICE, proof(task, ALICE))
    world.do(BOB, proof(task, BOB))


@mutation(3)
def a_nullifier_is_forgotten(patch):
    world, task = ready()
    spoilt(
        patch,
        entries.ProofSubmit,
        lambda after, before, _: replace(after, nullifiers=before.nullifiers),
    )
    world.do(ALICE, proof(task, ALICE))


@mutation(3)
def the_contributor_is_part_of_the_nullifier(patch):
    """Two accounts would cash one model."""
    honest = proofs.nullifier
    world, task = ready([("alice", "m"), ("bob", "m")])
    for who in (ALICE, BOB):
        patch.setattr(
            proofs, "nullifier", lambda *args, w=who: honest(*args[:3], args[3] + w.public)
        )
        world.do(who, proof(task, who))


@mutation(3)
def a_commitment_spends_a_nullifier(patch):
    world, task = rich()
    spoilt(patch, entries.ModelCommit, lambda after, *_: replace(after, nullifiers=Map({"a": 1})))
    world.do(ALICE, commitment(task, ALICE, "m"))


# 4: what a proof is about


@mutation(4)
def any_circuit_will_do(patch):
    skipped(patch, proofs, "_require_statement")
    world, task = ready()
    world.do(ALICE, proof(task, ALICE, circuit=digest_of("easier")))


@mutation(4)
def any_backend_will_do(patch):
    skipped(patch, proofs, "_require_statement")
    world, task = ready()
    world.do(ALICE, proof(task, ALICE, backend="sumcheck"))


@mutation(4)
def any_set_will_do(patch):
    skipped(patch, proofs, "_require_statement")
    world, task = ready()
    world.do(ALICE, proof(task, ALICE, testset=digest_of("easier")))


@mutation(4)
def the_proof_of_another_will_do(patch):
    skipped(patch, proofs, "_require_statement")
    world, task = ready([("alice", "m"), ("bob", "m")])
    world.do(BOB, proof(task, ALICE))


@mutation(4)
def the_count_is_rounded_up(patch):
    def spoil(after, before, _):
        made = after.proofs[before.size]
        better = replace(made, correct=made.correct + 1)
        return replace(after, proofs=after.proofs.set(before.size, better))

    world, task = ready()
    spoilt(patch, entries.ProofSubmit, spoil)
    world.do(ALICE, proof(task, ALICE))


# 7 and 9: the state's part in a log that only grows


@mutation(7)
def governors_change_what_never_changes(patch):
    world, _ = rich()
    lax = replace(RICH, allow_insecure_srs=True)
    spoilt(patch, entries.PolicyChange, lambda after, *_: replace(after, genesis=lax))
    world.do(ALICE, charter_change(replace(CHARTER, number=1), GOVERNORS))


@mutation(7)
def another_becomes_the_log(patch):
    world, _ = rich()
    spoilt(patch, entries.Clock, lambda after, *_: replace(after, operator=ALICE.public))
    world.tick(1)


@mutation(7)
def a_task_is_forgotten(patch):
    world, _ = rich()
    spoilt(patch, entries.TaskOpen, lambda after, before, _: replace(after, tasks=Map()))
    world.do(OPERATOR, replace(TASK, title="another"))


@mutation(7)
def a_fault_is_forgotten(patch):
    world, task = bonded()
    world.wait(world.state.task(task).opened + 15)
    world.do(BOB, entries.Slash("no-release", EVALUATOR.public, task))
    spoilt(patch, entries.Clock, lambda after, *_: replace(after, slashed=Map()))
    world.tick(10**6)


@mutation(7)
def a_set_changes_while_units_move(patch):
    world, _ = rich()
    other = Map({DATA.root: replace(world.state.testsets[DATA.root], evaluator=ALICE.public)})
    spoilt(patch, entries.Transfer, lambda after, *_: replace(after, testsets=other))
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(7)
def a_bond_closes_a_task(patch):
    world, task = bonded()
    closed = world.state.tasks.set(task, replace(world.state.task(task), closed=True))
    spoilt(patch, entries.Bond, lambda after, *_: replace(after, tasks=closed))
    world.do(ALICE, entries.Bond(task, 5))


@mutation(7)
def one_registration_makes_two(patch):
    world, _ = rich()

    def spoil(after, before, _):
        twin = after.identities[ALICE.public]
        return replace(after, identities=after.identities.set(digest_of("twin"), twin))

    spoilt(patch, entries.IdentityRegister, spoil)
    world.do(signer("somebody"), entries.IdentityRegister("somebody"))


@mutation(9)
def an_entry_is_not_counted(patch):
    world, _ = rich()
    spoilt(patch, entries.Clock, lambda after, before, _: replace(after, size=before.size - 1))
    world.tick(1)


@mutation(9)
def time_goes_back(patch):
    world, _ = rich()
    world.tick(10)
    spoilt(patch, entries.Clock, lambda after, *_: replace(after, time=5))
    world.tick(11)


# 10 and 11: authors


def unchecked(patch):
    skipped(patch, machine, "_authenticate")


@mutation(10)
def an_ended_identity_speaks(patch):
    world, _ = rich()
    world.do(ALICE, entries.IdentityRevoke(ALICE.public))
    unchecked(patch)
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(10)
def a_key_of_somebody_else_speaks(patch):
    world, _ = rich()
    unchecked(patch)
    world.do(CAROL, entries.Transfer(CAROL.public, 5), identity=ALICE.public)


@mutation(10)
def a_stranger_speaks(patch):
    world, _ = rich()
    unchecked(patch)
    world.do(signer("stranger"), replace(DATA, root=digest_of("another")))


@mutation(10)
def an_entry_is_said_again(patch):
    world, _ = rich()
    entry = world.do(ALICE, entries.Transfer(BOB.public, 5))
    unchecked(patch)
    world.push(entry)


@mutation(10)
def a_number_is_left_out(patch):
    world, _ = rich()
    unchecked(patch)
    world.push(
        SignedEntry.sign(entries.Transfer(BOB.public, 5), origin=ORIGIN, nonce=7, signer=ALICE)
    )


@mutation(10)
def numbers_are_not_counted(patch):
    world, _ = rich()
    patch.setattr(machine, "_numbered", lambda state, entry: state)
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(10)
def an_identity_begins_with_the_key_of_another(patch):
    world = World()
    unchecked(patch)
    entry = SignedEntry.sign(
        entries.IdentityRegister("alice"),
        origin=ORIGIN,
        nonce=0,
        signer=BOB,
        identity=ALICE.public,
    )
    world.push(entry)


@mutation(10)
def a_credit_gives_somebody_a_key(patch):
    def spoil(state, entry, body):
        after = honest(state, entry, body)
        known = replace(after.identities[ALICE.public], key=BOB.public)
        return replace(after, identities=after.identities.set(ALICE.public, known))

    honest = money.credit
    patch.setattr(money, "credit", spoil)
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(11)
def an_entry_of_another_ledger_counts(patch):
    world, _ = rich()
    unchecked(patch)
    world.push(
        SignedEntry.sign(entries.Transfer(BOB.public, 5), origin="elsewhere", nonce=1, signer=ALICE)
    )


# 13: phases


def in_task(spoil):
    """Spoil the task of an entry."""

    def change(after, before, body):
        task = after.tasks[body.task]
        return replace(after, tasks=after.tasks.set(task.id, spoil(task)))

    return change


@mutation(13)
def a_release_opens_a_closed_task_again(patch):
    world, task = closing()
    world.do(BOB, entries.TaskClose(task))
    state = world.state
    skipped(patch, phases, "require_commit_phase")
    skipped(patch, phases, "require_before")
    spoilt(patch, entries.TestsetRelease, in_task(lambda t: replace(t, closed=False)))
    assert state.task(task).closed
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))


@mutation(13)
def a_commitment_closes_a_task(patch):
    world, task = opened()
    spoilt(patch, entries.ModelCommit, in_task(lambda t: replace(t, closed=True)))
    world.do(ALICE, commitment(task, ALICE, "m"))


@mutation(13)
def a_commitment_in_a_round_that_was_released(patch):
    world, task = ready()
    skipped(patch, phases, "require_commit_phase")
    world.do(BOB, commitment(task, BOB, "late", 0))


@mutation(13)
def a_commitment_to_a_set_that_was_opened(patch):
    world, early = opened()
    task = world.open(prover="contributor", rounds=1, title="opens it")
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    honest = machine.RULES[entries.ModelCommit]

    def blind(state, *args):
        hidden = replace(state.testsets[DATA.root], opened=False)
        after = honest(replace(state, testsets=state.testsets.set(DATA.root, hidden)), *args)
        return replace(after, testsets=state.testsets)

    patch.setitem(machine.RULES, entries.ModelCommit, blind)
    world.do(ALICE, commitment(early, ALICE, "m"))


@mutation(13)
def a_set_that_was_opened_is_hidden_again(patch):
    world, task = opened(prover="contributor", rounds=1)
    other = world.open(title="other")
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))

    def hide(after, before, body):
        hidden = replace(after.testsets[DATA.root], opened=False)
        return replace(after, testsets=after.testsets.set(DATA.root, hidden))

    spoilt(patch, entries.TestsetRelease, hide)
    world.do(EVALUATOR, entries.TestsetRelease(other, 0))


@mutation(13)
def a_release_of_two_rounds_at_once(patch):
    world, task = opened()
    spoilt(
        patch,
        entries.TestsetRelease,
        in_task(lambda t: replace(t, releases=t.releases.set(1, 0))),
    )
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))


@mutation(13)
def a_round_is_taken_back(patch):
    world, task = ready()
    spoilt(patch, entries.ModelCommit, in_task(lambda t: replace(t, releases=Map())))
    world.do(ALICE, commitment(task, ALICE, "m", 1))


@mutation(13)
def a_proof_before_the_release(patch):
    world, task = opened()
    world.do(ALICE, commitment(task, ALICE, "m"))
    skipped(patch, proofs, "_require_phase")
    world.do(ALICE, proof(task, ALICE))


@mutation(13)
def a_proof_after_the_end(patch):
    world, task = closing()
    world.do(BOB, entries.TaskClose(task))
    skipped(patch, proofs, "_require_phase")
    # Of another model, which was committed in time.
    found = world.state.task(task)
    late = found.commits.set((0, ALICE.public, digest_of("n")), 1)
    world.state = replace(
        world.state, tasks=world.state.tasks.set(task, replace(found, commits=late))
    )
    world.do(ALICE, proof(task, ALICE, "n"))


@mutation(13)
def a_proof_of_a_model_that_came_to_mind_later(patch):
    world, task = ready()
    skipped(patch, proofs, "_require_statement")
    world.do(ALICE, proof(task, ALICE, "better"))


@mutation(13)
def the_terms_of_a_task_change(patch):
    world, task = opened()
    policy = replace(POLICY, pool=10**6)
    spoilt(
        patch,
        entries.ModelCommit,
        in_task(lambda t: replace(t, terms=replace(t.terms, policy=policy))),
    )
    world.do(ALICE, commitment(task, ALICE, "m"))


@mutation(13)
def a_task_comes_under_another_charter(patch):
    world, task = opened()
    spoilt(patch, entries.ModelCommit, in_task(lambda t: replace(t, charter=CHARTER)))
    world.do(ALICE, commitment(task, ALICE, "m"))


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
    release = entries.ModelRelease("digits", "1", digest_of("m"))
    world.do(ALICE, release)
    return world.state, task


def changed(state, task, **changes):
    return replace(state, tasks=state.tasks.set(task, replace(state.task(task), **changes)))


WHOLE = [
    (1, lambda s, t: replace(s, bonded=s.bonded + 1)),
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
    (13, lambda s, t: changed(s, t, releases=Map({3: 1}))),
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
    world, task = closing()
    entry = world.sign(BOB, entries.TaskClose(task))
    world.push(entry, spelt(entry.body))
    # Also while something is due.
    assert world.state.due
    invariants.check_all(world.state)
