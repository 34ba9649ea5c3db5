"""What must hold of every state, whatever the rules say: a second lock on the same door.

The numbers are those of `ledger.rules`. `check` looks at what one entry changed, in constant time,
and `check_all` at a whole state. A violation is a fault of this program, never of an entry, so
nothing is appended and the ledger stops.
"""

from __future__ import annotations

from circuits.statement import Statement
from ledger.checks import NOTHING
from ledger.entries import (
    Credit,
    Genesis,
    ModelCommit,
    ProofSubmit,
    Slash,
    TestsetRelease,
    Transfer,
)
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt
from ledger.records import Task
from ledger.state import State, nullifier


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
    elif isinstance(entry.body, ProofSubmit):
        _proof(before, after, entry, entry.body)
    else:
        _require(2, after.proofs is before.proofs, "a proof without a submission")
        _require(3, after.nullifiers is before.nullifiers, "a nullifier without a proof")
        _require(2, after.credits is before.credits, "a payment without a credit")
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
    granted = sum(n for _, n in state.genesis.grants) if state.genesis else 0
    minted = sum(task.minted for task in state.tasks.values())
    _require(1, minted + granted == state.minted, "units were minted by no task")
    for task in state.tasks.values():
        _capped(task)
    _require(2, set(state.credits) <= set(state.proofs), "a credit without a proof")
    _require(2, sum(state.credits.values()) == minted, "credits are not what was minted")
    _require(3, sorted(state.nullifiers.values()) == sorted(state.proofs), "nullifiers")


def _money(before: State, after: State, entry: SignedEntry) -> None:
    """Check that units were only moved, minted by a task, or burned (1)."""
    body = entry.body
    if isinstance(body, Genesis):
        _require(1, after.minted == sum(n for _, n in body.grants), "grants are not as minted")
        return
    touched = {entry.signer}
    if isinstance(body, Transfer):
        touched.add(body.to)
    elif isinstance(body, Credit):
        touched.add(body.identity)
    moved = 0
    for who in touched:
        owned = after.balances.get(who, 0)
        _require(1, owned >= 0, f"the balance of {who} is {owned}")
        moved += owned - before.balances.get(who, 0)
    made = after.minted - before.minted - (after.burned - before.burned)
    _require(1, moved + after.bonded - before.bonded == made, "units came from nowhere")
    minted = body.amount if isinstance(body, Credit) else 0
    _require(1, after.minted - before.minted == minted, "minted without a credit")
    burns = isinstance(body, Slash)
    _require(1, after.burned == before.burned or burns, "burned without a fault")
    _require(1, after.burned >= before.burned and after.bonded >= 0, "negative sums")


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
    _capped(after.tasks[body.task])


def _proof(before: State, after: State, entry: SignedEntry, body: ProofSubmit) -> None:
    """Check that a proof spends a nullifier of its own, and is about its task (2, 3, 4)."""
    statement = body.statement
    spent = nullifier(body.task, body.round, statement.model, statement.testset)
    _require(3, spent not in before.nullifiers, "a nullifier is spent twice")
    _require(3, after.nullifiers.get(spent) == before.size, "the nullifier is not spent")
    _require(3, len(after.nullifiers) == len(after.proofs), "proofs without nullifiers")
    _require(4, _fits(before, entry, body, statement), "the proof is about something else")
    proven = after.proofs.get(before.size)
    found = None if proven is None else (proven.correct, proven.samples, proven.identity)
    expected = (statement.correct, statement.samples, entry.signer)
    _require(4, found == expected, "the count is not that of the statement")


def _fits(state: State, entry: SignedEntry, body: ProofSubmit, statement: Statement) -> bool:
    pins = state.pins(body.task, body.round, entry.signer)
    return (statement.circuit, statement.testset, statement.samples, statement.context) == (
        pins.circuit,
        pins.testset,
        pins.samples,
        pins.context.digest,
    )


def _authorship(before: State, after: State, entry: SignedEntry) -> None:
    """Check that the entry is one more of a known author of this ledger (10, 11)."""
    if entry.body.by_rule:
        _require(10, (entry.signer, entry.signature) == ("", ""), "a rule has no author")
        return
    _require(11, entry.origin == after.origin, "the entry is for another ledger")
    known = after.identities.get(entry.signer)
    _require(10, known is not None, "the author is not registered")
    assert known is not None
    earlier = before.identities.get(entry.signer)
    _require(10, known.nonce == entry.nonce + 1, "the author's number was not counted")
    if earlier is not None:
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
    for name in ("identities", "testsets", "training", "tasks", "proofs", "releases", "slashed"):
        grown = len(getattr(after, name)) - len(getattr(before, name))
        _require(7, 0 <= grown <= 1, f"{name} grew by {grown}")
    due = not after.due or isinstance(entry.body, Credit) or entry.body.type in _EARNING
    _require(2, due, "something is due that nothing earned")


_EARNING = ("proof.submit", "task.close")


def _phases(before: State, after: State, entry: SignedEntry) -> None:
    """Check that the phases of the entry's task only went forward (13)."""
    body = entry.body
    task = getattr(body, "task", NOTHING)
    if task not in before.tasks or task not in after.tasks:
        return
    was, now = before.tasks[task], after.tasks[task]
    _require(13, now.terms is was.terms and now.charter is was.charter, "a task changed its terms")
    _require(13, now.closed or not was.closed, "a closed task was opened again")
    step = 1 if isinstance(body, TestsetRelease) else 0
    _require(13, now.released == was.released + step, "a round was released by nobody")
    if isinstance(body, ModelCommit):
        _require(13, body.round == was.released, "a commitment outside its round")
        opened = before.testsets[was.terms.testset].opened
        _require(13, not opened and not was.closed, "a commitment that is not blind")
    if isinstance(body, ProofSubmit):
        _require(13, body.round < was.released and not was.closed, "a proof outside its phase")
        committed = was.commits.get((body.round, entry.signer, body.statement.model))
        _require(13, committed is not None, "a proof of a model that was not committed")


def _require(promise: int, holds: bool, message: str) -> None:
    if not holds:
        raise LedgerCorrupt(f"promise {promise} of the ledger is broken: {message}")
