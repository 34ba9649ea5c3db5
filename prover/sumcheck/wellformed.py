"""Proves that a committed test set is well-formed: once, by who committed it."""

from __future__ import annotations

from collections.abc import Callable

from circuits.sumcheck.claims import well_formed_input, well_formed_relation
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import Manifest, Opening
from prover.sumcheck.shard import prove_well_formed


def prove_testset_well_formed(
    manifest: Manifest, opening: Opening, progress: Callable[[int, int], None]
) -> WellFormed:
    """Prove that every shard of a set is well-formed.

    It opens each shard once. That opening is set aside when the budget of a set is chosen, so this
    must be done once only for a commitment.

    Parameters
    ----------
    manifest, opening : Manifest, Opening
        The committed set and its secret.
    progress : callable
        Called with (shards done, shards).
    """
    relation = well_formed_relation(manifest)
    part, secret = manifest.sumcheck, opening.sumcheck
    ids, proofs = [], []
    for shard in part.shards:
        public = well_formed_input(manifest, shard.index)
        proofs.append(prove_well_formed(relation, public, secret.matrix(shard.index)))
        ids.append(public.commitment)
        progress(shard.index + 1, len(part.shards))
    return WellFormed(tuple(ids), tuple(proofs))
