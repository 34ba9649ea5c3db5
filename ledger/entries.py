"""What can be written on the ledger: one frozen class per entry type.

An entry says nothing about who made it or where; that is the envelope's part
(`ledger.envelope`). Proofs and other large artefacts are blobs, and entries hold their digests.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, ClassVar, Self

from circuits.encoding import canonical_json, digest, is_hex
from circuits.statement import Statement
from ledger.policy import Policy, is_count, require

_ROUNDS = 2**32

NOTHING = "00" * 32
"""A digest where a backend has nothing to name."""


def blob_digest(data: bytes) -> str:
    """Return the digest under which the ledger keeps and finds a blob."""
    return digest("blob", data)


def _require_digests(**values: str) -> None:
    for name, value in values.items():
        require(is_hex(value, 32), f"{name} is not 32 bytes of lowercase hex")


def _require_round(value: int) -> None:
    require(is_count(value) and value < _ROUNDS, "round is not an integer below 2**32")


def _require_text(name: str, value: str, limit: int) -> None:
    ok = isinstance(value, str) and 0 < len(value) <= limit and value.isprintable()
    require(ok, f"{name} is not printable text of 1 to {limit} characters")


@dataclass(frozen=True)
class Entry:
    """Base of all entries.

    Attributes
    ----------
    type : str
        The name of the entry type, part of what is signed.
    by_rule : bool
        Whether it follows from other entries, so that no one signs it.
    """

    type: ClassVar[str]
    by_rule: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value)
            if isinstance(value, tuple)
            else value.to_dict()
            if isinstance(value, Policy | Statement)
            else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(**value)

    @property
    def blobs(self) -> tuple[str, ...]:
        """Digests of the blobs without which the entry cannot be checked."""
        return ()


@dataclass(frozen=True)
class Genesis(Entry):
    """Entry 0, signed by the log's own key: the rules that never change.

    Attributes
    ----------
    allow_insecure_srs : bool
        Whether proofs over a development SRS, which its maker can forge, may be credited.
    task_owners : tuple of str
        Public keys of those who may open tasks. Tasks mint credit: if anyone could open one,
        anyone could pay themselves.
    """

    type = "genesis"

    allow_insecure_srs: bool
    task_owners: tuple[str, ...]

    def __post_init__(self) -> None:
        require(isinstance(self.allow_insecure_srs, bool), "allow_insecure_srs is not a bool")
        require(len(set(self.task_owners)) == len(self.task_owners) > 0, "no or repeated owners")
        for owner in self.task_owners:
            _require_digests(task_owner=owner)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(**{**value, "task_owners": tuple(value["task_owners"])})


@dataclass(frozen=True)
class IdentityRegister(Entry):
    """A key introduces itself; from then on it is known by its public key.

    Attributes
    ----------
    name : str
        For people; two identities may have the same.
    """

    type = "identity.register"

    name: str

    def __post_init__(self) -> None:
        _require_text("name", self.name, 64)


@dataclass(frozen=True)
class DataRegister(Entry):
    """A test set is committed; its signer is the evaluator, who alone can release it.

    Attributes
    ----------
    root : str
        Id of the test set: the statement's `testset`.
    manifest : str
        Blob digest of the manifest.
    well_formed : str
        Blob digest of the proof that the set is well-formed; `NOTHING` where no backend of the
        set has one.
    samples : int
        Number of samples.
    openings : int
        Proofs that may be made on the set in all, over every task.
    kind : str
        ``testset``.
    """

    type = "data.register"

    root: str
    manifest: str
    well_formed: str
    samples: int
    openings: int
    kind: str = "testset"

    def __post_init__(self) -> None:
        _require_digests(root=self.root, manifest=self.manifest, well_formed=self.well_formed)
        require(
            is_count(self.samples, 1) and is_count(self.openings, 1),
            "samples and openings are positive integers",
        )
        require(self.kind == "testset", f"data of kind {self.kind!r} is unknown")

    @property
    def blobs(self) -> tuple[str, ...]:
        """The manifest, and the proof that the set is well-formed."""
        return tuple(name for name in (self.manifest, self.well_formed) if name != NOTHING)


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
        _require_text("title", self.title, 200)
        require(self.backend in ("halo2", "sumcheck"), f"backend {self.backend!r} is unknown")
        _require_digests(
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
        _require_digests(task=self.task, model=self.model, context=self.context)
        _require_round(self.round)


@dataclass(frozen=True)
class TestsetRelease(Entry):
    """The evaluator closes the commitments of a round and opens the set to the provers.

    Attributes
    ----------
    task : str
        Identifier of the task.
    round : int
        The task's current round.
    """

    type = "testset.release"

    task: str
    round: int

    def __post_init__(self) -> None:
        _require_digests(task=self.task)
        _require_round(self.round)


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
        _require_digests(task=self.task, bundle=self.bundle)
        _require_round(self.round)
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
class Credit(Entry):
    """What an accepted proof earns; follows from it and the policy, and nobody signs it.

    Attributes
    ----------
    task : str
        Identifier of the task that mints it.
    identity : str
        Public key of the submitter.
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
        _require_digests(task=self.task, identity=self.identity)
        require(is_count(self.amount, 1) and is_count(self.proof), "not a credit")


ENTRY_TYPES: dict[str, type[Entry]] = {
    cls.type: cls
    for cls in (
        Genesis,
        IdentityRegister,
        DataRegister,
        TaskOpen,
        ModelCommit,
        TestsetRelease,
        ProofSubmit,
        Credit,
    )
}
