"""Reads a chain's ledger from its first block and compares everything with everything."""

from __future__ import annotations

from typing import Any

from eth_abi import abi
from eth_abi.exceptions import DecodingError
from eth_utils.abi import get_abi_input_types

from circuits.artefact_files import decode_circuit
from circuits.bundle import Bundle
from circuits.errors import ProofRejected, ZkpotError
from circuits.merkle import EMPTY_ROOT
from ledger.audit import AuditReport, Verify
from ledger.embedded.blobs import Blobs
from ledger.entries import ProofSubmit, TaskOpen, blob_digest
from ledger.errors import ChainDisagrees, MissingBlob
from ledger.evm.artefact import ledger_contract
from ledger.evm.events import Event
from ledger.evm.mirror import Mirror
from ledger.evm.node import checksum
from ledger.evm.pins import read_pins
from ledger.evm_keys import address_of
from ledger.records import Accepted, Task


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
    proofs, unavailable, faults = 0, 0, list[str]()
    try:
        mirror.refresh()
        _compare(mirror)
        faults += _wrong_pins(mirror, blobs)
        for event in mirror.events:
            if verify is None:
                break
            # One that cannot be looked at, or is wrong, must not hide those behind it.
            try:
                proofs += _verify(mirror, blobs, event, verify)
            except MissingBlob:
                unavailable += 1
            except ChainDisagrees as error:
                faults.append(error.message)
    except ZkpotError as error:
        faults.append(error.message)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    frontier = mirror.frontier
    return AuditReport(
        size=frontier.size,
        root=frontier.root if frontier.size else EMPTY_ROOT,
        proofs=proofs,
        resumed=0,
        log=mirror.state.origin,
        fault=faults[0] + more if faults else None,
        unavailable=unavailable,
    )


def _wrong_pins(mirror: Mirror, blobs: Blobs) -> list[str]:
    """Say what governors approved that is not so, of the tasks whose files are here."""
    found = []
    for event in mirror.events:
        body, pins = event.entry.body, event.pins
        if not isinstance(body, TaskOpen) or pins is None or body.backend != "halo2":
            continue
        registered = mirror.state.testsets[body.testset].terms
        try:
            files = blobs.get(body.architecture), blobs.get(registered.manifest)
            pins.require(read_pins(body, registered, *files, pins.verifier))
        except MissingBlob:
            continue
        except ZkpotError as error:
            found.append(f"task {event.digest}: {error.message}")
    return found


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


def _verify(mirror: Mirror, blobs: Blobs, event: Event, verify: Verify) -> int:
    """Verify a proof that the contract accepted or that was attested; count it."""
    body = event.entry.body
    if not isinstance(body, ProofSubmit):
        return 0
    bundle = _bundle(mirror, blobs, event, body)
    pins = mirror.state.pins(body.task, body.round, event.entry.signer)
    try:
        accepted = Accepted.from_verdict(verify(bundle, pins))
    except ProofRejected as error:
        raise ChainDisagrees(
            f"entry {event.index}: the contract paid for a proof that is none: {error.message}"
        ) from error
    if accepted != Accepted.claimed_by(body):
        raise ChainDisagrees(f"entry {event.index}: the proof establishes another statement")
    return 1


def _bundle(mirror: Mirror, blobs: Blobs, event: Event, body: ProofSubmit) -> bytes:
    """Return a bundle from the blobs, or put it together from its transaction."""
    try:
        return blobs.get(body.bundle)
    except MissingBlob:
        if body.statement.backend != "halo2":
            raise
    # Everything of a halo2 bundle is on the chain, and the contract computed its digest.
    made = _from_transaction(mirror.node.input(event.transaction), body)
    if made is None or blob_digest(made) != body.bundle:
        # It went through another contract, say, of which nothing is known here.
        raise MissingBlob(
            f"bundle {body.bundle} cannot be read from transaction {event.transaction}",
            digest=body.bundle,
        )
    return made


def _from_transaction(data: bytes, body: ProofSubmit) -> bytes | None:
    """Put a bundle together from what a transaction was sent with; None if it is not there."""
    function: Any = next(f for f in ledger_contract().abi if f.get("name") == "submitHalo2")
    names = [field["name"] for field in function["inputs"]]
    types = get_abi_input_types(function)
    try:
        # As the contract reads it: it looks neither at padding nor for padding at the end.
        found = abi.decode(types, data[4:] + bytes(32), strict=False)
        values = dict(zip(names, found, strict=True))
        circuit = decode_circuit(values["circuit"]).to_dict()
    except (DecodingError, OverflowError, ValueError, ZkpotError):
        return None
    details = {"srs_insecure": body.srs_insecure}
    return Bundle(body.statement, circuit, details, tuple(values["proofs"])).encode()
