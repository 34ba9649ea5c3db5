"""The embedded engine's database: one SQLite file for the log, beside the folder of its blobs.

It keeps bytes and knows no rules. What it promises: a commit is there whole or not at all and,
once acknowledged, survives a power cut; nothing written is changed; of two writers that extend
the same log, one wins and the other is told.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from circuits.encoding import json_digest, sync_folder
from circuits.merkle import leaf_hash
from ledger.embedded.blobs import Blobs
from ledger.embedded.database import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    connect,
    damage,
    prepare,
    transaction,
    translated,
)
from ledger.errors import LedgerCorrupt, LedgerExists, LedgerMissing

DATABASE = "ledger.sqlite"
REFUSALS = 5000
"""Refusals that are kept."""
REFUSALS_OF_ONE = 200
"""Refusals of one signer that are kept: nobody can push out those of all others alone."""

Standing = Literal["live", "copy", "moved"]
"""Whether a database is the ledger itself, a backup or mirror of it, or what it was moved from."""


class Conflict(Exception):
    """Somebody else appended since the size was read; handled by the writer, no user sees it."""


@dataclass(frozen=True)
class Batch:
    """What one transaction adds.

    Attributes
    ----------
    entries : sequence of bytes
        Encoded entries, in order.
    checkpoints : mapping of int to str
        Signed checkpoints by size; the largest is of the log with these entries.
    nullifiers : mapping of str to int
        Newly spent ones.
    balances : mapping of str to int
        New amounts, of those that changed.
    states : mapping of int to str
        Digests of the state after some sizes.
    standing : {"live", "copy"} or None
        What the database is from now on, where that changes.
    """

    entries: Sequence[bytes]
    checkpoints: Mapping[int, str]
    nullifiers: Mapping[str, int] = field(default_factory=dict)
    balances: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[int, str] = field(default_factory=dict)
    standing: Standing | None = None


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
        Identity of its author.
    type : str
        Entry type.
    message : str
        The reason, for people.
    at : str
        When, in UTC; set when it is recorded.
    """

    entry: str
    code: str
    signer: str
    type: str
    message: str
    at: str = ""


