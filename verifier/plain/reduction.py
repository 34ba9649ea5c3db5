"""Section 5.2: the order of the transcript, from a statement to linear constraints on slots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from circuits.network import Architecture
from verifier.plain.field import ZERO, Columns, Element, base, columns, eq
from verifier.plain.forms import Exchange, Form
from verifier.plain.linear_layers import follow_linear
from verifier.plain.lookups import (
    AT_LOOKUPS,
    Fractions,
    check_leaves,
    follow_layers,
    well_formed_link,
)
from verifier.plain.proof_bytes import Reader
from verifier.plain.relation import Relation
from verifier.plain.transcript import Transcript, encode
from verifier.plain.zero_check import (
    AT_ZERO_CHECK,
    PADDING,
    REAL,
    Checked,
    ZeroChallenges,
    check_accuracy,
    check_well_formed,
    draw_challenges,
)


@dataclass(frozen=True)
class Reduced:
    """What the reduction leaves to be opened.

    Attributes
    ----------
    constraints : list of Form
        In the order of 5.7; each must vanish.
    samples : dict
        The vectors over samples that functionals refer to, by name.
    """

    constraints: list[Form]
    samples: dict[str, Columns]


@dataclass(frozen=True)
class _Start:
    """Step 3: the challenges drawn once everything is committed."""

    alpha: Element
    gamma: Element
    challenges: ZeroChallenges
    exchange: Exchange


def _start(relation: Relation, transcript: Transcript, reader: Reader) -> _Start:
    alpha, gamma = transcript.draw("lookups", 2)
    eps = transcript.draw_one("products")
    challenges = draw_challenges(transcript, relation)
    differences = reader.elements(relation.products)
    transcript.absorb("differences", encode(differences))
    masked = reader.elements(relation.sent)
    return _Start(alpha, gamma, challenges, Exchange(transcript, masked, differences, eps))


def reduce_accuracy(
    architecture: Architecture,
    relation: Relation,
    outputs: Mapping[str, Any],
    transcript: Transcript,
    reader: Reader,
) -> Reduced:
    """Follow steps 3 to 6 for a claim of accuracy."""
    start = _start(relation, transcript, reader)
    exchange = start.exchange
    checked = check_accuracy(exchange, relation, start.challenges, outputs)
    found = follow_layers(exchange, relation)
    leaves = check_leaves(relation, found, start.alpha, start.gamma)
    linear = follow_linear(exchange, architecture, relation, leaves, start.gamma)
    constraints = [
        *exchange.product_constraints(),
        *checked.constraints,
        *found.constraints,
        leaves.numerator,
        *linear,
    ]
    return Reduced(constraints, _sample_vectors(relation, checked, found))


def reduce_well_formed(relation: Relation, transcript: Transcript, reader: Reader) -> Reduced:
    """Follow steps 3 to 5 for a claim of well-formedness."""
    start = _start(relation, transcript, reader)
    exchange = start.exchange
    checked = check_well_formed(exchange, relation, start.challenges)
    found = follow_layers(exchange, relation)
    leaves = check_leaves(relation, found, start.alpha, start.gamma)
    constraints = [
        *exchange.product_constraints(),
        *checked.constraints,
        *found.constraints,
        leaves.numerator,
        well_formed_link(relation, leaves),
    ]
    return Reduced(constraints, _sample_vectors(relation, checked, found))


def _sample_vectors(relation: Relation, checked: Checked, found: Fractions) -> dict[str, Columns]:
    samples, size = relation.shape.samples, 1 << relation.shape.a
    at_zero_check = eq(checked.rho_n)
    return {
        AT_ZERO_CHECK: columns(at_zero_check),
        AT_LOOKUPS: columns(eq(found.rho)),
        REAL: columns(base(n < samples) for n in range(size)),
        PADDING: columns([ZERO] * samples + at_zero_check[samples:]),
    }
