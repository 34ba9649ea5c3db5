"""The lookups: a tree of fractions that sum to zero (docs/protocol.md, section 5.4).

LogUp (Haboeck 2022), with the sum of fractions proven by GKR (Papini and Haboeck 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

from circuits.sumcheck import tables
from circuits.sumcheck.affine import Affine
from circuits.sumcheck.channel import Channel
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ZERO, K, to_array
from circuits.sumcheck.functionals import of_features, placed
from circuits.sumcheck.multilinear import eq_table
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.rounds import Secrets, claims, run_factored
from circuits.sumcheck.running_claim import RunningClaim
from circuits.sumcheck.sums import k_total


@dataclass(frozen=True)
class LookupClaim:
    """What the lookups leave behind.

    Attributes
    ----------
    constraints : list of Affine
        Of every step, then constraint p.
    value : Affine
        V: the sum over the lookup slots of ``e[i] (v0_i~ + gamma v1_i~)(rho)``.
    rho : uint64 array [a, 2]
        The samples' point.
    samples : uint64 array [2^a, 2]
        eq(rho, .).
    e : uint64 array [n_S, 2]
        eq(r_S, .) of the slots.
    """

    constraints: list[Affine]
    value: Affine
    rho: U64Array
    samples: U64Array
    e: U64Array


def reduce_lookups(
    relation: Relation, alpha: K, gamma: K, channel: Channel, secrets: Secrets | None
) -> LookupClaim:
    """Reduce "all lookups are in their tables" to constraints and a claim on the leaves.

    Parameters
    ----------
    relation : Relation
    alpha, gamma : K
        The challenges of the leaves (section 5.1).
    channel : Channel
    secrets : Secrets, optional
        The prover's values.

    Returns
    -------
    LookupClaim
    """
    constraints, point, p, q = _tree(relation, alpha, gamma, channel, secrets)
    rho = to_array(point[: relation.a])
    samples = eq_table(rho)
    e = eq_table(to_array(point[relation.a :]))[: relation.slots]
    # What is public of the denominators: sum_i e_i (alpha - f_i) = q, and 1 in slots that are free.
    used = k_total(e)
    public = alpha * used + (1 - used)
    for segment in relation.table_slots:
        slots = e[segment.span]
        first, second = tables.evaluate(relation.table(segment), slots, samples)
        public -= first + gamma * second + gamma * gamma * segment.tag * k_total(slots)
    looked_up = ZERO
    for segment in relation.lookups:
        total = k_total(e[segment.span])
        looked_up += total
        public -= gamma * gamma * segment.tag * total
    counts = relation.proof.span("multiplicities")
    taken = placed(counts.stop, counts.start, e[relation.table_slots[0].start :])
    constraints.append(p + of_features("proof", "lookup", taken) - looked_up)
    return LookupClaim(constraints, -q + public, rho, samples, e)


def _tree(
    relation: Relation, alpha: K, gamma: K, channel: Channel, secrets: Secrets | None
) -> tuple[list[Affine], list[K], Affine, Affine]:
    """Go from the root to the leaves; return constraints, the last point, and its p and q."""
    lookups = secrets.lookups(alpha, gamma) if secrets else None
    point: list[K] = []
    p = q = Affine(ZERO)
    constraints: list[Affine] = []
    for j in range(relation.depth):
        weight = channel.challenge("combine") if j else None
        rounds = lookups.layer(j, point, weight) if lookups else None
        claim = RunningClaim(p if weight is None else p * weight + q)
        bound = run_factored(channel, claim, point, rounds)
        p0, p1, q0, q1 = claims(channel, rounds, 4)
        numerator = channel.product(p0, q1) + channel.product(p1, q0)
        if weight is None:
            # The root: its numerator is zero, and its denominator need not be shown.
            constraints.append(numerator)
        else:
            denominator = channel.product(q0, q1)
            constraints.append(numerator * weight + denominator - claim.value())
        mu = channel.challenge("round")
        point = [mu, *bound]
        p, q = p0 + (p1 - p0) * mu, q0 + (q1 - q0) * mu
    return constraints, point, p, q
