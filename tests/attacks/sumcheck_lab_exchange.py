"""The product's prover with chosen challenges and chosen randomness, and a second witness.

`exchange` finds the randomness with which another witness makes the same proof. That it exists for
every proof and is found by a bijection is what zero knowledge says: the proof does not depend on
which of the two it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from circuits.sumcheck import commitment, params
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.field_k import K, from_array, to_array
from circuits.sumcheck.ntt import ntt
from circuits.sumcheck.ntt_code import interpolate
from circuits.sumcheck.ntt_tables import coset_points
from circuits.sumcheck.params import Profile
from circuits.sumcheck.proof_bytes import Proof, parse
from circuits.sumcheck.public import AccuracyInput, WellFormedInput
from circuits.sumcheck.randomness import Randomness
from circuits.sumcheck.reduction import reduce
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.transcript import Transcript
from circuits.weights import Weights
from prover.sumcheck import shard as product
from tests.attacks.sumcheck_lab import Bench
from tests.attacks.sumcheck_lab_opening import (
    Challenged,
    draw_opening,
    linear_polynomial,
    proximity_polynomial,
)
from verifier.sumcheck.channel import ReadingChannel


@contextmanager
def toy_profiles(openings: int = 1) -> Iterator[None]:
    """Allow profiles so small that exact ranks are quickly found.

    So many positions are opened that a matrix may be opened `openings` times and not once more:
    there is no slack that could hide a missing mask.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(params, "MIN_KAPPA", 3)
        patch.setattr(params, "_opened", lambda kappa: (1 << kappa) // 2 // openings)
        yield


@contextmanager
def fixed_challenges() -> Iterator[None]:
    """Let challenges depend on the public input alone, as if they had been agreed on."""
    absorb = Transcript.absorb

    def only_public(self: Transcript, label: str, data: bytes) -> None:
        if label == "public":
            absorb(self, label, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transcript, "absorb", only_public)
        yield


@dataclass
class Chosen:
    """Randomness of a proof, in the order in which the product draws it.

    Attributes
    ----------
    pads : uint64 array [messages, 2]
    fresh : uint64 array [products, 2]
        x' of every product.
    tail, masks : uint64 array [rows, T], [6, N]
    """

    pads: U64Array
    fresh: U64Array
    tail: U64Array
    masks: U64Array

    @classmethod
    def drawn(cls, relation: Relation, seed: bytes) -> Chosen:
        stream, plan = Randomness(seed), relation.schedule
        rows, profile = relation.proof.rows, relation.profile
        return cls(
            stream.elements(plan.messages, 2),
            stream.elements(len(plan.products), 2),
            stream.elements(rows, profile.tail),
            stream.elements(6, profile.row_slots),
        )


@dataclass
class Shown:
    """A proof made with chosen randomness, and what was committed for it."""

    relation: Relation
    public: AccuracyInput | WellFormedInput
    proof: Proof
    matrices: dict[MatrixName, Matrix]
    chosen: Chosen
    own: list[Matrix] = field(default_factory=list)

    @property
    def view(self) -> dict[str, U64Array]:
        """All that a proof shows but hashes and salts."""
        found = {name: getattr(self.proof, name) for name in ("differences", "messages", "u", "q")}
        columns = {name: opening.columns for name, opening in self.proof.openings.items()}
        return {**found, **columns}  # type: ignore[dict-item]

    @property
    def rows(self) -> dict[MatrixName, int]:
        return {name: matrix.rows for name, matrix in self.matrices.items()}

    def challenged(self) -> tuple[Challenged, NDArray[np.int64]]:
        """Return what the opening is about, and its positions."""
        transcript = Transcript()
        channel = ReadingChannel(self.relation.schedule, transcript, self.proof)
        reduction = reduce(self.relation, self.public, channel)
        constraints, vectors = reduction.constraints, reduction.vectors
        found = draw_opening(constraints, self.relation, vectors, self.rows, transcript)
        profile = self.relation.profile
        return found, transcript.positions(profile.positions, profile.opened)

    def epsilon(self) -> K:
        """Return the challenge of the products."""
        transcript = Transcript()
        transcript.absorb("public", self.public.encode())
        transcript.draw("lookups", 2)
        return transcript.draw("products", 1)[0]


def show(
    bench: Bench,
    public: AccuracyInput | WellFormedInput,
    others: Mapping[MatrixName, Matrix],
    chosen: Chosen,
) -> Shown:
    """Prove with the product and with chosen randomness."""
    draws = iter([chosen.pads, chosen.fresh, chosen.tail, chosen.masks])
    own: list[Matrix] = []
    commit_proof = commitment.commit_proof

    class Replay(Randomness):
        def elements(self, *shape: int) -> U64Array:
            found = next(draws)
            assert found.shape == shape
            return found.copy()

    def recorded(values: U64Array) -> Matrix:
        own.append(commit_proof(values))
        return own[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "Randomness", Replay)
        patch.setattr(commitment, "Randomness", Replay)
        patch.setattr(product, "commit_proof", recorded)
        if isinstance(public, AccuracyInput):
            relation = bench.relation
            outputs, data = product.prove_shard(
                relation,
                public,
                others["shard"],
                others["model"],
                bench.x,
                np.array(bench.y),
                np.array(bench.groups) if bench.group_count else None,
                Weights(bench.architecture, bench.weights),
            )
            assert outputs == public.outputs
        else:
            relation = bench.well_formed
            data = product.prove_well_formed(relation, public, others["shard"])
    matrices: dict[MatrixName, Matrix] = {**others, "proof": own[0]}
    return Shown(relation, public, parse(data, relation.shape), matrices, chosen)


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
