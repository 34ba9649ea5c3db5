"""How a sumcheck proof is spread over processes, within a memory limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import psutil

from circuits.errors import InputError, OutOfMemory
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.plan import Estimate, estimate
from prover.calibrate import machine_speed
from prover.sumcheck.work import cores

_REFERENCE_CORES = 2
_START_SECONDS = 1.0
"""For loading compiled code and checking secrets."""


@dataclass(frozen=True)
class Plan:
    """How many shards are proven at a time, and what is expected of them.

    Attributes
    ----------
    shards, jobs : int
        Proofs to make, and how many at a time.
    threads : int
        Threads of each.
    one : Estimate
        Cost of one shard on all cores.
    seconds : float
        Expected wall time of all shards.
    peak_bytes : int
        Expected memory of all processes together.
    """

    shards: int
    jobs: int
    threads: int
    one: Estimate
    seconds: float
    peak_bytes: int


def make_plan(circuit: Circuit, shards: int, memory: int, jobs: int | None = None) -> Plan:
    """Plan the proofs of a test set.

    Parameters
    ----------
    circuit : Circuit
        The circuit.
    shards : int
        Proofs to make.
    memory : int
        Bytes all processes together may use.
    jobs : int, optional
        Shards at a time; by default one, which keeps all cores busy.

    Raises
    ------
    OutOfMemory
        If a single shard, or the jobs asked for, would need more than `memory`, or more than the
        machine has.
    InputError
        If `jobs` is below one.
    """
    found = cores()
    one = estimate(
        circuit.relation, speed=machine_speed(circuit.backend) * found / _REFERENCE_CORES
    )
    room = min(memory, psutil.virtual_memory().total)
    if jobs is not None and jobs < 1:
        raise InputError(f"there must be at least one job, not {jobs}")
    jobs = min(jobs or 1, shards)
    if jobs * one.peak_bytes > room:
        raise OutOfMemory(
            f"{jobs} shard(s) at a time, {one.peak_bytes >> 20} MB each, exceed the limit of "
            f"{room >> 20} MB: raise --memory, use fewer --jobs, or have the test set committed "
            "for less memory (commit-data --memory)",
            needed=jobs * one.peak_bytes,
            available=room,
        )
    # Several jobs share the cores: they save what one leaves idle, which is not counted on.
    return Plan(
        shards=shards,
        jobs=jobs,
        threads=max(1, found // jobs),
        one=one,
        seconds=_START_SECONDS + math.ceil(shards / jobs) * jobs * one.seconds,
        peak_bytes=jobs * one.peak_bytes,
    )
