"""The transcript of section 1: every challenge follows from all that was said before it."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator

from verifier.plain.field import Element, P

_START = b"zkpot/sumcheck/1"


def encode(elements: Iterable[Element]) -> bytes:
    """Return elements of K as bytes: c0 then c1, each 8 bytes, little-endian."""
    return b"".join(struct.pack("<2Q", *element) for element in elements)


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


class Transcript:
    """The state S, from the first one on."""

    def __init__(self) -> None:
        self._state = hashlib.sha256(_START).digest()

    def absorb(self, label: str, data: bytes) -> None:
        """Make the state depend on `data`."""
        name = label.encode()
        message = b"absorb" + self._state + _u64(len(name)) + name + _u64(len(data)) + data
        self._state = hashlib.sha256(message).digest()

    def draw(self, label: str, count: int) -> list[Element]:
        """Squeeze `count` elements of K."""
        # A word >= p is skipped, not reduced: that would make small elements more likely.
        words = (word for word in self._squeeze(label) if word < P)
        return [(next(words), next(words)) for _ in range(count)]

    def draw_one(self, label: str) -> Element:
        """Squeeze one element of K."""
        return self.draw(label, 1)[0]

    def positions(self, count: int, length: int) -> list[int]:
        """Squeeze distinct positions below `length`, a power of two, and sort them (6.4)."""
        found: set[int] = set()
        words = self._squeeze("positions")
        while len(found) < count:
            found.add(next(words) % length)
        return sorted(found)

    def _squeeze(self, label: str) -> Iterator[int]:
        name = label.encode()
        message = b"squeeze" + self._state + _u64(len(name)) + name
        seed = hashlib.sha256(message).digest()
        self._state = hashlib.sha256(b"ratchet" + seed).digest()
        return _words(seed)


def _words(seed: bytes) -> Iterator[int]:
    block = 0
    while True:
        yield from struct.unpack("<4Q", hashlib.sha256(seed + _u64(block)).digest())
        block += 1
