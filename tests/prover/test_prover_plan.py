"""How work is spread: within the memory limit, or refused with numbers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from circuits.errors import InputError, OutOfMemory
from circuits.halo2.circuit import Circuit
from circuits.halo2.plan import estimate
from prover import calibrate, plan
from prover.plan import make_plan
from tests.circuits.halo2.halo2_world import NO_SRS, mlp

ONE = estimate(10, 2).peak_bytes
HUGE = 1 << 50


def circuit() -> Circuit:
    return Circuit(mlp(), 3, 10, 2, 256, 2, 2, 6, NO_SRS)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine of 16 cores, much memory and the reference's speed."""
    made = SimpleNamespace(cores=16, memory=HUGE, speed=1.0)
    monkeypatch.setattr(plan.os, "cpu_count", lambda: made.cores)
    monkeypatch.setattr(plan.psutil, "virtual_memory", lambda: SimpleNamespace(total=made.memory))
    monkeypatch.setattr(plan, "machine_speed", lambda _backend: made.speed)
    return made


def test_one_job_for_four_cores(machine: SimpleNamespace) -> None:
    found = make_plan(circuit(), 100, HUGE)
    assert (found.jobs, found.threads, found.shards) == (4, 4, 100)
    assert found.peak_bytes == 4 * ONE
    machine.cores = 2
    assert (make_plan(circuit(), 100, HUGE).jobs, make_plan(circuit(), 100, HUGE).threads) == (1, 2)


def test_cores_that_cannot_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan.os, "cpu_count", lambda: None)
    assert (make_plan(circuit(), 5, HUGE).jobs, make_plan(circuit(), 5, HUGE).threads) == (1, 1)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_memory_limits_the_jobs(factor: int) -> None:
    found = make_plan(circuit(), 100, factor * ONE + 1)
    assert found.jobs == factor
    assert found.peak_bytes <= factor * ONE + 1


def test_no_more_jobs_than_shards() -> None:
    assert make_plan(circuit(), 2, HUGE).jobs == 2
    assert make_plan(circuit(), 2, 2 * ONE, jobs=50).jobs == 2


def test_one_process_too_large_is_refused_with_numbers() -> None:
    with pytest.raises(OutOfMemory, match="raise --memory") as caught:
        make_plan(circuit(), 5, ONE - 1)
    assert caught.value.details == {"needed": ONE, "available": ONE - 1}
    assert make_plan(circuit(), 5, ONE).jobs == 1


def test_machine_is_a_limit_too(machine: SimpleNamespace) -> None:
    machine.memory = ONE - 1
    with pytest.raises(OutOfMemory) as caught:
        make_plan(circuit(), 5, HUGE)
    assert caught.value.details["available"] == ONE - 1


def test_jobs_asked_for_are_not_quietly_reduced() -> None:
    assert make_plan(circuit(), 9, 3 * ONE, jobs=3).jobs == 3
    with pytest.raises(OutOfMemory, match=r"4 process\(es\)") as caught:
        make_plan(circuit(), 9, 3 * ONE, jobs=4)
    assert caught.value.details == {"needed": 4 * ONE, "available": 3 * ONE}


@pytest.mark.parametrize("jobs", [0, -1])
def test_jobs_must_be_positive(jobs: int) -> None:
    with pytest.raises(InputError, match="at least one job"):
        make_plan(circuit(), 9, HUGE, jobs=jobs)


def test_time_follows_shards_jobs_and_speed(machine: SimpleNamespace) -> None:
    one = estimate(10, 2)
    alone = make_plan(circuit(), 8, HUGE, jobs=1)
    assert alone.seconds == pytest.approx(one.setup_seconds + 8 * one.prove_seconds)
    # Four jobs on sixteen cores do not slow each other down.
    assert make_plan(circuit(), 8, HUGE, jobs=4).seconds == pytest.approx(
        one.setup_seconds + 2 * one.prove_seconds
    )
    machine.speed = 0.5
    assert make_plan(circuit(), 8, HUGE, jobs=1).seconds == pytest.approx(2 * alone.seconds)


def test_timeout_is_generous(machine: SimpleNamespace) -> None:
    assert make_plan(circuit(), 1, HUGE).timeout >= 300
    machine.speed = 1e-4
    slow = make_plan(circuit(), 1, HUGE)
    assert slow.timeout >= 10 * slow.one.prove_seconds


# --- calibration


def test_speed_is_stored_and_read(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("ZKPOT_HOME", str(tmp_path))
    assert calibrate.machine_speed("halo2") == calibrate.machine_speed("sumcheck") == 1.0
    # The second is slower than can be written: never zero, which would be a division.
    probes = {"halo2": (5.0, lambda: 2.0), "sumcheck": (5.0, lambda: 1e9)}
    monkeypatch.setattr(calibrate, "PROBES", probes)
    assert calibrate.calibrate()["halo2"] == pytest.approx(2.5)
    assert calibrate.machine_speed("halo2") == pytest.approx(2.5)
    assert calibrate.machine_speed("sumcheck") == 0.01


@pytest.mark.parametrize("data", [b"", b"junk", b"{}"])
def test_damaged_calibration_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("ZKPOT_HOME", str(folder))
    (folder / "calibration.json").write_bytes(data)
    assert calibrate.machine_speed("halo2") == 1.0
