"""A file that the evaluator handed out, and that opens nothing: looked at where it harms nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from ledger import Ledger, Policy, Signer, VerifierKey, blob_digest
from ledger.entries import NOTHING, Bond, IdentityRegister, Slash, TaskOpen
from ledger.entries import TestsetRelease as Release
from ledger.policy import Windows
from ledger.proofs import registration
from ledger.service.client import LedgerClient
from ledger.service.service import Service
from ledger.service.verify import ProofVerifier
from tests.ledger.service.service_world import FAST, refused, served
from tests.sumcheck_world import World
from verifier.verify import Options

ORIGIN = "reveals.example/tests"


@dataclass
class Accused:
    """A served ledger on which the same file was handed out, as if it opened two test sets."""

    client: LedgerClient
    evaluator: Signer
    finder: Signer
    good: tuple[str, bytes]
    bad: tuple[str, bytes]


def opened(ledger: Ledger, world: World, log: Signer, evaluator: Signer, opening: bytes) -> str:
    """Open a bonded task and release a file for it."""
    circuit = world.circuit.encode()
    policy = Policy(
        Fraction(0), Fraction(1, 100), 1000, 3, world.manifest.proofs,
        evaluator_bond=100, windows=Windows("entries", 2, 100, 100),
    )  # fmt: skip
    task = TaskOpen(
        title=f"task {blob_digest(opening)}", backend="sumcheck", circuit=world.circuit.digest,
        vk=NOTHING, srs=NOTHING, architecture=blob_digest(circuit),
        testset=world.manifest.testset_id, prover="evaluator", rounds=1, policy=policy,
    )  # fmt: skip
    entry = ledger.sign(task, log)
    ledger.append(entry, [circuit])
    ledger.append(ledger.sign(Bond(entry.digest, 100), evaluator))
    ledger.append(ledger.sign(IdentityRegister("somebody"), Signer.generate()))
    ledger.append(ledger.sign(Release(entry.digest, 0, blob_digest(opening)), evaluator))
    return entry.digest


@pytest.fixture
def accused(small: World, tmp_path: Path) -> Iterator[Accused]:
    folder, log, evaluator, finder = tmp_path / "ledger", *(Signer.generate() for _ in range(3))
    manifest, proof = small.manifest.to_bytes(), small.well_formed.encode()
    good, bad = small.opening.to_bytes(), b"no opening at all"
    with Ledger.init(
        folder, ORIGIN, log, allow_insecure_srs=False, grants={evaluator.public: 200}
    ) as ledger:
        for who in (evaluator, finder):
            ledger.append(ledger.sign(IdentityRegister("x"), who))
        data = registration(manifest, proof, Options())
        ledger.append(ledger.sign(data, evaluator), [manifest, proof])
        tasks = [opened(ledger, small, log, evaluator, file) for file in (good, bad)]
    service = Service(
        folder, lambda: Ledger.open(folder, log), FAST,
        verifier=lambda genesis: ProofVerifier(folder, genesis, Options()),
    )  # fmt: skip
    with served(service) as url, LedgerClient(url, VerifierKey(ORIGIN, log.public)) as client:
        yield Accused(client, evaluator, finder, (tasks[0], good), (tasks[1], bad))


def test_a_file_is_looked_at_before_anybody_loses_a_bond(accused: Accused) -> None:
    client, finder, evaluator = accused.client, accused.finder, accused.evaluator

    def slash(task: str, file: bytes) -> None:
        body = Slash("invalid-reveal", evaluator.public, task, blob=blob_digest(file))
        client.append(client.sign(body, finder), [file])

    assert refused(lambda: slash(*accused.good)) == "NO_FAULT"
    assert refused(lambda: slash(accused.good[0], b"not what was handed out")) == "NO_FAULT"
    assert client.balance(finder.public) == 0
    slash(*accused.bad)
    assert client.balance(finder.public) == 50
    # It holds the samples, or what is said to be them: it is not kept.
    assert refused(lambda: client.blob(blob_digest(accused.bad[1]))) == "MISSING_BLOB"
