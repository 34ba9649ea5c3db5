"""SQLite as this ledger uses it: durable, strict, and with errors that have names."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from ledger.errors import LedgerBusy, LedgerCorrupt, LedgerExists, StorageFailed

APPLICATION_ID = 0x7A6B706F  # "zkpo"
SCHEMA_VERSION = 2
_BUSY_SECONDS = 30.0


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing database file with every pragma that is per connection.

    Without the flag to create it: a ledger whose file is lost would silently become an empty one
    on which everything can be spent again.
    """
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


def prepare(database: sqlite3.Connection) -> None:
    """Make the tables of a new ledger."""
    database.executescript(_schema())
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def damage(database: sqlite3.Connection) -> str | None:
    """Return the first complaint about the file as such, or None."""
    found = str(database.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if found != "ok":
        return found
    with contextlib.closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(_schema())
        if _definitions(fresh) != _definitions(database):
            return "its tables and triggers are not those of a ledger"
    return None


def _schema() -> str:
    return files("ledger.embedded").joinpath("schema.sql").read_text()


def _definitions(database: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    return database.execute(
        "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name"
    ).fetchall()


@contextlib.contextmanager
def transaction(database: sqlite3.Connection, kind: str) -> Iterator[None]:
    """Commit what the block does, or undo it."""
    try:
        database.execute(f"BEGIN {kind}")
        yield
        database.execute("COMMIT")
    finally:
        # Also where BEGIN or COMMIT itself failed, on a full disk say.
        if database.in_transaction:
            database.execute("ROLLBACK")


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Give the errors of the disk and of SQLite the names users know."""
    try:
        yield
    except FileExistsError as error:
        raise LedgerExists(f"there is a ledger already: {error}") from None
    except OSError as error:
        raise StorageFailed(f"the ledger cannot be written: {error}") from error
    except UnicodeDecodeError as error:
        raise LedgerCorrupt(f"the ledger's database is damaged: {error}") from None
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise LedgerBusy(f"another writer holds the ledger: {error}") from error
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CONSTRAINT")):
            raise LedgerCorrupt(f"the ledger's database is damaged: {error}") from error
        raise StorageFailed(f"the ledger's database failed: {error}") from error
