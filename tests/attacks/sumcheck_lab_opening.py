"""The opening of docs/protocol.md 6, row by row and slot by slot, with places to cheat."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from circuits.sumcheck.affine import Affine, MatrixName, VectorName
from circuits.sumcheck.columns import SALT_BYTES, Hashes, Tree, leaf_hashes
from circuits.sumcheck.commitment import MASK_ROWS, Matrix
from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.field_k import ONE, ZERO, K, from_array, to_array
from circuits.sumcheck.multilinear import combine_rows, evaluate_rows
from circuits.sumcheck.ntt import k_inverse_ntt, k_ntt
from circuits.sumcheck.ntt_code import encode, interpolate
from circuits.sumcheck.params import BLOWUP, Profile
from circuits.sumcheck.proof_bytes import MATRICES, Opening, element_bytes
from circuits.sumcheck.randomness import Randomness
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.sums import combine, k_total
from circuits.sumcheck.transcript import Transcript
from circuits.sumcheck.vectors import k_add, k_multiply, k_scale, powers

X = K(0, 1)
Coefficients = dict[MatrixName, U64Array]
"""Of every slot: uint64 [rows, N, 2]."""


@dataclass(frozen=True)
class Forgery:
    """What an opening does otherwise than an honest one.

    Attributes
    ----------
    values, tail : callable, optional
        Change values [rows, N] and random coefficients [rows, T] of the proof matrix, masks
        included, in place before it is committed.
    codeword : callable, optional
        Changes the codeword [L, rows] in place before it is hashed.
    u, q : callable, optional
        Change the polynomials in place before they are sent; q is given the number that the sum
        over H misses.
    """

    values: Callable[[U64Array], None] | None = None
    tail: Callable[[U64Array], None] | None = None
    codeword: Callable[[U64Array], None] | None = None
    u: Callable[[U64Array], None] | None = None
    q: Callable[[U64Array, K], None] | None = None


class Random:
    """Field elements and salts from a seed, for tests only.

    Parameters
    ----------
    seed : int
    use : int
        What for; a prover draws its pads from one stream and its matrix from the next.
    """

    def __init__(self, seed: int, use: int = 0) -> None:
        self._stream = Randomness(seed_bytes(seed, use))

    def elements(self, *shape: int) -> U64Array:
        return self._stream.elements(*shape)

    def k_elements(self, count: int) -> list[K]:
        return from_array(self.elements(count, 2))

    def salts(self, profile: Profile) -> Hashes:
        return self._stream.octets(profile.positions * SALT_BYTES).reshape(-1, SALT_BYTES)


def seed_bytes(seed: int, use: int) -> bytes:
    return hashlib.sha256(f"{seed}/{use}".encode()).digest()


def commit_rows(
    values: U64Array,
    random: Random,
    profile: Profile,
    *,
    masks: bool = False,
    forgery: Forgery | None = None,
) -> Matrix:
    """Commit to rows; with `masks`, the six mask rows of section 6.1 are added."""
    forgery = forgery or Forgery()
    tail = random.elements(len(values) + MASK_ROWS * masks, profile.tail)
    if masks:
        values = np.concatenate([values, random.elements(MASK_ROWS, profile.row_slots)])
        for row in (-4, -3):
            values[row, 0] = -sum(values[row, 1:].tolist()) % MODULUS
        tail[-2:, -1] = 0
    if forgery.values:
        forgery.values(values)
    if forgery.tail:
        forgery.tail(tail)
    salts = random.salts(profile)
    codeword = encode(values, tail, BLOWUP)
    if forgery.codeword:
        forgery.codeword(codeword)
    return Matrix(values, tail, salts, Tree(leaf_hashes(codeword, salts)), codeword)


def slot_coefficients(
    form: Affine,
    relation: Relation,
    vectors: Mapping[VectorName, U64Array],
    rows: Mapping[str, int],
) -> Coefficients:
    """Return the coefficient of every slot in an affine form."""
    size, n = 1 << relation.a, relation.profile.row_slots
    found: Coefficients = {
        name: np.zeros((rows[name] * n, 2), np.uint64) for name in MATRICES if name in rows
    }
    pads = found["proof"]
    for pad, coefficient in form.pads.items():
        at = relation.proof.pad_slot + 2 * pad
        pads[at : at + 2] = to_array([coefficient, coefficient * X])
    if form.functional is not None:
        for (name, vector), weights in form.functional.features.items():
            for feature, weight in enumerate(from_array(weights)):
                if weight:
                    span = slice(feature * size, (feature + 1) * size)
                    part = k_scale(weight, vectors[vector])
                    found[name][span] = k_add(found[name][span], part)
        for name, slots in form.functional.slots.items():
            found[name][: len(slots)] = k_add(found[name][: len(slots)], slots)
    return {name: array.reshape(-1, n, 2) for name, array in found.items()}


def value_of(coefficients: Coefficients, matrices: Mapping[MatrixName, Matrix]) -> K:
    """Return the sum of coefficient times slot."""
    total = ZERO
    for name, array in coefficients.items():
        slots = matrices[name].values[: len(array)].reshape(-1)
        lifted = np.stack([slots, np.zeros_like(slots)], axis=1)
        total += k_total(k_multiply(array.reshape(-1, 2), lifted))
    return total


def evaluate_form(
    form: Affine,
    relation: Relation,
    matrices: Mapping[MatrixName, Matrix],
    vectors: Mapping[VectorName, U64Array],
) -> K:
    """Return the true value of an affine form; a constraint holds if it is zero."""
    size = 1 << relation.a
    flat = {name: matrix.values.reshape(-1) for name, matrix in matrices.items()}
    total = form.constant
    for pad, coefficient in form.pads.items():
        at = relation.proof.pad_slot + 2 * pad
        total += coefficient * K(*flat["proof"][at : at + 2].tolist())
    if form.functional is None:
        return total
    for (name, vector), weights in form.functional.features.items():
        features = flat[name][: len(weights) * size].reshape(-1, size)
        total += k_total(k_multiply(weights, evaluate_rows(features, vectors[vector])))
    for name, weights in form.functional.slots.items():
        lifted = np.zeros_like(weights)
        lifted[:, 0] = flat[name][: len(weights)]
        total += k_total(k_multiply(weights, lifted))
    return total


@dataclass(frozen=True)
class Challenged:
    """What an opening is about, once r and s are drawn.

    Attributes
    ----------
    coefficients : Coefficients
        Of the combined constraint.
    constant : K
        What it must be.
    s : Coefficients by row, uint64 [rows, 2]
        Of every row in u; that of m0 is 1, of m1 X.
    """

    coefficients: Coefficients
    constant: K
    s: dict[MatrixName, U64Array]


def draw_opening(
    constraints: Sequence[Affine],
    relation: Relation,
    vectors: Mapping[VectorName, U64Array],
    rows: Mapping[str, int],
    transcript: Transcript,
) -> Challenged:
    """Draw r and s, and combine the constraints (5.2 step 7, 6.2, 6.3)."""
    (r,) = transcript.draw("constraints", 1)
    combined = combine(zip(powers(r, len(constraints)), constraints, strict=True))
    drawn = transcript.draw("rows", sum(rows.values()) - 2)
    s: dict[MatrixName, U64Array] = {}
    for name in MATRICES:
        if name in rows and name != "proof":
            s[name], drawn = to_array(drawn[: rows[name]]), drawn[rows[name] :]
    s["proof"] = to_array([*drawn[:-4], ONE, X, *drawn[-4:]])
    coefficients = slot_coefficients(combined, relation, vectors, rows)
    return Challenged(coefficients, -combined.constant, s)


def proximity_polynomial(challenged: Challenged, matrices: Mapping[MatrixName, Matrix]) -> U64Array:
    """Return u (6.3)."""
    parts = [
        combine_rows(challenged.s[name], interpolate(matrix.values, matrix.tail))
        for name, matrix in matrices.items()
    ]
    total = parts[0]
    for part in parts[1:]:
        total = k_add(total, part)
    return total


def linear_polynomial(
    challenged: Challenged, matrices: Mapping[MatrixName, Matrix], profile: Profile
) -> U64Array:
    """Return q = sum_i C_i P_i + a + Z_H b (6.2), one row after the other."""
    n, size = profile.row_slots, 4 * profile.row_slots
    total = np.zeros((size, 2), np.uint64)
    for name, array in challenged.coefficients.items():
        for row, slots in enumerate(array):
            if slots.any():
                polynomial = _lifted(matrices[name], row)
                c, p = k_ntt(k_inverse_ntt(slots), size), k_ntt(polynomial, size)
                total = k_add(total, k_multiply(c, p))
    q = k_inverse_ntt(total)
    a0, a1, b0, b1 = (_lifted(matrices["proof"], row) for row in (-4, -3, -2, -1))
    a, b = k_add(a0, k_scale(X, a1)), k_add(b0, k_scale(X, b1))
    degree = len(a)
    q[:degree] = k_add(q[:degree], k_add(a, k_scale(K.of(-1), b)))
    q[n : n + degree] = k_add(q[n : n + degree], b)
    return q[: profile.linear_degree]


def _lifted(matrix: Matrix, row: int) -> U64Array:
    """Return the polynomial of a row, over K."""
    at = slice(row, row + 1 or None)
    (polynomial,) = interpolate(matrix.values[at], matrix.tail[at])
    return np.stack([polynomial, np.zeros_like(polynomial)], axis=1)


@dataclass(frozen=True)
class Opened:
    """The last parts of a proof."""

    u: U64Array
    q: U64Array
    openings: dict[MatrixName, Opening]


def open_rows(
    constraints: Sequence[Affine],
    relation: Relation,
    vectors: Mapping[VectorName, U64Array],
    matrices: Mapping[MatrixName, Matrix],
    transcript: Transcript,
    forgery: Forgery,
) -> Opened:
    """Open the matrices (5.2, steps 7 to 9)."""
    profile = relation.profile
    rows = {name: matrix.rows for name, matrix in matrices.items()}
    challenged = draw_opening(constraints, relation, vectors, rows, transcript)
    u = proximity_polynomial(challenged, matrices)
    q = linear_polynomial(challenged, matrices, profile)
    if forgery.u:
        forgery.u(u)
    if forgery.q:
        found = sum(from_array(q[:: profile.row_slots]), ZERO) * profile.row_slots
        forgery.q(q, challenged.constant - found)
    transcript.absorb("proximity", element_bytes(u))
    transcript.absorb("linear", element_bytes(q))
    positions = transcript.positions(profile.positions, profile.opened)
    return Opened(u, q, {name: matrix.open(positions) for name, matrix in matrices.items()})


def repair_sum(q: U64Array, missing: K) -> None:
    """Make q add up to what is asked, by its constant coefficient."""
    n = (len(q) + 1) * 2 // 5  # N + k' - 1 = 5 N / 2 - 1
    q[0] = (from_array(q[:1])[0] + missing / n).to_array()
