"""The real verifier behind `Ledger.submit` and `Ledger.audit`: bundle against pinned facts."""

from __future__ import annotations

from dataclasses import replace

from circuits.errors import ArtefactError, InputError, ProofRejected
from circuits.halo2.circuit import Circuit
from circuits.testset import Manifest
from ledger.audit import Verify
from ledger.ledger import Ledger
from ledger.state import TaskPins
from verifier.verdict import Verdict
from verifier.verify import Expectation, Options, verify_bundle


def bundle_verifier(ledger: Ledger, options: Options | None = None) -> Verify:
    """Return the callable that `Ledger.submit` and `Ledger.audit` verify proofs with.

    Everything a proof is held against comes from the ledger: the manifest and the circuit from
    blobs whose digests are pinned, the verifying key from the circuit, and the context from
    task, round, origin and the submitter's key. Both verifiers must accept.

    Parameters
    ----------
    ledger : Ledger
        Whose blobs and rules to use; a development SRS is tolerated only if its genesis says so.
    options : Options, optional
        Where keys and SRS are; the two switches above are the ledger's, not the caller's.
    """
    genesis = ledger.state.genesis
    allow = genesis is not None and genesis.allow_insecure_srs
    chosen = replace(options or Options(), allow_insecure_srs=allow, second_opinion=True)

    def verify(bundle: bytes, pins: TaskPins) -> Verdict:
        manifest = _pinned_manifest(ledger, pins)
        expected = Expectation(
            manifest=manifest,
            context=pins.context.digest,
            circuit=pins.circuit,
            verifying_key=pins.vk,
        )
        return verify_bundle(bundle, expected, chosen)

    return verify


def _pinned_manifest(ledger: Ledger, pins: TaskPins) -> Manifest:
    try:
        manifest = Manifest.from_bytes(ledger.blob(pins.manifest))
        circuit = Circuit.decode(ledger.blob(pins.architecture))
    except (ArtefactError, InputError) as error:
        raise ProofRejected("task", f"the task's artefacts cannot be used: {error}") from None
    for what, pinned, found in (
        ("test set", pins.testset, manifest.testset_id),
        ("number of samples", pins.samples, manifest.samples),
        ("circuit", pins.circuit, circuit.digest),
        ("SRS", pins.srs, circuit.srs),
    ):
        if pinned != found:
            raise ProofRejected("task", f"{what}: the task pins {pinned}, its artefact is {found}")
    return manifest
