"""The same history on the contract and in the pure rules: same refusals by name, same state."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from circuits.errors import ZkpotError
from ledger import entries
from ledger.envelope import SignedEntry
from ledger.evm.mirror import Mirror
from ledger.policy import Policy
from ledger.records import Accepted
from ledger.rules import apply
from tests.ledger.evm.evm_world import (
    ALICE,
    BOB,
    CHARTER,
    DATA,
    EVALUATOR,
    OPERATOR,
    STRANGER,
    TASK,
    Ledger,
    commitment,
    digest_of,
    statement,
)

PEOPLE = (ALICE, BOB, EVALUATOR, OPERATOR, STRANGER)
MOST = 2**53 - 1
ROOTS = tuple(digest_of(name) for name in ("first", "second", "third"))
SIZES = (8, 12, 5)
POLICIES = (
    Policy(Fraction(1, 4), Fraction(1, 8), 700, 2, 3),
    Policy(Fraction(0), Fraction(1, 3), 10, 3, 2),
    Policy(Fraction(1, 2), Fraction(1, 100), 10_000, 1, 4),
    Policy(Fraction(0), Fraction(1), 10, 2, 9),
    Policy(Fraction(0), Fraction(1, 7), MOST, 2, 3),
    Policy(Fraction(0), Fraction(1, 7), MOST - 2000, 2, 3),
)

# Somebody likely, and anybody.
someone = st.sampled_from([ALICE, ALICE, BOB, BOB, *PEOPLE])
owner = st.sampled_from([OPERATOR, OPERATOR, OPERATOR, *PEOPLE])
evaluator = st.sampled_from([EVALUATOR, EVALUATOR, EVALUATOR, *PEOPLE])
root = st.integers(0, 2)
task = st.sampled_from([0, 0, 0, 1, 1, 1, 2, 9])
round_ = st.sampled_from([0, 0, 0, 0, 1, 2])
model = st.sampled_from("mmn")

steps = st.one_of(
    st.tuples(st.just("register"), st.sampled_from([STRANGER, STRANGER, ALICE])),
    st.tuples(st.just("data"), evaluator, root),
    st.tuples(st.just("open"), owner, root, st.sampled_from([1, 1, 2]), st.integers(0, 5)),
    *[st.tuples(st.just("commit"), someone, task, round_, model,
                st.sampled_from([0, 0, 0, 1]))] * 3,
    *[st.tuples(st.just("release"), evaluator, task, round_)] * 2,
    *[st.tuples(st.just("prove"), someone, task, round_, model, st.integers(0, 8),
                st.sampled_from([0, 0, 0, 0, 1]))] * 2,
    *[st.tuples(st.just("aimed"), st.integers(0, 7), st.integers(2, 8))] * 4,
    st.tuples(st.just("transfer"), someone, someone, st.sampled_from([1, 30, 100])),
)  # fmt: skip
skew = st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 1, -1])


class Twins:
    """One history, told twice."""

    def __init__(self, ledger: Ledger, state, tasks):
        self.ledger, self.state, self.tasks = ledger, state, list(tasks)

    def body(self, step):
        kind, who, *values = step
        match kind:
            case "register":
                return entries.IdentityRegister("again")
            case "data":
                (at,) = values
                return replace(DATA, root=ROOTS[at], samples=SIZES[at], openings=4)
            case "open":
                at, rounds, policy = values
                prover = "contributor" if rounds == 1 else "evaluator"
                return replace(TASK, testset=ROOTS[at], prover=prover, rounds=rounds,
                               policy=POLICIES[policy])  # fmt: skip
            case "commit":
                at, number, name, other = values
                whose = BOB if other else who
                return commitment(self.ledger.origin, whose, self.task(at), name, number)
            case "release":
                return entries.TestsetRelease(self.task(values[0]), values[1])
            case "prove":
                return self.proof(who, *values)
            case "transfer":
                return entries.Transfer(values[0].public, values[1])
        raise AssertionError(kind)

    def task(self, at):
        return self.tasks[at] if at < len(self.tasks) else digest_of("nowhere")

    def proof(self, who, at, number, name, correct, other):
        known = self.state.tasks.get(self.task(at))
        place = ROOTS.index(known.terms.testset) if known else 0
        correct = min(correct, SIZES[place])
        said = statement(
            self.ledger.origin, BOB if other else who, self.task(at), name, correct, number,
            testset=ROOTS[place], samples=SIZES[place],
        )  # fmt: skip
        return entries.ProofSubmit(self.task(at), number, digest_of(name), said, False)

    def aimed(self, pick, correct):
        """Turn to a commitment that can be proven, so that stories get somewhere."""
        ripe = sorted(
            (self.tasks.index(task), number, whose, model)
            for task, known in self.state.tasks.items()
            for number, whose, model in known.commits
            if number < known.released
        )
        at, number, whose, model = ripe[pick % len(ripe)]
        names = {digest_of(name): name for name in "mn"}
        who = next(who for who in PEOPLE if who.public == whose)
        return "prove", who, at, number, names[model], correct, 0

    def tell(self, step, off):
        if step[0] == "aimed":
            step = self.aimed(*step[1:])
        who = step[1]
        body = self.body(step)
        nonce = max(0, self.state.nonce(who.public) + off)
        entry = self.ledger.entry(who, body, nonce)
        by_rules = self.by_rules(entry)
        by_contract = self.by_contract(who, entry, taken=by_rules is None)
        assert by_contract == by_rules, (step, off)
        if by_rules is None and isinstance(body, entries.TaskOpen):
            self.tasks.append(entry.digest)
        return body.type, by_rules

    def by_rules(self, entry):
        proof = isinstance(entry.body, entries.ProofSubmit)
        try:
            state = apply(self.state, entry, Accepted.claimed_by(entry.body) if proof else None)
        except ZkpotError as error:
            return error.code
        for due in state.due:
            state = apply(state, SignedEntry.by_rule(due, self.ledger.origin))
        self.state = state
        return None

    def by_contract(self, who, entry, *, taken):
        proof = isinstance(entry.body, entries.ProofSubmit)
        evidence = self.ledger.attested(entry) if proof else None
        try:
            # What the rules refuse is run and not sent: cheaper, and the same answer.
            (self.ledger.push if taken else self.ledger.attempt)(who, entry, evidence)
        except ZkpotError as error:
            return error.code
        return None


@pytest.fixture(scope="module")
def begun():
    """Two sets with a task each, one for contributors and one of two rounds."""
    ledger = Ledger.deploy(charter=replace(CHARTER, max_pool=MOST - 1), grants={ALICE.public: 50})
    for who, name in ((EVALUATOR, "evaluator"), (ALICE, "alice"), (BOB, "bob")):
        ledger.do(who, entries.IdentityRegister(name))
    tasks = []
    for at, (prover, rounds) in enumerate((("contributor", 1), ("evaluator", 2))):
        ledger.do(EVALUATOR, replace(DATA, root=ROOTS[at], samples=SIZES[at], openings=4))
        tasks.append(ledger.open(testset=ROOTS[at], prover=prover, rounds=rounds,
                                 policy=POLICIES[0]))  # fmt: skip
        ledger.commit(ALICE, tasks[at], "m")
    ledger.release(tasks[0])
    mirror = Mirror(ledger.node, ledger.address, ledger.first, 0)
    mirror.refresh()
    return ledger, mirror.state, tasks, ledger.tester.take_snapshot()


# Every refusal and every kind of entry; Hypothesis goes on from there.
TOUR = [
    (("data", EVALUATOR, 0), 0),  # registered already
    (("open", OPERATOR, 2, 1, 0), 0),  # of an unknown set
    (("open", OPERATOR, 1, 1, 3), 0),  # over the set's budget
    (("open", OPERATOR, 1, 1, 4), 0),  # over the charter's pool
    (("open", OPERATOR, 1, 2, 5), 0),
    (("open", OPERATOR, 1, 1, 5), 0),  # together more than there can be
    (("open", OPERATOR, 0, 1, 0), 0),  # of a set that has been opened
    (("open", ALICE, 1, 1, 0), 0),  # not authorised
    (("commit", ALICE, 1, 0, "n", 1), 0),  # with the context of another
    (("commit", ALICE, 9, 0, "n", 0), 0),  # to an unknown task
    (("commit", BOB, 1, 0, "n", 0), 1),  # out of sequence
    (("prove", ALICE, 0, 0, "m", 6, 1), 0),  # bound to another
    (("prove", BOB, 0, 0, "m", 6, 0), 0),  # not committed
    (("prove", ALICE, 0, 0, "m", 1, 0), 0),  # below the minimum
    (("transfer", ALICE, BOB, 100), 0),  # more than she has
    (("transfer", ALICE, BOB, 30), 0),
    (("prove", ALICE, 0, 0, "m", 6, 0), 0),
    (("prove", ALICE, 0, 0, "m", 7, 0), 0),  # spent
    (("register", STRANGER), 0),
    (("data", STRANGER, 2), 0),
    (("open", OPERATOR, 2, 2, 0), 0),
    (("commit", BOB, 1, 0, "m", 0), 0),
    (("release", EVALUATOR, 1, 0), 0),
    (("prove", BOB, 1, 0, "m", 8, 0), 0),
]


@example(TOUR)
@given(st.lists(st.tuples(steps, skew), min_size=8, max_size=14))
@settings(max_examples=16, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_contract_and_rules_agree(begun, told, story):
    ledger, state, tasks, snapshot = begun
    ledger.tester.revert_to_snapshot(snapshot)
    twins = Twins(ledger, state, tasks)
    for step, off in story:
        told.append(twins.tell(step, off))
    mirror = Mirror(ledger.node, ledger.address, ledger.first, 0)
    mirror.refresh()
    # Balances, nullifiers, numbers, ladders, budgets: everything there is.
    assert mirror.state == twins.state
    for who in PEOPLE:
        owned = ledger.ask("balances", who.address)
        assert owned == twins.state.balances.get(who.public, 0)
    for spent, index in twins.state.nullifiers.items():
        assert ledger.ask("spentBy", bytes.fromhex(spent)) == index + 1


def test_the_stories_went_everywhere(told):
    """Runs after the stories: agreement on nothing but refusals would be worth little."""
    refusals = {code for _, code in told if code}
    accepted = {kind for kind, code in told if code is None}
    assert accepted == {
        "identity.register", "data.register", "task.open", "model.commit", "testset.release",
        "proof.submit", "transfer",
    }  # fmt: skip
    assert refusals >= {
        "NOT_AUTHORISED", "ALREADY_REGISTERED", "BAD_NONCE", "UNKNOWN_TASK", "UNKNOWN_TESTSET",
        "WRONG_PHASE", "NOT_COMMITTED", "NULLIFIER_SPENT", "OVER_BUDGET", "BELOW_POLICY",
        "STATEMENT_MISMATCH", "WRONG_CONTEXT", "INSUFFICIENT_FUNDS",
    }  # fmt: skip


@pytest.fixture(scope="module")
def told():
    """What every step of every story came to."""
    return []
