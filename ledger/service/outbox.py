"""What a client has sent in its user's name, until it is known what became of it.

A server can keep an entry, say that it was refused, and log it later. So an entry that was sent
is not made again with another number, which would make two of it; and where it is not known what
became of it, its number is not given to another entry.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from circuits.encoding import canonical_json, parse_canonical, write_atomic
from circuits.errors import ZkpotError
from ledger.entries import Entry
from ledger.envelope import SignedEntry
from ledger.errors import LedgerBusy, LedgerCorrupt
from ledger.service.errors import Unsettled

_VERSION = 1
_BUSY_SECONDS = 30.0


class Outbox:
    """Entries that were sent, and of which the log has shown no receipt.

    Parameters
    ----------
    path : Path or None
        File to remember them in; None to forget them in the end.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        # Whether the server said that it refused it.
        self._sent: dict[SignedEntry, bool] = {}

    def find(self, who: str, body: Entry, key: str) -> SignedEntry | None:
        """Return what was sent that says the same, in the same name, with the same key."""
        self._load()
        for entry in self._sent:
            if (entry.signer, entry.body, entry.key) == (who, body, key):
                return entry
        return None

    def add(self, entry: SignedEntry) -> None:
        """Remember an entry, durably; it is sent after that.

        Raises
        ------
        Unsettled
            If another one with the same number may yet be logged.
        LedgerCorrupt
            If the file is damaged.
        """
        with self._changing() as sent:
            for other, refused in sent.items():
                same = (other.signer, other.nonce) == (entry.signer, entry.nonce)
                if same and other != entry and not refused:
                    raise Unsettled(
                        f"what became of entry {other.digest} ({other.body.type}), number "
                        f"{other.nonce} of {other.signer}, is not known: send it again first",
                        entry=other.digest,
                    )
            sent[entry] = False

    def refuse(self, entry: SignedEntry) -> None:
        """Remember that the server says it refused an entry; another may have its number."""
        with self._changing() as sent:
            sent[entry] = True

    def settle(self, entry: SignedEntry) -> None:
        """Forget an entry, whose receipt is verified, and those that can have its place no more."""
        with self._changing() as sent:
            for other in [o for o in sent if (o.signer, o.nonce) == (entry.signer, entry.nonce)]:
                del sent[other]

    def drop(self, entry: SignedEntry) -> None:
        """Forget an entry whose place on the log is proven to be another's."""
        with self._changing() as sent:
            sent.pop(entry, None)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[SignedEntry, bool]]:
        if self._path is None:
            yield self._sent
            return
        try:
            with FileLock(self._path.with_name(self._path.name + ".lock"), timeout=_BUSY_SECONDS):
                self._load()
                before = dict(self._sent)
                yield self._sent
                if self._sent != before:
                    self._save(self._path)
        except Timeout:
            raise LedgerBusy(f"another process is writing {self._path}") from None

    def _save(self, path: Path) -> None:
        sent = [{"entry": e.encode().decode(), "refused": r} for e, r in self._sent.items()]
        write_atomic(path, canonical_json({"version": _VERSION, "sent": sent}))

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            value = parse_canonical(self._path.read_bytes(), "outbox")
            if value["version"] != _VERSION:
                raise LedgerCorrupt(f"{self._path} is of another version")
            self._sent = {
                SignedEntry.decode(item["entry"].encode()): item["refused"] is True
                for item in value["sent"]
            }
        except (ZkpotError, KeyError, TypeError, AttributeError) as error:
            raise LedgerCorrupt(
                f"{self._path}, which remembers what was sent, is damaged: {error}",
                path=str(self._path),
            ) from None
