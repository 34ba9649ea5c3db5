"""What a state is made of: identities, data, tasks, proofs, bonds; and what engines vouch for."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

from immutables import Map

from circuits.statement import Context, Statement
from ledger.charter import Charter
from ledger.entries import DataRegister, ModelRelease, ProofSubmit, TaskOpen
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
class InvalidReveal:
    """What an engine vouches for when it appends a slash: it looked at the opening file.

    Attributes
    ----------
    opening : str
        Blob digest of a file that does not open the test set of the task.
    """

    opening: str


Vouched = Accepted | InvalidReveal | None


@dataclass(frozen=True)
class Identity:
    """Somebody on the ledger.

    Attributes
    ----------
    name : str
        For people.
    scheme : str
        Kind of the present key.
    key : str
        The present key, which alone can sign.
    keys : tuple of (str, str)
        Kind and value of all keys so far, in order.
    replaced : tuple of int
        Index of the entry that replaced each key but the last. What a key signed can be held
        against its owner for a while longer, see `ledger.rules.faults`.
    evm : str
        Linked EVM address; empty if none.
    nonce : int
        Number of the next entry.
    revoked : bool
        Whether it signs nothing any more.
    """

    name: str
    scheme: str
    key: str
    keys: tuple[tuple[str, str], ...]
    evm: str = ""
    nonce: int = 0
    revoked: bool = False
    replaced: tuple[int, ...] = ()


@dataclass(frozen=True)
class Testset:
    """A registered test set.

    Attributes
    ----------
    evaluator : str
        Identity of who registered it and may release it.
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
class Training:
    """Registered training data.

    Attributes
    ----------
    owner : str
        Identity of who registered it.
    terms : DataRegister
        As registered.
    """

    owner: str
    terms: DataRegister


@dataclass(frozen=True)
class Release:
    """A released model.

    Attributes
    ----------
    owner : str
        Identity of who released it.
    terms : ModelRelease
        As released.
    """

    owner: str
    terms: ModelRelease


@dataclass(frozen=True)
class Proven:
    """An accepted proof.

    Attributes
    ----------
    task : str
        Identifier of its task.
    round : int
        Round of the task.
    identity : str
        Who submitted it.
    model : str
        The proven model's commitment.
    correct, samples : int
        What was proven.
    """

    task: str
    round: int
    identity: str
    model: str
    correct: int
    samples: int

    @property
    def accuracy(self) -> Fraction:
        """The proven accuracy."""
        return Fraction(self.correct, self.samples)


@dataclass(frozen=True)
class Locked:
    """A bond.

    Attributes
    ----------
    amount : int
        Units.
    until : int or None
        For a bond to the ledger of which notice was given: index from which it can be taken.
    """

    amount: int
    until: int | None = None


@dataclass(frozen=True)
class Task:
    """A task and how far it has come.

    Attributes
    ----------
    id : str
        Digest of the entry that opened it.
    owner : str
        Identity of who opened it.
    terms : TaskOpen
        As opened.
    charter : Charter
        The one in force when it was opened, which no later one changes for it.
    opened : int
        Position at which the present round began to take commitments, see `State.position`.
    releases : mapping of int to int
        Position of the release of each released round.
    openings : mapping of str to int
        Blob digests of the opening files that were handed out, and the round of each.
    commits : mapping of (int, str, str) to int
        Round, contributor and model commitment of each commitment, and its entry's index.
    committed : mapping of str to int
        Commitments of each identity in the present round.
    submissions : mapping of str to int
        Accepted proofs of each identity.
    spent : int
        Accepted proofs of all.
    best : mapping of str to int
        Index of the best accepted proof of each identity, the first of equals.
    step : int
        Step of the ladder of the best credited score.
    minted : int
        Credit paid so far.
    closed : bool
        Whether it is over.
    """

    id: str
    owner: str
    terms: TaskOpen
    charter: Charter
    opened: int
    releases: Map[int, int] = field(default_factory=Map)
    openings: Map[str, int] = field(default_factory=Map)
    commits: Map[tuple[int, str, str], int] = field(default_factory=Map)
    committed: Map[str, int] = field(default_factory=Map)
    submissions: Map[str, int] = field(default_factory=Map)
    spent: int = 0
    best: Map[str, int] = field(default_factory=Map)
    step: int = 0
    minted: int = 0
    closed: bool = False

    @property
    def released(self) -> int:
        """Rounds released so far.

        Rounds below can be proven, the round of this number takes commitments, later ones are
        not open yet. Only ever grows, by one.
        """
        return len(self.releases)
