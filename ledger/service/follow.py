"""A validator's own copy of a log: every entry replayed, and every proof verified, by itself.

Kept in a folder as C2SP tlog-tiles with the blobs beside them, which is what an export is: it can
be imported, and any web server can serve it. What is in it was verified; nothing else gets in.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from circuits.bundle import MAX_BYTES as BUNDLE_BYTES
from circuits.encoding import canonical_json, parse_canonical, write_atomic
from circuits.errors import MissingArtefact, ProofRejected, ResourceError, SrsError, ZkpotError
from circuits.merkle import leaf_hash
from ledger.embedded.blobs import BLOBS, Blobs
from ledger.embedded.publish import Publication
from ledger.embedded.replica import believed
from ledger.embedded.tiles import TileReader, Tiles, folder_fetch
from ledger.embedded.tree import Tree
from ledger.entries import Genesis, ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import BadEvidence, LedgerBusy, LedgerCorrupt, MissingBlob, StorageFailed
from ledger.records import Vouched
from ledger.rules import apply
from ledger.service.errors import Busy, LogForked, Unreachable
from ledger.service.remote_log import RemoteLog
from ledger.service.verify import Job, Outcome
from ledger.service.workers import JobFailed, Workers
from ledger.state import State
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Checkpoint

_CHUNK = 256
_FAULT, _EVIDENCE = "fault.json", "evidence.json"

# What a verification may end with that is not the log's fault: it is tried again later.
_PASSING = (Busy, Unreachable, ResourceError, SrsError, LedgerBusy, StorageFailed, MissingBlob)
_PASSING_CODES = frozenset({"SRS_MISSING", "SRS_INVALID", "WORKER_FAILED", "OUT_OF_MEMORY"})


@dataclass(frozen=True)
class Fault:
    """Why a log is not followed any more.

    Attributes
    ----------
    size : int
        Entries that were good.
    code, message : str
        What is wrong with the next one, or with what the log has signed.
    note : str
        The checkpoint under which it is.
    """

    size: int
    code: str
    message: str
    note: str

    def encode(self) -> bytes:
        """Return the file of it."""
        return canonical_json(
            {"size": self.size, "code": self.code, "message": self.message, "note": self.note}
        )

    @classmethod
    def load(cls, path: Path) -> Fault | None:
        """Read it, if there is one."""
        if not path.exists():
            return None
        try:
            return cls(**parse_canonical(path.read_bytes(), "fault"))
        except (ZkpotError, TypeError) as error:
            raise LedgerCorrupt(f"{path} is damaged: {error}", path=str(path)) from None


@dataclass
class Follower:
    """Follows a log.

    One thread syncs; others may look at what it has come to.

    Parameters
    ----------
    folder : Path
        The copy.
    remote : RemoteLog
        The log.
    make_workers : callable
        From the genesis entry to the workers that verify proofs.
    """

    folder: Path
    remote: RemoteLog
    make_workers: Callable[[Genesis], Workers]
    state: State = field(default_factory=State)
    tree: Tree = field(default_factory=Tree)
    note: str = ""
    fault: Fault | None = None

    def __post_init__(self) -> None:
        Blobs.create(self.folder)
        self._blobs = Blobs(self.folder)
        # The folder itself, as in an export.
        self._publication = Publication(self.folder)
        self._workers: Workers | None = None
        self._loaded = False
        self.lock = threading.Condition()
        self.fault = Fault.load(self.folder / _FAULT)

    @property
    def size(self) -> int:
        """Number of entries that are verified, and durable."""
        return self.tree.size if self._loaded else 0

    def stop(self) -> None:
        """End the workers; a sync that is at work fails."""
        if self._workers is not None:
            self._workers.stop()

    def sync(self) -> int:
        """Take in what is new; return the size.

        Raises
        ------
        ZkpotError
            If it cannot be done now. If it is the log's fault, as what it has signed shows, then
            `fault` says so for ever.
        """
        if self.fault is not None:
            raise LedgerCorrupt(f"the log is not followed any more: {self.fault.message}")
        if not self._loaded:
            self._load()
        note = self.remote.signed_checkpoint()
        target = Checkpoint.open(note, self.remote.key)
        if target.size <= self.size:
            # An older one is no news; somebody on the way may have kept it.
            if self.tree.root(target.size) != target.root:
                self.accuse(note)
            return self.size
        while self.size < target.size:
            self._take(self._next(note, target))
        return self.size

    def accuse(self, note: str, theirs: Tree | None = None) -> None:
        """Keep proof that the log has signed another history than the one here, if it is proof.

        Parameters
        ----------
        note : str
            A checkpoint that the log signed.
        theirs : Tree, optional
            The tree that it is of, where that is larger than the one here.

        Raises
        ------
        LogForked
            If it is. The log is not followed any more.
        """
        size, larger = Checkpoint.open(note, self.remote.key).size, theirs or self.tree
        small = min(size, self.size)
        prefix, proof = b"", []
        if size != self.size:
            prefix, proof = larger.root(small), larger.consistency(small, larger.size)
        try:
            found = Evidence.of(self.remote.key, note, self.note, prefix=prefix, proof=proof)
        except BadEvidence:
            return
        write_atomic(self.folder / _EVIDENCE, found.encode())
        error = LogForked(f"the log has signed two histories; see {self.folder / _EVIDENCE}")
        self._refuse(error, note)
        raise error

    def _load(self) -> None:
        """Read what is kept; it was verified when it was taken in."""
        state, tree, note = State(), Tree(), ""
        with contextlib.suppress(MissingArtefact):
            reader = TileReader(folder_fetch(self.folder), self.remote.key)
            tree, entries = reader.rebuild()
            note = reader.note
            for data in entries:
                entry = SignedEntry.decode(data)
                state = apply(state, entry, believed(entry))
        with self.lock:
            self.state, self.tree, self.note, self._loaded = state, tree, note, True

    def _next(self, note: str, target: Checkpoint) -> str:
        """Return the checkpoint up to which to go: a long way is gone in steps."""
        if target.size - self.size <= _CHUNK:
            return note
        step = self.remote.signed_receipt(self.size + _CHUNK - 1).checkpoint
        reached = Checkpoint.open(step, self.remote.key).size
        # Receipts are of commits, and one commit can be larger than a step.
        return step if self.size < reached < target.size else note

    def _take(self, note: str) -> None:
        """Verify the entries up to a checkpoint, and keep them."""
        start, checkpoint = self.size, Checkpoint.open(note, self.remote.key)
        added = self._fetch(checkpoint, note)
        try:
            state = self._verify(added)
        except _PASSING:
            raise
        except ZkpotError as error:
            self._refuse(error, note)
            raise
        with self.lock:
            for data in added:
                self.tree.append(leaf_hash(data))
            # Until it is published, and should that fail, what is kept counts, and not the tree.
            self._loaded = False
            self._publication.publish(
                self.tree, _Entries(self.folder, start, added), [checkpoint.size], note, start
            )
            self._loaded = True
            self.state, self.note = state, note
            self.lock.notify_all()

    def _fetch(self, checkpoint: Checkpoint, note: str) -> list[bytes]:
        """Return the new entries under a checkpoint: what the log has signed for, and no more.

        Anybody on the way can send something else; only what is signed can be held against it.
        """
        frontier, added = self.tree.frontier, []
        for data in Tiles(self.remote.fetch, checkpoint.size).entries(self.size):
            frontier = frontier.append(leaf_hash(data))
            added.append(data)
        if (frontier.size, frontier.root) != (checkpoint.size, checkpoint.root):
            self._look_for_a_fork(checkpoint, note)
            raise LedgerCorrupt(f"what came are not the entries of checkpoint {checkpoint.size}")
        return added

    def _look_for_a_fork(self, checkpoint: Checkpoint, note: str) -> None:
        """See whether other entries than those here are what the log has signed."""
        theirs = Tree()
        for data in Tiles(self.remote.fetch, checkpoint.size).entries():
            theirs.append(leaf_hash(data))
        if self.size > 0 and theirs.root() == checkpoint.root:
            self.accuse(note, theirs)

    def _verify(self, added: list[bytes]) -> State:
        """Return what entries amount to, having verified everything."""
        state = self.state
        for data in added:
            entry = SignedEntry.decode(data)
            state = apply(state, entry, self._vouch(state, entry))
        if (state.origin, state.operator) != (self.remote.key.name, self.remote.key.public):
            raise LedgerCorrupt(f"this is no ledger of {self.remote.key}")
        return state

    def _vouch(self, state: State, entry: SignedEntry) -> Vouched:
        """Fetch what an entry names, and verify what it claims."""
        for name in entry.body.blobs:
            self._fetch_blob(name)
        body = entry.body
        if not isinstance(body, ProofSubmit):
            # That an opening file opens nothing is the log's word: nobody keeps the file.
            return believed(entry)
        if self._workers is None:
            assert state.genesis is not None
            self._workers = self.make_workers(state.genesis)
        bundle = self.folder / BLOBS / body.bundle
        job = Job(bundle, BUNDLE_BYTES, state.pins(body.task, body.round, entry.signer))
        try:
            found = self._workers.run(job)
        except JobFailed as error:
            if error.failed.code in _PASSING_CODES:
                raise Busy(f"entry {state.size}: {error.message}", 60) from None
            raise ProofRejected("worker", error.message) from None
        assert isinstance(found, Outcome)
        return found.require()

    def _fetch_blob(self, name: str) -> None:
        try:
            self._blobs.get(name)
        except (MissingBlob, LedgerCorrupt):
            try:
                self._blobs.put(self.remote.blob(name))
            except LedgerCorrupt as error:
                # Anybody on the way can change it.
                raise MissingBlob(error.message, digest=name) from None

    def _refuse(self, error: ZkpotError, note: str) -> None:
        fault = Fault(self.size, error.code, error.message, note)
        write_atomic(self.folder / _FAULT, fault.encode())
        with self.lock:
            self.fault = fault
            self.lock.notify_all()


@dataclass(frozen=True)
class _Entries:
    """Entries for bundles: new ones from memory, older ones from what is published."""

    folder: Path
    start: int
    added: list[bytes]

    def __call__(self, start: int, count: int) -> list[bytes]:
        found: list[bytes] = []
        if start < self.start:
            older = Tiles(folder_fetch(self.folder), self.start)
            for data in older.entries(start):
                found.append(data)
                if len(found) == count:
                    return found
        first = max(0, start - self.start)
        return found + self.added[first : first + count - len(found)]
