"""Whether the points of an SRS file are the powers of one secret, in both bases.

For n = 2^k rows, w the n-th root of unity of the scalar field and s the secret, the file must
hold g[i] = s^i G, the Lagrange points L_i(s) G, the generator of G2 and s times it. Both halves
matter: verifying keys are commitments made with the Lagrange half, so wrong points there would
turn one circuit into another.
"""

from __future__ import annotations

import secrets

from py_ecc import optimized_bn128 as bn

from circuits.errors import SrsInvalid
from circuits.halo2.kzg import G1Point, G2Point, SrsFile, combine, domain_root

SAMPLE_ROWS = 1 << 10
"""Consecutive rows that a check which is not full looks at."""

_COEFFICIENT_BITS = 64
"""A wrong file passes with probability 2^-64: it is fixed before the coefficients are drawn."""


def check_points(srs: SrsFile, *, full: bool) -> None:
    """Check the points of `srs` against each other.

    Always: g[0] and g2 are the curve's generators; s_g2 is in the subgroup of order r and not
    zero; e(g[1], g2) = e(g[0], s_g2). Then, for the rows looked at and by random combination:
    every point is on the curve; g[i+1] = s g[i]; and (s - w^i) w^-i L_i is the same for all i,
    which determines the Lagrange half up to one factor.

    With `full`, and always for k <= 10, the rows are all rows and sum L_i = g[0] settles that
    factor, so the file is exactly the SRS of its secret; sum w^i L_i = g[1] and every other
    relation follow. Otherwise the rows are `SAMPLE_ROWS` consecutive ones from a random place:
    that finds a file of another kind, but not one changed point elsewhere. About 2 s; with
    `full` just under 1 ms a row.

    Raises
    ------
    SrsInvalid
        Naming the check that failed.
    """
    rows = 1 << srs.k
    if full or rows <= SAMPLE_ROWS:
        first, count = 0, rows
    else:
        first, count = secrets.randbelow(rows - SAMPLE_ROWS + 1), SAMPLE_ROWS
    g2, s_g2 = srs.g2()
    if srs.powers(range(1)) != [bn.G1] or g2 != bn.G2:
        raise _invalid(srs, "its first point or its g2 is not the generator")
    # A point of the twist outside the subgroup has no meaning in a pairing.
    if bn.is_inf(s_g2) or not bn.is_inf(bn.multiply(s_g2, bn.curve_order)):
        raise _invalid(srs, "s_g2 is not in the subgroup of order r")
    _check_powers(srs, first, count, s_g2)
    _check_lagrange(srs, first, count, s_g2)


def _check_powers(srs: SrsFile, first: int, count: int, s_g2: G2Point) -> None:
    points = srs.powers(range(first, first + count))
    weights = [secrets.randbits(_COEFFICIENT_BITS) for _ in range(count - 1)]
    low, high = combine(points[:-1], weights), combine(points[1:], weights)
    # The first pair fixes s itself, so it is there whatever the sample is.
    weight = 1 + secrets.randbits(_COEFFICIENT_BITS)
    g0, g1 = srs.powers(range(2))
    low = bn.add(low, bn.multiply(g0, weight))
    high = bn.add(high, bn.multiply(g1, weight))
    if not _is_s_times(low, high, s_g2):
        raise _invalid(srs, "its points are not the powers of the secret in s_g2")


def _check_lagrange(srs: SrsFile, first: int, count: int, s_g2: G2Point) -> None:
    points = srs.lagrange(range(first, first + count))
    if count == 1 << srs.k and not bn.eq(combine(points, [1] * count), srs.powers(range(1))[0]):
        raise _invalid(srs, "its Lagrange points do not sum to the generator")
    # L_i(s) = w^i (s^n - 1) / (n (s - w^i)), so (s - w^i) w^-i L_i(s) is one constant for all i
    # and equals (s - w^j) w^-j L_j(s) for the first row j looked at.
    root = domain_root(srs.k)
    step, inverse = pow(root, -1, bn.curve_order), pow(root, -first, bn.curve_order)
    weights = [secrets.randbits(_COEFFICIENT_BITS) for _ in range(count)]
    weights[0] -= sum(weights)
    scaled = []
    for weight in weights:
        scaled.append(weight * inverse % bn.curve_order)
        inverse = inverse * step % bn.curve_order
    if not _is_s_times(combine(points, scaled), combine(points, weights), s_g2):
        raise _invalid(srs, "its Lagrange points do not belong to its powers")


def _is_s_times(low: G1Point, high: G1Point, s_g2: G2Point) -> bool:
    # e(high, g2) = e(low, s_g2), with one final exponentiation for both.
    product = bn.pairing(bn.G2, high, final_exponentiate=False) * bn.pairing(
        s_g2, bn.neg(low), final_exponentiate=False
    )
    return bool(bn.final_exponentiate(product) == bn.FQ12.one())


def _invalid(srs: SrsFile, reason: str) -> SrsInvalid:
    return SrsInvalid(f"SRS file {srs.path}: {reason}", path=str(srs.path), k=srs.k)
