"""The real verifier behind `Ledger.submit` and `Ledger.audit`: bundle against pinned facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Protocol

from circuits.artefact_files import Circuit, decode_circuit
from circuits.errors import ArtefactError, InputError, ProofRejected
from circuits.halo2.circuit import Circuit as Halo2Circuit
from circuits.halo2.match import require_points, testset_commitments
from circuits.sumcheck.testset import BACKEND as SUMCHECK
from circuits.testset import Manifest
from ledger.audit import Verify
from ledger.entries import NOTHING, DataRegister, blob_digest
from ledger.records import TaskPins
from ledger.state import State
from verifier.sumcheck.wellformed import verify_well_formed
from verifier.verdict import Verdict
from verifier.verify import Expectation, Options, verify_bundle


class Artefacts(Protocol):
    """What a verifier needs of a ledger, whatever engine keeps it."""

    @property
    def state(self) -> State:
        """What its entries amount to."""

    def blob(self, digest: str, /) -> bytes:
        """Return what a digest names."""


def registration(manifest: bytes, well_formed: bytes | None, options: Options) -> DataRegister:
    """Check the public files of a test set and return the entry that registers it.

    Parameters
    ----------
    manifest : bytes
        The manifest.
    well_formed : bytes or None
        The proof that the set is well-formed; ignored where no backend of the set asks for one.
    options : Options
        How to verify that proof.

    Raises
    ------
    CorruptedArtefact, WrongVersion
        If the manifest cannot be used, or a commitment is no point of the curve.
    ProofRejected
        If the set is not proven to be well-formed.
    """
    read = Manifest.from_bytes(manifest)
    if "halo2" in read.backends:
        require_points(testset_commitments(read.halo2))
    proof = NOTHING
    if "sumcheck" in read.backends:
        if well_formed is None:
            raise ProofRejected("well-formed", "the proof that the set is well-formed is missing")
        verify_well_formed(read, well_formed, options)
        proof = blob_digest(well_formed)
    return DataRegister(
        kind="testset",
        root=read.testset_id,
        manifest=blob_digest(manifest),
        well_formed=proof,
        samples=read.samples,
        openings=read.proofs,
    )


def bundle_verifier(ledger: Artefacts, options: Options | None = None) -> Verify:
    """Return the callable that `Ledger.submit` and `Ledger.audit` verify proofs with.

    Everything a proof is held against comes from the ledger: the manifest, the circuit and the
    proof that the set is well-formed from blobs whose digests are pinned, the verifying key from
    the circuit, and the context from task, round, origin and the submitter's key.

    Parameters
    ----------
    ledger : Ledger or another engine
        Whose blobs and rules to use; a development SRS is tolerated only if its genesis says so.
    options : Options, optional
        Where keys and SRS are. Which verifiers must accept is the ledger's to say: both, but for
        sumcheck proofs that are too large for the plain one.
    """
    genesis = ledger.state.genesis
    allow = genesis is not None and genesis.allow_insecure_srs
    chosen = replace(options or Options(), allow_insecure_srs=allow, verifiers="auto")
    # A set is used by many proofs; that it is well-formed is verified for the first of them.
    well_formed: set[tuple[str, str]] = set()

    def verify(bundle: bytes, pins: TaskPins) -> Verdict:
        manifest, circuit = _pinned(ledger, pins)
        known = (pins.manifest, pins.well_formed)
        proof: bytes | Literal[True] | None = None
        if pins.well_formed != NOTHING:
            proof = known in well_formed or ledger.blob(pins.well_formed)
        expected = Expectation(
            manifest=manifest,
            context=pins.context.digest,
            circuit=circuit.digest,
            verifying_key=None if pins.vk == NOTHING else pins.vk,
            well_formed=proof,
        )
        verdict = verify_bundle(bundle, expected, chosen)
        # A halo2 bundle shows it in its own way, and the proof was not looked at.
        if verdict.accepted and proof is not None and pins.backend == SUMCHECK:
            well_formed.add(known)
        return verdict

    return verify


def _pinned(ledger: Artefacts, pins: TaskPins) -> tuple[Manifest, Circuit]:
    try:
        manifest = Manifest.from_bytes(ledger.blob(pins.manifest))
        circuit = decode_circuit(ledger.blob(pins.architecture))
    except (ArtefactError, InputError) as error:
        raise ProofRejected("task", f"the task's artefacts cannot be used: {error}") from None
    for what, pinned, found in (
        ("test set", pins.testset, manifest.testset_id),
        ("number of samples", pins.samples, manifest.samples),
        ("backend", pins.backend, circuit.backend),
        ("circuit", pins.circuit, circuit.digest),
        ("SRS", pins.srs, circuit.srs if isinstance(circuit, Halo2Circuit) else NOTHING),
    ):
        if pinned != found:
            raise ProofRejected("task", f"{what}: the task pins {pinned}, its artefact is {found}")
    # A registration that promises more proofs than the set hides must not be used.
    if pins.openings > manifest.proofs:
        raise ProofRejected(
            "task", f"openings: registered for {pins.openings}, the set allows {manifest.proofs}"
        )
    # Without a pinned key a halo2 proof is held against the key derived from the pinned circuit;
    # but only a backend without keys may be pinned without one.
    if (pins.vk == NOTHING) != (pins.backend != "halo2"):
        raise ProofRejected("task", f"the task pins the verifying key {pins.vk}")
    if pins.backend == "sumcheck" and pins.well_formed == NOTHING:
        raise ProofRejected("task", "the test set was registered without being proven well-formed")
    return manifest, circuit
