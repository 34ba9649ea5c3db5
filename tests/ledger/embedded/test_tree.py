"""The stored tree gives what RFC 6962 gives, whoever computes it."""

import random

import pymerkle
import pytest

from circuits.encoding import DIGEST_BYTES
from circuits.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from ledger.embedded.tree import Tree

DATA = [i.to_bytes(3, "big") for i in range(600)]
LEAVES = [leaf_hash(data) for data in DATA]

# Roots of the reference tests of certificate-transparency, over these leaves.
VECTORS = {
    "": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "00": "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "10": "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "2021": "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "3031": "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "40414243": "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "5051525354555657": "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "606162636465666768696a6b6c6d6e6f": (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    ),
}


def tree_of(leaves):
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree


FULL = tree_of(LEAVES)


def test_published_vectors():
    tree = Tree()
    assert tree.root() == EMPTY_ROOT
    for data, expected in VECTORS.items():
        tree.append(leaf_hash(bytes.fromhex(data)))
        assert tree.root().hex() == expected


def test_every_small_tree():
    for size in range(1, 34):
        assert FULL.root(size) == root(LEAVES[:size])
        for index in range(size):
            proof = FULL.inclusion(index, size)
            assert proof == inclusion_proof(LEAVES, index, size)
            verify_inclusion(LEAVES[index], index, size, proof, FULL.root(size))
        for old in range(size + 1):
            proof = FULL.consistency(old, size)
            assert proof == consistency_proof(LEAVES, old, size)
            verify_consistency(old, FULL.root(old), size, FULL.root(size), proof)


def test_large_trees():
    choose = random.Random(1)  # noqa: S311 - repeatable on purpose
    for _ in range(200):
        size = choose.randrange(1, len(LEAVES) + 1)
        index, old = choose.randrange(size), choose.randrange(size + 1)
        assert FULL.inclusion(index, size) == inclusion_proof(LEAVES, index, size)
        assert FULL.consistency(old, size) == consistency_proof(LEAVES, old, size)


def test_another_library_agrees():
    other = pymerkle.InmemoryTree(algorithm="sha256")
    for data in DATA:
        other.append_entry(data)
    choose = random.Random(2)  # noqa: S311 - repeatable on purpose
    for size in [1, 2, 255, 256, 257, 600, *choose.sample(range(1, 600), 40)]:
        assert FULL.root(size) == other.get_root(size)
        index, old = choose.randrange(size), choose.randrange(1, size + 1)
        theirs = other.prove_inclusion(index + 1, size)
        assert FULL.inclusion(index, size) == theirs.path[1:]
        pymerkle.verify_consistency(
            other.get_root(old), FULL.root(size), other.prove_consistency(old, size)
        )


def test_the_frontier_goes_on_from_here():
    assert tree_of([]).frontier == Frontier()
    for size in range(1, 40):
        frontier = tree_of(LEAVES[:size]).frontier
        assert frontier.append(LEAVES[size]).root == FULL.root(size + 1)
        assert FULL.root() == root(LEAVES)


def test_nodes_are_the_roots_of_full_subtrees():
    assert FULL.node(8, 1) == root(LEAVES[256:512])
    assert FULL.nodes(0, 3, 5) == LEAVES[3] + LEAVES[4]
    assert len(FULL.nodes(8, 0, 2)) == 2 * DIGEST_BYTES


def test_what_there_never_was():
    for ask in (
        lambda: FULL.root(601),
        lambda: FULL.root(-1),
        lambda: FULL.inclusion(5, 5),
        lambda: FULL.inclusion(-1, 5),
        lambda: FULL.inclusion(5, 601),
        lambda: FULL.consistency(7, 6),
        lambda: FULL.consistency(-1, 6),
        lambda: FULL.consistency(6, 601),
        lambda: FULL.node(8, 2),
        lambda: FULL.node(0, -1),
        lambda: FULL.nodes(8, 1, 3),
        lambda: FULL.append(b"short"),
    ):
        with pytest.raises(ValueError):
            ask()
    assert FULL.size == 600
