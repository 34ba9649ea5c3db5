"""How a ledger begins, who changes its charter, and its clock."""

from __future__ import annotations

from dataclasses import replace

from immutables import Map

from circuits.encoding import canonical_json
from ledger.charter import CHARTER_DOMAIN, Charter
from ledger.entries import Clock, Genesis, PolicyChange
from ledger.envelope import SignedEntry
from ledger.errors import NotAuthorised, Revoked, WrongPhase
from ledger.records import Identity, Vouched
from ledger.rules.approvals import require_approvals
from ledger.signatures import check_identity
from ledger.state import State
from ledger.tlog.note import check_name


def charter_message(origin: str, charter: Charter) -> bytes:
    """Return what governors sign to put a charter in force, under `CHARTER_DOMAIN`."""
    return canonical_json([origin, charter.to_dict()])


def genesis(state: State, entry: SignedEntry, body: Genesis, _: Vouched) -> State:
    """Begin a ledger."""
    check_name(entry.origin)
    _check_people(body.charter)
    for identity, _units in body.grants:
        check_identity(identity)
    if entry.scheme == "evm":
        raise NotAuthorised("the log's key signs checkpoints, so it is an Ed25519 one")
    granted = sum(amount for _, amount in body.grants)
    key = (entry.scheme, entry.key)
    return replace(
        state,
        origin=entry.origin,
        operator=entry.signer,
        genesis=body,
        charter=body.charter,
        identities=Map({entry.signer: Identity(entry.origin, *key, (key,), nonce=1)}),
        balances=Map(dict(body.grants)),
        minted=granted,
        promised=granted,
    )


def policy_change(state: State, entry: SignedEntry, body: PolicyChange, _: Vouched) -> State:
    """Put a new charter in force; open tasks keep the one they were opened under."""
    expected = 0 if state.charter is None else state.charter.number + 1
    if body.charter.number != expected:
        raise WrongPhase(f"the charter has the number {body.charter.number}, not {expected}")
    _check_people(body.charter)
    message = charter_message(entry.origin, body.charter)
    require_approvals(state, body.approvals, CHARTER_DOMAIN, message)
    # Governors who cannot sign could never change it again, and a slip of the pen would be final.
    for governor in body.charter.governors:
        if state.identity(governor).revoked:
            raise Revoked(f"governor {governor} was ended")
    return replace(state, charter=body.charter)


def clock(state: State, entry: SignedEntry, body: Clock, _: Vouched) -> State:
    """Let time go on."""
    if entry.signer != state.operator:
        raise NotAuthorised("only the log itself tells the time")
    if body.time <= state.time:
        raise WrongPhase(f"the clock stands at {state.time} and only goes forward")
    return replace(state, time=body.time)


def _check_people(charter: Charter) -> None:
    for identity in (*charter.governors, *charter.task_owners):
        check_identity(identity)
