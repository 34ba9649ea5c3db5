import math
from fractions import Fraction

import pytest

from circuits.errors import UnsafeConfiguration
from circuits.sumcheck.params import MAX_KAPPA, MIN_KAPPA, Profile, query_error, security

KAPPAS = range(MIN_KAPPA, MAX_KAPPA + 1)
OPENED = {6: 135, 7: 149, 8: 157, 9: 161, 10: 163, 11: 164}  # 165 from 12 on

USUAL = {
    "a": 13,
    "leaves": 2**26,
    "constraints": 600,
    "products": 120,
    "zero_variables": 17,
    "linear_variables": 11,
}


def test_sizes():
    profile = Profile(9)
    assert (profile.row_slots, profile.tail, profile.degree) == (512, 256, 768)
    assert (profile.positions, profile.linear_degree) == (4096, 512 + 768 - 1)


@pytest.mark.parametrize("kappa", [0, 5, 19, 64])
def test_other_profiles_are_refused(kappa):
    with pytest.raises(UnsafeConfiguration):
        Profile(kappa)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_opened_positions_are_the_fewest_that_are_enough(kappa):
    profile = Profile(kappa)
    assert profile.opened == OPENED.get(kappa, 165)
    assert query_error(profile, profile.opened) <= Fraction(1, 2**100)
    assert query_error(profile, profile.opened - 1) > Fraction(1, 2**100)


def test_larger_profiles_open_more_and_allow_more_openings():
    profiles = [Profile(kappa) for kappa in KAPPAS]
    opened = [profile.opened for profile in profiles]
    openings = [profile.max_openings for profile in profiles]
    assert opened == sorted(opened)
    assert openings == sorted(openings)
    assert openings[:6] == [0, 0, 0, 1, 3, 6]


@pytest.mark.parametrize(("kappa", "opened"), [(6, 1), (6, 40), (6, 135), (7, 20), (7, 149)])
def test_query_error_is_the_best_over_all_numbers_of_errors(kappa, opened):
    n = 2**kappa
    rest, length = n + n // 2, 8 * n
    d = n + rest - 1
    best = min(
        max(math.comb(length - e - 1, opened), math.comb(e + d, opened))
        for e in range((length - rest) // 2 + 1)
    )
    assert query_error(Profile(kappa), opened) == Fraction(best, math.comb(length, opened))


def test_security_is_the_sum_of_its_terms():
    found = security(Profile(14), **USUAL)
    assert set(found.terms) == {
        "queries", "lookups", "lookup layers", "proximity", "constraints", "products",
        "zero check", "linear layers", "logits",
    }  # fmt: skip
    assert found.bits == pytest.approx(-math.log2(sum(2**-bits for bits in found.terms.values())))
    assert 99 < found.bits < found.terms["queries"]
    log_field = 2 * math.log2(2**64 - 2**32 + 1)
    numerators = {name: 2 ** (log_field - bits) for name, bits in found.terms.items()}
    assert numerators["lookups"] == pytest.approx(2**27)
    assert numerators["lookup layers"] == pytest.approx(sum(3 * j + 2 for j in range(1, 26)))
    assert numerators["proximity"] == pytest.approx(2**17)
    assert numerators["constraints"] == pytest.approx(600)
    assert numerators["products"] == pytest.approx(121)
    assert numerators["zero check"] == pytest.approx(4 * 17 + 2 * 13 + 4)
    assert numerators["linear layers"] == pytest.approx(23)
    assert numerators["logits"] == pytest.approx(14)


def test_security_of_well_formedness():
    of_shard = {"leaves": 2, "constraints": 5, "products": 1, "zero_variables": 0, "a": 0}
    found = security(Profile(9), **of_shard, features=784)
    assert set(found.terms) == {
        "queries", "lookups", "proximity", "constraints", "products", "zero check", "padding"
    }  # fmt: skip
    assert found.terms["padding"] == pytest.approx(2 * math.log2(2**64 - 2**32 + 1) - 9.6147098)


def test_little_security_is_refused():
    assert security(Profile(14), **{**USUAL, "leaves": 2**30}).bits > 96
    with pytest.raises(UnsafeConfiguration, match=r"worth 95\.9 bits") as refused:
        security(Profile(14), **{**USUAL, "leaves": 2**31})
    assert refused.value.details["bits"] == pytest.approx(95.9, abs=0.1)


@pytest.mark.parametrize("kappa", [6, 7, 8])
def test_profiles_that_cannot_hide_an_opening_are_refused(kappa):
    with pytest.raises(UnsafeConfiguration, match="too small"):
        security(Profile(kappa), **USUAL)
