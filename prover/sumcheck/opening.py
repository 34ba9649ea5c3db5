"""Opening the committed matrices: steps 7 to 9 of a proof (docs/protocol.md, 5.2 and 6).

Two polynomials say that all rows are codewords and that their slots satisfy the constraints, and a
few columns bind the polynomials to the commitments (Ames, Hazay, Ishai, Venkitasubramaniam,
"Ligero").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

import numpy as np

from circuits.sumcheck.affine import Affine, MatrixName, VectorName
from circuits.sumcheck.combination import (
    Combination,
    by_sub_block,
    combine,
    proximity_coefficients,
)
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import K
from circuits.sumcheck.multilinear import combine_rows
from circuits.sumcheck.ntt import inverse_ntt, k_inverse_ntt, ntt
from circuits.sumcheck.ntt_code import interpolate
from circuits.sumcheck.ntt_evaluate import k_multiply_add
from circuits.sumcheck.params import Profile
from circuits.sumcheck.proof_bytes import Opening, element_bytes
from circuits.sumcheck.transcript import Transcript
from circuits.sumcheck.vectors import k_add, k_scale

_BATCH = 4  # products whose transforms fill two blocks of eight


class Opened(NamedTuple):
    """What an opening adds to a proof; see `circuits.sumcheck.proof_bytes.Proof`."""

    u: U64Array
    q: U64Array
    openings: dict[MatrixName, Opening]


def open_matrices(
    matrices: Mapping[MatrixName, Matrix],
    constraints: Iterable[Affine],
    vectors: Mapping[VectorName, U64Array],
    pad_slot: int,
    transcript: Transcript,
) -> Opened:
    """Prove that the constraints hold of the matrices (docs/protocol.md, section 6).

    Parameters
    ----------
    matrices : mapping of matrix to Matrix
        All of one profile; the last rows of "proof" are the masks.
    constraints : iterable of Affine
        Each must vanish; in the order of section 5.7.
    vectors : mapping of vector to uint64 [2^a, 2]
        Those that the constraints name.
    pad_slot : int
        Slot of the proof matrix in which the pads begin (section 5.5).
    transcript : Transcript
        After all messages (section 5.2, steps 1 to 6).

    Raises
    ------
    CorruptedArtefact
        If a matrix is not the committed one.
    """
    profile = matrices["proof"].profile
    combination = combine(constraints, pad_slot, profile.row_slots, transcript)
    rows = {name: matrix.rows for name, matrix in matrices.items()}
    coefficients = proximity_coefficients(rows, transcript)
    u = _polynomial(_combine_all(matrices, coefficients), profile)
    q = _linear_polynomial(matrices, combination, vectors, profile)
    transcript.absorb("proximity", element_bytes(u))
    transcript.absorb("linear", element_bytes(q))
    positions = transcript.positions(profile.positions, profile.opened)
    return Opened(u, q, {name: matrix.open(positions) for name, matrix in matrices.items()})


def _linear_polynomial(
    matrices: Mapping[MatrixName, Matrix],
    combination: Combination,
    vectors: Mapping[VectorName, U64Array],
    profile: Profile,
) -> U64Array:
    """Return q = sum_i C_i P_i + a + Z_H b (docs/protocol.md, section 6.2)."""
    n, degree = profile.row_slots, profile.degree
    total = _sum_of_products(_products(matrices, combination, vectors, n), profile)
    q = total[: profile.linear_degree]
    proof = matrices["proof"]
    a0, a1, b0, b1 = interpolate(proof.values[-4:], proof.tail[-4:])
    a, b = np.stack([a0, a1], axis=1), np.stack([b0, b1], axis=1)[: degree - 1]
    q[:degree] = k_add(q[:degree], a)
    q[: degree - 1] = k_add(q[: degree - 1], k_scale(K.of(-1), b))
    q[n:] = k_add(q[n:], b)
    return q


def _products(
    matrices: Mapping[MatrixName, Matrix],
    combination: Combination,
    vectors: Mapping[VectorName, U64Array],
    row_slots: int,
) -> Iterator[tuple[U64Array, U64Array]]:
    """Yield coefficients of slots [N, 2] and a row [k', 2] whose products add up to q.

    Rows whose coefficients are multiples of one vector are added up first: as many products as a
    row has features, however many rows there are.
    """
    for vector, entries in vectors.items():
        width = len(entries)
        blocks = row_slots // width
        features = {
            name: by_sub_block(coefficients, blocks)
            for (name, key), coefficients in combination.features.items()
            if key == vector
        }
        for j in range(blocks if features else 0):
            slots = np.zeros((row_slots, 2), np.uint64)
            slots[j * width : (j + 1) * width] = entries
            yield slots, _combine_all(matrices, {name: part[j] for name, part in features.items()})
    for (name, row), slots in combination.dense.items():
        alone = np.zeros((row + 1, 2), np.uint64)
        alone[row, 0] = 1
        yield slots, _combine_all(matrices, {name: alone})


def _combine_all(
    matrices: Mapping[MatrixName, Matrix], coefficients: Mapping[MatrixName, U64Array]
) -> U64Array:
    """Return the sum of rows with coefficients for the first ones of each matrix.

    The result [k', 2] consists, like a row, of N values and T random coefficients.
    """
    total = np.zeros((matrices["proof"].profile.degree, 2), np.uint64)
    for name, factors in coefficients.items():
        used = np.flatnonzero(factors.any(axis=1))
        if len(used):
            rows = slice(used[0], used[-1] + 1)
            parts = (matrices[name].values[rows], matrices[name].tail[rows])
            row = np.concatenate([combine_rows(factors[rows], part) for part in parts])
            total = k_add(total, row)
    return total


def _sum_of_products(products: Iterator[tuple[U64Array, U64Array]], profile: Profile) -> U64Array:
    """Return the polynomial that is the sum of the products of slots and rows."""
    size = 4 * profile.row_slots  # more than the degree of a product, and a power of two
    total = np.zeros((size, 2), np.uint64)
    while batch := list(islice(products, _BATCH)):
        lanes = 2 * len(batch)
        padded = np.zeros((2 * lanes, size), np.uint64)
        padded[:lanes, : profile.row_slots] = inverse_ntt(
            np.concatenate([slots.T for slots, _ in batch])
        )
        rows = np.concatenate([row.T for _, row in batch])
        padded[lanes:, : profile.degree] = interpolate(
            rows[:, : profile.row_slots], rows[:, profile.row_slots :]
        )
        values = ntt(padded)
        for i in range(0, lanes, 2):
            k_multiply_add(total, values[i : i + 2].T, values[lanes + i : lanes + i + 2].T)
    return k_inverse_ntt(total)


def _polynomial(row: U64Array, profile: Profile) -> U64Array:
    """Return the coefficients of a row over K."""
    values, tail = np.split(np.ascontiguousarray(row.T), [profile.row_slots], axis=1)
    return np.ascontiguousarray(interpolate(values, tail).T)
