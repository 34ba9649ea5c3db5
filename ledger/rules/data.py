"""Test sets and training data are registered."""

from __future__ import annotations

from dataclasses import replace

from ledger.entries import DataRegister
from ledger.envelope import SignedEntry
from ledger.errors import AlreadyRegistered, UnknownData
from ledger.records import Testset, Training, Vouched
from ledger.state import State


def register(state: State, entry: SignedEntry, body: DataRegister, _: Vouched) -> State:
    """Take in the commitment to a test set or to training data."""
    # A second registration would be a second budget for one and the same secret.
    if body.root in state.testsets or body.root in state.training:
        raise AlreadyRegistered(f"data {body.root} is registered already")
    for parent in body.parents:
        if parent not in state.testsets and parent not in state.training:
            raise UnknownData(f"data {parent}, named as a parent, is not registered")
    if body.kind == "testset":
        known = Testset(entry.signer, body)
        return replace(state, testsets=state.testsets.set(body.root, known))
    return replace(state, training=state.training.set(body.root, Training(entry.signer, body)))
