"""Entries about models that are in use: releases, predictions, audits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ledger.checks import NOTHING, is_count, require, require_digests, require_sorted, require_text
from ledger.entries.base import Entry

_LINEAGE = 256


@dataclass(frozen=True)
class ModelRelease(Entry):
    """A committed model is shipped under a name.

    Attributes
    ----------
    name, release : str
        What it is called, and which version of it this is.
    model : str
        Commitment to its weights, committed by the signer in a task, or to no task.
    task : str
        The task in which it was proven; `NOTHING` if none.
    proof : int or None
        Index of the accepted proof; None without a task.
    artefact : str
        SHA-256 of the file that is shipped; `NOTHING` if it stays private.
    card : str
        Blob digest of a model card; `NOTHING` if there is none.
    parents : tuple of str
        Entry digests of the releases that it was made from, in ascending order.
    data : tuple of str
        Roots of the registered training data, in ascending order.
    """

    type = "model.release"

    name: str
    release: str
    model: str
    task: str = NOTHING
    proof: int | None = None
    artefact: str = NOTHING
    card: str = NOTHING
    parents: tuple[str, ...] = ()
    data: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_text("name", self.name, 100)
        require_text("release", self.release, 50)
        require_digests(model=self.model, task=self.task, artefact=self.artefact, card=self.card)
        require(self.proof is None or is_count(self.proof), "proof is not an index")
        require(
            (self.task == NOTHING) == (self.proof is None),
            "a proof is of a task, and named by both",
        )
        require_sorted("parents", self.parents, _LINEAGE)
        require_sorted("data", self.data, _LINEAGE)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(**{**value, "parents": tuple(value["parents"]), "data": tuple(value["data"])})

    @property
    def blobs(self) -> tuple[str, ...]:
        """The model card."""
        return () if self.card == NOTHING else (self.card,)


@dataclass(frozen=True)
class PredictionAttest(Entry):
    """The owner of a release stands for one of its predictions.

    Attributes
    ----------
    release : str
        Entry digest of the release.
    input, output : str
        Digests of what was asked, by custom salted, and of what was answered.
    evidence : str
        Blob digest of what shows it, such as a proof; `NOTHING` if it is the owner's word.
    """

    type = "prediction.attest"

    release: str
    input: str
    output: str
    evidence: str = NOTHING

    def __post_init__(self) -> None:
        require_digests(
            release=self.release, input=self.input, output=self.output, evidence=self.evidence
        )

    @property
    def blobs(self) -> tuple[str, ...]:
        """The evidence."""
        return () if self.evidence == NOTHING else (self.evidence,)


@dataclass(frozen=True)
class AuditAttest(Entry):
    """The signer reports on a release, such as its accuracy by group, resting on a proof.

    Attributes
    ----------
    release : str
        Entry digest of the release.
    proof : int
        Index of the accepted proof of the released model that the report rests on.
    report : str
        Blob digest of the report.
    """

    type = "audit.attest"

    release: str
    proof: int
    report: str

    def __post_init__(self) -> None:
        require_digests(release=self.release, report=self.report)
        require(is_count(self.proof), "proof is not an index")

    @property
    def blobs(self) -> tuple[str, ...]:
        """The report."""
        return (self.report,)
