"""Fiat-Shamir: every challenge is a hash of all that was said before it (protocol, section 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.field_k import K, from_array


class Transcript:
    """The hash of a conversation, from which the challenges are drawn.

    Both sides make the same calls in the same order (docs/protocol.md, section 5.2). Labels name
    the messages, and lengths are hashed with them, so that no two conversations look alike.
    """

    def __init__(self) -> None:
        self._state = hashlib.sha256(b"zkpot/sumcheck/1").digest()

    def absorb(self, label: str, data: bytes) -> None:
        """Take a message into the state (docs/protocol.md, section 1)."""
        self._state = _hash(b"absorb", self._state, _sized(label.encode()), _sized(data))

    def draw(self, label: str, count: int) -> list[K]:
        """Return `count` uniform elements of K: "draw label (count)"."""
        return from_array(self.draw_array(label, count))

    def draw_array(self, label: str, count: int) -> U64Array:
        """Return what `draw` returns as uint64 [count, 2]."""
        words = self._squeeze(label)
        # Words of p and more are skipped: taken modulo p, small elements would come up twice.
        elements = (word for word in words if word < MODULUS)
        pairs = [(next(elements), next(elements)) for _ in range(count)]
        return np.array(pairs, np.uint64).reshape(-1, 2)

    def positions(self, length: int, count: int) -> NDArray[np.int64]:
        """Return `count` different positions below `length`, sorted (section 6.4).

        Parameters
        ----------
        length : int
            A power of two, by which the words of the stream fall evenly.
        count : int
            At most `length`.
        """
        words = self._squeeze("positions")
        found: set[int] = set()
        while len(found) < count:
            found.add(next(words) % length)
        return np.array(sorted(found), np.int64)

    def _squeeze(self, label: str) -> Iterator[int]:
        """Return the stream of words for a label, and move on."""
        seed = _hash(b"squeeze", self._state, _sized(label.encode()))
        self._state = _hash(b"ratchet", seed)
        return _words(seed)


def _words(seed: bytes) -> Iterator[int]:
    block = 0
    while True:
        digest = _hash(seed, _u64(block))
        yield from (int.from_bytes(digest[i : i + 8], "little") for i in range(0, 32, 8))
        block += 1


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _sized(data: bytes) -> bytes:
    return _u64(len(data)) + data


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")