class Store:
    """A log on disk. Not for use by several threads at once; several processes may.

    Attributes
    ----------
    folder : pathlib.Path
        Where everything is.
    blobs : Blobs
        The bytes that its entries name by digest.
    """

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self.folder = folder
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
        with _placing(folder) as database:
            prepare(database)
            cls(folder, database).commit(0, batch)

    def copy_to(self, folder: Path) -> None:
        """Make a copy that does not go on, of one moment, whoever writes meanwhile.

        Raises
        ------
        LedgerExists
            If there is a ledger at that place.
        MissingBlob, LedgerCorrupt
            If a blob is missing or damaged.
        """
        with _placing(folder) as database:
            self._db.backup(database)
            copy = Store(folder, database)
            if copy.standing == "live":
                copy.stand("copy")
            # After the database: every blob that an entry names was there before the entry.
            for name in self.blobs.names():
                copy.blobs.put(self.blobs.get(name))

    @classmethod
    def require_none(cls, folder: Path) -> None:
        """Raise `LedgerExists` if there is a ledger in a folder."""
        if (folder / DATABASE).exists():
            raise LedgerExists(f"there is a ledger in {folder} already", path=str(folder))

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open an existing log.

        Raises
        ------
        LedgerMissing
            If there is none; it is never created.
        LedgerCorrupt
            If the file is something else.
        """
        path = folder / DATABASE
        if not path.is_file():
            raise LedgerMissing(f"there is no ledger in {folder}", path=str(folder))
        with contextlib.ExitStack() as stack, translated():
            database = stack.enter_context(contextlib.closing(connect(path)))
            found = tuple(
                database.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("application_id", "user_version")
            )
            if found != (APPLICATION_ID, SCHEMA_VERSION):
                raise LedgerCorrupt(f"{path} is no ledger of version {SCHEMA_VERSION}")
            stack.pop_all()
        return cls(folder, database)

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @property
    def size(self) -> int:
        """Number of entries."""
        with translated():
            row = self._db.execute("SELECT coalesce(max(idx) + 1, 0) FROM entries").fetchone()
        return int(row[0])

    @property
    def standing(self) -> Standing:
        """Whether this is the ledger, or a copy of it that does not go on."""
        return self._last_standing()[0]

    @property
    def moved_note(self) -> str:
        """By which the log's key said that it moved; empty if it has not."""
        return self._last_standing()[1]

    def _last_standing(self) -> tuple[Standing, str]:
        with translated():
            rows = self._db.execute(
                "SELECT standing, note FROM standings ORDER BY number DESC LIMIT 1"
            ).fetchall()
        return rows[0] if rows else ("live", "")

    def entries(self, start: int = 0, count: int = -1) -> list[tuple[int, bytes, bytes]]:
        """Return index, data and leaf hash of entries from `start` on, all by default."""
        with translated():
            return self._db.execute(
                "SELECT idx, data, leaf FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?",
                (start, count),
            ).fetchall()

    def data(self, start: int, count: int) -> list[bytes]:
        """Return the data alone."""
        return [data for _, data, _ in self.entries(start, count)]

    def checkpoints(self, start: int = 0) -> dict[int, str]:
        """Return the signed checkpoints of at least `start` entries by size, in order."""
        with translated():
            rows = self._db.execute(
                "SELECT size, note FROM checkpoints WHERE size >= ? ORDER BY size", (start,)
            ).fetchall()
        return {size: note.decode(errors="replace") for size, note in rows}

    def checkpoint_of(self, index: int) -> tuple[int, str]:
        """Return the first checkpoint that covers entry `index`, always the same one.

        Raises
        ------
        LedgerCorrupt
            If none does.
        """
        with translated():
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
        with translated(), transaction(self._db, "IMMEDIATE"):
            if self.size != old_size:
                raise Conflict
            # Entries are only taken by what is live, and a copy is made of them all at once.
            if batch.standing == "live":
                self._stand("live", "")
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
            self._db.executemany(
                "INSERT INTO checkpoints VALUES (?, ?)",
                [(size, note.encode()) for size, note in sorted(batch.checkpoints.items())],
            )
            self._db.executemany("INSERT INTO states VALUES (?, ?)", sorted(batch.states.items()))
            if batch.standing == "copy":
                self._stand("copy", "")

    def stand(self, standing: Standing, note: str = "") -> None:
        """Say durably what this database is from now on."""
        with translated(), transaction(self._db, "IMMEDIATE"):
            self._stand(standing, note)

    def _stand(self, standing: Standing, note: str) -> None:
        if standing != self.standing:
            self._db.execute(
                "INSERT INTO standings VALUES ((SELECT count(*) FROM standings), ?, ?)",
                (standing, note),
            )

    def states(self) -> dict[int, str]:
        """Return the digests of states that were stored, by size."""
        with translated():
            return dict(self._db.execute("SELECT size, digest FROM states").fetchall())

    def cached(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the stored nullifiers and balances."""
        with translated():
            return (
                dict(self._db.execute("SELECT nullifier, idx FROM nullifiers").fetchall()),
                dict(self._db.execute("SELECT identity, amount FROM balances").fetchall()),
            )

    def record(self, refusals: Iterable[Refusal]) -> None:
        """Keep refusals; the same one again changes nothing.

        Of each signer, and of all of them together, only the newest are kept.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [[*astuple(refusal)[:-1], at] for refusal in refusals]
        with translated(), transaction(self._db, "IMMEDIATE"):
            self._db.executemany(
                "INSERT OR IGNORE INTO refusals VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*row, json_digest("refusal", row)) for row in rows],
            )
            for signer in {signer for _, _, signer, *_ in rows}:
                self._db.execute(
                    "DELETE FROM refusals WHERE signer = ?1 AND rowid <= (SELECT rowid "
                    "FROM refusals WHERE signer = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2)",
                    (signer, REFUSALS_OF_ONE),
                )
            self._db.execute(
                "DELETE FROM refusals WHERE rowid <= "
                "(SELECT rowid FROM refusals ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
                (REFUSALS,),
            )

    def refusals(self, count: int = -1) -> list[Refusal]:
        """Return the newest refusals, by default all that are kept, oldest first."""
        with translated():
            rows = self._db.execute(
                "SELECT * FROM refusals ORDER BY rowid DESC LIMIT ?", (count,)
            ).fetchall()
        return [Refusal(*row[:-1]) for row in reversed(rows)]

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read one and the same state of the log throughout, whatever others append."""
        with translated(), transaction(self._db, "DEFERRED"):
            yield

    def damage(self) -> str | None:
        """Return the first complaint about the database that needs no replay, or None."""
        with translated():
            found = damage(self._db)
            numbers = self._db.execute("SELECT number FROM standings ORDER BY number").fetchall()
            refusals = self._db.execute("SELECT * FROM refusals").fetchall()
        if found is None and numbers != [(i,) for i in range(len(numbers))]:
            return "the record of what this copy is has gaps"
        if any(json_digest("refusal", row[:-1]) != row[-1] for row in refusals):
            return "a refusal was changed"
        return found


@contextlib.contextmanager
def _placing(folder: Path) -> Iterator[sqlite3.Connection]:
    """Give an empty database, which becomes the ledger of a folder once it is finished."""
    with translated():
        Blobs.create(folder)
        handle, name = tempfile.mkstemp(prefix=f".{DATABASE}.", dir=folder)
        os.close(handle)
    temporary = Path(name)
    try:
        with translated():
            with contextlib.closing(connect(temporary)) as database:
                # It is nothing until it is finished, and then made durable as a whole.
                database.execute("PRAGMA synchronous = OFF")
                yield database
                database.execute("PRAGMA journal_mode = WAL")
            temporary.chmod(0o644)
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            # A link, unlike a rename, cannot replace a ledger that is there already.
            (folder / DATABASE).hardlink_to(temporary)
    finally:
        with translated():
            temporary.unlink()
            sync_folder(folder)
