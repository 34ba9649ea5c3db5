"""Hashed columns: salted leaves and the Merkle tree over them (docs/protocol.md, 3.3 and 6.5).

Trees have a power of two of leaves, and many leaves are opened at once; the trees of the ledger,
of any size and opened leaf by leaf, are those of ``circuits.merkle``.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from circuits.errors import ProofRejected
from circuits.sumcheck.field_jit import U64Array

HASH_BYTES = 32
SALT_BYTES = 32

Hashes: TypeAlias = NDArray[np.uint8]
"""Hashes or salts, uint8 [n, 32]."""

_LEAF = b"\x00"
_NODE = b"\x01"
_THREAD_LEAVES = 1 << 10  # worth a thread


def leaf_hashes(columns: U64Array, salts: Hashes) -> Hashes:
    """Return SHA-256(0x00 | salt | column) for every column (docs/protocol.md, section 3.3).

    Parameters
    ----------
    columns : uint64 array [n, rows]
    salts : uint8 array [n, 32]

    Returns
    -------
    uint8 array [n, 32]
    """
    words = np.ascontiguousarray(columns, "<u8")
    out = np.empty((len(words), HASH_BYTES), np.uint8)

    def work(start: int) -> None:
        for i in range(start, min(start + _THREAD_LEAVES, len(words))):
            leaf = hashlib.sha256(_LEAF + salts[i].tobytes())
            leaf.update(words[i])
            out[i] = np.frombuffer(leaf.digest(), np.uint8)

    # A column of more than 2 KB is hashed without the interpreter's lock.
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(work, range(0, len(words), _THREAD_LEAVES)))
    return out


class Tree:
    """A Merkle tree, all its nodes kept.

    Parameters
    ----------
    leaves : uint8 array [n, 32]
        Leaf hashes; n a power of two.
    """

    def __init__(self, leaves: Hashes) -> None:
        self._levels = [leaves]
        while len(self._levels[-1]) > 1:
            self._levels.append(_parents(self._levels[-1]))

    @property
    def root(self) -> bytes:
        """The hash at the top."""
        return self._levels[-1].tobytes()

    @property
    def leaves(self) -> Hashes:
        """The leaf hashes."""
        return self._levels[0]

    def multiproof(self, positions: NDArray[np.int64]) -> Hashes:
        """Return the nodes that lead from leaves to the root (docs/protocol.md, section 6.5).

        Parameters
        ----------
        positions : int64 array
            Sorted, each once.
        """
        known = positions.tolist()
        nodes = []
        for level in self._levels[:-1]:
            nodes.append(level[_missing(known)])
            known = _above(known)
        return np.concatenate(nodes)


def multiproof_size(positions: NDArray[np.int64], length: int) -> int:
    """Return the number of nodes of a multiproof in a tree of `length` leaves."""
    known, count = positions.tolist(), 0
    for _ in range(length.bit_length() - 1):
        count += len(_missing(known))
        known = _above(known)
    return count


def check_multiproof(
    leaves: Hashes, positions: NDArray[np.int64], length: int, nodes: Hashes, root: bytes
) -> None:
    """Check that leaves stand at their positions under a root (docs/protocol.md, section 6.5).

    Parameters
    ----------
    leaves : uint8 array [t, 32]
        Leaf hashes.
    positions : int64 array [t]
        Sorted, each once, below `length`.
    length : int
        Leaves of the tree, a power of two.
    nodes : uint8 array [n, 32]
        As the proof has them.
    root : bytes
        Of the commitment.

    Raises
    ------
    ProofRejected
        If they do not, or there are more or fewer nodes than the positions call for.
    """
    expected = multiproof_size(positions, length)
    if len(nodes) != expected:
        raise ProofRejected("columns", f"{len(nodes)} nodes for a multiproof of {expected}")
    supply = (node.tobytes() for node in nodes)
    known = {index: leaf.tobytes() for index, leaf in zip(positions.tolist(), leaves, strict=True)}
    for _ in range(length.bit_length() - 1):
        above: dict[int, bytes] = {}
        for index, node in known.items():
            if index // 2 in above:  # done with its sibling
                continue
            sibling = known[index ^ 1] if index ^ 1 in known else next(supply)
            left, right = (sibling, node) if index % 2 else (node, sibling)
            above[index // 2] = _node_hash(left + right)
        known = above
    if known != {0: root}:
        raise ProofRejected("columns", "the opened columns are not those of the commitment")


def _missing(known: list[int]) -> list[int]:
    """Return the siblings that are not known themselves, in the order of the known nodes."""
    nodes = set(known)
    return [index ^ 1 for index in known if index ^ 1 not in nodes]


def _above(known: list[int]) -> list[int]:
    return sorted({index // 2 for index in known})


def _parents(nodes: Hashes) -> Hashes:
    data = nodes.tobytes()
    pairs = range(0, len(data), 2 * HASH_BYTES)
    hashes = b"".join(_node_hash(data[i : i + 2 * HASH_BYTES]) for i in pairs)
    return np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BYTES)


def _node_hash(pair: bytes) -> bytes:
    return hashlib.sha256(_NODE + pair).digest()
