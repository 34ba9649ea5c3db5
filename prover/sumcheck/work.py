"""One shard to prove, with all it takes: what is handed to a process or to another machine."""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass

import numba

from circuits._testset_samples import Samples
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.columns import Hashes
from circuits.sumcheck.commitment import feature_rows, restore
from circuits.sumcheck.model import model_rows
from circuits.sumcheck.params import Profile
from circuits.sumcheck.public import AccuracyInput
from circuits.sumcheck.shards import shard_features
from circuits.sumcheck.threads import KERNELS
from circuits.weights import Weights
from prover.shard_proof import ShardProof
from prover.sumcheck.shard import prove_shard


@dataclass(frozen=True, eq=False, repr=False)
class ShardWork:
    """A shard and a model, opened; secret.

    Attributes
    ----------
    circuit : Circuit
        The public circuit.
    public : AccuracyInput
        The claim; its counts are those of the integer network only once it is proven.
    samples : Samples
        The shard's real samples.
    shard_seed, model_seed : bytes
        What the commitments were made with.
    shard_leaves, model_leaves : uint8 array [L, 32]
        Leaf hashes of the two commitments.
    weights : Weights
        The model.
    """

    circuit: Circuit
    public: AccuracyInput
    samples: Samples
    shard_seed: bytes
    shard_leaves: Hashes
    weights: Weights
    model_seed: bytes
    model_leaves: Hashes

    def __repr__(self) -> str:
        """Say which shard it is: nothing secret may end in a log."""
        return f"<ShardWork {self.public.shard}>"

    def prove(self, threads: int | None = None) -> ShardProof:
        """Prove the shard, in this process, on so many threads.

        Raises
        ------
        CorruptedArtefact
            If samples, weights or a seed are not those of the commitments.
        """
        with KERNELS:
            return self._prove(threads)

    def _prove(self, threads: int | None) -> ShardProof:
        if threads is not None:
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        begin = time.monotonic()
        circuit, profile = self.circuit, Profile(self.circuit.kappa)
        shard = restore(
            feature_rows(shard_features(self.samples, circuit.shard_size), profile),
            self.shard_seed,
            self.shard_leaves,
        )
        model = restore(
            model_rows(circuit.architecture, self.weights, circuit.kappa),
            self.model_seed,
            self.model_leaves,
        )
        outputs, proof = prove_shard(
            circuit.relation,
            self.public,
            shard,
            model,
            self.samples.features,
            self.samples.labels,
            self.samples.group,
            self.weights,
        )
        return ShardProof(proof, outputs, time.monotonic() - begin, peak_rss())


def peak_rss() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def cores() -> int:
    """Return the processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
