"""Attestations: k of n validators say on a chain that they verified a sumcheck bundle.

A contract cannot verify such a bundle. Each attester does, with everything the ledger pins, and
signs (EIP-712) the statement, the bundle, the task, the round and the submitter, for one contract
on one chain. The contract counts the signatures of the attesters that its genesis names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data

from circuits.errors import LedgerError, ProofRejected
from ledger.audit import Verify
from ledger.entries import Chain, ProofSubmit, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import MalformedEntry
from ledger.evm.accounts import ChainAccount, identity
from ledger.evm_keys import address_of
from ledger.records import Accepted
from ledger.rules import apply
from ledger.state import State

_TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Attestation": [
        {"name": "task", "type": "bytes32"},
        {"name": "round", "type": "uint32"},
        {"name": "submitter", "type": "address"},
        {"name": "statement", "type": "bytes32"},
        {"name": "bundle", "type": "bytes32"},
    ],
}


def message(chain: Chain, entry: SignedEntry) -> dict[str, Any]:
    """Return what an attester signs for a submission.

    Raises
    ------
    MalformedEntry
        If the entry is no submission.
    """
    body = entry.body
    if not isinstance(body, ProofSubmit):
        raise MalformedEntry(f"a {body.type} entry is no submission")
    return {
        "types": _TYPES,
        "primaryType": "Attestation",
        "domain": {
            "name": "zkpot ledger",
            "version": "1",
            "chainId": chain.id,
            "verifyingContract": "0x" + chain.contract,
        },
        "message": {
            "task": "0x" + body.task,
            "round": body.round,
            "submitter": "0x" + address_of(entry.signer),
            "statement": "0x" + body.statement.digest,
            "bundle": "0x" + body.bundle,
        },
    }


def attest(
    state: State, bundle: bytes, entry: SignedEntry, verify: Verify, attester: ChainAccount
) -> bytes:
    """Verify a submission and sign that it was.

    Parameters
    ----------
    state : State
        The ledger, as the attester's own mirror has it.
    bundle : bytes
        The bundle.
    entry : SignedEntry
        The submission.
    verify : callable
        The attester's own verifier.
    attester : ChainAccount
        Who signs.

    Raises
    ------
    ProofRejected
        If the bundle does not establish what the entry claims.
    EntryRefused
        By name, if the rules would not take it anyway.
    LedgerError
        If the ledger is not on a chain.
    """
    body = entry.body
    if not isinstance(body, ProofSubmit):
        raise MalformedEntry(f"a {body.type} entry is no submission")
    if state.genesis is None or state.genesis.chain is None:
        raise LedgerError("this ledger is not on a chain, and needs no attestations")
    if blob_digest(bundle) != body.bundle:
        raise ProofRejected(
            "bundle", f"digest is {blob_digest(bundle)}, the entry names {body.bundle}"
        )
    # What cannot be written down must not be attested: no mirror could go on after it.
    entry.encode()
    claimed = Accepted.claimed_by(body)
    apply(state, entry, claimed)
    verdict = verify(bundle, state.pins(body.task, body.round, entry.signer))
    if Accepted.from_verdict(verdict) != claimed:
        raise ProofRejected("statement", "the entry claims another than was verified")
    return attester.sign_typed(message(state.genesis.chain, entry))


def in_order(chain: Chain, entry: SignedEntry, signatures: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return signatures in ascending order of their accounts, as the contract takes them."""
    signed = encode_typed_data(full_message=message(chain, entry))
    by_account = {
        identity(str(Account.recover_message(signed, signature=signature))): signature
        for signature in signatures
    }
    return tuple(by_account[who] for who in sorted(by_account))
