"""A ledger that is served elsewhere, to be used like one in a folder.

What the server says is checked where that decides anything: checkpoints must be signed by the
log and go on from what was seen before, receipts must verify, entries must hash to a checkpoint,
blobs to their names. What is only shown, such as the number of a next entry, is its word.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from circuits.bundle import MAX_BYTES as BUNDLE_BYTES
from circuits.encoding import is_hex
from circuits.errors import MissingArtefact, ProofRejected
from circuits.merkle import leaf_hash, verify_inclusion
from ledger.audit import Verify
from ledger.embedded.replica import believed
from ledger.embedded.store import Refusal
from ledger.embedded.tiles import TileReader
from ledger.embedded.tree import Tree
from ledger.entries import Entry, ProofSubmit, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import BadNote, LedgerCorrupt, MalformedEntry, MissingBlob
from ledger.records import Task
from ledger.rules import apply
from ledger.service.errors import Busy, QueueFull, Unreachable
from ledger.service.remote import SMALL, Author, Remote, error_of
from ledger.service.watch import Watch
from ledger.signatures import Signs
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.quorum import Quorum
from ledger.tlog.receipt import Receipt

_BLOB_BYTES = BUNDLE_BYTES
_ENTRY_TYPE = "application/json"
_BLOB_TYPE = "application/octet-stream"
_FIRST_POLL = 0.1
_LONGEST_POLL = 5.0
_PAGE = 1000


class LedgerClient:
    """A ledger behind a URL.

    Parameters
    ----------
    url : str
        Where it is served.
    vkey : str or VerifierKey, optional
        The log's key, from elsewhere than the server. Without it the key that `state_file`
        remembers is asked for, and on the first visit the server is taken at its word.
    quorum : Quorum, optional
        Validators that must have cosigned whatever is relied on.
    state_file : Path, optional
        Remembers the newest checkpoint, so that a log that goes back on it is found out.
    timeout : float
        Seconds to wait for the server to say something.
    patience : float
        Seconds for which a request is tried again.

    Raises
    ------
    BadKey
        If `state_file` remembers another key.
    LedgerCorrupt
        If `state_file` is damaged.
    """

    def __init__(
        self,
        url: str,
        vkey: str | VerifierKey | None = None,
        *,
        quorum: Quorum | None = None,
        state_file: Path | None = None,
        timeout: float = 30.0,
        patience: float = 60.0,
    ) -> None:
        self._remote = Remote(url, timeout=timeout, patience=patience)
        self._quorum = quorum
        self._watch = Watch(state_file)
        self._key = VerifierKey.parse(vkey) if isinstance(vkey, str) else vkey
        if self._key is not None:
            self._watch.pin(self._key)
        self._entries: list[SignedEntry] = []
        self._tree, self._state = Tree(), State()

    def close(self) -> None:
        """Close the connections."""
        self._remote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # What the log has signed.

    @property
    def key(self) -> VerifierKey:
        """The log's key: as it was given, else as remembered, else as the server says."""
        if self._key is None:
            self._key = self._watch.key or VerifierKey.parse(str(self.info()["vkey"]))
        return self._key

    @property
    def origin(self) -> str:
        """Name of the ledger."""
        return self.key.name

    def info(self) -> dict[str, Any]:
        """Return what the server says of itself, and what it takes."""
        return self._remote.get_json("/v1/info")

    def checkpoint(self) -> str:
        """Return the newest checkpoint, cosigned by the quorum if one was asked for.

        Raises
        ------
        BadNote
            If the log did not sign it.
        NoQuorum, NotCosigned
            If too few validators cosigned it.
        LedgerRolledBack, LogForked
            If it does not go on from what was seen; see the file of evidence.
        """
        wanted = self._cosignatures
        target = f"/v1/checkpoint?cosignatures={wanted}" if wanted else "/checkpoint"
        note = _text(self._remote.get(target))
        self._observe(note)
        return note

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of an entry, verified.

        Raises
        ------
        MissingArtefact
            If there is no such entry.
        BadNote, NoQuorum, LogForked
            As `checkpoint`.
        """
        wanted = self._cosignatures
        query = f"?cosignatures={wanted}" if wanted else ""
        text = _text(self._remote.get(f"/v1/entries/{index}/receipt{query}"))
        receipt = Receipt.parse(text)
        receipt.verify(self.key)
        if receipt.index != index:
            raise BadNote(f"the receipt is of entry {receipt.index}, not {index}")
        self._observe(receipt.checkpoint)
        return receipt

    @property
    def _cosignatures(self) -> int:
        return 0 if self._quorum is None else self._quorum.threshold

    def _observe(self, note: str) -> None:
        """Check a checkpoint against what was seen before, on whichever side of it."""
        checkpoint, seen = Checkpoint.open(note, self.key), self._watch.seen
        if self._quorum is not None:
            self._quorum.require(note)
        if checkpoint.size < seen.size:
            # An older one is no news, but it must be part of the same history.
            proof = self._consistency(checkpoint.size, seen.size)
            try:
                verify_older(checkpoint, seen, proof)
            except ProofRejected:
                newest = _text(self._remote.get("/checkpoint"))
                self._watch.advance(newest, self.key, self._consistency, self._fetch)
                raise
        else:
            self._watch.advance(note, self.key, self._consistency, self._fetch)

    def _consistency(self, old: int, new: int) -> list[bytes]:
        found = self._remote.get_json(f"/v1/proof/consistency?old={old}&new={new}")
        return _hashes(found)

    def _fetch(self, path: str) -> bytes:
        return self._remote.get(f"/{path}", 32 << 20)
