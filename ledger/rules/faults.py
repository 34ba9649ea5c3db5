"""What counts as a fault, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from ledger.entries import Slash
from ledger.errors import BadEvidence, BadNote, NoFault
from ledger.records import Identity, InvalidReveal, Vouched
from ledger.rules import phases
from ledger.state import State, fault_id
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import KeyKind, Note, VerifierKey


def require_fault(state: State, body: Slash, vouched: Vouched) -> str:
    """Check that a fault is shown, and return what it is remembered by.

    Raises
    ------
    NoFault
        If it is not shown.
    """
    if body.fault == "equivocation":
        return _equivocation(state, body)
    task = state.task(body.subject)
    evaluator = state.testsets[task.terms.testset].evaluator
    if body.offender != evaluator:
        raise NoFault(f"the evaluator of the task is {evaluator}")
    if body.fault == "no-release":
        if not phases.unreleased(state, task):
            raise NoFault("the test set was released, or still can be")
        return fault_id(body.fault, body.offender, body.subject)
    if body.blob not in task.openings:
        raise NoFault(f"the evaluator released no opening file {body.blob}")
    if vouched != InvalidReveal(body.blob):
        raise NoFault("the opening file was not found to be invalid")
    # Each file is a fault of its own, so that one of a later round costs the bond of that round.
    return fault_id(body.fault, body.offender, f"{body.subject}/{body.blob}")


def _equivocation(state: State, body: Slash) -> str:
    """Check for two roots of one size of this log, both signed by one key of the offender."""
    try:
        signatures = Note.parse(body.notes[0]).signatures
    except BadNote as error:
        raise NoFault(error.message) from None
    for key in _liable(state, state.identity(body.offender)):
        # The name of a witness is not signed, so it is whatever the notes say; both the same.
        for verifier in {found for s in signatures if (found := _named(s.name, s.key_id, key))}:
            try:
                offence = Evidence.of(verifier, *body.notes).verify([verifier])
            except BadEvidence:
                continue
            if offence.same_size and offence.first.origin == state.origin:
                return fault_id(body.fault, body.offender, str(offence.first.size))
    raise NoFault(f"the notes are not two checkpoints of one size signed by {body.offender}")


def _liable(state: State, offender: Identity) -> Iterator[str]:
    """Return the keys whose signatures count against an identity.

    A replaced key does so for as long as a bond is locked after notice: nobody can escape by
    rotating, and who stole a key that was left long ago can do no harm with it.
    """
    entries = state.charter.bond_entries if state.charter else 0
    for place, (scheme, key) in enumerate(offender.keys):
        left = offender.replaced[place] if place < len(offender.replaced) else state.size
        if scheme == "ed25519" and state.size <= left + entries:
            yield key


def _named(name: str, key_id: bytes, public: str) -> VerifierKey | None:
    """Return the key, as a log's or a witness's, that a line of a note is to be by."""
    for kind in get_args(KeyKind):
        try:
            key = VerifierKey(name, public, kind)
        except BadNote:
            return None
        if key.key_id == key_id:
            return key
    return None
