"""A commitment of section 3, made by evaluating every polynomial at every position."""

from __future__ import annotations

import hashlib
import random

from verifier.plain.field import GENERATOR, P, root_of_unity
from verifier.plain.merkle import leaf


def transform(values: list[int], root: int) -> list[int]:
    """Evaluate coefficients at the powers of `root`."""
    if len(values) == 1:
        return values
    square = root * root % P
    even, odd = transform(values[::2], square), transform(values[1::2], square)
    found, power = [0] * len(values), 1
    half = len(even)
    for i in range(half):
        term = power * odd[i] % P
        found[i], found[i + half] = (even[i] + term) % P, (even[i] - term) % P
        power = power * root % P
    return found


def interpolated(values: list[int]) -> list[int]:
    """Return the coefficients of the polynomial with these values on H."""
    size = len(values)
    found = transform(values, pow(root_of_unity(size), -1, P))
    inverse_size = pow(size, -1, P)
    return [value * inverse_size % P for value in found]


def codeword(polynomial: list[int], length: int) -> list[int]:
    shifted = [c * pow(GENERATOR, k, P) % P for k, c in enumerate(polynomial)]
    return transform(shifted + [0] * (length - len(shifted)), root_of_unity(length))


def from_codeword(values: list[int]) -> list[int]:
    back = pow(GENERATOR, -1, P)
    return [c * pow(back, k, P) % P for k, c in enumerate(interpolated(values))]


class Committed:
    """A matrix, its polynomials, its codewords and its tree."""

    def __init__(
        self, rows: list[list[int]], kappa: int, rng: random.Random, masks: int = 0
    ) -> None:
        size, length = 1 << kappa, 8 << kappa
        tail = size // 2
        self.rows = rows
        polynomials = [self._hidden(row, [rng.randrange(P) for _ in range(tail)]) for row in rows]
        if masks:
            polynomials += self._masks(size, rng)
        self.words = [codeword(polynomial, length) for polynomial in polynomials]
        self.polynomials = polynomials
        self.salts = [rng.randbytes(32) for _ in range(length)]
        self.columns = [
            b"".join(word[j].to_bytes(8, "little") for word in self.words) for j in range(length)
        ]
        level = [leaf(salt, data) for salt, data in zip(self.salts, self.columns, strict=True)]
        self.levels = [level]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [_node(left, right) for left, right in pairs]
            self.levels.append(level)
        self.root = level[0]

    @staticmethod
    def _hidden(row: list[int], tail: list[int]) -> list[int]:
        found = interpolated(row) + tail
        for i, r in enumerate(tail):
            found[i] = (found[i] - r) % P
        return found

    def _masks(self, size: int, rng: random.Random) -> list[list[int]]:
        def fresh(count: int) -> list[int]:
            return [rng.randrange(P) for _ in range(count)]

        degree = size + size // 2
        zero_sum = []
        for _ in range(2):
            values = fresh(size - 1)
            zero_sum.append(self._hidden([*values, -sum(values) % P], fresh(size // 2)))
        return [fresh(degree), fresh(degree), *zero_sum, fresh(degree - 1), fresh(degree - 1)]

    def opening(self, positions: list[int]) -> bytes:
        found = [self.salts[j] + self.columns[j] for j in positions]
        known = sorted(positions)
        for level in self.levels[:-1]:
            found += [level[i ^ 1] for i in known if i ^ 1 not in known]
            known = sorted({i >> 1 for i in known})
        return b"".join(found)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
