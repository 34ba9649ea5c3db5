"""Entries that move units: credit, transfers, bonds, and their loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ledger.checks import NOTHING, is_count, require, require_digests
from ledger.entries.base import Entry

FAULTS = ("equivocation", "invalid-reveal", "no-release")
# Room for a checkpoint and a dozen signatures; whoever shows a fault can leave the others out.
_NOTE = 2048


@dataclass(frozen=True)
class Credit(Entry):
    """What an accepted proof earns; follows from it and the policy, and nobody signs it.

    Attributes
    ----------
    task : str
        Identifier of the task that mints it.
    identity : str
        Who submitted the proof.
    amount : int
        Units, more than 0.
    proof : int
        Index of the proof.submit entry.
    """

    type = "credit"
    by_rule = True

    task: str
    identity: str
    amount: int
    proof: int

    def __post_init__(self) -> None:
        require_digests(task=self.task, identity=self.identity)
        require(is_count(self.amount, 1) and is_count(self.proof), "not a credit")


@dataclass(frozen=True)
class Transfer(Entry):
    """The signer gives units to another identity.

    Attributes
    ----------
    to : str
        Whom.
    amount : int
        Units, more than 0.
    """

    type = "transfer"

    to: str
    amount: int

    def __post_init__(self) -> None:
        require_digests(to=self.to)
        require(is_count(self.amount, 1), "amount is not a positive integer")


@dataclass(frozen=True)
class Bond(Entry):
    """The signer locks units, which it loses if it is shown to have done wrong.

    Attributes
    ----------
    subject : str
        The task; `NOTHING` for the ledger itself, by which witnesses and operators answer.
    amount : int
        Units, more than 0; added to what is bonded already.
    """

    type = "bond"

    subject: str
    amount: int

    def __post_init__(self) -> None:
        require_digests(subject=self.subject)
        require(is_count(self.amount, 1), "amount is not a positive integer")


@dataclass(frozen=True)
class BondReturn(Entry):
    """The signer takes back a bond.

    A bond to a task once that is closed. A bond to the ledger by two of these entries: the first
    gives notice, the second takes the bond when the charter's `bond_entries` have passed.

    Attributes
    ----------
    subject : str
        As in `Bond`.
    """

    type = "bond.return"

    subject: str

    def __post_init__(self) -> None:
        require_digests(subject=self.subject)


@dataclass(frozen=True)
class Slash(Entry):
    """The signer shows that another did wrong, which costs that one's bond.

    Attributes
    ----------
    fault : {"equivocation", "invalid-reveal", "no-release"}
        ``equivocation``: two notes signed by the offender for one size of this log, with two
        roots; costs the bond to the ledger. ``invalid-reveal``: the opening file that the
        evaluator released does not open the test set. ``no-release``: the evaluator let the
        deadline of the release pass. The last two cost the bond to the task.
    offender : str
        Identity that loses its bond.
    subject : str
        The task, or `NOTHING`.
    notes : tuple of str
        The two signed notes of an equivocation.
    blob : str
        Blob digest of an invalid opening file; otherwise `NOTHING`. The file is shown to the
        ledger and not kept: the fault is the evaluator's, the samples in it are other people's.
    """

    type = "slash"

    fault: str
    offender: str
    subject: str
    notes: tuple[str, ...] = ()
    blob: str = NOTHING

    def __post_init__(self) -> None:
        require(self.fault in FAULTS, f"fault {self.fault!r} is unknown")
        require_digests(offender=self.offender, subject=self.subject, blob=self.blob)
        require(
            all(isinstance(note, str) and 0 < len(note) <= _NOTE for note in self.notes),
            f"a note has more than {_NOTE} characters",
        )
        require(
            len(self.notes) == (2 if self.fault == "equivocation" else 0),
            "an equivocation is shown by two notes, and nothing else by any",
        )
        require(
            (self.blob != NOTHING) == (self.fault == "invalid-reveal"),
            "an invalid reveal is shown by an opening file, and nothing else by one",
        )
        require(
            (self.subject == NOTHING) == (self.fault == "equivocation"),
            "an equivocation is about the ledger, all else about a task",
        )

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(**{**value, "notes": tuple(value["notes"])})
