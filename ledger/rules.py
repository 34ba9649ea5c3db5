"""The ledger's rules as one pure function, the same for every engine that stores entries.

`apply` takes a state and an entry to the next state, or raises. It does no I/O and keeps nothing,
so the replay of a log can only come to the state that its writer came to.

The promises kept here, by the numbers that the comments use; the engine keeps the others:

 1. balances are what was minted, none is negative, and no task mints more than its pool;
 2. each credit follows from one accepted proof;
 3. a committed model is proven once in a round, whoever submits it;
 4. a proof is about the task, its test set and its submitter;
10. every entry is signed by who may make it, in the signer's own unbroken sequence;
11. a signature counts for one entry of one ledger only;
13. commitments come before the release of the test set, and proofs after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from circuits.errors import SrsInsecure, WrongContext
from circuits.statement import Context
from ledger.entries import (
    Credit,
    DataRegister,
    Genesis,
    IdentityRegister,
    ModelCommit,
    ProofSubmit,
    TaskOpen,
    TestsetRelease,
)
from ledger.envelope import SignedEntry
from ledger.errors import (
    AlreadyRegistered,
    BadNonce,
    BelowPolicy,
    EntryRefused,
    LedgerCorrupt,
    NotAuthorised,
    NotCommitted,
    NullifierSpent,
    OverBudget,
    StatementMismatch,
    UnknownTestset,
    WrongPhase,
)
from ledger.keys import check_public_key
from ledger.note import check_name
from ledger.state import Accepted, State, Task, Testset, nullifier


def apply(state: State, entry: SignedEntry, accepted: Accepted | None = None) -> State:
    """Return the state after `entry`.

    Parameters
    ----------
    state : State
        What the log amounts to so far.
    entry : SignedEntry
        The next entry.
    accepted : Accepted, optional
        For a proof.submit: what the engine's verifier accepted. Without it no proof is taken.

    Raises
    ------
    EntryRefused
        By name, if the rules do not allow the entry here; `state` is as it was.
    SrsInsecure, WrongContext
        If a proof rests on a development SRS where none may, or was made for another context.
    """
    body = entry.body
    if isinstance(body, Credit):
        return _credit(state, entry, body)
    _authenticate(state, entry)
    state = replace(
        state,
        size=state.size + 1,
        nonces={**state.nonces, entry.signer: entry.nonce + 1},
    )
    match body:
        case Genesis():
            return _genesis(state, entry, body)
        case IdentityRegister():
            return replace(state, names={**state.names, entry.signer: body.name})
        case DataRegister():
            return _data_register(state, entry, body)
        case TaskOpen():
            return _task_open(state, entry, body)
        case ModelCommit():
            return _model_commit(state, entry, body)
        case TestsetRelease():
            return _testset_release(state, entry, body)
        case ProofSubmit():
            return _proof_submit(state, entry, body, accepted)
    raise EntryRefused(f"this ledger has no rule for {body.type} entries")


def _authenticate(state: State, entry: SignedEntry) -> None:
    """Check who says it, where, and that it is said once (10, 11)."""
    first = isinstance(entry.body, Genesis)
    if first != (state.size == 0):
        raise WrongPhase("the genesis entry, and no other, is the first entry")
    if state.due is not None:
        raise WrongPhase(f"the credit for entry {state.due.proof} comes next")
    # A signature made for another ledger must not count here.
    if not first and entry.origin != state.origin:
        raise NotAuthorised(f"entry is for ledger {entry.origin!r}, this is {state.origin!r}")
    known = entry.signer in state.names
    if isinstance(entry.body, IdentityRegister):
        if known:
            raise AlreadyRegistered(f"{entry.signer} is registered already")
    elif not known and not first:
        raise NotAuthorised(f"{entry.signer} is not registered")
    entry.require_signature()
    expected = state.nonces.get(entry.signer, 0)
    if entry.nonce != expected:
        raise BadNonce(f"nonce is {entry.nonce}, the next one of {entry.signer} is {expected}")


def _genesis(state: State, entry: SignedEntry, body: Genesis) -> State:
    check_name(entry.origin)
    for owner in body.task_owners:
        check_public_key(owner)
    return replace(
        state,
        origin=entry.origin,
        operator=entry.signer,
        genesis=body,
        names={entry.signer: entry.origin},
    )


def _data_register(state: State, entry: SignedEntry, body: DataRegister) -> State:
    # A second registration would be a second budget for one and the same secret.
    if body.root in state.testsets:
        raise AlreadyRegistered(f"test set {body.root} is registered already")
    return replace(state, testsets={**state.testsets, body.root: Testset(entry.signer, body)})


def _task_open(state: State, entry: SignedEntry, body: TaskOpen) -> State:
    if state.genesis is None or entry.signer not in state.genesis.task_owners:
        raise NotAuthorised(f"{entry.signer} may not open tasks")
    testset = state.testsets.get(body.testset)
    if testset is None:
        raise UnknownTestset(f"test set {body.testset} is not registered")
    if testset.opened:
        raise WrongPhase(f"test set {body.testset} has been opened; no commitment can be blind")
    if body.policy.openings > testset.terms.openings:
        raise OverBudget(
            f"task wants {body.policy.openings} openings of a set that allows "
            f"{testset.terms.openings}"
        )
    return _with_task(state, Task(entry.digest, entry.signer, body))


def _model_commit(state: State, entry: SignedEntry, body: ModelCommit) -> State:
    task = state.task(body.task)
    _require_commit_phase(task, body.round)
    # The same set may have been opened through another task. Whoever has seen it can train on it.
    if state.testsets[task.terms.testset].opened:
        raise WrongPhase("the test set has been opened; a commitment now would not be blind")
    context = Context(entry.signer, body.task, body.round, state.origin).digest
    if body.context != context:
        raise StatementMismatch(f"context is {body.context}, expected {context}")
    # Others may commit to the same value: it hides the model, and only who can open it can
    # prove it. Were it refused, copying a commitment first would lock its maker out.
    commit = (body.round, entry.signer, body.model)
    if commit in task.commits:
        raise AlreadyRegistered(f"model {body.model} is committed already")
    return _with_task(state, replace(task, commits=task.commits | {commit}))


def _testset_release(state: State, entry: SignedEntry, body: TestsetRelease) -> State:
    task = state.task(body.task)
    testset = state.testsets[task.terms.testset]
    if entry.signer != testset.evaluator:
        raise NotAuthorised(f"only {testset.evaluator} may release test set {task.terms.testset}")
    _require_commit_phase(task, body.round)
    opened = testset.opened or task.terms.prover == "contributor"
    state = _with_testset(state, replace(testset, opened=opened))
    return _with_task(state, replace(task, released=task.released + 1))


def _require_commit_phase(task: Task, round_: int) -> None:
    """Phases only move forward: commit, release, prove; then the next round (13)."""
    if round_ != task.released or round_ >= task.terms.rounds:
        raise WrongPhase(
            f"round {round_} takes no commitments: {task.released} of {task.terms.rounds} "
            "rounds are released"
        )


def _proof_submit(
    state: State, entry: SignedEntry, body: ProofSubmit, accepted: Accepted | None
) -> State:
    task = state.task(body.task)
    testset = state.testsets[task.terms.testset]
    statement = body.statement
    if body.round >= task.released:
        raise WrongPhase(f"the test set is not released for round {body.round}")

    # The proof must be about this task, and made for this submitter (4). A copied proof fails
    # at the context: it is bound to the key of who made it.
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

    # Once for ever (3).
    spent = nullifier(body.task, body.round, statement.model, statement.testset)
    if spent in state.nullifiers:
        raise NullifierSpent(f"this model was proven in entry {state.nullifiers[spent]}")

    submissions = task.submissions.get(entry.signer, 0)
    for name, used, limit in (
        ("submissions", submissions, task.terms.policy.submissions_per_identity),
        ("openings of the task", task.spent, task.terms.policy.openings),
        ("openings of the test set", testset.spent, testset.terms.openings),
    ):
        if used >= limit:
            raise OverBudget(f"all {limit} {name} are spent")
    if body.accuracy < task.terms.policy.minimum_accuracy:
        minimum = task.terms.policy.minimum_accuracy
        raise BelowPolicy(f"accuracy {body.accuracy} is below the minimum {minimum}")

    # Last, since it is the engine's word: a verifier accepted this very statement (2). The mode
    # of the ledger was fixed at genesis, so no proof that its maker could forge slips in later.
    if accepted is None or accepted != Accepted.claimed_by(body):
        raise StatementMismatch("the statement is not the one that was verified")
    if accepted.srs_insecure and not (state.genesis and state.genesis.allow_insecure_srs):
        raise SrsInsecure("proof rests on a development SRS, which this ledger does not accept")

    step = task.terms.policy.step(body.accuracy, task.step)
    amount = task.terms.policy.paid_at(step) - task.terms.policy.paid_at(task.step)
    proof = state.size - 1
    task = replace(task, submissions={**task.submissions, entry.signer: submissions + 1})
    state = _with_testset(state, replace(testset, spent=testset.spent + 1))
    return replace(
        _with_task(state, replace(task, step=step) if amount else task),
        nullifiers={**state.nullifiers, spent: proof},
        due=Credit(body.task, entry.signer, amount, proof) if amount else None,
    )


def _credit(state: State, entry: SignedEntry, body: Credit) -> State:
    # Nobody posts a credit: the only one there can be is the one the last proof earned (2).
    if state.due is None or entry != SignedEntry.by_rule(state.due, state.origin):
        raise NotAuthorised("a credit follows from an accepted proof and from nothing else")
    task = state.task(body.task)
    task = replace(task, minted=task.minted + body.amount)
    state = replace(
        _with_task(state, task),
        size=state.size + 1,
        balances={
            **state.balances,
            body.identity: state.balances.get(body.identity, 0) + body.amount,
        },
        minted=state.minted + body.amount,
        due=None,
    )
    _require_sound(state.balances, state.minted, task)
    return state


def _require_sound(balances: Mapping[str, int], minted: int, task: Task) -> None:
    """Check that no unit came from nowhere (1)."""
    if sum(balances.values()) != minted or min(balances.values()) < 0:
        raise LedgerCorrupt(f"balances do not add up to the {minted} units minted")
    if task.minted > task.terms.policy.pool:
        raise LedgerCorrupt(f"task {task.id} minted more than its pool")


def _with_task(state: State, task: Task) -> State:
    return replace(state, tasks={**state.tasks, task.id: task})


def _with_testset(state: State, testset: Testset) -> State:
    return replace(state, testsets={**state.testsets, testset.terms.root: testset})
