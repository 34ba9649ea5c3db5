"""The high-water mark: the newest checkpoint that a key has signed, kept beside the key.

A database can be restored from a backup, or copied and opened twice; on its own it cannot know.
Going on from an older copy would sign a second history of the same sizes, which is equivocation,
and what others hold receipts for would be gone. So the mark is kept with the key and not with
the database. The order of a commit is

    lock the mark -> compare it -> COMMIT -> write the mark -> publish, acknowledge -> unlock

Nothing leaves before the mark says so. Of two databases that one key signs for, the one that is
slower finds a mark that it has not reached, or not by the same entries, and stops there.

The mark also says that a log was moved to another host, so that no copy which stayed behind goes
on beside it. Only the import of that move, or of a later one, takes this back.

The mark itself is a file; whoever restores an old one together with the old database, from an
image of the whole disk say, has undone it. Against that stand witnesses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from circuits.encoding import canonical_json, parse_canonical, write_atomic
from circuits.errors import ZkpotError
from ledger.embedded.moved import Moved, open_moved, parse_moved
from ledger.errors import LedgerBusy, LedgerMoved, LedgerRolledBack, NoMark, StorageFailed
from ledger.tlog.note import Checkpoint, Note, VerifierKey

LOG_KEY = "log.key"
"""Name of the log's key, if it is kept in the ledger's own folder."""

_VERSION = 2
_BUSY_SECONDS = 30.0
_POLL_SECONDS = 0.005

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Content:
    """What is in the file: the newest checkpoint of each log and, if any, its newest move."""

    logs: Mapping[str, str] = field(default_factory=dict)
    moves: Mapping[str, tuple[bool, str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        moves = {
            origin: {"away": away, "note": note} for origin, (away, note) in self.moves.items()
        }
        return {"version": _VERSION, "logs": dict(self.logs), "moves": moves}

    @classmethod
    def from_dict(cls, value: Any) -> _Content:
        """Read it back; whatever is raised, it is damaged."""
        moves = {origin: (move["away"], move["note"]) for origin, move in value["moves"].items()}
        found = cls(value["logs"], moves)
        good = (
            found.to_dict() == value
            and all(isinstance(away, bool) for away, _ in moves.values())
            and moves.keys() <= found.logs.keys()
            and all(_text(note, Checkpoint.parse).origin == o for o, note in found.logs.items())
            and all(_text(n, parse_moved).checkpoint.origin == o for o, (_, n) in moves.items())
        )
        if not good:
            raise ValueError
        return found


def _text(note: str, parse: Callable[[str], _T]) -> _T:
    return parse(Note.parse(note).text)


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
        self._held: tuple[bytes, _Content] | None = None
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
        note = self.notes().get(log.name)
        if note is None:
            return None
        try:
            return self._open(note, log)
        except ZkpotError as error:
            raise NoMark(f"{self.path} is damaged: {error.message}") from None

    def _open(self, note: str, log: VerifierKey) -> Checkpoint:
        # The signature of one and the same note is not verified again with every commit.
        if (note, log) not in self._opened:
            self._opened = {(note, log): Checkpoint.open(note, log)}
        return self._opened[note, log]

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
        LedgerMoved
            If the log was moved away from here.
        StorageFailed
            If it cannot be written.
        """
        if self.away(log) is not None:
            raise LedgerMoved("this ledger was moved; it goes on somewhere else")
        self._save(log, note, None)

    def away(self, log: VerifierKey) -> str | None:
        """Return by which note a log was moved away from here; None if it may go on.

        Raises
        ------
        NoMark
            If the file is damaged.
        """
        away, note = self._content().moves.get(log.name, (False, ""))
        return note if away else None

    def moved(self, log: VerifierKey) -> Moved | None:
        """Return the newest move of a log, from here or to here; None if there was none.

        Raises
        ------
        NoMark
            If the file is damaged.
        """
        if log.name not in self._content().moves:
            return None
        try:
            return open_moved(self._content().moves[log.name][1], log)
        except ZkpotError as error:
            raise NoMark(f"{self.path} is damaged: {error.message}") from None

    def move(self, log: VerifierKey, note: str, move: str) -> None:
        """Say durably that a log goes on somewhere else; only while it is locked.

        Parameters
        ----------
        log : VerifierKey
            The log.
        note : str
            Its newest checkpoint.
        move : str
            The note by which it was moved.
        """
        self._save(log, note, (True, move))

    def take(self, log: VerifierKey, note: str, move: str) -> None:
        """Say durably that a log goes on here; only while it is locked.

        Parameters
        ----------
        log, note, move :
            As for `move`.

        Raises
        ------
        LedgerMoved
            If the log was moved once more after that.
        LedgerRolledBack, StorageFailed
            As for `write`.
        """
        known = self.moved(log)
        if known is not None and open_moved(move, log).order < known.order:
            raise LedgerMoved("this ledger was moved once more since; it goes on somewhere else")
        self._save(log, note, (False, move))

    def _save(self, log: VerifierKey, note: str, move: tuple[bool, str] | None) -> None:
        old = self.read(log)
        new = self._open(note, log)
        if old is not None and (new.size < old.size or (new.size == old.size and new != old)):
            raise LedgerRolledBack(
                f"{self.path}: {old.size} entries were signed for, not to be followed by "
                f"{new.size}",
                signed=old.size,
            )
        before = self._content()
        moves = before.moves if move is None else {**before.moves, log.name: move}
        after = _Content({**before.logs, log.name: note}, moves)
        if after == before:
            return
        try:
            write_atomic(self.path, canonical_json(after.to_dict()))
        except OSError as error:
            raise StorageFailed(f"the mark cannot be written: {error}") from error

    def notes(self) -> Mapping[str, str]:
        """Return the checkpoints by the origins of their logs; the signatures are not verified.

        Raises
        ------
        NoMark
            If the file is damaged.
        """
        return self._content().logs

    def _content(self) -> _Content:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return _Content()
        except OSError as error:
            raise NoMark(f"{self.path} cannot be read: {error}") from None
        if self._held is None or self._held[0] != data:
            try:
                content = _Content.from_dict(parse_canonical(data, "mark"))
            except (ZkpotError, TypeError, KeyError, AttributeError, ValueError):
                raise NoMark(f"{self.path} is damaged", path=str(self.path)) from None
            self._held = (data, content)
        return self._held[1]
