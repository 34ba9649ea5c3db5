"""Proves shards on the workers of a dask.distributed cluster.

Who sees the secrets: the scheduler and its workers, in the clear, and whoever may connect to them,
since dask lets every client run code there. So nothing is sent unless the caller says so. In turn
the cluster's answers are pickles, which can run code here: use a cluster of your own, over TLS.

How they travel: a `ShardWork` is an argument of its task, and not scattered data.

* Arguments stay in memory, at the scheduler and at one worker, until the task is forgotten, and
  only the shards at work are there. Scattered data is a result to dask, which it may write to disk
  in the clear when a worker's memory is full.
* Scattered data is lost with its worker. A task is run again by the scheduler, which has it.
* Who controls the scheduler tells the workers what to run: to keep it from there saves nothing.

dask's logs, dashboard and state dumps quote a task's key, arguments and exception. The key is
random, and no hash of a secret; `ShardWork` shows the number of its shard only; and errors are
returned, not raised.

A worker may die after it made a proof and before it handed it over; then a second proof is made of
one counted opening. Only one of them leaves the cluster. They share no randomness: `prove_shard`
draws it from the operating system, and nothing of it is in a `ShardWork`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from circuits.errors import InputError, OutOfMemory, WorkerFailed, ZkpotError
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.plan import estimate
from prover.shard_proof import ShardProof
from prover.sumcheck.cluster_worker import about, prove_work, release
from prover.sumcheck.work import ShardWork

CONNECT_SECONDS = 10.0
"""How long to wait for the scheduler, and then for its first worker."""
LONELY_SECONDS = 60.0
"""How long a cluster may be without a worker; one that is started again takes seconds."""

_LARGE_GRAPH = "distributed.admin.large-graph-warning-threshold"
_LOOK_SECONDS = 5.0
"""Time between two looks whether there are workers."""
_CLOSE_SECONDS = 5.0


class Cluster:
    """A `prover.sumcheck.session.Runner` on the workers of a cluster; made by `connect`.

    Parameters
    ----------
    client : distributed.Client
    workers : int
    memory : int
        Bytes that the worker with the least may use; 0 if there is no limit.
    """

    def __init__(self, client: Any, workers: int, memory: int) -> None:
        self.workers = workers
        self.memory = memory
        self._client = client
        self._running: set[Any] = set()
        self._lock = threading.Lock()

    def jobs(self, circuit: Circuit, shards: int, wanted: int | None = None) -> int:
        """Return how many shards to prove at a time: by default one on each worker.

        Raises
        ------
        OutOfMemory
            If a worker has not the memory for one.
        InputError
            If less than one is wanted.
        """
        if wanted is not None and wanted < 1:
            raise InputError(f"there must be at least one job, not {wanted}")
        needed = estimate(circuit.relation).peak_bytes
        if self.memory and needed > self.memory:
            # dask would kill one worker after the other.
            raise OutOfMemory(
                f"a shard takes {needed >> 20} MB, and a worker may use {self.memory >> 20} MB: "
                "give the workers a larger --memory-limit, or have the test set committed for "
                "less memory (commit-data --memory)",
                needed=needed,
                available=self.memory,
            )
        return min(wanted or self.workers, shards)

    def prove(self, work: ShardWork, stop: threading.Event) -> ShardProof:
        """Prove a shard on whichever worker has nothing to do.

        If the worker dies, the scheduler has another do it, up to its `allowed-failures`.

        Raises
        ------
        WorkerFailed
            If it could not be proven, all workers died, the scheduler is gone, or it was stopped.
        """
        from distributed import KilledWorker

        name = f"shard {work.public.shard}"
        future = None
        try:
            future = self._submit(work, stop)
            self._wait(future, name)
            found = future.result()
        except KilledWorker as error:
            reason = f"{error.allowed_failures + 1} worker(s) died proving it"
        except CancelledError:
            reason = "proving was stopped" if stop.is_set() else "the connection was lost"
        except ZkpotError:
            raise
        except Exception as error:
            # Its message was made elsewhere, of who knows what.
            reason = f"the cluster failed with {type(error).__name__}"
        else:
            if isinstance(found, ShardProof):
                return found
            reason = str(found)
        finally:
            if future is not None:
                with self._lock:
                    self._running.discard(future)
                self._forget([future])
        raise WorkerFailed(f"{name}: {reason}", shard=work.public.shard)

    def kill(self) -> None:
        """Give up all shards at work.

        The scheduler forgets them at once. A thread cannot be ended, so a worker goes on with the
        shard it has until that is proven, and its proof is dropped.
        """
        with self._lock:
            running = list(self._running)
        self._forget(running)

    def _submit(self, work: ShardWork, stop: threading.Event) -> Any:
        with self._lock:
            if stop.is_set():
                raise WorkerFailed("proving was stopped")
            future = self._client.submit(
                prove_work, work, release(), key=f"zkpot-{secrets.token_hex(16)}", pure=False
            )
            self._running.add(future)
            return future

    def _forget(self, futures: list[Any]) -> None:
        """Have the scheduler forget tasks and their secrets now, whatever else refers to them."""
        # A scheduler that lost its client has forgotten them already.
        with contextlib.suppress(Exception):
            if futures:
                self._client.cancel(futures)

    def _wait(self, future: Any, name: str) -> None:
        """Wait for a shard, but not for workers that never come."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        seen = time.monotonic()
        while not done.wait(_LOOK_SECONDS):
            if self._client.nthreads():
                seen = time.monotonic()
            elif time.monotonic() - seen > LONELY_SECONDS:
                raise WorkerFailed(f"{name}: the cluster has had no worker for {LONELY_SECONDS} s")


