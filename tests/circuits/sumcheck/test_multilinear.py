"""Multilinear extensions and matrix products, against sums of K in plain integers."""

import numpy as np
import pytest
from field_reference import P, elements, k_sum, k_vector

from circuits.sumcheck.field_k import K
from circuits.sumcheck.multilinear import combine_rows, eq_table, evaluate, evaluate_rows, fold

SMALL = [np.int8, np.int16, np.int32, np.int64, np.uint8]


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def eq(point, x):
    result = K(1)
    for j, r in enumerate(point):
        result = result * (r if x >> j & 1 else 1 - r)
    return result


def integers(rng, dtype, *shape):
    if dtype == np.uint64:
        return elements(rng, *shape)
    info = np.iinfo(dtype)
    array = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    array[0, 0], array[-1, -1] = info.max, info.min
    return array


@pytest.mark.parametrize("k", range(8))
def test_eq_table_is_little_endian(rng, k):
    point = elements(rng, k, 2)
    assert k_vector(eq_table(point)) == [eq(k_vector(point), x) for x in range(1 << k)]


def test_a_large_eq_table_is_the_same(rng):
    point = elements(rng, 17, 2)
    table = eq_table(point)
    assert table.shape == (1 << 17, 2)
    for x in [0, 1, 255, 256, 77_777, (1 << 17) - 1]:
        assert K(*table[x].tolist()) == eq(k_vector(point), x)
    assert k_sum(k_vector(table)) == K(1)


@pytest.mark.parametrize("half", [0, 1, 2, 3, 100, (1 << 15) + 1])
def test_fold_binds_the_lowest_bit(rng, half):
    values, r = elements(rng, 2 * half, 2), elements(rng, 2)
    folded = fold(values, r)
    listed, point = k_vector(values), K(*r.tolist())
    assert folded.shape == (half, 2)
    assert k_vector(folded) == [
        low + point * (high - low) for low, high in zip(listed[::2], listed[1::2], strict=True)
    ]
    out = np.empty_like(folded)
    assert fold(values, r, out) is out
    assert np.array_equal(out, folded)


def test_fold_refuses_memory_that_does_not_fit(rng):
    values, r = elements(rng, 8, 2), elements(rng, 2)
    for out in (values[:4], np.empty((3, 2), np.uint64), np.empty((8, 2), np.uint64)[::2]):
        with pytest.raises(ValueError, match=r"fold|memory"):
            fold(values, r, out)
    with pytest.raises(ValueError, match="fold"):
        fold(values[:7], r)
    with pytest.raises(TypeError):
        fold(values.astype(np.int64), r)


@pytest.mark.parametrize("k", [0, 1, 2, 5, 9])
def test_evaluate_is_the_sum_with_eq_and_repeated_folding(rng, k):
    values, point = elements(rng, 1 << k, 2), elements(rng, k, 2)
    weights = [eq(k_vector(point), x) for x in range(1 << k)]
    expected = k_sum(v * w for v, w in zip(k_vector(values), weights, strict=True))
    found = evaluate(values, point)
    assert found.shape == (2,)
    assert K(*found.tolist()) == expected
    if k:
        assert np.array_equal(evaluate(fold(values, point[0]), point[1:]), found)


def test_evaluate_finds_the_values_at_corners(rng):
    values = elements(rng, 16, 2)
    for x in range(16):
        corner = np.array([[x >> j & 1, 0] for j in range(4)], np.uint64)
        assert np.array_equal(evaluate(values, corner), values[x])


def test_evaluate_refuses_another_length(rng):
    with pytest.raises(ValueError, match="bits"):
        evaluate(elements(rng, 6, 2), elements(rng, 3, 2))


@pytest.mark.parametrize("dtype", [*SMALL, np.uint64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (8, 64), (9, 65), (33, 130), (0, 4), (4, 0)])
def test_matrix_products(rng, dtype, shape):
    matrix = integers(rng, dtype, *shape) if 0 not in shape else np.zeros(shape, dtype)
    rows, columns = elements(rng, shape[0], 2), elements(rng, shape[1], 2)
    entries = matrix.tolist()
    assert k_vector(evaluate_rows(matrix, columns)) == [
        k_sum(v * w for v, w in zip(row, k_vector(columns), strict=True)) for row in entries
    ]
    assert k_vector(combine_rows(rows, matrix)) == [
        k_sum(entries[i][j] * v for i, v in enumerate(k_vector(rows))) for j in range(shape[1])
    ]


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.uint64])
def test_views_and_read_only_arrays_are_taken(rng, dtype):
    matrix = integers(rng, dtype, 12, 20)
    weights = elements(rng, 12, 2)
    matrix.flags.writeable = weights.flags.writeable = False
    assert np.array_equal(evaluate_rows(matrix.T, weights), combine_rows(weights, matrix))
    assert np.array_equal(
        evaluate_rows(matrix[:, ::2].T, weights), combine_rows(weights, matrix[:, ::2])
    )


def test_long_sums_of_extreme_values_are_exact():
    n = 1 << 16
    most = np.full((1, n), P - 1, np.uint64)
    weights = np.full((n, 2), P - 1, np.uint64)
    assert k_vector(evaluate_rows(most, weights)) == [K(n, n)]
    assert k_vector(combine_rows(weights, most.T)) == [K(n, n)]
    least = np.full((1, n), -(2**63), np.int64)
    assert k_vector(evaluate_rows(least, weights)) == [K.of(n * 2**63) * K(1, 1)]


def test_a_block_of_rows_is_evaluated_by_reshaping(rng):
    matrix = integers(rng, np.int16, 5, 4 * 8)
    point = elements(rng, 3, 2)
    found = evaluate_rows(matrix.reshape(-1, 8), eq_table(point)).reshape(5, 4, 2)
    for row in range(5):
        for block in range(4):
            values = np.zeros((8, 2), np.uint64)
            values[:, 0] = [int(v) % P for v in matrix[row, 8 * block : 8 * block + 8]]
            assert np.array_equal(found[row, block], evaluate(values, point))


def test_shapes_and_types_are_checked(rng):
    matrix = integers(rng, np.int16, 3, 5)
    with pytest.raises(ValueError, match="does not fit"):
        evaluate_rows(matrix, elements(rng, 3, 2))
    with pytest.raises(ValueError, match="does not fit"):
        combine_rows(elements(rng, 5, 2), matrix)
    with pytest.raises(ValueError, match="does not fit"):
        evaluate_rows(matrix[0], elements(rng, 5, 2))
    with pytest.raises(TypeError, match="integers"):
        evaluate_rows(matrix.astype(np.float64), elements(rng, 5, 2))
    with pytest.raises(ValueError, match="shape"):
        eq_table(elements(rng, 2))
    with pytest.raises(ValueError, match="pairs"):
        eq_table(elements(rng, 2, 3))
