"""The tree of fractions of docs/protocol.md 5.4, all nodes written out, proven or not quite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ONE, ZERO, K, from_array, to_array
from circuits.sumcheck.multilinear import eq_table, fold
from circuits.sumcheck.running_claim import lagrange
from circuits.sumcheck.sums import k_total
from circuits.sumcheck.vectors import k_add, k_multiply, k_scale

Claims: TypeAlias = Callable[[list[K]], list[K]]
"""Changes the claims at the end of a sumcheck."""


@dataclass
class Cheats:
    """What the prover does otherwise than an honest one.

    Attributes
    ----------
    zero_claims, linear_claims : callable, optional
        Replace the claims at the end of the zero check and of the linear layers.
    arrays : callable, optional
        Replaces arrays of the zero check, by name, before it starts.
    leaves : callable, optional
        Changes numerators and denominators of the leaves, [2^D, 2] each, in place.
    carry : str
        "p" or "q": satisfy the check of every step of the lookups by a false claim, so that in the
        end the numerator or the denominator of the leaves is false. Otherwise claims are true.
    carry_to : int
        With `carry`, the first step that is not helped any more; default: none.
    """

    zero_claims: Claims | None = None
    linear_claims: Claims | None = None
    arrays: Callable[[dict[str, U64Array]], None] | None = None
    leaves: Callable[[U64Array, U64Array], None] | None = None
    carry: str = ""
    carry_to: int = 1 << 30


def line(array: U64Array, x: int) -> U64Array:
    """Return the values of a multilinear array with variable 0 set to x."""
    return fold(array, K(x).to_array())


@dataclass
class FractionLayer:
    """One step of section 5.4, which knows the running claim and can make its check hold."""

    nodes: list[U64Array]
    point: list[K]
    combine: K | None
    claim: K
    carry: str
    _sent: list[K] = field(default_factory=list)
    final: list[K] = field(default_factory=list)

    def message(self) -> list[K]:
        weights = eq_table(to_array(self.point[1:]))
        self._sent = [
            k_total(k_multiply(weights, self._term(*[line(a, x) for a in self.nodes])))
            for x in (0, 2)
        ]
        return self._sent

    def bind(self, c: K) -> None:
        t0, t2 = self._sent
        r = self.point.pop(0)
        t1 = (self.claim - t0 * (1 - r)) / r
        self.claim = sum((w * t for w, t in zip(lagrange(2, c), (t0, t1, t2), strict=True)), ZERO)
        self.nodes = [fold(array, c.to_array()) for array in self.nodes]

    def claims(self) -> list[K]:
        p0, p1, q0, q1 = (from_array(array)[0] for array in self.nodes)
        if self.carry == "p":
            weight = self.combine or ONE
            rest = self.claim - q0 * q1 if self.combine is not None else ZERO
            p0 = (rest / weight - p1 * q0) / q1
        elif self.carry == "q" and self.combine is not None:
            q0 = (self.claim - self.combine * p0 * q1) / (self.combine * p1 + q1)
        elif self.carry == "q":
            q0 = -(p0 * q1) / p1
        self.final = [p0, p1, q0, q1]
        return self.final

    def _term(self, p0: U64Array, p1: U64Array, q0: U64Array, q1: U64Array) -> U64Array:
        assert self.combine is not None
        crossed = k_add(k_multiply(p0, q1), k_multiply(p1, q0))
        return k_add(k_scale(self.combine, crossed), k_multiply(q0, q1))


class FractionTree:
    """All nodes of the tree of fractions: implements ``Lookups``."""

    def __init__(self, p: U64Array, q: U64Array, cheats: Cheats) -> None:
        self._layers = [(p, q)]
        while len(p) > 1:
            p0, p1, q0, q1 = p[::2], p[1::2], q[::2], q[1::2]
            p, q = k_add(k_multiply(p0, q1), k_multiply(p1, q0)), k_multiply(q0, q1)
            self._layers.append((p, q))
        self._layers.reverse()
        self._cheats = cheats
        self._last: FractionLayer | None = None

    def layer(self, j: int, point: list[K], combine: K | None) -> FractionLayer:
        p, q = self._layers[j + 1]
        nodes = [np.ascontiguousarray(a) for a in (p[::2], p[1::2], q[::2], q[1::2])]
        claim = ZERO
        if combine is not None and self._last is not None:
            p0, p1, q0, q1 = self._last.final
            mu = point[0]
            claim = combine * (p0 + mu * (p1 - p0)) + q0 + mu * (q1 - q0)
        carry = self._cheats.carry if j < self._cheats.carry_to else ""
        self._last = FractionLayer(nodes, list(point), combine, claim, carry)
        return self._last
