"""The one way from a state to the next: who may speak, then the rule of the entry's type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ledger import invariants
from ledger.entries import (
    AuditAttest,
    Bond,
    BondReturn,
    Clock,
    Credit,
    DataRegister,
    Entry,
    Genesis,
    IdentityRegister,
    IdentityRevoke,
    IdentityRotate,
    ModelCommit,
    ModelRelease,
    PolicyChange,
    PredictionAttest,
    ProofSubmit,
    Slash,
    TaskClose,
    TaskOpen,
    TestsetRelease,
    Transfer,
)
from ledger.envelope import SignedEntry
from ledger.errors import (
    AlreadyRegistered,
    BadNonce,
    BadSignature,
    NotAuthorised,
    Revoked,
    WrongPhase,
)
from ledger.records import Vouched
from ledger.rules import data, governance, identity, models, money, proofs, tasks
from ledger.state import State

# A rule sees the state that the entry finds, but for the author's number: `State.size` is the
# entry's index, and `State.position` where it stands.
Rule = Callable[[State, SignedEntry, Any, Vouched], State]

RULES: dict[type[Entry], Rule] = {
    Genesis: governance.genesis,
    PolicyChange: governance.policy_change,
    Clock: governance.clock,
    IdentityRegister: identity.register,
    IdentityRotate: identity.rotate,
    IdentityRevoke: identity.revoke,
    DataRegister: data.register,
    TaskOpen: tasks.open_,
    ModelCommit: tasks.commit,
    TestsetRelease: tasks.release,
    TaskClose: tasks.close,
    ProofSubmit: proofs.submit,
    Transfer: money.transfer,
    Bond: money.bond,
    BondReturn: money.bond_return,
    Slash: money.slash,
    ModelRelease: models.release,
    PredictionAttest: models.predict,
    AuditAttest: models.audit,
}


def apply(
    state: State, entry: SignedEntry, vouched: Vouched = None, *, signatures: bool = True
) -> State:
    """Return the state after `entry`.

    Parameters
    ----------
    state : State
        What the log amounts to so far.
    entry : SignedEntry
        The next entry.
    vouched : Accepted or InvalidReveal, optional
        What the engine itself has verified: for a proof.submit what its verifier accepted, for a
        slash that the opening file does not open the test set. Without it neither is taken.
    signatures : bool
        False where the author's signature was checked before, as that of every entry under a
        checkpoint which the replaying log signed itself.

    Raises
    ------
    EntryRefused
        By name, if the rules do not allow the entry here; `state` is as it was.
    SrsInsecure, WrongContext
        If a proof rests on a development SRS where none may, or was made for another context.
    BadKey, BadNote
        If a key is one under which signatures prove nothing, or a new ledger's name is no name.
    LedgerCorrupt
        If the rules themselves are broken, see `ledger.invariants`.
    """
    body = entry.body
    if isinstance(body, Credit):
        after = money.credit(state, entry, body)
    else:
        _authenticate(state, entry, signatures=signatures)
        after = RULES[type(body)](_numbered(state, entry), entry, body, vouched)
    after = replace(after, size=after.size + 1)
    invariants.check(state, after, entry)
    return after


def _authenticate(state: State, entry: SignedEntry, *, signatures: bool) -> None:
    """Check who says it, where, and that it is said once (10, 11)."""
    body = entry.body
    first = isinstance(body, Genesis)
    if first != (state.size == 0):
        raise WrongPhase("the genesis entry, and no other, is the first entry")
    if state.due:
        raise WrongPhase(f"the credit for entry {state.due[0].proof} comes next")
    # A signature made for another ledger must not count here.
    if not first and entry.origin != state.origin:
        raise NotAuthorised(f"entry is for ledger {entry.origin!r}, this is {state.origin!r}")
    # Where a contract keeps the ledger, it alone says who spoke, and nowhere else can it.
    genesis = body if isinstance(body, Genesis) else state.genesis
    on_chain = genesis is not None and genesis.chain is not None
    if on_chain != (entry.scheme == "chain"):
        raise NotAuthorised(f"this ledger takes no entries of the scheme {entry.scheme!r}")
    if first or isinstance(body, IdentityRegister):
        if entry.signer in state.identities:
            raise AlreadyRegistered(f"{entry.signer} is registered already")
        if entry.key != entry.signer:
            raise BadSignature("an identity begins with the key that it is called by")
    else:
        known = state.identity(entry.signer)
        if known.revoked:
            raise Revoked(f"identity {entry.signer} was ended")
        if (known.scheme, known.key) != (entry.scheme, entry.key):
            raise BadSignature(f"{entry.key} is not the present key of {entry.signer}")
    if signatures:
        entry.require_signature()
    expected = state.nonce(entry.signer)
    if entry.nonce != expected:
        raise BadNonce(f"nonce is {entry.nonce}, the next one of {entry.signer} is {expected}")


def _numbered(state: State, entry: SignedEntry) -> State:
    """Count the author's number on."""
    known = state.identities.get(entry.signer)
    if known is None:
        return state
    known = replace(known, nonce=known.nonce + 1)
    return replace(state, identities=state.identities.set(entry.signer, known))
