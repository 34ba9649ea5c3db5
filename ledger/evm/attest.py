"""What k of n governors sign (EIP-712) for a contract, which cannot find it out itself.

That they verified a sumcheck bundle, with everything the ledger pins; or that they derived the
verifying key of a halo2 task and found the verifier contract to be that key's, and what the
contract is told of the circuit to be true. Each signature is for one contract on one chain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from py_ecc.secp256k1 import N

from circuits.errors import LedgerError, ProofRejected
from ledger.audit import Verify
from ledger.charter import Charter
from ledger.entries import Chain, ProofSubmit, TaskOpen, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import BadPins, MalformedEntry
from ledger.evm.accounts import ChainAccount, identity
from ledger.evm.pins import Pins, read_pins
from ledger.evm_keys import address_of, keccak256
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
}
_FIELDS = {
    "Attestation": [
        {"name": "task", "type": "bytes32"},
        {"name": "round", "type": "uint32"},
        {"name": "submitter", "type": "address"},
        {"name": "statement", "type": "bytes32"},
        {"name": "bundle", "type": "bytes32"},
    ],
    "Pins": [
        {"name": "task", "type": "bytes32"},
        {"name": "verifier", "type": "address"},
        {"name": "codehash", "type": "bytes32"},
        {"name": "k", "type": "uint32"},
        {"name": "shardSize", "type": "uint32"},
        {"name": "inRange", "type": "uint64"},
        {"name": "shards", "type": "bytes32"},
    ],
}

MOST_STATEMENT = 60_000
"""Bytes of a statement that the contract takes, so that its entry fits a log."""


def message(chain: Chain, entry: SignedEntry) -> dict[str, Any]:
    """Return what is signed for a sumcheck submission.

    Raises
    ------
    MalformedEntry
        If the entry is no submission.
    """
    body = entry.body
    if not isinstance(body, ProofSubmit):
        raise MalformedEntry(f"a {body.type} entry is no submission")
    values = {
        "task": "0x" + body.task,
        "round": body.round,
        "submitter": "0x" + address_of(entry.signer),
        "statement": "0x" + body.statement.digest,
        "bundle": "0x" + body.bundle,
    }
    return _typed(chain, "Attestation", values)


def pinning(chain: Chain, entry: SignedEntry, pins: Pins, code: bytes) -> dict[str, Any]:
    """Return what is signed for a halo2 task: its pins, and the code of its verifier."""
    values = {
        "task": "0x" + entry.digest,
        "verifier": "0x" + pins.verifier,
        "codehash": keccak256(code),
        "k": pins.k,
        "shardSize": pins.shard_size,
        "inRange": pins.in_range,
        "shards": "0x" + pins.shards,
    }
    return _typed(chain, "Pins", values)


def _typed(chain: Chain, name: str, values: dict[str, Any]) -> dict[str, Any]:
    return {
        "types": {**_TYPES, name: _FIELDS[name]},
        "primaryType": name,
        "domain": {
            "name": "zkpot ledger",
            "version": "1",
            "chainId": chain.id,
            "verifyingContract": "0x" + chain.contract,
        },
        "message": values,
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
    if len(body.statement.encode()) > MOST_STATEMENT:
        raise MalformedEntry(f"a chain takes no statement of more than {MOST_STATEMENT} bytes")
    claimed = Accepted.claimed_by(body)
    apply(state, entry, claimed)
    verdict = verify(bundle, state.pins(body.task, body.round, entry.signer))
    if Accepted.from_verdict(verdict) != claimed:
        raise ProofRejected("statement", "the entry claims another than was verified")
    return attester.sign_typed(message(state.genesis.chain, entry))


def approve(
    state: State,
    entry: SignedEntry,
    pins: Pins,
    files: tuple[bytes, bytes],
    *,
    vk: str,
    runtime: bytes,
    code: bytes,
    governor: ChainAccount,
) -> bytes:
    """Check a halo2 task that is about to be opened, and sign its pins.

    Parameters
    ----------
    state : State
        The ledger, as the governor's own mirror has it.
    entry : SignedEntry
        The task.open.
    pins : Pins
        What the contract is to be told.
    files : tuple of bytes
        The circuit and the manifest.
    vk : str
        Digest of the verifying key that the governor derived from circuit and SRS.
    runtime : bytes
        Code of the verifier contract that the governor made from that key.
    code : bytes
        Code that is at the address on the chain.
    governor : ChainAccount
        Who signs.

    Raises
    ------
    BadPins
        If key, code or numbers are not those of the task.
    EntryRefused
        By name, if the rules would not take the task anyway.
    LedgerError
        If the ledger is not on a chain.
    """
    terms = entry.body
    if not isinstance(terms, TaskOpen) or terms.backend != "halo2":
        raise MalformedEntry("only a task with halo2 proofs has pins")
    if state.genesis is None or state.genesis.chain is None:
        raise LedgerError("this ledger is not on a chain, and pins nothing")
    apply(state, entry)
    registered = state.testsets[terms.testset].terms
    pins.require(read_pins(terms, registered, *files, pins.verifier))
    if vk != terms.vk:
        raise BadPins(f"the circuit's verifying key is {vk}, the task names {terms.vk}")
    if code != runtime:
        raise BadPins(f"the code at {pins.verifier} is not the verifier of that key")
    return governor.sign_typed(pinning(state.genesis.chain, entry, pins, code))


def in_order(
    charter: Charter, signed: dict[str, Any], signatures: Iterable[bytes]
) -> tuple[bytes, ...]:
    """Return as many signatures as a charter asks for, in the order the contract takes them.

    What is malformed, or of nobody who counts, is left out: one faulty governor must not stop
    what others signed.
    """
    found: dict[str, bytes] = {}
    text = encode_typed_data(full_message=signed)
    for signature in signatures:
        with contextlib.suppress(Exception):  # the library raises many kinds, and none matters
            who = identity(str(Account.recover_message(text, signature=signature)))
            if who in charter.governors and _is_canonical(signature):
                found[who] = signature
    return tuple(found[who] for who in sorted(found)[: charter.threshold])


def _is_canonical(signature: bytes) -> bool:
    low = int.from_bytes(signature[32:64], "big") <= N // 2
    return len(signature) == 65 and low and signature[64] in (27, 28)
