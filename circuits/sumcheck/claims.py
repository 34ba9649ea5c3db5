"""What the proofs of a test set claim, put together from public artefacts alone (5.2, step 1)."""

from __future__ import annotations

from circuits.sumcheck import relation
from circuits.sumcheck.public import AccuracyInput, Outputs, WellFormedInput
from circuits.sumcheck.relation import Relation
from circuits.testset import Manifest


def accuracy_input(
    manifest: Manifest, shard: int, circuit: str, model: str, context: str, outputs: Outputs
) -> AccuracyInput:
    """Return the public input of the accuracy proof of a shard.

    Parameters
    ----------
    manifest : Manifest
        The test set.
    shard : int
        Index of the shard.
    circuit, model, context : str
        Digest of the circuit, id of the model, digest of the context.
    outputs : Outputs
        The counts.
    """
    part = manifest.sumcheck
    return AccuracyInput(
        circuit=circuit,
        testset=manifest.testset_id,
        shard=shard,
        commitment=part.commitment_id(manifest, shard),
        model=model,
        samples=part.shards[shard].samples,
        context=context,
        outputs=outputs,
    )


def well_formed_input(manifest: Manifest, shard: int) -> WellFormedInput:
    """Return the public input of the proof that a shard is well-formed."""
    part = manifest.sumcheck
    return WellFormedInput(
        part.kappa, part.a, part.commitment_id(manifest, shard), part.shards[shard].samples
    )


def well_formed_relation(manifest: Manifest) -> Relation:
    """Return what the proofs that a set is well-formed show of every shard."""
    part = manifest.sumcheck
    return relation.well_formed(
        manifest.input_format,
        manifest.feature_count,
        manifest.classes,
        manifest.groups,
        part.a,
        part.kappa,
    )
