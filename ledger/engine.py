"""What every engine offers, wherever it keeps its entries: one folder, a validator, a chain."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from ledger.audit import Verify
from ledger.embedded.store import Refusal
from ledger.entries import Entry, ProofSubmit
from ledger.envelope import SignedEntry
from ledger.records import Task
from ledger.signatures import Signs
from ledger.state import State
from ledger.tlog.receipt import Receipt


class Engine(Protocol):
    """A ledger to read and, with the right keys, to append to."""

    @property
    def state(self) -> State:
        """What all entries amount to, replayed by the same rules everywhere."""

    def entries(self) -> list[SignedEntry]:
        """Return all entries, in order."""

    def refusals(self) -> list[Refusal]:
        """Return what was not taken, as far as the engine keeps it."""

    def blob(self, digest: str, /) -> bytes:
        """Return a blob that an entry names, having checked its digest."""

    def task(self, task: str, /) -> Task:
        """Return a task, or raise `UnknownTask`."""

    def balance(self, identity: str, /) -> int:
        """Return what an identity owns."""

    def sign(self, body: Entry, signer: Signs, /) -> SignedEntry:
        """Sign an entry with the next number of the signer's identity."""

    def append(self, entry: SignedEntry, blobs: Iterable[bytes] = (), /) -> Receipt:
        """Append an entry that needs no proof; return once it is durable."""

    def submit(self, bundle: bytes, entry: SignedEntry, verify: Verify, /) -> Receipt:
        """Submit a proof, and return once it is verified and durable."""

    def submission(self, body: ProofSubmit, signer: str, /) -> SignedEntry | None:
        """Return the entry by which `signer` submitted exactly this proof, or None."""

    def receipt(self, index: int, /) -> Receipt:
        """Return the receipt of an entry."""

    def credited(self, receipt: Receipt, /) -> int:
        """Return what the proof of a receipt has earned so far."""

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint."""

    def close(self) -> None:
        """Let go of files and connections."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
