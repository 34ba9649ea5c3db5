"""From the ledger's state to the answers of the API."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Literal

from ledger.entries import ProofSubmit
from ledger.envelope import SignedEntry
from ledger.records import Task
from ledger.rules import phases
from ledger.service.catalogue import Catalogue
from ledger.service.jobs import Job, Placed
from ledger.service.schemas import (
    DataInfo,
    Deadlines,
    EntryInfo,
    Event,
    IdentityInfo,
    Rank,
    ReleaseInfo,
    SubmissionInfo,
    TaskInfo,
    TaskSummary,
)
from ledger.state import State

Phase = Literal["commit", "release", "prove", "closed"]


def entry_info(state: State, index: int, entry: SignedEntry) -> EntryInfo:
    """Describe an entry."""
    proof = isinstance(entry.body, ProofSubmit)
    return EntryInfo(
        index=index,
        digest=entry.digest,
        type=entry.body.type,
        signer=entry.signer,
        data=base64.b64encode(entry.encode()).decode(),
        credited=state.credits.get(index, 0) if proof else None,
    )


def identity_infos(state: State, identities: Iterable[str]) -> list[IdentityInfo]:
    """Describe identities, which must be registered."""
    bonds: dict[str, dict[str, int]] = {who: {} for who in identities}
    for (owner, subject), locked in state.bonds.items():
        if owner in bonds:
            bonds[owner][subject] = locked.amount
    return [_identity_info(state, who, bonds[who]) for who in bonds]


def _identity_info(state: State, identity: str, bonds: dict[str, int]) -> IdentityInfo:
    found = state.identity(identity)
    return IdentityInfo(
        id=identity,
        name=found.name,
        scheme=found.scheme,
        key=found.key,
        evm=found.evm,
        revoked=found.revoked,
        nonce=found.nonce,
        balance=state.balances.get(identity, 0),
        bonds=dict(sorted(bonds.items())),
    )


def phase_of(state: State, task: Task) -> Phase:
    """Tell what is taken now: of the round that is open, or else of those before it."""
    if task.closed or phases.over(state, task):
        return "closed"
    if task.released >= task.terms.rounds:
        return "prove"
    position = state.position(task.terms.policy.windows.unit)
    if phases.unreleased(state, task):
        return "prove"
    end = phases.commit_ends(task)
    return "commit" if end is None or position < end else "release"


def task_summary(state: State, task: Task) -> TaskSummary:
    """Describe a task in short."""
    terms = task.terms
    return TaskSummary(
        id=task.id,
        title=terms.title,
        owner=task.owner,
        testset=terms.testset,
        phase=phase_of(state, task),
        round=min(task.released, terms.rounds - 1),
        spent=task.spent,
        minted=task.minted,
        pool=terms.policy.pool,
    )


def task_info(state: State, task: Task, catalogue: Catalogue) -> TaskInfo:
    """Describe a task with its leaderboard and history."""
    unit = task.terms.policy.windows.unit
    open_round = task.released < task.terms.rounds and not task.closed
    last = task.released - 1
    return TaskInfo(
        **task_summary(state, task).model_dump(),
        terms=task.terms.to_dict(),
        deadlines=Deadlines(
            unit=unit,
            position=state.position(unit),
            commit=phases.commit_ends(task) if open_round else None,
            release=phases.release_ends(task) if open_round else None,
            prove=phases.prove_ends(task, last) if last >= 0 else None,
        ),
        leaderboard=_leaderboard(state, task),
        history=[Event(index=i, type=t, signer=s) for i, t, s in catalogue.history(task.id)],
    )


def _leaderboard(state: State, task: Task) -> list[Rank]:
    best = [(index, state.proofs[index]) for index in task.best.values()]
    best.sort(key=lambda item: (-item[1].accuracy, item[0]))
    return [
        Rank(
            identity=proof.identity,
            name=state.name(proof.identity),
            correct=proof.correct,
            samples=proof.samples,
            accuracy=proof.accuracy.as_integer_ratio(),
            credited=state.credits.get(index, 0),
            index=index,
            round=proof.round,
        )
        for index, proof in best
    ]


def data_info(state: State, root: str) -> DataInfo | None:
    """Describe registered data, or return None where there is none."""
    if (testset := state.testsets.get(root)) is not None:
        return DataInfo(
            root=root,
            owner=testset.evaluator,
            name=state.name(testset.evaluator),
            terms=testset.terms.to_dict(),
            spent=testset.spent,
            opened=testset.opened,
        )
    if (training := state.training.get(root)) is not None:
        return DataInfo(
            root=root,
            owner=training.owner,
            name=state.name(training.owner),
            terms=training.terms.to_dict(),
            spent=None,
            opened=None,
        )
    return None


def release_info(state: State, release: str, index: int) -> ReleaseInfo:
    """Describe a released model."""
    found = state.releases[release]
    return ReleaseInfo(
        id=release,
        index=index,
        name=found.terms.name,
        release=found.terms.release,
        owner=found.owner,
        owner_name=state.name(found.owner),
        model=found.terms.model,
        proof=found.terms.proof,
    )


def submission_info(job: Job) -> SubmissionInfo:
    """Describe a submission."""
    return SubmissionInfo(
        id=job.entry.digest,
        status=job.status,
        code=job.code or None,
        message=job.message or None,
        index=job.index,
        credited=job.credited,
    )


def accepted_info(digest: str, placed: Placed) -> SubmissionInfo:
    """Describe a submission that is on the log."""
    return SubmissionInfo(
        id=digest,
        status="accepted",
        code=None,
        message=None,
        index=placed.index,
        credited=placed.credited,
    )
