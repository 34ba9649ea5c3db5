"""What a ledger's verifier remembers of a set must have been verified (review, part 1)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import ledger.proofs
from circuits.bundle import Bundle
from ledger.entries import NOTHING, blob_digest
from ledger.proofs import bundle_verifier
from ledger.records import TaskPins
from tests.sumcheck_world import World
from verifier.verdict import Check, Verdict
from verifier.verify import Expectation, Options, verify_bundle


def test_a_halo2_proof_says_nothing_of_the_other_backends_shards(
    small: World, small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set for both backends; what it was registered with as a proof is none.

    A sumcheck proof on it must never pass. After a halo2 proof, in the same process (an audit, a
    validator that stays up), it does.
    """
    nonsense = b"no proof at all"
    blobs = {
        blob_digest(data): data
        for data in (small.manifest.to_bytes(), small.circuit.encode(), nonsense)
    }
    book = SimpleNamespace(state=SimpleNamespace(genesis=None), blob=blobs.__getitem__)
    context = small.context
    pins = TaskPins(
        backend="sumcheck", circuit=small.circuit.digest, vk=NOTHING, srs=NOTHING,
        architecture=blob_digest(small.circuit.encode()),
        manifest=blob_digest(small.manifest.to_bytes()), well_formed=blob_digest(nonsense),
        testset=small.manifest.testset_id, samples=small.manifest.samples,
        openings=small.manifest.proofs, task=context.task,
        round=context.round, origin=context.origin, submitter=context.submitter,
    )  # fmt: skip
    halo2 = SimpleNamespace(**{**vars(pins), "backend": "halo2", "context": context})

    def verify(data: bytes, expected: Expectation, options: Options) -> Verdict:
        # Stands in for ezkl, which a set for both backends would take minutes of.
        if data == b"halo2":
            return Verdict(small_bundle.statement, (Check("ezkl", True, "", 0.0),), None, False)
        return verify_bundle(data, expected, options)

    def pinned(_: object, found: object) -> tuple[object, object]:
        return small.manifest, small.circuit

    monkeypatch.setattr(ledger.proofs, "verify_bundle", verify)
    monkeypatch.setattr(ledger.proofs, "_pinned", pinned)
    data = small_bundle.encode()
    fresh = bundle_verifier(book)(data, pins)
    assert fresh.error is not None and fresh.error.check == "well-formed"
    check = bundle_verifier(book)
    assert check(b"halo2", halo2).accepted
    assert not check(data, pins).accepted
