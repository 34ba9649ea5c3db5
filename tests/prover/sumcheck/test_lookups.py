"""The lookup prover against sums written out in Python (docs/protocol.md, 5.1 and 5.4)."""

from __future__ import annotations

import tracemalloc
from itertools import product

import numpy as np
import pytest

from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.field_k import ONE, ZERO, K
from prover.sumcheck.lookups import Leaves, LookupTree

Fraction = tuple[K, K]


def random_k(rng: np.random.Generator) -> K:
    c0, c1 = (int(word) for word in rng.integers(0, MODULUS, 2, dtype=np.uint64))
    return K(c0, c1)


def random_leaves(
    rng: np.random.Generator, lookups: int, tables: int, a: int
) -> tuple[Leaves, Leaves]:
    def integers(low: int, high: int, slots: int) -> np.ndarray:
        return rng.integers(low, high, (slots, 1 << a), dtype=np.int32)

    low, high = -(1 << 21), 1 << 22
    return (
        Leaves(
            integers(low, high, lookups),
            integers(-128, 128, lookups),
            rng.integers(1, 5, lookups),
        ),
        Leaves(
            integers(low, high, tables),
            integers(-128, 128, tables),
            rng.integers(1, 5, tables),
            rng.integers(0, 1 << 20, (tables, 1 << a)),
        ),
    )


def fractions(lookups: Leaves, tables: Leaves, alpha: K, gamma: K) -> list[list[Fraction]]:
    """All layers of the tree, from the leaves up."""
    leaves: list[Fraction] = []
    for side in (lookups, tables):
        for slot, tag in enumerate(side.tags.tolist()):
            for n in range(side.first.shape[1]):
                value = K.of(int(side.first[slot, n])) + gamma * int(side.second[slot, n])
                counts = side.multiplicities
                p = ONE if counts is None else K.of(-int(counts[slot, n]))
                leaves.append((p, alpha - value - gamma * gamma * tag))
    slots = len(lookups.tags) + len(tables.tags)
    size = lookups.first.shape[1] << (slots - 1).bit_length()
    leaves += [(ZERO, ONE)] * (size - len(leaves))
    layers = [leaves]
    while len(layers[-1]) > 1:
        below = layers[-1]
        pairs = zip(below[::2], below[1::2], strict=True)
        layers.append([(p0 * q1 + p1 * q0, q0 * q1) for (p0, q0), (p1, q1) in pairs])
    return layers[::-1]


def eq(point: list[K], index: int) -> K:
    found = ONE
    for j, r in enumerate(point):
        found *= r if index >> j & 1 else 1 - r
    return found


def line(a: K, b: K, x: K | int) -> K:
    return a + (b - a) * x


def summand(combine: K, four: tuple[K, K, K, K]) -> K:
    p0, p1, q0, q1 = four
    return combine * (p0 * q1 + p1 * q0) + q0 * q1


def check_layer(tree: LookupTree, below: list[Fraction], j: int, rng: np.random.Generator) -> None:
    point, combine = [random_k(rng) for _ in range(j)], random_k(rng)
    rounds = tree.layer(j, point, combine if j else None)
    nodes = [
        (below[2 * i][0], below[2 * i + 1][0], below[2 * i][1], below[2 * i + 1][1])
        for i in range(1 << j)
    ]
    for i in range(j):
        expected = [
            sum(
                (
                    eq(point[i + 1 :], k // 2)
                    * summand(
                        combine,
                        tuple(line(a, b, x) for a, b in zip(nodes[k], nodes[k + 1], strict=True)),
                    )
                    for k in range(0, len(nodes), 2)
                ),
                ZERO,
            )
            for x in (0, 2)
        ]
        assert rounds.message() == expected
        c = random_k(rng)
        rounds.bind(c)
        pairs = zip(nodes[::2], nodes[1::2], strict=True)
        nodes = [tuple(line(a, b, c) for a, b in zip(*pair, strict=True)) for pair in pairs]
    assert rounds.claims() == list(nodes[0])


@pytest.mark.parametrize(
    ("lookups", "tables", "a"),
    [
        *product((1, 2, 7), (1, 2), (0, 1, 2, 3)),
        (17, 9, 2),
        (1, 1, 7),
        (30, 1, 0),
        (9, 11, 1),
        (2, 3, 6),
        (9, 1, 6),
    ],
)
def test_every_message_is_the_sum_it_stands_for(lookups: int, tables: int, a: int) -> None:
    rng = np.random.default_rng([lookups, tables, a])
    alpha, gamma = random_k(rng), random_k(rng)
    leaves = random_leaves(rng, lookups, tables, a)
    layers = fractions(*leaves, alpha, gamma)
    tree = LookupTree(*leaves, alpha, gamma)
    for j in range(len(layers) - 1):
        check_layer(tree, layers[j + 1], j, rng)


def test_what_is_looked_up_in_a_table_cancels() -> None:
    rng = np.random.default_rng(1)
    table = np.arange(-8, 8, dtype=np.int32).reshape(2, 8)
    lookups = rng.integers(-8, 8, (5, 8), dtype=np.int32)
    counts = np.bincount(lookups.reshape(-1) + 8, minlength=16).reshape(2, 8)
    tree = LookupTree(
        Leaves(lookups, -lookups, np.full(5, 3)),
        Leaves(table, -table, np.full(2, 3), counts),
        random_k(rng),
        random_k(rng),
    )
    p0, p1, q0, q1 = tree.layer(0, [], None).claims()
    assert p0 * q1 + p1 * q0 == ZERO
    assert q0 * q1 != ZERO


def test_memory() -> None:
    """The tree takes 16 bytes a leaf, and what the rounds need besides is small."""
    rng = np.random.default_rng(2)
    leaves = random_leaves(rng, 96, 32, 12)
    tracemalloc.start()
    try:
        tree = LookupTree(*leaves, random_k(rng), random_k(rng))
        for j in range(19):
            rounds = tree.layer(j, [random_k(rng) for _ in range(j)], random_k(rng))
            for _ in range(j):
                rounds.message()
                rounds.bind(random_k(rng))
            rounds.claims()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * (128 << 12)
