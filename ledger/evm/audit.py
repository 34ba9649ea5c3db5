"""Reads a chain's ledger from its first block and compares everything with everything."""

from __future__ import annotations

from typing import Any

from web3.exceptions import Web3Exception

from circuits.artefact_files import decode_circuit
from circuits.bundle import Bundle
from circuits.errors import ProofRejected, ZkpotError
from circuits.merkle import EMPTY_ROOT
from ledger.audit import AuditReport, Verify
from ledger.embedded.blobs import Blobs
from ledger.entries import ProofSubmit, blob_digest
from ledger.errors import ChainDisagrees, MissingBlob
from ledger.evm.events import Event
from ledger.evm.mirror import Mirror
from ledger.evm.node import checksum
from ledger.evm_keys import address_of
from ledger.records import Accepted, Task
from ledger.state import State


def audit(mirror: Mirror, blobs: Blobs, verify: Verify | None = None) -> AuditReport:
    """Replay a chain, compare the contract's storage with it, and verify every proof again.

    Parameters
    ----------
    mirror : Mirror
        One that has read nothing yet.
    blobs : Blobs
        Bundles that are not on the chain.
    verify : callable, optional
        Verifies every proof again; without it the chain's word is taken that they were.
    """
    proofs, fault = 0, None
    try:
        mirror.refresh()
        _compare(mirror)
        if verify is not None:
            for event in mirror.events:
                if isinstance(event.entry.body, ProofSubmit):
                    bundle = _bundle(mirror, blobs, event, event.entry.body)
                    _verify(mirror.state, event, event.entry.body, bundle, verify)
                    proofs += 1
    except ZkpotError as error:
        fault = error.message
    frontier = mirror.frontier
    return AuditReport(
        size=frontier.size,
        root=frontier.root if frontier.size else EMPTY_ROOT,
        proofs=proofs,
        resumed=0,
        log=mirror.state.origin,
        fault=fault,
    )


def _compare(mirror: Mirror) -> None:
    """Check that what the contract stores is what its entries amount to."""
    node, state = mirror.node, mirror.state
    functions = node.contract(mirror.contract).functions
    number = mirror.block.number if mirror.block else 0

    def same(what: str, function: Any, *expected: Any) -> None:
        found = node.call(function, block=number)
        found = tuple(found) if isinstance(found, list | tuple) else (found,)
        if found != expected:
            raise ChainDisagrees(f"{what}: the contract has {found}, the entries give {expected}")

    same("number of entries", functions.size(), state.size)
    same("units minted", functions.minted(), state.minted)
    same("units promised", functions.promised(), state.promised)
    for who in sorted({*state.identities, *state.balances}):
        address = checksum(address_of(who))
        same(f"balance of {who}", functions.balances(address), state.balances.get(who, 0))
        same(f"number of {who}", functions.nonces(address), state.nonce(who))
    for spent, index in state.nullifiers.items():
        same(f"nullifier {spent}", functions.spentBy(bytes.fromhex(spent)), index + 1)
    for root, testset in state.testsets.items():
        terms = testset.terms
        evaluator = checksum(address_of(testset.evaluator))
        same(f"test set {root}", functions.testsets(bytes.fromhex(root)), evaluator,
             testset.opened, terms.samples, terms.openings, testset.spent)  # fmt: skip
    for event in mirror.events:
        if event.pins is not None:
            task = state.tasks[event.digest]
            same(f"task {task.id}", functions.taskState(bytes.fromhex(task.id)), *_task(task),
                 bytes.fromhex(event.codehash))  # fmt: skip


def _task(task: Task) -> tuple[int, ...]:
    return task.released, task.spent, task.step, task.minted


def _verify(state: State, event: Event, body: ProofSubmit, bundle: bytes, verify: Verify) -> None:
    """Verify a proof that the contract accepted or that was attested."""
    pins = state.pins(body.task, body.round, event.entry.signer)
    try:
        accepted = Accepted.from_verdict(verify(bundle, pins))
    except ProofRejected as error:
        raise ChainDisagrees(
            f"entry {event.index}: the contract paid for a proof that is none: {error.message}"
        ) from error
    if accepted != Accepted.claimed_by(body):
        raise ChainDisagrees(f"entry {event.index}: the proof establishes another statement")


def _bundle(mirror: Mirror, blobs: Blobs, event: Event, body: ProofSubmit) -> bytes:
    """Return a bundle from the blobs, or put it together from its transaction."""
    try:
        return blobs.get(body.bundle)
    except MissingBlob:
        if body.statement.backend != "halo2":
            raise
    # Everything of a halo2 bundle is on the chain, and the contract computed its digest.
    node = mirror.node
    try:
        contract = node.contract(mirror.contract)
        values = contract.decode_function_input(node.input(event.transaction))[1]
        circuit = decode_circuit(values["circuit"]).to_dict()
        proofs = tuple(values["proofs"])
    except (Web3Exception, ValueError, KeyError):
        # It went through another contract, of which nothing is known here.
        raise MissingBlob(f"bundle {body.bundle} is in no form that is known in transaction "
                          f"{event.transaction}", digest=body.bundle) from None  # fmt: skip
    details = {"srs_insecure": body.srs_insecure}
    bundle = Bundle(body.statement, circuit, details, proofs).encode()
    if blob_digest(bundle) != body.bundle:
        raise ChainDisagrees(f"entry {event.index}: the transaction has another bundle")
    return bundle
