"""The verifier of docs/protocol.md, step by step, in plain Python integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from circuits.encoding import canonical_json
from circuits.network import Architecture, NumberFormat
from verifier.plain import public as public_input
from verifier.plain import relation as relations
from verifier.plain.forms import combine
from verifier.plain.opening import (
    MASK_ROWS,
    WEIGHED_MASK_ROWS,
    Lagrange,
    Matrix,
    check_linear,
    check_proximity,
    check_sum,
    coefficients,
    open_columns,
)
from verifier.plain.parameters import (
    accuracy_error,
    check_security,
    total_error,
    well_formed_error,
)
from verifier.plain.proof_bytes import Reader
from verifier.plain.reduction import Reduced, reduce_accuracy, reduce_well_formed
from verifier.plain.relation import Metrics, Relation, ShardShape
from verifier.plain.transcript import Transcript, encode

__all__ = ["verify_shard", "verify_well_formed"]


def verify_shard(
    architecture: Architecture,
    *,
    shape: ShardShape,
    metrics: Metrics,
    public: Mapping[str, Any],
    shard_root: bytes,
    model_root: bytes,
    proof: bytes,
) -> None:
    """Verify a proof of accuracy on one shard.

    Parameters
    ----------
    architecture : Architecture
        The network's.
    shape : ShardShape
        From the header of the shard's commitment.
    metrics : Metrics
        What the circuit asks for.
    public : mapping
        The object of 5.2, step 1. For the caller to check: that its ids are those of the circuit,
        of the test set and of the two commitments; that both headers have this kappa, and the
        shard's the architecture's input format; and that the shard is known to be well-formed.
    shard_root, model_root : bytes
        The Merkle roots that the ids of the commitments stand for.
    proof : bytes
        As in 6.6.

    Raises
    ------
    ProofRejected
        If it does not prove the public input. The checks are "circuit" and "public" (what was
        asked makes no sense), "security", "format", "degenerate challenge", "sum", "columns",
        "proximity" and "linear".
    """
    relation = relations.accuracy(architecture, shape, metrics)
    public_input.check_accuracy(public, shape, metrics)
    transcript, reader, root = _begin(public, proof)
    reduced = reduce_accuracy(architecture, relation, public["outputs"], transcript, reader)
    matrices = {
        "shard": Matrix(shard_root, relation.shard_rows),
        "model": Matrix(model_root, relation.model_rows),
        "proof": Matrix(root, relation.data_rows, MASK_ROWS),
    }
    _check_opening(relation, reduced, matrices, transcript, reader)


def verify_well_formed(
    *,
    shape: ShardShape,
    input_format: NumberFormat,
    public: Mapping[str, Any],
    shard_root: bytes,
    proof: bytes,
) -> None:
    """Verify a proof that a shard commitment is well-formed (4.6).

    Parameters
    ----------
    shape : ShardShape
        From the header of the commitment.
    input_format : NumberFormat
        The "bits" and "signed" of the header.
    public, shard_root, proof
        As for `verify_shard`.

    Raises
    ------
    ProofRejected
        As for `verify_shard`.
    """
    relation = relations.well_formed(shape, input_format)
    public_input.check_well_formed(public, shape)
    transcript, reader, root = _begin(public, proof)
    reduced = reduce_well_formed(relation, transcript, reader)
    matrices = {
        "shard": Matrix(shard_root, relation.shard_rows),
        "proof": Matrix(root, relation.data_rows, MASK_ROWS),
    }
    _check_opening(relation, reduced, matrices, transcript, reader)


def _begin(public: Mapping[str, Any], proof: bytes) -> tuple[Transcript, Reader, bytes]:
    """Do steps 1 and 2 of 5.2; return also the proof root."""
    transcript, reader = Transcript(), Reader(proof)
    transcript.absorb("public", canonical_json(public))
    root = reader.hash()
    transcript.absorb("root", root)
    return transcript, reader, root


def _check_security(relation: Relation, reduced: Reduced) -> None:
    shape = relation.shape
    if relation.is_accuracy:
        rest = accuracy_error(shape.a, relation.linear_variables)
    else:
        rest = well_formed_error(shape.a, shape.features)
    error = total_error(
        relation.profile,
        leaves=relation.slots << shape.a,
        depth=relation.depth,
        constraints=len(reduced.constraints),
        products=relation.products,
        a=shape.a,
        zero_high=relation.zero_high,
        rest=rest,
    )
    check_security(error)


def _check_opening(
    relation: Relation,
    reduced: Reduced,
    matrices: Mapping[str, Matrix],
    transcript: Transcript,
    reader: Reader,
) -> None:
    """Do steps 7 to 9 of 5.2, and check that the constraints hold of what is committed."""
    profile = relation.profile
    _check_security(relation, reduced)
    r = transcript.draw_one("constraints")
    rows = sum(matrix.rows for matrix in matrices.values())
    s = transcript.draw("rows", rows + WEIGHED_MASK_ROWS)
    u = reader.elements(profile.coefficients)
    q = reader.elements(profile.slots + profile.coefficients - 1)
    transcript.absorb("proximity", encode(u))
    transcript.absorb("linear", encode(q))
    positions = transcript.positions(profile.opened, profile.length)
    opened = open_columns(reader, profile, positions, matrices)
    reader.finish()

    combined = combine(reduced.constraints, r)
    check_sum(profile, q, combined.constant)
    lagrange = Lagrange(profile)
    check_proximity(lagrange, positions, opened, s, u)
    parts = {
        name: coefficients(combined, relation, name, matrix.rows)
        for name, matrix in matrices.items()
    }
    check_linear(lagrange, positions, opened, q, parts, reduced.samples)
