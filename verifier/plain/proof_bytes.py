"""Section 6.6: reading a proof. No length is stored in it; all follow from the circuit."""

from __future__ import annotations

import struct

from circuits.errors import ProofRejected
from verifier.plain.field import Element, P

HASH_BYTES = 32


class Reader:
    """Reads a proof from its first byte to its last."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        end = self._offset + count
        if end > len(self._data):
            raise ProofRejected("format", f"the proof ends after {len(self._data)} bytes")
        found = self._data[self._offset : end]
        self._offset = end
        return found

    def hash(self) -> bytes:
        """Return the next hash or salt."""
        return self.take(HASH_BYTES)

    def elements(self, count: int) -> list[Element]:
        """Return the next elements of K."""
        words = self._words(2 * count)
        return list(zip(words[::2], words[1::2], strict=True))

    def column(self, rows: int) -> tuple[bytes, list[int]]:
        """Return the next column of a matrix, as bytes and as elements of F."""
        start = self._offset
        words = self._words(rows)
        return self._data[start : self._offset], words

    def finish(self) -> None:
        """Refuse trailing bytes."""
        if self._offset != len(self._data):
            extra = len(self._data) - self._offset
            raise ProofRejected("format", f"{extra} bytes follow the proof")

    def _words(self, count: int) -> list[int]:
        words = list(struct.unpack(f"<{count}Q", self.take(8 * count)))
        # p + v and v would be the same element: a second form of the same proof.
        if max(words, default=0) >= P:
            raise ProofRejected("format", "an element is not below p")
        return words
