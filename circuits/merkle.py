"""Merkle trees exactly as in RFC 6962, section 2.1: root, inclusion and consistency proofs.

A leaf is hashed with a 0x00 prefix and an inner node with 0x01, so that no node can be passed off
as a leaf. Trees of any size are allowed; the left subtree of a node is always the largest full
one. Verification never walks a path as far as the proof reaches: the length a proof must have
follows from index and size alone and is checked first, so nothing can be appended or left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from circuits.encoding import DIGEST_BYTES
from circuits.errors import ProofRejected

_LEAF_PREFIX = b"\x00"
_NODE_PREFIX = b"\x01"

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf's data."""
    return hashlib.sha256(_LEAF_PREFIX + data).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """What must be kept of a tree to go on appending: the roots of its full subtrees.

    Attributes
    ----------
    size : int
        Number of leaves.
    peaks : tuple of bytes
        Roots of the full subtrees, largest (leftmost) first; one for each bit set in `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """Return the frontier with one more leaf hash; the work is logarithmic."""
        _require_hashes([leaf])
        peaks, carry, size = list(self.peaks), leaf, self.size
        while size & 1:
            carry = _node_hash(peaks.pop(), carry)
            size >>= 1
        return Frontier(self.size + 1, (*peaks, carry))

    @property
    def root(self) -> bytes:
        """The root of the tree so far."""
        if not self.peaks:
            return EMPTY_ROOT
        *rest, accumulated = self.peaks
        for peak in reversed(rest):
            accumulated = _node_hash(peak, accumulated)
        return accumulated


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree over `leaf_hashes`, in their order."""
    _require_hashes(leaf_hashes)
    return _root(leaf_hashes, 0, len(leaf_hashes))


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of the first `size` leaves.

    The hashes go from the leaf's sibling up to the root's child.
    """
    if not 0 <= index < size <= len(leaf_hashes):
        raise ValueError(f"no leaf {index} in a tree of {size} among {len(leaf_hashes)} leaves")
    _require_hashes(leaf_hashes[:size])
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_root(leaf_hashes, middle, end))
            end = middle
        else:
            path.append(_root(leaf_hashes, start, middle))
            start = middle
    return path[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Check that `leaf` (a leaf hash) is number `index` of the `size` leaves under a root.

    Raises
    ------
    ProofRejected
        If it is not, or the proof is not of the one length that fits index and size.
    """
    if not 0 <= index < size:
        raise ProofRejected("merkle.inclusion", f"no leaf {index} in a tree of {size}")
    # Below the point where the paths to this leaf and to the last one part, a sibling may be on
    # either side ("inner"); above it, this leaf is on the right edge and only nodes on the left
    # have a sibling ("border"). RFC 9162, 2.1.3.2, in closed form.
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    _require_proof("merkle.inclusion", proof, inner + border)
    found = _chain_right(_chain(leaf, proof[:inner], index), proof[inner:])
    _require_root("merkle.inclusion", found, expected_root)


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int, new_size: int) -> list[bytes]:
    """Return the proof that the tree of `old_size` leaves is a prefix of that of `new_size`."""
    if not 0 <= old_size <= new_size <= len(leaf_hashes):
        raise ValueError(f"no trees of {old_size} and {new_size} among {len(leaf_hashes)} leaves")
    _require_hashes(leaf_hashes[:new_size])
    if old_size == 0:
        return []
    path: list[bytes] = []
    start, end = 0, new_size
    while old_size < end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_root(leaf_hashes, middle, end))
            end = middle
        else:
            path.append(_root(leaf_hashes, start, middle))
            start = middle
    # A verifier already holds the old root; any other subtree the walk ends in it must be told.
    if start > 0:
        path.append(_root(leaf_hashes, start, end))
    return path[::-1]


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a tree grew only by appending.

    One proof rebuilds both roots, so that neither tree can differ in what they share.

    Raises
    ------
    ProofRejected
        If the old tree is not a prefix of the new one, or the proof has a wrong length.
    """
    check = "merkle.consistency"
    if not 0 <= old_size <= new_size:
        raise ProofRejected(check, f"a tree cannot shrink from {old_size} to {new_size} leaves")
    if old_size == 0:
        _require_proof(check, proof, 0)
        _require_root(check, EMPTY_ROOT, old_root)
        if new_size == 0:
            _require_root(check, EMPTY_ROOT, new_root)
        return
    if old_size == new_size:
        _require_proof(check, proof, 0)
        _require_root(check, old_root, new_root)
        return
    # Start from the largest full subtree that ends where the old tree ends: the old tree itself
    # where its size is a power of two, otherwise the first hash of the proof.
    shift = (old_size & -old_size).bit_length() - 1
    seeded = old_size != 1 << shift
    last = old_size - 1
    inner = (last ^ (new_size - 1)).bit_length()
    border = (last >> inner).bit_count()
    inner -= shift
    _require_proof(check, proof, int(seeded) + inner + border)
    seed = proof[0] if seeded else old_root
    path = proof[int(seeded) :]
    mask = last >> shift
    left_only = [h for level, h in enumerate(path[:inner]) if mask >> level & 1]
    _require_root(check, _chain_right(_chain_right(seed, left_only), path[inner:]), old_root)
    _require_root(check, _chain_right(_chain(seed, path[:inner], mask), path[inner:]), new_root)


def _split(size: int) -> int:
    """Return the largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _root(leaf_hashes: Sequence[bytes], start: int, end: int) -> bytes:
    level = list(leaf_hashes[start:end])
    while len(level) > 1:
        # A node without a sibling moves up as it is; this is what makes left subtrees full.
        odd = level[-1:] if len(level) % 2 else []
        level = [
            _node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)
        ] + odd
    return level[0] if level else EMPTY_ROOT


def _chain(node: bytes, siblings: Sequence[bytes], mask: int) -> bytes:
    """Climb past `siblings`; a bit of `mask` says that the sibling is on the left."""
    for level, sibling in enumerate(siblings):
        node = _node_hash(sibling, node) if mask >> level & 1 else _node_hash(node, sibling)
    return node


def _chain_right(node: bytes, siblings: Sequence[bytes]) -> bytes:
    """Climb the right edge, where every sibling is on the left."""
    for sibling in siblings:
        node = _node_hash(sibling, node)
    return node


def _require_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(h) != DIGEST_BYTES for h in hashes):
        raise ValueError(f"a leaf hash has {DIGEST_BYTES} bytes")


def _require_proof(check: str, proof: Sequence[bytes], length: int) -> None:
    if len(proof) != length:
        raise ProofRejected(check, f"proof has {len(proof)} hashes, must have {length}")
    if any(len(h) != DIGEST_BYTES for h in proof):
        raise ProofRejected(check, f"a hash of the proof is not of {DIGEST_BYTES} bytes")


def _require_root(check: str, found: bytes, expected: bytes) -> None:
    if found != expected:
        raise ProofRejected(check, f"root is {found.hex()}, expected {expected.hex()}")
