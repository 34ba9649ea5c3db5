"""Sections 3.3 and 6.5: the root that opened columns lead to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping


def leaf(salt: bytes, column: bytes) -> bytes:
    """Return the hash of one position: its salt and its column."""
    return hashlib.sha256(b"\x00" + salt + column).digest()


def multiproof_root(leaves: Mapping[int, bytes], depth: int, sibling: Callable[[], bytes]) -> bytes:
    """Return the root of a tree of 2^depth leaves.

    Parameters
    ----------
    leaves : mapping
        Hash by position; at least one.
    depth : int
        Levels above the leaves.
    sibling : callable
        Gives the next node of the proof each time one is needed. How many are follows from the
        positions alone, so a proof cannot hold one too many unnoticed.
    """
    level = dict(sorted(leaves.items()))
    for _ in range(depth):
        above: dict[int, bytes] = {}
        for index, node in level.items():
            if index >> 1 in above:  # its left sibling was known
                continue
            other = level[index ^ 1] if index ^ 1 in level else sibling()
            left, right = (other, node) if index & 1 else (node, other)
            above[index >> 1] = hashlib.sha256(b"\x01" + left + right).digest()
        level = above
    return level[0]
