"""Section 6 at single positions, against polynomials written out."""

from __future__ import annotations

import random

import pytest

from circuits.errors import ProofRejected
from tests.verifier.plain.toy_commitment import interpolated
from verifier.plain.field import GENERATOR, ONE, P, dot, powers, root_of_unity, scale, times
from verifier.plain.forms import Exchange, Form, Functional, combine, committed
from verifier.plain.opening import Lagrange, check_sum
from verifier.plain.parameters import Profile
from verifier.plain.proof_bytes import Reader
from verifier.plain.transcript import Transcript

RNG = random.Random(4)  # noqa: S311
PROFILE = Profile(9)


@pytest.mark.parametrize("position", [0, 5, 8, 4095, 2741])
def test_lagrange_values(position: int) -> None:
    lagrange, size = Lagrange(PROFILE), PROFILE.slots
    x = GENERATOR * pow(root_of_unity(8 * size), position, P) % P
    assert lagrange.point(position) == x
    assert lagrange.vanishing(position) == (pow(x, size, P) - 1) % P
    w = root_of_unity(size)
    found = [value * lagrange.factor(position) % P for value in lagrange.cofactors(position)]
    for s in (0, 1, 17, size - 1):
        node = pow(w, s, P)
        wanted = (pow(x, size, P) - 1) * node * pow(size * (x - node), -1, P) % P
        assert found[s] == wanted
    values = [RNG.randrange(P) for _ in range(size)]
    polynomial = interpolated(values)
    assert dot((found, found), values)[0] == dot((polynomial, polynomial), powers(x, size))[0]


def test_sum_over_h() -> None:
    q = [(RNG.randrange(P), RNG.randrange(P)) for _ in range(PROFILE.slots * 5 // 2 - 1)]
    nodes = powers(root_of_unity(PROFILE.slots), PROFILE.slots)
    wanted = [0, 0]
    for node in nodes:
        at = powers(node, len(q))
        for half in (0, 1):
            wanted[half] += sum(c[half] * x for c, x in zip(q, at, strict=True))
    right = (wanted[0] % P, wanted[1] % P)
    check_sum(PROFILE, q, right)
    with pytest.raises(ProofRejected, match="sum"):
        check_sum(PROFILE, q, (right[0], right[1] ^ 1))


def test_constraints_are_weighed_by_powers_from_the_first() -> None:
    r = (5, 3)
    first = Form((7, 0), {2: ONE})
    second = committed(Functional("v", shard={4: (2, 0)}, single={9: ONE})) - first.times((3, 0))
    found = combine([first, second], r)
    square = times(r, r)
    assert found.constant == times((P - 7, 0), (r[0] - 3 * square[0], r[1] - 3 * square[1]))
    assert found.pads == {2: ((r[0] - 3 * square[0]) % P, (r[1] - 3 * square[1]) % P)}
    assert found.features == {("shard", "v"): {4: scale(square, 2)}}
    assert found.single == {9: square}


def test_products_of_masked_values() -> None:
    """The product form, and the constraints on its pads, hold of honest pads only."""
    values = [(RNG.randrange(P), RNG.randrange(P)) for _ in range(7)]
    x, y, pad_x, pad_y, x_, eps, _ = values
    z, z_ = times(pad_x, pad_y), times(x_, pad_y)
    pads = [pad_x, pad_y, z, x_, z_]

    def plus(a: tuple[int, int], b: tuple[int, int], sign: int = 1) -> tuple[int, int]:
        return (a[0] + sign * b[0]) % P, (a[1] + sign * b[1]) % P

    def value(form: Form, at: list[tuple[int, int]]) -> tuple[int, int]:
        found = form.constant
        for pad, weight in form.pads.items():
            found = plus(found, times(weight, at[pad]))
        return found

    d = plus(times(eps, pad_x), x_, -1)
    exchange = Exchange(Transcript(), [plus(x, pad_x), plus(y, pad_y)], [d], eps)
    first, second = exchange.send("claims", 2)
    assert value(first.value, pads) == x
    product = exchange.product(first, second)
    constraints = list(exchange.product_constraints())
    assert value(product, pads) == times(x, y)
    assert [value(form, pads) for form in constraints] == [(0, 0), (0, 0)]
    for i in (2, 3, 4):
        forged = [plus(pad, ONE) if i == j else pad for j, pad in enumerate(pads)]
        assert any(value(form, forged) != (0, 0) for form in constraints)


def test_reader_refuses_what_is_not_canonical() -> None:
    word = (P - 1).to_bytes(8, "little")
    reader = Reader(2 * word)
    assert reader.elements(1) == [(P - 1, P - 1)]
    reader.finish()
    for data in (word + P.to_bytes(8, "little"), word, b""):
        with pytest.raises(ProofRejected, match="format"):
            Reader(data).elements(1)
    with pytest.raises(ProofRejected, match="1 bytes follow"):
        Reader(b"x").finish()
