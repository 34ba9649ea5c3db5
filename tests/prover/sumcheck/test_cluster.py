"""Shards on a dask cluster: all that may go wrong there, and what must not be seen there."""

from __future__ import annotations

import importlib
import os
import pickle
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from circuits.errors import InputError, OutOfMemory, WorkerFailed
from prover.budget import OpeningCounter
from prover.session import prove_testset
from prover.shard_proof import ShardProof
from prover.sumcheck import cluster as module
from prover.sumcheck import cluster_worker, session
from prover.sumcheck.cluster import Cluster, connect
from prover.sumcheck.work import ShardWork
from tests.prover.sumcheck.cluster_works import (
    SECRET,
    Deadly,
    Held,
    HeldOnce,
    Noted,
    Raising,
)
from tests.sumcheck_world import World, make_world, openings_in
from verifier.verify import verify_bundle
from zkpot.backends.base import ProveSettings
from zkpot.backends.sumcheck import Sumcheck

distributed = pytest.importorskip("distributed", reason="pip install 'zkpot[cluster]'")
dask = importlib.import_module("dask")

WORKERS = 2
NOWHERE = "tcp://127.0.0.1:1"


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    """Two workers of two threads, over TLS."""
    security = distributed.Security.temporary()
    keys = security.get_tls_config_for_role("client")
    prefix = "distributed.comm.tls."
    configuration = {
        prefix + "ca-file": keys["ca_file"],
        prefix + "client.cert": keys["cert"],
        prefix + "client.key": keys["key"],
    }
    with (
        dask.config.set(configuration),
        distributed.LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=2,
            processes=True,
            dashboard_address=":0",
            security=security,
        ) as made,
    ):
        yield made


@pytest.fixture
def cluster(local: Any) -> Iterator[Cluster]:
    local.wait_for_workers(WORKERS)  # one may have been killed
    with connect(local.scheduler_address, send_secrets=True) as made:
        yield made


@pytest.fixture
def works(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ShardWork]:
    """What a job would hand to a runner."""
    found: list[ShardWork] = []

    class Catch:
        def prove(self, work: ShardWork, stop: threading.Event) -> Any:
            found.append(work)

        def kill(self) -> None:
            """Do nothing."""

    job = replace(world.job(), runner=Catch())
    for shard in range(job.shards):
        job.prove(shard, tmp_path, threading.Event())
    return found


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def notes(folder: Path) -> dict[int, list[str]]:
    """Return what was noted, by the worker's process."""
    files = [path for path in folder.iterdir() if path.name.isdecimal()]
    return {int(path.name): path.read_text().splitlines() for path in files}


def prove(cluster: Cluster, work: ShardWork) -> ShardProof:
    return cluster.prove(work, threading.Event())


