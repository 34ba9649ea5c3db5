"""From a statement to linear constraints on the committed values (docs/protocol.md, 5.2).

The one implementation of steps 1 to 6, for the prover, who has the secret values and whose channel
masks them, and for the verifier, whose channel reads what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from circuits.errors import ProofRejected
from circuits.sumcheck.affine import Affine, VectorName
from circuits.sumcheck.channel import Channel
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.functionals import of_features
from circuits.sumcheck.public import AccuracyInput, WellFormedInput
from circuits.sumcheck.reduce_linear import reduce_linear
from circuits.sumcheck.reduce_lookups import reduce_lookups
from circuits.sumcheck.reduce_zero_check import reduce_accuracy, reduce_well_formed
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.rounds import Secrets, ZeroChallenges


@dataclass(frozen=True)
class Reduction:
    """Linear constraints, which hold for the committed values if the statement is true.

    Attributes
    ----------
    constraints : list of Affine
        Each must be zero; in the order of section 5.7.
    vectors : mapping of VectorName to uint64 [2^a, 2]
        The vectors over the samples that their functionals name.
    """

    constraints: list[Affine]
    vectors: Mapping[VectorName, U64Array]


def reduce(
    relation: Relation,
    public: AccuracyInput | WellFormedInput,
    channel: Channel,
    secrets: Secrets | None = None,
) -> Reduction:
    """Run steps 1 to 6 of section 5.2.

    Parameters
    ----------
    relation : Relation
        What is proven.
    public : AccuracyInput or WellFormedInput
        The statement; absorbed here, as is the channel's root.
    channel : Channel
        The proof's messages; fresh.
    secrets : Secrets, optional
        The prover's values; the verifier has none.

    Returns
    -------
    Reduction

    Raises
    ------
    ProofRejected
        If the statement is not one of this relation ("samples", "outputs", "statement"), or, with
        negligible probability, a challenge is zero where it must not be ("lookups").
    """
    _check(relation, public)
    transcript = channel.transcript
    transcript.absorb("public", public.encode())
    transcript.absorb("root", channel.root)
    alpha, gamma = transcript.draw("lookups", 2)
    epsilon = channel.challenge("products")
    challenges = _zero_challenges(relation, channel)
    channel.open_products(epsilon)
    if isinstance(public, AccuracyInput):
        zero, point = reduce_accuracy(relation, public, challenges, channel, secrets)
    else:
        zero, point = reduce_well_formed(relation, public.samples, challenges, channel, secrets)
    lookups = reduce_lookups(relation, alpha, gamma, channel, secrets)
    if relation.model is not None:
        last = reduce_linear(relation, lookups, gamma, channel, secrets)
    else:
        inputs = of_features("shard", "lookup", lookups.e[: relation.shard.inputs])
        last = [lookups.value - inputs]
    constraints = [*channel.constraints, *zero, *lookups.constraints, *last]
    return Reduction(constraints, _vectors(public.samples, lookups.samples, point.samples))


def _check(relation: Relation, public: AccuracyInput | WellFormedInput) -> None:
    """Refuse a statement that no proof of this relation can be for."""
    fits = relation.name == "accuracy"
    if isinstance(public, WellFormedInput):
        sizes = (relation.profile.kappa, relation.a)
        fits = relation.name == "well-formed" and (public.kappa, public.a) == sizes
    if not fits:
        raise ProofRejected("statement", f"it is not of this relation, {relation.name!r}")
    size = 1 << relation.a
    if type(public.samples) is not int or not 1 <= public.samples <= size:
        raise ProofRejected("samples", f"{public.samples!r} samples in a shard of {size}")
    if isinstance(public, AccuracyInput):
        public.outputs.check(relation.metrics, relation.shard.classes, public.samples)


def _zero_challenges(relation: Relation, channel: Channel) -> ZeroChallenges:
    transcript, metrics, classes = channel.transcript, relation.metrics, relation.shard.classes
    beta, *tau = transcript.draw("zero", 1 + relation.a + relation.zero_bits)
    if relation.model is None:
        return ZeroChallenges(beta, tau, [], [], [], [])
    omegas = classes if metrics.per_class else 1
    weights = classes * metrics.confusion
    drawn = iter(transcript.draw("outputs", omegas + metrics.groups + 2 * weights))
    omega, psi, theta, phi = (
        list(islice(drawn, count)) for count in (omegas, metrics.groups, weights, weights)
    )
    return ZeroChallenges(
        beta, tau, omega if metrics.per_class else omega * classes, psi, theta, phi
    )


def _vectors(samples: int, lookup: U64Array, zero: U64Array) -> dict[VectorName, U64Array]:
    real = np.zeros_like(zero)
    real[:samples, 0] = 1
    padding = zero.copy()
    padding[:samples] = 0
    return {"lookup": lookup, "zero": zero, "samples": real, "padding": padding}
