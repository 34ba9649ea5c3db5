"""Units are credited, moved, locked and lost; none comes from nowhere (1)."""

from __future__ import annotations

from dataclasses import replace

from ledger.checks import NOTHING
from ledger.entries import Bond, BondReturn, Credit, Slash, Transfer
from ledger.envelope import SignedEntry
from ledger.errors import (
    AlreadyRegistered,
    InsufficientFunds,
    NotAuthorised,
    NotBonded,
    Revoked,
    WrongPhase,
)
from ledger.records import Locked, Vouched
from ledger.rules.faults import require_fault
from ledger.rules.tasks import with_task
from ledger.state import State


def credit(state: State, entry: SignedEntry, body: Credit) -> State:
    """Mint what is due, and nothing else (2)."""
    # Nobody posts a credit: the only one there can be is the one that was earned just now.
    if not state.due or entry != SignedEntry.by_rule(state.due[0], state.origin):
        raise NotAuthorised("a credit follows from an accepted proof and from nothing else")
    task = state.task(body.task)
    state = with_task(state, replace(task, minted=task.minted + body.amount))
    return replace(
        state,
        balances=state.balances.set(
            body.identity, state.balances.get(body.identity, 0) + body.amount
        ),
        credits=state.credits.set(body.proof, body.amount),
        minted=state.minted + body.amount,
        due=state.due[1:],
    )


def transfer(state: State, entry: SignedEntry, body: Transfer, _: Vouched) -> State:
    """Move units to another identity."""
    if state.identity(body.to).revoked:
        raise Revoked(f"identity {body.to} was ended, and could never spend it")
    state = _take(state, entry.signer, body.amount)
    return _give(state, body.to, body.amount)


def bond(state: State, entry: SignedEntry, body: Bond, _: Vouched) -> State:
    """Lock units for a task or for the ledger; notice that was given of them is void."""
    if body.subject != NOTHING:
        task = state.task(body.subject)
        if task.closed:
            raise WrongPhase("the task is closed")
        # It may never close, and the bond would be lost.
        if not (task.terms.policy.bond or task.terms.policy.evaluator_bond):
            raise NotAuthorised("the task asks for no bonds")
    state = _take(state, entry.signer, body.amount)
    amount = state.locked(entry.signer, body.subject) + body.amount
    return replace(
        state,
        bonds=state.bonds.set((entry.signer, body.subject), Locked(amount)),
        bonded=state.bonded + body.amount,
    )


def bond_return(state: State, entry: SignedEntry, body: BondReturn, _: Vouched) -> State:
    """Give back a bond that nothing can be held against any more."""
    locked = state.bonds.get((entry.signer, body.subject))
    if locked is None:
        raise NotBonded(f"{entry.signer} has no bond to return")
    if body.subject == NOTHING:
        if locked.until is None:
            return _notice(state, entry.signer, locked)
        if state.size < locked.until:
            raise WrongPhase(f"the bond is locked until entry {locked.until}")
    else:
        task = state.task(body.subject)
        if not task.closed:
            raise WrongPhase("the task is not closed")
        # Else an evaluator who never released would take it back before anyone can slash it.
        evaluator = state.testsets[task.terms.testset].evaluator
        if entry.signer == evaluator and task.released < task.terms.rounds:
            raise WrongPhase("the test set was not released in time: the bond is forfeit")
    return _give(_unlock(state, entry.signer, body.subject), entry.signer, locked.amount)


def _notice(state: State, identity: str, locked: Locked) -> State:
    """Let a bond to the ledger run out.

    Only after notice, or whoever broke faith would take the bond back in the next entry, before
    anyone can show it. How long it takes is settled here, whatever the charter says later.
    """
    entries = state.charter.bond_entries if state.charter else 0
    locked = replace(locked, until=state.size + entries)
    return replace(state, bonds=state.bonds.set((identity, NOTHING), locked))


def slash(state: State, entry: SignedEntry, body: Slash, vouched: Vouched) -> State:
    """Take the bond of who is shown to have done wrong."""
    fault = require_fault(state, body, vouched)
    if fault in state.slashed:
        raise AlreadyRegistered(f"this was punished in entry {state.slashed[fault]}")
    amount = state.locked(body.offender, body.subject)
    if amount == 0:
        raise NotBonded(f"{body.offender} has no bond to lose")
    share = 0 if state.charter is None else int(amount * state.charter.finder_share)
    if body.subject != NOTHING:
        share = int(amount * state.task(body.subject).charter.finder_share)
    state = _unlock(state, body.offender, body.subject)
    state = replace(
        state,
        burned=state.burned + amount - share,
        slashed=state.slashed.set(fault, state.size),
    )
    return _give(state, entry.signer, share) if share else state


def _take(state: State, identity: str, amount: int) -> State:
    owned = state.balances.get(identity, 0)
    if owned < amount:
        raise InsufficientFunds(f"{identity} has {owned} units, not {amount}")
    return replace(state, balances=state.balances.set(identity, owned - amount))


def _give(state: State, identity: str, amount: int) -> State:
    owned = state.balances.get(identity, 0)
    return replace(state, balances=state.balances.set(identity, owned + amount))


def _unlock(state: State, identity: str, subject: str) -> State:
    amount = state.locked(identity, subject)
    return replace(
        state, bonds=state.bonds.delete((identity, subject)), bonded=state.bonded - amount
    )