@contextmanager
def connect(address: str, *, send_secrets: bool) -> Iterator[Cluster]:
    """Connect to a cluster; left, all that is at work there is given up.

    Parameters
    ----------
    address : str
        The scheduler's, such as ``tls://host:8786``. Certificates come from dask's configuration.
    send_secrets : bool
        Whether the secrets of test set and model may be sent there.

    Raises
    ------
    InputError
        If secrets may not be sent, `distributed` is not installed, nothing answers, there is no
        worker, or the release of zkpot is another one there.
    """
    if not send_secrets:
        raise InputError(
            f"proving on {address} sends the samples, labels, weights and commitment seeds there, "
            "where the scheduler, the workers and whoever can connect to them can read them: "
            "allow it with --send-secrets",
            cluster=address,
        )
    try:
        import dask
        from distributed import Client, Security
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed: this needs the extra, pip install 'zkpot[cluster]'"
        ) from None
    # A shard of large images is more than dask likes in a task; it would say so for each.
    with _quiet_client(), dask.config.set({_LARGE_GRAPH: "1 TB"}):
        security = Security()  # of dask's configuration
        try:
            # On a loop of its own, as the caller's thread may have one.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, _reach(address, security)).result()
            client = Client(
                address, timeout=CONNECT_SECONDS, security=security, set_as_default=False
            )
        except Exception as error:  # dask raises many kinds
            raise InputError(
                f"no dask scheduler answers at {address}: {str(error) or 'it is silent'}",
                cluster=address,
            ) from None
        try:
            cluster = _examine(client, address)
            try:
                yield cluster
            finally:
                cluster.kill()
        finally:
            # Where the scheduler is gone there is no good-bye to wait for.
            with contextlib.suppress(OSError):
                client.close(timeout=_CLOSE_SECONDS)


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Keep dask's client from logging: a lost connection is an error of ours, and one line."""
    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


async def _reach(address: str, security: Any) -> None:
    """Ask who answers at an address, and raise what goes wrong.

    A Client that cannot connect may hang: it waits for ever for what is no scheduler, and its
    clean-up, at some later collection of garbage, can stop the loop of another.
    """
    from distributed import rpc

    arguments = security.get_connection_args("client")
    async with rpc(address, timeout=CONNECT_SECONDS, connection_args=arguments) as peer:
        # Later than the time-out to connect, which says more.
        found = await asyncio.wait_for(peer.identity(), 1.5 * CONNECT_SECONDS)
    if found["type"] != "Scheduler":
        raise ValueError(f"it is a {found['type']}")


def _examine(client: Any, address: str) -> Cluster:
    """Return the cluster, all of it being of our release: the scheduler reads the tasks too."""
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        scheduler = client.run_on_scheduler(about)
    except TimeoutError:
        raise InputError(f"the cluster at {address} has no workers", cluster=address) from None
    except Exception as error:
        scheduler = error
    workers = client.run(about, on_error="return")
    everyone = {"the scheduler": scheduler} | {f"worker {at}": it for at, it in workers.items()}
    for name, found in everyone.items():
        theirs = found.get("release") if isinstance(found, dict) else f"none ({found})"
        if theirs != release():
            raise InputError(
                f"{name} at {address} has another release of zkpot than this machine: "
                f"{theirs}, not {release()}",
                cluster=address,
            )
    limits = [found["memory"] for found in workers.values() if found["memory"]]
    return Cluster(client, len(workers), min(limits, default=0))
