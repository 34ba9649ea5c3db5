"""Checking the opening of the committed matrices (docs/protocol.md, steps 7 to 9 of 5.2, and 6).

The other side is ``prover/sumcheck/opening.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from circuits.errors import ProofRejected
from circuits.sumcheck.affine import Affine, MatrixName, VectorName
from circuits.sumcheck.columns import check_multiproof, leaf_hashes
from circuits.sumcheck.combination import (
    Combination,
    by_sub_block,
    combine,
    proximity_coefficients,
)
from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.field_k import ZERO, from_array
from circuits.sumcheck.multilinear import evaluate_rows
from circuits.sumcheck.ntt_evaluate import evaluate_polynomial, lagrange_at
from circuits.sumcheck.ntt_tables import coset_points
from circuits.sumcheck.proof_bytes import Proof, Shape, element_bytes
from circuits.sumcheck.transcript import Transcript
from circuits.sumcheck.vectors import k_add, k_multiply

_LAGRANGE_WORDS = 1 << 22  # of Lagrange values that are held at a time


def check_opening(
    proof: Proof,
    shape: Shape,
    roots: Mapping[MatrixName, bytes],
    constraints: Iterable[Affine],
    vectors: Mapping[VectorName, U64Array],
    pad_slot: int,
    transcript: Transcript,
) -> None:
    """Check that the committed matrices satisfy the constraints (docs/protocol.md, section 6).

    Parameters
    ----------
    proof : Proof
        As `parse` returned it for `shape`.
    shape : Shape
        Profile and rows of all matrices.
    roots : mapping of matrix to bytes
        Of the matrices that others committed: all but "proof".
    constraints, vectors, pad_slot, transcript
        As for the prover.

    Raises
    ------
    ProofRejected
        By the check "sum", "columns", "proximity" or "linear".
    """
    profile = shape.profile
    combination = combine(constraints, pad_slot, profile.row_slots, transcript)
    coefficients = proximity_coefficients(shape.rows, transcript)
    transcript.absorb("proximity", element_bytes(proof.u))
    transcript.absorb("linear", element_bytes(proof.q))
    positions = transcript.positions(profile.positions, profile.opened)

    # Over H, q adds up to the combined constraint: x^i does to N if N divides i, to 0 otherwise.
    total = sum(from_array(proof.q[:: profile.row_slots]), ZERO)
    if total * profile.row_slots != combination.constant:
        raise ProofRejected("sum", "the constraints do not add up")

    every_root = {**roots, "proof": proof.root}
    for name in shape.matrices:
        opening = proof.openings[name]
        leaves = leaf_hashes(opening.columns, opening.salts)
        check_multiproof(leaves, positions, profile.positions, opening.nodes, every_root[name])

    columns = {name: proof.openings[name].columns for name in shape.matrices}
    points = coset_points(profile.positions, positions)
    found = np.zeros((len(points), 2), np.uint64)
    for name, matrix in columns.items():
        found = k_add(found, evaluate_rows(matrix, coefficients[name]))
    if not np.array_equal(found, evaluate_polynomial(proof.u, points)):
        raise ProofRejected("proximity", "an opened column is not that of the combined row")

    step = max(1, _LAGRANGE_WORDS // profile.row_slots)
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        rows = {name: matrix[part] for name, matrix in columns.items()}
        expected = _linear_at(points[part], profile.row_slots, rows, combination, vectors)
        if not np.array_equal(expected, evaluate_polynomial(proof.q, points[part])):
            raise ProofRejected("linear", "an opened column is not that of the constraints")


def _linear_at(
    points: U64Array,
    row_slots: int,
    columns: Mapping[MatrixName, U64Array],
    combination: Combination,
    vectors: Mapping[VectorName, U64Array],
) -> U64Array:
    """Return sum_i C_i P_i + a + Z_H b at opened points (docs/protocol.md, section 6.4)."""
    lagrange = lagrange_at(row_slots, points)
    masks = columns["proof"][:, -4:]
    vanishing = np.zeros((len(points), 2), np.uint64)
    vanishing[:, 0] = [(pow(x, row_slots, MODULUS) - 1) % MODULUS for x in points.tolist()]
    total = k_add(masks[:, :2], k_multiply(vanishing, masks[:, 2:]))

    for vector, entries in vectors.items():
        # The polynomial that has the vector in place j of a row and is 0 elsewhere on H.
        placed = evaluate_rows(lagrange.reshape(-1, len(entries)), entries)
        placed = placed.reshape(len(points), -1, 2)
        for (name, key), coefficients in combination.features.items():
            if key == vector:
                for j, factors in enumerate(by_sub_block(coefficients, placed.shape[1])):
                    row = evaluate_rows(columns[name][:, : len(factors)], factors)
                    total = k_add(total, k_multiply(placed[:, j], row))
    for (name, row_number), coefficients in combination.dense.items():
        row = np.zeros((len(points), 2), np.uint64)
        row[:, 0] = columns[name][:, row_number]
        total = k_add(total, k_multiply(evaluate_rows(lagrange, coefficients), row))
    return total
