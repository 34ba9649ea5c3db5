"""Entries of a task, from its opening to its proofs and its end."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from circuits.encoding import canonical_json
from circuits.statement import Statement
from ledger.checks import NOTHING, is_count, require, require_digests, require_round, require_text
from ledger.entries.base import Entry
from ledger.policy import Policy

_ROUNDS = 2**32


@dataclass(frozen=True)
class TaskOpen(Entry):
    """A task: what is to be proven, on which set, and what it pays.

    Attributes
    ----------
    title : str
        For people.
    backend : str
        Proof system of the statements.
    circuit, vk, srs : str
        Digests that a proof is checked against; `vk` and `srs` are `NOTHING` for a backend that
        has none.
    architecture : str
        Blob digest of the public architecture, from which a validator derives circuit and key.
    testset : str
        Root of a registered test set.
    prover : str
        ``contributor``: the set is opened to contributors after they committed, so there is one
        round only and the set is of no use for later commitments. ``evaluator``: the set stays
        with the evaluator, who proves for the contributors; rounds can follow one another.
    rounds : int
        Number of rounds.
    policy : Policy
        What is paid.
    """

    type = "task.open"

    title: str
    backend: str
    circuit: str
    vk: str
    srs: str
    architecture: str
    testset: str
    prover: str
    rounds: int
    policy: Policy

    def __post_init__(self) -> None:
        require_text("title", self.title, 200)
        require(self.backend in ("halo2", "sumcheck"), f"backend {self.backend!r} is unknown")
        require_digests(
            circuit=self.circuit,
            vk=self.vk,
            srs=self.srs,
            architecture=self.architecture,
            testset=self.testset,
        )
        require(self.prover in ("contributor", "evaluator"), f"no such prover: {self.prover!r}")
        require(is_count(self.rounds, 1) and self.rounds < _ROUNDS, "rounds is not positive")
        require(
            self.prover == "evaluator" or self.rounds == 1,
            "a set that is opened to contributors is good for one round",
        )

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(**{**value, "policy": Policy.from_dict(value["policy"])})

    @property
    def blobs(self) -> tuple[str, ...]:
        """The architecture."""
        return (self.architecture,)


@dataclass(frozen=True)
class ModelCommit(Entry):
    """A contributor fixes a model, before the test set of the round is released.

    Attributes
    ----------
    task : str
        Identifier of the task.
    round : int
        The task's current round.
    model : str
        Hiding commitment to the weights: the statement's `model`.
    context : str
        Digest of the context that the proof will be bound to.
    """

    type = "model.commit"

    task: str
    round: int
    model: str
    context: str

    def __post_init__(self) -> None:
        require_digests(task=self.task, model=self.model, context=self.context)
        require_round(self.round)


@dataclass(frozen=True)
class TestsetRelease(Entry):
    """The evaluator closes the commitments of a round and opens the set to the provers.

    Attributes
    ----------
    task : str
        Identifier of the task.
    round : int
        The task's current round.
    opening : str
        Blob digest of the opening file that is handed to the provers, so that one which does not
        open the test set can be shown to everyone; `NOTHING` if none is handed out.
    """

    type = "testset.release"

    task: str
    round: int
    opening: str = NOTHING

    def __post_init__(self) -> None:
        require_digests(task=self.task, opening=self.opening)
        require_round(self.round)


@dataclass(frozen=True)
class ProofSubmit(Entry):
    """A proof bundle; on the ledger only if the verifier accepted it.

    Attributes
    ----------
    task : str
        Identifier of the task.
    round : int
        A round whose set has been released.
    bundle : str
        Blob digest of the proof bundle.
    statement : Statement
        What the bundle proves.
    srs_insecure : bool
        Whether it rests on a development SRS.
    """

    type = "proof.submit"

    task: str
    round: int
    bundle: str
    statement: Statement
    srs_insecure: bool

    def __post_init__(self) -> None:
        require_digests(task=self.task, bundle=self.bundle)
        require_round(self.round)
        require(isinstance(self.statement, Statement), "statement is not a statement")
        require(isinstance(self.srs_insecure, bool), "srs_insecure is not a bool")

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        statement = Statement.decode(canonical_json(value["statement"]))
        return cls(**{**value, "statement": statement})

    @property
    def accuracy(self) -> Fraction:
        """The proven accuracy."""
        return Fraction(self.statement.correct, self.statement.samples)

    @property
    def blobs(self) -> tuple[str, ...]:
        """The bundle."""
        return (self.bundle,)


@dataclass(frozen=True)
class TaskClose(Entry):
    """The task is over: what is paid at the end becomes due, and bonds can be taken back.

    Anyone may say so once it is true, so that nobody can keep the bonds of others locked.

    Attributes
    ----------
    task : str
        Identifier of the task.
    """

    type = "task.close"

    task: str

    def __post_init__(self) -> None:
        require_digests(task=self.task)
