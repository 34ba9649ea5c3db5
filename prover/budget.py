"""Counts how often each committed tensor was opened, so that its salts are never used up.

Every published proof reveals one evaluation of each committed polynomial. The count goes up, on
disk, before a proof is made: a crash costs an opening and never hides one.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from circuits import artefact
from circuits.errors import CorruptedArtefact, OpeningBudgetSpent

VERSION: Final = 1


@dataclass(frozen=True)
class Use:
    """One committed tensor, or group of tensors opened together.

    Attributes
    ----------
    name : str
        What to call it in an error.
    commitment : str
        Its commitment, as hex, under which it is counted.
    budget : int
        Openings it allows.
    """

    name: str
    commitment: str
    budget: int


class OpeningCounter:
    """A durable counter in a file of its own, safe for several processes.

    Parameters
    ----------
    path : Path
        The file; made when first needed. Keep it with the secret it protects, and do not
        restore it from an old backup.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def used(self) -> dict[str, int]:
        """Return the openings so far, by commitment."""
        if not self._path.exists():
            return {}
        fields = artefact.load(self._path, "openings", VERSION, {"used": dict})
        used: dict[str, int] = fields["used"]
        for name, count in used.items():
            if type(count) is not int or count < 0:
                raise CorruptedArtefact(
                    f"openings file {self._path} says that {name} was opened {count!r} times",
                    artefact="openings",
                )
        return used

    def reserve(self, *uses: Use) -> None:
        """Count one opening of each, durably, or of none.

        Raises
        ------
        OpeningBudgetSpent
            If one of them has no opening left.
        """
        with self._locked():
            used = self.used()
            self._require(used, Counter(uses))
            for use in uses:
                used[use.commitment] = used.get(use.commitment, 0) + 1
            artefact.save(self._path, "openings", VERSION, {"used": used}, secret=True)

    def check(self, needs: Mapping[Use, int]) -> None:
        """Check that so many openings of each are left, without taking them.

        Raises
        ------
        OpeningBudgetSpent
            If not.
        """
        self._require(self.used(), needs)

    @staticmethod
    def _require(used: Mapping[str, int], needs: Mapping[Use, int]) -> None:
        wanted: Counter[str] = Counter()
        for use, count in needs.items():
            wanted[use.commitment] += count
        for use in needs:
            so_far, count = used.get(use.commitment, 0), wanted[use.commitment]
            if so_far + count > use.budget:
                raise OpeningBudgetSpent(
                    f"{use.name} has been opened {so_far} of {use.budget} times and {count} more "
                    "are needed: commit it anew",
                    name=use.name,
                    used=so_far,
                    budget=use.budget,
                )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = self._path.with_name(f".{self._path.name}.lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
