"""Single elements of K in plain Python integers: challenges, claims, the verifier's equations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from circuits.sumcheck.field import GENERATOR
from circuits.sumcheck.field_arrays import require_k
from circuits.sumcheck.field_jit import MODULUS, U64Array


@dataclass(frozen=True, slots=True)
class K:
    """``c0 + c1 X`` in K = F[X]/(X^2 - 7), with the usual operators.

    The other operand may be an int, of any size and sign, which stands for its residue.

    Attributes
    ----------
    c0, c1 : int
        Canonical: in [0, p).

    Raises
    ------
    ValueError
        If a coordinate is not canonical. So nothing read from outside becomes a K unchecked.
    """

    c0: int
    c1: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.c0 < MODULUS and 0 <= self.c1 < MODULUS):
            raise ValueError("not a canonical element of K")

    @classmethod
    def of(cls, value: int) -> K:
        """Return the residue of any integer."""
        return cls(value % MODULUS)

    def __add__(self, other: K | int) -> K:
        if isinstance(other, K):
            return K((self.c0 + other.c0) % MODULUS, (self.c1 + other.c1) % MODULUS)
        return K((self.c0 + other) % MODULUS, self.c1)

    __radd__ = __add__

    def __neg__(self) -> K:
        return K(-self.c0 % MODULUS, -self.c1 % MODULUS)

    def __sub__(self, other: K | int) -> K:
        if isinstance(other, K):
            return K((self.c0 - other.c0) % MODULUS, (self.c1 - other.c1) % MODULUS)
        return K((self.c0 - other) % MODULUS, self.c1)

    def __rsub__(self, other: int) -> K:
        return K((other - self.c0) % MODULUS, -self.c1 % MODULUS)

    def __mul__(self, other: K | int) -> K:
        if isinstance(other, K):
            return K(
                (self.c0 * other.c0 + GENERATOR * self.c1 * other.c1) % MODULUS,
                (self.c0 * other.c1 + self.c1 * other.c0) % MODULUS,
            )
        return K(self.c0 * other % MODULUS, self.c1 * other % MODULUS)

    __rmul__ = __mul__

    def inverse(self) -> K:
        """Return 1/self.

        Raises
        ------
        ZeroDivisionError
            For zero.
        """
        norm = (self.c0 * self.c0 - GENERATOR * self.c1 * self.c1) % MODULUS
        if norm == 0:
            raise ZeroDivisionError("zero has no inverse")
        scale = pow(norm, -1, MODULUS)
        return K(self.c0 * scale % MODULUS, -self.c1 * scale % MODULUS)

    def __truediv__(self, other: K | int) -> K:
        return self * (other if isinstance(other, K) else K.of(other)).inverse()

    def __rtruediv__(self, other: int) -> K:
        return self.inverse() * other

    def __pow__(self, exponent: int) -> K:
        base, result = (self if exponent >= 0 else self.inverse()), ONE
        for bit in bin(abs(exponent))[2:]:
            result = result * result
            if bit == "1":
                result = result * base
        return result

    def __bool__(self) -> bool:
        return self.c0 != 0 or self.c1 != 0

    def to_array(self) -> U64Array:
        """Return uint64[2], for compiled functions."""
        return np.array((self.c0, self.c1), np.uint64)


ZERO = K(0)
ONE = K(1)


def to_array(elements: Iterable[K]) -> U64Array:
    """Return uint64[n, 2]."""
    pairs = [(element.c0, element.c1) for element in elements]
    return np.array(pairs, np.uint64).reshape(-1, 2)


def from_array(array: U64Array) -> list[K]:
    """Return the elements of uint64[n, 2].

    Raises
    ------
    TypeError, ValueError
        If dtype or shape are wrong, or an element is not canonical.
    """
    return [K(c0, c1) for c0, c1 in require_k(array).tolist()]
