"""How a proof is spread over processes, within a memory limit."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import psutil

from circuits.errors import InputError, OutOfMemory
from circuits.halo2.circuit import Circuit
from circuits.halo2.plan import Estimate, estimate
from prover.calibrate import machine_speed

DEFAULT_MEMORY = 8 << 30
"""Bytes that proving may use unless the user says otherwise."""

_CORES_PER_JOB = 4
_PATIENCE = 20.0
_LEAST_TIMEOUT = 300.0


@dataclass(frozen=True)
class Plan:
    """How many processes prove at a time, and what is expected of them.

    Attributes
    ----------
    shards : int
        Proofs to make.
    jobs : int
        Processes at a time.
    threads : int
        Threads of each.
    timeout : float
        Seconds after which a process is given up; many times what it should take.
    one : Estimate
        Cost of one shard and of the keys.
    seconds : float
        Expected wall time of keys and all shards.
    peak_bytes : int
        Expected memory of all processes together.
    """

    shards: int
    jobs: int
    threads: int
    timeout: float
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
        Processes at a time; by default one per four cores, if memory allows.

    Raises
    ------
    OutOfMemory
        If a single process, or the jobs asked for, would need more than `memory`, or more than
        the machine has.
    InputError
        If `jobs` is below one.
    """
    speed = machine_speed(circuit.backend)
    one = estimate(circuit.k, circuit.columns, speed=speed)
    room = min(memory, psutil.virtual_memory().total)
    cores = os.cpu_count() or 1
    if jobs is None:
        # ezkl keeps a few cores busy by itself: on two cores, two processes of one thread each
        # took as long as one of two threads, and twice the memory.
        jobs = max(1, min(shards, cores // _CORES_PER_JOB, room // one.peak_bytes))
    if jobs < 1:
        raise InputError(f"there must be at least one job, not {jobs}")
    jobs = min(jobs, shards)
    if jobs * one.peak_bytes > room:
        raise OutOfMemory(
            f"{jobs} process(es) of {one.peak_bytes >> 20} MB exceed the limit of {room >> 20} MB: "
            "raise --memory, use fewer --jobs, or have the test set committed for less memory "
            "(commit-data --memory)",
            needed=jobs * one.peak_bytes,
            available=room,
        )
    waves = math.ceil(shards / jobs)
    slowdown = max(1.0, jobs * _CORES_PER_JOB / max(cores, _CORES_PER_JOB))
    wall = one.setup_seconds + waves * one.prove_seconds * slowdown
    return Plan(
        shards=shards,
        jobs=jobs,
        threads=max(1, cores // jobs),
        timeout=max(_LEAST_TIMEOUT, _PATIENCE * jobs * one.prove_seconds),
        one=one,
        seconds=wall,
        peak_bytes=jobs * one.peak_bytes,
    )
