"""Stand-in verifiers for the queue's own mechanics; apart, so that a worker starts quickly."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ledger.records import Accepted
from ledger.service.verify import Job, Outcome
from tests.ledger import ledger_world


class StandIn:
    """Makes the honest stand-in of `ledger_world` in a worker; for the queue's own mechanics."""

    def __call__(self) -> Callable[[Job], Outcome]:
        return stand_in


def stand_in(job: Job) -> Outcome:
    verdict = ledger_world.verify(job.bundle.read_bytes(), job.pins)
    if verdict.error is not None:
        error = verdict.error
        return Outcome(None, error.code, error.check, error.message.removeprefix("context: "))
    return Outcome(Accepted.from_verdict(verdict))


class Misbehaving:
    """Makes a worker that does what the bundle's first word says, or else is the stand-in."""

    def __init__(self, gate: Path) -> None:
        self.gate = gate

    def __call__(self) -> Callable[[Job], Outcome]:
        return self.handle

    def handle(self, job: Job) -> Outcome:
        word, _, rest = job.bundle.read_bytes().partition(b" ")
        if word == b"crash":
            os._exit(3)
        if word == b"hang":
            time.sleep(600)
        if word == b"eat":
            hoard = [b"x" * (32 << 20) for _ in range(20)]
            time.sleep(600)
            del hoard
        if word == b"child":
            subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"], check=True)
        if word == b"wait":
            while not self.gate.exists():
                time.sleep(0.01)
        if rest:
            job.bundle.with_suffix(".rest").write_bytes(rest)
            job = replace(job, bundle=job.bundle.with_suffix(".rest"))
        return stand_in(job)
