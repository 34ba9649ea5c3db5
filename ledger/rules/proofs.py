"""A proof is taken only if a verifier accepted this very statement."""

from __future__ import annotations

from dataclasses import replace

from circuits.errors import SrsInsecure, WrongContext
from ledger.entries import Credit, ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import (
    BelowPolicy,
    NotCommitted,
    NullifierSpent,
    OverBudget,
    StatementMismatch,
    WrongPhase,
)
from ledger.records import Accepted, Proven, Task, Vouched
from ledger.rules import phases
from ledger.rules.tasks import with_task
from ledger.state import State, nullifier


def submit(state: State, entry: SignedEntry, body: ProofSubmit, vouched: Vouched) -> State:
    """Take an accepted proof, spend its nullifier, and make due what it earned."""
    task = state.task(body.task)
    _require_phase(state, task, body)
    _require_statement(state, task, entry, body)

    # Once for ever (3).
    statement = body.statement
    spent = nullifier(body.task, body.round, statement.model, statement.testset)
    if spent in state.nullifiers:
        raise NullifierSpent(f"this model was proven in entry {state.nullifiers[spent]}")
    _require_budget(state, task, entry.signer)
    minimum = task.terms.policy.minimum_accuracy
    if body.accuracy < minimum:
        raise BelowPolicy(f"accuracy {body.accuracy} is below the minimum {minimum}")

    # Last, since it is the engine's word: a verifier accepted this very statement (2). The mode
    # of the ledger was fixed at genesis, so no proof that its maker could forge slips in later.
    if not isinstance(vouched, Accepted) or vouched != Accepted.claimed_by(body):
        raise StatementMismatch("the statement is not the one that was verified")
    if vouched.srs_insecure and not (state.genesis and state.genesis.allow_insecure_srs):
        raise SrsInsecure("proof rests on a development SRS, which this ledger does not accept")
    return _accepted(state, task, entry, body, spent)


def _require_phase(state: State, task: Task, body: ProofSubmit) -> None:
    if task.closed:
        raise WrongPhase("the task is closed")
    if body.round >= task.released:
        raise WrongPhase(f"the test set is not released for round {body.round}")
    now, end = phases.position(state, task), phases.prove_ends(task, body.round)
    phases.require_before(now, end, "the proofs of the round")


def _require_statement(state: State, task: Task, entry: SignedEntry, body: ProofSubmit) -> None:
    """Check that the proof is about this task, and made for this submitter (4)."""
    # A copied proof fails at the context: it is bound to the identity of who made it.
    statement = body.statement
    pins = state.pins(body.task, body.round, entry.signer)
    if statement.context != pins.context.digest:
        raise WrongContext(
            "context", f"proof is bound to {statement.context}, expected {pins.context.digest}"
        )
    for name in ("backend", "circuit", "testset", "samples"):
        found, expected = getattr(statement, name), getattr(pins, name)
        if found != expected:
            raise StatementMismatch(f"{name} of the statement is {found}, expected {expected}")
    if (body.round, entry.signer, statement.model) not in task.commits:
        raise NotCommitted(f"{entry.signer} did not commit to {statement.model} in this round")


def _require_budget(state: State, task: Task, submitter: str) -> None:
    testset = state.testsets[task.terms.testset]
    policy = task.terms.policy
    for name, used, limit in (
        ("submissions", task.submissions.get(submitter, 0), policy.submissions_per_identity),
        ("openings of the task", task.spent, policy.openings),
        ("openings of the test set", testset.spent, testset.terms.openings),
    ):
        if used >= limit:
            raise OverBudget(f"all {limit} {name} are spent")


def _accepted(state: State, task: Task, entry: SignedEntry, body: ProofSubmit, spent: str) -> State:
    who, index = entry.signer, state.size
    statement, policy = body.statement, task.terms.policy
    proven = Proven(
        body.task, body.round, who, statement.model, statement.correct, statement.samples
    )
    step = policy.step(body.accuracy, task.step) if policy.rule == "gain" else task.step
    amount = policy.paid_at(step) - policy.paid_at(task.step)
    before = task.best.get(who)
    better = before is None or proven.accuracy > state.proofs[before].accuracy
    task = replace(
        task,
        submissions=task.submissions.set(who, task.submissions.get(who, 0) + 1),
        spent=task.spent + 1,
        best=task.best.set(who, index) if better else task.best,
        step=step if amount else task.step,
    )
    testset = state.testsets[task.terms.testset]
    testset = replace(testset, spent=testset.spent + 1)
    return replace(
        with_task(state, task),
        testsets=state.testsets.set(task.terms.testset, testset),
        proofs=state.proofs.set(index, proven),
        nullifiers=state.nullifiers.set(spent, index),
        due=(Credit(body.task, who, amount, index),) if amount else (),
    )
