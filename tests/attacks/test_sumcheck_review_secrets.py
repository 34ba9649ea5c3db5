"""Counters, processes and what is printed (review, part 2)."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from circuits._opening_file import Content
from circuits.bundle import Bundle
from circuits.encoding import canonical_json
from circuits.errors import CorruptedArtefact, OpeningBudgetSpent, WorkerFailed, ZkpotError
from circuits.sumcheck.model import ModelOpening
from prover.budget import OpeningCounter, Use
from prover.sumcheck.lookups import Leaves
from prover.sumcheck.processes import Processes
from tests.sumcheck_world import World, openings_in
from zkpot.api import counter_path

USE = Use("the model", "ab" * 32, 1)


def test_a_link_to_a_secret_has_no_budget_of_its_own(tmp_path: Path) -> None:
    secret, link = tmp_path / "model.secret", tmp_path / "other" / "model.secret"
    secret.write_bytes(b"secret")
    link.parent.mkdir()
    link.symlink_to(secret)
    OpeningCounter(counter_path(secret)).reserve(USE)
    with pytest.raises(OpeningBudgetSpent):
        OpeningCounter(counter_path(link)).reserve(USE)


@pytest.mark.parametrize("count", ["x", None, [], -5, True])
def test_a_damaged_counter_is_named(tmp_path: Path, count: object) -> None:
    path = tmp_path / "counter"
    counter = OpeningCounter(path)
    counter.reserve(USE)
    value = json.loads(path.read_bytes())
    value["used"][USE.commitment] = count
    path.write_bytes(canonical_json(value))
    with pytest.raises(ZkpotError, match="openings"):
        counter.reserve(USE)


def test_samples_of_another_set_cost_no_opening(small: World, tmp_path: Path) -> None:
    """`Job.check` is to find every mismatch before an opening, or an hour, is spent."""
    samples = small.opening.samples
    other = replace(samples, features=samples.features[::-1].copy())
    part = replace(small.opening.sumcheck, content=other)
    world = replace(small, opening=replace(small.opening, samples=other, parts=(part,)))
    with pytest.raises(CorruptedArtefact):
        world.prove(tmp_path)
    counters = openings_in(tmp_path)
    assert not OpeningCounter(counters.model).used()
    assert not OpeningCounter(counters.testset).used()


@pytest.mark.parametrize("kappa", [-1, 70, 1 << 40])
def test_a_damaged_model_secret_is_named(small: World, tmp_path: Path, kappa: int) -> None:
    path = tmp_path / "model.secret"
    small.model.save(path)
    value = json.loads(path.read_bytes())
    path.write_bytes(canonical_json({**value, "kappa": kappa}))
    with pytest.raises(ZkpotError):
        found = ModelOpening.load(path)
        found.commitment(found.matrix())


def test_a_process_that_dies_while_it_starts_is_an_error(small: World, tmp_path: Path) -> None:
    """As when it is killed for memory, or by the Ctrl-C that reaches the whole group.

    The thread that waits holds the lock that `kill` takes, so nothing ends the proof then.
    """
    context = multiprocessing.get_context("spawn")
    found: list[BaseException] = []
    runner = Processes(1)
    job = replace(small.job(), jobs=2, runner=runner)
    job.check(lambda *_: None)

    def prove() -> None:
        try:
            job.prove(0, tmp_path, threading.Event())
        except BaseException as error:
            found.append(error)

    context.set_executable("/bin/false")
    try:
        thread = threading.Thread(target=prove, daemon=True)
        thread.start()
        thread.join(8)
    finally:
        context.set_executable(sys.executable)
    assert not thread.is_alive()
    assert isinstance(found[0], WorkerFailed)


def test_nothing_that_holds_secrets_prints_them(small: World) -> None:
    secret = np.full((1, 4), 12345, np.int32)
    leaves = Leaves(secret, secret, np.ones(1, np.int64))
    assert "12345" not in repr(leaves)
    opening = small.opening
    seed = opening.sumcheck.seeds[0]
    content = Content("", opening.samples, {"sumcheck": opening.sumcheck.pack()})
    assert repr(seed)[2:-1] not in repr(content)


THREADS = """
import pickle, sys, threading
from pathlib import Path
from circuits.statement import Context
from circuits.testset import Manifest
from verifier.verify import Expectation, Options, verify_bundle
folder = Path(sys.argv[1])
expected = Expectation(Manifest.load(folder / "manifest"), sys.argv[2], well_formed=True)
def verify():
    for _ in range(8):
        assert verify_bundle(folder / "bundle", expected, Options(verifiers="fast")).accepted
threads = [threading.Thread(target=verify) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_threads_where_there_is_neither_openmp_nor_tbb(
    small: World, small_bundle: Bundle, tmp_path: Path
) -> None:
    """As in slim containers without libgomp; `prove --jobs 2` verifies in several threads too."""
    small.manifest.save(tmp_path / "manifest")
    (tmp_path / "bundle").write_bytes(small_bundle.encode())
    ran = subprocess.run(
        [sys.executable, "-c", THREADS, tmp_path, small.context.digest],
        env={**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}, capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


CACHELESS = """
import numba.core.caching as caching
def refuse(self):
    raise OSError("read-only file system")
for name in dir(caching):
    if "CacheLocator" in name:
        setattr(getattr(caching, name), "ensure_cache_path", refuse)
import circuits.sumcheck.field
"""


def test_an_installation_that_cannot_be_written_to() -> None:
    """A container with a read-only file system and no home: not even `zkpot --help` works."""
    ran = subprocess.run(
        [sys.executable, "-c", CACHELESS], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.splitlines()[-1]
