"""What can be read of a ledger on disk, with or without the log's key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from circuits.errors import LedgerError
from ledger.audit import AuditReport, Verify, audit
from ledger.embedded.mark import Mark
from ledger.embedded.publish import Publication
from ledger.embedded.replica import Replica
from ledger.embedded.store import Refusal, Standing, Store
from ledger.embedded.transfer import export
from ledger.entries import ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import NoMark
from ledger.records import Task
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.receipt import Receipt


class View:
    """A ledger to be read.

    The state is always replayed from the entries; nothing that is merely stored beside them is
    believed.

    Attributes
    ----------
    folder : pathlib.Path
        Where it is.
    """

    def __init__(self, store: Store, mark: Mark, own: str = "") -> None:
        self.folder: Path = store.folder
        self._store = store
        self._mark = mark
        self._replica = Replica(store, own)

    def _refresh(self) -> None:
        """Take in what was appended; with the log's key also what has to be done about it."""
        self._replica.refresh()

    @property
    def state(self) -> State:
        """What all entries amount to, those of other writers included."""
        self._refresh()
        return self._replica.state

    @property
    def origin(self) -> str:
        """Name of the ledger."""
        return self.state.origin

    @property
    def key(self) -> VerifierKey:
        """The log's public key; its text form is the ``vkey`` to hand out."""
        self._refresh()
        return self._replica.log

    @property
    def standing(self) -> Standing:
        """Whether this is the ledger itself or a copy that does not go on."""
        return self._store.standing

    def warnings(self) -> list[str]:
        """Return why this may not be all of the ledger: people must know what they look at."""
        self._refresh()
        found = {
            "live": [],
            "copy": ["this is a backup or a mirror of the ledger"],
            "moved": ["this ledger was moved, and goes on somewhere else"],
        }[self.standing]
        log = self._replica.log
        if self.standing == "live" and self._away(log):
            found.append("this ledger was moved, and goes on somewhere else")
        for read in (self._mark.read, self._published):
            try:
                signed = read(log)
                # What was signed meanwhile must be here as well.
                self._refresh()
                if signed is not None:
                    self._replica.require_reached(signed)
            except LedgerError as error:
                found.append(error.message)
        return found

    def _away(self, log: VerifierKey) -> bool:
        # That the mark is damaged is said by who reads the checkpoint in it.
        with contextlib.suppress(NoMark):
            return self._mark.away(log) is not None
        return False

    def _published(self, log: VerifierKey) -> Checkpoint | None:
        publication = Publication.of(self.folder)
        note = publication.note()
        return None if note is None else publication.reader(log, note).checkpoint

    def task(self, task: str) -> Task:
        """Return a task, or raise `UnknownTask`."""
        return self.state.task(task)

    def balance(self, identity: str) -> int:
        """Return what an identity owns and can spend."""
        return self.state.balances.get(identity, 0)

    def balances(self) -> dict[str, int]:
        """Return what everyone owns who owns anything."""
        return {who: amount for who, amount in self.state.balances.items() if amount}

    def entries(self, start: int = 0, count: int | None = None) -> list[SignedEntry]:
        """Return entries in order, by default all."""
        self._refresh()
        rows = self._store.data(start, -1 if count is None else count)
        return [SignedEntry.decode(data) for data in rows]

    def entry(self, index: int) -> SignedEntry:
        """Return one entry."""
        self._require_index(index)
        return self.entries(index, 1)[0]

    def refusals(self, count: int | None = None) -> list[Refusal]:
        """Return what was not taken, oldest first; kept outside the log, and proven by nothing.

        Parameters
        ----------
        count : int, optional
            Only so many, the newest.
        """
        return self._store.refusals(-1 if count is None else count)

    def blob(self, digest: str) -> bytes:
        """Return a blob that an entry names, having checked its digest."""
        return self._store.blobs.get(digest)

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint."""
        self._refresh()
        return self._store.checkpoint_of(self._replica.tree.size - 1)[1]

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of an entry; the same one, byte for byte, whenever it is asked."""
        self._require_index(index)
        size, checkpoint = self._store.checkpoint_of(index)
        proof = self._replica.tree.inclusion(index, size)
        return Receipt(index, self._store.data(index, 1)[0], tuple(proof), checkpoint)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that entry `index` is among the first `size` entries."""
        self._refresh()
        with _named():
            return self._replica.tree.inclusion(index, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the log of `new` entries begins with that of `old`."""
        self._refresh()
        with _named():
            return self._replica.tree.consistency(old, new)

    def credited(self, receipt: Receipt) -> int:
        """Return what the proof of a receipt has earned."""
        return self.state.credits.get(receipt.index, 0)

    def submission(self, body: ProofSubmit, signer: str) -> SignedEntry | None:
        """Return the entry by which an identity submitted exactly this proof, or None."""
        self._refresh()
        for index in self._replica.submissions(body.bundle):
            entry = self.entries(index, 1)[0]
            if entry.signer == signer and entry.body == body:
                return entry
        return None

    def backup(self, to: Path) -> None:
        """Make a copy in another folder, whoever writes meanwhile; it opens to be read only.

        See `ledger.embedded.backup.restore` for the way back.

        Raises
        ------
        LedgerExists
            If there is a ledger in that folder.
        """
        self._refresh()
        self._store.copy_to(to)

    def export(self, to: Path) -> None:
        """Write everything as files that anyone can check; see `ledger.embedded.transfer`.

        Parameters
        ----------
        to : pathlib.Path
            Folder; or a tar file, if it is called so.
        """
        self._refresh()
        export(self._store, self._replica, to)

    def audit(
        self, verify: Verify | None = None, log: VerifierKey | None = None, **options: Any
    ) -> AuditReport:
        """Check everything from the first entry on; see `ledger.audit.audit`."""
        return audit(self._store, verify, log, mark=self._mark, **options)

    def _require_index(self, index: int) -> None:
        self._refresh()
        if not 0 <= index < self._replica.tree.size:
            raise LedgerError(f"the ledger has no entry {index}")


@contextlib.contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise LedgerError(f"the ledger cannot prove this: {error}") from None
