"""Checks a ledger from its first byte, believing nothing that is stored but the entries.

What an audit cannot see: a log rewritten as a whole by the holder of its key. Against that stand
the receipts and checkpoints that others keep, and naming the expected key. Nor can it look again
at an opening file that was shown to be invalid, since the ledger does not keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from circuits.encoding import (
    canonical_json,
    is_hex,
    parse_canonical,
    read_bytes,
    write_atomic,
)
from circuits.errors import CorruptedArtefact, ZkpotError
from circuits.merkle import leaf_hash
from ledger.embedded.mark import Mark
from ledger.embedded.publish import Publication
from ledger.embedded.replica import believed
from ledger.embedded.store import Store
from ledger.embedded.tree import Tree
from ledger.entries import ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt, LedgerRolledBack
from ledger.records import Accepted, TaskPins, Vouched
from ledger.rules import apply
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey
from verifier.verdict import Verdict

Verify = Callable[[bytes, TaskPins], Verdict]

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""

_CHUNK = 1024
_RESUME_VERSION = 1
_RESUME_BYTES = 1 << 16


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
    """

    size: int
    root: bytes
    proofs: int
    resumed: int
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
            "resumed": self.resumed,
            "log": self.log,
            "fault": self.fault,
        }


@dataclass(frozen=True)
class Resume:
    """How far the proofs of a log were verified, for an audit that goes on from there.

    It is its owner's own note, and proves nothing to anyone else.

    Attributes
    ----------
    log : str
        The log's verifier key.
    size : int
        All proofs among so many entries were verified.
    root : str
        Merkle root over these entries.
    proofs : int
        How many proofs that were.
    """

    log: str
    size: int
    root: str
    proofs: int

    @classmethod
    def load(cls, path: Path) -> Resume | None:
        """Read the file; None if there is none yet.

        Raises
        ------
        CorruptedArtefact
            If it is something else.
        """
        if not path.exists():
            return None
        value = parse_canonical(read_bytes(path, "audit file", _RESUME_BYTES), "audit file")
        try:
            found = cls(value["log"], value["size"], value["root"], value["proofs"])
            good = value["version"] == _RESUME_VERSION and canonical_json(value) == found.encode()
            good = good and is_hex(found.root, 32) and type(found.size) is int
        except (TypeError, KeyError):
            good = False
        if not good:
            raise CorruptedArtefact(f"{path} is not the file of an audit", path=str(path))
        return found

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return canonical_json(
            {
                "version": _RESUME_VERSION,
                "log": self.log,
                "size": self.size,
                "root": self.root,
                "proofs": self.proofs,
            }
        )


@dataclass
class _Progress:
    state: State = field(default_factory=State)
    tree: Tree = field(default_factory=Tree)
    proofs: int = 0
    resumed: int = 0
    log: VerifierKey | None = None


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
    found = run.found
    return AuditReport(
        size=found.tree.size,
        root=found.tree.root(),
        proofs=found.proofs,
        resumed=found.resumed,
        log=str(found.log or ""),
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
        self._resume = resume
        self._before = None if resume is None else Resume.load(resume)
        self._progress = progress
        self._blobs: set[str] = set()
        self.found = _Progress()

    def check(self) -> None:
        """Look at everything once, and raise the first fault."""
        # Before the log is read, which may grow meanwhile: it must have what was published.
        publication = Publication(self._store.folder)
        published = publication.note()
        with self._store.snapshot():
            damage = self._store.damage()
            if damage is not None:
                raise LedgerCorrupt(f"database: {damage}")
            self._replay()
            self._compare_caches()
            self._check_signed(publication, published)
        for name in self._store.blobs.names() - self._blobs:
            self._store.blobs.get(name)

    def _replay(self) -> None:
        found, checkpoints = self.found, self._store.checkpoints()
        states, size = self._store.states(), self._store.size
        while found.tree.size < size:
            rows = self._store.entries(found.tree.size, _CHUNK)
            for index, data, leaf in rows:
                self._replay_entry(index, data, leaf)
                self._check_size(checkpoints.pop(found.tree.size, None), states)
            self._progress("entries", found.tree.size, size)
        if found.log is None:
            raise LedgerCorrupt("the log is empty")
        if found.tree.size not in self._checked:
            raise LedgerCorrupt(f"no checkpoint covers all {found.tree.size} entries")
        for name, left in (("checkpoint", checkpoints), ("state", states)):
            if left:
                raise LedgerCorrupt(f"{name} {max(left)} is larger than the log: entries lost")
        if found.state.due:
            raise LedgerCorrupt(f"the credit for entry {found.state.due[0].proof} is missing")
        if self._before is not None and self._before.size > found.tree.size:
            raise LedgerCorrupt(f"the log had {self._before.size} entries: entries lost")
        self._note_progress()
