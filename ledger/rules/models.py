"""Models that are in use: releases, predictions, audits."""

from __future__ import annotations

from dataclasses import replace

from ledger.entries import AuditAttest, ModelRelease, PredictionAttest
from ledger.envelope import SignedEntry
from ledger.errors import (
    AlreadyRegistered,
    NotAuthorised,
    StatementMismatch,
    UnknownData,
    UnknownRelease,
)
from ledger.records import Release, Vouched
from ledger.state import State


def release(state: State, entry: SignedEntry, body: ModelRelease, _: Vouched) -> State:
    """Ship a model, and say what it was made from."""
    version = (entry.signer, body.name, body.release)
    if version in state.versions:
        raise AlreadyRegistered(f"{body.name} {body.release} is released already")
    if body.proof is not None:
        proven = state.proofs.get(body.proof)
        found = None if proven is None else (proven.task, proven.identity, proven.model)
        if found != (body.task, entry.signer, body.model):
            raise StatementMismatch(f"entry {body.proof} is no proof of this model by its owner")
    for parent in body.parents:
        if parent not in state.releases:
            raise UnknownRelease(f"no model was released by entry {parent}")
    for root in body.data:
        if root not in state.training:
            raise UnknownData(f"training data {root} is not registered")
    return replace(
        state,
        releases=state.releases.set(entry.digest, Release(entry.signer, body)),
        versions=state.versions.set(version, entry.digest),
    )


def predict(state: State, entry: SignedEntry, body: PredictionAttest, _: Vouched) -> State:
    """Stand for a prediction."""
    if _known(state, body.release).owner != entry.signer:
        raise NotAuthorised("only the owner of a release stands for its predictions")
    return state


def audit(state: State, entry: SignedEntry, body: AuditAttest, _: Vouched) -> State:
    """Report on a release; by anyone, resting on a proof of the very model by its owner."""
    del entry
    released = _known(state, body.release)
    proven = state.proofs.get(body.proof)
    # The owner's: anybody can release under the commitment of somebody else's model.
    found = None if proven is None else (proven.identity, proven.model)
    if found != (released.owner, released.terms.model):
        raise StatementMismatch(f"entry {body.proof} is no proof of this model by its owner")
    return state


def _known(state: State, release: str) -> Release:
    found = state.releases.get(release)
    if found is None:
        raise UnknownRelease(f"no model was released by entry {release}")
    return found
