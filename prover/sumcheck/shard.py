"""Proofs about one shard: its counts, and that it is well-formed (docs/protocol.md, section 5)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Matrix, commit_proof
from circuits.sumcheck.field_arrays import from_signed
from circuits.sumcheck.field_jit import IntegerArray, U64Array
from circuits.sumcheck.field_k import K, to_array
from circuits.sumcheck.multilinear import eq_table
from circuits.sumcheck.proof_bytes import Proof, encode
from circuits.sumcheck.public import AccuracyInput, Outputs, WellFormedInput
from circuits.sumcheck.randomness import Randomness
from circuits.sumcheck.reduction import reduce
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.rounds import ZeroChallenges
from circuits.sumcheck.transcript import Transcript
from circuits.weights import Weights
from prover.sumcheck.channel import MaskingChannel, draw_pads
from prover.sumcheck.linear import LinearProver, linear_prover
from prover.sumcheck.lookups import LookupTree
from prover.sumcheck.opening import open_matrices
from prover.sumcheck.witness import Witness, look_up_inputs, outputs, run_network
from prover.sumcheck.zero_check import AccuracyCheck, OneHotCheck

Progress: TypeAlias = Callable[[str, float], None]
"""Called at the end of each phase with its name and the seconds it took. The phases are "witness",
"commit", "zero check", "lookups", "linear" and "opening"."""


def _silent(_phase: str, _seconds: float) -> None:
    """Report nothing."""


def prove_shard(
    relation: Relation,
    public: AccuracyInput,
    shard: Matrix,
    model: Matrix,
    inputs: IntegerArray,
    labels: IntegerArray,
    groups: IntegerArray | None,
    weights: Weights,
    *,
    progress: Progress = _silent,
) -> tuple[Outputs, bytes]:
    """Prove how many samples of a shard a network predicts right.

    Parameters
    ----------
    relation : Relation
        "accuracy".
    public : AccuracyInput
        The statement; its counts are replaced by those that come out.
    shard, model : Matrix
        The two commitments it names.
    inputs : integer array [samples, *input_shape]
        The real samples, as committed.
    labels : integer array [samples]
        True classes.
    groups : integer array [samples], optional
        Group of each sample; needed where groups are counted.
    weights : Weights
        As committed.
    progress : callable, optional
        Told how long each phase took.

    Returns
    -------
    Outputs, bytes
        The counts, and a proof of the statement with them.

    Raises
    ------
    ShapeMismatch, WouldOverflow
        If a sample is not one of this network's.
    CorruptedArtefact
        If values or seed of a matrix are not the committed ones.
    """
    clock = _Clock(progress)
    clock.start("witness")
    witness = run_network(relation, weights, inputs)
    counts = outputs(witness, labels, groups, relation.metrics)
    secrets = _Secrets(relation, witness, shard, len(inputs), weights, clock)
    return counts, _prove(
        replace(public, outputs=counts), {"shard": shard, "model": model}, secrets
    )


def prove_well_formed(
    relation: Relation, public: WellFormedInput, shard: Matrix, *, progress: Progress = _silent
) -> bytes:
    """Prove that a shard commitment is one of samples, labels and groups (section 4.6).

    Parameters
    ----------
    relation : Relation
        "well-formed".
    public : WellFormedInput
        The statement.
    shard : Matrix
        The commitment it names.
    progress : callable, optional
        As for `prove_shard`.

    Raises
    ------
    WorkerFailed
        If an input is out of range.
    CorruptedArtefact
        As `prove_shard`.
    """
    clock = _Clock(progress)
    clock.start("witness")
    witness = look_up_inputs(relation, _features(shard, relation)[: relation.shard.inputs])
    return _prove(public, {"shard": shard}, _Secrets(relation, witness, shard, 0, None, clock))


class _Clock:
    """Tells how long each phase took when the next one starts."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._phase = ""
        self._begin = 0.0

    def start(self, phase: str) -> None:
        """End the phase before, if there is one, and start one unless its name is empty."""
        now = time.monotonic()
        if self._phase:
            self._progress(self._phase, now - self._begin)
        self._phase, self._begin = phase, now


@dataclass(frozen=True, repr=False)
class _Secrets:
    """What the reduction asks for: implements ``Secrets`` of `circuits.sumcheck.rounds`."""

    relation: Relation
    witness: Witness
    shard: Matrix
    samples: int
    weights: Weights | None
    clock: _Clock

    def zero_check(self, challenges: ZeroChallenges) -> OneHotCheck:
        """Return the zero check."""
        self.clock.start("zero check")
        features, layout = _features(self.shard, self.relation), self.relation.shard
        if self.weights is None:
            columns = features[layout.label_span.start : layout.features]
            return OneHotCheck(challenges.tau, columns)
        return AccuracyCheck(
            challenges,
            self.witness.predictions,
            self.witness.maximum - self.witness.logits,
            features[layout.label_span],
            features[layout.group_span],
            self.samples,
        )

    def lookups(self, alpha: K, gamma: K) -> LookupTree:
        """Return the lookups."""
        self.clock.start("lookups")
        return LookupTree(self.witness.lookups, self.witness.tables, alpha, gamma)

    def linear(self, rho: U64Array, accumulators: Mapping[str, U64Array]) -> LinearProver:
        """Return the sumcheck of the linear layers."""
        self.clock.start("linear")
        assert self.weights is not None
        inputs = _features(self.shard, self.relation)[: self.relation.shard.inputs]
        eq = eq_table(rho)
        return linear_prover(self.relation, self.weights, self.witness, inputs, eq, accumulators)


def _prove(
    public: AccuracyInput | WellFormedInput, matrices: dict[MatrixName, Matrix], secrets: _Secrets
) -> bytes:
    relation, clock = secrets.relation, secrets.clock
    clock.start("commit")
    pads = draw_pads(relation.schedule, Randomness())
    matrices["proof"] = commit_proof(_proof_rows(relation, secrets.witness, pads))
    transcript = Transcript()
    channel = MaskingChannel(relation.schedule, transcript, matrices["proof"].root, pads)
    reduction = reduce(relation, public, channel, secrets)
    assert channel.sent == relation.schedule.messages
    clock.start("opening")
    u, q, openings = open_matrices(
        matrices, reduction.constraints, reduction.vectors, relation.proof.pad_slot, transcript
    )
    differences, messages = to_array(channel.opened), to_array(channel.messages)
    proof = encode(Proof(channel.root, differences, messages, u, q, openings))
    clock.start("")
    return proof


def _proof_rows(relation: Relation, witness: Witness, pads: U64Array) -> U64Array:
    """Return the proof matrix (section 4.5), the mask rows not filled in."""
    layout = relation.proof
    rows = np.zeros((layout.rows, relation.profile.row_slots), np.uint64)
    features = rows.reshape(-1, 1 << relation.a)
    for block in layout.blocks:
        if block.role != "pads":
            features[block.span] = from_signed(witness.feature(block))
    rows.reshape(-1)[layout.pad_slot : layout.pad_slot + pads.size] = pads.reshape(-1)
    return rows


def _features(shard: Matrix, relation: Relation) -> U64Array:
    """Return the features of a shard matrix, uint64 [features, 2^a]."""
    return shard.values.reshape(-1, 1 << relation.a)[: relation.shard.features]
