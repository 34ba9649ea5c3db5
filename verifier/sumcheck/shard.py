"""Verifying the proof of one shard (docs/protocol.md, sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Mapping

from circuits.errors import ProofRejected, UnsafeConfiguration
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.proof_bytes import parse
from circuits.sumcheck.public import AccuracyInput, WellFormedInput
from circuits.sumcheck.reduction import reduce
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.transcript import Transcript
from verifier.sumcheck.channel import ReadingChannel
from verifier.sumcheck.opening import check_opening


def verify_shard(
    relation: Relation,
    public: AccuracyInput | WellFormedInput,
    roots: Mapping[MatrixName, bytes],
    data: bytes,
) -> None:
    """Check a proof that the statement `public` holds.

    What section 5.0 asks is the caller's to check: that ids, circuit and roots are what the
    statement names.

    Parameters
    ----------
    relation : Relation
        What is proven, computed by the verifier from the public circuit.
    public : AccuracyInput or WellFormedInput
        The statement.
    roots : mapping of matrix to bytes
        Of the committed shard and, for "accuracy", of the model.
    data : bytes
        The proof.

    Raises
    ------
    ProofRejected
        By the check "security", "encoding", "samples", "outputs", "statement", "lookups", "sum",
        "columns", "proximity" or "linear".
    """
    try:
        _ = relation.security
    except UnsafeConfiguration as error:
        raise ProofRejected("security", error.message) from None
    proof = parse(data, relation.shape)
    transcript = Transcript()
    channel = ReadingChannel(relation.schedule, transcript, proof)
    reduction = reduce(relation, public, channel)
    check_opening(
        proof,
        relation.shape,
        roots,
        reduction.constraints,
        reduction.vectors,
        relation.proof.pad_slot,
        transcript,
    )
