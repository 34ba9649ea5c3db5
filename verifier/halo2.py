"""The proofs of a halo2 bundle: bound to the manifest's shards, then verified twice."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from circuits.bundle import Bundle
from circuits.errors import CorruptedArtefact, ProofRejected, WorkerFailed
from circuits.halo2.circuit import Circuit
from circuits.halo2.keys import Keys
from circuits.halo2.kzg import SrsFile
from circuits.halo2.model import model_id
from circuits.halo2.process import call_ezkl
from circuits.halo2.proof import commitments, ezkl_accepts, instances
from circuits.halo2.testset import Halo2Part
from verifier.evm import SolidityVerifier

_CODEGEN_TIMEOUT = 300.0


def check_shards(bundle: Bundle, part: Halo2Part) -> None:
    """Check that there is exactly one proof for each shard, in order, by its commitments.

    Raises
    ------
    ProofRejected
        Naming the shard that is missing, repeated or foreign.
    """
    found = [_commitments(proof, index) for index, proof in enumerate(bundle.proofs)]
    places = {(s.features, s.labels): s.index for s in part.shards}
    for shard in part.shards:
        if shard.index >= len(found):
            raise ProofRejected(
                "shards", f"shard {shard.index} is missing: {len(found)} of "
                f"{len(part.shards)} shards are proven", shard=shard.index,
            )  # fmt: skip
        features, labels, _ = found[shard.index]
        if (features, labels) == (shard.features, shard.labels):
            continue
        other = places.get((features, labels))
        if other is None:
            which = "features" if features != shard.features else "labels"
            raise ProofRejected(
                "shards", f"the proof of shard {shard.index} is foreign: its commitment to "
                f"{which} is not in the test set", shard=shard.index,
            )  # fmt: skip
        how = "repeated" if other < shard.index else "out of place"
        raise ProofRejected(
            "shards", f"shard {other} is {how}: it stands where shard {shard.index} belongs",
            shard=shard.index,
        )  # fmt: skip
    if len(found) > len(part.shards):
        raise ProofRejected(
            "shards", f"{len(found)} proofs for {len(part.shards)} shards: one is too many"
        )


def check_model(bundle: Bundle, circuit: Circuit) -> None:
    """Check that every proof was made with the model the statement names.

    Raises
    ------
    ProofRejected
        Naming the first shard that was answered by another model.
    """
    for index, proof in enumerate(bundle.proofs):
        _, _, weights = _commitments(proof, index)
        found = model_id(bytes.fromhex(weights), circuit.k, circuit.srs)
        if found != bundle.statement.model:
            raise ProofRejected(
                "model",
                f"shard {index} was answered by model {found}, "
                f"and the statement names {bundle.statement.model}",
                shard=index,
            )


def _commitments(proof: bytes, index: int) -> tuple[str, str, str]:
    try:
        features, labels, weights = commitments(proof)
    except CorruptedArtefact as error:
        raise ProofRejected("shards", f"shard {index}: {error.message}", shard=index) from None
    return features.hex(), labels.hex(), weights.hex()


def expected_instances(bundle: Bundle, circuit: Circuit, part: Halo2Part) -> list[list[int]]:
    """Return the public instances that each shard's proof must be a proof of."""
    return [
        instances(circuit, correct=correct, samples=shard.samples, context=bundle.statement.context)
        for correct, shard in zip(bundle.statement.shard_correct, part.shards, strict=True)
    ]


def generate_contract(keys: Keys, srs: Path) -> SolidityVerifier:
    """Generate the Solidity verifier of our own verifying key and read it.

    Raises
    ------
    ProofRejected
        If the generated contract is not for this SRS.
    WorkerFailed
        If ezkl wrote none.
    UnsupportedVerifier
        If it is not of the known form.
    """
    with tempfile.TemporaryDirectory(prefix="zkpot-contract-") as folder:
        source = Path(folder) / "verifier.sol"
        try:
            call_ezkl(
                "create_evm_verifier",
                timeout=_CODEGEN_TIMEOUT,
                vk_path=keys.path("verifying_key"),
                settings_path=keys.path("settings"),
                sol_code_path=source,
                abi_path=Path(folder) / "verifier.abi",
                srs_path=srs,
                reusable=False,
            )
        except WorkerFailed:
            # It writes the source, then fails to download a compiler that we do not need.
            if not source.exists():
                raise
        contract = SolidityVerifier(source.read_text())
    if not contract.matches_srs(SrsFile.open(srs)):
        raise ProofRejected("proof form", "the generated verifier is not for this SRS")
    return contract


def check_lengths(bundle: Bundle, contract: SolidityVerifier, public: Sequence[list[int]]) -> None:
    """Check every proof's exact length; ezkl ignores trailing bytes.

    Raises
    ------
    ProofRejected
        Naming the shard and both lengths.
    """
    for index, (proof, values) in enumerate(zip(bundle.proofs, public, strict=True)):
        try:
            contract.check_inputs(values, proof)
        except ProofRejected as error:
            raise ProofRejected("proof form", f"shard {index}: {error}", shard=index) from None


def check_with_ezkl(bundle: Bundle, keys: Keys, srs: Path, public: Sequence[list[int]]) -> None:
    """Verify every proof with ezkl; ProofRejected names the first shard that fails."""
    for index, (proof, values) in enumerate(zip(bundle.proofs, public, strict=True)):
        if not ezkl_accepts(keys, srs, proof, values):
            raise _failed("ezkl", index, bundle)


def check_with_py_ecc(
    bundle: Bundle, contract: SolidityVerifier, public: Sequence[list[int]]
) -> None:
    """Verify every proof with the generated verifier over py_ecc, about 1 s each."""
    for index, (proof, values) in enumerate(zip(bundle.proofs, public, strict=True)):
        if not contract.verify(values, proof):
            raise _failed("py_ecc", index, bundle)


def _failed(check: str, index: int, bundle: Bundle) -> ProofRejected:
    return ProofRejected(
        check,
        f"the proof of shard {index} does not establish "
        f"{bundle.statement.shard_correct[index]} right predictions in this context",
        shard=index,
    )
