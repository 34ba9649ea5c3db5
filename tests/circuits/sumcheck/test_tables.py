"""Tables, and their extensions against sums over all entries."""

import numpy as np
import pytest
from field_reference import elements, k_sum, k_vector

from circuits.sumcheck.tables import Table, evaluate

TABLES = [
    Table.range(0, 0),
    Table.range(-3, 9),
    Table(-13, 13, 2, 0, 3),
    Table(-5000, 5000, 4, -128, 127),
    Table(-7, 7, 0, 0, 7),
    Table(-2, 1, 5, -2, 1),
]


def entries(table):
    for v in range(table.lo, table.hi + 1):
        half = 2 ** (table.shift - 1) if table.shift else 0
        rounded = (v + half) // 2**table.shift
        yield v, min(max(rounded, table.low), table.high)


@pytest.mark.parametrize("a", [0, 1, 3, 10])
@pytest.mark.parametrize("table", TABLES, ids=str)
def test_columns_hold_the_entries_and_repeat_the_last(table, a):
    expected = list(entries(table))
    assert table.entries == len(expected)
    slots = -(-len(expected) // 2**a)
    expected += [expected[-1]] * (slots * 2**a - len(expected))
    columns = table.columns(a)
    assert all(column.shape == (slots, 2**a) for column in columns)
    assert list(zip(*(column.reshape(-1).tolist() for column in columns), strict=True)) == expected


@pytest.mark.parametrize("a", [0, 1, 5, 13])
@pytest.mark.parametrize("table", TABLES, ids=str)
def test_extensions(table, a):
    rng = np.random.default_rng(a)
    e, samples = elements(rng, table.slots(a), 2), elements(rng, 1 << a, 2)
    weights = [x * y for x in k_vector(e) for y in k_vector(samples)]
    for found, column in zip(evaluate(table, e, samples), table.columns(a), strict=True):
        values = column.reshape(-1).tolist()
        assert found == k_sum(w * v for w, v in zip(weights, values, strict=True))
