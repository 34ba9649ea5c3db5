"""Keys that introduce themselves, follow one another, and end."""

from __future__ import annotations

from dataclasses import replace

from circuits.encoding import canonical_json
from ledger import signatures
from ledger.entries import IdentityRegister, IdentityRevoke, IdentityRotate
from ledger.envelope import SignedEntry
from ledger.errors import AlreadyRegistered, BadSignature, NotAuthorised, OverBudget, Revoked
from ledger.evm_keys import identity_of
from ledger.records import Identity, Vouched
from ledger.rules.approvals import require_approvals
from ledger.state import State

LINK_DOMAIN = b"zkpot/evm-link\x00"
ROTATE_DOMAIN = b"zkpot/identity-rotate\x00"
REVOKE_DOMAIN = b"zkpot/identity-revoke\x00"

MOST_KEYS = 64
"""Keys that an identity can have, one after another."""


def link_message(origin: str, identity: str) -> bytes:
    """Return what an EVM account signs to be linked to an identity, under `LINK_DOMAIN`."""
    return canonical_json([origin, identity])


def rotate_message(origin: str, identity: str, nonce: int, scheme: str, key: str) -> bytes:
    """Return what the next key of an identity signs, under `ROTATE_DOMAIN`."""
    return canonical_json([origin, identity, nonce, scheme, key])


def revoke_message(origin: str, identity: str) -> bytes:
    """Return what governors sign to end an identity, under `REVOKE_DOMAIN`."""
    return canonical_json([origin, identity])


def register(state: State, entry: SignedEntry, body: IdentityRegister, _: Vouched) -> State:
    """Take in a key, and the EVM account that says it belongs to it."""
    if body.evm and not signatures.verify(
        "evm",
        identity_of(body.evm),
        body.evm_signature,
        LINK_DOMAIN,
        link_message(entry.origin, entry.signer),
    ):
        raise BadSignature(f"account {body.evm} did not sign that it belongs to {entry.signer}")
    known = Identity(
        body.name, entry.scheme, entry.key, ((entry.scheme, entry.key),), body.evm, nonce=1
    )
    return replace(state, identities=state.identities.set(entry.signer, known))


def rotate(state: State, entry: SignedEntry, body: IdentityRotate, _: Vouched) -> State:
    """Let an identity sign with another key from now on."""
    _require_not_operator(state, entry.signer)
    if entry.scheme == "chain":
        raise NotAuthorised("an account of a chain has one key")
    signatures.check_key(body.scheme, body.key)
    message = rotate_message(entry.origin, entry.signer, entry.nonce, body.scheme, body.key)
    if not signatures.verify(body.scheme, body.key, body.proof, ROTATE_DOMAIN, message):
        raise BadSignature(f"the new key {body.key} did not sign that it follows")
    known = state.identity(entry.signer)
    # A key is left for a reason, so it does not come back.
    if (body.scheme, body.key) in known.keys:
        raise AlreadyRegistered(f"{entry.signer} has or had the key {body.key}")
    if len(known.keys) >= MOST_KEYS:
        raise OverBudget(f"{entry.signer} has had {MOST_KEYS} keys; register anew")
    known = replace(
        known,
        scheme=body.scheme,
        key=body.key,
        keys=(*known.keys, (body.scheme, body.key)),
        replaced=(*known.replaced, state.size),
    )
    return replace(state, identities=state.identities.set(entry.signer, known))


def revoke(state: State, entry: SignedEntry, body: IdentityRevoke, _: Vouched) -> State:
    """End an identity: by its owner, or by the governors where its key was stolen."""
    _require_not_operator(state, body.identity)
    known = state.identity(body.identity)
    if known.revoked:
        raise Revoked(f"identity {body.identity} was ended already")
    if entry.signer != body.identity or body.approvals:
        message = revoke_message(state.origin, body.identity)
        require_approvals(state, body.approvals, REVOKE_DOMAIN, message)
    known = replace(known, revoked=True)
    return replace(state, identities=state.identities.set(body.identity, known))


def _require_not_operator(state: State, identity: str) -> None:
    # Its key signs the checkpoints, and readers hold receipts and checkpoints against it alone.
    if identity == state.operator:
        raise NotAuthorised("the key of the log stays the same for as long as the log")
