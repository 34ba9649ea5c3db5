"""What must hold of every state, whatever the rules say: a second lock on the same door.

The numbers are those of `ledger.rules`. `check` looks at what one entry changed, in constant time,
and `check_all` at a whole state. A violation is a fault of this program, never of an entry, so
nothing is appended and the ledger stops.
"""

from __future__ import annotations

from ledger.checks import MOST_UNITS, NOTHING
from ledger.entries import (
    Bond,
    BondReturn,
    Credit,
    DataRegister,
    Genesis,
    ModelCommit,
    ProofSubmit,
    Slash,
    TaskClose,
    TaskOpen,
    TestsetRelease,
    Transfer,
)
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt
from ledger.records import Task
from ledger.state import State, nullifier

_MONEY = (Genesis, Credit, Transfer, Bond, BondReturn, Slash)
_TASKS = (TaskOpen, ModelCommit, TestsetRelease, ProofSubmit, TaskClose, Credit)
_SETS = (DataRegister, TestsetRelease, ProofSubmit)
_GROWING = (
    "identities",
    "testsets",
    "training",
    "tasks",
    "proofs",
    "credits",
    "releases",
    "versions",
    "nullifiers",
    "slashed",
)


def check(before: State, after: State, entry: SignedEntry) -> None:
    """Check what an entry did.

    Raises
    ------
    LedgerCorrupt
        If it broke a promise of the ledger.
    """
    _money(before, after, entry)
    _authorship(before, after, entry)
    _append_only(before, after, entry)
    if isinstance(entry.body, Credit):
        _credit(before, after, entry.body)
    else:
        _require(2, after.credits is before.credits, "a payment without a credit")
        earns = isinstance(entry.body, ProofSubmit | TaskClose)
        _require(2, not after.due or earns, "something is due that nothing earned")
    if isinstance(entry.body, ProofSubmit):
        _proof(before, after, entry, entry.body)
    else:
        _require(2, after.proofs is before.proofs, "a proof without a submission")
        _require(3, after.nullifiers is before.nullifiers, "a nullifier without a proof")
    _phases(before, after, entry)


def check_all(state: State) -> None:
    """Check a whole state.

    Raises
    ------
    LedgerCorrupt
        If it breaks a promise of the ledger.
    """
    _require(1, sum(lock.amount for lock in state.bonds.values()) == state.bonded, "bonds")
    owned = sum(state.balances.values()) + state.bonded
    _require(1, owned == state.minted - state.burned, "units do not add up")
    _require(1, min(state.balances.values(), default=0) >= 0, "a balance is negative")
    _require(1, all(lock.amount > 0 for lock in state.bonds.values()), "a bond of nothing")
    granted = sum(n for _, n in state.genesis.grants) if state.genesis else 0
    tasks = state.tasks.values()
    minted = sum(task.minted for task in tasks)
    _require(1, minted + granted == state.minted, "units were minted by no task")
    due = sum(credit.amount for credit in state.due if state.tasks[credit.task].closed)
    most = sum(task.minted if task.closed else task.terms.policy.pool for task in tasks)
    _require(1, granted + most + due == state.promised <= MOST_UNITS, "promises do not add up")
    for task in tasks:
        _capped(task)
        _require(2, task.spent == sum(task.submissions.values()), "proofs of a task")
        _require(13, task.released <= task.terms.rounds, "more rounds than there are")
        _require(13, all(r < task.released for r in task.releases), "rounds out of order")
    _require(2, set(state.credits) <= set(state.proofs), "a credit without a proof")
    _require(2, sum(state.credits.values()) == minted, "credits are not what was minted")
    _require(2, len(state.proofs) == sum(task.spent for task in tasks), "proofs of no task")
    for p in state.proofs.values():
        committed = (p.round, p.identity, p.model) in state.tasks[p.task].commits
        _require(13, committed, "a proof of a model that was not committed")
    spent = {
        nullifier(p.task, p.round, p.model, state.tasks[p.task].terms.testset): index
        for index, p in state.proofs.items()
    }
    _require(3, spent == dict(state.nullifiers), "nullifiers are not those of the proofs")
    _require(7, sorted(state.versions.values()) == sorted(state.releases), "releases")


def _money(before: State, after: State, entry: SignedEntry) -> None:
    """Check that units were only moved, minted by a task, or burned (1)."""
    body = entry.body
    _require(1, after.minted <= after.promised <= MOST_UNITS, "more units than were promised")
    if isinstance(body, Genesis):
        _require(1, after.minted == sum(n for _, n in body.grants), "grants are not as minted")
        return
    minted = body.amount if isinstance(body, Credit) else 0
    _require(1, after.minted - before.minted == minted, "minted without a credit")
    burned = after.burned - before.burned
    _require(1, burned == 0 or (burned > 0 and isinstance(body, Slash)), "burned without a fault")
    if not isinstance(body, _MONEY):
        kept = after.balances is before.balances and after.bonds is before.bonds
        _require(1, kept and after.bonded == before.bonded, "units moved without an entry for it")
        return
    touched = {entry.signer} - {""}
    if isinstance(body, Transfer):
        touched.add(body.to)
    elif isinstance(body, Credit):
        touched.add(body.identity)
    moved = 0
    for who in touched:
        owned = after.balances.get(who, 0)
        _require(1, owned >= 0, f"the balance of {who} is {owned}")
        moved += owned - before.balances.get(who, 0)
    locked = 0
    if isinstance(body, Bond | BondReturn | Slash):
        whose = body.offender if isinstance(body, Slash) else entry.signer
        locked = after.locked(whose, body.subject) - before.locked(whose, body.subject)
    _require(1, after.bonded - before.bonded == locked, "the sum of bonds is not that of bonds")
    _require(1, moved + locked == minted - burned, "units came from nowhere")


