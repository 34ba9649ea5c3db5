"""The zero check: predictions, labels and counts (docs/protocol.md, section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from circuits.sumcheck.affine import Affine
from circuits.sumcheck.channel import Channel
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ONE, ZERO, K, from_array, to_array
from circuits.sumcheck.functionals import on_features
from circuits.sumcheck.multilinear import eq_table
from circuits.sumcheck.public import AccuracyInput, Outputs
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.rounds import Rounds, Secrets, ZeroChallenges, claims, run
from circuits.sumcheck.running_claim import RunningClaim
from circuits.sumcheck.sums import combine, k_total
from circuits.sumcheck.vectors import powers


@dataclass(frozen=True)
class ZeroPoint:
    """The point (rho_n, rho_c) at which the zero check ends, and what is public there.

    Attributes
    ----------
    samples : uint64 array [2^a, 2]
        eq(rho_n, .).
    columns : list of K
        eq(rho_c, c) for every column c there is.
    equal : K
        eq(tau, .).
    real : K
        sel~(rho_n).
    first : K
        [c = 0]~(rho_c).
    """

    samples: U64Array
    columns: list[K]
    equal: K
    real: K
    first: K


def _run(
    relation: Relation,
    samples: int,
    tau: Sequence[K],
    claim: RunningClaim,
    channel: Channel,
    rounds: Rounds | None,
) -> ZeroPoint:
    point = run(channel, claim, len(tau), 3, rounds)
    equal = ONE
    for t, r in zip(tau, point, strict=True):
        equal *= t * r + (1 - t) * (1 - r)
    table = eq_table(to_array(point[: relation.a]))
    columns = from_array(eq_table(to_array(point[relation.a :])))
    count = relation.shard.classes + (0 if relation.model else relation.shard.groups)
    return ZeroPoint(table, columns[:count], equal, k_total(table[:samples]), columns[0])


def _claimed(outputs: Outputs, challenges: ZeroChallenges) -> K:
    """Return the sum that the counts claim."""
    total = challenges.omega[0] * outputs.correct
    if outputs.per_class:
        shares = zip(challenges.omega, outputs.per_class, strict=True)
        total = sum((w * correct for w, (correct, _) in shares), ZERO)
    for w, (correct, _) in zip(challenges.psi, outputs.groups, strict=True):
        total += w * correct
    for by_true, row in zip(challenges.theta, outputs.confusion, strict=True):
        total += by_true * sum((w * n for w, n in zip(challenges.phi, row, strict=True)), ZERO)
    return total


def reduce_accuracy(
    relation: Relation,
    public: AccuracyInput,
    challenges: ZeroChallenges,
    channel: Channel,
    secrets: Secrets | None,
) -> tuple[list[Affine], ZeroPoint]:
    """Reduce "P is one-hot and a maximum, and the counts are right" to constraints.

    Parameters
    ----------
    relation : Relation
    public : AccuracyInput
        Has the number of real samples, and the claimed counts.
    challenges : ZeroChallenges
    channel : Channel
    secrets : Secrets, optional
        The prover's values.

    Returns
    -------
    list of Affine
        The constraints, in the order of section 5.3.
    ZeroPoint
        Where the zero check ended.
    """
    outputs = public.outputs
    metrics, labels, groups = relation.metrics, relation.shard.label_span, relation.shard.group_span
    logits, predictions = relation.proof.span("logits"), relation.proof.span("predictions")
    claim = RunningClaim(Affine(_claimed(outputs, challenges)))
    rounds = secrets.zero_check(challenges) if secrets else None
    point = _run(relation, public.samples, challenges.tau, claim, channel, rounds)
    count = 3 + 2 * bool(metrics.groups) + 2 * metrics.confusion
    p, d, y, *others = claims(channel, rounds, count)
    p_p, p_d, p_y = (channel.product(p, factor) for factor in (p, d, y))
    omega = sum((e * w for e, w in zip(point.columns, challenges.omega, strict=True)), ZERO)
    form = [
        (point.equal, p_p - p),
        (point.equal * challenges.beta, p_d),
        (point.real * omega, p_y),
    ]
    margin = on_features("proof", "zero", logits, (-e for e in point.columns))
    margin += on_features(
        "proof", "zero", relation.proof.span("maximum"), [sum(point.columns, ZERO)]
    )
    constraints = [
        p - on_features("proof", "zero", predictions, point.columns),
        d - margin,
        y - on_features("shard", "zero", labels, point.columns),
    ]
    if metrics.groups:
        w, gamma, *others = others
        form.append((ONE, channel.product(w, gamma)))
        constraints += [w - p_y, gamma - on_features("shard", "zero", groups, challenges.psi)]
    if metrics.confusion:
        true, predicted = others
        form.append((point.first * point.real, channel.product(true, predicted)))
        constraints += [
            true - on_features("shard", "zero", labels, challenges.theta),
            predicted - on_features("proof", "zero", predictions, challenges.phi),
        ]
    one_hot = on_features("proof", "zero", predictions, [ONE] * relation.shard.classes)
    constraints.append(one_hot - ONE)
    for span, table in ((labels, outputs.per_class), (groups, outputs.groups)):
        for feature, (_, total) in enumerate(table, span.start):
            counted = on_features("shard", "samples", slice(feature, feature + 1), [ONE])
            constraints.append(counted - K(total))
    return [combine(form) - claim.value(), *constraints], point


def reduce_well_formed(
    relation: Relation,
    samples: int,
    challenges: ZeroChallenges,
    channel: Channel,
    secrets: Secrets | None,
) -> tuple[list[Affine], ZeroPoint]:
    """Reduce "labels and groups are one-hot for real samples, all else is zero" to constraints.

    Parameters and results are those of `reduce_accuracy`, with the number of real samples.
    """
    labels, groups = relation.shard.label_span, relation.shard.group_span
    claim = RunningClaim(Affine(ZERO))
    rounds = secrets.zero_check(challenges) if secrets else None
    point = _run(relation, samples, challenges.tau, claim, channel, rounds)
    (b,) = claims(channel, rounds, 1)
    form = (channel.product(b, b) - b) * point.equal
    columns = slice(labels.start, groups.stop)
    constraints = [
        form - claim.value(),
        b - on_features("shard", "zero", columns, point.columns),
        on_features("shard", "zero", labels, [ONE] * relation.shard.classes) - point.real,
    ]
    if relation.shard.groups:
        one_hot = on_features("shard", "zero", groups, [ONE] * relation.shard.groups)
        constraints.append(one_hot - point.real)
    if samples < 1 << relation.a:
        inputs = slice(0, relation.shard.inputs)
        eta = powers(challenges.beta, relation.shard.inputs)
        constraints.append(on_features("shard", "padding", inputs, eta))
    return constraints, point
