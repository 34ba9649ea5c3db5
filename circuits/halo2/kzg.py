"""KZG commitments as ezkl's ``polycommit`` visibility makes them, computed without ezkl.

A committed tensor is one advice column of the circuit in the Lagrange basis of the evaluation
domain of size n = 2^k (Kate, Zaverucha and Goldberg, "Constant-Size Commitments to Polynomials
and Their Applications", 2010, the DL scheme): its values in rows 0 .. len-1, zeros after them,
and the scalar one in the last `UNUSABLE_ROWS` rows. The commitment is

    C = sum_i values[i] * L_i(s) G  +  sum_{n - UNUSABLE_ROWS <= i < n} L_i(s) G

and depends on k and on the SRS, but on no circuit. So an evaluator can commit to a test set
before any circuit exists, and a second party can check the opening with an SRS file alone.

The scheme has no randomness of its own. Hiding comes from the salt elements that the caller
puts among the values, and holds for as many opened evaluations as there are salts, less one.
Nothing here runs in constant time: commit on a machine that holds the secret anyway.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

from py_ecc import optimized_bn128 as bn

from circuits.errors import InputError, SrsInvalid, SrsMissing

COMMITMENT_BYTES = 64
"""One affine point: x, then y, 32 bytes each, big-endian; as at the start of a proof."""

UNUSABLE_ROWS = 6
"""Rows at the end of every column that hold no values; halo2's blinding_factors() + 1.

