"""Sumcheck proofs on a ledger: sets are well-formed when registered, and credit is proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from circuits.bundle import Bundle
from circuits.errors import CorruptedArtefact, ProofRejected
from circuits.halo2.testset import Halo2Part, Halo2Shard
from circuits.statement import Context
from ledger import Ledger, Policy, Signer, blob_digest, bundle_verifier
from ledger.entries import (
    NOTHING,
    DataRegister,
    IdentityRegister,
    ModelCommit,
    ProofSubmit,
    TaskOpen,
)
from ledger.entries import (
    TestsetRelease as Release,
)
from ledger.errors import MissingBlob
from ledger.proofs import registration
from ledger.records import TaskPins
from tests.sumcheck_world import SAMPLES, World, make_world
from verifier.sumcheck import bundle as checks
from verifier.verify import Options

ORIGIN = "proofs.example/tests"


@dataclass(frozen=True)
class Book:
    """A ledger whose task is released, and an honest proof for it."""

    folder: Path
    log: Signer
    author: Signer
    task: str
    bundle: bytes

    def open(self) -> Ledger:
        return Ledger.open(self.folder, self.log)


def build(world: World, folder: Path, **changes: Any) -> Book:
    """Open a ledger and run it to the release of its one task; `changes` are pins."""
    log, author = Signer.generate(), Signer.generate()
    manifest, proof = world.manifest.to_bytes(), world.well_formed.encode()
    blobs = [manifest, proof, world.circuit.encode()]
    fields: dict[str, Any] = {
        "title": "small",
        "backend": "sumcheck",
        "circuit": world.circuit.digest,
        "vk": NOTHING,
        "srs": NOTHING,
        "architecture": blob_digest(world.circuit.encode()),
        "testset": world.manifest.testset_id,
        "prover": "contributor",
        "rounds": 1,
        "policy": Policy(Fraction(0), Fraction(1, 100), 1000, 3, world.manifest.proofs),
    }
    data = replace(registration(manifest, proof, Options()), **changes.pop("data", {}))
    with Ledger.init(folder, ORIGIN, log, allow_insecure_srs=False) as ledger:
        ledger.append(ledger.sign(IdentityRegister("author"), author))
        ledger.append(ledger.sign(data, author), blobs)
        opened = ledger.sign(TaskOpen(**{**fields, **changes}), log)
        ledger.append(opened, blobs)
        task = opened.digest
        context = Context(author.public, task, 0, ORIGIN)
        ledger.append(ledger.sign(ModelCommit(task, 0, world.model.model, context.digest), author))
        ledger.append(ledger.sign(Release(task, 0), author))
    return Book(folder, log, author, task, b"")


@pytest.fixture(scope="module")
def book(small: World, tmp_path_factory: pytest.TempPathFactory) -> Book:
    folder = tmp_path_factory.mktemp("proofs")
    made = build(small, folder / "ledger")
    context = Context(made.author.public, made.task, 0, ORIGIN)
    bundle, _ = replace(small, context=context).prove(folder)
    return replace(made, bundle=bundle.encode())


def pins(ledger: Ledger, book: Book) -> TaskPins:
    return ledger.state.pins(book.task, 0, book.author.public)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the sets that were verified to be well-formed."""
    found: list[str] = []
    real: Callable[..., None] = checks.verify_well_formed

    def watch(manifest: Any, *args: Any) -> None:
        found.append(manifest.testset_id)
        real(manifest, *args)

    monkeypatch.setattr(checks, "verify_well_formed", watch)
    return found


# --- registering a set


def test_what_is_registered(small: World) -> None:
    manifest, proof = small.manifest.to_bytes(), small.well_formed.encode()
    body = registration(manifest, proof, Options())
    assert body == DataRegister(
        kind="testset",
        root=small.manifest.testset_id, manifest=blob_digest(manifest),
        well_formed=blob_digest(proof), samples=SAMPLES, openings=small.manifest.proofs,
    )  # fmt: skip
    assert body.blobs == (blob_digest(manifest), blob_digest(proof))
    assert body.openings == 2, "one of three openings was the evaluator's own"


def test_a_set_that_is_not_proven_well_formed_is_not_registered(small: World) -> None:
    manifest, found = small.manifest.to_bytes(), small.well_formed
    other = make_world(seed=6)
    damaged = replace(found, proofs=(*found.proofs[:2], found.proofs[2][:-1] + b"?"))
    for proof in (None, b"", other.well_formed.encode(), damaged.encode()):
        with pytest.raises(ProofRejected, match=r"^well-formed: "):
            registration(manifest, proof, Options())


