"""Where things are on the log, for lookups that would otherwise read all of it."""

from __future__ import annotations

import contextlib
from bisect import bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from ledger.embedded.blobs import BLOBS
from ledger.entries import (
    DataRegister,
    Genesis,
    IdentityRegister,
    IdentityRotate,
    ModelRelease,
    ProofSubmit,
    TaskOpen,
)
from ledger.envelope import SignedEntry
from ledger.ledger import Ledger

Kind = Literal["identities", "data", "tasks", "releases"]


class Catalogue:
    """Kept beside a ledger, and brought up to date before each lookup; for its one thread.

    Attributes
    ----------
    size : int
        Entries that were looked at.
    """

    def __init__(self) -> None:
        self.size = 0
        self._places: dict[str, int] = {}
        self._names: dict[Kind, list[str]] = defaultdict(list)
        self._authors: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        self._proofs: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._tasks: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        self._kept: Counter[str] = Counter()
        self._blobs: set[str] = set()

    def refresh(self, ledger: Ledger) -> None:
        """Look at the entries that are new."""
        if ledger.state.size == self.size:
            return
        for entry in ledger.entries(self.size):
            self._weigh(entry, ledger.folder / BLOBS)
            self._add(entry)

    def _weigh(self, entry: SignedEntry, blobs: Path) -> None:
        for name in entry.body.blobs:
            if name not in self._blobs:
                self._blobs.add(name)
                with contextlib.suppress(OSError):
                    self._kept[entry.signer] += (blobs / name).stat().st_size

    def _add(self, entry: SignedEntry) -> None:
        body, digest = entry.body, entry.digest
        # Entries made by rule say what they say once more in another place, if at all.
        self._places.setdefault(digest, self.size)
        match body:
            case Genesis() | IdentityRegister():
                insort(self._names["identities"], entry.signer)
                self._introduce(entry.signer, entry.key)
            case IdentityRotate():
                self._introduce(entry.signer, body.key)
            case DataRegister():
                insort(self._names["data"], body.root)
            case TaskOpen():
                insort(self._names["tasks"], digest)
            case ModelRelease():
                insort(self._names["releases"], digest)
            case ProofSubmit():
                self._proofs[entry.signer, body.bundle].append(self.size)
        task = digest if isinstance(body, TaskOpen) else getattr(body, "task", None)
        if task is None and body.type in ("bond", "bond.return", "slash"):
            task = getattr(body, "subject", None)
        if isinstance(task, str):
            self._tasks[task].append((self.size, body.type, entry.signer))
        self.size += 1

    def _introduce(self, identity: str, key: str) -> None:
        old = self._keys.get(identity)
        if old is not None and self._authors.get(old) == identity:
            del self._authors[old]
        self._keys[identity] = key
        self._authors[key] = identity

    def page(self, kind: Kind, after: str, count: int) -> list[str]:
        """Return some names in ascending order, those behind `after`."""
        names = self._names[kind]
        start = bisect_right(names, after)
        return names[start : start + count]

    def author(self, key: str) -> str | None:
        """Return the identity whose present key is `key`, or None."""
        return self._authors.get(key)

    def kept(self, identity: str) -> tuple[int, int]:
        """Return the bytes of blobs that entries of an identity named first, and of all."""
        return self._kept[identity], self._kept.total()

    def names_blob(self, digest: str) -> bool:
        """Tell whether an entry names a blob."""
        return digest in self._blobs

    def place(self, digest: str) -> int | None:
        """Return the index of an entry by its digest, or None."""
        return self._places.get(digest)

    def proofs(self, signer: str, bundle: str) -> Sequence[int]:
        """Return the indices of the submissions of a bundle by an identity."""
        return self._proofs.get((signer, bundle), ())

    def history(self, task: str) -> Sequence[tuple[int, str, str]]:
        """Return index, type and signer of the entries that concern a task."""
        return self._tasks.get(task, ())
