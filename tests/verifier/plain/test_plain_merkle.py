"""Multiproofs, against whole trees."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256

import pytest

from verifier.plain.merkle import leaf, multiproof_root

DEPTH = 4
LEAVES = [leaf(bytes([i]) * 32, b"column%d" % i) for i in range(1 << DEPTH)]


def tree() -> list[list[bytes]]:
    levels = [LEAVES]
    while len(levels[-1]) > 1:
        pairs = zip(levels[-1][::2], levels[-1][1::2], strict=True)
        levels.append([sha256(b"\x01" + left + right).digest() for left, right in pairs])
    return levels


def siblings(positions: list[int]) -> Iterator[bytes]:
    """Yield the proof of 6.5."""
    known = sorted(positions)
    for level in tree()[:-1]:
        yield from (level[i ^ 1] for i in known if i ^ 1 not in known)
        known = sorted({i >> 1 for i in known})


CASES = [[0], [15], [6, 7], [0, 15], list(range(16)), [1, 2, 3, 8, 11]]
CASES += [sorted(random.Random(i).sample(range(16), 5)) for i in range(5)]  # noqa: S311


@pytest.mark.parametrize("positions", CASES, ids=str)
def test_root_and_length(positions: list[int]) -> None:
    nodes = siblings(positions)
    leaves = {i: LEAVES[i] for i in positions}
    assert multiproof_root(leaves, DEPTH, lambda: next(nodes)) == tree()[-1][0]
    assert list(nodes) == []


def test_every_hash_matters() -> None:
    positions = [1, 2, 3, 8, 11]
    nodes = list(siblings(positions))
    leaves = {i: LEAVES[i] for i in positions}
    for i in range(len(nodes)):
        wrong = iter([*nodes[:i], bytes(32), *nodes[i + 1 :]])
        assert multiproof_root(leaves, DEPTH, wrong.__next__) != tree()[-1][0]
    for i in positions:
        right = iter(nodes)
        wrong_leaves = {**leaves, i: bytes(32)}
        assert multiproof_root(wrong_leaves, DEPTH, right.__next__) != tree()[-1][0]


def test_leaf() -> None:
    assert leaf(b"s" * 32, b"c") == sha256(b"\x00" + b"s" * 32 + b"c").digest()
