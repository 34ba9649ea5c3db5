"""One pass over a log, so that what hangs together can be found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ledger.entries import (
    AuditAttest,
    Clock,
    Credit,
    DataRegister,
    Entry,
    Genesis,
    ModelCommit,
    ModelRelease,
    PolicyChange,
    PredictionAttest,
    ProofSubmit,
    Slash,
    TaskOpen,
    TestsetRelease,
)
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt

Body = TypeVar("Body", bound=Entry)


@dataclass(frozen=True)
class Place(Generic[Body]):
    """An entry and where it stands.

    Attributes
    ----------
    index : int
        On the log.
    entry : SignedEntry
    body : Entry
        Its content.
    after : int or None
        Time of the newest clock entry before it.
    """

    index: int
    entry: SignedEntry
    body: Body
    after: int | None


class Index:
    """What a trace looks up, by what.

    Attributes
    ----------
    releases, tasks : dict of str to Place
        By entry digest.
    data : dict of str to Place
        Test sets and training data, by root.
    commits, proofs, released : dict of str to list of Place
        By model commitment; of `released` the digests are in `releases`.
    predictions, audits : dict of str to list of Place
        By release.
    credits : dict of int to list of Place
        By index of the proof.
    slashes : dict of str to list of Place
        By task.
    rounds : dict of (str, int) to Place
        Releases of the test set, by task and round.
    charters : list of Place
        The genesis entry and the changes since.
    """

    def __init__(self, entries: Sequence[SignedEntry]) -> None:
        self.releases: dict[str, Place[ModelRelease]] = {}
        self.tasks: dict[str, Place[TaskOpen]] = {}
        self.data: dict[str, Place[DataRegister]] = {}
        self.commits: dict[str, list[Place[ModelCommit]]] = defaultdict(list)
        self.proofs: dict[str, list[Place[ProofSubmit]]] = defaultdict(list)
        self.released: dict[str, list[str]] = defaultdict(list)
        self.predictions: dict[str, list[Place[PredictionAttest]]] = defaultdict(list)
        self.audits: dict[str, list[Place[AuditAttest]]] = defaultdict(list)
        self.credits: dict[int, list[Place[Credit]]] = defaultdict(list)
        self.slashes: dict[str, list[Place[Slash]]] = defaultdict(list)
        self.rounds: dict[tuple[str, int], Place[TestsetRelease]] = {}
        self.charters: list[Place[Genesis | PolicyChange]] = []
        self._entries = entries
        self._after: list[int | None] = []
        after = None
        for index, entry in enumerate(entries):
            self._after.append(after)
            if isinstance(entry.body, Clock):
                after = entry.body.time
            self._file(index, entry)

    def _file(self, index: int, entry: SignedEntry) -> None:
        body, after = entry.body, self._after[index]
        if isinstance(body, ModelRelease):
            self.releases[entry.digest] = Place(index, entry, body, after)
            self.released[body.model].append(entry.digest)
        elif isinstance(body, TaskOpen):
            self.tasks[entry.digest] = Place(index, entry, body, after)
        elif isinstance(body, DataRegister):
            self.data[body.root] = Place(index, entry, body, after)
        elif isinstance(body, ModelCommit):
            self.commits[body.model].append(Place(index, entry, body, after))
        elif isinstance(body, ProofSubmit):
            self.proofs[body.statement.model].append(Place(index, entry, body, after))
        elif isinstance(body, PredictionAttest):
            self.predictions[body.release].append(Place(index, entry, body, after))
        elif isinstance(body, AuditAttest):
            self.audits[body.release].append(Place(index, entry, body, after))
        elif isinstance(body, Credit):
            self.credits[body.proof].append(Place(index, entry, body, after))
        elif isinstance(body, Slash):
            self.slashes[body.subject].append(Place(index, entry, body, after))
        elif isinstance(body, TestsetRelease):
            self.rounds[body.task, body.round] = Place(index, entry, body, after)
        elif isinstance(body, Genesis | PolicyChange):
            self.charters.append(Place(index, entry, body, after))

    def at(self, index: int, kind: type[Body]) -> Place[Body]:
        """Return an entry, which something on the ledger names as one of a type.

        Raises
        ------
        LedgerCorrupt
            If it is not there, or of another type.
        """
        entry = self._entries[index] if index < len(self._entries) else None
        if entry is None or not isinstance(entry.body, kind):
            raise LedgerCorrupt(f"entry {index} is named as a {kind.type}, which it is not")
        return Place(index, entry, entry.body, self._after[index])

    def charter(self, index: int) -> int:
        """Return the number of the charter that was in force at an entry."""
        return sum(place.index < index for place in self.charters) - 1

    def named(self, name: str) -> list[str]:
        """Return the digests of the releases called ``name`` or ``name@release``."""
        return [
            digest
            for digest, place in self.releases.items()
            if name in (place.body.name, f"{place.body.name}@{place.body.release}")
        ]
