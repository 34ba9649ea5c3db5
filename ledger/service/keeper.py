"""The one thread that touches the log.

Reads and writes take turns on it, so that no answer is about half a commit. Writes go first: no
number of readers keeps an entry from the log. Entries that arrive while one commit is on its way
to the disk share the next: one fsync for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from queue import PriorityQueue
from threading import Thread
from typing import Any, TypeVar

from circuits.errors import ZkpotError
from ledger.envelope import SignedEntry
from ledger.ledger import Ledger
from ledger.service.errors import QueueFull, Stopping
from ledger.state import State
from ledger.tlog.receipt import Receipt

T = TypeVar("T")

_BATCH = 128
_MOST_PENDING = 1024
_RETRY_SECONDS = 2.0
_FIRST, _LATER = 0, 1

Item = tuple[SignedEntry, tuple[bytes, ...]]


class Keeper:
    """Keeps a ledger open in a thread of its own.

    Parameters
    ----------
    open_ledger : callable
        Opens it, in that thread.
    """

    def __init__(self, open_ledger: Callable[[], Ledger]) -> None:
        self._open = open_ledger
        self._waiting: PriorityQueue[_Turn] = PriorityQueue()
        self._order = count()
        self._thread = Thread(target=self._work, name="ledger", daemon=True)
        self._ledger: Ledger | None = None
        self._pending: list[tuple[Item, asyncio.Future[Receipt]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._closed = False

    def _work(self) -> None:
        while (turn := self._waiting.get()).work is not None:
            if turn.done.set_running_or_notify_cancel():
                try:
                    turn.done.set_result(turn.work())
                except BaseException as error:
                    turn.done.set_exception(error)

    async def _turn(self, work: Callable[[], T], priority: int) -> T:
        done: Future[T] = Future()
        self._waiting.put(_Turn(priority, next(self._order), work, done))
        return await asyncio.wrap_future(done)

    async def start(self) -> None:
        """Open the ledger and replay it."""

        def begin() -> None:
            self._ledger = self._open()
            _ = self._ledger.state

        self._thread.start()
        await self._turn(begin, _FIRST)

    async def run(self, work: Callable[[Ledger], T], *, write: bool = False) -> T:
        """Return what `work` makes of the ledger; a write goes before all reads that wait."""

        def call() -> T:
            assert self._ledger is not None
            return work(self._ledger)

        if self._closed:
            raise Stopping("the service stops", _RETRY_SECONDS)
        return await self._turn(call, _FIRST if write else _LATER)

    async def state(self) -> State:
        """Return what the log amounts to now."""
        return await self.run(lambda ledger: ledger.state)

    async def append(self, entry: SignedEntry, blobs: tuple[bytes, ...]) -> Receipt:
        """Append an entry, in one commit with whatever else is waiting.

        Raises
        ------
        EntryRefused, MissingBlob
            As `Ledger.append`; the others of the commit are not concerned.
        QueueFull
            If too many entries wait.
        """
        if self._closed:
            raise Stopping("the service stops", _RETRY_SECONDS)
        if len(self._pending) >= _MOST_PENDING:
            raise QueueFull("too many entries wait to be written", _RETRY_SECONDS)
        done: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._pending.append(((entry, blobs), done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        # Who gives up waiting does not undo what is on its way.
        return await asyncio.shield(done)

    async def _flush(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:_BATCH], self._pending[_BATCH:]
                try:
                    work = partial(_append, [item for item, _ in batch])
                    results = await self.run(work, write=True)
                except Exception as error:
                    for _, done in batch:
                        done.set_exception(error)
                    continue
                for (_, done), result in zip(batch, results, strict=True):
                    if isinstance(result, Receipt):
                        done.set_result(result)
                    else:
                        done.set_exception(result)
                    # Whoever asked may have gone; the outcome was not for nobody.
                    done.exception()
        finally:
            self._flushing = None

    async def close(self) -> None:
        """Write what waits, then close the ledger."""
        if self._flushing is not None:
            await asyncio.wait({self._flushing})
        self._closed = True

        def end() -> None:
            if self._ledger is not None:
                self._ledger.close()

        if self._thread.is_alive():
            await self._turn(end, _LATER)
            self._waiting.put(_Turn(_LATER, next(self._order), None, Future()))
            await asyncio.to_thread(self._thread.join)


@dataclass(order=True)
class _Turn:
    priority: int
    number: int
    work: Callable[[], Any] | None = field(compare=False)
    done: Future[Any] = field(compare=False)


def _append(items: list[Item], ledger: Ledger) -> list[Receipt | ZkpotError]:
    return ledger.append_many(items)
