"""Processes that verify proofs, so that a proof can take down no more than one of them.

A worker lives on from job to job: it takes seconds to start, and keeps what it has compiled and
which test sets it found well-formed. One that crashes, takes too long or too much memory is
killed, which fails the job it had, by name, and nothing else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from circuits.errors import OutOfMemory, WorkerFailed, ZkpotError
from ledger.service.config import Verification

_READY = "ready"
_START_SECONDS = 120.0
# Also how often memory is looked at; an answer is seen at once.
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Failed:
    """An error as it travels between processes: the errors' constructors differ.

    Attributes
    ----------
    code, message : str
        The error's own.
    """

    code: str
    message: str


class JobFailed(ZkpotError):
    """A job raised an error of ours in its worker.

    Parameters
    ----------
    failed : Failed
        The error's code and message.
    """

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


Handler = Callable[[Any], Any]
Factory = Callable[[], Handler]


class _Worker:
    """One process, and the pipe to it; for one thread at a time."""

    def __init__(self, factory: Factory, limits: Verification, stop: threading.Event) -> None:
        self._factory = factory
        self._limits = limits
        self._stop = stop
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def run(self, job: Any) -> Any:
        try:
            pipe = self._started()
            pipe.send(job)
            found = self._answer(pipe, self._limits.seconds)
        except (BrokenPipeError, ConnectionResetError):
            raise self._ended() from None
        except BaseException:
            self.kill()
            raise
        if isinstance(found, Failed):
            raise JobFailed(found)
        return found

    def kill(self) -> None:
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process is not None:
            _kill_tree(process)
        if pipe is not None:
            pipe.close()

    def _started(self) -> Connection:
        if self._pipe is not None and self._process is not None and self._process.is_alive():
            return self._pipe
        self.kill()
        # A forked process would inherit threads that no longer run.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=_child, args=(theirs, self._factory), daemon=True)
        process.start()
        self._process = process
        theirs.close()
        found = self._answer(self._pipe, _START_SECONDS)
        if found != _READY:
            raise WorkerFailed(f"a verifying process did not start: {found}")
        return self._pipe

    def _answer(self, pipe: Connection, seconds: float) -> Any:
        process, end = self._process, time.monotonic() + seconds
        assert process is not None
        try:
            while not pipe.poll(_POLL_SECONDS):
                if self._stop.is_set():
                    raise WorkerFailed("the service stops")
                if time.monotonic() > end:
                    raise WorkerFailed(f"verification did not finish within {seconds:.0f} s")
                if (used := _memory(process)) > self._limits.memory:
                    raise OutOfMemory(f"verification took {used} bytes, of {self._limits.memory}")
            return pipe.recv()
        except EOFError:
            raise self._ended() from None

    def _ended(self) -> WorkerFailed:
        process = self._process
        if process is not None:
            process.join(1)
        self.kill()
        status = None if process is None else process.exitcode
        return WorkerFailed(f"the verifying process ended with status {status}")


class Workers:
    """So many workers, each of which does one job at a time.

    Parameters
    ----------
    factory : callable
        Run in each process as it starts; returns what does the jobs. It, the jobs and what
        comes back are pickled.
    limits : Verification
        How many, and what each may use.
    """

    def __init__(self, factory: Factory, limits: Verification) -> None:
        self._stop = threading.Event()
        self._workers = [_Worker(factory, limits, self._stop) for _ in range(limits.workers)]
        self._idle = list(self._workers)
        self._lock = threading.Lock()
        self.threads = ThreadPoolExecutor(limits.workers, thread_name_prefix="verify")

    def run(self, job: Any) -> Any:
        """Do a job, in one of `threads`.

        Raises
        ------
        JobFailed
            With what the job itself raised.
        WorkerFailed
            If its process crashed or took too long, or the workers were stopped.
        OutOfMemory
            If it took too much memory.
        """
        if self._stop.is_set():
            raise WorkerFailed("the service stops")
        with self._lock:
            worker = self._idle.pop()
        try:
            return worker.run(job)
        finally:
            with self._lock:
                self._idle.append(worker)

    def stop(self) -> None:
        """Kill all processes; jobs that are at work fail."""
        self._stop.set()
        self.threads.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.kill()


def _memory(process: BaseProcess) -> int:
    """Return the resident bytes of a process and its children."""
    total = 0
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        for member in (parent, *parent.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += member.memory_info().rss
    return total


def _kill_tree(process: BaseProcess) -> None:
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    process.kill()
    process.join()


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, however that came about."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _child(pipe: Connection, factory: Factory) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Signals to the whole group are for the service, which says when a job is over.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Where memory runs out all the same, this one is to go and not the service.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        handler = factory()
    except ZkpotError as error:
        pipe.send(Failed(error.code, error.message))
        return
    pipe.send(_READY)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(handler(job))
        except ZkpotError as error:
            pipe.send(Failed(error.code, error.message))
