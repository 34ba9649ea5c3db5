"""A real halo2 task for the chain: three shards, proven once and kept in ``golden``.

Made anew, when task payloads, circuits or the compiler change, by

    python -m tests.ledger.evm.halo2_world FOLDER_WITH_SOLC
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

from circuits.bundle import Bundle
from circuits.encoding import canonical_json, file_digest
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import Circuit
from circuits.halo2.keys import derive
from circuits.statement import Context
from circuits.testset import Manifest
from ledger import entries
from ledger.entries import blob_digest
from ledger.evm.artefact import Compiled
from ledger.evm.calls import Halo2Evidence
from ledger.evm.deploy import compile_verifier, deploy_verifier
from ledger.evm.pins import pins_of
from ledger.policy import Policy
from tests.circuits.halo2.halo2_world import K, make_world
from tests.ledger.evm.evm_world import ALICE, BOB, EVALUATOR, OPERATOR, Ledger
from verifier.halo2 import generate_contract

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Halo2World:
    """What is public of the golden task, and its proof by alice."""

    manifest: Manifest
    circuit: Circuit
    vk: str
    verifier: Compiled
    bundle: Bundle | None = None

    @classmethod
    @cache
    def load(cls) -> Halo2World:
        bundle = Bundle.load(GOLDEN / "bundle.zkpot")
        return cls(
            Manifest.load(GOLDEN / "manifest.json"),
            Circuit.from_dict(bundle.circuit),
            (GOLDEN / "vk.sha256").read_text().strip(),
            Compiled.load(GOLDEN / "verifier.json"),
            bundle,
        )

    @property
    def srs(self) -> Path:
        return GOLDEN / "development.srs"

    @property
    def data(self):
        manifest = self.manifest.to_bytes()
        return entries.DataRegister(
            kind="testset",
            root=self.manifest.testset_id,
            samples=self.manifest.samples,
            manifest=blob_digest(manifest),
            openings=self.manifest.proofs,
        )

    @property
    def terms(self):
        return entries.TaskOpen(
            title="three shards",
            backend="halo2",
            circuit=self.circuit.digest,
            vk=self.vk,
            srs=self.circuit.srs,
            architecture=blob_digest(self.circuit.encode()),
            testset=self.manifest.testset_id,
            prover="contributor",
            rounds=1,
            policy=Policy(Fraction(0), Fraction(1, 100), 1000, 3, self.manifest.proofs),
        )

    def pins(self, verifier: str):
        return pins_of(self.circuit, self.manifest, verifier)

    def task(self, ledger: Ledger):
        """The entry that opens the task, as the operator's second."""
        return ledger.entry(OPERATOR, self.terms, nonce=1)

    def open(self, ledger: Ledger, verifier: str = "", data=None, **changes) -> str:
        """Register everybody and the set, open the task, and commit alice's and bob's models."""
        for who in (EVALUATOR, ALICE, BOB):
            ledger.do(who, entries.IdentityRegister("somebody"))
        ledger.do(EVALUATOR, replace(self.data, **(data or {})))
        verifier = verifier or deploy_verifier(ledger.node, OPERATOR, self.verifier).address
        pins = replace(self.pins(verifier), **changes)
        task = self.task(ledger)
        ledger.push(OPERATOR, task, ledger.opening(task, pins))
        return task.digest

    def submission(self, ledger: Ledger, who=ALICE, **changes):
        """The honest submission, or a changed one."""
        said = replace(self.bundle.statement, **changes)
        task = self.task(ledger).digest
        body = entries.ProofSubmit(task, 0, blob_digest(self.bundle.encode()), said, True)
        return ledger.entry(who, body)

    @property
    def evidence(self) -> Halo2Evidence:
        return Halo2Evidence.of(self.bundle.encode())


def make(modules: Path) -> None:
    """Prove, compile, and write the golden files."""
    ledger = Ledger.deploy()
    srs = srs_files.make_development(K)
    world = make_world(srs)
    keys = derive(world.circuit, srs.path, proving=True)
    verifier = compile_verifier(generate_contract(keys, srs.path).source, modules)
    made = Halo2World(world.manifest, world.circuit, keys.verifying_key_digest, verifier)
    context = Context(ALICE.public, made.task(ledger).digest, 0, ledger.origin)
    with tempfile.TemporaryDirectory() as folder:
        bundle, _ = replace(world, context=context).prove(Path(folder))
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "bundle.zkpot").write_bytes(bundle.encode())
    (GOLDEN / "manifest.json").write_bytes(world.manifest.to_bytes())
    (GOLDEN / "vk.sha256").write_text(keys.verifying_key_digest + "\n")
    (GOLDEN / "development.srs").write_bytes(srs.path.read_bytes())
    shown = {
        "contract": verifier.contract,
        "compiler": verifier.compiler,
        "sources": verifier.sources,
        "abi": verifier.abi,
        "bytecode": verifier.bytecode.hex(),
        "runtime": verifier.runtime.hex(),
    }
    (GOLDEN / "verifier.json").write_bytes(canonical_json(shown) + b"\n")
    assert file_digest(GOLDEN / "development.srs") == world.circuit.srs


if __name__ == "__main__":
    make(Path(sys.argv[1]))
