"""A second witness that makes the same proof.

`exchanged` finds the randomness with which another witness makes the proofs that are given. That
there is one for every choice of the first, by a one-to-one map, is what zero knowledge says: the
proof does not depend on which of the two it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.field_k import from_array, to_array
from circuits.sumcheck.ntt import ntt
from circuits.sumcheck.ntt_code import interpolate
from circuits.sumcheck.ntt_tables import coset_points
from circuits.sumcheck.params import Profile
from tests.attacks.sumcheck_lab import Bench
from tests.attacks.sumcheck_lab_opening import (
    Challenged,
    Forgery,
    Random,
    commit_rows,
    linear_polynomial,
    proximity_polynomial,
)
from tests.attacks.sumcheck_lab_shown import Chosen, Shown, show


def exchanged(proofs: Sequence[Shown], other: Bench) -> list[Shown]:
    """Return the same proofs, all of one shard and model, made from another witness.

    Raises
    ------
    AssertionError
        If the proofs open a matrix at more positions than it has random coefficients.
    """
    profile = other.relation.profile
    targets = other.commit(other.witness())
    opened = [shown.challenged() for shown in proofs]
    own: dict[MatrixName, Matrix] = {}
    changes: dict[MatrixName, Rows] = {}
    for name in targets:
        among = [i for i, shown in enumerate(proofs) if name in shown.matrices]
        if not among:
            continue
        old = proofs[among[0]].matrices[name]
        everywhere = {int(p) for i in among for p in opened[i][1]}
        change = difference(targets[name].values, old.values)
        tail = unseen_tail(profile, change, _filled(everywhere, profile.tail))
        changes[name] = Rows(change, tail)
        own[name] = _recommitted(targets[name].values, total(old.tail, tail), profile)
    both = zip(proofs, opened, strict=True)
    return [_exchanged(shown, found, other, own, changes) for shown, found in both]


def _exchanged(
    shown: Shown,
    opened: tuple[Challenged, NDArray[np.int64]],
    other: Bench,
    own: dict[MatrixName, Matrix],
    changes: dict[MatrixName, Rows],
) -> Shown:
    profile, (challenged, positions) = shown.relation.profile, opened
    names = [name for name in shown.matrices if name != "proof"]
    others = {name: own[name] for name in names}
    # First with the same pads, to learn the messages' true values; then with those that hide them.
    chosen = exchanged_pads(shown, show(other, shown.public, others, shown.chosen))
    second = show(other, shown.public, others, chosen)
    change = difference(second.matrices["proof"].values, shown.matrices["proof"].values)
    change[-6:] = 0
    tail = np.zeros((len(change), profile.tail), np.uint64)
    places = _filled({int(p) for p in positions}, profile.tail)
    tail[:-6] = unseen_tail(profile, change[:-6], places)
    every = {**{name: changes[name] for name in names}, "proof": Rows(change, tail)}
    values, tail[-6:] = unseen_masks(profile, challenged, every, positions)  # type: ignore[arg-type]
    chosen = replace(
        chosen,
        tail=total(shown.chosen.tail, tail),
        masks=total(shown.matrices["proof"].values[-6:], values),
    )
    return show(other, shown.public, others, chosen)


def _filled(positions: set[int], count: int) -> list[int]:
    """Return positions, and more of them up to `count`."""
    assert len(positions) <= count
    rest = (p for p in range(1 << 20) if p not in positions)
    return [*sorted(positions), *(next(rest) for _ in range(count - len(positions)))]


def _recommitted(values: U64Array, tail: U64Array, profile: Profile) -> Matrix:
    def put(found: U64Array) -> None:
        found[...] = tail

    return commit_rows(values, Random(9), profile, forgery=Forgery(tail=put))


def exchanged_pads(one: Shown, other: Shown) -> Chosen:
    """Return the pads of `one`'s masked values and differences for the witness of `other`.

    `other` is a proof with the same pads, whose masked values differ by the true values alone.
    """
    pads = [
        pad + (a - b)
        for pad, a, b in zip(
            from_array(one.chosen.pads),
            from_array(one.proof.messages),
            from_array(other.proof.messages),
            strict=True,
        )
    ]
    old, epsilon = from_array(one.chosen.pads), one.epsilon()
    fresh = [
        x_ + epsilon * (pads[x] - old[x])
        for x_, (x, _) in zip(
            from_array(one.chosen.fresh), one.relation.schedule.products, strict=True
        )
    ]
    return Chosen(to_array(pads), to_array(fresh), one.chosen.tail, one.chosen.masks)


@dataclass(frozen=True)
class Rows:
    """Values and random coefficients: what `linear_polynomial` reads of a matrix."""

    values: U64Array
    tail: U64Array

    @property
    def rows(self) -> int:
        return len(self.values)


def difference(a: U64Array, b: U64Array) -> U64Array:
    """Return a - b over F."""
    return ((a.astype(object) - b.astype(object)) % MODULUS).astype(np.uint64)


def total(a: U64Array, b: U64Array) -> U64Array:
    """Return a + b over F."""
    return ((a.astype(object) + b.astype(object)) % MODULUS).astype(np.uint64)


def unseen_tail(profile: Profile, values: U64Array, positions: Sequence[int]) -> U64Array:
    """Return the random coefficients with which rows of values vanish at T positions."""
    assert len(positions) == profile.tail
    points = coset_points(profile.positions, np.array(positions)).tolist()
    n = profile.row_slots
    found = []
    for row in values:
        polynomial = interpolate(row[None], np.zeros((1, 0), np.uint64))[0].tolist()
        wanted = [
            -evaluate(polynomial, x) * pow(pow(x, n, MODULUS) - 1, -1, MODULUS) for x in points
        ]
        found.append(through(points, wanted))
    return np.array(found, np.uint64)


def unseen_masks(
    profile: Profile,
    challenged: Challenged,
    changes: Mapping[MatrixName, Rows],
    positions: NDArray[np.int64],
) -> tuple[U64Array, U64Array]:
    """Return values and random coefficients of masks that make up for changes, in u and in q."""
    points, n = coset_points(profile.positions, positions).tolist(), profile.row_slots
    vanishing = [1]
    for x in points:
        vanishing = product_of(vanishing, [-x % MODULUS, 1])
    owed = linear_polynomial(challenged, changes, profile)  # type: ignore[arg-type]
    masks = np.zeros((6, profile.degree), np.uint64)
    for i in range(2):
        rest, left = divided(owed[:, i].tolist(), vanishing)
        assert not any(left)
        b, a = divided(rest, [MODULUS - 1, *[0] * (n - 1), 1])
        for row, part in ((2 + i, a), (4 + i, b)):
            mask = product_of([-c % MODULUS for c in part], vanishing)
            masks[row, : len(mask)] = mask
    # What u still misses is for m, whose own coefficients in it are 1 and X.
    values, tail = split(profile, masks)
    proof = changes["proof"]
    with_masks = dict(changes)
    with_masks["proof"] = Rows(
        np.concatenate([proof.values[:-6], values]), np.concatenate([proof.tail[:-6], tail])
    )
    u = proximity_polynomial(challenged, with_masks)  # type: ignore[arg-type]
    masks[:2] = difference(np.zeros_like(u.T), u.T)
    return split(profile, masks)


def split(profile: Profile, polynomials: U64Array) -> tuple[U64Array, U64Array]:
    """Return the values on H and the random coefficients of polynomials [rows, k']."""
    n = profile.row_slots
    low, tail = polynomials[:, :n].copy(), polynomials[:, n:].copy()
    low[:, : profile.tail] = total(low[:, : profile.tail], tail)
    return ntt(low), tail


def evaluate(polynomial: Sequence[int], x: int) -> int:
    """Return a polynomial's value, low coefficient first."""
    value = 0
    for c in reversed(polynomial):
        value = (value * x + c) % MODULUS
    return value


def product_of(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """Return the product of two polynomials."""
    found = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            found[i + j] = (found[i + j] + x * y) % MODULUS
    return found


def divided(a: Sequence[int], b: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return quotient and remainder by a polynomial that ends in 1."""
    rest, degree = list(a), len(b) - 1
    quotient = [0] * max(len(a) - degree, 1)
    for i in range(len(a) - degree - 1, -1, -1):
        c = quotient[i] = rest[i + degree]
        for j, y in enumerate(b):
            rest[i + j] = (rest[i + j] - c * y) % MODULUS
    return quotient, rest[:degree]


def through(points: Sequence[int], values: Sequence[int]) -> list[int]:
    """Return the polynomial that has values at points."""
    found = [0] * len(points)
    for i, x in enumerate(points):
        term, under = [1], 1
        for j, other in enumerate(points):
            if j != i:
                term = product_of(term, [-other % MODULUS, 1])
                under = under * (x - other) % MODULUS
        scale = values[i] * pow(under, -1, MODULUS)
        found = [(f + scale * c) % MODULUS for f, c in zip(found, term, strict=True)]
    return found