def _capped(task: Task) -> None:
    most = min(task.terms.policy.pool, task.charter.max_pool)
    _require(1, 0 <= task.minted <= most, f"task {task.id} minted {task.minted} of {most}")


def _credit(before: State, after: State, body: Credit) -> None:
    """Check that exactly one accepted proof of this task and identity earned it (2)."""
    proven = before.proofs.get(body.proof)
    ok = proven is not None and (proven.task, proven.identity) == (body.task, body.identity)
    _require(2, ok, f"credit for {body.proof}, which is no accepted proof of its owner")
    _require(2, body.proof not in before.credits, f"proof {body.proof} is paid twice")
    _require(2, after.credits.get(body.proof) == body.amount, "the credit is not recorded")
    _require(2, after.due == before.due[1:] and body in before.due[:1], "the credit was not due")
    was, now = before.tasks[body.task], after.tasks[body.task]
    _require(1, now.minted - was.minted == body.amount, "the task did not count what it minted")
    _capped(now)


def _proof(before: State, after: State, entry: SignedEntry, body: ProofSubmit) -> None:
    """Check that a proof spends a nullifier of its own, and is about its task (2, 3, 4)."""
    statement = body.statement
    spent = nullifier(body.task, body.round, statement.model, statement.testset)
    _require(3, spent not in before.nullifiers, "a nullifier is spent twice")
    _require(3, after.nullifiers.get(spent) == before.size, "the nullifier is not spent")
    _require(3, len(after.nullifiers) == len(after.proofs), "proofs without nullifiers")
    pins = before.pins(body.task, body.round, entry.signer)
    pinned = (pins.backend, pins.circuit, pins.testset, pins.samples, pins.context.digest)
    about = (
        statement.backend,
        statement.circuit,
        statement.testset,
        statement.samples,
        statement.context,
    )
    _require(4, about == pinned, "the proof is about something else")
    made = after.proofs.get(before.size)
    found = made and (made.task, made.round, made.identity, made.model, made.correct, made.samples)
    counted = (statement.model, statement.correct, statement.samples)
    expected = (body.task, body.round, entry.signer, *counted)
    _require(4, found == expected, "the count is not that of the statement")
    for credit in after.due:
        earned = (credit.task, credit.identity, credit.proof)
        _require(2, earned == (body.task, entry.signer, before.size), "due for another proof")


def _authorship(before: State, after: State, entry: SignedEntry) -> None:
    """Check that the entry is one more of a known author of this ledger (10, 11)."""
    if entry.body.by_rule:
        _require(10, after.identities is before.identities, "a rule changed who is who")
        return
    _require(11, entry.origin == after.origin, "the entry is for another ledger")
    known = after.identities.get(entry.signer)
    _require(10, known is not None, "the author is not registered")
    assert known is not None
    earlier = before.identities.get(entry.signer)
    _require(10, known.nonce == entry.nonce + 1, "the author's number was not counted")
    if earlier is None:
        _require(10, known.key == entry.key == entry.signer, "an identity of another key")
        return
    _require(10, earlier.nonce == entry.nonce, "the author's numbers have a gap")
    _require(10, not earlier.revoked, "the author was ended before")
    _require(10, (earlier.scheme, earlier.key) == (entry.scheme, entry.key), "not its key")


def _append_only(before: State, after: State, entry: SignedEntry) -> None:
    """Check that the log grew by one, and that nothing known was forgotten (7, 9)."""
    _require(9, after.size == before.size + 1, "the size did not grow by one")
    _require(9, after.time >= before.time, "the clock went back")
    if before.size:
        fixed = (after.origin, after.operator, after.genesis)
        _require(7, fixed == (before.origin, before.operator, before.genesis), "genesis changed")
    for name in _GROWING:
        grown = len(getattr(after, name)) - len(getattr(before, name))
        _require(7, 0 <= grown <= 1, f"{name} grew by {grown}")
    body = entry.body
    _require(7, after.tasks is before.tasks or isinstance(body, _TASKS), "a task changed")
    _require(7, after.testsets is before.testsets or isinstance(body, _SETS), "a set changed")


def _phases(before: State, after: State, entry: SignedEntry) -> None:
    """Check that the phases of the entry's task only went forward (13)."""
    body = entry.body
    task = getattr(body, "task", NOTHING)
    if task not in before.tasks:
        return
    _require(7, task in after.tasks, "a task was forgotten")
    was, now = before.tasks[task], after.tasks[task]
    _require(13, now.terms is was.terms and now.charter is was.charter, "a task changed its terms")
    closed = was.closed or isinstance(body, TaskClose)
    _require(13, now.closed == closed, "a task was closed or opened again by nobody")
    step = 1 if isinstance(body, TestsetRelease) else 0
    _require(13, now.released == was.released + step, "a round was released by nobody")
    _require(13, now.released <= was.terms.rounds, "more rounds were released than there are")
    root = was.terms.testset
    opened = before.testsets[root].opened
    _require(13, after.testsets[root].opened or not opened, "an opened set was hidden again")
    if isinstance(body, ModelCommit):
        _require(13, body.round == was.released, "a commitment outside its round")
        _require(13, not opened and not was.closed, "a commitment that is not blind")
    if isinstance(body, ProofSubmit):
        _require(13, body.round < was.released and not was.closed, "a proof outside its phase")
        committed = was.commits.get((body.round, entry.signer, body.statement.model))
        _require(13, committed is not None, "a proof of a model that was not committed")


def _require(promise: int, holds: bool, message: str) -> None:
    if not holds:
        raise LedgerCorrupt(f"promise {promise} of the ledger is broken: {message}")