halo2 computes blinding_factors() as max(3, m) + 2, where m is the largest number of distinct
rotations at which any advice column is queried. ezkl 23.0.5 queries a column at rotations -1 and
0 at most (`BaseOp::query_offset_rng`; lookups, shuffles and the committed columns at 0 only), so
m <= 3 and the number is 3 + 2 + 1 = 6 in every circuit it can make. Measured as 6 on elementwise,
product, sum, matmul, decomposition, lookup, dynamic lookup and shuffle circuits; the tests
compare with `ezkl.kzg_commit`, so another number in another version would be noticed.
"""

_SPARE_ROWS = 2
"""ezkl adds a second column once len + 1 >= the usable rows; it reserves a duplicated row."""

_SMALL = 1 << 16
"""Up to this magnitude values share buckets; above it they are treated as full scalars."""

G1Point: TypeAlias = tuple[Any, Any, Any]
G2Point: TypeAlias = tuple[Any, Any, Any]

_MODULUS: int = bn.field_modulus
_ORDER: int = bn.curve_order
_FROM_MONTGOMERY = pow(1 << 256, -1, _MODULUS)

MAX_K = 28
"""The scalar field has no larger power-of-two domain."""


def column_capacity(k: int) -> int:
    """Return how many values of one tensor fit in its single column of 2^k rows."""
    return (1 << k) - UNUSABLE_ROWS - _SPARE_ROWS


def domain_root(k: int) -> int:
    """Return the generator w of the evaluation domain of 2^k rows: row i stands for w^i."""
    # halo2curves' bn256: 7 generates the scalar field's multiplicative group.
    root: int = pow(7, (_ORDER - 1) >> k, _ORDER)
    return root


@dataclass(frozen=True)
class SrsFile:
    """A halo2 KZG parameters file: ``u32 k | g[2^k] | g_lagrange[2^k] | g2 | s_g2``.

    Integers are little-endian, points affine and uncompressed, coordinates in Montgomery form
    (R = 2^256). `open` checks the size against k and nothing else; `circuits.halo2.srs.check`
    decides whether the content is to be trusted.

    Attributes
    ----------
    path : Path
        The file; points are read from it when asked for.
    k : int
        Base-2 logarithm of the number of rows.
    """

    path: Path
    k: int

    @classmethod
    def open(cls, path: Path | str) -> SrsFile:
        """Read the header of `path`.

        Raises
        ------
        SrsMissing
            If there is no such file.
        SrsInvalid
            If its size does not match its k.
        """
        path = Path(path)
        try:
            with path.open("rb") as stream:
                header = stream.read(4)
            size = path.stat().st_size
        except OSError as error:
            raise SrsMissing(
                f"SRS file {path} cannot be read: {error.strerror}", path=str(path)
            ) from None
        k = struct.unpack("<I", header)[0] if len(header) == 4 else 0
        if not 1 <= k <= MAX_K or size != file_size(k):
            raise SrsInvalid(
                f"SRS file {path} has {size} bytes and says k = {k}: not a KZG parameters file",
                path=str(path),
            )
        return cls(path, k)

    def powers(self, rows: range) -> list[G1Point]:
        """Return s^i G for the consecutive `rows`, 0 <= i < 2^k."""
        return self._points(0, rows)

    def lagrange(self, rows: range) -> list[G1Point]:
        """Return L_i(s) G for the consecutive `rows`, 0 <= i < 2^k."""
        return self._points(1, rows)

    def g2(self) -> tuple[G2Point, G2Point]:
        """Return the generator of G2 and s times it, both checked to be on the twist."""
        words = self._coordinates(4 + (128 << self.k), 8)
        g2, s_g2 = (
            (bn.FQ2(words[i : i + 2]), bn.FQ2(words[i + 2 : i + 4]), bn.FQ2.one()) for i in (0, 4)
        )
        if not (bn.is_on_curve(g2, bn.b2) and bn.is_on_curve(s_g2, bn.b2)):
            raise SrsInvalid(
                f"SRS file {self.path} has a G2 point off the curve", path=str(self.path)
            )
        return g2, s_g2

    def _points(self, half: int, rows: range) -> list[G1Point]:
        if rows.step != 1 or rows.start < 0 or rows.stop > 1 << self.k:
            raise ValueError(f"rows {rows} are not a part of 0 .. 2^{self.k} - 1")
        start = 4 + (half << (self.k + 6)) + 64 * rows.start
        words = self._coordinates(start, 2 * len(rows))
        points = []
        for row, x, y in zip(rows, words[::2], words[1::2], strict=True):
            # The point at infinity, (0, 0) in this format, fails here too: an SRS has none.
            if (y * y - x * x * x - 3) % _MODULUS:
                name = ("power", "Lagrange point")[half]
                raise SrsInvalid(
                    f"SRS file {self.path}: {name} {row} is not on the curve",
                    path=str(self.path),
                    row=row,
                )
            points.append((bn.FQ(x), bn.FQ(y), bn.FQ.one()))
        return points

    def _coordinates(self, offset: int, count: int) -> list[int]:
        try:
            with self.path.open("rb") as stream:
                stream.seek(offset)
                data = stream.read(32 * count)
        except OSError as error:
            raise SrsMissing(
                f"SRS file {self.path} cannot be read: {error.strerror}", path=str(self.path)
            ) from None
        raw = [int.from_bytes(data[i : i + 32], "little") for i in range(0, len(data), 32)]
        if len(data) != 32 * count or any(word >= _MODULUS for word in raw):
            raise SrsInvalid(
                f"SRS file {self.path} is cut short or has a coordinate outside the field",
                path=str(self.path),
            )
        return [word * _FROM_MONTGOMERY % _MODULUS for word in raw]


def is_commitment(data: bytes) -> bool:
    """Tell whether 64 bytes are a point of the curve, other than infinity, in canonical form."""
    if len(data) != COMMITMENT_BYTES:
        return False
    x, y = (int.from_bytes(part, "big") for part in (data[:32], data[32:]))
    return x < _MODULUS and y < _MODULUS and (y * y - x * x * x - 3) % _MODULUS == 0


def file_size(k: int) -> int:
    """Return the exact size in bytes of a parameters file of 2^k rows."""
    return 4 + 2 * 64 * (1 << k) + 2 * 128


def commit(srs: SrsFile | Path | str, values: Sequence[int]) -> bytes:
    """Commit to a tensor as the first 64 bytes of its proofs will show it.

    Parameters
    ----------
    srs : SrsFile or path
        The SRS, of the k the circuit will have; its trust is the caller's affair (`srs.check`).
    values : sequence of int
        The tensor in row-major order with its salts, -r < v < r for the scalar field order r;
        v and v + r commit alike. At most ``column_capacity(k)`` values.

    Returns
    -------
    bytes
        64 bytes, x || y, each 32 bytes big-endian. For the j-th committed input of a circuit
        this equals ``proof[64 * j : 64 * j + 64]``; ezkl's ``kzg_commit`` gives the same
        coordinates as little-endian hex.

    Raises
    ------
    InputError
        If there are no values, more than fit in one column (ezkl would continue in a second,
        which would be a commitment without a salt), or one is outside -r < v < r.
    SrsMissing, SrsInvalid
        If the file cannot be read or a point in it is off the curve.
    """
    if not isinstance(srs, SrsFile):
        srs = SrsFile.open(srs)
    room = column_capacity(srs.k)
    if not 1 <= len(values) <= room:
        raise InputError(
            f"{len(values)} values cannot be committed: "
            f"a column of 2^{srs.k} rows takes 1 to {room}",
            values=len(values),
            capacity=room,
        )
    scalars = [_signed(value) for value in values]
    blinding = range((1 << srs.k) - UNUSABLE_ROWS, 1 << srs.k)
    points = srs.lagrange(range(len(scalars))) + srs.lagrange(blinding)
    total = combine(points, scalars + [1] * UNUSABLE_ROWS)
    if bn.is_inf(total):
        raise InputError("the values commit to the point at infinity, which no proof can carry")
    return b"".join(int(c).to_bytes(32, "big") for c in bn.normalize(total))


def combine(points: Sequence[G1Point], scalars: Sequence[int]) -> G1Point:
    """Return ``sum(scalars[i] * points[i])`` in G1, fast where most scalars are small.

    Small magnitudes share one bucket each, so they cost one addition; the rest are added window
    by window (Pippenger, 1976) with one run of doublings for all of them.
    """
    buckets: dict[int, G1Point] = {}
    large: list[tuple[G1Point, int]] = []
    for point, scalar in zip(points, scalars, strict=True):
        signed = point if scalar > 0 else bn.neg(point)
        if abs(scalar) <= _SMALL:
            _put(buckets, abs(scalar), signed)
        else:
            large.append((signed, abs(scalar)))
    total: G1Point = bn.add(_sum_buckets(buckets), _sum_windows(large))
    return total


def _put(buckets: dict[int, G1Point], size: int, point: G1Point) -> None:
    if size:
        held = buckets.get(size)
        buckets[size] = point if held is None else bn.add(held, point)


def _sum_buckets(buckets: dict[int, G1Point]) -> G1Point:
    # sum size * B_size = sum over the gaps between sizes of gap * (all buckets from there up).
    total: G1Point = bn.Z1
    running: G1Point = bn.Z1
    for size, below in pairwise([*sorted(buckets, reverse=True), 0]):
        running = bn.add(running, buckets[size])
        total = bn.add(total, bn.multiply(running, size - below))
    return total


def _sum_windows(terms: list[tuple[G1Point, int]]) -> G1Point:
    width = max(1, len(terms).bit_length() - 3)
    longest = max((size.bit_length() for _, size in terms), default=0)
    total: G1Point = bn.Z1
    for shift in reversed(range(0, longest, width)):
        for _ in range(width):
            total = bn.double(total)
        buckets: dict[int, G1Point] = {}
        for point, size in terms:
            _put(buckets, size >> shift & ((1 << width) - 1), point)
        total = bn.add(total, _sum_buckets(buckets))
    return total


def _signed(value: int) -> int:
    # operator.index takes numpy integers without their wraparound and refuses floats.
    number = operator.index(value)
    if not -_ORDER < number < _ORDER:
        raise InputError("a value to commit is outside the scalar field")
    number %= _ORDER
    return number - _ORDER if number > _ORDER // 2 else number
