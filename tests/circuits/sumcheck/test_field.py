"""F and K: compiled, in arrays, and in plain integers, against Python's own arithmetic."""

from itertools import product

import numpy as np
import pytest
from field_reference import EDGES, P, elements, k_vector
from hypothesis import example, given, settings
from hypothesis import strategies as st

from circuits.sumcheck import field, field_arrays, field_k
from circuits.sumcheck.field_jit import add_product, compiled, lift, mul_wide
from circuits.sumcheck.field_k import K

f_elements = st.sampled_from(EDGES) | st.integers(0, P - 1)
words = st.sampled_from([*EDGES, P, P + 1, 2**64 - 1]) | st.integers(0, 2**64 - 1)
k_elements = st.builds(K, f_elements, f_elements)
compiles = settings(deadline=None)  # the first call does, on a fresh machine


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def u(value):
    return np.uint64(value)


def pair(value):
    return u(value.c0), u(value.c1)


@compiled
def sum_of_products(a, b, repeats):
    total = field.NO_SUM
    for _ in range(repeats):
        for i in range(len(a)):
            total = add_product(total, a[i], b[i])
    return total


@compiled
def lifted(array, out):
    for i in range(len(array)):
        out[i] = lift(array[i])


@compiled
def wide(a, b):
    return mul_wide(a, b)


def test_scalars_agree_with_integers_on_all_pairs_of_edges():
    for a, b in product(EDGES, EDGES):
        assert field.add(u(a), u(b)) == (a + b) % P
        assert field.sub(u(a), u(b)) == (a - b) % P
        assert field.mul(u(a), u(b)) == a * b % P
        assert field.neg(u(a)) == -a % P
        for c in EDGES:
            assert field.mul_add(u(a), u(b), u(c)) == (a * b + c) % P


@compiles
@given(words, words)
@example(2**64 - 1, 2**64 - 1)
@example(0, 2**32)
@example(P, 0)
@example(0, 0xFFFFFFFF)
def test_any_two_words_reduce_to_a_canonical_element(low, high):
    assert field.reduce_wide(u(low), u(high)) == (low + (high << 64)) % P
    assert wide(u(low), u(high)) == (low * high % 2**64, low * high >> 64)
    assert field.mul(u(low), u(high)) == low * high % P


@compiles
@given(words, words, st.integers(0, 2**32 - 2))
@example(2**64 - 1, 2**64 - 1, 2**32 - 2)
@example(0, 0, 2**32 - 2)
def test_sums_reduce_to_a_canonical_element(low, middle, top):
    expected = (low + (middle << 64) + (top << 128)) % P
    assert field.reduce_sum((u(low), u(middle), u(top))) == expected


def test_a_sum_of_products_is_exact_past_128_bits(rng):
    a, b = elements(rng, 500), elements(rng, 500)
    a[:100], b[:100] = P - 1, P - 1
    low, middle, top = sum_of_products(a, b, 20)
    exact = 20 * sum(int(x) * int(y) for x, y in zip(a, b, strict=True))
    assert exact > 2**128
    assert low + (middle << 64) + (top << 128) == exact


@compiles
@given(f_elements, words)
def test_powers(base, exponent):
    assert field.power(u(base), u(exponent)) == pow(base, exponent, P)


@compiles
@given(f_elements)
def test_inverse(a):
    inverted = field.inverse(u(a))
    assert inverted * a % P == (1 if a else 0)


@compiles
@given(k_elements, k_elements, f_elements)
def test_compiled_and_plain_k_agree(a, b, c):
    assert K(*field.kadd(*pair(a), *pair(b))) == a + b
    assert K(*field.ksub(*pair(a), *pair(b))) == a - b
    assert K(*field.kmul(*pair(a), *pair(b))) == a * b
    assert K(*field.kscale(*pair(a), u(c))) == a * c
    assert K(*field.kinverse(*pair(a))) == (a.inverse() if a else K(0))


@given(k_elements, k_elements, k_elements, st.integers(-(2**70), 2**70))
def test_plain_k_is_a_field_with_a_root_of_seven(a, b, c, n):
    x = K(0, 1)
    assert x * x == K(7) == K.of(7 - P)
    assert a * b == K(
        (a.c0 * b.c0 + 7 * a.c1 * b.c1) % P,
        (a.c0 * b.c1 + a.c1 * b.c0) % P,
    )
    assert (a + b) * c == c * a + c * b
    assert a - b == -(b - a)
    assert n + a == a + n == a + K.of(n)
    assert n - a == K.of(n) - a and a - n == a - K.of(n)
    assert n * a == a * n == a * K.of(n)
    assert a ** (P * P) == a
    if a:
        assert a * a.inverse() == 1 / a * a == a / a == a**0 == K(1)
        assert a**-3 * a * a * a == K(1)
        assert b / a * a == b


