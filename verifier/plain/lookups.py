"""Section 5.4: all lookups at once, as a sum of fractions proven layer by layer (GKR)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from circuits.errors import ProofRejected
from verifier.plain.field import (
    ONE,
    ZERO,
    Element,
    add,
    columns,
    dot,
    eq,
    inverse,
    lagrange,
    scale,
    sub,
    times,
    total,
)
from verifier.plain.forms import Exchange, Form, Functional, combination, committed, constant
from verifier.plain.relation import Relation
from verifier.plain.tables import Kind, Table

AT_LOOKUPS = "eq(rho, n)"


@dataclass(frozen=True)
class Fractions:
    """What the layers leave to be checked of the leaves.

    Attributes
    ----------
    rho, r_s : list of Element
        The last point: its sample variables and its slot variables.
    p, q : Form
        Claims of numerator and denominator there.
    constraints : list of Form
        One for each step.
    """

    rho: list[Element]
    r_s: list[Element]
    p: Form
    q: Form
    constraints: list[Form]


def follow_layers(exchange: Exchange, relation: Relation) -> Fractions:
    """Follow the GKR from the root, which must be 0, to the leaves."""
    p0, p1, q0, q1 = exchange.send("claims", 4)
    constraints = [exchange.product(p0, q1) + exchange.product(p1, q0)]
    mu = exchange.transcript.draw_one("round")
    point = [mu]
    for _ in range(1, relation.depth):
        p, q = _between(p0.value, p1.value, mu), _between(q0.value, q1.value, mu)
        lam = exchange.transcript.draw_one("combine")
        challenges, claim = _rounds(exchange, point, p.times(lam) + q)
        p0, p1, q0, q1 = exchange.send("claims", 4)
        crossed = exchange.product(p0, q1) + exchange.product(p1, q0)
        constraints.append(crossed.times(lam) + exchange.product(q0, q1) - claim)
        mu = exchange.transcript.draw_one("round")
        point = [mu, *challenges]
    p, q = _between(p0.value, p1.value, mu), _between(q0.value, q1.value, mu)
    a = relation.shape.a
    return Fractions(point[:a], point[a:], p, q, constraints)


def _between(at_0: Form, at_1: Form, mu: Element) -> Form:
    return combination([sub(ONE, mu), mu], [at_0, at_1])


def _rounds(exchange: Exchange, point: list[Element], claim: Form) -> tuple[list[Element], Form]:
    """Follow the sumcheck of one layer, in which the prover leaves out the factor eq(r_i, X)."""
    challenges: list[Element] = []
    for r in point:
        t0, t2 = (sent.value for sent in exchange.send("round", 2))
        if r == ZERO:  # then t(1) would be free
            raise ProofRejected("degenerate challenge", "a coordinate of a point is zero")
        t1 = (claim - t0.times(sub(ONE, r))).times(inverse(r))
        c = exchange.transcript.draw_one("round")
        claim = combination(lagrange(3, c), [t0, t1, t2])
        challenges.append(c)
    return challenges, claim


@dataclass(frozen=True)
class Leaves:
    """What the leaves must be at the last point.

    Attributes
    ----------
    numerator : Form
        Constraint p.
    value : Form
        V.
    weights : list of Element
        e_i of the lookup slots.
    """

    numerator: Form
    value: Form
    weights: list[Element]


def check_leaves(relation: Relation, found: Fractions, alpha: Element, gamma: Element) -> Leaves:
    """Return constraint p and V."""
    e = eq(found.r_s)
    lookups = e[: relation.lookup_slots]
    tables = e[relation.lookup_slots : relation.slots]
    multiplicities = dict(enumerate(tables, relation.features["multiplicities"]))
    numerator = (
        found.p + committed(Functional(AT_LOOKUPS, proof=multiplicities)) - constant(total(lookups))
    )
    gamma_2 = times(gamma, gamma)
    s1 = total(e[: relation.slots])
    known = add(times(alpha, s1), sub(ONE, s1))
    known = sub(known, times(gamma_2, _tags(relation, lookups)))
    known = sub(known, _table_value(relation, found.rho, tables, gamma))
    return Leaves(numerator, constant(known) - found.q, lookups)


def _tags(relation: Relation, weights: list[Element]) -> Element:
    remaining = iter(weights)
    return total(
        scale(next(remaining), relation.tags[item.table])
        for item in relation.lookups
        for _ in range(item.slots)
    )


def _table_value(
    relation: Relation, rho: list[Element], weights: list[Element], gamma: Element
) -> Element:
    """Return the sum over table slots of e_i sum_n eq(rho, n) (t0 + gamma t1 + gamma^2 tag)."""
    samples = columns(eq(rho))
    remaining = iter(weights)
    terms = []
    for table in relation.tables:
        tag = scale(times(gamma, gamma), relation.tags[table])
        for values, images in _slots_of(table, 1 << relation.shape.a):
            first, second = dot(samples, values), dot(samples, images)
            slot = add(add(first, times(gamma, second)), tag)
            terms.append(times(next(remaining), slot))
    return total(terms)


def _slots_of(table: Table, size: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the entries of each slot; the last slot is filled with copies of the last entry."""
    for first in range(table.lo, table.hi + 1, size):
        values = [min(value, table.hi) for value in range(first, first + size)]
        yield values, list(map(table.image, values))


def well_formed_link(relation: Relation, leaves: Leaves) -> Form:
    """Return the last constraint of well-formedness, V = sum e_i X_i~(rho)."""
    assert all(item.kind is Kind.INPUT for item in relation.lookups)
    inputs = dict(enumerate(leaves.weights))
    return leaves.value - committed(Functional(AT_LOOKUPS, shard=inputs))
