"""What the entries so far amount to. Immutable; only `ledger.rules` makes new states.

Mappings are persistent (hash array mapped tries), so that a state after one more entry shares
nearly everything with the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from immutables import Map

from circuits.encoding import json_digest
from ledger.charter import Charter
from ledger.entries import Credit, Genesis
from ledger.errors import NotAuthorised, UnknownTask
from ledger.records import Identity, Locked, Proven, Release, Task, TaskPins, Testset, Training


@dataclass(frozen=True)
class State:
    """A ledger after `size` entries.

    Attributes
    ----------
    size : int
        Number of entries.
    time : int
        Seconds of the newest clock entry; 0 if there is none.
    origin : str
        Name of the ledger.
    operator : str
        Identity of the log, which is its first key: who signs checkpoints and the clock.
    genesis : Genesis or None
        What never changes.
    charter : Charter or None
        What the governors can change.
    identities : mapping of str to Identity
    testsets : mapping of str to Testset
        By root.
    training : mapping of str to Training
        By root.
    tasks : mapping of str to Task
        By identifier.
    proofs : mapping of int to Proven
        Accepted proofs by index of their entry.
    credits : mapping of int to int
        What accepted proofs were paid, by index of the proof's entry.
    releases : mapping of str to Release
        Released models by digest of their entry.
    versions : mapping of (str, str, str) to str
        The same digests by owner, name and version.
    nullifiers : mapping of str to int
        Spent nullifiers, and the index of the proof that spent each.
    balances : mapping of str to int
        Units that each identity owns and can spend, of those that ever had any.
    bonds : mapping of (str, str) to Locked
        Units locked by an identity for a subject.
    bonded : int
        Units in all bonds.
    minted, burned : int
        Units ever made and destroyed.
    promised : int
        Units that will ever have been made if every open task pays its whole pool.
    slashed : mapping of str to int
        Faults that were punished, by `fault_id`, and the index of the entry.
    due : tuple of Credit
        The entries that must come next, in order, where something has just been earned.
    """

    size: int = 0
    time: int = 0
    origin: str = ""
    operator: str = ""
    genesis: Genesis | None = None
    charter: Charter | None = None
    identities: Map[str, Identity] = field(default_factory=Map)
    testsets: Map[str, Testset] = field(default_factory=Map)
    training: Map[str, Training] = field(default_factory=Map)
    tasks: Map[str, Task] = field(default_factory=Map)
    proofs: Map[int, Proven] = field(default_factory=Map)
    credits: Map[int, int] = field(default_factory=Map)
    releases: Map[str, Release] = field(default_factory=Map)
    versions: Map[tuple[str, str, str], str] = field(default_factory=Map)
    nullifiers: Map[str, int] = field(default_factory=Map)
    balances: Map[str, int] = field(default_factory=Map)
    bonds: Map[tuple[str, str], Locked] = field(default_factory=Map)
    bonded: int = 0
    minted: int = 0
    burned: int = 0
    promised: int = 0
    slashed: Map[str, int] = field(default_factory=Map)
    due: tuple[Credit, ...] = ()

    def task(self, task: str) -> Task:
        """Return a task.

        Raises
        ------
        UnknownTask
            If none of that identifier was opened here.
        """
        try:
            return self.tasks[task]
        except KeyError:
            raise UnknownTask(f"task {task} is not on ledger {self.origin}", task=task) from None

    def identity(self, identity: str) -> Identity:
        """Return an identity.

        Raises
        ------
        NotAuthorised
            If it is not registered.
        """
        try:
            return self.identities[identity]
        except KeyError:
            raise NotAuthorised(f"{identity} is not registered") from None

    def name(self, identity: str) -> str:
        """Return the name of an identity for people; ``?`` if it is not registered."""
        found = self.identities.get(identity)
        return "?" if found is None else found.name

    def author(self, key: str) -> str:
        """Return the identity whose present key is `key`; itself if there is none yet."""
        known = self.identities.get(key)
        if known is not None and known.key == key:
            return key
        rotated = (who for who, known in self.identities.items() if known.key == key)
        return next(rotated, key)

    def nonce(self, identity: str) -> int:
        """Return the number of the next entry of an identity."""
        found = self.identities.get(identity)
        return 0 if found is None else found.nonce

    def position(self, unit: str) -> int:
        """Return where the next entry stands against windows of a unit: its index, or the time."""
        return self.size if unit == "entries" else self.time

    def locked(self, identity: str, subject: str) -> int:
        """Return the units that an identity has bonded to a subject."""
        found = self.bonds.get((identity, subject))
        return 0 if found is None else found.amount

    def pins(self, task: str, round_: int, submitter: str) -> TaskPins:
        """Return what a proof for a task and round by `submitter` is checked against."""
        terms = self.task(task).terms
        testset = self.testsets[terms.testset].terms
        return TaskPins(
            backend=terms.backend,
            circuit=terms.circuit,
            vk=terms.vk,
            srs=terms.srs,
            architecture=terms.architecture,
            manifest=testset.manifest,
            well_formed=testset.well_formed,
            testset=testset.root,
            samples=testset.samples,
            openings=testset.openings,
            task=task,
            round=round_,
            origin=self.origin,
            submitter=submitter,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the state as JSON-ready values, the same for equal states."""
        return {name: _to_json(getattr(self, name)) for name in self.__dataclass_fields__}

    @property
    def digest(self) -> str:
        """Digest of the canonical encoding: equal on every engine for equal histories."""
        return json_digest("state", self.to_dict())


def _to_json(value: Any) -> Any:
    if isinstance(value, Map):
        return [[_to_json(key), _to_json(value[key])] for key in sorted(value)]
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "__dataclass_fields__"):
        return {name: _to_json(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def nullifier(task: str, round_: int, model: str, testset: str) -> str:
    """Return what can be spent once: a model's proof on a test set in a round of a task.

    The submitter is not part of it, so two accounts cannot cash one committed model.
    """
    return json_digest("nullifier", [task, round_, model, testset])


def fault_id(fault: str, offender: str, subject: str) -> str:
    """Return what can be punished once: a kind of fault of somebody in a task, or on the log."""
    return json_digest("fault", [fault, offender, subject])
