"""Section 5.3: predictions, counts and one-hot rows, by one sumcheck over samples and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verifier.plain.field import ONE, ZERO, Element, base, eq, eq_at, scale, sub, times, total
from verifier.plain.forms import Exchange, Form, Functional, committed, constant
from verifier.plain.relation import Relation
from verifier.plain.sumcheck import sumcheck
from verifier.plain.transcript import Transcript

AT_ZERO_CHECK = "eq(rho_n, n)"
REAL = "sel(n)"
PADDING = "eq(rho_n, n) [n >= samples]"


@dataclass(frozen=True)
class ZeroChallenges:
    """What is drawn for the zero check before it starts (5.2, step 3).

    Attributes
    ----------
    first : Element
        beta; for well-formedness eta.
    tau : list of Element
        The point of the zero check.
    omega, theta, phi : list of Element
        By class; the last two are empty without the confusion matrix.
    psi : list of Element
        By group; empty without groups.
    """

    first: Element
    tau: list[Element]
    omega: list[Element]
    psi: list[Element]
    theta: list[Element]
    phi: list[Element]


def draw_challenges(transcript: Transcript, relation: Relation) -> ZeroChallenges:
    """Draw the challenges, in the order of 5.2."""
    first, *tau = transcript.draw("zero", 1 + relation.zero_variables)
    if not relation.is_accuracy:
        return ZeroChallenges(first, tau, [], [], [], [])
    metrics, classes = relation.metrics, relation.shape.classes
    counts = (
        classes if metrics.per_class else 1,
        relation.shape.groups if metrics.groups else 0,
        classes if metrics.confusion else 0,
        classes if metrics.confusion else 0,
    )
    drawn = iter(transcript.draw("outputs", sum(counts)))
    omega, psi, theta, phi = ([next(drawn) for _ in range(count)] for count in counts)
    if not metrics.per_class:
        omega *= classes
    return ZeroChallenges(first, tau, omega, psi, theta, phi)


@dataclass(frozen=True)
class Checked:
    """The point rho_n of the zero check, and the constraints it leaves."""

    rho_n: list[Element]
    constraints: list[Form]


def check_accuracy(
    exchange: Exchange,
    relation: Relation,
    challenges: ZeroChallenges,
    outputs: Mapping[str, Any],
) -> Checked:
    """Follow the zero check of a proof of accuracy with the counts that it claims."""
    shape, metrics = relation.shape, relation.metrics
    claim = constant(claimed_sum(challenges, outputs))
    point, claim = sumcheck(exchange, claim, degree=3, rounds=relation.zero_variables)
    rho_n, high = point[: shape.a], eq(point[shape.a :])[: shape.classes]
    sel = total(eq(rho_n)[: shape.samples])

    sent = exchange.send("claims", 3 + 2 * metrics.groups + 2 * metrics.confusion)
    p, d, y = sent[:3]
    p_p, p_d, p_y = (exchange.product(p, factor) for factor in (p, d, y))
    one_hot = p_p - p.value + p_d.times(challenges.first)
    at_point = one_hot.times(eq_at(challenges.tau, point))
    omega = total(map(times, high, challenges.omega))
    at_point += p_y.times(times(sel, omega))

    first_y, first_g = shape.features, shape.features + shape.classes
    first_p, first_a = relation.features["predictions"], relation.features["logits"]
    margins = dict(enumerate((sub(ZERO, weight) for weight in high), first_a))
    margins[relation.features["largest"]] = total(high)
    opened = [
        p.value - _proof(dict(enumerate(high, first_p))),
        d.value - _proof(margins),
        y.value - _shard(dict(enumerate(high, first_y))),
    ]
    if metrics.groups:
        w, gamma = sent[3:5]
        at_point += exchange.product(w, gamma)
        opened.append(w.value - p_y)
        opened.append(gamma.value - _shard(dict(enumerate(challenges.psi, first_g))))
    if metrics.confusion:
        y_theta, p_phi = sent[-2:]
        at_point += exchange.product(y_theta, p_phi).times(times(high[0], sel))
        opened.append(y_theta.value - _shard(dict(enumerate(challenges.theta, first_y))))
        opened.append(p_phi.value - _proof(dict(enumerate(challenges.phi, first_p))))
    ones = _proof(dict.fromkeys(range(first_p, first_p + shape.classes), ONE))
    constraints = [at_point - claim, *opened, ones - constant(ONE)]
    if metrics.per_class:
        constraints += _totals(first_y, outputs["per_class"])
    if metrics.groups:
        constraints += _totals(first_g, outputs["groups"])
    return Checked(rho_n, constraints)


def check_well_formed(
    exchange: Exchange, relation: Relation, challenges: ZeroChallenges
) -> Checked:
    """Follow the zero check of a proof of well-formedness: Y and G hold bits, one 1 in a row."""
    shape = relation.shape
    point, claim = sumcheck(exchange, Form(), degree=3, rounds=relation.zero_variables)
    rho_n, bits = point[: shape.a], shape.classes + shape.groups
    samples = eq(rho_n)
    sel = constant(total(samples[: shape.samples]))

    (b,) = exchange.send("claims", 1)
    at_point = (exchange.product(b, b) - b.value).times(eq_at(challenges.tau, point))
    high = eq(point[shape.a :])[:bits]
    first_y, first_g = shape.features, shape.features + shape.classes
    constraints = [
        at_point - claim,
        b.value - _shard(dict(enumerate(high, first_y))),
        _shard(dict.fromkeys(range(first_y, first_g), ONE)) - sel,
    ]
    if shape.groups:
        groups = range(first_g, first_g + shape.groups)
        constraints.append(_shard(dict.fromkeys(groups, ONE)) - sel)
    if shape.samples < 1 << shape.a:
        eta, power, weights = challenges.first, ONE, {}
        for feature in range(shape.features):
            power = times(power, eta)
            weights[feature] = power
        constraints.append(committed(Functional(PADDING, shard=weights)))
    return Checked(rho_n, constraints)


def claimed_sum(challenges: ZeroChallenges, outputs: Mapping[str, Any]) -> Element:
    """Return what F must sum to for the claimed counts."""
    if "per_class" in outputs:
        by_class = [correct for correct, _ in outputs["per_class"]]
        terms = [*map(scale, challenges.omega, by_class)]
    else:
        terms = [scale(challenges.omega[0], outputs["correct"])]
    by_group = [correct for correct, _ in outputs.get("groups", [])]
    terms += map(scale, challenges.psi, by_group)
    for theta, row in zip(challenges.theta, outputs.get("confusion", []), strict=True):
        terms.append(times(theta, total(map(scale, challenges.phi, row))))
    return total(terms)


def _totals(first: int, counts: Sequence[Sequence[int]]) -> list[Form]:
    return [
        committed(Functional(REAL, shard={feature: ONE})) - constant(base(count))
        for feature, (_, count) in enumerate(counts, first)
    ]


def _shard(weights: Mapping[int, Element]) -> Form:
    return committed(Functional(AT_ZERO_CHECK, shard=weights))


def _proof(weights: Mapping[int, Element]) -> Form:
    return committed(Functional(AT_ZERO_CHECK, proof=weights))
