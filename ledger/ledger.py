"""A ledger on disk: the rules, kept by a log that can only grow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from circuits.errors import LedgerError, ProofRejected, SrsInsecure, ZkpotError
from circuits.merkle import Frontier, leaf_hash
from ledger.audit import Verify
from ledger.charter import Charter
from ledger.embedded import clock as clocks
from ledger.embedded.mark import Mark
from ledger.embedded.store import Batch, Refusal, Store
from ledger.embedded.view import View
from ledger.embedded.writer import Item, Writer
from ledger.entries import Entry, Genesis, ProofSubmit, Slash, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import EntryRefused, LedgerReadOnly, MalformedEntry
from ledger.keys import Signer
from ledger.records import Accepted, InvalidReveal, Vouched
from ledger.reveals import invalid_reveal
from ledger.rules import apply
from ledger.signatures import Signs
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.receipt import Receipt

_MESSAGE_LIMIT = 1000
_RECORDED = (EntryRefused, ProofRejected, SrsInsecure)


class Ledger(View):
    """An append-only log that pays for verified proofs.

    Use `Ledger.init` or `Ledger.open`, and close it, or use it as a context manager.
    """

    def __init__(
        self, store: Store, signer: Signer | None, mark: Mark, now: clocks.Now = time.time
    ) -> None:
        super().__init__(store, mark, "" if signer is None else signer.public)
        self._now = now
        self._writer = None
        if signer is not None:
            self._writer = Writer(store, self._replica, signer, mark, now)

    @classmethod
    def init(
        cls,
        path: Path,
        origin: str,
        signer: Signer,
        *,
        allow_insecure_srs: bool,
        charter: Charter | None = None,
        grants: Mapping[str, int] | None = None,
        mark: Path | None = None,
        clock: clocks.Now = time.time,
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
        charter : Charter, optional
            Who governs and who may open tasks; by default the log's own key does both.
        grants : mapping of str to int, optional
            Units that identities start with.
        mark, clock : optional
            See `open`.

        Raises
        ------
        LedgerExists
            If there is one at `path`.
        LedgerRolledBack
            If the key has signed for a ledger of that origin before.
        """
        genesis = Genesis(
            allow_insecure_srs,
            charter or Charter.alone(signer.public),
            grants=tuple(sorted((grants or {}).items())),
        )
        entry = SignedEntry.sign(genesis, origin=origin, nonce=0, signer=signer)
        state = apply(State(), entry)
        data = entry.encode()
        note = Checkpoint(origin, 1, Frontier().append(leaf_hash(data)).root).sign(signer)
        Store.require_none(path)
        marked = Mark.of(path, mark)
        with marked.locked():
            # Before the database: if that is lost, the key does not start a second one over.
            marked.write(VerifierKey(origin, signer.public), note)
            balances = dict(state.balances)
            Store.create(path, Batch([data], {1: note}, {}, balances, {1: state.digest}))
        return cls.open(path, signer, mark=mark, clock=clock)

    @classmethod
    def open(
        cls,
        path: Path,
        signer: Signer | None = None,
        *,
        mark: Path | None = None,
        clock: clocks.Now = time.time,
    ) -> Ledger:
        """Open an existing ledger; without the log's key, to read it only.

        Without the key the entries are replayed when first needed, so that `audit` can still
        tell what is wrong with a damaged log.

        Parameters
        ----------
        path : pathlib.Path
            Its folder.
        signer : Signer, optional
            The log's key.
        mark : pathlib.Path, optional
            File that records what the key has signed, see `ledger.embedded.mark`: to be kept
            where the key is. By default it is in the ledger's folder.
        clock : callable, optional
            Tells the time, in seconds since 1970, that goes on the log where deadlines are in
            seconds; see `ledger.embedded.clock`.

        Raises
        ------
        LedgerMissing
            If there is none at `path`.
        BadKey
            If the key is not the log's.
        LedgerRolledBack, NoMark, LedgerIsBackup, LedgerMoved
            If it was opened with the key and may not go on; it can still be read without.
        LedgerCorrupt
            If it was opened with the key and contradicts itself, or is no ledger at all.
        """
        opened = cls(Store.open(path), signer, Mark.of(path, mark), clock)
        try:
            if opened._writer is not None:
                opened._writer.open()
        except BaseException:
            opened.close()
            raise
        return opened

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

    def _refresh(self) -> None:
        super()._refresh()
        # What is told to anyone must be under the mark: another process may have ended, or still
        # be, between its commit and that.
        if self._writer is not None:
            self._writer.settle()

    def sign(self, body: Entry, signer: Signs, identity: str | None = None) -> SignedEntry:
        """Sign an entry for this ledger with the author's next nonce.

        Parameters
        ----------
        body : Entry
            What to say.
        signer : Signs
            The author's present key.
        identity : str, optional
            The author, by default whose key that is.
        """
        state = self.state
        if identity is None:
            identity = state.author(signer.public)
        nonce = state.nonce(identity)
        if identity == state.operator and clocks.due(state, body, self._now()) is not None:
            # The number before it is for the clock entry that `append` puts first.
            nonce += 1
        return SignedEntry.sign(
            body,
            origin=state.origin,
            nonce=nonce,
            signer=signer,
            identity=identity,
        )

    def put_blob(self, data: bytes) -> str:
        """Keep bytes that an entry is going to name, and return their digest.

        Raises
        ------
        LedgerReadOnly
            If the ledger was opened without the log's key.
        """
        return self._require_writer().put_blob(data)

    def move(self, to: Path) -> None:
        """Export everything for a place where the ledger goes on, and sign nothing more here.

        The move is durable, beside the key first of all, before anything is written. If that
        fails, `export` writes it again. What is written is to be imported once; see
        `ledger.embedded.transfer`.

        Parameters
        ----------
        to : pathlib.Path
            As for `export`.
        """
        self._require_writer().move()
        self.export(to)

    def append(self, entry: SignedEntry, blobs: Iterable[bytes] = ()) -> Receipt:
        """Append an entry that needs no proof.

        Parameters
        ----------
        entry : SignedEntry
            Anything but a proof.submit.
        blobs : iterable of bytes, optional
            What the entry names by digest, as far as the ledger does not have it. An opening
            file that is said to be invalid is looked at and not kept.

        Returns
        -------
        Receipt
            Of the entry; the same one if it was appended before.

        Raises
        ------
        EntryRefused
            By name, if the rules do not allow it.
        MissingBlob
            If a blob is neither given nor there.
        """
        (outcome,) = self.append_many([(entry, blobs)])
        if isinstance(outcome, ZkpotError):
            raise outcome
        return outcome

    def append_many(
        self, items: Sequence[tuple[SignedEntry, Iterable[bytes]]]
    ) -> list[Receipt | ZkpotError]:
        """Append entries in one durable commit, each accepted or refused on its own.

        Parameters
        ----------
        items : sequence of (SignedEntry, iterable of bytes)
            Entries in order, with their blobs, as for `append`.

        Returns
        -------
        list of Receipt or ZkpotError
            For each, its receipt or what `append` would have raised.

        Raises
        ------
        StorageFailed, LedgerBusy, LedgerCorrupt
            If it is not the entries' fault; each of them is on the log or not, and all of them
            can be appended again.
        """
        writer = self._require_writer()
        outcomes = writer.append([self._item(entry, blobs) for entry, blobs in items])
        self._record((e, o) for (e, _), o in zip(items, outcomes, strict=True))
        return [o if isinstance(o, ZkpotError) else self.receipt(o) for o in outcomes]

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
        writer = self._require_writer()
        try:
            self._refresh()
            place = self._replica.place(leaf_hash(entry.encode()))
            if place is None:
                accepted = self._verified(bundle, entry, body, verify)
                (outcome,) = writer.append([Item(entry, accepted, {body.bundle: bundle})])
                if isinstance(outcome, ZkpotError):
                    raise outcome
                place = outcome
        except ZkpotError as error:
            self._record([(entry, error)])
            raise
        return self.receipt(place)

    def check(self, entry: SignedEntry, vouched: Vouched = None) -> None:
        """Ask the rules about an entry as if it were appended now, at the present time.

        Parameters
        ----------
        entry : SignedEntry
            The entry.
        vouched : Accepted or InvalidReveal, optional
            What would have been verified for it.

        Raises
        ------
        EntryRefused
            By name, if the rules do not allow it.
        LedgerReadOnly
            If the ledger was opened without the log's key.
        """
        writer = self._require_writer()
        self._refresh()
        writer.check(entry, vouched)

    def _verified(
        self, bundle: bytes, entry: SignedEntry, body: ProofSubmit, verify: Verify
    ) -> Accepted:
        if blob_digest(bundle) != body.bundle:
            raise ProofRejected(
                "bundle", f"digest is {blob_digest(bundle)}, the entry names {body.bundle}"
            )
        claimed = Accepted.claimed_by(body)
        self._require_writer().check(entry, claimed)
        verdict = verify(bundle, self._replica.state.pins(body.task, body.round, entry.signer))
        accepted = Accepted.from_verdict(verdict)
        if accepted != claimed:
            raise ProofRejected("statement", "the entry claims another than was verified")
        return accepted

    def _item(self, entry: SignedEntry, blobs: Iterable[bytes]) -> Item | MalformedEntry:
        if isinstance(entry.body, ProofSubmit):
            return MalformedEntry("a proof is submitted, so that it is verified")
        files = {blob_digest(blob): blob for blob in blobs}
        return Item(entry, self._vouch(entry, files), files)

    def _vouch(self, entry: SignedEntry, files: Mapping[str, bytes]) -> Vouched:
        """Look at an opening file that is said to be invalid, if all else allows the entry."""
        body = entry.body
        if not isinstance(body, Slash) or body.blob not in files:
            return None
        state, vouched = self.state, InvalidReveal(body.blob)
        try:
            self.check(entry, vouched)
            testset = state.testsets[state.task(body.subject).terms.testset]
            invalid = invalid_reveal(self.blob(testset.terms.manifest), files[body.blob])
        except ZkpotError:
            # The rules are asked again, and then refuse it by name.
            return None
        return vouched if invalid else None

    def _require_writer(self) -> Writer:
        if self._writer is None:
            raise LedgerReadOnly("the ledger was opened without the key of its log")
        return self._writer

    def _record(self, outcomes: Iterable[tuple[SignedEntry, object]]) -> None:
        """Keep a record of refusals, where their authors are known to be the authors."""
        found = [
            Refusal(
                entry.digest, error.code, entry.signer, entry.body.type,
                error.message[:_MESSAGE_LIMIT],
            )
            for entry, error in outcomes
            if isinstance(error, _RECORDED) and self._is_by_its_author(entry)
        ]  # fmt: skip
        # The refusal stands whether or not it can be written down.
        with contextlib.suppress(LedgerError):
            if found:
                self._store.record(found)

    def _is_by_its_author(self, entry: SignedEntry) -> bool:
        known = self._replica.state.identities.get(entry.signer)
        if known is None or (known.scheme, known.key) != (entry.scheme, entry.key):
            return False
        try:
            entry.require_signature()
        except LedgerError:
            return False
        return True
