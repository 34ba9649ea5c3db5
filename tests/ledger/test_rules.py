"""Each rule of the ledger, and what happens to who breaks it."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ledger_world import (
    ALICE,
    BOB,
    DATA,
    EVALUATOR,
    GENESIS,
    OPERATOR,
    ORIGIN,
    POLICY,
    SAMPLES,
    TASK,
    World,
    commitment,
    digest_of,
    opened,
    ready,
    statement,
    submission,
)

from circuits.errors import CorruptedArtefact, SrsInsecure, WrongContext, ZkpotError
from circuits.statement import Context
from ledger import entries, errors
from ledger import rules as ledger_rules
from ledger.envelope import SignedEntry
from ledger.policy import Policy
from ledger.rules import apply
from ledger.records import Accepted
from ledger.state import State


def test_the_whole_story():
    world, task = ready()
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
    # 0.8 is 15 steps of 1/50 above 1/2, of 25 to perfection.
    assert world.state.balances == {ALICE.public: 600}
    assert world.state.minted == 600
    assert world.log[-1].body == entries.Credit(task, ALICE.public, 600, world.state.size - 2)


def test_replay_gives_the_same_state():
    world, task = ready()
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
    state = State()
    for entry in world.log:
        again = SignedEntry.decode(entry.encode())
        proof = isinstance(again.body, entries.ProofSubmit)
        state = apply(state, again, Accepted.claimed_by(again.body) if proof else None)
    assert state == world.state


# Who may say something


def test_genesis_is_first_and_only():
    with pytest.raises(errors.WrongPhase):
        apply(
            State(),
            SignedEntry.sign(entries.IdentityRegister("a"), origin=ORIGIN, nonce=0, signer=ALICE),
        )
    with pytest.raises(errors.WrongPhase):
        World().do(OPERATOR, GENESIS)


def test_unregistered_signer():
    with pytest.raises(errors.NotAuthorised):
        World().do(ALICE, DATA)


def test_registering_twice():
    world, _ = opened()
    with pytest.raises(errors.AlreadyRegistered):
        world.do(ALICE, entries.IdentityRegister("alice"))
    # Another evaluator cannot take over a set, nor its own get a second budget.
    for who in (ALICE, EVALUATOR):
        with pytest.raises(errors.AlreadyRegistered):
            world.do(who, DATA)


@pytest.mark.parametrize("nonce", [0, 1, 3])
def test_nonces_are_contiguous(nonce):
    world, _ = opened()
    body = replace(DATA, root=digest_of("other"))
    assert world.state.nonces[EVALUATOR.public] == 2
    with pytest.raises(errors.BadNonce):
        world.push(SignedEntry.sign(body, origin=ORIGIN, nonce=nonce, signer=EVALUATOR))


def test_signature_covers_everything():
    world, _ = opened()
    entry = world.sign(ALICE, replace(DATA, root=digest_of("other")))
    for changed in (
        replace(entry, body=replace(entry.body, openings=6)),
        replace(entry, signer=BOB.public),
        replace(entry, nonce=entry.nonce + 1),
        replace(entry, signature="00" * 64),
    ):
        with pytest.raises(errors.BadSignature):
            world.push(changed)


def test_an_entry_for_another_ledger():
    world, _ = opened()
    body = replace(DATA, root=digest_of("other"))
    with pytest.raises(errors.NotAuthorised, match="elsewhere"):
        world.push(SignedEntry.sign(body, origin="elsewhere", nonce=1, signer=ALICE))
    entry = SignedEntry.sign(body, origin="elsewhere", nonce=1, signer=ALICE)
    with pytest.raises(errors.BadSignature):
        world.push(replace(entry, origin=ORIGIN))


# Tasks


def test_only_task_owners_mint():
    world, _ = opened()
    with pytest.raises(errors.NotAuthorised):
        world.do(ALICE, TASK)


def test_a_task_needs_a_registered_set():
    world, _ = opened()
    with pytest.raises(errors.UnknownTestset):
        world.open(testset=digest_of("other"))


def test_a_task_cannot_overdraw_its_set():
    world, _ = opened()
    with pytest.raises(errors.OverBudget):
        world.open(policy=replace(POLICY, openings=DATA.openings + 1))


def test_unknown_task():
    world, _ = opened()
    other = digest_of("other")
    for who, body in (
        (ALICE, commitment(other, ALICE, "m")),
        (EVALUATOR, entries.TestsetRelease(other, 0)),
        (ALICE, submission(other, statement(other, ALICE, "m", 80))),
    ):
        with pytest.raises(errors.UnknownTask):
            world.do(who, body)


# Phases


def test_no_proof_before_release():
    world, task = opened()
    world.do(ALICE, commitment(task, ALICE, "m"))
    with pytest.raises(errors.WrongPhase):
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))


def test_no_commitment_after_release():
    world, task = ready()
    with pytest.raises(errors.WrongPhase):
        world.do(BOB, commitment(task, BOB, "late"))
    with pytest.raises(errors.WrongPhase):
        world.do(EVALUATOR, entries.TestsetRelease(task, 0))


def test_rounds_follow_one_another():
    world, task = ready()
    with pytest.raises(errors.WrongPhase):
        world.do(EVALUATOR, entries.TestsetRelease(task, 2))
    world.do(ALICE, commitment(task, ALICE, "m", 1))
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    with pytest.raises(errors.WrongPhase):
        world.do(ALICE, commitment(task, ALICE, "m", 2))


def test_an_opened_set_is_of_no_use_for_new_commitments():
    world, early = opened()
    task = world.open(prover="contributor", rounds=1, title="opens it")
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    with pytest.raises(errors.WrongPhase):
        world.do(ALICE, commitment(early, ALICE, "m"))
    with pytest.raises(errors.WrongPhase):
        world.open(title="too late")


def test_only_the_evaluator_releases():
    world, task = opened()
    for who in (OPERATOR, ALICE):
        with pytest.raises(errors.NotAuthorised):
            world.do(who, entries.TestsetRelease(task, 0))


def test_a_commitment_is_bound_to_its_maker():
    world, task = opened()
    with pytest.raises(errors.StatementMismatch):
        world.do(BOB, commitment(task, ALICE, "m"))
    world.do(ALICE, commitment(task, ALICE, "m"))
    with pytest.raises(errors.AlreadyRegistered):
        world.do(ALICE, commitment(task, ALICE, "m"))
    # Copying a commitment neither helps the copier nor locks out its maker.
    world.do(BOB, commitment(task, BOB, "m"))


# Proofs


def test_a_proof_needs_a_verdict_for_its_very_statement():
    world, task = ready()
    said = statement(task, ALICE, "m", 80)
    entry = world.sign(ALICE, submission(task, said))
    other = Accepted(statement(task, ALICE, "m", 79), srs_insecure=False)
    for accepted in (None, other, Accepted(said, srs_insecure=True)):
        with pytest.raises(errors.StatementMismatch):
            world.push(entry, accepted)


@pytest.mark.parametrize(
    "changes",
    [
        {"backend": "sumcheck"},
        {"circuit": digest_of("other")},
        {"testset": digest_of("other")},
        {"samples": SAMPLES + 1},
    ],
)
def test_a_statement_about_something_else(changes):
    world, task = ready()
    said = statement(task, ALICE, "m", 80, **changes)
    with pytest.raises(errors.StatementMismatch):
        world.do(ALICE, submission(task, said))


def test_replay_under_another_identity():
    world, task = ready([("alice", "m"), ("bob", "m")])
    said = statement(task, ALICE, "m", 80)
    world.do(ALICE, submission(task, said))
    with pytest.raises(WrongContext):
        world.do(BOB, submission(task, said))


def test_replay_under_another_task():
    world, task = ready()
    other = world.open(title="other")
    world.do(ALICE, commitment(other, ALICE, "m"))
    world.do(EVALUATOR, entries.TestsetRelease(other, 0))
    with pytest.raises(WrongContext):
        world.do(ALICE, submission(other, statement(task, ALICE, "m", 80)))


def test_replay_under_another_round():
    world, task = ready()
    world.do(ALICE, commitment(task, ALICE, "m", 1))
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    with pytest.raises(WrongContext):
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 80), round_=1))


def test_replay_on_another_ledger():
    world, task = ready()
    context = Context(ALICE.public, task, 0, "elsewhere").digest
    with pytest.raises(WrongContext):
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 80, context=context)))


def test_double_spend():
    world, task = ready([("alice", "m"), ("bob", "m")])
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
    # Also with a proof of their own: the contributor is not part of the nullifier.
    for who in (ALICE, BOB):
        with pytest.raises(errors.NullifierSpent):
            world.do(who, submission(task, statement(task, who, "m", 80)))


def test_an_uncommitted_model():
    world, task = ready()
    with pytest.raises(errors.NotCommitted):
        world.do(ALICE, submission(task, statement(task, ALICE, "other", 80)))
    with pytest.raises(errors.NotCommitted):
        world.do(BOB, submission(task, statement(task, BOB, "m", 80)))


def test_submission_budget():
    models = [("alice", f"m{i}") for i in range(4)]
    world, task = ready(models)
    for i in range(3):
        world.do(ALICE, submission(task, statement(task, ALICE, f"m{i}", 60)))
    with pytest.raises(errors.OverBudget, match="submissions"):
        world.do(ALICE, submission(task, statement(task, ALICE, "m3", 60)))


def test_opening_budgets():
    models = [(who, f"{who}{i}") for who in ("alice", "bob") for i in range(3)]
    world, first = ready(models)
    for who, model in ((ALICE, "alice0"), (ALICE, "alice1"), (ALICE, "alice2"), (BOB, "bob0")):
        world.do(who, submission(first, statement(first, who, model, 60)))
    with pytest.raises(errors.OverBudget, match="of the task"):
        world.do(BOB, submission(first, statement(first, BOB, "bob1", 60)))
    # The set has one opening left, whatever task asks for it.
    second = world.open(title="second")
    for model in ("x", "y"):
        world.do(BOB, commitment(second, BOB, model))
    world.do(EVALUATOR, entries.TestsetRelease(second, 0))
    world.do(BOB, submission(second, statement(second, BOB, "x", 60)))
    with pytest.raises(errors.OverBudget, match="of the test set"):
        world.do(BOB, submission(second, statement(second, BOB, "y", 60)))


def test_minimum_accuracy():
    world, task = ready()
    with pytest.raises(errors.BelowPolicy):
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 49)))
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 50)))
    assert world.state.balances == {}


def test_development_srs():
    world, task = ready()
    body = replace(submission(task, statement(task, ALICE, "m", 80)), srs_insecure=True)
    with pytest.raises(SrsInsecure):
        world.do(ALICE, body)
    lax = World(replace(GENESIS, allow_insecure_srs=True))
    lax.introduce()
    task = lax.open()
    lax.do(ALICE, commitment(task, ALICE, "m"))
    lax.do(EVALUATOR, entries.TestsetRelease(task, 0))
    body = replace(submission(task, statement(task, ALICE, "m", 80)), srs_insecure=True)
    lax.do(ALICE, body)
    assert lax.state.minted == 600


# Credit


def test_nobody_posts_a_credit():
    world, task = ready()
    credit = entries.Credit(task, ALICE.public, 5, 0)
    with pytest.raises(errors.NotAuthorised):
        world.push(SignedEntry.by_rule(credit, ORIGIN))
    with pytest.raises(errors.MalformedEntry):
        SignedEntry.sign(credit, origin=ORIGIN, nonce=2, signer=ALICE)


def test_the_credit_is_the_one_that_is_due_and_comes_next():
    world, task = ready()
    body = submission(task, statement(task, ALICE, "m", 80))
    world.push(world.sign(ALICE, body), Accepted.claimed_by(body))
    due = world.state.due
    for wrong in (
        replace(due, amount=due.amount + 1),
        replace(due, identity=BOB.public),
        replace(due, proof=0),
    ):
        with pytest.raises(errors.NotAuthorised):
            world.push(SignedEntry.by_rule(wrong, ORIGIN))
    with pytest.raises(errors.WrongPhase):
        world.do(BOB, commitment(task, BOB, "m", 1))
    world.push(SignedEntry.by_rule(due, ORIGIN))
    with pytest.raises(errors.NotAuthorised):
        world.push(SignedEntry.by_rule(due, ORIGIN))


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
    assert world.state.balances == {ALICE.public: 600, BOB.public: 40}


def test_a_perfect_model_exhausts_the_pool():
    world, task = ready()
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 100)))
    assert world.state.minted == POLICY.pool


def test_a_broken_sum_is_noticed(monkeypatch):
    """Invariant 1, by breaking the arithmetic under it."""
    world, task = ready()
    world.state = replace(world.state, minted=1)
    with pytest.raises(errors.LedgerCorrupt, match="add up"):
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
    world, task = ready()
    monkeypatch.setattr(Policy, "paid_at", lambda self, step: step and self.pool + 1)
    with pytest.raises(errors.LedgerCorrupt, match="pool"):
        world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))


@pytest.mark.parametrize(
    "changes",
    [
        {"minimum_accuracy": Fraction(1)},
        {"minimum_accuracy": 0.9},
        {"minimum_accuracy": Fraction(-1, 2)},
        {"eta": Fraction(0)},
        {"eta": Fraction(2)},
        {"pool": -1},
        {"pool": 1.5},
        {"submissions_per_identity": 0},
        {"openings": True},
        {"rule": "generous"},
    ],
)
def test_bad_policies(changes):
    with pytest.raises(errors.MalformedEntry):
        replace(POLICY, **changes)


class Rules(RuleBasedStateMachine):
    """Anyone does anything, in any order, against a model of plain sets and numbers."""

    people = st.sampled_from([ALICE, BOB])
    models = st.sampled_from(["a", "b", "c"])
    rounds = st.integers(0, 2)

    @initialize()
    def start(self):
        self.world, self.task = opened()
        self.commits, self.spent, self.released, self.paid = set(), set(), 0, []

    def attempt(self, who, body):
        before = self.world.state
        try:
            self.world.do(who, body)
        except ZkpotError:
            assert self.world.state is before
            return False
        return True

    @rule(who=people, model=models, round_=rounds)
    def commit(self, who, model, round_):
        key = (who, model, round_)
        allowed = round_ == self.released < 2 and key not in self.commits
        assert self.attempt(who, commitment(self.task, who, model, round_)) == allowed
        if allowed:
            self.commits.add(key)

    @rule(who=st.sampled_from([ALICE, EVALUATOR]), round_=rounds)
    def release(self, who, round_):
        allowed = who is EVALUATOR and round_ == self.released < 2
        assert self.attempt(who, entries.TestsetRelease(self.task, round_)) == allowed
        self.released += allowed

    @rule(who=people, author=people, model=models, round_=rounds, correct=st.integers(40, 100))
    def prove(self, who, author, model, round_, correct):
        done = [s for s in self.spent if s[2] is who]
        allowed = (
            round_ < self.released
            and who is author
            and (who, model, round_) in self.commits
            and (model, round_) not in {s[:2] for s in self.spent}
            and correct >= 50
            and len(done) < 3
            and len(self.spent) < 4
        )
        before = self.world.state.minted
        said = statement(self.task, author, model, correct, round_)
        assert self.attempt(who, submission(self.task, said, round_)) == allowed
        if allowed:
            self.spent.add((model, round_, who))
            self.paid.append((correct, self.world.state.minted - before))

    @invariant()
    def money(self):
        state = self.world.state
        assert sum(state.balances.values()) == state.minted <= POLICY.pool
        assert len(state.nullifiers) == len(self.spent)
        # Whoever is paid, the total depends on the best score only; within one step.
        best = max((c for c, _ in self.paid), default=50)
        ceiling = (best - 50) * POLICY.pool // 50
        assert ceiling - POLICY.pool // 25 <= state.minted <= ceiling


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def test_rules_module_does_no_io():
    """The rules stay pure: nothing of the engine is within their reach."""
    assert not {"Store", "sqlite3", "os", "Path"} & set(vars(ledger_rules))


def test_statement_in_an_entry_is_strict():
    said = statement(digest_of("t"), ALICE, "m", 80)
    with pytest.raises(CorruptedArtefact):
        replace(said, correct=81)
