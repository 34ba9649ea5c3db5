"""A second verifier of the sumcheck backend, in plain Python integers.

It was written from docs/protocol.md alone and shares no code with the prover or with the fast
verifier, so that a misreading, a bug or an overflow in one of them shows as a disagreement. It is
meant to be read beside the specification; sections are cited where they are implemented.
"""

from verifier.plain.relation import Metrics, ShardShape
from verifier.plain.verify import verify_shard, verify_well_formed

__all__ = ["Metrics", "ShardShape", "verify_shard", "verify_well_formed"]
