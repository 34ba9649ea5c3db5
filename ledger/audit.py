"""Checks a ledger from its first byte, believing nothing that is stored but the entries.

What an audit cannot see: a log rewritten as a whole by the holder of its key. Against that stand
the receipts and checkpoints that others keep, and naming the expected key. Nor can it look again
at an opening file that was shown to be invalid, since the ledger does not keep it. And which older
checkpoints there were, nothing says but what was stored or published with them: without one, the
receipts of its entries are under a later one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuits.encoding import canonical_json, write_atomic
from circuits.errors import ZkpotError
from circuits.merkle import leaf_hash
from ledger.embedded.mark import Mark
from ledger.embedded.moved import open_moved
from ledger.embedded.publish import Publication
from ledger.embedded.replica import believed, require_reached
from ledger.embedded.resume import Resume
from ledger.embedded.store import Store
from ledger.embedded.tree import Tree
from ledger.entries import ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt
from ledger.invariants import check_all
from ledger.records import Accepted, TaskPins, Vouched
from ledger.rules import apply
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey
from verifier.verdict import Verdict

Verify = Callable[[bytes, TaskPins], Verdict]

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""

_CHUNK = 1024
_LEAST = -(1 << 63)  # what a damaged key can be


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
    resumed : int
        Proofs that an earlier part of the same audit had verified.
    log : str
        The log's verifier key as its genesis entry has it; empty if not even that was good.
    fault : str or None
        The first thing that is wrong, None if nothing is.
    unavailable : int
        Proofs that were not verified again because nobody here has their bundles; no fault of the
        ledger's. Only a ledger on a chain has such.
    """

    size: int
    root: bytes
    proofs: int
    resumed: int
    log: str
    fault: str | None
    unavailable: int = 0

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
            "resumed": self.resumed,
            "log": self.log,
            "fault": self.fault,
            "unavailable": self.unavailable,
        }


