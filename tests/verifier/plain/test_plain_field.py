"""K and multilinear extensions, against their definitions."""

from __future__ import annotations

import random
from itertools import product as pairs

import pytest

from verifier.plain.field import (
    GENERATOR,
    ONE,
    ZERO,
    Element,
    P,
    add,
    base,
    columns,
    dot,
    eq,
    eq_at,
    inverse,
    inverses,
    lagrange,
    powers,
    product,
    root_of_unity,
    scale,
    sub,
    times,
    total,
)

RNG = random.Random(1)  # noqa: S311


def some(count: int) -> list[Element]:
    return [(RNG.randrange(P), RNG.randrange(P)) for _ in range(count)]


def test_the_square_of_x_is_seven_and_seven_is_not_a_square() -> None:
    assert times((0, 1), (0, 1)) == (GENERATOR, 0)
    assert pow(GENERATOR, (P - 1) // 2, P) == P - 1


def test_inverse() -> None:
    for x in [*some(5), (5, 0), (0, P - 1)]:
        assert times(x, inverse(x)) == ONE
    with pytest.raises(ZeroDivisionError):
        inverse(ZERO)
    values = [RNG.randrange(1, P) for _ in range(9)]
    assert inverses(values) == [pow(value, -1, P) for value in values]


def test_distributive_and_negative_integers() -> None:
    x, y, z = some(3)
    assert times(x, add(y, z)) == add(times(x, y), times(x, z))
    assert scale(x, -3) == sub(ZERO, times(x, base(3)))
    assert total([x, y, z]) == add(x, add(y, z))


def test_roots_of_unity() -> None:
    for bits in (1, 9, 21):
        root = root_of_unity(1 << bits)
        assert pow(root, 1 << bits, P) == 1 != pow(root, 1 << (bits - 1), P)
    assert powers(3, 4) == [1, 3, 9, 27]


def test_eq_is_little_endian() -> None:
    point = some(3)
    found = eq(point)
    for index, bits in enumerate(pairs((0, 1), repeat=3)):
        x = bits[::-1]  # itertools varies the last bit first
        factors = [r if bit else sub(ONE, r) for r, bit in zip(point, x, strict=True)]
        assert found[index] == product(factors) == eq_at(point, [base(bit) for bit in x])
    assert total(found) == ONE
    assert eq([]) == [ONE]


def test_lagrange_interpolates() -> None:
    coefficients, (x,) = some(4), some(1)

    def evaluate(at: Element) -> Element:
        found = ZERO
        for c in reversed(coefficients):
            found = add(times(found, at), c)
        return found

    basis = lagrange(4, x)
    values = [evaluate(base(node)) for node in range(4)]
    assert total(map(times, basis, values)) == evaluate(x)


def test_dot() -> None:
    vector, values = some(4), [3, -5, P + 1, 0]
    assert dot(columns(vector), values) == total(map(scale, vector, values))
