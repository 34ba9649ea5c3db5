"""Transforms, the row code and Lagrange values, against naive polynomials in plain integers."""

import numpy as np
import pytest
from field_reference import EDGES, P, elements, horner, k_sum, k_vector

from circuits.sumcheck.field import root_of_unity
from circuits.sumcheck.field_arrays import is_canonical
from circuits.sumcheck.field_jit import compiled
from circuits.sumcheck.field_k import K
from circuits.sumcheck.field_lanes import (
    LANES,
    add_lanes,
    load_lanes,
    mul_lanes,
    spread,
    store_lanes,
    sub_lanes,
)
from circuits.sumcheck.ntt import inverse_ntt, k_inverse_ntt, k_ntt, ntt
from circuits.sumcheck.ntt_code import encode, interpolate
from circuits.sumcheck.ntt_evaluate import evaluate_polynomial, k_multiply_add, lagrange_at
from circuits.sumcheck.ntt_tables import bit_reversal, coset_points, domain_point, subgroup


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@compiled
def in_lanes(a, b, c, added, subtracted, multiplied):
    for i in range(len(a)):
        x, y = load_lanes(a, i), load_lanes(b, i)
        store_lanes(added, i, add_lanes(x, y))
        store_lanes(subtracted, i, sub_lanes(x, y))
        store_lanes(multiplied, i, mul_lanes(mul_lanes(x, y), spread(c)))


def at(coefficients, x):
    """A polynomial over F at a point of F."""
    result = 0
    for coefficient in reversed(coefficients.tolist()):
        result = (result * x + coefficient) % P
    return result


