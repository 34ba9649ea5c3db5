"""The Merkle tree of a log, kept so that every proof is read off in logarithmic time.

What a log with many readers needs beside `circuits.merkle`, which computes from all leaves: the
root of every full subtree is kept once it is known. They number less than the leaves, and never
change, since a log only grows.
"""

from __future__ import annotations

from circuits.encoding import DIGEST_BYTES
from circuits.merkle import EMPTY_ROOT, Frontier, root


class Tree:
    """An RFC 6962 tree that only grows, and that answers for every size it ever had."""

    def __init__(self) -> None:
        # Level k: the roots of the full subtrees of 2**k leaves, left to right.
        self._levels = [bytearray()]

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0]) // DIGEST_BYTES

    @property
    def frontier(self) -> Frontier:
        """What to try further leaves on without appending them."""
        return Frontier(self.size, tuple(self._full_subtrees(0, self.size)))

    def append(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        if len(leaf) != DIGEST_BYTES:
            raise ValueError(f"a leaf hash has {DIGEST_BYTES} bytes")
        level, index, node = 0, self.size, leaf
        while True:
            if level == len(self._levels):
                self._levels.append(bytearray())
            self._levels[level] += node
            if index % 2 == 0:
                return
            # The node over two hashes is the root of the tree that has just these two.
            node = root([self.node(level, index - 1), node])
            level, index = level + 1, index // 2

    def node(self, level: int, index: int) -> bytes:
        """Return the root of the full subtree over leaves index * 2**level and on."""
        if not 0 <= index < self.size >> level:
            raise ValueError(f"no full subtree {index} of 2**{level} among {self.size} leaves")
        return bytes(self._levels[level][index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])

    def nodes(self, level: int, start: int, end: int) -> bytes:
        """Return consecutive nodes of a level, as a tile has them."""
        if not 0 <= start <= end <= self.size >> level:
            raise ValueError(f"no full subtrees {start} to {end} of 2**{level}")
        return bytes(self._levels[level][start * DIGEST_BYTES : end * DIGEST_BYTES])

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves, by default over all."""
        size = self.size if size is None else size
        self._require(0, size)
        return self._range_root(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of a leaf among the first `size` (RFC 6962, 2.1.1).

        Raises
        ------
        ValueError
            If there is no such leaf or no such size.
        """
        self._require(index + 1, size)
        if index < 0:
            raise ValueError(f"no leaf {index}")
        return self._path(index, index + 1, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Return the proof that the first `old` leaves are a prefix of the first `new` (2.1.2).

        Raises
        ------
        ValueError
            If the tree never had one of these sizes.
        """
        self._require(old, new)
        if old == 0:
            return []
        # The walk ends at the largest full subtree that ends where the old tree does. If that is
        # the old tree itself, a verifier has its root already.
        start = old & (old - 1) if old < new else 0
        seed = [self._range_root(start, old)] if start else []
        return seed + self._path(start, old, new)

    def _path(self, start: int, end: int, size: int) -> list[bytes]:
        """Return the siblings on the way from the subtree over [start, end) up to the root."""
        path: list[bytes] = []
        low, high = 0, size
        while (low, high) != (start, end) and high - low > 1:
            middle = low + (1 << ((high - low - 1).bit_length() - 1))
            if end <= middle:
                path.append(self._range_root(middle, high))
                high = middle
            else:
                path.append(self._range_root(low, middle))
                low = middle
        return path[::-1]

    def _range_root(self, start: int, end: int) -> bytes:
        """Return the root over [start, end), a node of the RFC's tree."""
        *rest, accumulated = self._full_subtrees(start, end)
        for node in reversed(rest):
            accumulated = root([node, accumulated])
        return accumulated

    def _full_subtrees(self, start: int, end: int) -> list[bytes]:
        found: list[bytes] = []
        while start < end:
            level = (end - start).bit_length() - 1
            found.append(self.node(level, start >> level))
            start += 1 << level
        return found

    def _require(self, low: int, high: int) -> None:
        if not 0 <= low <= high <= self.size:
            raise ValueError(f"no trees of {low} and {high} leaves among {self.size}")