def test_a_killed_worker_is_replaced(
    world: World, local: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held_once(**parts: Any) -> ShardWork:
        work = ShardWork(**parts)
        return HeldOnce.of(work, tmp_path) if work.public.shard == 1 else work

    def kill_who_holds_it() -> None:
        until(lambda: ["held 1"] in notes(tmp_path).values())
        os.kill(next(iter(notes(tmp_path))), signal.SIGKILL)

    monkeypatch.setattr(session, "ShardWork", held_once)
    settings = ProveSettings(cluster=local.scheduler_address, send_secrets=True)
    openings = openings_in(tmp_path)
    parts = (world.manifest, world.opening, world.model, world.context.digest)
    with Sumcheck().job(world.circuit, *parts, settings) as job, ThreadPoolExecutor(1) as pool:
        assert job.jobs == WORKERS
        killed = pool.submit(kill_who_holds_it)
        bundle, report = prove_testset(job, openings, tmp_path / "run")
        killed.result()
    assert verify_bundle(bundle.encode(), world.expected()).accepted
    assert bundle.statement.shard_correct == world.counts
    assert report.proven == 3
    # The shard was begun twice, by two workers, and counted once: one proof of it got out.
    (first, second) = notes(tmp_path).values()
    assert sorted([first, second]) == [["begin 1", "end 1"], ["held 1"]]
    model, _ = job.uses(0)
    assert OpeningCounter(openings.model).used() == {model.commitment: 3}


def test_a_shard_that_kills_its_workers_is_given_up(
    cluster: Cluster, local: Any, works: list[ShardWork], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(local.scheduler, "allowed_failures", 0)
    with pytest.raises(WorkerFailed, match=r"^shard 1: 1 worker\(s\) died") as caught:
        prove(cluster, Deadly.of(works[1], tmp_path))
    assert caught.value.details == {"shard": 1}


def test_two_runs_of_one_shard_share_no_randomness(
    cluster: Cluster, works: list[ShardWork]
) -> None:
    here = pickle.loads(pickle.dumps(works[0])).prove()  # noqa: S301
    there = [prove(cluster, works[0]) for _ in range(2)]
    assert len({made.proof for made in (here, *there)}) == 3
    assert len({made.outputs for made in (here, *there)}) == 1
    # A proof begins with the root of its own commitment, which is to masks, pads and salts.
    assert len({made.proof[:32] for made in (here, *there)}) == 3


def test_a_worker_proves_one_shard_at_a_time(
    cluster: Cluster, works: list[ShardWork], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda work: prove(cluster, Noted.of(work, tmp_path)), works * 2))
    found = notes(tmp_path)
    assert sum(map(len, found.values())) == 12
    for lines in found.values():
        for begin, end in zip(lines[::2], lines[1::2], strict=True):
            assert (begin.split()[0], end.split()[0]) == ("begin", "end")
            assert begin.split()[1] == end.split()[1]


@contextmanager
def held(
    cluster: Cluster, works: list[ShardWork], folder: Path, stop: threading.Event
) -> Iterator[list[Future[ShardProof]]]:
    """Have shards proven, which go on when the block is left."""
    with ThreadPoolExecutor(len(works)) as pool:
        try:
            running = [pool.submit(cluster.prove, Held.of(work, folder), stop) for work in works]
            until(lambda: len(notes(folder)) == len(works))
            yield running
        finally:
            (folder / "go").touch()


def test_what_is_stopped_ends_at_once_and_is_forgotten(
    cluster: Cluster, local: Any, works: list[ShardWork], tmp_path: Path
) -> None:
    stop = threading.Event()
    with held(cluster, works[:2], tmp_path, stop) as running:
        assert len(local.scheduler.tasks) == 2
        stop.set()
        begin = time.monotonic()
        cluster.kill()
        for future in running:
            with pytest.raises(WorkerFailed, match="stopped"):
                future.result()
        assert time.monotonic() - begin < 2
        until(lambda: not local.scheduler.tasks)
    with pytest.raises(WorkerFailed, match="stopped"):
        cluster.prove(works[0], stop)
    cluster.kill()


def test_a_client_that_is_gone_leaves_nothing_behind(
    local: Any, works: list[ShardWork], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        made = stack.enter_context(connect(local.scheduler_address, send_secrets=True))
        with held(made, works[:1], tmp_path, threading.Event()) as running:
            stack.close()
            with pytest.raises(WorkerFailed, match="connection was lost"):
                running[0].result()
            until(lambda: not local.scheduler.tasks)


def test_nothing_secret_is_to_be_seen(
    cluster: Cluster, local: Any, works: list[ShardWork], tmp_path: Path
) -> None:
    with distributed.Client(local, set_as_default=False) as other:
        with held(cluster, works[:1], tmp_path, threading.Event()):
            (key,) = local.scheduler.tasks
            other.dump_cluster_state(str(tmp_path / "dump"), exclude=(), format="yaml")
        with pytest.raises(WorkerFailed, match="ValueError") as caught:
            prove(cluster, Raising.of(works[0], tmp_path))
        wrong = replace(works[0], shard_seed=bytes(32))
        with pytest.raises(WorkerFailed, match=r"^shard 0: \[CORRUPTED_ARTEFACT\]"):
            prove(cluster, wrong)
        until(lambda: not local.scheduler.tasks)
        told = repr(
            (
                other.get_worker_logs(),
                other.get_scheduler_logs(),
                other.get_events(),
                other.get_task_stream(),
                other.story(key),
                str(caught.value),
                [path.read_text() for path in tmp_path.glob("dump*")],
            )
        )
    assert re.fullmatch(r"zkpot-[0-9a-f]{32}", key)
    assert key in told
    for secret in (SECRET, works[0].shard_seed.hex(), repr(works[0].shard_seed)[2:-1], "array("):
        assert secret not in told


def test_secrets_are_not_sent_unasked() -> None:
    with (
        pytest.raises(InputError, match=f"{NOWHERE}.*samples.*weights.*--send-secrets"),
        connect(NOWHERE, send_secrets=False),
    ):
        pass


@pytest.mark.parametrize("address", [NOWHERE, "tls://127.0.0.1:1", "there", "foo://x:1", ""])
def test_nobody_at_the_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    with (
        pytest.raises(InputError, match=f"no dask scheduler answers at {address}"),
        connect(address, send_secrets=True),
    ):
        pass


def test_somebody_else_at_the_address(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with (
            pytest.raises(InputError, match=r"answers at .*: it is silent"),
            connect(f"tcp://127.0.0.1:{silent.getsockname()[1]}", send_secrets=True),
        ):
            pass
    with (
        pytest.raises(InputError, match="it is a Worker"),
        connect(next(iter(local.scheduler.workers)), send_secrets=True),
    ):
        pass


def test_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.5)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(InputError, match="has no workers"),
        connect(empty.scheduler_address, send_secrets=True),
    ):
        pass


def test_distributed_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(InputError, match=r"distributed is not .*pip install 'zkpot\[cluster\]'"),
        connect(NOWHERE, send_secrets=True),
    ):
        pass


def test_another_release_is_refused(
    local: Any, cluster: Cluster, works: list[ShardWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "release", lambda: "0.0.9, protocol 0")
    with pytest.raises(WorkerFailed, match=r"a worker has zkpot .*, not 0\.0\.9"):
        prove(cluster, works[0])
    # This test's scheduler is in this process.
    for who, patched in (("the scheduler", module), ("worker tls:", cluster_worker)):
        monkeypatch.setattr(patched, "release", lambda: "0.0.9, protocol 0")
        with (
            pytest.raises(InputError, match=rf"^{who}.* another release .*1, not 0\.0\.9"),
            connect(local.scheduler_address, send_secrets=True),
        ):
            pass


def test_a_shard_does_not_wait_for_ever_for_a_worker(
    works: list[ShardWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONELY_SECONDS", 0)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.01)
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        distributed.Client(empty, set_as_default=False) as client,
        pytest.raises(WorkerFailed, match="no worker"),
    ):
        prove(Cluster(client, 1, 0), works[0])


def test_how_many_shards_at_a_time(world: World) -> None:
    circuit = world.circuit
    assert Cluster(None, 4, 0).jobs(circuit, 9) == 4
    assert Cluster(None, 4, 1 << 40).jobs(circuit, 3) == 3
    assert Cluster(None, 4, 0).jobs(circuit, 9, 8) == 8
    with pytest.raises(InputError, match="at least one job"):
        Cluster(None, 4, 0).jobs(circuit, 9, 0)
    with pytest.raises(OutOfMemory, match="--memory-limit"):
        Cluster(None, 4, 1 << 20).jobs(circuit, 9)
