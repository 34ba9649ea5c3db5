"""Entries as calls of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from web3.contract import Contract

from circuits.bundle import Bundle
from circuits.encoding import canonical_json
from circuits.statement import Statement
from ledger.entries import (
    DataRegister,
    Entry,
    IdentityRegister,
    ModelCommit,
    ProofSubmit,
    TaskOpen,
    TestsetRelease,
    Transfer,
)
from ledger.envelope import SignedEntry
from ledger.errors import BadKey, NotOnChain
from ledger.evm.node import checksum
from ledger.evm.pins import NO_PINS, NOBODY, Pins
from ledger.evm_keys import address_of
from ledger.policy import Policy, Windows


@dataclass(frozen=True)
class Halo2Evidence:
    """What goes with a halo2 submission: the bundle but for what the contract knows.

    Attributes
    ----------
    proofs : tuple of bytes
        One for each shard.
    circuit : bytes
        The canonical circuit file.
    """

    proofs: tuple[bytes, ...]
    circuit: bytes

    @classmethod
    def of(cls, bundle: bytes) -> Halo2Evidence:
        """Take them from a bundle file; CorruptedArtefact if it is none."""
        read = Bundle.decode(bundle)
        return cls(read.proofs, canonical_json(read.circuit))


@dataclass(frozen=True)
class Attested:
    """What goes with a sumcheck submission.

    Attributes
    ----------
    signatures : tuple of bytes
        Of attesters, in ascending order of their addresses; see `ledger.evm.attest`.
    """

    signatures: tuple[bytes, ...]


@dataclass(frozen=True)
class Opening:
    """What goes with a task.

    Attributes
    ----------
    evaluator : str
        Address of who registered the test set, as far as the owner knows: another may have
        copied the registration and come first.
    pins : Pins
        What the contract is told of a halo2 circuit.
    approvals : tuple of bytes
        For halo2, signatures of governors, in ascending order of their addresses.
    """

    evaluator: str
    pins: Pins = NO_PINS
    approvals: tuple[bytes, ...] = ()


Evidence: TypeAlias = Opening | Halo2Evidence | Attested | None
"""What the contract needs beyond the entry."""


def call(contract: Contract, entry: SignedEntry, evidence: Evidence = None) -> Any:
    """Return the call by which an entry's author appends it.

    Raises
    ------
    NotOnChain
        If the contract has no such entry, or not with these fields.
    """
    name, *values = _arguments(entry.body, evidence)
    return getattr(contract.functions, name)(entry.nonce, *values)


def _arguments(body: Entry, evidence: Evidence) -> Sequence[Any]:
    """Return the name of a function, and its arguments but for the nonce."""
    match body:
        case IdentityRegister():
            _require(body.evm == "", "an account is its own address; it links no other")
            return "register", _plain("name", body.name)
        case DataRegister():
            _require(body.kind == "testset" and not body.parents, "test sets only, without parents")
            return ("registerTestset", _bytes(body.root), body.samples, _bytes(body.manifest),
                    body.openings, _bytes(body.well_formed))  # fmt: skip
        case TaskOpen():
            return "openTask", *_task(body, evidence)
        case ModelCommit():
            model, context = _bytes(body.model), _bytes(body.context)
            return "commit", _bytes(body.task), body.round, model, context
        case TestsetRelease():
            return "release", _bytes(body.task), body.round, _bytes(body.opening)
        case ProofSubmit():
            return _proof(body, evidence)
        case Transfer():
            return "transfer", _address(body.to), body.amount
    raise NotOnChain(f"the contract has no {body.type} entries")


def _address(identity: str) -> str:
    try:
        return checksum(address_of(identity))
    except BadKey:
        raise NotOnChain(f"{identity} is no account of a chain") from None


def _task(body: TaskOpen, evidence: Evidence) -> Sequence[Any]:
    policy = body.policy
    _require(
        (policy.rule, policy.bond, policy.evaluator_bond, policy.windows)
        == ("gain", 0, 0, Windows()),
        "a task pays by the rule 'gain', without bonds and deadlines",
    )
    opening = evidence if isinstance(evidence, Opening) else Opening(NOBODY)
    pins = opening.pins
    terms = (
        _plain("title", body.title),
        body.backend == "sumcheck",
        *map(_bytes, (body.circuit, body.vk, body.srs, body.architecture, body.testset)),
        body.prover == "evaluator",
        body.rounds,
        policy_tuple(policy),
    )
    told = (checksum(pins.verifier), pins.k, pins.shard_size, pins.in_range, _bytes(pins.shards))
    return terms, checksum(opening.evaluator), told, list(opening.approvals)


def policy_tuple(policy: Policy) -> tuple[int, ...]:
    """Return a policy as the contract takes it."""
    return (
        *policy.minimum_accuracy.as_integer_ratio(),
        *policy.eta.as_integer_ratio(),
        policy.pool,
        policy.submissions_per_identity,
        policy.openings,
    )


def _proof(body: ProofSubmit, evidence: Evidence) -> Sequence[Any]:
    said = (_bytes(body.task), body.round, claim(body.statement))
    # The contract verifies the one kind of proof, and counts signatures under the other.
    if isinstance(evidence, Halo2Evidence):
        return "submitHalo2", *said, list(evidence.proofs), evidence.circuit
    signatures = list(evidence.signatures) if isinstance(evidence, Attested) else []
    return "submitAttested", *said, _bytes(body.bundle), signatures


def claim(statement: Statement) -> tuple[Any, ...]:
    """Return what a statement says beyond its task, as the contract takes it."""
    tables = (statement.confusion, statement.groups, statement.per_class)
    return (
        _bytes(statement.context),
        _bytes(statement.model),
        statement.correct,
        list(statement.shard_correct),
        *(canonical_json([list(row) for row in table]) if table else b"" for table in tables),
    )


def _bytes(digest: str) -> bytes:
    return bytes.fromhex(digest)


def _plain(name: str, text: str) -> str:
    ok = text.isascii() and not set('"\\') & set(text)
    _require(ok, f'{name} has characters that the contract does not write: ASCII without " and \\')
    return text


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise NotOnChain(f"not on a chain: {message}")
