"""Proves shards in processes of their own, which can be killed at any time."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from circuits.errors import WorkerFailed, ZkpotError
from prover.shard_proof import ShardProof
from prover.sumcheck.work import ShardWork


class Processes:
    """Proves each shard in a fresh process.

    Parameters
    ----------
    threads : int
        Threads of each process.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._running: set[BaseProcess] = set()
        self._lock = threading.Lock()

    def prove(self, work: ShardWork, stop: threading.Event) -> ShardProof:
        """Prove a shard.

        Raises
        ------
        WorkerFailed
            If the process failed, was killed, or was not to be started any more.
        """
        # A forked process would inherit threads that no longer run.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_child, args=(theirs, self._threads), daemon=True)
        with self._lock:
            if stop.is_set():
                raise WorkerFailed("proving was stopped")
            process.start()
            self._running.add(process)
        theirs.close()
        try:
            # Not as an argument: what is larger than a pipe would be waited for under the lock,
            # and for ever if the process died before it read it.
            ours.send(work)
            found = ours.recv()
        except (EOFError, OSError):
            process.join()
            raise WorkerFailed(
                f"shard {work.public.shard}: the proving process ended with status "
                f"{process.exitcode}",
                shard=work.public.shard,
            ) from None
        finally:
            ours.close()
            with self._lock:
                self._running.discard(process)
        process.join()
        if isinstance(found, str):
            raise WorkerFailed(f"shard {work.public.shard}: {found}", shard=work.public.shard)
        assert isinstance(found, ShardProof)
        return found

    def kill(self) -> None:
        """End all processes at work."""
        with self._lock:
            for process in self._running:
                process.kill()


def _end_with_parent() -> None:
    """End this process when the one that started it has ended, however that came about."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    # Whoever proves again must not share memory and cores with a proof that nobody waits for.
    os._exit(1)


def _child(pipe: Connection, threads: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work: ShardWork = pipe.recv()
    try:
        pipe.send(work.prove(threads))
    except ZkpotError as error:
        # As text: the errors' constructors differ, so that not all can be sent.
        pipe.send(f"[{error.code}] {error.message}")
