"""Traces of models, which read the whole log and must not keep others from it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ledger.embedded.blobs import Blobs
from ledger.envelope import SignedEntry
from ledger.ledger import Ledger
from ledger.provenance.trace import trace
from ledger.service.keeper import Keeper
from ledger.state import State

_TURN = 500


@dataclass(frozen=True)
class _Snapshot:
    """A ledger at one moment, for a trace that takes its time."""

    note: str
    state: State
    log: list[SignedEntry]
    blobs: Blobs

    def checkpoint(self) -> str:
        return self.note

    def entries(self) -> list[SignedEntry]:
        return self.log

    def blob(self, digest: str) -> bytes:
        return self.blobs.get(digest)


async def follow_back(keeper: Keeper, folder: Path, model: str) -> dict[str, Any]:
    """Return the trace of a model; the log is read in turns, between which others have theirs.

    Raises
    ------
    UnknownRelease, AmbiguousRelease, TraceTooLarge
        If it cannot be followed.
    """
    note, state = await keeper.run(lambda ledger: (ledger.checkpoint(), ledger.state))
    entries: list[SignedEntry] = []
    while len(entries) < state.size:
        start, count = len(entries), min(_TURN, state.size - len(entries))
        entries += await keeper.run(partial(_entries, start, count))
    log = _Snapshot(note, state, entries, Blobs(folder))
    return (await asyncio.to_thread(trace, log, model)).to_dict()


def _entries(start: int, count: int, ledger: Ledger) -> list[SignedEntry]:
    return ledger.entries(start, count)