def test_lanes_agree_with_integers_on_edges_and_random_values(rng):
    edges = np.array([(a, b) for a in EDGES for b in EDGES], np.uint64)
    edges = edges[: len(edges) // LANES * LANES]
    a = np.concatenate([edges[:, 0].reshape(-1, LANES), elements(rng, 200, LANES)])
    b = np.concatenate([edges[:, 1].reshape(-1, LANES), elements(rng, 200, LANES)])
    results = [np.empty_like(a) for _ in range(3)]
    in_lanes(a, b, np.uint64(P - 5), *results)
    for x, y, added, subtracted, multiplied in zip(
        *(array.ravel().tolist() for array in (a, b, *results)), strict=True
    ):
        assert added == (x + y) % P
        assert subtracted == (x - y) % P
        assert multiplied == x * y * (P - 5) % P


@pytest.mark.parametrize("log", range(9))
@pytest.mark.parametrize("rows", [1, 8, 11])
def test_a_transform_evaluates_at_the_subgroup_in_order(rng, log, rows):
    n, root = 1 << log, root_of_unity(log)
    polynomials = elements(rng, rows, n)
    found = ntt(polynomials)
    for row in range(rows):
        for s in {0, 1, n // 2, n - 1} & set(range(n)):
            assert found[row, s] == at(polynomials[row], pow(root, s, P))
    assert np.array_equal(inverse_ntt(found), polynomials)
    assert np.array_equal(ntt(inverse_ntt(polynomials)), polynomials)


@pytest.mark.parametrize("log", [13, 16])
def test_large_transforms(rng, log):
    rows = elements(rng, 3, 1 << log)
    found = ntt(rows)
    assert is_canonical(found)
    for s in (0, 1, 12_345 % (1 << log), (1 << log) - 1):
        x = int(subgroup(1 << log)[s])
        assert np.array_equal(found[:, s], evaluate_polynomial(rows.T, np.array([x], np.uint64))[0])
    assert np.array_equal(inverse_ntt(found), rows)


def test_extreme_coefficients():
    rows = np.full((2, 64), P - 1, np.uint64)
    rows[1] = 0
    found = ntt(rows)
    assert found[0].tolist() == [P - 64] + 63 * [0]
    assert not found[1].any()


def test_views_and_read_only_arrays_are_taken(rng):
    array = elements(rng, 16, 12)
    array.flags.writeable = False
    assert np.array_equal(ntt(array.T), ntt(np.array(array.T)))


def test_products_of_polynomials_over_k(rng):
    a, b, c, d = (elements(rng, m, 2) for m in (13, 20, 9, 24))
    total = np.zeros((32, 2), np.uint64)
    for one, two in ((a, b), (c, d)):
        k_multiply_add(total, k_ntt(one, 32), k_ntt(two, 32))
    found = k_vector(k_inverse_ntt(total))
    lists = [k_vector(polynomial) for polynomial in (a, b, c, d)]
    for degree in range(32):
        expected = k_sum(
            one[i] * two[degree - i]
            for one, two in (lists[:2], lists[2:])
            for i in range(len(one))
            if 0 <= degree - i < len(two)
        )
        assert found[degree] == expected


def test_pointwise_products_are_checked(rng):
    a = elements(rng, 8, 2)
    with pytest.raises(ValueError, match="differ"):
        k_multiply_add(a.copy(), a, a[:4])


@pytest.mark.parametrize("extra", [0, 1, 15, 16, 17, 40])
@pytest.mark.parametrize("rows", [1, 8, 10])
def test_a_row_polynomial_keeps_its_values_whatever_the_tail(rng, rows, extra):
    n = 16
    values, tail = elements(rng, rows, n), elements(rng, rows, extra)
    polynomials = interpolate(values, tail)
    assert polynomials.shape == (rows, n + extra)
    for row in range(rows):
        for s, point in enumerate(subgroup(n).tolist()):
            assert at(polynomials[row], point) == values[row, s]
        x = 123_456_789
        without = at(interpolate(values, tail[:, :0])[row], x)
        assert at(polynomials[row], x) == (without + (x**n - 1) * at(tail[row], x)) % P


@pytest.mark.parametrize(
    ("rows", "n", "extra", "blowup"),
    [
        (1, 1, 0, 1),
        (1, 1, 3, 4),
        (3, 2, 1, 2),
        (7, 16, 0, 8),
        (8, 16, 5, 8),
        (9, 16, 16, 2),
        (17, 8, 56, 8),
        (5, 32, 41, 4),
        (4, 64, 200, 8),
    ],
)
def test_a_codeword_is_the_row_polynomial_on_the_coset(rng, rows, n, extra, blowup):
    values, tail = elements(rng, rows, n), elements(rng, rows, extra)
    codeword = encode(values, tail, blowup)
    polynomials = interpolate(values, tail)
    assert codeword.shape == (blowup * n, rows)
    assert codeword.flags.c_contiguous
    for j in range(blowup * n):
        x = domain_point(blowup * n, j)
        assert codeword[j].tolist() == [at(polynomial, x) for polynomial in polynomials]


def test_a_large_codeword_agrees_at_some_positions(rng):
    values, tail = elements(rng, 19, 1 << 12), elements(rng, 19, 5000)
    codeword = encode(values, tail, 8)
    positions = np.array([0, 1, 8, 4095, 20_000, 32_767])
    points = coset_points(8 << 12, positions)
    expected = evaluate_polynomial(interpolate(values, tail).T, points)
    assert np.array_equal(codeword[positions], expected)


def test_codewords_are_linear(rng):
    values, tail = elements(rng, 2, 32), elements(rng, 2, 7)
    both = [np.vstack([m, (m[:1] + m[1:]) % np.uint64(P)]) for m in (values >> 1, tail >> 1)]
    codeword = encode(*both, 4)
    assert codeword[:, 2].tolist() == [(int(a) + int(b)) % P for a, b in codeword[:, :2]]


def test_codewords_need_room_and_matching_shapes(rng):
    values = elements(rng, 3, 16)
    with pytest.raises(ValueError, match="positions"):
        encode(values, elements(rng, 3, 17), 2)
    with pytest.raises(ValueError, match="tail"):
        encode(values, elements(rng, 2, 4), 8)
    with pytest.raises(ValueError, match="power of two"):
        encode(values, elements(rng, 3, 4), 3)
    with pytest.raises(ValueError, match="power of two"):
        encode(values[:, :12], elements(rng, 3, 4), 8)
    with pytest.raises(TypeError, match="uint64"):
        encode(values.astype(np.int64), elements(rng, 3, 4), 8)
    with pytest.raises(ValueError, match="rows"):
        ntt(values[0])
    with pytest.raises(ValueError, match="fit"):
        k_ntt(elements(rng, 9, 2), 8)


def test_the_codeword_domain_is_a_coset_apart_from_the_subgroup():
    points = coset_points(64, np.arange(64))
    assert points[0] == 7
    assert {pow(int(x), 64, P) for x in points} == {pow(7, 64, P)} != {1}
    assert len(set(points.tolist())) == 64
    assert coset_points(64, np.array([], np.int64)).shape == (0,)
    step = int(points[8]) * pow(7, -1, P) % P
    assert step == int(subgroup(8)[1]) == root_of_unity(3)


def test_tables_are_read_only():
    for table in (subgroup(8), bit_reversal(8)):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 1
    assert bit_reversal(8).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]
    with pytest.raises(ValueError, match="power of two"):
        subgroup(12)


@pytest.mark.parametrize("n", [0, 1, 511, 512, 513, 2000])
def test_evaluation_at_points(rng, n):
    over_k, points = elements(rng, n, 2), elements(rng, 13)
    expected = [horner(k_vector(over_k), int(x)) for x in points]
    assert k_vector(evaluate_polynomial(over_k, points)) == expected
    over_f = np.ascontiguousarray(over_k[:, 0])
    assert evaluate_polynomial(over_f, points).tolist() == [e.c0 for e in expected]
    several = evaluate_polynomial(np.stack([over_k, over_k], axis=1), points)
    assert several.shape == (13, 2, 2)
    assert np.array_equal(several[:, 1], evaluate_polynomial(over_k, points))


@pytest.mark.parametrize("n", [1, 2, 16, 1024, 2048])
def test_lagrange_values_interpolate(rng, n):
    points = np.array([7, 0, *elements(rng, 20)[-3:]], np.uint64)
    values = elements(rng, 1, n)
    found = lagrange_at(n, points)
    assert found.shape == (len(points), n)
    polynomial = interpolate(values, values[:, :0])[0]
    for x, row in zip(points.tolist(), found.tolist(), strict=True):
        total = sum(a * b for a, b in zip(row, values[0].tolist(), strict=True)) % P
        assert total == at(polynomial, x)


def test_lagrange_values_need_points_outside_the_subgroup():
    with pytest.raises(ZeroDivisionError, match="subgroup"):
        lagrange_at(16, subgroup(16)[3:4])


def test_the_sum_over_the_subgroup_is_n_times_every_nth_coefficient(rng):
    # What the linear test of the commitment relies on (docs/protocol.md).
    n = 16
    polynomial = elements(rng, 3 * n + 2, 2)
    values = k_vector(evaluate_polynomial(polynomial, subgroup(n)))
    assert k_sum(values) == n * k_sum(k_vector(polynomial[::n]))
    assert k_sum(values) != K(0)
