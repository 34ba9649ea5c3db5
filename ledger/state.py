"""What the entries so far amount to. Immutable; only `ledger.rules` makes new states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from circuits.encoding import json_digest
from circuits.statement import Context, Statement
from ledger.entries import Credit, DataRegister, Genesis, ProofSubmit, TaskOpen
from ledger.errors import UnknownTask
from verifier.verdict import Verdict


@dataclass(frozen=True)
class TaskPins:
    """Everything a proof is checked against, all of it from the ledger, none from the prover.

    Attributes
    ----------
    backend : str
        Proof system.
    circuit, vk, srs : str
        Digests of the circuit, of the verifying key and of the SRS.
    architecture, manifest, well_formed : str
        Blob digests of the public architecture, of the test-set manifest, and of the proof that
        the set is well-formed, for `Ledger.blob`.
    testset : str
        Id of the test set.
    samples, openings : int
        Its number of samples, and of the proofs that it was registered for.
    task : str
        Identifier of the task.
    round : int
        Round of the task.
    origin : str
        Name of the ledger.
    submitter : str
        Public key of who submits the proof.
    """

    backend: str
    circuit: str
    vk: str
    srs: str
    architecture: str
    manifest: str
    well_formed: str
    testset: str
    samples: int
    openings: int
    task: str
    round: int
    origin: str
    submitter: str

    @property
    def context(self) -> Context:
        """The context that the proof must be bound to."""
        return Context(self.submitter, self.task, self.round, self.origin)


@dataclass(frozen=True)
class Accepted:
    """What an engine vouches for when it appends a proof: the outcome of a verification.

    Attributes
    ----------
    statement : Statement
        What was verified.
    srs_insecure : bool
        Whether it rests on a development SRS.
    """

    statement: Statement
    srs_insecure: bool

    @classmethod
    def from_verdict(cls, verdict: Verdict) -> Self:
        """Take over an accepting verdict.

        Raises
        ------
        ProofRejected
            If the proof was not accepted.
        """
        return cls(verdict.require(), verdict.srs_insecure)

    @classmethod
    def claimed_by(cls, body: ProofSubmit) -> Self:
        """Take a submission at its word.

        Only to replay a log, where the entry is there because its proof was verified, and to
        refuse early what no proof could make acceptable.
        """
        return cls(body.statement, body.srs_insecure)


@dataclass(frozen=True)
class Testset:
    """A registered test set.

    Attributes
    ----------
    evaluator : str
        Public key of who registered it and may release it.
    terms : DataRegister
        As registered.
    spent : int
        Proofs accepted on it so far, over all tasks.
    opened : bool
        Whether contributors have been given it, so that no later commitment is blind.
    """

    evaluator: str
    terms: DataRegister
    spent: int = 0
    opened: bool = False


@dataclass(frozen=True)
class Task:
    """A task and how far it has come.

    Attributes
    ----------
    id : str
        Digest of the entry that opened it.
    owner : str
        Public key of who opened it.
    terms : TaskOpen
        As opened.
    released : int
        Rounds released so far: rounds below can be proven, the round of this number takes
        commitments, later ones are not open yet. Only ever grows, by one.
    commits : frozenset of (int, str, str)
        Round, contributor and model commitment.
    submissions : mapping of str to int
        Accepted proofs of each identity.
    step : int
        Step of the ladder of the best credited score.
    minted : int
        Credit paid so far.
    """

    id: str
    owner: str
    terms: TaskOpen
    released: int = 0
    commits: frozenset[tuple[int, str, str]] = frozenset()
    submissions: Mapping[str, int] = field(default_factory=dict)
    step: int = 0
    minted: int = 0

    @property
    def spent(self) -> int:
        """Accepted proofs of all identities."""
        return sum(self.submissions.values())


@dataclass(frozen=True)
class State:
    """The ledger after some number of entries.

    Attributes
    ----------
    size : int
        That number.
    origin : str
        Name of the ledger; empty before the genesis entry.
    operator : str
        Public key that signed the genesis entry and signs the checkpoints.
    genesis : Genesis or None
        The rules that never change.
    names : mapping of str to str
        Registered public keys and their names.
    nonces : mapping of str to int
        Next nonce of each signer.
    testsets : mapping of str to Testset
        By root.
    tasks : mapping of str to Task
        By identifier.
    nullifiers : mapping of str to int
        Spent nullifiers, and the index of the proof that spent each.
    balances : mapping of str to int
        Units of each identity that has any.
    minted : int
        Units ever minted.
    due : Credit or None
        The one entry that may come next, where a proof has just earned something.
    """

    size: int = 0
    origin: str = ""
    operator: str = ""
    genesis: Genesis | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    nonces: Mapping[str, int] = field(default_factory=dict)
    testsets: Mapping[str, Testset] = field(default_factory=dict)
    tasks: Mapping[str, Task] = field(default_factory=dict)
    nullifiers: Mapping[str, int] = field(default_factory=dict)
    balances: Mapping[str, int] = field(default_factory=dict)
    minted: int = 0
    due: Credit | None = None

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


def nullifier(task: str, round_: int, model: str, testset: str) -> str:
    """Return what can be spent once: a model's proof on a test set in a round of a task.

    The submitter is not part of it, so two accounts cannot cash one committed model.
    """
    return json_digest("nullifier", [task, round_, model, testset])
