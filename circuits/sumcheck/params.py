"""Parameters of the commitments and what they are worth in bits (docs/protocol.md, section 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from circuits.errors import UnsafeConfiguration
from circuits.sumcheck.field_jit import MODULUS

MIN_KAPPA = 6
MAX_KAPPA = 18
BLOWUP = 8
"""L / N: positions of a codeword for each slot of a row."""

QUERY_BITS = 100
"""Opened positions are so many that they miss a false row with probability 2^-100."""

MIN_SECURITY_BITS = 96
"""A verifier refuses parameters that are worth less."""

_FIELD = MODULUS**2  # elements of K


@dataclass(frozen=True)
class Profile:
    """The shape of all matrices of a proof, by one number (docs/protocol.md, section 2).

    Attributes
    ----------
    kappa : int
        A row has 2^kappa slots; 6 to 18.

    Raises
    ------
    UnsafeConfiguration
        If kappa is another number.
    """

    kappa: int

    def __post_init__(self) -> None:
        if not MIN_KAPPA <= self.kappa <= MAX_KAPPA:
            raise UnsafeConfiguration(
                f"kappa is {self.kappa}, must be {MIN_KAPPA} to {MAX_KAPPA}", kappa=self.kappa
            )

    @property
    def row_slots(self) -> int:
        """N, values in a row."""
        return 1 << self.kappa

    @property
    def tail(self) -> int:
        """T, random coefficients of a row."""
        return self.row_slots // 2

    @property
    def degree(self) -> int:
        """k', coefficients of a row's polynomial."""
        return self.row_slots + self.tail

    @property
    def positions(self) -> int:
        """L, symbols of a row's codeword."""
        return BLOWUP * self.row_slots

    @property
    def linear_degree(self) -> int:
        """Coefficients of the polynomial q of the linear test (section 6.2)."""
        return self.row_slots + self.degree - 1

    @property
    def opened(self) -> int:
        """t, positions opened by a proof."""
        return _opened(self.kappa)

    @property
    def max_openings(self) -> int:
        """Proofs that a commitment can take part in before its rows begin to show."""
        return self.tail // self.opened


@dataclass(frozen=True)
class Security:
    """The soundness error of a proof, and where it comes from (docs/protocol.md, section 2.2).

    Attributes
    ----------
    terms : mapping of str to float
        -log2 of each part of the error, by name.
    bits : float
        -log2 of their sum.
    """

    terms: Mapping[str, float]
    bits: float


def query_error(profile: Profile, opened: int) -> Fraction:
    """Return the probability that a false row escapes `opened` positions (section 2.1)."""
    length = profile.positions
    # A false q differs from what the rows make it at all positions but as many as the difference
    # has roots. Its degree is at most that of Z_H b, for a b of the highest degree of a row.
    degree = profile.row_slots + profile.degree - 1

    def missed(errors: int) -> int:
        return _falling(length - errors - 1, opened)

    def agreed(errors: int) -> int:
        return _falling(errors + degree, opened)

    # One of the two falls and the other grows with the number of errors: the best is where they
    # cross.
    low, high = 0, (length - profile.degree) // 2
    while low < high:
        middle = (low + high) // 2
        if missed(middle) <= agreed(middle):
            high = middle
        else:
            low = middle + 1
    best = min(max(missed(e), agreed(e)) for e in {low, max(low - 1, 0)})
    return Fraction(best, _falling(length, opened))


def security(
    profile: Profile,
    *,
    a: int,
    leaves: int,
    constraints: int,
    products: int,
    zero_variables: int,
    linear_variables: int | None = None,
    features: int | None = None,
) -> Security:
    """Return what a proof is worth (docs/protocol.md, section 2.2).

    Parameters
    ----------
    profile : Profile
        Of all matrices of the proof.
    a : int
        Variables of the samples.
    leaves : int
        M, slots of 5.1 times 2^a.
    constraints, products : int
        Linear constraints of the opening, products of 5.5.
    zero_variables : int
        Variables of the zero check: a + s.
    linear_variables : int, optional
        s_I, variables of the sumcheck of the linear layers; in accuracy.
    features : int, optional
        F, inputs that are zero on padded samples; in well-formedness.

    Raises
    ------
    UnsafeConfiguration
        If it is worth less than 96 bits, or the rows cannot hide a single opening.
    """
    if profile.max_openings < 1:
        raise UnsafeConfiguration(
            f"kappa {profile.kappa} is too small: {profile.opened} opened positions show the "
            f"values under {profile.tail} random coefficients",
            kappa=profile.kappa,
        )
    depth = (leaves - 1).bit_length()
    numerators = {
        "lookups": 2 * leaves,
        "lookup layers": sum(3 * j + 2 for j in range(1, depth)),
        "proximity": profile.positions,
        "constraints": constraints,
        "products": products + 1,
        "zero check": 4 * zero_variables + 2 * a + 4,
    }
    if linear_variables is not None:
        numerators |= {"linear layers": 2 * linear_variables + 1, "logits": a + 1}
    if features is not None:
        numerators["padding"] = features + a
    errors = {"queries": query_error(profile, profile.opened)}
    errors |= {name: Fraction(count, _FIELD) for name, count in numerators.items() if count}
    total = sum(errors.values(), Fraction())
    found = Security({name: _bits(error) for name, error in errors.items()}, _bits(total))
    if total > Fraction(1, 2**MIN_SECURITY_BITS):
        raise UnsafeConfiguration(
            f"a proof would be worth {found.bits:.1f} bits, and {MIN_SECURITY_BITS} are required",
            bits=found.bits,
        )
    return found


@cache
def _opened(kappa: int) -> int:
    profile = Profile(kappa)

    def enough(opened: int) -> bool:
        return query_error(profile, opened) <= Fraction(1, 2**QUERY_BITS)

    # The error falls with every position.
    low, high = 0, 1
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _falling(top: int, count: int) -> int:
    """Return top (top - 1) .. with `count` factors; ratios of them are ratios of binomials."""
    return math.perm(top, count)


def _bits(error: Fraction) -> float:
    return math.log2(error.denominator) - math.log2(error.numerator)
