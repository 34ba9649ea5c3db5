"""Submissions on their way from the network to the log.

A submission that was taken is on disk until it is decided, so that neither a stop nor a crash of
the service loses one. It is verified in a worker, and the rules are asked twice: before, so that
nothing is verified in vain, and when it is logged.

An author has at most one submission here. That is no loss, since the next one needs the number
that follows this one's; and it is what keeps one author from filling the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from circuits.errors import ProofRejected, WorkerFailed, ZkpotError
from ledger.entries import ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import MalformedEntry, MissingBlob, StorageFailed
from ledger.service.config import Verification
from ledger.service.errors import InFlight, QueueFull, ServiceError, Stopping, undecided
from ledger.service.jobs import Book, Job, Placed, Status
from ledger.service.spool import Spool
from ledger.service.workers import JobFailed, Workers

_log = logging.getLogger("ledger.service")
_REMEMBERED = 10_000
_TRIES = 2
_FIRST_GUESS = 2.0
_PAUSE_SECONDS = 2.0


class Submissions:
    """The queue.

    Parameters
    ----------
    book : Book
        The ledger.
    workers : Workers
        Take what `Book.task` returns, and return what `Book.log` understands.
    spool : Spool
        Where submissions wait.
    limits : Verification
        How many of them.
    """

    def __init__(self, book: Book, workers: Workers, spool: Spool, limits: Verification) -> None:
        self._book = book
        self.workers = workers
        self._spool = spool
        self._limits = limits
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._authors: dict[str, str] = {}
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._consumers: list[asyncio.Task[None]] = []
        self._seconds = _FIRST_GUESS
        self._ending = asyncio.Event()

    @property
    def size(self) -> int:
        """Submissions that are not decided."""
        return len(self._authors)

    def needed(self) -> set[tuple[str, str]]:
        """Return author and bundle digest of the submissions that are not decided."""
        return {(j.entry.signer, _body(j.entry).bundle) for j in self._jobs.values() if not j.over}

    async def start(self) -> None:
        """Take up what an earlier service left, and begin to verify."""
        for waiting in self._spool.waiting():
            try:
                entry = SignedEntry.decode(waiting.entry)
                _body(entry)
            except MalformedEntry as error:
                _log.error("submission %s is damaged: %s", waiting.name, error.message)
                self._spool.leave(waiting.name)
                continue
            job = Job(entry, Path(), tries=waiting.tries)
            self._authors[entry.signer] = entry.digest
            try:
                await self._resume(job)
            except ZkpotError as error:
                if undecided(error):
                    self._remember(job)
                    self._postpone(job, error)
                else:
                    self._settle(job, error)
        self._consumers = [
            asyncio.create_task(self._consume()) for _ in range(self._limits.workers)
        ]

    async def _resume(self, job: Job) -> None:
        placed, _ = await self._book.admit(job.entry)
        bundle = await self._book.bundle(job.entry)
        if placed is not None:
            self._accept(job, placed)
        elif bundle is None:
            raise MissingBlob("the bundle of this submission is gone; put it again")
        elif job.tries >= _TRIES:
            raise WorkerFailed("the service did not survive the verification of this proof")
        else:
            job.bundle = bundle
            self._remember(job)
            self._queue.put_nowait(job)

    def get(self, digest: str) -> Job | None:
        """Return a submission by the digest of its entry, if it is remembered."""
        return self._jobs.get(digest)

    def of(self, signer: str, bundle: str) -> list[Job]:
        """Return the submissions of a bundle by an author that are remembered."""
        return [
            job
            for job in self._jobs.values()
            if (job.entry.signer, _body(job.entry).bundle) == (signer, bundle)
        ]

    async def offer(self, entry: SignedEntry) -> Job:
        """Take a submission, or return the one that is here already.

        Raises
        ------
        EntryRefused
            If the rules do not allow it.
        MissingBlob
            If its bundle was not put before.
        InFlight
            If another one of the same author is not decided yet.
        QueueFull
            If there is no room.
        """
        digest, author = entry.digest, entry.signer
        known = self._jobs.get(digest)
        # What was refused may be offered again, unless it is the proof itself that does not hold.
        if (
            known is not None
            and known.entry == entry
            and (known.status != "refused" or known.final)
        ):
            return known
        if self._ending.is_set():
            raise Stopping("the service stops", self._seconds)
        if author in self._authors:
            raise InFlight(f"submission {self._authors[author]} by {author} is not decided yet")
        if self.size >= self._limits.queue:
            raise QueueFull(f"{self.size} proofs wait to be verified", self.wait())
        # From here on nobody else can take the place, though others have their turn meanwhile.
        self._authors[author] = digest
        try:
            return await self._take(entry)
        except BaseException:
            self._authors.pop(author, None)
            raise

    def wait(self) -> float:
        """Return the seconds after which there should be room."""
        return self._seconds * max(1, self.size / self._limits.workers / 2)

    async def _take(self, entry: SignedEntry) -> Job:
        placed, _ = await self._book.admit(entry)
        if placed is not None:
            job = Job(entry, Path())
            self._accept(job, placed)
            return job
        bundle = await self._book.bundle(entry)
        if bundle is None:
            raise MissingBlob(f"put the bundle {_body(entry).bundle} before you submit it")
        job = Job(entry, bundle)
        await asyncio.to_thread(self._spool.enter, entry.digest, entry.encode())
        self._remember(job)
        self._queue.put_nowait(job)
        return job

    async def _consume(self) -> None:
        while True:
            job = await self._queue.get()
            if self._ending.is_set():
                continue
            tries = job.tries
            try:
                await self._decide(job)
            except ZkpotError as error:
                if self._ending.is_set() and isinstance(error, WorkerFailed):
                    # Cut off, not failed: the next service takes it up.
                    self._recount(job, tries)
                elif undecided(error):
                    self._recount(job, tries)
                    self._postpone(job, error)
                else:
                    self._settle(job, error)
            except (OSError, MemoryError) as error:
                self._recount(job, tries)
                self._postpone(job, error)
            except Exception:
                _log.exception("submission %s", job.entry.digest)
                if self._ending.is_set():
                    self._recount(job, tries)
                else:
                    self._settle(job, ServiceError("internal error; it can be submitted again"))

    def _postpone(self, job: Job, error: Exception) -> None:
        """Try again later: nothing was decided, or it was and is on the log, which is asked first.

        What was taken is kept until the rules or the verifier have said something of it.
        """
        _log.error("submission %s waits: %s", job.entry.digest, error)
        job.status = "queued"
        asyncio.get_running_loop().call_later(_PAUSE_SECONDS, self._queue.put_nowait, job)

    def _recount(self, job: Job, tries: int) -> None:
        """Take back a try that the proof had no part in."""
        job.tries = tries
        with contextlib.suppress(StorageFailed):
            self._spool.begin(job.entry.digest, tries)

    async def _decide(self, job: Job) -> None:
        job.status = "verifying"
        # The rules again: while it waited, the budget may have been spent.
        placed, pins = await self._book.admit(job.entry)
        if placed is None:
            # What was found out is kept, should it not be possible to log it just now.
            if job.found is None or job.found[0] != pins:
                job.found = pins, await self._verify(job, pins)
            placed = await self._book.log(job, pins, job.found[1])
        self._accept(job, placed)

    async def _verify(self, job: Job, pins: Any) -> Any:
        bundle = await self._book.bundle(job.entry)
        if bundle is None:
            raise MissingBlob("the bundle of this submission is gone; put it again")
        if job.tries >= _TRIES:
            raise WorkerFailed("the service did not survive the verification of this proof")
        job.bundle = bundle
        job.tries += 1
        self._spool.begin(job.entry.digest, job.tries)
        begun = time.monotonic()
        loop = asyncio.get_running_loop()
        outcome: Any
        try:
            outcome = await loop.run_in_executor(
                self.workers.threads, self.workers.run, self._book.task(job, pins)
            )
        except JobFailed as failed:
            outcome = failed
        self._seconds += (time.monotonic() - begun - self._seconds) / 4
        return outcome

    def _accept(self, job: Job, placed: Placed) -> None:
        job.index, job.credited = placed.index, placed.credited
        self._end(job, "accepted")

    def _settle(self, job: Job, error: ZkpotError) -> None:
        job.code = error.failed.code if isinstance(error, JobFailed) else error.code
        job.message = error.message
        job.final = isinstance(error, ProofRejected)
        self._end(job, "refused")

    def _end(self, job: Job, status: Status) -> None:
        digest, author = job.entry.digest, job.entry.signer
        job.status = status
        self._remember(job)
        self._spool.leave(digest)
        # After a refusal that may pass, the bundle need not be put again.
        if not job.open_again:
            self._spool.discard(author, _body(job.entry).bundle)
        if self._authors.get(author) == digest:
            del self._authors[author]
        job.decided.set()

    def _remember(self, job: Job) -> None:
        self._jobs[job.entry.digest] = job
        self._jobs.move_to_end(job.entry.digest)
        if len(self._jobs) > _REMEMBERED:
            for digest, old in self._jobs.items():
                if old.over:
                    del self._jobs[digest]
                    break

    async def stop(self, seconds: float) -> None:
        """Stop: nothing new is begun, what is at work may finish in time, the rest is kept."""
        self._ending.set()
        # Jobs at work have their consumers; the others stay on disk.
        while not self._queue.empty():
            self._queue.get_nowait()
        working = [j for j in self._jobs.values() if j.status == "verifying"]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for job in working:
                    await job.decided.wait()
        await asyncio.to_thread(self.workers.stop)
        for consumer in self._consumers:
            consumer.cancel()
        await asyncio.gather(*self._consumers, return_exceptions=True)


def _body(entry: SignedEntry) -> ProofSubmit:
    if not isinstance(entry.body, ProofSubmit):
        raise MalformedEntry(f"a {entry.body.type} entry is no submission")
    return entry.body
