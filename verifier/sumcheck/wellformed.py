"""Verifies that a committed test set is well-formed (docs/protocol.md, 4.6)."""

from __future__ import annotations

from pathlib import Path

from circuits.errors import ArtefactError, InputError, MissingArtefact, ProofRejected
from circuits.sumcheck.claims import well_formed_input, well_formed_relation
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import Manifest
from verifier.question import Options
from verifier.sumcheck.claim import Claim, wants_fast, wants_plain
from verifier.sumcheck.limits import require_testset

CHECK = "well-formed"


def verify_well_formed(manifest: Manifest, source: Path | bytes, options: Options) -> None:
    """Check the proofs that all shards of a set are well-formed.

    Parameters
    ----------
    manifest : Manifest
        The committed set.
    source : Path or bytes
        The file of the proofs, or its content.
    options : Options
        Which verifiers must accept, and how much memory it may take.

    Raises
    ------
    MissingArtefact
        If there is no such file.
    OutOfMemory
        If it would take more than `Options.memory`.
    ProofRejected
        By the check "well-formed", naming the shard.
    """
    try:
        require_testset(manifest, options.memory)
        found = WellFormed.load(source) if isinstance(source, Path) else WellFormed.decode(source)
        relation = well_formed_relation(manifest)
        _ = relation.security
    except MissingArtefact:
        raise
    except (ArtefactError, InputError) as error:
        raise ProofRejected(CHECK, error.message, reason=error.code) from None
    shards = manifest.sumcheck.shards
    ids = tuple(manifest.sumcheck.commitment_id(manifest, shard.index) for shard in shards)
    if found.commitments != ids or len(found.proofs) != len(ids):
        raise ProofRejected(CHECK, "these are proofs about the shards of another test set")
    for shard, proof in zip(shards, found.proofs, strict=True):
        claim = Claim(
            shard.index,
            relation,
            well_formed_input(manifest, shard.index),
            {"shard": bytes.fromhex(shard.root)},
            proof,
        )
        try:
            if wants_fast(options.verifiers):
                claim.check_fast()
            if wants_plain(options.verifiers, relation, len(shards)):
                claim.check_plainly()
        except ProofRejected as error:
            raise ProofRejected(CHECK, error.message, shard=shard.index) from None