def audit(
    store: Store,
    verify: Verify | None = None,
    log: VerifierKey | None = None,
    *,
    mark: Mark | None = None,
    resume: Path | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Replay a log and compare everything stored with it.

    That is: the database as a file, every entry with its signature, every blob, checkpoint and
    stored digest of a state, the caches, the published tiles, and what the log's key is known to
    have signed.

    Parameters
    ----------
    store : Store
        The log.
    verify : callable, optional
        Verifies every proof again; without it the log's word is taken that they were.
    log : VerifierKey, optional
        The key the log should have, as published elsewhere.
    mark : Mark, optional
        What the log's key has signed, if that is known here.
    resume : pathlib.Path, optional
        File in which the audit notes which proofs it has verified. If it is there already, these
        are not verified again, provided that the log still begins with the same entries.
    progress : callable, optional
        Told how many entries are done.

    Raises
    ------
    CorruptedArtefact
        If `resume` is some other file.
    """
    run = _Audit(store, verify, log, mark, resume, progress or (lambda *_: None))
    fault: str | None = None
    try:
        run.check()
    except ZkpotError as error:
        fault = error.message
    return AuditReport(
        size=run.tree.size,
        root=run.tree.root(),
        proofs=run.proofs,
        resumed=run.resumed,
        log="" if run.log is None else str(run.log),
        fault=fault,
    )


class _Audit:
    def __init__(
        self, store: Store, verify: Verify | None, expected: VerifierKey | None,
        mark: Mark | None, resume: Path | None, progress: Progress,
    ) -> None:  # fmt: skip
        self._store = store
        self._verify = verify
        self._expected = expected
        self._mark = mark
        self._file = resume
        self._before = None if resume is None else Resume.load(resume)
        self._progress = progress
        self._blobs: set[str] = set()
        self.state = State()
        self.tree = Tree()
        self.log: VerifierKey | None = None
        self.proofs = 0
        self.resumed = 0

    def check(self) -> None:
        """Look at everything once, and raise the first fault."""
        # Before the log is read, which may grow meanwhile: it must have what was signed until now.
        publication = Publication.of(self._store.folder)
        published = publication.note()
        marked = {} if self._mark is None else self._mark.notes()
        with self._store.snapshot():
            damage = self._store.damage()
            if damage is not None:
                raise LedgerCorrupt(f"database: {damage}")
            size, notes, states = (
                self._store.size, self._store.checkpoints(_LEAST), self._store.states(),
            )  # fmt: skip
            for begin in range(0, size, _CHUNK):
                self._progress("entries", begin, size)
                for row in self._store.entries(begin, min(_CHUNK, size - begin)):
                    self._replay(*row)
                    self._check_size(notes, states)
            log = self._require_complete(size, notes, states)
            self._compare_caches()
            if self._store.standing == "moved":
                require_reached(self.tree, open_moved(self._store.moved_note, log).checkpoint)
            self._check_published(publication, published, log, notes)
            if log.name in marked:
                self._check_marked(marked[log.name], log, notes)
            if self._mark is not None:
                # Its signature; the checkpoint beside it is as new.
                self._mark.moved(log)
        # What no entry names yet must still be what its name says.
        for name in self._store.blobs.names() - self._blobs:
            self._store.blobs.get(name)
        self._save(log)
        self._progress("entries", size, size)

    def _replay(self, index: int, data: bytes, leaf: bytes) -> None:
        if index != self.tree.size:
            raise LedgerCorrupt(f"entry {self.tree.size}: it is missing")
        try:
            if leaf != leaf_hash(data):
                raise LedgerCorrupt("its stored leaf hash is wrong")
            entry = SignedEntry.decode(data)
            self.state = apply(self.state, entry, self._vouch(index, entry))
            for blob in entry.body.blobs:
                if blob not in self._blobs:
                    self._store.blobs.get(blob)
                    self._blobs.add(blob)
        except ZkpotError as error:
            raise LedgerCorrupt(f"entry {index}: {error.message}") from error
        if self.log is None:
            self.log = VerifierKey(self.state.origin, self.state.operator)
            if self._expected is not None and self.log != self._expected:
                raise LedgerCorrupt(f"this is log {self.log}, expected {self._expected}")
        self.tree.append(leaf)
        if isinstance(entry.body, ProofSubmit) and self._verify is not None:
            self._save(self.log)

    def _vouch(self, index: int, entry: SignedEntry) -> Vouched:
        body = entry.body
        if self._verify is None or not isinstance(body, ProofSubmit):
            return believed(entry)
        if self._before is not None and index < self._before.size:
            self.resumed += 1
            return believed(entry)
        pins = self.state.pins(body.task, body.round, entry.signer)
        verdict = self._verify(self._store.blobs.get(body.bundle), pins)
        self.proofs += 1
        return Accepted.from_verdict(verdict)

    def _check_size(self, notes: Mapping[int, str], states: Mapping[int, str]) -> None:
        """Check what is stored for a log of just the entries so far."""
        size = self.tree.size
        before = self._before
        here = (str(self.log), self.tree.root().hex())
        if before is not None and before.size == size and (before.log, before.root) != here:
            raise LedgerCorrupt(f"the first {size} entries are not those audited before")
        if size in notes and self.log is not None:
            try:
                checkpoint = Checkpoint.open(notes[size], self.log)
            except ZkpotError as error:
                raise LedgerCorrupt(f"checkpoint {size}: {error.message}") from None
            if (checkpoint.size, checkpoint.root) != (size, self.tree.root()):
                raise LedgerCorrupt(
                    f"checkpoint {size} is for {checkpoint.size} entries with root "
                    f"{checkpoint.root.hex()}, the entries give {self.tree.root().hex()}"
                )
        if size in states and states[size] != self.state.digest:
            raise LedgerCorrupt(f"state {size} is not what the entries amount to")

    def _require_complete(
        self, size: int, notes: Mapping[int, str], states: Mapping[int, str]
    ) -> VerifierKey:
        if self.log is None:
            raise LedgerCorrupt("the log is empty")
        if size not in notes:
            raise LedgerCorrupt(f"no checkpoint covers all {size} entries")
        for what, sizes in (("checkpoint", notes), ("state", states)):
            if max(sizes, default=0) > size:
                raise LedgerCorrupt(f"{what} {max(sizes)} is larger than the log: entries lost")
            if min(sizes, default=1) < 1:
                raise LedgerCorrupt(f"{what} {min(sizes)} is of no log")
        for stored in sorted(set(states) - set(notes)):
            # They were written together.
            raise LedgerCorrupt(f"checkpoint {stored} is missing")
        if self._before is not None and self._before.size > size:
            raise LedgerCorrupt(f"{self._before.size} entries were audited before: entries lost")
        if self.state.due:
            raise LedgerCorrupt(f"the credit for entry {self.state.due[0].proof} is missing")
        return self.log

    def _compare_caches(self) -> None:
        """Check that what is stored beside the entries is what they amount to, byte for byte."""
        names = ("nullifiers", "balances")
        for name, found, expected in zip(
            names, self._store.cached(), (self.state.nullifiers, self.state.balances), strict=True
        ):
            if canonical_json(found) != canonical_json(dict(expected)):
                raise LedgerCorrupt(f"stored {name} are not those of the entries")
        check_all(self.state)

    def _check_published(
        self, publication: Publication, note: str | None, log: VerifierKey, notes: Mapping[int, str]
    ) -> None:
        if note is None:
            if self._store.standing != "copy":
                raise LedgerCorrupt(f"{publication.folder} has no checkpoint: nothing is published")
            return
        try:
            reader = publication.reader(log, note)
            require_reached(self.tree, reader.checkpoint)
        except ZkpotError as error:
            raise LedgerCorrupt(f"published checkpoint: {error.message}") from None
        publication.check(reader, self.tree, self._store.data, notes)

    def _check_marked(self, note: str, log: VerifierKey, notes: Mapping[int, str]) -> None:
        checkpoint = Checkpoint.open(note, log)
        require_reached(self.tree, checkpoint)
        if notes.get(checkpoint.size) != note:
            raise LedgerCorrupt(
                f"checkpoint {checkpoint.size} is missing, which the log's key has signed"
            )

    def _save(self, log: VerifierKey) -> None:
        """Note that all proofs so far are verified."""
        if self._file is None or self._verify is None:
            return
        if self._before is None or self.tree.size > self._before.size:
            proofs = self.proofs + self.resumed
            found = Resume(str(log), self.tree.size, self.tree.root().hex(), proofs)
            write_atomic(self._file, found.encode())
