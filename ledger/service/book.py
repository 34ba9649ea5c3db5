"""What the service asks of the ledger, each question as one turn on the ledger's thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from circuits.bundle import MAX_BYTES as BUNDLE_BYTES
from circuits.encoding import read_bytes
from circuits.errors import ProofRejected
from ledger.embedded.blobs import BLOBS
from ledger.embedded.store import Refusal
from ledger.entries import NOTHING, ProofSubmit, Slash
from ledger.envelope import SignedEntry
from ledger.errors import MalformedEntry, NoFault
from ledger.ledger import Ledger
from ledger.records import Accepted, InvalidReveal, TaskPins
from ledger.service import views
from ledger.service.catalogue import Catalogue, Kind
from ledger.service.config import Limits
from ledger.service.errors import InFlight, NotFound
from ledger.service.jobs import Job, Placed
from ledger.service.keeper import Keeper
from ledger.service.room import require_documents, require_free, require_room
from ledger.service.schemas import Entries, EntryInfo, ReleaseInfo, TaskInfo
from ledger.service.spool import Spool
from ledger.service.tracing import follow_back
from ledger.service.verify import Job as VerifyJob
from ledger.service.verify import Outcome, Reveal
from ledger.service.workers import JobFailed, Workers
from ledger.state import State
from ledger.tlog.receipt import Receipt
from verifier.verdict import Check, Verdict

T = TypeVar("T")

_TURN = 50
_ANSWER_BYTES = 4 << 20


class Book:
    """The ledger as the service sees it.

    Parameters
    ----------
    keeper : Keeper
        Its thread.
    spool : Spool
        Where blobs are that no entry names yet.
    folder : Path
        The ledger's folder.
    grown : callable
        Called when it has new entries.
    limits : Limits
        What entries may name.

    Attributes
    ----------
    workers : Workers or None
        Where files of strangers are looked at, once they run.
    """

    def __init__(
        self,
        keeper: Keeper,
        spool: Spool,
        folder: Path,
        grown: Callable[[], None],
        limits: Limits,
    ) -> None:
        self._keeper = keeper
        self._spool = spool
        self._folder = folder
        self._grown = grown
        self._limits = limits
        self._catalogue = Catalogue()
        self._tracing = asyncio.Lock()
        self._honest: set[tuple[str, str]] = set()
        self._screening: set[str] = set()
        self.workers: Workers | None = None

    async def _look(self, work: Callable[[Ledger, Catalogue], T], *, write: bool = False) -> T:
        def turn(ledger: Ledger) -> T:
            self._catalogue.refresh(ledger)
            return work(ledger, self._catalogue)

        return await self._keeper.run(turn, write=write)

    async def entries(self, start: int, count: int) -> Entries:
        """Return some entries: at least one if there is any, and not many that are large."""
        listed: list[EntryInfo] = []
        left = _ANSWER_BYTES
        size = (await self._keeper.state()).size
        while left > 0 and start + len(listed) < min(size, start + count):
            # In turns, so that others have theirs.
            index = start + len(listed)
            number = min(_TURN, min(size, start + count) - index)
            for info in await self._keeper.run(partial(_infos, index, number)):
                listed.append(info)
                left -= len(info.data)
                if left <= 0:
                    break
        return Entries(size=size, entries=listed)

    async def checkpoint(self) -> str:
        """Return the newest checkpoint, signed by the log alone."""
        return await self._keeper.run(lambda ledger: ledger.checkpoint())

    async def receipt(self, index: int) -> str:
        """Return the receipt of an entry, always the same one."""
        return await self._keeper.run(lambda ledger: ledger.receipt(index).encode())

    async def receipt_under(self, index: int, size: int, note: str) -> str:
        """Return the receipt of an entry under a given checkpoint."""

        def make(ledger: Ledger) -> str:
            proof = ledger.inclusion(index, size)
            return Receipt(index, ledger.entry(index).encode(), tuple(proof), note).encode()

        return await self._keeper.run(make)

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return an inclusion proof."""

        def prove(ledger: Ledger) -> list[bytes]:
            if not index < size <= ledger.state.size:
                raise NotFound(f"there is no entry {index} among {size}")
            return ledger.inclusion(index, size)

        return await self._keeper.run(prove)

    async def consistency(self, old: int, new: int) -> list[bytes]:
        """Return a consistency proof."""

        def prove(ledger: Ledger) -> list[bytes]:
            if not old <= new <= ledger.state.size:
                raise NotFound(f"there are no sizes {old} and {new}")
            return ledger.consistency(old, new)

        return await self._keeper.run(prove)

    async def describe_task(self, task: str) -> TaskInfo | None:
        """Describe a task, or return None."""

        def describe(ledger: Ledger, catalogue: Catalogue) -> TaskInfo | None:
            state = ledger.state
            found = state.tasks.get(task)
            return None if found is None else views.task_info(state, found, catalogue)

        return await self._look(describe)

    async def page(self, kind: Kind, after: str, count: int) -> tuple[State, list[str]]:
        """Return the state, and a page of the names of its things of a kind."""
        return await self._look(
            lambda ledger, catalogue: (ledger.state, catalogue.page(kind, after, count))
        )

    async def author(self, key: str) -> tuple[State, str | None]:
        """Return the state, and the identity whose present key is `key`."""
        return await self._look(lambda ledger, catalogue: (ledger.state, catalogue.author(key)))

    async def releases(self, after: str, count: int) -> list[ReleaseInfo]:
        """Describe a page of released models."""

        def describe(ledger: Ledger, catalogue: Catalogue) -> list[ReleaseInfo]:
            state, names = ledger.state, catalogue.page("releases", after, count)
            return [views.release_info(state, name, catalogue.place(name) or 0) for name in names]

        return await self._look(describe)

    async def trace(self, model: str) -> dict[str, Any]:
        """Follow a model back to where it comes from.

        Raises
        ------
        UnknownRelease, AmbiguousRelease, TraceTooLarge
            If it cannot be followed.
        """
        # One at a time, since each reads the whole log.
        async with self._tracing:
            return await follow_back(self._keeper, self._folder, model)

    def blob_path(self, digest: str) -> Path:
        """Return the file of a blob that the ledger has, or would have."""
        return self._folder / BLOBS / digest

    async def refusals(self, count: int) -> list[Refusal]:
        """Return the newest refusals, oldest first."""
        return await self._keeper.run(lambda ledger: ledger.refusals(count))

    async def has_blob(self, digest: str) -> bool:
        """Tell whether the ledger has a blob."""
        return await asyncio.to_thread(self.blob_path(digest).is_file)

    async def placed_proof(self, digest: str) -> Placed | None:
        """Return where the submission of a digest is, or None."""

        def find(ledger: Ledger, catalogue: Catalogue) -> Placed | None:
            index = catalogue.place(digest)
            if index is None or not isinstance(ledger.entry(index).body, ProofSubmit):
                return None
            return _placed(ledger, index)

        return await self._look(find)

    async def proofs(self, signer: str, bundle: str) -> list[tuple[str, Placed]]:
        """Return digest and place of the submissions of a bundle by an identity."""

        def find(ledger: Ledger, catalogue: Catalogue) -> list[tuple[str, Placed]]:
            return [
                (ledger.entry(index).digest, _placed(ledger, index))
                for index in catalogue.proofs(signer, bundle)
            ]

        return await self._look(find)

    async def append(self, entry: SignedEntry) -> Receipt:
        """Append an entry, with those of its blobs that its author has put."""
        body, names = entry.body, list(entry.body.blobs)
        if isinstance(body, Slash) and body.blob != NOTHING:
            names.append(body.blob)
            await self._screen(entry, body)
        sizes = self._spool.sizes(entry.signer, entry.body.blobs)
        if sizes:
            require_documents(entry, sizes, self._limits)
            require_free(self._folder, self._limits)
            await self._look(
                lambda _, catalogue: require_room(entry, sizes, self._limits, catalogue), write=True
            )
        blobs = await asyncio.to_thread(self._spool.read, entry.signer, names)
        receipt = await self._keeper.append(entry, blobs)
        for name in names:
            self._spool.discard(entry.signer, name)
        self._grown()
        return receipt

    async def _screen(self, entry: SignedEntry, body: Slash) -> None:
        """Look at a file that is said to open nothing, where that can harm nobody.

        The ledger looks at it once more itself; what gets so far is indeed bad, and costs
        somebody a bond, which happens once.
        """
        found = self._spool.find(entry.signer, body.blob)
        if found is None or self.workers is None:
            return
        if (body.subject, body.blob) in self._honest:
            raise NoFault("the file does open the test set")
        if entry.signer in self._screening:
            raise InFlight("another file of yours is being looked at")

        def ask(ledger: Ledger) -> str:
            state = ledger.state
            ledger.check(entry, InvalidReveal(body.blob))
            return state.testsets[state.task(body.subject).terms.testset].terms.manifest

        self._screening.add(entry.signer)
        try:
            job = Reveal(self.blob_path(await self._keeper.run(ask)), found)
            loop = asyncio.get_running_loop()
            bad = await loop.run_in_executor(self.workers.threads, self.workers.run, job)
        except JobFailed as error:
            raise NoFault(f"the file cannot be looked at: {error.message}") from None
        finally:
            self._screening.discard(entry.signer)
        if not bad:
            self._honest.add((body.subject, body.blob))
            raise NoFault("the file does open the test set")

    # What the queue asks.

    async def admit(self, entry: SignedEntry) -> tuple[Placed | None, TaskPins | None]:
        """Ask the rules about a submission; see `jobs.Book`."""
        body = _proof(entry)
        sizes = self._spool.sizes(entry.signer, body.blobs)

        def ask(ledger: Ledger, catalogue: Catalogue) -> tuple[Placed | None, TaskPins | None]:
            index = catalogue.place(entry.digest)
            if index is not None and ledger.entry(index) == entry:
                return _placed(ledger, index), None
            state = ledger.state
            ledger.check(entry, Accepted.claimed_by(body))
            require_room(entry, sizes, self._limits, catalogue)
            return None, state.pins(body.task, body.round, entry.signer)

        return await self._look(ask, write=True)

    async def bundle(self, entry: SignedEntry) -> Path | None:
        """Return the file of the bundle that an entry names, or None."""
        name = _proof(entry).bundle
        found = self._spool.find(entry.signer, name)
        if found is None:
            logged = self.blob_path(name)
            return logged if logged.is_file() else None
        return found

    def task(self, job: Job, pins: TaskPins) -> VerifyJob:
        """Return what a worker is to do."""
        return VerifyJob(job.bundle, BUNDLE_BYTES, pins)

    async def log(self, job: Job, pins: TaskPins, outcome: Outcome | JobFailed) -> Placed:
        """Log a verified proof, or record why it is refused; see `jobs.Book`."""
        if isinstance(outcome, JobFailed):
            raise outcome

        def write(ledger: Ledger) -> Placed:
            def verdict(_: bytes, wanted: TaskPins) -> Verdict:
                accepted = outcome.require()
                if wanted != pins:
                    raise ProofRejected("task", "the task is another than was verified")
                check = Check("worker", True)
                return Verdict(accepted.statement, (check,), None, accepted.srs_insecure)

            bundle = read_bytes(job.bundle, "bundle")
            receipt = ledger.submit(bundle, job.entry, verdict)
            return _placed(ledger, receipt.index)

        placed = await self._keeper.run(write, write=True)
        self._grown()
        return placed


def _infos(start: int, count: int, ledger: Ledger) -> list[EntryInfo]:
    state = ledger.state
    found = ledger.entries(start, count)
    return [views.entry_info(state, index, entry) for index, entry in enumerate(found, start)]


def _placed(ledger: Ledger, index: int) -> Placed:
    return Placed(index, ledger.state.credits.get(index, 0))


def _proof(entry: SignedEntry) -> ProofSubmit:
    if not isinstance(entry.body, ProofSubmit):
        raise MalformedEntry(f"a {entry.body.type} entry is no submission")
    return entry.body
