"""The embedded engine: one SQLite file for the log, beside the folder of its blobs.

It keeps bytes and knows no rules. What it promises: a commit is there whole or not at all and,
once acknowledged, survives a power cut; nothing written is changed; of two writers that extend
the same log, one wins and the other is told.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from circuits.encoding import sync_folder
from circuits.merkle import leaf_hash
from ledger.blobs import Blobs
from ledger.errors import (
    LedgerBusy,
    LedgerCorrupt,
    LedgerExists,
    LedgerMissing,
    StorageFailed,
)

_DATABASE = "ledger.sqlite"
_APPLICATION_ID = 0x7A6B706F  # "zkpo"
_SCHEMA_VERSION = 1
_BUSY_SECONDS = 30.0


class Conflict(Exception):
    """Somebody else appended since the size was read; handled by `Ledger`, no user sees it."""


@dataclass(frozen=True)
class Batch:
    """What one transaction adds.

    Attributes
    ----------
    entries : sequence of bytes
        Encoded entries, in order.
    checkpoint : str
        Signed checkpoint of the log with them.
    nullifiers : mapping of str to int
        Newly spent ones.
    balances : mapping of str to int
        New amounts, of those that changed.
    """

    entries: Sequence[bytes]
    checkpoint: str
    nullifiers: Mapping[str, int] = field(default_factory=dict)
    balances: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Something that was not taken into the log.

    Attributes
    ----------
    entry : str
        Digest of the entry.
    code : str
        Code of the error.
    signer : str
        Public key of its author.
    type : str
        Entry type.
    message : str
        The reason, for people.
    """

    entry: str
    code: str
    signer: str
    type: str
    message: str


