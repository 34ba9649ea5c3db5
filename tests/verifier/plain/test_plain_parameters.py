"""Section 2, against brute force."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from circuits.errors import ProofRejected
from verifier.plain.field import P
from verifier.plain.parameters import (
    Profile,
    accuracy_error,
    check_security,
    total_error,
    well_formed_error,
)

OPENED = {9: 161, 10: 163, 11: 164, 12: 165, 13: 165, 14: 165, 18: 165}


@pytest.mark.parametrize(("kappa", "opened"), OPENED.items())
def test_opened_positions(kappa: int, opened: int) -> None:
    assert Profile(kappa).opened == opened


@pytest.mark.parametrize("kappa", [5, 6, 7, 8, 19])
def test_profiles_that_no_proof_can_use(kappa: int) -> None:
    with pytest.raises(ProofRejected, match="security"):
        Profile(kappa)


@pytest.mark.parametrize("t", [1, 40, 161])
def test_query_error_is_the_best_over_all_e(t: int) -> None:
    profile = Profile(9)
    n, k, length = profile.slots, profile.coefficients, profile.length
    d = n + k - 1
    worst = min(max(comb(length - e - 1, t), comb(e + d, t)) for e in range((length - k) // 2 + 1))
    assert profile.query_error(t) == Fraction(worst, comb(length, t))


def test_opened_is_the_smallest_number() -> None:
    profile = Profile(10)
    limit = Fraction(1, 1 << 100)
    assert profile.query_error(profile.opened) <= limit < profile.query_error(profile.opened - 1)


def test_total_error() -> None:
    profile = Profile(9)
    found = total_error(
        profile, leaves=64, depth=4, constraints=20, products=9, a=2, zero_high=1, rest=16
    )
    rounds = (3 + 2) + (6 + 2) + (9 + 2)
    over_k = 2 * 64 + rounds + 4096 + 20 + 10 + (4 * 3 + 2 * 2 + 4) + 16
    assert found == profile.query_error(profile.opened) + Fraction(over_k, P**2)
    assert accuracy_error(2, 5) == (2 * 5 + 1) + (2 + 1)
    assert well_formed_error(2, 784) == 784 + 2
    check_security(found)
    check_security(Fraction(1, 1 << 96))
    with pytest.raises(ProofRejected, match="security"):
        check_security(Fraction(2, (1 << 97) - 1))
