"""A ledger on disk: the rules, kept by a log that can only grow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from circuits.errors import LedgerError, ProofRejected, SrsInsecure
from circuits.merkle import Frontier, inclusion_proof, leaf_hash
from ledger.audit import AuditReport, Verify, audit
from ledger.entries import Entry, Genesis, ProofSubmit, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import (
    BadKey,
    EntryRefused,
    LedgerReadOnly,
    MalformedEntry,
)
from ledger.keys import Signer
from ledger.note import Checkpoint, VerifierKey
from ledger.receipt import Receipt
from ledger.replica import Replica
from ledger.rules import apply
from ledger.state import Accepted, State, Task
from ledger.store import Batch, Conflict, Refusal, Store

_MESSAGE_LIMIT = 1000


class Ledger:
    """An append-only log that pays for verified proofs.

    The state is always replayed from the entries, signatures included; nothing that is merely
    stored beside them is believed. Use `Ledger.init` or `Ledger.open`, and close it, or use it
    as a context manager.
    """

    def __init__(self, store: Store, signer: Signer | None) -> None:
        self._store = store
        self._signer = signer
        self._replica = Replica(store)

    @classmethod
    def init(
        cls,
        path: Path,
        origin: str,
        signer: Signer,
        *,
        allow_insecure_srs: bool,
        task_owners: Sequence[str] = (),
    ) -> Ledger:
        """Create a ledger.

        Parameters
        ----------
        path : pathlib.Path
            Folder to keep it in.
        origin : str
            Name that no other ledger has, by custom a URL without a scheme.
        signer : Signer
            The log's key; signs the genesis entry and every checkpoint.
        allow_insecure_srs : bool
            Whether proofs over a development SRS count. Fixed for ever.
        task_owners : sequence of str, optional
            Public keys of those who may open tasks, by default the log's own. Fixed for ever.

        Raises
        ------
        LedgerExists
            If there is one at `path`.
        """
        genesis = Genesis(allow_insecure_srs, tuple(task_owners) or (signer.public,))
        entry = SignedEntry.sign(genesis, origin=origin, nonce=0, signer=signer)
        apply(State(), entry)
        data = entry.encode()
        checkpoint = Checkpoint(origin, 1, Frontier().append(leaf_hash(data)).root)
        Store.create(path, Batch([data], checkpoint.sign(signer)))
        return cls.open(path, signer)

    @classmethod
    def open(cls, path: Path, signer: Signer | None = None) -> Ledger:
        """Open an existing ledger; without the log's key, to read it only.

        The entries are replayed when first needed, so that `audit` can still tell what is wrong
        with a damaged log.

        Raises
        ------
        LedgerMissing
            If there is none at `path`.
        """
        return cls(Store.open(path), signer)

    def close(self) -> None:
        """Close the database."""
        self._store.close()

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
    def state(self) -> State:
        """What all entries amount to, those of other writers included."""
        self._replica.refresh()
        return self._replica.state

    @property
    def key(self) -> VerifierKey:
        """The log's public key; its text form is the ``vkey`` to hand out."""
        state = self.state
        return VerifierKey(state.origin, state.operator)

    def task(self, task: str) -> Task:
        """Return a task, or raise `UnknownTask`."""
        return self.state.task(task)

    def balance(self, identity: str) -> int:
        """Return what an identity owns, by its public key."""
        return self.state.balances.get(identity, 0)

    def balances(self) -> Mapping[str, int]:
        """Return what every identity with credit owns."""
        return self.state.balances

    def entries(self) -> list[SignedEntry]:
        """Return all entries, in order."""
        return [SignedEntry.decode(data) for _, data, _ in self._store.entries()]

    def refusals(self) -> list[Refusal]:
        """Return what was not taken, oldest first; kept outside the log, and proven by nothing."""
        return self._store.refusals()

    def blob(self, digest: str) -> bytes:
        """Return a blob that an entry names, having checked its digest."""
        return self._store.blobs.get(digest)

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint."""
        self._replica.refresh()
        return self._store.checkpoint_of(self._replica.state.size - 1)[1]

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of an entry; the same one, byte for byte, whenever it is asked."""
        self._replica.refresh()
        if not 0 <= index < self._replica.state.size:
            raise LedgerError(f"the ledger has no entry {index}")
        size, checkpoint = self._store.checkpoint_of(index)
        proof = inclusion_proof(self._replica.leaves, index, size)
        return Receipt(index, self._store.entries(index, 1)[0][1], tuple(proof), checkpoint)

    def credited(self, receipt: Receipt) -> int:
        """Return what the proof of a receipt earned; its credit entry is the next one."""
        self._replica.refresh()
        return self._replica.credits.get(receipt.index, 0)

    def audit(self, verify: Verify | None = None, log: VerifierKey | None = None) -> AuditReport:
        """Check everything from the first entry on; see `ledger.audit.audit`."""
        return audit(self._store, verify, log)

    def sign(self, body: Entry, signer: Signer) -> SignedEntry:
        """Sign an entry for this ledger with the signer's next nonce."""
        state = self.state
        nonce = state.nonces.get(signer.public, 0)
        return SignedEntry.sign(body, origin=state.origin, nonce=nonce, signer=signer)

    def submission(self, body: ProofSubmit, signer: str) -> SignedEntry | None:
        """Return the entry by which `signer` submitted exactly this proof, or None."""
        for _, data, _ in self._store.entries():
            entry = SignedEntry.decode(data)
            if entry.signer == signer and entry.body == body:
                return entry
        return None

    def append(self, entry: SignedEntry, blobs: Iterable[bytes] = ()) -> Receipt:
        """Append an entry that needs no proof.

        Parameters
        ----------
        entry : SignedEntry
            Anything but a proof.submit.
        blobs : iterable of bytes, optional
            What the entry names by digest, as far as the ledger does not have it.

        Raises
        ------
        EntryRefused
            By name, if the rules do not allow it.
        MissingBlob
            If a blob is neither given nor there.
        """
        if isinstance(entry.body, ProofSubmit):
            raise MalformedEntry("a proof is submitted, so that it is verified")
        self._require_signer()
        with self._recorded(entry):
            given = {blob_digest(blob): blob for blob in blobs}
            self._replica.refresh()
            if self._place(entry) is None:
                # Before anything is written: whom the rules refuse cannot fill the disk either.
                apply(self._replica.state, entry)
                for name in entry.body.blobs:
                    if name in given:
                        self._store.blobs.put(given[name])
                    else:
                        self._store.blobs.get(name)
            return self._append(entry, None)

    def submit(self, bundle: bytes, entry: SignedEntry, verify: Verify) -> Receipt:
        """Verify a proof and, only then, log it and pay for it.

        Parameters
        ----------
        bundle : bytes
            The proof bundle.
        entry : SignedEntry
            A proof.submit that names it.
        verify : callable
            The verifier: takes the bundle and what the ledger pins, returns a verdict.

        Returns
        -------
        Receipt
            Of the proof.submit entry. A submission that was accepted before, byte for byte,
            gets the receipt it got then, and is neither verified nor paid again.

        Raises
        ------
        ProofRejected
            If the verifier does not accept it, or accepts something else than is claimed.
        EntryRefused
            By name, if the rules do not allow it; found out before the costly verification.
        """
        body = entry.body
        if not isinstance(body, ProofSubmit):
            raise MalformedEntry(f"a {body.type} entry is no submission")
        self._require_signer()
        with self._recorded(entry):
            self._replica.refresh()
            place = self._place(entry)
            if place is not None:
                return self.receipt(place)
            if blob_digest(bundle) != body.bundle:
                raise ProofRejected(
                    "bundle", f"digest is {blob_digest(bundle)}, the entry names {body.bundle}"
                )
            state = self._replica.state
            apply(state, entry, Accepted.claimed_by(body))
            verdict = verify(bundle, state.pins(body.task, body.round, entry.signer))
            accepted = Accepted.from_verdict(verdict)
            if accepted != Accepted.claimed_by(body):
                raise ProofRejected("statement", "the entry claims another than was verified")
            self._store.blobs.put(bundle)
            return self._append(entry, accepted)

    def _append(self, entry: SignedEntry, accepted: Accepted | None) -> Receipt:
        signer = self._require_signer()
        while True:
            self._replica.refresh()
            place = self._place(entry)
            if place is not None:
                return self.receipt(place)
            before = self._replica.state
            new = [(entry, apply(before, entry, accepted))]
            if (due := new[0][1].due) is not None:
                credit = SignedEntry.by_rule(due, before.origin)
                new.append((credit, apply(new[0][1], credit)))
            encoded = [item.encode() for item, _ in new]
            frontier, after = self._replica.frontier, new[-1][1]
            for data in encoded:
                frontier = frontier.append(leaf_hash(data))
            # Signed before the commit, but shown to nobody unless it succeeds: whatever happens
            # in between, no second checkpoint of this size is ever published.
            checkpoint = Checkpoint(before.origin, frontier.size, frontier.root).sign(signer)
            batch = Batch(
                encoded,
                checkpoint,
                dict(after.nullifiers.items() - before.nullifiers.items()),
                dict(after.balances.items() - before.balances.items()),
            )
            # A conflict: somebody else was first. The rules are asked again, on what is now.
            with contextlib.suppress(Conflict):
                self._store.commit(before.size, batch)
                for data, (item, state) in zip(encoded, new, strict=True):
                    self._replica.add(item, data, state)

    def _place(self, entry: SignedEntry) -> int | None:
        return self._replica.places.get(leaf_hash(entry.encode()))

    def _require_signer(self) -> Signer:
        if self._signer is None:
            raise LedgerReadOnly("the ledger was opened without the key of its log")
        if self._signer.public != self.state.operator:
            raise BadKey(f"{self._signer.public} is not the key of this log")
        return self._signer

    @contextlib.contextmanager
    def _recorded(self, entry: SignedEntry) -> Iterator[None]:
        """Keep a record of a refusal, where its author is known to be the author."""
        try:
            yield
        except (EntryRefused, ProofRejected, SrsInsecure) as error:
            # The refusal stands whether or not it can be written down.
            with contextlib.suppress(LedgerError):
                if entry.signer in self._replica.state.names:
                    entry.require_signature()
                    message = error.message[:_MESSAGE_LIMIT]
                    self._store.record(
                        Refusal(entry.digest, error.code, entry.signer, entry.body.type, message)
                    )
            raise