def test_a_damaged_manifest_is_not_registered(small: World) -> None:
    text = small.manifest.to_bytes().decode()
    at = text.index('"root":"') + 40
    damaged = text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :]
    with pytest.raises(ProofRejected, match=r"^well-formed: "):
        registration(damaged.encode(), small.well_formed.encode(), Options())


def test_both_parts_of_a_set_are_checked(small: World) -> None:
    shard = Halo2Shard(0, SAMPLES, "ab" * 64, "cd" * 64)
    halo2 = Halo2Part(SAMPLES, 2, (shard,), 12, "ab" * 32, True)
    both = replace(small.manifest, parts=(halo2, small.manifest.sumcheck))
    with pytest.raises(CorruptedArtefact, match="no point of the curve"):
        registration(both.to_bytes(), small.well_formed.encode(), Options())


# --- proofs


def test_submission_and_audit(small: World, book: Book, checked: list[str]) -> None:
    with book.open() as ledger:
        claimed = Bundle.decode(book.bundle)
        body = ProofSubmit(book.task, 0, blob_digest(book.bundle), claimed.statement, False)
        entry = ledger.sign(body, book.author)
        receipt = ledger.submit(book.bundle, entry, bundle_verifier(ledger))
        right = sum(small.counts)
        assert 0 < ledger.credited(receipt) <= 1000 * right / SAMPLES
        report = ledger.audit(bundle_verifier(ledger), ledger.key)
    assert (report.ok, report.proofs) == (True, 1)
    assert checked == [small.manifest.testset_id] * 2, "once by each verifier"


def test_a_set_is_verified_once_for_many_proofs(
    small: World, book: Book, checked: list[str]
) -> None:
    with book.open() as ledger:
        verify = bundle_verifier(ledger)
        for _ in range(3):
            assert verify(book.bundle, pins(ledger, book)).accepted
    assert checked == [small.manifest.testset_id]


def test_a_rejected_proof_settles_nothing_about_its_set(
    small: World, book: Book, checked: list[str]
) -> None:
    with book.open() as ledger:
        verify = bundle_verifier(ledger)
        assert not verify(b"junk", pins(ledger, book)).accepted
        assert verify(book.bundle, pins(ledger, book)).accepted
    assert checked == [small.manifest.testset_id]


def test_the_caller_cannot_ask_for_less(book: Book) -> None:
    with book.open() as ledger:
        verify = bundle_verifier(ledger, Options(verifiers="fast"))
        verdict = verify(book.bundle, pins(ledger, book))
    assert [check.name for check in verdict.checks][-2:] == ["sumcheck", "plain"]


@pytest.mark.parametrize(
    ("field", "value", "check"),
    [
        ("testset", "ab" * 32, "task"), ("samples", 7, "task"), ("circuit", "ab" * 32, "task"),
        ("srs", "ab" * 32, "task"), ("vk", "ab" * 32, "task"), ("backend", "halo2", "task"),
        ("round", 1, "context"),
    ],
)  # fmt: skip
def test_every_pin_is_compared(book: Book, field: str, value: object, check: str) -> None:
    with book.open() as ledger:
        changed = replace(pins(ledger, book), **{field: value})
        with pytest.raises(ProofRejected, match=f"^{check}: "):
            bundle_verifier(ledger)(book.bundle, changed).require()


def test_the_proof_that_the_set_is_well_formed_is_a_pin(
    small: World, book: Book, tmp_path: Path
) -> None:
    with book.open() as ledger:
        right = pins(ledger, book)
        with pytest.raises(MissingBlob):
            bundle_verifier(ledger)(book.bundle, replace(right, well_formed="ab" * 32))
        # Another blob in its place is no such proof.
        wrong = replace(right, well_formed=right.manifest)
        error = bundle_verifier(ledger)(book.bundle, wrong).error
        assert error is not None and error.check == "well-formed"


def test_a_set_that_was_registered_without_a_proof_earns_nothing(
    small: World, book: Book, tmp_path: Path
) -> None:
    """Whoever writes the log may leave the check out; whoever verifies does not."""
    made = build(small, tmp_path / "l", data={"well_formed": NOTHING})
    context = Context(made.author.public, made.task, 0, ORIGIN)
    bundle, _ = replace(small, context=context).prove(tmp_path)
    with made.open() as ledger, pytest.raises(ProofRejected, match="without being proven"):
        bundle_verifier(ledger)(bundle.encode(), pins(ledger, made))
