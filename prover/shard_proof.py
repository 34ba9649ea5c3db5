"""A finished shard: its proof, what it says, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass

from circuits.sumcheck.public import Outputs


@dataclass(frozen=True)
class ShardProof:
    """A shard's proof and what it cost.

    Attributes
    ----------
    proof : bytes
        The proof, as its backend encodes it.
    outputs : Outputs
        The counts that it proves.
    seconds : float
        Wall time of proving.
    peak_rss : int
        Peak resident memory of the proving process, in bytes.
    """

    proof: bytes
    outputs: Outputs
    seconds: float
    peak_rss: int
