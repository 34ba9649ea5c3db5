"""Submissions as the queue sees them, and what it asks of the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from ledger.envelope import SignedEntry
from ledger.service.workers import JobFailed

Status = Literal["queued", "verifying", "accepted", "refused"]


@dataclass
class Job:
    """A submission and what became of it.

    Attributes
    ----------
    entry : SignedEntry
        As submitted.
    bundle : Path
        File with its bundle.
    status : str
        ``queued``, ``verifying``, ``accepted`` or ``refused``.
    code, message : str
        Why it was refused.
    final : bool
        Whether it was refused once and for all.
    index, credited : int or None
        Index of its entry, and what it earned.
    tries : int
        Verifications that were begun and not ended.
    found : tuple or None
        What a worker was given of the task, and what it said, until that is logged.
    """

    entry: SignedEntry
    bundle: Path
    status: Status = "queued"
    code: str = ""
    message: str = ""
    final: bool = False
    index: int | None = None
    credited: int | None = None
    tries: int = 0
    found: tuple[Any, Any] | None = None
    decided: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def open_again(self) -> bool:
        """Whether it was refused for a reason that may pass."""
        return self.status == "refused" and not self.final

    @property
    def over(self) -> bool:
        """Whether it is decided."""
        return self.status in ("accepted", "refused")


@dataclass(frozen=True)
class Placed:
    """Where a submission is on the log.

    Attributes
    ----------
    index, credited : int
        Index of its entry, and what it earned.
    """

    index: int
    credited: int


class Book(Protocol):
    """What the queue asks of the ledger."""

    async def admit(self, entry: SignedEntry) -> tuple[Placed | None, Any]:
        """Ask the rules, which raise, and return what a worker must know of the task.

        For an entry that is on the log already, return where.
        """

    async def bundle(self, entry: SignedEntry) -> Path | None:
        """Return the file of the bundle that an entry names, or None."""

    def task(self, job: Job, pins: Any) -> Any:
        """Return what to hand to a worker."""

    async def log(self, job: Job, pins: Any, outcome: Any | JobFailed) -> Placed:
        """Log what a worker found good, or record and raise why it did not."""
