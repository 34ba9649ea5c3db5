"""Shards that misbehave, in a module that a worker can import."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from prover.shard_proof import ShardProof
from prover.sumcheck.work import ShardWork

SECRET = "a secret 4711"  # noqa: S105 - of no door


@dataclass(frozen=True, eq=False, repr=False)
class Noted(ShardWork):
    """Leaves notes in a folder; `prove` is that of a ShardWork."""

    folder: Path = Path()

    @classmethod
    def of(cls, work: ShardWork, folder: Path) -> Any:
        return cls(**{f.name: getattr(work, f.name) for f in fields(ShardWork)}, folder=folder)

    def note(self, what: str) -> None:
        with (self.folder / f"{os.getpid()}").open("a") as file:
            file.write(f"{what} {self.public.shard}\n")

    def prove(self, threads: int | None = None) -> ShardProof:
        self.note("begin")
        made = super().prove(threads)
        self.note("end")
        return made


class Held(Noted):
    """Waits until there is a file `go`."""

    def prove(self, threads: int | None = None) -> ShardProof:
        self.note("held")
        while not (self.folder / "go").exists():
            time.sleep(0.01)
        return super().prove(threads)


class HeldOnce(Noted):
    """Waits to be killed when it is tried for the first time."""

    def prove(self, threads: int | None = None) -> ShardProof:
        try:
            (self.folder / f"tried-{self.public.shard}").touch(exist_ok=False)
        except FileExistsError:
            return super().prove(threads)
        self.note("held")
        time.sleep(60)
        raise AssertionError("nobody killed the worker")


class Deadly(Noted):
    """Kills its worker."""

    def prove(self, threads: int | None = None) -> ShardProof:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("it lives")


class Raising(Noted):
    """Fails with an exception that quotes a secret."""

    def prove(self, threads: int | None = None) -> ShardProof:
        raise ValueError(SECRET)
