"""A task is opened, takes models, has its test set released, and is closed."""

from __future__ import annotations

from dataclasses import replace

from immutables import Map

from circuits.statement import Context
from ledger.checks import MOST_UNITS, NOTHING
from ledger.entries import Credit, ModelCommit, TaskClose, TaskOpen, TestsetRelease
from ledger.envelope import SignedEntry
from ledger.errors import (
    AlreadyRegistered,
    NotAuthorised,
    NotBonded,
    OpeningNotNamed,
    OverBudget,
    StatementMismatch,
    UnknownTestset,
    WrongPhase,
)
from ledger.records import Task, Vouched
from ledger.rules import phases
from ledger.state import State


def open_(state: State, entry: SignedEntry, body: TaskOpen, _: Vouched) -> State:
    """Open a task under the present charter."""
    charter = state.charter
    if charter is None or entry.signer not in charter.task_owners:
        raise NotAuthorised(f"{entry.signer} may not open tasks")
    testset = state.testsets.get(body.testset)
    if testset is None:
        raise UnknownTestset(f"test set {body.testset} is not registered")
    if testset.opened:
        raise WrongPhase(f"test set {body.testset} has been opened; no commitment can be blind")
    pool = body.policy.pool
    for what, wanted, most in (
        ("openings of the set", body.policy.openings, testset.terms.openings),
        ("units", pool, charter.max_pool),
        # So that no balance ever grows beyond what JSON carries exactly.
        ("units", pool, MOST_UNITS - state.promised),
    ):
        if wanted > most:
            raise OverBudget(f"task wants {wanted} {what}, of at most {most}")
    unit = body.policy.windows.unit
    if unit == "seconds" and state.time == 0:
        raise WrongPhase("the ledger's clock has not been started")
    task = Task(entry.digest, entry.signer, body, charter, opened=state.position(unit))
    return with_task(replace(state, promised=state.promised + pool), task)


def commit(state: State, entry: SignedEntry, body: ModelCommit, _: Vouched) -> State:
    """Fix a contributor's model."""
    task = state.task(body.task)
    policy = task.terms.policy
    phases.require_commit_phase(state, task, body.round)
    testset = state.testsets[task.terms.testset]
    # The same set may have been opened through another task. Whoever has seen it can train on it.
    if testset.opened:
        raise WrongPhase("the test set has been opened; a commitment now would not be blind")
    now = phases.position(state, task)
    phases.require_before(now, phases.commit_ends(task), "the commitments of the round")
    # One for each model: whoever is given the set can prove the best of all they committed to,
    # which is chance where they are many.
    mine = task.committed.get(entry.signer, 0) + 1
    own = policy.evaluator_bond if entry.signer == testset.evaluator else 0
    _require_bond(state, body.task, testset.evaluator, policy.evaluator_bond)
    _require_bond(state, body.task, entry.signer, own + policy.bond * mine)
    context = Context(entry.signer, body.task, body.round, state.origin).digest
    if body.context != context:
        raise StatementMismatch(f"context is {body.context}, expected {context}")
    # Others may commit to the same value: it hides the model, and only who can open it can
    # prove it. Were it refused, copying a commitment first would lock its maker out.
    key = (body.round, entry.signer, body.model)
    if key in task.commits:
        raise AlreadyRegistered(f"model {body.model} is committed already")
    task = replace(
        task,
        commits=task.commits.set(key, state.size),
        committed=task.committed.set(entry.signer, mine),
    )
    return with_task(state, task)


def _require_bond(state: State, task: str, identity: str, amount: int) -> None:
    locked = state.locked(identity, task)
    if locked < amount:
        raise NotBonded(f"{identity} has bonded {locked} units to the task, not {amount}")


def release(state: State, entry: SignedEntry, body: TestsetRelease, _: Vouched) -> State:
    """Close the commitments of a round, and open the set to the provers."""
    task = state.task(body.task)
    testset = state.testsets[task.terms.testset]
    if entry.signer != testset.evaluator:
        raise NotAuthorised(f"only {testset.evaluator} may release test set {task.terms.testset}")
    phases.require_commit_phase(state, task, body.round)
    now, ends = phases.position(state, task), phases.commit_ends(task)
    if ends is not None and now < ends:
        raise WrongPhase(f"models are taken until {ends}, it is {now}")
    phases.require_before(now, phases.release_ends(task), "the time for the release")
    given = task.terms.prover == "contributor"
    named = body.opening != NOTHING
    # Else nobody could show that what they were handed is not the set, and the bond be lost.
    if given and task.terms.policy.evaluator_bond and not named:
        raise OpeningNotNamed("the opening file that is handed out is to be named by its digest")
    testset = replace(testset, opened=testset.opened or given)
    state = replace(state, testsets=state.testsets.set(task.terms.testset, testset))
    task = replace(
        task,
        opened=now,
        releases=task.releases.set(body.round, now),
        openings=task.openings.set(body.opening, body.round) if named else task.openings,
        committed=Map(),
    )
    return with_task(state, task)


def close(state: State, entry: SignedEntry, body: TaskClose, _: Vouched) -> State:
    """End a task and settle what is paid at the end."""
    task = state.task(body.task)
    if task.closed:
        raise WrongPhase("the task is closed already")
    if not phases.over(state, task):
        raise WrongPhase(f"entry {entry.digest} comes before the end of the task")
    due = _settled(state, task)
    never = task.terms.policy.pool - task.minted - sum(credit.amount for credit in due)
    state = with_task(state, replace(task, closed=True))
    return replace(state, due=due, promised=state.promised - never)


def _settled(state: State, task: Task) -> tuple[Credit, ...]:
    """Return what the rules that pay at the end pay, in the order of the proofs."""
    policy = task.terms.policy
    passed = sorted(task.best.values())
    if policy.rule == "gain" or not passed:
        return ()
    if policy.rule == "best":
        # The first of the best: who comes later with the same accuracy may have copied it.
        passed = [max(passed, key=lambda index: (state.proofs[index].accuracy, -index))]
    amount = policy.pool // len(passed)
    return tuple(
        Credit(task.id, state.proofs[index].identity, amount, index) for index in passed if amount
    )


def with_task(state: State, task: Task) -> State:
    """Return the state with another version of a task."""
    return replace(state, tasks=state.tasks.set(task.id, task))
