"""The service as a whole: its parts, how they start, and how they stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request

from ledger.entries import Genesis
from ledger.envelope import MAX_ENTRY_BYTES
from ledger.errors import Revoked
from ledger.ledger import Ledger
from ledger.service import schemas, views
from ledger.service.auth import Authenticator, Key, Message, check_digest
from ledger.service.book import Book
from ledger.service.config import Settings
from ledger.service.cosign import Cosigner, Validator
from ledger.service.errors import ReadOnly, UnknownSigner
from ledger.service.http import SLOWEST, address_of
from ledger.service.keeper import Keeper
from ledger.service.limits import Places, Rates
from ledger.service.queue import Submissions
from ledger.service.spool import Spool
from ledger.service.workers import Factory, Workers
from ledger.tlog.note import Checkpoint, Note

_log = logging.getLogger("ledger.service")

FOLDER = "service"
_SWEEP_SECONDS = 600.0


@dataclass(frozen=True)
class Caller:
    """Who signed a request.

    Attributes
    ----------
    identity : str
        As signed.
    registered : bool
        Whether the ledger knows it; if not, it may only register.
    digest : str
        Signed Content-Digest.
    """

    identity: str
    registered: bool
    digest: str

    def check(self, sha256: bytes) -> None:
        """Check that content is what was signed."""
        check_digest(self.digest, sha256)


@dataclass
class Service:
    """One ledger, served.

    Parameters
    ----------
    folder : Path
        The ledger's folder.
    open_ledger : callable
        Opens it, with the log's key if entries are to be taken.
    settings : Settings
        Limits.
    verifier : callable, optional
        From the genesis entry to what makes the verifier in a worker; without it no entries are
        taken.
    validators : list of Validator
        Whom to ask for cosignatures.
    """

    folder: Path
    open_ledger: Callable[[], Ledger]
    settings: Settings
    verifier: Callable[[Genesis], Factory] | None = None
    validators: list[Validator] = field(default_factory=list)

    def __post_init__(self) -> None:
        limits = self.settings.limits
        self.keeper = Keeper(self.open_ledger)
        self.spool = Spool(self.folder / FOLDER, limits)
        self.book = Book(self.keeper, self.spool, self.folder, self._grown, limits)
        self._uploads = Places(limits.uploads)
        self._writes = Rates(limits.writes_per_second, limits.write_burst)
        self._strangers = Rates(limits.strangers_per_second, limits.stranger_burst)
        self._cosigner = Cosigner(
            self.validators, self.book.checkpoint, self.book.consistency,
            self.folder / FOLDER / "cosigned", limits.waiting,
        )  # fmt: skip
        self._submissions: Submissions | None = None
        self._authenticator: Authenticator | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the ledger and begin to work.

        Raises
        ------
        LedgerError
            If it cannot be opened.
        """
        limits, verification = self.settings.limits, self.settings.verification
        await self.keeper.start()
        state = await self.keeper.state()
        assert state.genesis is not None
        self._authenticator = Authenticator(
            state.origin, limits.signature_seconds, limits.skew_seconds
        )
        if self.verifier is not None:
            workers = Workers(self.verifier(state.genesis), verification)
            self.book.workers = workers
            self._submissions = Submissions(self.book, workers, self.spool, verification)
            self.spool.needed = self._submissions.needed
            await self._submissions.start()
            self._tasks.append(asyncio.create_task(self._sweep()))
        if self.validators:
            self._cosigner.load()
            self._tasks.append(asyncio.create_task(self._cosigner.run()))

    async def stop(self) -> None:
        """Finish what is at work, keep what waits, and close the ledger."""
        if self._submissions is not None:
            await self._submissions.stop(self.settings.stop_seconds / 2)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.keeper.close()

    def abort(self) -> None:
        """End the workers, whatever they are at."""
        if self._submissions is not None:
            self._submissions.workers.stop()

    def _grown(self) -> None:
        self._cosigner.grown()

    async def _sweep(self) -> None:
        while True:
            self.spool.sweep()
            await asyncio.sleep(_SWEEP_SECONDS)

    # What the routers ask.

    @property
    def queued(self) -> int:
        """Submissions that are not decided."""
        return 0 if self._submissions is None else self._submissions.size

    @property
    def submissions(self) -> Submissions:
        """The queue.

        Raises
        ------
        ReadOnly
            If this service takes no entries.
        """
        if self._submissions is None:
            raise ReadOnly("this is a copy of the ledger, which takes no entries")
        return self._submissions

    def uploading(self, request: Request, identity: str) -> contextlib.AbstractContextManager[None]:
        """Have one of the places of those who put blobs.

        Raises
        ------
        Overloaded
            If there is none.
        RateLimited
            If the identity, or its network, has its share of them.
        """
        limits = self.settings.limits
        return self._uploads.take(
            (identity, limits.uploads_of_one), (address_of(request), limits.uploads_per_address)
        )

    def least_rate(self) -> int:
        """Return the bytes a second at which a blob must come in now."""
        return self.settings.limits.upload_rate if self._uploads.scarce else SLOWEST

    async def authenticate(self, request: Request, *, stranger: bool = False) -> Caller:
        """Check who signed a request; its content is checked later.

        Parameters
        ----------
        request : Request
            The request.
        stranger : bool
            Whether somebody who is not registered may send it.

        Raises
        ------
        BadRequestSignature
            If it is not properly signed.
        Revoked
            If the identity was ended.
        RateLimited
            If it sends too much.
        """
        assert self._authenticator is not None
        # Before anything else: a copy takes nothing from anybody.
        _ = self.submissions
        identity, first = self._authenticator.claimed(request.headers.items())
        # With the writes, or a flood of readers would keep everybody from writing.
        state = await self.keeper.run(lambda ledger: ledger.state, write=True)
        known = state.identities.get(identity)
        if known is None and not stranger:
            raise UnknownSigner(f"{identity} is not registered")
        if known is not None and known.revoked:
            raise Revoked(f"identity {identity} was ended")
        key = first if known is None else Key(known.scheme, known.key)
        # A signature of an EVM account takes long to check; those of strangers are many.
        if known is None or key.scheme != "ed25519":
            self._strangers.take(address_of(request))
        message = Message(request.method, _target(request), request.headers)
        digest = self._authenticator.check(message, identity, key, self._writes.take)
        request.state.identity = identity
        return Caller(identity, known is not None, digest)

    async def info(self) -> schemas.Info:
        """Say what the ledger is, and what this service takes."""
        state, note = await self.keeper.run(lambda ledger: (ledger.state, ledger.checkpoint()))
        checkpoint = Checkpoint.parse(Note.parse(note).text)
        key = await self.keeper.run(lambda ledger: str(ledger.key))
        limits = self.settings.limits
        return schemas.Info(
            origin=state.origin,
            vkey=key,
            size=checkpoint.size,
            root=checkpoint.root.hex(),
            engine="embedded",
            writable=self._submissions is not None,
            limits=schemas.LimitsInfo(
                entry_bytes=MAX_ENTRY_BYTES,
                blob_bytes=limits.blob_bytes,
                spool_bytes=limits.spool_bytes,
                entries_per_page=limits.entries_per_page,
                signature_seconds=limits.signature_seconds,
                skew_seconds=limits.skew_seconds,
                queue=self.settings.verification.queue,
            ),
            validators=[
                schemas.ValidatorInfo(vkey=str(v.key), size=v.size) for v in self.validators
            ],
            quorum=self.settings.quorum,
        )

    async def checkpoint(self, cosignatures: int) -> str:
        """Return the newest checkpoint that has so many cosignatures; 0 for just the newest."""
        if cosignatures:
            return (await self._cosigned(0, cosignatures))[1]
        note = await self.book.checkpoint()
        size = Checkpoint.parse(Note.parse(note).text).size
        return self._cosigner.cosigned(size, note)

    async def receipt(self, index: int, cosignatures: int) -> str:
        """Return the receipt of an entry, under a checkpoint with so many cosignatures."""
        if not cosignatures:
            return await self.book.receipt(index)
        size, note = await self._cosigned(index + 1, cosignatures)
        return await self.book.receipt_under(index, size, note)

    async def _cosigned(self, size: int, cosignatures: int) -> tuple[int, str]:
        seconds = self.settings.limits.cosign_seconds
        return await self._cosigner.require(size, cosignatures, seconds)

    async def submission(self, digest: str) -> schemas.SubmissionInfo | None:
        """Say what became of a submission, also of one of which only the log knows."""
        job = self._submissions.get(digest) if self._submissions else None
        if job is not None and not job.open_again:
            return views.submission_info(job)
        # What the log has was accepted, whatever happened here.
        placed = await self.book.placed_proof(digest)
        if placed is not None:
            return views.accepted_info(digest, placed)
        return None if job is None else views.submission_info(job)

    async def find_submissions(self, signer: str, bundle: str) -> list[schemas.SubmissionInfo]:
        """Return the submissions of a bundle by an author, on the log and in the queue."""
        found = [
            views.accepted_info(digest, placed)
            for digest, placed in await self.book.proofs(signer, bundle)
        ]
        known = {info.id for info in found}
        waiting = self._submissions.of(signer, bundle) if self._submissions else []
        return found + [views.submission_info(j) for j in waiting if j.entry.digest not in known]


def _target(request: Request) -> str:
    """Return path and query as they were sent."""
    path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    query: bytes = request.scope["query_string"]
    return path.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