def test_plain_k_refuses_what_is_not_canonical():
    for bad in [(P, 0), (0, P), (-1, 0), (0, 2**64)]:
        with pytest.raises(ValueError, match="canonical"):
            K(*bad)
    with pytest.raises(ZeroDivisionError):
        K(0).inverse()
    with pytest.raises(ZeroDivisionError):
        K(3, 4) / P
    with pytest.raises(ValueError, match="canonical"):
        field_k.from_array(np.full((1, 2), P, np.uint64))
    assert not K(0) and K(0, 1) and K(1)


def test_k_arrays_there_and_back(rng):
    array = elements(rng, 30, 2)
    listed = field_k.from_array(array)
    assert listed == k_vector(array)
    assert np.array_equal(field_k.to_array(listed), array)
    assert np.array_equal(listed[3].to_array(), array[3])
    assert field_k.to_array([]).shape == (0, 2)
    assert field_k.to_array([]).dtype == listed[3].to_array().dtype == np.uint64


def test_roots_of_unity():
    assert field.root_of_unity(32) == 1753635133440165772
    for log_order in range(1, 33):
        root = field.root_of_unity(log_order)
        assert pow(root, 1 << (log_order - 1), P) == P - 1
        assert root * root % P == field.root_of_unity(log_order - 1)
    for bad in (-1, 33):
        with pytest.raises(ValueError, match="subgroup"):
            field.root_of_unity(bad)


def test_seven_generates_the_group():
    assert all(pow(7, (P - 1) // q, P) != 1 for q in (2, 3, 5, 17, 257, 65537))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint16, np.uint32])
def test_integers_become_field_elements(rng, dtype):
    info = np.iinfo(dtype)
    array = rng.integers(info.min, info.max, (7, 11), dtype=dtype, endpoint=True)
    array[0, :4] = info.min, info.max, 0, 1
    expected = np.array([[int(v) % P for v in row] for row in array], np.uint64)
    assert np.array_equal(field_arrays.from_signed(array), expected)
    assert np.array_equal(field_arrays.from_signed(array.T), expected.T)
    assert field_arrays.is_canonical(expected)


def test_lifting_leaves_field_elements_alone(rng):
    array = elements(rng, 40)
    out = np.empty_like(array)
    lifted(array, out)
    assert np.array_equal(out, array)


@pytest.mark.parametrize("dtype", [np.uint64, np.float64, np.bool_])
def test_other_types_are_no_signed_integers(dtype):
    with pytest.raises(TypeError):
        field_arrays.from_signed(np.zeros(3, dtype))


def test_canonical_is_below_p(rng):
    array = elements(rng, 5, 2)
    assert field_arrays.is_canonical(array)
    assert field_arrays.is_canonical(array[:0])
    for word in (P, P + 1, 2**64 - 1):
        array[4, 1] = word
        assert not field_arrays.is_canonical(array)
    with pytest.raises(TypeError):
        field_arrays.is_canonical(array.astype(np.int64))


@pytest.mark.parametrize("shape", [(0,), (1,), (1024,), (1025,), (3, 1000)])
def test_batch_inverse(rng, shape):
    array = elements(rng, *shape)
    array[array == 0] = 5
    inverted = field_arrays.batch_inverse(array)
    assert inverted.shape == shape
    for a, b in zip(array.flat, inverted.flat, strict=True):
        assert int(a) * int(b) % P == 1


@pytest.mark.parametrize("shape", [(0,), (1,), (1024,), (1025,), (3, 1000)])
def test_k_batch_inverse(rng, shape):
    array = elements(rng, *shape, 2)
    array[~array.any(axis=-1)] = 5
    inverted = field_arrays.k_batch_inverse(array)
    assert inverted.shape == (*shape, 2)
    for a, b in zip(k_vector(array.reshape(-1, 2)), k_vector(inverted.reshape(-1, 2)), strict=True):
        assert a * b == K(1)


def test_zero_has_no_inverse(rng):
    array = np.maximum(elements(rng, 2000, 2), u(1))
    array[1500] = 0, 3
    field_arrays.k_batch_inverse(array)
    with pytest.raises(ZeroDivisionError):
        field_arrays.batch_inverse(array)
    array[1500] = 0
    with pytest.raises(ZeroDivisionError):
        field_arrays.k_batch_inverse(array)


def test_arrays_are_checked():
    with pytest.raises(ValueError, match="pairs"):
        field_arrays.k_batch_inverse(np.ones((2, 3), np.uint64))
    with pytest.raises(TypeError, match="uint64"):
        field_arrays.batch_inverse(np.ones(3, np.int64))
