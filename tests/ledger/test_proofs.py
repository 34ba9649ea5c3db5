"""The verifier that a ledger uses: it holds a proof against what the task pins, and only that."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest

from circuits.bundle import Bundle
from circuits.errors import ProofRejected, SrsInsecure
from circuits.halo2.keys import derive
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
from ledger.errors import LedgerCorrupt, MissingBlob
from ledger.records import TaskPins
from tests.circuits.halo2.halo2_world import World
from verifier.verify import Options

pytestmark = pytest.mark.ezkl

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

    def entry(self, ledger: Ledger, bundle: bytes) -> object:
        claimed = Bundle.decode(bundle)
        body = ProofSubmit(self.task, 0, blob_digest(bundle), claimed.statement,
                           claimed.srs_insecure)  # fmt: skip
        return ledger.sign(body, self.author)


def task_of(world: World, **changes: object) -> TaskOpen:
    circuit = world.circuit.encode()
    fields: dict[str, object] = {
        "title": "tiny",
        "backend": "halo2",
        "circuit": world.circuit.digest,
        "vk": derive(world.circuit, world.srs.path, proving=False).verifying_key_digest,
        "srs": world.circuit.srs,
        "architecture": blob_digest(circuit),
        "testset": world.manifest.testset_id,
        "prover": "contributor",
        "rounds": 1,
        "policy": Policy(Fraction(0), Fraction(1, 100), 1000, 3, world.manifest.proofs),
    }
    return TaskOpen(**{**fields, **changes})


def build(world: World, folder: Path, *, allow: bool = True, **changes: object) -> Book:
    """Open a ledger and run it to the release of its one task; `changes` are pins."""
    log, author = Signer.generate(), Signer.generate()
    manifest, circuit = world.manifest.to_bytes(), world.circuit.encode()
    blobs = [manifest, circuit, *changes.pop("blobs", ())]
    data = {"root": world.manifest.testset_id, "manifest": blob_digest(manifest),
            "well_formed": NOTHING, "samples": world.manifest.samples,
            "openings": world.manifest.proofs}  # fmt: skip
    data |= changes.pop("data", {})
    with Ledger.init(folder, ORIGIN, log, allow_insecure_srs=allow) as ledger:
        ledger.append(ledger.sign(IdentityRegister("author"), author))
        ledger.append(ledger.sign(DataRegister(**{"kind": "testset", **data}), author), blobs)
        opened = ledger.sign(task_of(world, testset=data["root"], **changes), log)
        ledger.append(opened, blobs)
        task = opened.digest
        context = Context(author.public, task, 0, ORIGIN)
        ledger.append(ledger.sign(ModelCommit(task, 0, world.model.model, context.digest), author))
        ledger.append(ledger.sign(Release(task, 0), author))
    return Book(folder, log, author, task, b"")


@pytest.fixture(scope="module")
def book(tiny: World, tmp_path_factory: pytest.TempPathFactory) -> Book:
    folder = tmp_path_factory.mktemp("proofs")
    made = build(tiny, folder / "ledger")
    context = Context(made.author.public, made.task, 0, ORIGIN)
    bundle, _ = replace(tiny, context=context).prove(folder)
    return replace(made, bundle=bundle.encode())


def pins(ledger: Ledger, book: Book) -> TaskPins:
    return ledger.state.pins(book.task, 0, book.author.public)


class TestAccepts:
    def test_three_lines(self, book: Book) -> None:
        with book.open() as ledger:
            verify = bundle_verifier(ledger)
            statement = verify(book.bundle, pins(ledger, book)).require()
        assert statement == Bundle.decode(book.bundle).statement

    def test_both_verifiers_whatever_the_caller_asks(self, book: Book) -> None:
        options = Options(verifiers="fast", allow_insecure_srs=False)
        with book.open() as ledger:
            verdict = bundle_verifier(ledger, options)(book.bundle, pins(ledger, book))
        assert verdict.accepted
        assert [check.name for check in verdict.checks][-2:] == ["ezkl", "py_ecc"]
        assert verdict.srs_insecure

    def test_submission_and_audit(self, tiny: World, book: Book) -> None:
        with book.open() as ledger:
            entry = book.entry(ledger, book.bundle)
            verify = bundle_verifier(ledger)
            receipt = ledger.submit(book.bundle, entry, verify)
            right = sum(tiny.counts)
            assert ledger.credited(receipt) > 0
            assert ledger.credited(receipt) <= 1000 * right / tiny.manifest.samples
            assert ledger.submit(book.bundle, entry, verify) == receipt
            report = ledger.audit(verify, ledger.key)
        assert (report.ok, report.proofs) == (True, 1)


class TestPins:
    """Each pin is changed, one at a time; the honest bundle is then refused by that name."""

    @pytest.mark.parametrize(
        ("field", "value", "check"),
        [
            ("testset", "ab" * 32, "task"),
            ("samples", 7, "task"),
            ("circuit", "ab" * 32, "task"),
            ("srs", "ab" * 32, "task"),
            ("vk", "ab" * 32, "keys"),
            ("vk", NOTHING, "task"),
            ("backend", "sumcheck", "task"),
        ],
    )
    def test_changed(self, book: Book, field: str, value: object, check: str) -> None:
        with book.open() as ledger:
            changed = replace(pins(ledger, book), **{field: value})
            with pytest.raises(ProofRejected, match=f"^{check}: ") as refused:
                bundle_verifier(ledger)(book.bundle, changed).require()
        assert refused.value.check == check
        assert str(value) in refused.value.message

    def test_another_context(self, book: Book) -> None:
        with book.open() as ledger:
            right = pins(ledger, book)
            for name, value in (
                ("round", 1),
                ("task", "ab" * 32),
                ("submitter", "ab" * 32),
                ("origin", "other.example"),
            ):
                verdict = bundle_verifier(ledger)(book.bundle, replace(right, **{name: value}))
                assert verdict.error.code == "WRONG_CONTEXT", name

    @pytest.mark.parametrize("field", ["manifest", "architecture"])
    def test_a_blob_that_is_not_there(self, book: Book, field: str) -> None:
        with book.open() as ledger:
            changed = replace(pins(ledger, book), **{field: "ab" * 32})
            with pytest.raises(MissingBlob, match="ab" * 32):
                bundle_verifier(ledger)(book.bundle, changed)

    @pytest.mark.parametrize("field", ["manifest", "architecture"])
    def test_a_blob_that_was_changed(self, tiny: World, tmp_path: Path, field: str) -> None:
        book = build(tiny, tmp_path / "ledger")
        with book.open() as ledger:
            digest = getattr(pins(ledger, book), field)
            path = tmp_path / "ledger" / "blobs" / digest
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
            with pytest.raises(LedgerCorrupt, match=digest):
                bundle_verifier(ledger)(b"", pins(ledger, book))

    @pytest.mark.parametrize("field", ["manifest", "architecture"])
    def test_a_blob_of_another_kind(self, book: Book, field: str) -> None:
        """The two are swapped: both are there, and neither is what it stands for."""
        with book.open() as ledger:
            right = pins(ledger, book)
            other = {"manifest": right.architecture, "architecture": right.manifest}[field]
            with pytest.raises(ProofRejected, match="the task's artefacts cannot be used"):
                bundle_verifier(ledger)(book.bundle, replace(right, **{field: other}))


class TestRegistered:
    """A task can be opened over artefacts that contradict its pins; no proof is credited then."""

    def refusal(self, book: Book, bundle: bytes) -> ProofRejected:
        with book.open() as ledger, pytest.raises(ProofRejected) as refused:
            bundle_verifier(ledger)(bundle, pins(ledger, book)).require()
        return refused.value

    def test_the_manifest_of_another_set(self, tiny: World, book: Book, tmp_path: Path) -> None:
        shards = list(tiny.manifest.halo2.shards)
        shards[0] = replace(shards[0], features=shards[1].labels)
        part = replace(tiny.manifest.halo2, shards=tuple(shards))
        other = replace(tiny.manifest, parts=(part,)).to_bytes()
        made = build(tiny, tmp_path / "l", data={"manifest": blob_digest(other)}, blobs=[other])
        error = self.refusal(made, book.bundle)
        assert error.check == "task"
        assert "test set: the task pins" in error.message
        assert tiny.manifest.testset_id in error.message

    def test_another_number_of_samples(self, tiny: World, book: Book, tmp_path: Path) -> None:
        made = build(tiny, tmp_path / "l", data={"samples": tiny.manifest.samples + 1})
        assert "number of samples: the task pins" in self.refusal(made, book.bundle).message

    def test_the_file_of_another_circuit(self, tiny: World, book: Book, tmp_path: Path) -> None:
        other = replace(tiny.circuit, model_budget=tiny.circuit.model_budget + 1).encode()
        made = build(tiny, tmp_path / "l", architecture=blob_digest(other), blobs=[other])
        error = self.refusal(made, book.bundle)
        assert "circuit: the task pins" in error.message
        assert tiny.circuit.digest in error.message

    def test_another_srs(self, tiny: World, book: Book, tmp_path: Path) -> None:
        made = build(tiny, tmp_path / "l", srs="ab" * 32)
        assert "SRS: the task pins" in self.refusal(made, book.bundle).message


def test_a_production_ledger_has_no_use_for_a_development_srs(
    tiny: World, book: Book, tmp_path: Path
) -> None:
    """Also if the caller's options would take it: the ledger's genesis decides."""
    made = build(tiny, tmp_path / "l", allow=False)
    with made.open() as ledger:
        options = Options(allow_insecure_srs=True, srs=tiny.srs.path)
        # The submission that the other ledger accepts, in its own context.
        changed = replace(pins(ledger, made), task=book.task, submitter=book.author.public)
        with pytest.raises(SrsInsecure, match="development"):
            bundle_verifier(ledger, options)(book.bundle, changed)


def test_validators_need_no_torch(book: Book, zkpot_home: Path) -> None:
    """A fresh interpreter in which the extras cannot be imported verifies and says what it used."""
    script = """
import importlib.abc, json, sys
from pathlib import Path

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "sklearn"):
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Absent())
try:
    import torch
    raise SystemExit("torch is not blocked")
except ImportError:
    pass
from ledger import Ledger, bundle_verifier
folder, task, submitter, bundle = sys.argv[1:]
with Ledger.open(Path(folder)) as ledger:
    verdict = bundle_verifier(ledger)(Path(bundle).read_bytes(),
                                      ledger.state.pins(task, 0, submitter))
print(json.dumps({"accepted": verdict.accepted, "loaded": sorted(
    {name.partition(".")[0] for name in sys.modules} & {"torch", "sklearn", "prover", "zkpot"})}))
"""
    path = book.folder.parent / "bundle.zkpot"
    path.write_bytes(book.bundle)
    ran = subprocess.run(
        [sys.executable, "-c", script, book.folder, book.task, book.author.public, path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == {"accepted": True, "loaded": []}
