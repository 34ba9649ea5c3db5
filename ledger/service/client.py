"""A ledger that is served elsewhere, to be used like one in a folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from circuits.errors import ProofRejected, ZkpotError
from ledger.audit import Verify
from ledger.embedded import clock
from ledger.embedded.store import Refusal
from ledger.entries import Bond, Entry, ProofSubmit, TaskOpen, Transfer, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import BadKey, BadNote, MalformedEntry, MissingBlob
from ledger.records import Task
from ledger.service.errors import Overloaded, Unreachable
from ledger.service.outbox import Outbox
from ledger.service.remote import Author, error_of
from ledger.service.remote_log import RemoteLog
from ledger.signatures import Signs
from ledger.tlog.note import VerifierKey
from ledger.tlog.quorum import Quorum
from ledger.tlog.receipt import Receipt

_VALUABLE = (Transfer, Bond, TaskOpen)
_ENTRY_TYPE = "application/json"
_BLOB_TYPE = "application/octet-stream"
_FIRST_POLL = 0.1
_LONGEST_POLL = 5.0
_DECISION_SECONDS = 3600.0


class LedgerClient(RemoteLog):
    """A ledger behind a URL.

    What decides anything is checked here: receipts, and the state, which is replayed. What is
    only shown, or asked for so that an entry can be signed, is the server's word.

    Parameters
    ----------
    url, vkey, quorum, state_file, timeout, patience
        As for `RemoteLog`.
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
        super().__init__(
            url, vkey, quorum=quorum, state_file=state_file, timeout=timeout, patience=patience
        )
        self._signers: dict[str, Signs] = {}
        beside = None if state_file is None else state_file.with_name(state_file.name + ".sent")
        self._outbox = Outbox(beside)

    # The server's word.

    def identity(self, identity: str) -> dict[str, Any] | None:
        """Return what the server says of an identity; None if it is not registered."""
        return self._remote.find(f"/v1/identities/{identity}")

    def author(self, key: str) -> str:
        """Return the identity whose present key is `key`; itself if there is none yet."""
        known = self.identity(key)
        if known is not None and known.get("key") == key:
            return key
        found = self._remote.get_json(f"/v1/identities?key={key}").get("identities")
        return str(found[0]["id"]) if found else key

    def nonce(self, identity: str) -> int:
        """Return the number of the next entry of an identity; a wrong one would be refused."""
        found = self.identity(identity)
        return 0 if found is None else int(found["nonce"])

    def task_info(self, task: str) -> dict[str, Any]:
        """Return what the server says of a task: phase, deadlines, leaderboard, history."""
        return self._remote.get_json(f"/v1/tasks/{task}")

    def refusals(self) -> list[Refusal]:
        """Return the newest refusals."""
        found = self._remote.get_json("/v1/refusals?count=1000")["refusals"]
        names = ("entry", "code", "signer", "type", "message", "at")
        return [Refusal(*(str(item.get(name, "")) for name in names)) for item in found]

    def credited(self, receipt: Receipt) -> int:
        """Return what the proof of a receipt has earned; `state` has it proven."""
        found = self._remote.get_json(f"/v1/entries/{receipt.index}").get("credited")
        return found if type(found) is int else 0

    # Replayed here.

    def task(self, task: str) -> Task:
        """Return a task, or raise `UnknownTask`."""
        return self.state.task(task)

    def balance(self, identity: str) -> int:
        """Return what an identity owns and can spend."""
        return self.state.balances.get(identity, 0)

    def balances(self) -> Mapping[str, int]:
        """Return what every identity with credit owns."""
        return self.state.balances

    # Writing.

    def sign(self, body: Entry, signer: Signs, identity: str | None = None) -> SignedEntry:
        """Sign an entry for this ledger with the author's next number.

        Parameters
        ----------
        body : Entry
            What to say.
        signer : Signs
            The author's present key; kept, to sign the requests that send the entry.
        identity : str, optional
            The author, by default whose key that is.

        Returns
        -------
        SignedEntry
            The one that says the same and was sent before, if nothing shows yet what became of it.
        """
        who = self.author(signer.public) if identity is None else identity
        self._signers[who] = signer
        # A server that lies about the number could have two of what was meant once.
        proven = isinstance(body, _VALUABLE) or bool(self._entries)
        nonce = self.state.nonce(who) if proven else self.nonce(who)
        # As `Ledger.sign` does: the log's own next number may be for the clock.
        if who == self.key.public and clock.due(self.state, body, time.time()) is not None:
            nonce += 1
        sent = self._outbox.find(who, body, signer.public)
        if sent is not None and (sent.nonce == nonce or self._open(sent, nonce)):
            return sent
        return SignedEntry.sign(body, origin=self.origin, nonce=nonce, signer=signer, identity=who)

    def _open(self, sent: SignedEntry, nonce: int) -> bool:
        """Tell whether an entry that was sent may be on the log, or get there."""
        number = (sent.signer, sent.nonce)
        placed = next((e for e in self.entries() if (e.signer, e.nonce) == number), None)
        if placed is None:
            # Its turn has not come: then what is signed now comes before it.
            return sent.nonce < nonce
        if placed != sent:
            self._outbox.drop(sent)
        return placed == sent

    def append(
        self, entry: SignedEntry, blobs: Iterable[bytes] = (), signer: Signs | None = None
    ) -> Receipt:
        """Append an entry that needs no proof; the same one again gets the same receipt.

        Parameters
        ----------
        entry : SignedEntry
            Anything but a proof.submit.
        blobs : iterable of bytes, optional
            What it names, as far as the ledger does not have it.
        signer : Signs, optional
            The author's key, if the entry was not signed by `sign` of this client.

        Raises
        ------
        LedgerError
            What the ledger refused, by the code that it gave.
        Unreachable
            If the server cannot be reached. Whether the entry is on the log is then not known;
            appending the same entry again finds out, and `sign` gives the same for the same.
        Unsettled
            If that is so of another entry with this one's number.
        """
        author = self._author(entry, signer)
        for blob in blobs:
            self._put(blob, author)
        answer = self._send(entry, lambda: self._post("/v1/entries", entry, author))
        receipt = Receipt.parse(str(answer.get("receipt")))
        if self._quorum is not None:
            # Under a later checkpoint, which the validators know.
            receipt = self.receipt(receipt.index)
        return self._settled(receipt, entry)

    def submit(
        self,
        bundle: bytes,
        entry: SignedEntry,
        verify: Verify | None = None,  # noqa: ARG002
        signer: Signs | None = None,
    ) -> Receipt:
        """Submit a proof, and wait until it is decided.

        Parameters
        ----------
        bundle : bytes
            The proof bundle.
        entry : SignedEntry
            A proof.submit that names it.
        verify : callable, optional
            Not used: the log verifies, and so do its validators.
        signer : Signs, optional
            The author's key, if the entry was not signed by `sign` of this client.

        Returns
        -------
        Receipt
            Of the entry. A submission that was accepted before gets it again.

        Raises
        ------
        ProofRejected
            If the log's verifier does not accept the proof.
        LedgerError, ResourceError
            What else the log refused, by the code that it gave.
        Unreachable
            If the server cannot be reached; submitting the same entry again goes on.
        Unsettled
            As for `append`.
        """
        body = entry.body
        if not isinstance(body, ProofSubmit):
            raise MalformedEntry(f"a {body.type} entry is no submission")
        if blob_digest(bundle) != body.bundle:
            raise ProofRejected("bundle", f"the entry names {body.bundle}, this is another")
        author = self._author(entry, signer)
        if self._remote.find(f"/v1/submissions/{entry.digest}") is None:
            self._put(bundle, author)
        found = self._send(entry, lambda: self._offer(bundle, entry, author))
        index = self._decided(entry, found)
        return self._settled(self.receipt(index), entry)

    def submission(self, body: ProofSubmit, signer: str) -> SignedEntry | None:
        """Return the entry by which an identity submitted exactly this proof, or None."""
        found = self._remote.get_json(f"/v1/submissions?signer={signer}&bundle={body.bundle}")
        for item in found.get("submissions", []):
            if item.get("index") is None:
                continue
            entry = self.entry(int(item["index"]))
            if entry.signer == signer and entry.body == body:
                return entry
        return None

    def put_blob(self, data: bytes, signer: Signs, identity: str | None = None) -> str:
        """Put bytes for an entry of one's own that will name them; returns their digest."""
        who = self.author(signer.public) if identity is None else identity
        return self._put(data, Author(who, signer, self.origin))

    def _put(self, data: bytes, author: Author) -> str:
        digest = blob_digest(data)
        self._remote.write("PUT", f"/v1/blobs/{digest}", data, _BLOB_TYPE, author)
        return digest

    def _author(self, entry: SignedEntry, signer: Signs | None) -> Author:
        found = signer or self._signers.get(entry.signer)
        if found is None or found.public != entry.key:
            raise BadKey(f"the key of {entry.signer} is needed to sign the request")
        return Author(entry.signer, found, self.origin)

    def _send(self, entry: SignedEntry, send: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Send an entry, having remembered that."""
        self._outbox.add(entry)
        try:
            return send()
        except Unreachable:
            raise
        except ZkpotError:
            self._outbox.refuse(entry)
            raise

    def _post(self, target: str, entry: SignedEntry, author: Author) -> dict[str, Any]:
        return self._remote.write("POST", target, entry.encode(), _ENTRY_TYPE, author)

    def _offer(self, bundle: bytes, entry: SignedEntry, author: Author) -> dict[str, Any]:
        try:
            return self._post("/v1/submissions", entry, author)
        except MissingBlob:
            # Decided, and refused, since it was looked for: the bundle was thrown away.
            self._put(bundle, author)
            return self._post("/v1/submissions", entry, author)

    def _decided(self, entry: SignedEntry, found: dict[str, Any]) -> int:
        """Wait for a decision; return the index of the entry."""
        end, pause = time.monotonic() + _DECISION_SECONDS, _FIRST_POLL
        while found.get("status") not in ("accepted", "refused"):
            if time.monotonic() > end:
                raise Overloaded("the submission is still not decided", pause)
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_POLL)
            found = self._remote.get_json(f"/v1/submissions/{entry.digest}")
        if found["status"] == "refused":
            self._outbox.refuse(entry)
            raise error_of(str(found.get("code")), str(found.get("message")))
        index = found.get("index")
        if type(index) is not int:
            raise Unreachable("the server says that a proof is accepted, and not where")
        return index

    def _settled(self, receipt: Receipt, entry: SignedEntry) -> Receipt:
        """Return a receipt, having checked that it is that of an entry."""
        if self._verify(receipt) != entry:
            raise BadNote("the server's receipt is that of another entry")
        self._outbox.settle(entry)
        return receipt
