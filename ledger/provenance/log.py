"""What a trace needs of a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ledger.envelope import SignedEntry
from ledger.state import State


class Log(Protocol):
    """A ledger to read; every engine is one."""

    @property
    def state(self) -> State:
        """What all entries amount to."""

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint."""

    def entries(self) -> Sequence[SignedEntry]:
        """Return all entries, in order."""

    def blob(self, digest: str, /) -> bytes:
        """Return a blob that an entry names."""
