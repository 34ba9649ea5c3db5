"""The high-water mark: the newest checkpoint that a key has signed, kept beside the key.

A database can be restored from a backup, or copied and opened twice; on its own it cannot know.
Going on from an older copy would sign a second history of the same sizes, which is equivocation,
and what others hold receipts for would be gone. So the mark is kept with the key and not with
the database. The order of a commit is

    lock the mark -> compare it -> COMMIT -> write the mark -> publish, acknowledge -> unlock

Nothing leaves before the mark says so. Of two databases that one key signs for, the one that is
slower finds a mark that it has not reached, or not by the same entries, and stops there.

The mark itself is a file; whoever restores an old one together with the old database, from an
image of the whole disk say, has undone it. Against that stand witnesses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from circuits.encoding import canonical_json, parse_canonical, write_atomic
from circuits.errors import ZkpotError
from ledger.errors import LedgerBusy, LedgerRolledBack, NoMark, StorageFailed
from ledger.tlog.note import Checkpoint, VerifierKey

LOG_KEY = "log.key"
"""Name of the log's key, if it is kept in the ledger's own folder."""

_VERSION = 1
_BUSY_SECONDS = 30.0
_POLL_SECONDS = 0.005


class Mark:
    """The mark of a key, for all logs that it signs for.

    Parameters
    ----------
    path : pathlib.Path
        Its file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(
            path.with_name(path.name + ".lock"), timeout=_BUSY_SECONDS, poll_interval=_POLL_SECONDS
        )
        self._held: tuple[bytes, dict[str, str]] | None = None
        self._opened: dict[tuple[str, VerifierKey], Checkpoint] = {}

    @classmethod
    def of(cls, folder: Path, path: Path | None) -> Mark:
        """Return the mark in a file, or by default that of the key in a ledger's own folder."""
        return cls.beside(folder / LOG_KEY) if path is None else cls(path)

    @classmethod
    def beside(cls, key: Path) -> Mark:
        """Return the mark of the key in a file."""
        return cls(key.with_name(key.name + ".mark"))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everyone else who signs with this key waiting.

        Raises
        ------
        LedgerBusy
            If somebody else keeps it for too long.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise LedgerBusy("another process is signing with the log's key") from None
        except OSError as error:
            raise StorageFailed(f"the mark cannot be locked: {error}") from error
        try:
            yield
        finally:
            self._lock.release()

    def read(self, log: VerifierKey) -> Checkpoint | None:
        """Return the newest checkpoint that was signed for a log; None if there is none.

        Raises
        ------
        NoMark
            If the file is damaged.
        """
        note = self._notes().get(log.name)
        if note is None:
            return None
        # The signature of one and the same note is not verified again with every commit.
        checkpoint = self._opened.get((note, log))
        if checkpoint is None:
            try:
                checkpoint = Checkpoint.open(note, log)
            except ZkpotError as error:
                raise NoMark(f"{self.path} is damaged: {error.message}") from None
            self._opened = {(note, log): checkpoint}
        return checkpoint

    def require(self, log: VerifierKey) -> Checkpoint:
        """Return the newest checkpoint that was signed for a log.

        Raises
        ------
        NoMark
            If there is none: it is not known what else the key has signed.
        """
        found = self.read(log)
        if found is None:
            raise NoMark(
                f"{self.path} does not say what was signed for {log.name}; restore the ledger "
                "with its newest checkpoint that is known elsewhere",
                path=str(self.path),
            )
        return found

    def write(self, log: VerifierKey, note: str) -> None:
        """Raise the mark of a log, durably; only while it is locked.

        Raises
        ------
        LedgerRolledBack
            If the mark is higher already, or at another tree of that size.
        StorageFailed
            If it cannot be written.
        """
        new, old = Checkpoint.open(note, log), self.read(log)
        if old is not None and (new.size < old.size or (new.size == old.size and new != old)):
            raise LedgerRolledBack(
                f"{self.path}: {old.size} entries were signed for, not to be followed by "
                f"{new.size}",
                signed=old.size,
            )
        notes = self._notes()
        if notes.get(log.name) == note:
            return
        notes = {**notes, log.name: note}
        try:
            write_atomic(self.path, canonical_json({"version": _VERSION, "logs": notes}))
        except OSError as error:
            raise StorageFailed(f"the mark cannot be written: {error}") from error

    def _notes(self) -> dict[str, str]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise NoMark(f"{self.path} cannot be read: {error}") from None
        if self._held is None or self._held[0] != data:
            try:
                value = parse_canonical(data, "mark")
                good = value["version"] == _VERSION and all(
                    isinstance(note, str) for note in value["logs"].values()
                )
            except (ZkpotError, TypeError, KeyError, AttributeError):
                good = False
            if not good:
                raise NoMark(f"{self.path} is damaged", path=str(self.path))
            self._held = (data, value["logs"])
        return self._held[1]
