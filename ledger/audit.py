"""Checks a ledger from its first byte, believing nothing that is stored but the entries.

What an audit cannot see: a log rewritten as a whole by the holder of its key. Against that stand
the receipts and checkpoints that others keep, and naming the expected key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from circuits.encoding import canonical_json
from circuits.errors import ZkpotError
from circuits.merkle import EMPTY_ROOT, Frontier, leaf_hash
from ledger.entries import ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt
from ledger.note import Checkpoint, VerifierKey
from ledger.rules import apply
from ledger.state import Accepted, State, TaskPins
from ledger.store import Store
from verifier.verdict import Verdict

Verify = Callable[[bytes, TaskPins], Verdict]


@dataclass(frozen=True)
class AuditReport:
    """What an audit found.

    Attributes
    ----------
    size : int
        Entries that were found good; all of them where there is no fault.
    root : bytes
        Merkle root over those.
    proofs : int
        Proofs that were verified again.
    log : str
        The log's verifier key as its genesis entry has it; empty if not even that was good.
    fault : str or None
        The first thing that is wrong, None if nothing is.
    """

    size: int
    root: bytes
    proofs: int
    log: str
    fault: str | None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None

    def require(self) -> None:
        """Raise where something is wrong.

        Raises
        ------
        LedgerCorrupt
            With the first thing that is.
        """
        if self.fault is not None:
            raise LedgerCorrupt(self.fault, size=self.size)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {
            "ok": self.ok,
            "size": self.size,
            "root": self.root.hex(),
            "proofs": self.proofs,
            "log": self.log,
            "fault": self.fault,
        }


@dataclass
class _Progress:
    state: State = field(default_factory=State)
    frontier: Frontier = field(default_factory=Frontier)
    proofs: int = 0
    log: VerifierKey | None = None


def audit(
    store: Store, verify: Verify | None = None, log: VerifierKey | None = None
) -> AuditReport:
    """Replay a log and compare everything stored with it.

    Parameters
    ----------
    store : Store
        The log.
    verify : callable, optional
        Verifies every proof again; without it the log's word is taken that they were.
    log : VerifierKey, optional
        The key the log should have, as published elsewhere.
    """
    progress = _Progress()
    fault: str | None = None
    try:
        with store.snapshot():
            damage = store.damage()
            if damage is not None:
                raise LedgerCorrupt(f"database: {damage}")
            _replay(store, verify, log, progress)
            _compare_caches(store, progress.state)
    except ZkpotError as error:
        fault = error.message
    return AuditReport(
        size=progress.frontier.size,
        root=progress.frontier.root if progress.frontier.size else EMPTY_ROOT,
        proofs=progress.proofs,
        log=str(progress.log or ""),
        fault=fault,
    )


def _replay(
    store: Store, verify: Verify | None, expected: VerifierKey | None, progress: _Progress
) -> None:
    checkpoints = dict(store.checkpoints())
    for position, (index, data, leaf) in enumerate(store.entries()):
        try:
            if index != position:
                raise LedgerCorrupt("it is missing")
            if leaf != leaf_hash(data):
                raise LedgerCorrupt("its stored leaf hash is wrong")
            entry = SignedEntry.decode(data)
            progress.state = apply(progress.state, entry, _accept(store, verify, entry, progress))
            for blob in entry.body.blobs:
                store.blobs.get(blob)
        except ZkpotError as error:
            raise LedgerCorrupt(f"entry {position}: {error.message}") from error
        if index == 0:
            progress.log = VerifierKey(progress.state.origin, progress.state.operator)
            if expected is not None and progress.log != expected:
                raise LedgerCorrupt(f"this is log {progress.log}, expected {expected}")
        frontier = progress.frontier.append(leaf)
        note = checkpoints.pop(frontier.size, None)
        if note is not None and progress.log is not None:
            _check_checkpoint(note, progress.log, frontier)
        progress.frontier = frontier
    if progress.log is None:
        raise LedgerCorrupt("the log is empty")
    if note is None:
        raise LedgerCorrupt(f"no checkpoint covers all {progress.frontier.size} entries")
    if checkpoints:
        raise LedgerCorrupt(f"checkpoint {max(checkpoints)} is larger than the log: entries lost")
    if progress.state.due is not None:
        raise LedgerCorrupt(f"the credit for entry {progress.state.due.proof} is missing")


def _accept(
    store: Store, verify: Verify | None, entry: SignedEntry, progress: _Progress
) -> Accepted | None:
    body = entry.body
    if not isinstance(body, ProofSubmit):
        return None
    if verify is None:
        return Accepted.claimed_by(body)
    pins = progress.state.pins(body.task, body.round, entry.signer)
    accepted = Accepted.from_verdict(verify(store.blobs.get(body.bundle), pins))
    progress.proofs += 1
    return accepted


def _check_checkpoint(note: str, log: VerifierKey, frontier: Frontier) -> None:
    """Check one stored checkpoint against the entries."""
    try:
        checkpoint = Checkpoint.open(note, log)
    except ZkpotError as error:
        raise LedgerCorrupt(f"checkpoint {frontier.size}: {error.message}") from None
    if (checkpoint.size, checkpoint.root) != (frontier.size, frontier.root):
        raise LedgerCorrupt(
            f"checkpoint {frontier.size} is for {checkpoint.size} entries with root "
            f"{checkpoint.root.hex()}, the entries give {frontier.root.hex()}"
        )


def _compare_caches(store: Store, state: State) -> None:
    """Check that what is stored beside the entries is what they amount to, byte for byte."""
    names = ("nullifiers", "balances")
    for name, found, expected in zip(
        names, store.cached(), (state.nullifiers, state.balances), strict=True
    ):
        if canonical_json(found) != canonical_json(dict(expected)):
            raise LedgerCorrupt(f"stored {name} are not those of the entries")
