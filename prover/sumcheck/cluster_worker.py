"""What runs on the workers of a cluster; `prover.sumcheck.cluster` says what may be seen of it."""

from __future__ import annotations

import threading
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from circuits.errors import ZkpotError
from circuits.sumcheck.circuit import PROTOCOL
from prover.shard_proof import ShardProof
from prover.sumcheck.work import ShardWork

_alone = threading.Lock()
"""Held by the shard that is proven in this process: one uses all threads of a worker."""


def release() -> str:
    """Return what must be the same everywhere, for the tasks and what is in them to be."""
    try:
        package = version("zkpot")
    except PackageNotFoundError:
        package = "unknown"
    return f"{package}, protocol {PROTOCOL}"


def about(dask_worker: Any = None) -> dict[str, Any]:
    """Say what this is, as a mapping, which every release can read.

    dask fills the parameter, by its name, with the worker, or with the scheduler.
    """
    manager = getattr(dask_worker, "memory_manager", None)
    return {"release": release(), "memory": getattr(manager, "memory_limit", None) or 0}


def prove_work(work: ShardWork, expected: str) -> ShardProof | str:
    """Prove a shard on the threads of this worker, or return why not: dask logs what is raised."""
    from distributed import get_worker

    try:
        if expected != release():  # a worker that came later
            return f"a worker has zkpot {release()}, not {expected}"
        with _alone:
            return work.prove(get_worker().state.nthreads)
    except ZkpotError as error:
        return f"[{error.code}] {error.message}"
    except Exception as error:
        return f"the worker failed with {type(error).__name__}"
