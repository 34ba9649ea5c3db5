"""Section 2: what a profile fixes, and the error of the whole argument, in exact arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from circuits.errors import ProofRejected
from verifier.plain.field import P

KAPPAS = range(6, 19)
QUERY_BITS = 100
SECURITY_BITS = 96


@dataclass(frozen=True)
class Profile:
    """The code and the number of opened positions that belong to kappa.

    Raises
    ------
    ProofRejected
        If there is no such profile, or if one opening already reveals more positions than a row
        has random coefficients.
    """

    kappa: int

    def __post_init__(self) -> None:
        if self.kappa not in KAPPAS or self.opened > self.random:
            raise ProofRejected("security", f"there is no profile kappa = {self.kappa}")

    @property
    def slots(self) -> int:
        """N: slots in a row."""
        return 1 << self.kappa

    @property
    def random(self) -> int:
        """T: random coefficients of a row."""
        return self.slots // 2

    @property
    def coefficients(self) -> int:
        """k': coefficients of a row's polynomial."""
        return self.slots + self.random

    @property
    def length(self) -> int:
        """L: positions of a codeword."""
        return 8 * self.slots

    @cached_property
    def opened(self) -> int:
        """t: the smallest number of positions whose query error is at most 2^-100."""
        t = 1
        while self.query_error(t) > Fraction(1, 1 << QUERY_BITS):
            t += 1
        return t

    def query_error(self, t: int) -> Fraction:
        """Return 2.1 for t positions."""
        degree = self.slots + self.coefficients - 1
        # One term falls with e and the other rises: the best e is the first where
        # L - e - 1 <= e + d, from which on the second is the larger; or the one before it, which
        # is no better: the first term there is C(L - e, t), and L - e >= e + d.
        e = min(-((degree - self.length + 1) // 2), (self.length - self.coefficients) // 2)
        n = max(self.length - e - 1, e + degree)
        return Fraction(math.perm(n, t), math.perm(self.length, t))


def total_error(
    profile: Profile,
    *,
    leaves: int,
    depth: int,
    constraints: int,
    products: int,
    a: int,
    zero_high: int,
    rest: int,
) -> Fraction:
    """Return 2.2.

    Parameters
    ----------
    profile : Profile
        Gives the query error and the proximity term.
    leaves, depth : int
        M and D of the lookups.
    constraints, products : int
        How many linear constraints and products there are.
    a, zero_high : int
        Variables of the zero check.
    rest : int
        What only this relation has: `accuracy_error` or `well_formed_error`.
    """
    over_k = 2 * leaves + sum(3 * j + 2 for j in range(1, depth)) + profile.length
    over_k += constraints + (products + 1) + (4 * (a + zero_high) + 2 * a + 4) + rest
    return profile.query_error(profile.opened) + Fraction(over_k, P * P)


def accuracy_error(a: int, linear_variables: int) -> int:
    """Return, times |K|, the error of the linear layers and of the link of the logits."""
    return (2 * linear_variables + 1) + (a + 1)


def well_formed_error(a: int, features: int) -> int:
    """Return, times |K|, the error of the zeros on padded samples."""
    return features + a


def check_security(error: Fraction) -> None:
    """Refuse an error above 2^-96."""
    if error > Fraction(1, 1 << SECURITY_BITS):
        bits = math.log2(error.denominator) - math.log2(error.numerator)
        raise ProofRejected("security", f"{bits:.2f} bits, fewer than {SECURITY_BITS}")
