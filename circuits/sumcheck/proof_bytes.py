"""The bytes of a proof (docs/protocol.md, section 6.6).

No length is stored. What a proof must be long follows from the statement, and is compared before
anything is read; so a stranger's proof costs no memory beyond its own bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np

from circuits.errors import ProofRejected
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.columns import HASH_BYTES, SALT_BYTES, Hashes
from circuits.sumcheck.field_arrays import is_canonical
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.params import Profile

MATRICES: tuple[MatrixName, ...] = get_args(MatrixName)
"""Shard, model, proof: the order of matrices wherever they are listed."""

_WORD = 8


@dataclass(frozen=True)
class Shape:
    """The lengths of a proof, as they follow from the statement.

    Attributes
    ----------
    profile : Profile
        Of all matrices.
    differences, messages : int
        Products, and masked values that are sent.
    rows : mapping of matrix to int
        Rows of every matrix of the proof, masks included.
    """

    profile: Profile
    differences: int
    messages: int
    rows: Mapping[MatrixName, int]

    @property
    def matrices(self) -> list[MatrixName]:
        """The matrices there are, in order."""
        return [name for name in MATRICES if name in self.rows]


@dataclass(frozen=True)
class Opening:
    """The opened columns of a matrix.

    Attributes
    ----------
    salts : uint8 array [t, 32]
    columns : uint64 array [t, rows]
    nodes : uint8 array [n, 32]
        The multiproof of section 6.5.
    """

    salts: Hashes
    columns: U64Array
    nodes: Hashes


@dataclass(frozen=True)
class Proof:
    """A proof in its parts.

    Attributes
    ----------
    root : bytes
        Of the proof matrix.
    differences : uint64 array [products, 2]
        The d_j of section 5.5.
    messages : uint64 array [messages, 2]
        Masked values in the order of sending.
    u, q : uint64 array [k', 2], [N + k' - 1, 2]
        Polynomials of the proximity test and of the linear test, low coefficient first.
    openings : mapping of matrix to Opening
    """

    root: bytes
    differences: U64Array
    messages: U64Array
    u: U64Array
    q: U64Array
    openings: Mapping[MatrixName, Opening]


def element_bytes(elements: U64Array) -> bytes:
    """Return field elements as bytes, 8 for each coordinate (docs/protocol.md, section 1)."""
    return elements.astype("<u8", copy=False).tobytes()


def encode(proof: Proof) -> bytes:
    """Return the bytes of a proof (docs/protocol.md, section 6.6)."""
    parts = [proof.root]
    parts += [element_bytes(part) for part in (proof.differences, proof.messages, proof.u, proof.q)]
    for name in MATRICES:
        if name in proof.openings:
            opening = proof.openings[name]
            for salt, column in zip(opening.salts, opening.columns, strict=True):
                parts += [salt.tobytes(), element_bytes(column)]
            parts.append(opening.nodes.tobytes())
    return b"".join(parts)


def parse(data: bytes, shape: Shape) -> Proof:
    """Return the parts of a proof (docs/protocol.md, section 6.6).

    The matrices have equally many nodes, since the same positions are opened in all of them. Their
    number is taken from the length here and checked where the positions are known
    (`circuits.sumcheck.columns.check_multiproof`).

    Raises
    ------
    ProofRejected
        By the check "encoding", if the length is impossible or an element is not canonical.
    """
    profile, matrices = shape.profile, shape.matrices
    nodes = _node_count(len(data), shape)
    reader = _Reader(data)
    root = reader.take(HASH_BYTES)
    differences = reader.k_elements(shape.differences)
    messages = reader.k_elements(shape.messages)
    u = reader.k_elements(profile.degree)
    q = reader.k_elements(profile.linear_degree)
    openings = {name: reader.opening(profile.opened, shape.rows[name], nodes) for name in matrices}
    return Proof(root, differences, messages, u, q, openings)


def _node_count(length: int, shape: Shape) -> int:
    """Return the nodes of each multiproof, from the length of the proof."""
    profile, count = shape.profile, len(shape.rows)
    elements = shape.differences + shape.messages + profile.degree + profile.linear_degree
    columns = sum(SALT_BYTES + _WORD * rows for rows in shape.rows.values())
    fixed = HASH_BYTES + 2 * _WORD * elements + profile.opened * columns
    nodes, rest = divmod(length - fixed, count * HASH_BYTES)
    most = profile.opened * (profile.positions.bit_length() - 1)
    if rest or not 0 <= nodes <= most:
        raise ProofRejected("encoding", f"a proof of {fixed} bytes and nodes has {length} bytes")
    return nodes


class _Reader:
    """Takes the parts of a proof from the front; the length has been checked."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def k_elements(self, count: int) -> U64Array:
        return _elements(np.frombuffer(self.take(2 * _WORD * count), np.uint8)).reshape(-1, 2)

    def opening(self, opened: int, rows: int, nodes: int) -> Opening:
        block = self._hashes(opened, SALT_BYTES + _WORD * rows)
        columns = _elements(np.ascontiguousarray(block[:, SALT_BYTES:]))
        return Opening(block[:, :SALT_BYTES], columns, self._hashes(nodes, HASH_BYTES))

    def _hashes(self, count: int, size: int) -> Hashes:
        return np.frombuffer(self.take(count * size), np.uint8).reshape(count, size)


def _elements(octets: Hashes) -> U64Array:
    words = octets.view("<u8").astype(np.uint64, copy=False)
    if not is_canonical(words):
        raise ProofRejected("encoding", "a field element is not below the modulus")
    return words
