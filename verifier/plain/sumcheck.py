"""The sumcheck round of section 5.2, on values known up to their pads."""

from __future__ import annotations

from verifier.plain.field import Element, lagrange
from verifier.plain.forms import Exchange, Form, combination


def sumcheck(
    exchange: Exchange, claim: Form, *, degree: int, rounds: int
) -> tuple[list[Element], Form]:
    """Follow a sumcheck; return its point and what the polynomial must be there."""
    point: list[Element] = []
    for _ in range(rounds):
        at_0, *others = (sent.value for sent in exchange.send("round", degree))
        c = exchange.transcript.draw_one("round")
        claim = combination(lagrange(degree + 1, c), [at_0, claim - at_0, *others])
        point.append(c)
    return point, claim
