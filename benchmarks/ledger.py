"""The ledger suite: what a log that anyone can check costs, against a table that nobody can.

The alternative is what somebody who trusts the server would do: the same entries as rows of one
SQLite table, with the balances in another, just as durable. It has no signatures that are
checked, no proofs, and no history that its owner could not rewrite.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ledger import Ledger, Receipt, Signer, entries
from ledger.envelope import SignedEntry

ENTRIES: Final = 10_000
BATCH: Final = 128
"""Entries in a commit: as many as a service makes one of, when they come faster than it writes."""
_SINGLE: Final = 300
_PEOPLE: Final = 100
_RECEIPTS: Final = 1_000
_ORIGIN: Final = "ledger.example/bench"


@dataclass(frozen=True)
class Rates:
    """Entries a second, each durable before the next is begun.

    `batched` is with `BATCH` entries in a commit, `single` with one.
    """

    batched: float
    single: float


class _Clock:
    seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.seconds = time.monotonic() - begin


def run_suite(folder: Path, count: int = ENTRIES) -> dict[str, Any]:
    """Measure a ledger of `count` entries, and the alternative, one after the other.

    Signing is the authors' work, and not measured. Everything is in this one process.
    """
    log, people = Signer.generate(), [Signer.generate() for _ in range(_PEOPLE)]
    singles = min(_SINGLE, count // 20)
    place, clock = folder / "ledger", _Clock()
    grants = {who.public: count for who in people}
    with Ledger.init(place, _ORIGIN, log, allow_insecure_srs=False, grants=grants) as book:
        names = [entries.IdentityRegister(f"person {i}") for i in range(_PEOPLE)]
        _append(book, [book.sign(name, who) for name, who in zip(names, people, strict=True)])
        payments = _payments(people, count - book.state.size)
        ours = _rates(payments, singles, lambda batch: _append(book, batch))
        with clock.running():
            receipts = [book.receipt(i) for i in range(0, count, max(1, count // _RECEIPTS))]
        receipt = clock.seconds / len(receipts)
        with clock.running():
            for found in receipts:
                found.verify(book.key)
        verify = clock.seconds / len(receipts)
    with clock.running(), Ledger.open(place, log):
        pass
    opening = clock.seconds
    with Ledger.open(place) as book, clock.running():
        report = book.audit(log=book.key)
        report.require()
    with closing(_Plain(folder / "plain.sqlite")) as alternative:
        plain = _rates(payments, singles, alternative.append)
    return {
        "entries": report.size,
        "batch": BATCH,
        "ours": asdict(ours),
        "plain": asdict(plain),
        "ratio_batched": plain.batched / ours.batched,
        "ratio_single": plain.single / ours.single,
        "receipt_ms": receipt * 1000,
        "verify_receipt_ms": verify * 1000,
        "proof_hashes": max(len(found.proof) for found in receipts),
        "open_seconds": opening,
        "audit_seconds": clock.seconds,
        "database_bytes": _size(place / "ledger.sqlite"),
        "tiles_bytes": _size(place / "tlog"),
        "plain_bytes": _size(folder / "plain.sqlite"),
    }


def _payments(people: Sequence[Signer], count: int) -> list[SignedEntry]:
    return [
        SignedEntry.sign(
            entries.Transfer(people[(i + 1) % len(people)].public, 1),
            origin=_ORIGIN,
            nonce=1 + i // len(people),
            signer=people[i % len(people)],
        )
        for i in range(count)
    ]


def _append(book: Ledger, batch: Sequence[SignedEntry]) -> None:
    for outcome in book.append_many([(entry, ()) for entry in batch]):
        if not isinstance(outcome, Receipt):
            raise outcome


def _rates(
    payments: Sequence[SignedEntry], singles: int, append: Callable[[Sequence[SignedEntry]], None]
) -> Rates:
    clock, many = _Clock(), len(payments) - singles
    with clock.running():
        for begin in range(0, many, BATCH):
            append(payments[begin : min(begin + BATCH, many)])
    batched = clock.seconds
    with clock.running():
        for entry in payments[many:]:
            append([entry])
    return Rates(many / batched, singles / clock.seconds)


class _Plain:
    """The alternative: rows in a table."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "CREATE TABLE entries (number INTEGER PRIMARY KEY, author TEXT, body TEXT) STRICT;"
            "CREATE TABLE balances (who TEXT PRIMARY KEY, amount INTEGER) STRICT, WITHOUT ROWID;"
        )

    def append(self, batch: Sequence[SignedEntry]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for entry in batch:
            body = entry.body.to_dict()
            self._db.execute(
                "INSERT INTO entries (author, body) VALUES (?, ?)", (entry.signer, json.dumps(body))
            )
            for who, amount in ((entry.signer, -body["amount"]), (body["to"], body["amount"])):
                self._db.execute(
                    "INSERT INTO balances VALUES (?, ?) ON CONFLICT (who) "
                    "DO UPDATE SET amount = amount + excluded.amount",
                    (who, amount),
                )
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def table(found: dict[str, Any]) -> str:
    """Return the figures of `run_suite` as Markdown."""
    ours, plain = found["ours"], found["plain"]
    rows = [
        ("entries a second, in commits of " + str(found["batch"]),
         f"{ours['batched']:,.0f}", f"{plain['batched']:,.0f}"),
        ("entries a second, one in a commit", f"{ours['single']:,.0f}", f"{plain['single']:,.0f}"),
        ("database", f"{found['database_bytes'] / 1e6:.1f} MB",
         f"{found['plain_bytes'] / 1e6:.1f} MB"),
        ("published tiles", f"{found['tiles_bytes'] / 1e6:.1f} MB", "-"),
        ("a receipt: made, verified",
         f"{found['receipt_ms']:.2f} ms, {found['verify_receipt_ms']:.2f} ms", "-"),
        ("opening", f"{found['open_seconds']:.1f} s", "-"),
        ("audit, proofs of accuracy not verified again", f"{found['audit_seconds']:.1f} s", "-"),
    ]  # fmt: skip
    lines = [
        f"{found['entries']:,} entries:",
        "",
        "| | zkpot ledger | plain SQLite table |",
        "|---|---|---|",
        *(f"| {name} | {left} | {right} |" for name, left, right in rows),
        "",
        f"The table is {found['ratio_batched']:.1f} times as fast in commits of {found['batch']}, "
        f"{found['ratio_single']:.1f} times with one entry in a commit.",
    ]
    return "\n".join(lines) + "\n"