class Store:
    """A log on disk. Not for use by several threads at once; several processes may.

    Attributes
    ----------
    blobs : Blobs
        The bytes that its entries name by digest.
    """

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self.blobs = Blobs(folder)
        self._db = database

    @classmethod
    def create(cls, folder: Path, batch: Batch) -> None:
        """Make a new log with its first entries; there is none, or the whole one.

        Raises
        ------
        LedgerExists
            If there is one at that place.
        """
        with _translated():
            Blobs.create(folder)
            handle, name = tempfile.mkstemp(prefix=f".{_DATABASE}.", dir=folder)
            os.close(handle)
        temporary = Path(name)
        try:
            with _translated(), contextlib.closing(_connect(temporary)) as database:
                database.executescript(files("ledger").joinpath("schema.sql").read_text())
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
                cls(folder, database).commit(0, batch)
                database.execute("PRAGMA journal_mode = WAL")
            with _translated():
                temporary.chmod(0o644)
                with temporary.open("rb") as stream:
                    os.fsync(stream.fileno())
                # A link, unlike a rename, cannot replace a ledger that is there already.
                (folder / _DATABASE).hardlink_to(temporary)
        finally:
            temporary.unlink()
            sync_folder(folder)

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open an existing log.

        Raises
        ------
        LedgerMissing
            If there is none. It is never created: a ledger whose file is lost would silently
            become an empty one on which everything can be spent again.
        LedgerCorrupt
            If the file is something else.
        """
        path = folder / _DATABASE
        if not path.is_file():
            raise LedgerMissing(f"there is no ledger in {folder}", path=str(folder))
        with _translated():
            database = _connect(path)
            found = tuple(
                database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            )
        if found != (_APPLICATION_ID, _SCHEMA_VERSION):
            database.close()
            raise LedgerCorrupt(f"{path} is no ledger of version {_SCHEMA_VERSION}")
        return cls(folder, database)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @property
    def size(self) -> int:
        """Number of entries."""
        with _translated():
            row = self._db.execute("SELECT coalesce(max(idx) + 1, 0) FROM entries").fetchone()
        return int(row[0])

    def entries(self, start: int = 0, count: int = -1) -> list[tuple[int, bytes, bytes]]:
        """Return index, data and leaf hash of entries from `start` on, all by default."""
        with _translated():
            return self._db.execute(
                "SELECT idx, data, leaf FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?",
                (start, count),
            ).fetchall()

    def checkpoints(self, start: int = 0) -> list[tuple[int, str]]:
        """Return size and signed note of the checkpoints of at least `start` entries."""
        with _translated():
            rows = self._db.execute(
                "SELECT size, note FROM checkpoints WHERE size >= ? ORDER BY size", (start,)
            ).fetchall()
        return [(size, note.decode(errors="replace")) for size, note in rows]

    def checkpoint_of(self, index: int) -> tuple[int, str]:
        """Return the first checkpoint that covers entry `index`, always the same one.

        Raises
        ------
        LedgerCorrupt
            If none does.
        """
        with _translated():
            row = self._db.execute(
                "SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT 1", (index,)
            ).fetchone()
        if row is None:
            raise LedgerCorrupt(f"no checkpoint covers entry {index}")
        return row[0], row[1].decode(errors="replace")

    def commit(self, old_size: int, batch: Batch) -> None:
        """Append `batch` to a log of exactly `old_size` entries, durably.

        Raises
        ------
        Conflict
            If the log has another size by now; nothing was written.
        """
        with _translated(), self._transaction("IMMEDIATE"):
            if self.size != old_size:
                raise Conflict
            self._db.executemany(
                "INSERT INTO entries (idx, data, leaf) VALUES (?, ?, ?)",
                [(i, data, leaf_hash(data)) for i, data in enumerate(batch.entries, old_size)],
            )
            self._db.executemany("INSERT INTO nullifiers VALUES (?, ?)", batch.nullifiers.items())
            self._db.executemany(
                "INSERT INTO balances VALUES (?, ?) "
                "ON CONFLICT (identity) DO UPDATE SET amount = excluded.amount",
                batch.balances.items(),
            )
            self._db.execute(
                "INSERT INTO checkpoints VALUES (?, ?)",
                (old_size + len(batch.entries), batch.checkpoint.encode()),
            )

    def cached(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the stored nullifiers and balances."""
        with _translated():
            return (
                dict(self._db.execute("SELECT nullifier, idx FROM nullifiers").fetchall()),
                dict(self._db.execute("SELECT identity, amount FROM balances").fetchall()),
            )

    def record(self, refusal: Refusal) -> None:
        """Keep a refusal; the same one again changes nothing."""
        with _translated(), self._transaction("IMMEDIATE"):
            self._db.execute(
                "INSERT OR IGNORE INTO refusals (entry, code, signer, type, message) "
                "VALUES (?, ?, ?, ?, ?)",
                (refusal.entry, refusal.code, refusal.signer, refusal.type, refusal.message),
            )

    def refusals(self) -> list[Refusal]:
        """Return what was refused, oldest first."""
        with _translated():
            rows = self._db.execute(
                "SELECT entry, code, signer, type, message FROM refusals ORDER BY rowid"
            ).fetchall()
        return [Refusal(*row) for row in rows]

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read one and the same state of the log throughout, whatever others append."""
        with _translated(), self._transaction("DEFERRED"):
            yield

    def damage(self) -> str | None:
        """Return SQLite's own first complaint about the file, or None."""
        with _translated():
            found = str(self._db.execute("PRAGMA integrity_check(1)").fetchone()[0])
        return None if found == "ok" else found

    @contextlib.contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        self._db.execute(f"BEGIN {kind}")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            # Also where COMMIT itself failed, on a full disk say.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing database file with every pragma that is per connection."""
    database = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
    )
    try:
        # FULL: in WAL mode anything less acknowledges a commit that a power cut can undo.
        # Recursive triggers: else INSERT OR REPLACE deletes past the delete triggers.
        for pragma in ("synchronous = FULL", "recursive_triggers = ON", "trusted_schema = OFF"):
            database.execute(f"PRAGMA {pragma}")
    except BaseException:
        database.close()
        raise
    return database


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Give the errors of the disk and of SQLite the names users know."""
    try:
        yield
    except FileExistsError as error:
        raise LedgerExists(f"there is a ledger already: {error}") from None
    except OSError as error:
        raise StorageFailed(f"the ledger cannot be written: {error}") from error
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise LedgerBusy(f"another writer holds the ledger: {error}") from error
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CONSTRAINT")):
            raise LedgerCorrupt(f"the ledger's database is damaged: {error}") from error
        raise StorageFailed(f"the ledger's database failed: {error}") from error
