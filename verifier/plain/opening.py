"""Section 6: that the committed slots satisfy the constraints, from a few opened columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from circuits.errors import ProofRejected
from verifier.plain.field import (
    GENERATOR,
    Columns,
    Element,
    P,
    add,
    columns,
    dot,
    inverses,
    powers,
    root_of_unity,
    scale,
    times,
    total,
)
from verifier.plain.forms import Combined
from verifier.plain.merkle import leaf, multiproof_root
from verifier.plain.parameters import Profile
from verifier.plain.proof_bytes import Reader
from verifier.plain.relation import Relation

MASK_ROWS = 6
"""m0, m1, a0, a1, b0, b1."""
WEIGHED_MASK_ROWS = 4
"""Those that take part in u with a coefficient of s: all but m0 and m1."""

Opened: TypeAlias = dict[str, list[list[int]]]
"""By matrix, the column of every opened position, in order."""

_X: Element = (0, 1)


@dataclass(frozen=True)
class Matrix:
    """A committed matrix: its root, its rows of data, and its mask rows."""

    root: bytes
    rows: int
    masks: int = 0


def check_sum(profile: Profile, q: list[Element], constant: Element) -> None:
    """Check that q sums to the constants over H (6.2)."""
    if scale(total(q[:: profile.slots]), profile.slots) != constant:
        raise ProofRejected("sum", "the constraints do not add up to their constants")


def open_columns(
    reader: Reader, profile: Profile, positions: list[int], matrices: Mapping[str, Matrix]
) -> Opened:
    """Read the columns of each matrix, in the order of 6.6, and check them against its root."""
    found: Opened = {}
    depth = profile.length.bit_length() - 1
    for name, matrix in matrices.items():
        found[name] = []
        leaves: dict[int, bytes] = {}
        for position in positions:
            salt = reader.hash()
            data, column = reader.column(matrix.rows + matrix.masks)
            leaves[position] = leaf(salt, data)
            found[name].append(column)
        if multiproof_root(leaves, depth, reader.hash) != matrix.root:
            raise ProofRejected("columns", f"the columns of the {name} matrix miss its root")
    return found


class Lagrange:
    """The Lagrange polynomials of H at positions x_j.

    L_s(x) = (x^N - 1) w^s / (N (x - w^s)) = (x^N - 1)/N * 1/(x w^-s - 1), and x_j w^-s is
    7 w_L^(j - 8 s): all positions share the L inverses of 7 w_L^i - 1.
    """

    def __init__(self, profile: Profile) -> None:
        self._slots = profile.slots
        self._rate = profile.length // profile.slots
        self._root = root_of_unity(profile.length)
        points = powers(self._root, profile.length)
        self._inverses = inverses([GENERATOR * point % P - 1 for point in points])

    def point(self, position: int) -> int:
        """Return x_j."""
        return GENERATOR * pow(self._root, position, P) % P

    def vanishing(self, position: int) -> int:
        """Return Z_H(x_j)."""
        return (pow(self.point(position), self._slots, P) - 1) % P

    def factor(self, position: int) -> int:
        """Return (x_j^N - 1)/N, which the values of `cofactors` lack."""
        return self.vanishing(position) * pow(self._slots, -1, P) % P

    def cofactors(self, position: int) -> list[int]:
        """Return 1/(x_j w^-s - 1) for all slots s."""
        first, residue = divmod(position, self._rate)
        shared = self._inverses[residue :: self._rate]
        return shared[first::-1] + shared[:first:-1]


def check_proximity(
    lagrange: Lagrange,
    positions: list[int],
    opened: Opened,
    s: list[Element],
    u: list[Element],
) -> None:
    """Check u(x_j) = sum s_i P_i(x_j) + m(x_j) at every position (6.3)."""
    weights, u_columns = columns(s), columns(u)
    for i, position in enumerate(positions):
        others = [value for name, parts in opened.items() if name != "proof" for value in parts[i]]
        *data, m0, m1, a0, a1, b0, b1 = opened["proof"][i]
        found = add(dot(weights, [*others, *data, a0, a1, b0, b1]), (m0, m1))
        if found != dot(u_columns, powers(lagrange.point(position), len(u))):
            raise ProofRejected("proximity", f"the columns at {position} miss the polynomial u")


@dataclass(frozen=True)
class Coefficients:
    """The coefficients of one matrix in ``sum_k r^k constraint_k``.

    Attributes
    ----------
    blocks : dict
        By (name of a vector over samples, block b of 2^a slots): the factor of that vector in
        the block, for every row.
    rows : dict
        By row: the coefficient of every slot, where slots are weighed one by one.
    """

    blocks: dict[tuple[str, int], Columns]
    rows: dict[int, Columns]

    def value(
        self,
        column: list[int],
        along: Mapping[tuple[str, int], Element],
        cofactors: list[int],
    ) -> Element:
        """Return sum_i C_i(x_j) P_i(x_j), but for the common factor of the cofactors."""
        blocks = (times(dot(rows, column), along[key]) for key, rows in self.blocks.items())
        rows = (scale(dot(slots, cofactors), column[i]) for i, slots in self.rows.items())
        return add(total(blocks), total(rows))


def coefficients(combined: Combined, relation: Relation, name: str, rows: int) -> Coefficients:
    """Return the coefficients of a matrix with `rows` rows of data."""
    blocks: dict[tuple[str, int], Columns] = {}
    in_row = relation.profile.slots >> relation.shape.a
    for (matrix, along), by_feature in combined.features.items():
        for feature, weight in by_feature.items() if matrix == name else ():
            row, block = divmod(feature, in_row)
            _put(blocks.setdefault((along, block), ([0] * rows, [0] * rows)), row, weight)
    single: dict[int, Element] = {}
    if name == "model":
        single = combined.single
    elif name == "proof":
        first = relation.features["pads"] << relation.shape.a
        for pad, weight in combined.pads.items():
            single[first + 2 * pad] = weight
            single[first + 2 * pad + 1] = times(weight, _X)
    by_row: dict[int, Columns] = {}
    size = relation.profile.slots
    for slot, weight in single.items():
        row, place = divmod(slot, size)
        _put(by_row.setdefault(row, ([0] * size, [0] * size)), place, weight)
    return Coefficients(blocks, by_row)


def _put(into: Columns, place: int, weight: Element) -> None:
    into[0][place], into[1][place] = weight


def check_linear(
    lagrange: Lagrange,
    positions: list[int],
    opened: Opened,
    q: list[Element],
    parts: Mapping[str, Coefficients],
    samples: Mapping[str, Columns],
) -> None:
    """Check q(x_j) = sum C_i(x_j) P_i(x_j) + a(x_j) + Z_H(x_j) b(x_j) at every position.

    Parameters
    ----------
    lagrange, positions, opened
        As for `check_proximity`.
    q : list of Element
        The polynomial.
    parts : mapping
        Coefficients by matrix.
    samples : mapping
        The vectors over samples, by name.
    """
    q_columns = columns(q)
    needed = {key for part in parts.values() for key in part.blocks}
    for i, position in enumerate(positions):
        cofactors = lagrange.cofactors(position)
        along = {}
        for name, block in needed:
            size = len(samples[name][0])
            along[name, block] = dot(samples[name], cofactors[block * size : (block + 1) * size])
        values = (part.value(opened[name][i], along, cofactors) for name, part in parts.items())
        found = scale(total(values), lagrange.factor(position))
        *_, a0, a1, b0, b1 = opened["proof"][i]
        found = add(found, add((a0, a1), scale((b0, b1), lagrange.vanishing(position))))
        if found != dot(q_columns, powers(lagrange.point(position), len(q))):
            raise ProofRejected("linear", f"the columns at {position} miss the polynomial q")
