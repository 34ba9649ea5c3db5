"""The linear layers, and the claims of the lookups traced back to them (docs/protocol.md, 5.6)."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from circuits.layers import MaxPool, Requantise
from circuits.network import Architecture
from circuits.sumcheck.affine import Affine
from circuits.sumcheck.channel import Channel
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ZERO, K, from_array, to_array
from circuits.sumcheck.functionals import of_features, of_slots
from circuits.sumcheck.layout import ModelLayout
from circuits.sumcheck.multilinear import eq_table
from circuits.sumcheck.provable import Limbs
from circuits.sumcheck.reduce_lookups import LookupClaim
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.rounds import Secrets, claims, run
from circuits.sumcheck.running_claim import RunningClaim
from circuits.sumcheck.slots import Segment
from circuits.sumcheck.sums import k_total
from circuits.sumcheck.vectors import k_scale
from circuits.sumcheck.wiring import Coefficients, add_to, bias_coefficients, weight_coefficients


def reduce_linear(
    relation: Relation, lookups: LookupClaim, gamma: K, channel: Channel, secrets: Secrets | None
) -> list[Affine]:
    """Reduce the claim of the lookups, and "A is the output", to constraints.

    Parameters
    ----------
    relation : Relation
        Of "accuracy".
    lookups : LookupClaim
        What `reduce_lookups` left behind.
    gamma : K
        The challenge that combines the two values of a lookup.
    channel : Channel
    secrets : Secrets, optional
        The prover's values.

    Returns
    -------
    list of Affine
        z* m* = T, z*, m*.
    """
    network, model, limbs = relation.architecture, relation.model, relation.limbs
    if network is None or model is None or limbs is None:
        raise ValueError("this relation has no network")
    # Drawn only now: a prover that knew delta before q and rho are fixed could shift all
    # denominators by what it owes for logits that are not the network's.
    delta = channel.transcript.draw_array("logits", relation.shard.classes)
    traced = Coefficients(relation)
    add_to(traced.tensor(network.output), delta)
    add_to(traced.features[relation.proof.span("logits")], k_scale(K.of(-1), delta))
    claimed = lookups.value
    for segment in relation.lookups:
        e = lookups.e[segment.span]
        if segment.kind == "weight":
            claimed -= of_features("model", "lookup", e)
        elif segment.kind == "limb":
            _add_limb(relation, limbs, segment, e, traced)
        else:
            claimed -= _add_layer(relation, network, segment, e, gamma, traced)
    claimed -= of_features("shard", "lookup", traced.trace_back())
    claimed -= of_features("proof", "lookup", traced.features)
    e_layers = traced.accumulators
    claimed -= of_slots("model", _biases(relation, model, e_layers))

    claim = RunningClaim(claimed)
    rounds = secrets.linear(lookups.rho, e_layers) if secrets else None
    point = run(channel, claim, relation.input_bits, 2, rounds)
    z, m = claims(channel, rounds, 2)
    product = channel.product(z, m)
    inputs = eq_table(to_array(point))
    backwards = Coefficients(relation)
    weights = np.empty((model.weights, 2), np.uint64)
    for item in relation.linear:
        layer, part = item.layer, inputs[item.span]
        add_to(backwards.tensor(layer.inputs[0]), part)
        used = weight_coefficients(layer, part, e_layers[layer.name])
        weights[model.span(f"{layer.name}.weight")] = used
    read = of_features("shard", "lookup", backwards.trace_back())
    read += of_features("proof", "lookup", backwards.features)
    return [product - claim.value(), z - read, m - of_slots("model", weights)]


def _add_layer(
    relation: Relation,
    network: Architecture,
    segment: Segment,
    e: U64Array,
    gamma: K,
    traced: Coefficients,
) -> K:
    """Add ``sum_i e_i (v0_i + gamma v1_i)`` of a layer's lookups; return its constant part."""
    layer = network.layer(segment.layer)
    source, name = traced.tensor(layer.inputs[0]), layer.name
    features, proof = traced.features, relation.proof
    if isinstance(layer, MaxPool):
        traced.add_differences(layer, e)
        add_to(features[proof.span("increments", name)], k_scale(gamma, e))
        return ZERO
    assert isinstance(layer, Requantise)
    if segment.kind == "remainder":
        add_to(source, e)
        by = K.of(-(1 << layer.shift))
        add_to(features[proof.span("quotient", name)], k_scale(by, e))
        return k_total(e) * layer.half
    add_to(source if segment.kind == "direct" else features[proof.span("quotient", name)], e)
    add_to(features[proof.span("output", name)], k_scale(gamma, e))
    return ZERO


def _add_limb(
    relation: Relation, limbs: Limbs, segment: Segment, e: U64Array, traced: Coefficients
) -> None:
    """Add ``sum_c e_c limb_c``; limb 0 is E_c without the committed limbs (section 4.4)."""
    features, proof, classes = traced.features, relation.proof, relation.shard.classes
    committed = features[proof.span("limbs")].reshape(-1, classes, 2)
    if segment.limb:
        add_to(committed[segment.limb - 1], e)
        return
    for i in range(1, limbs.count):
        add_to(committed[i - 1], k_scale(K.of(-(1 << limbs.width * i)), e))
    minus = k_scale(K.of(-1), e)
    add_to(features[proof.span("maximum")], to_array([k_total(e)]))
    add_to(features[proof.span("logits")], minus)
    # E_c has - P_c' for every class c' > c.
    before = list(accumulate(from_array(minus), initial=ZERO))[:-1]
    add_to(features[proof.span("predictions")], to_array(before))


def _biases(relation: Relation, model: ModelLayout, e_layers: dict[str, U64Array]) -> U64Array:
    """Return the coefficients of the model's slots in ``sum_l sum_o e b``."""
    found = np.zeros((model.rows << model.kappa, 2), np.uint64)
    for item in relation.linear:
        if item.layer.bias:
            span = model.span(f"{item.layer.name}.bias")
            found[span] = bias_coefficients(item.layer, e_layers[item.layer.name])
    return found
