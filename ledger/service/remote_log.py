"""Somebody else's log, read and checked: checkpoints, receipts, entries, blobs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from circuits.bundle import MAX_BYTES as BUNDLE_BYTES
from circuits.encoding import is_hex, json_digest
from circuits.errors import MissingArtefact
from circuits.merkle import leaf_hash
from ledger.embedded.replica import believed
from ledger.embedded.tiles import TileReader
from ledger.embedded.tree import Tree
from ledger.entries import blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import BadNote, BadTrustPolicy, LedgerCorrupt, MissingBlob, NoQuorum
from ledger.rules import apply
from ledger.service.errors import Unreachable
from ledger.service.remote import Remote
from ledger.service.watch import NEWEST, Watch
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.quorum import Quorum
from ledger.tlog.receipt import Receipt

_TILE_BYTES = 32 << 20


class RemoteLog:
    """The log behind a URL.

    Nothing that the server says is believed where it can be checked: checkpoints must be signed
    by the log and go on from what was seen before, receipts must verify, entries must hash to a
    checkpoint, blobs to their names.

    Parameters
    ----------
    url : str
        Where it is served.
    vkey : str or VerifierKey, optional
        The log's key, from elsewhere than the server. Without it the one that `state_file`
        remembers is used; on the first visit the server is taken at its word.
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

    @property
    def key(self) -> VerifierKey:
        """The log's key: as it was given, else as remembered, else as the server says."""
        if self._key is None:
            self._key = self._watch.key or VerifierKey.parse(str(self.info().get("vkey")))
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
            If it does not go on from what was seen; what was signed is kept as evidence.
        """
        if self._quorum is None:
            note, track = self._text("/checkpoint"), NEWEST
        else:
            # Of the cosigned ones; the log may have an even newer one.
            note = self._cosigned("/v1/checkpoint", self._quorum, str)
            track = _name_of(self._quorum)
        self._observe(note, track)
        return note

    def signed_checkpoint(self) -> str:
        """Return what the server calls the newest checkpoint, if the log signed it.

        Neither cosignatures nor what was seen before are asked about.

        Raises
        ------
        BadNote
            If the log did not sign it.
        """
        note = self._text("/checkpoint")
        Checkpoint.open(note, self.key)
        return note

    def signed_receipt(self, index: int) -> Receipt:
        """Return what the server calls the receipt of an entry, if the log signed it.

        Raises
        ------
        BadNote
            If it is not.
        """
        receipt = Receipt.parse(self._text(f"/v1/entries/{index}/receipt"))
        receipt.verify(self.key)
        if receipt.index != index:
            raise BadNote(f"the receipt is of entry {receipt.index}, not {index}")
        return receipt

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of an entry, verified.

        Raises
        ------
        MissingArtefact
            If there is no such entry.
        BadNote, NoQuorum, NotCosigned, LogForked
            As `checkpoint`.
        """
        target = f"/v1/entries/{index}/receipt"
        if self._quorum is None:
            text = self._text(target)
        else:
            text = self._cosigned(target, self._quorum, lambda t: Receipt.parse(t).checkpoint)
        receipt = Receipt.parse(text)
        self._verify(receipt, cosigned=self._quorum is not None)
        if receipt.index != index:
            raise BadNote(f"the receipt is of entry {receipt.index}, not {index}")
        return receipt

    def _verify(self, receipt: Receipt, *, cosigned: bool = False) -> SignedEntry:
        entry = receipt.verify(self.key)
        # What the quorum's newest checkpoint is said to be must not be older than this.
        track = _name_of(self._quorum) if cosigned and self._quorum is not None else None
        self._observe(receipt.checkpoint, track, newest=False)
        return entry

    def _cosigned(self, target: str, quorum: Quorum, note_of: Callable[[str], str]) -> str:
        """Return what is at an address, under a checkpoint that the quorum cosigned.

        The server counts cosignatures; which of them count for the quorum, it does not know.
        """
        if any(key.public == self.key.public for key in quorum.keys):
            raise BadTrustPolicy(f"{self.key} is the log's own key, and no witness's")
        for wanted in range(quorum.threshold, len(quorum.keys) + 1):
            text = self._text(f"{target}?cosignatures={wanted}")
            try:
                quorum.require(note_of(text))
            except NoQuorum:
                if wanted == len(quorum.keys):
                    raise
            else:
                return text
        raise NoQuorum(f"nobody can cosign for {quorum}")

    def _observe(self, note: str, track: str | None, *, newest: bool = True) -> None:
        self._watch.observe(
            note, self.key, self.consistency, self.fetch, track=track, newest=newest
        )

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the log's proof that it only grew between two sizes; not verified."""
        found = self._remote.get_json(f"/v1/proof/consistency?old={old}&new={new}")
        try:
            return [base64.b64decode(text, validate=True) for text in found["hashes"]]
        except (KeyError, TypeError, binascii.Error):
            raise Unreachable("the server's proof cannot be read") from None

    def fetch(self, path: str) -> bytes:
        """Return a file of the published log."""
        return self._remote.get(f"/{path}", _TILE_BYTES)

    def blob(self, digest: str) -> bytes:
        """Return a blob that an entry names, having checked its digest.

        Raises
        ------
        MissingBlob
            If the server does not have it.
        LedgerCorrupt
            If it sends something else.
        """
        if not is_hex(digest, 32):
            raise MissingBlob(f"{digest!r} is not a digest")
        try:
            data = self._remote.get(f"/v1/blobs/{digest}", BUNDLE_BYTES)
        except MissingArtefact as error:
            raise MissingBlob(error.message, digest=digest) from None
        if blob_digest(data) != digest:
            raise LedgerCorrupt(f"the server's blob {digest} has digest {blob_digest(data)}")
        return data

    # All entries, replayed here.

    @property
    def state(self) -> State:
        """What all entries amount to, replayed here from what the log signed.

        Proofs are not verified again; that they were is the word of the log, and of the
        validators that cosigned.

        Raises
        ------
        LedgerCorrupt
            If the entries are not those of the checkpoint, or break the rules.
        """
        note = self.checkpoint()
        if Checkpoint.open(note, self.key).size > self._tree.size:
            self._replay(note)
        return self._state

    def entries(self, start: int = 0, count: int | None = None) -> list[SignedEntry]:
        """Return entries in order, by default all; replayed as for `state`."""
        _ = self.state
        return self._entries[start : None if count is None else start + count]

    def entry(self, index: int) -> SignedEntry:
        """Return one entry, by its receipt."""
        return SignedEntry.decode(self.receipt(index).entry)

    def _replay(self, note: str) -> None:
        reader = TileReader(self.fetch, self.key, note)
        state, frontier, added = self._state, self._tree.frontier, []
        for data in reader.entries(self._tree.size):
            entry = SignedEntry.decode(data)
            state = apply(state, entry, believed(entry))
            frontier = frontier.append(leaf_hash(data))
            added.append((entry, data))
        if frontier.root != reader.checkpoint.root:
            raise LedgerCorrupt("the server's entries are not those of the checkpoint")
        if (state.origin, state.operator) != (self.key.name, self.key.public):
            raise LedgerCorrupt(f"this is no ledger of {self.key}")
        # Only now: what was only half checked is not kept.
        for entry, data in added:
            self._entries.append(entry)
            self._tree.append(leaf_hash(data))
        self._state = state

    def _text(self, target: str) -> str:
        try:
            return self._remote.get(target).decode()
        except UnicodeDecodeError:
            raise Unreachable(f"the answer at {target} is no text") from None


def _name_of(quorum: Quorum) -> str:
    """Return a name that is the same for the same quorum, and for no other."""
    keys = sorted(str(key) for key in quorum.keys)
    return json_digest("quorum", [str(quorum), keys])
