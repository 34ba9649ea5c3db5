"""What an opening shows of what is committed, by exact ranks over the field.

For fixed challenges and masked values, the opened columns and the polynomials u and q are linear in
the slots and in the random coefficients. So the slots that can be told apart are a matter of ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.field import inverse, mul, sub
from circuits.sumcheck.field_jit import MODULUS, U64Array, compiled
from circuits.sumcheck.field_k import ONE, K
from circuits.sumcheck.ntt import k_inverse_ntt, k_ntt
from circuits.sumcheck.ntt_code import interpolate
from circuits.sumcheck.ntt_evaluate import evaluate_polynomial
from circuits.sumcheck.ntt_tables import coset_points
from circuits.sumcheck.params import Profile
from circuits.sumcheck.vectors import k_add, k_multiply, k_scale
from tests.attacks.sumcheck_lab_opening import Challenged, X

Coordinate: TypeAlias = tuple[str, int, str, int]
"""Matrix or mask, row, "slot" or "tail", place."""

MASKS = ("m0", "m1", "a0", "a1", "b0", "b1")


@compiled
def _eliminate(rows: U64Array, pivots: NDArray[np.int64]) -> int:
    """Bring rows into reduced echelon form in place; return the rank."""
    zero, rank = np.uint64(0), 0
    for column in range(rows.shape[1]):
        found = -1
        for i in range(rank, len(rows)):
            if rows[i, column] != zero:
                found = i
                break
        if found < 0:
            continue
        for k in range(column, rows.shape[1]):
            kept = rows[rank, k]
            rows[rank, k] = rows[found, k]
            rows[found, k] = kept
        scale = inverse(rows[rank, column])
        for k in range(column, rows.shape[1]):
            rows[rank, k] = mul(rows[rank, k], scale)
        for i in range(len(rows)):
            factor = rows[i, column]
            if i != rank and factor != zero:
                for k in range(column, rows.shape[1]):
                    rows[i, k] = sub(rows[i, k], mul(factor, rows[rank, k]))
        pivots[rank] = column
        rank += 1
        if rank == len(rows):
            break
    return rank


def rank_of(rows: U64Array) -> int:
    """Return the rank of a matrix over F."""
    work = np.array(rows, np.uint64, order="C")
    return int(_eliminate(work, np.empty(len(work), np.int64)))


def vanishing_combinations(rows: U64Array) -> U64Array:
    """Return a basis of the combinations of rows that are zero, uint64 [count, rows]."""
    work = np.array(rows.T, np.uint64, order="C")
    pivots = np.empty(len(work), np.int64)
    rank = int(_eliminate(work, pivots))
    leading = pivots[:rank]
    free = np.setdiff1d(np.arange(len(rows)), leading)
    basis = np.zeros((len(free), len(rows)), np.uint64)
    for i, column in enumerate(free):
        basis[i, column] = 1
        basis[i, leading] = _negative(work[:rank, column])
    return basis


def _negative(values: U64Array) -> U64Array:
    return np.where(values == 0, values, np.uint64(MODULUS) - values)


@dataclass(frozen=True)
class View:
    """The linear map from what is committed to what is shown.

    Attributes
    ----------
    coordinates : list of Coordinate
        All slots and random coefficients that may be chosen freely.
    shown : uint64 array [coordinates, n]
        What each of them contributes.
    """

    coordinates: list[Coordinate]
    shown: U64Array

    @property
    def is_data(self) -> NDArray[np.bool_]:
        """Which coordinates are slots of data; the others are random."""
        return np.array([c[0] not in MASKS and c[2] == "slot" for c in self.coordinates])

    def leaked(self, sums: int) -> int:
        """Return how many dimensions of the data are told apart, but for `sums` public ones."""
        random = rank_of(self.shown[~self.is_data])
        return rank_of(self.shown) - random - sums

    def exchanges(self) -> U64Array:
        """Return a basis of all changes that are not seen, [count, coordinates]."""
        return vanishing_combinations(self.shown)


def joined(views: Sequence[View], shared: Iterable[MatrixName]) -> View:
    """Return what several openings show, of which some matrices are the same in all."""
    common = set(shared)
    places: dict[tuple[int, Coordinate], int] = {}
    for i, view in enumerate(views):
        for c in view.coordinates:
            places.setdefault((0 if c[0] in common else i, c), len(places))
    shown = np.zeros((len(places), sum(view.shown.shape[1] for view in views)), np.uint64)
    start = 0
    for i, view in enumerate(views):
        stop = start + view.shown.shape[1]
        for c, vector in zip(view.coordinates, view.shown, strict=True):
            shown[places[0 if c[0] in common else i, c], start:stop] = vector
        start = stop
    return View([c for _, c in places], shown)


def view_of(
    challenged: Challenged,
    rows: Mapping[MatrixName, int],
    positions: NDArray[np.int64],
    profile: Profile,
) -> View:
    """Return what an opening with given challenges shows at given positions, and in u and q.

    The last six rows of the proof matrix are its masks.
    """
    n, tail = profile.row_slots, profile.tail
    points = coset_points(profile.positions, positions)
    unit = np.zeros((n + tail, n + tail), np.uint64)
    np.fill_diagonal(unit, 1)
    basis = interpolate(np.ascontiguousarray(unit[:, :n]), np.ascontiguousarray(unit[:, n:]))
    columns = np.stack([evaluate_polynomial(in_k(b), points)[:, 0] for b in basis])
    labels = [("slot", i) for i in range(n)] + [("tail", i) for i in range(tail)]
    coordinates: list[Coordinate] = []
    parts: list[U64Array] = []
    all_rows = [(name, row) for name, count in rows.items() for row in range(count)]
    for number, (name, row) in enumerate(all_rows):
        first_mask = rows[name] - len(MASKS) if name == "proof" else rows[name]
        mask = MASKS[row - first_mask] if row >= first_mask else ""
        seen = np.zeros((len(basis), len(all_rows), len(points)), np.uint64)
        seen[:, number] = columns
        s = K(*challenged.s[name][row].tolist())
        u = np.stack([k_scale(s, in_k(b)).reshape(-1) for b in basis])
        slots = challenged.coefficients[name][row]
        q = _mask_in_q(mask, basis, profile) if mask else _row_in_q(slots, basis, profile)
        vectors = np.concatenate([seen.reshape(len(basis), -1), u, q], axis=1)
        free = range(len(basis))
        if mask in ("a0", "a1"):  # the first value makes the sum over H zero
            vectors[1:n] = _minus(vectors[1:n], vectors[:1])
            free = free[1:]
        elif mask in ("b0", "b1"):  # one coefficient less
            free = free[:-1]
        parts.append(vectors[free.start : free.stop])
        coordinates += [(mask or name, row, *labels[i]) for i in free]
    return View(coordinates, np.concatenate(parts))


def in_k(polynomial: U64Array) -> U64Array:
    """Return a vector over F as one over K."""
    return np.stack([polynomial, np.zeros_like(polynomial)], axis=1)


def _minus(a: U64Array, b: U64Array) -> U64Array:
    return ((a.astype(object) - b.astype(object)) % MODULUS).astype(np.uint64)


def _row_in_q(slots: U64Array, basis: U64Array, profile: Profile) -> U64Array:
    """Return C_i times each polynomial."""
    size = 4 * profile.row_slots
    c = k_ntt(k_inverse_ntt(slots), size)
    found = [k_inverse_ntt(k_multiply(c, k_ntt(in_k(b), size))) for b in basis]
    return np.stack([f[: profile.linear_degree].reshape(-1) for f in found])


def _mask_in_q(mask: str, basis: U64Array, profile: Profile) -> U64Array:
    """Return what a mask row adds to q: a, Z_H b, or nothing."""
    n, found = profile.row_slots, np.zeros((len(basis), 4 * profile.row_slots, 2), np.uint64)
    for i, b in enumerate(basis):
        part = k_scale(X if mask.endswith("1") else ONE, in_k(b))
        if mask[0] == "a":
            found[i, : len(part)] = part
        elif mask[0] == "b":
            found[i, n : n + len(part)] = part
            low = np.ascontiguousarray(found[i, : len(part)])
            found[i, : len(part)] = k_add(low, k_scale(K.of(-1), part))
    return found[:, : profile.linear_degree].reshape(len(basis), -1)
