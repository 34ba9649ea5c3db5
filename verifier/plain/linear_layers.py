"""Section 5.6: the claims about lookups and logits, through all linear layers at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from circuits.network import Architecture, MaxPool, Requantise, bounds
from verifier.plain.field import ZERO, Element, add, eq, scale, sub, times, total
from verifier.plain.forms import Exchange, Form, Functional, committed, constant
from verifier.plain.lookups import AT_LOOKUPS, Leaves
from verifier.plain.network import (
    Weighting,
    add_features,
    add_to,
    bias_sums,
    increments,
    linear_layers,
    parameter_slots,
    trace_back,
    weight_sums,
)
from verifier.plain.relation import Relation
from verifier.plain.sumcheck import sumcheck
from verifier.plain.tables import Kind, Limbs, Lookups


@dataclass
class Weighed:
    """A weighted sum of a constant, tensors and committed features, all at rho.

    Attributes
    ----------
    architecture : Architecture
        Whose tensors they are.
    features : dict
        First feature of the proof matrix by name.
    constant : Element
        k0.
    tensors : Weighting
        Coefficients of tensors.
    proof, model : dict
        Coefficients of features of these matrices.
    """

    architecture: Architecture
    features: dict[str, int]
    constant: Element = ZERO
    tensors: Weighting = field(default_factory=dict)
    proof: dict[int, Element] = field(default_factory=dict)
    model: dict[int, Element] = field(default_factory=dict)

    def tensor(self, name: str) -> list[Element]:
        """Return the coefficients of a tensor, to be changed in place."""
        return add_to(self.tensors, self.architecture, name)

    def add_tensor(self, name: str, weights: Sequence[Element]) -> None:
        """Add a tensor, element by element weighted."""
        into = self.tensor(name)
        into[:] = map(add, into, weights)

    def add_committed(self, name: str, weights: Sequence[Element], skip: int = 0) -> None:
        """Add features of the proof matrix, from `skip` features after the first of that name."""
        add_features(self.proof, self.features[name] + skip, weights)


def follow_linear(
    exchange: Exchange,
    architecture: Architecture,
    relation: Relation,
    leaves: Leaves,
    gamma: Element,
) -> list[Form]:
    """Follow the linear layers; return the constraints z* m* = T, z* and m*."""
    # Drawn only now: a prover that knew delta in 5.4 could shift all denominators by what it owes.
    delta = exchange.transcript.draw("logits", relation.shape.classes)
    weighed = weigh_lookups(architecture, relation, leaves.weights, gamma)
    weighed.add_tensor(architecture.output, delta)
    weighed.add_committed("logits", _negated(delta))
    shard, e = trace_back(architecture, weighed.tensors, weighed.features, weighed.proof)

    slots = parameter_slots(architecture)
    biases: dict[int, Element] = {}
    for layer in linear_layers(architecture):
        if layer.bias:
            first = relation.first_bias + slots.first_bias[layer.name]
            biases.update(enumerate(bias_sums(layer, e[layer.name]), first))
    traced = Functional(AT_LOOKUPS, shard, weighed.model, weighed.proof, biases)
    claim = leaves.value - constant(weighed.constant) - committed(traced)
    point, claim = sumcheck(exchange, claim, degree=2, rounds=relation.linear_variables)
    z, m = exchange.send("claims", 2)
    constraints = [exchange.product(z, m) - claim]

    at_point = eq(point)
    read = Weighed(architecture, relation.features)
    weights: dict[int, Element] = {}
    for layer in linear_layers(architecture):
        name = layer.inputs[0]
        first = slots.first_input[layer.name]
        inputs = at_point[first : first + math.prod(architecture.shape_of(name))]
        read.add_tensor(name, inputs)
        gathered = weight_sums(layer, inputs, e[layer.name])
        weights.update(enumerate(gathered, slots.first_weight[layer.name]))
    shard, _ = trace_back(architecture, read.tensors, read.features, read.proof)
    constraints.append(z.value - committed(Functional(AT_LOOKUPS, shard, proof=read.proof)))
    constraints.append(m.value - committed(Functional(AT_LOOKUPS, single=weights)))
    return constraints


def weigh_lookups(
    architecture: Architecture, relation: Relation, e: list[Element], gamma: Element
) -> Weighed:
    """Return the sum over lookup slots of e_i (v0 + gamma v1)."""
    weighed = Weighed(architecture, relation.features)
    first = 0
    for item in relation.lookups:
        _WEIGH[item.kind](weighed, item, e[first : first + item.slots], gamma)
        first += item.slots
    return weighed


def _requantise(weighed: Weighed, item: Lookups) -> Requantise:
    layer = weighed.architecture.layer(str(item.source))
    assert isinstance(layer, Requantise)
    return layer


def _direct(weighed: Weighed, item: Lookups, e: list[Element], gamma: Element) -> None:
    """Weigh (v, z)."""
    weighed.add_tensor(_requantise(weighed, item).inputs[0], e)
    weighed.add_committed(f"{item.source}.z", [times(gamma, weight) for weight in e])


def _quotient(weighed: Weighed, item: Lookups, e: list[Element], gamma: Element) -> None:
    """Weigh (Q, z)."""
    weighed.add_committed(f"{item.source}.q", e)
    weighed.add_committed(f"{item.source}.z", [times(gamma, weight) for weight in e])


def _remainder(weighed: Weighed, item: Lookups, e: list[Element], _: Element) -> None:
    """Weigh (v + half - 2^s Q, 0)."""
    layer = _requantise(weighed, item)
    weighed.add_tensor(layer.inputs[0], e)
    weighed.constant = add(weighed.constant, scale(total(e), layer.half))
    weighed.add_committed(f"{item.source}.q", [scale(x, -(1 << layer.shift)) for x in e])


def _increment(weighed: Weighed, item: Lookups, e: list[Element], gamma: Element) -> None:
    """Weigh (d_i, u_i), d_i = m_{i-1} - x_i, where m_{i-1} = x_{i-1} + u_{i-1} but m_0 = x_0."""
    layer = weighed.architecture.layer(str(item.source))
    assert isinstance(layer, MaxPool)
    into = weighed.tensor(layer.inputs[0])
    u = [times(gamma, weight) for weight in e]
    for _, taps, first in increments(layer):
        for i in range(1, len(taps)):
            weight = e[first + i - 1]
            into[taps[i - 1]] = add(into[taps[i - 1]], weight)
            into[taps[i]] = sub(into[taps[i]], weight)
            if i > 1:
                u[first + i - 2] = add(u[first + i - 2], weight)
    weighed.add_committed(f"{item.source}.u", u)


def _limb(weighed: Weighed, item: Lookups, e: list[Element], _: Element) -> None:
    """Weigh a committed limb; or limb 0, which is E_c less what the others stand for."""
    classes, limb = len(e), int(item.source)
    if limb > 0:
        weighed.add_committed("limbs", e, (limb - 1) * classes)
        return
    weighed.add_committed("largest", [total(e)])
    weighed.add_committed("logits", _negated(e))
    weighed.add_committed("predictions", [_negated([total(e[:c])])[0] for c in range(classes)])
    architecture = weighed.architecture
    limbs = Limbs.of(bounds(architecture)[architecture.output])
    for i in range(1, limbs.count):
        worth = [scale(weight, -(1 << (limbs.width * i))) for weight in e]
        weighed.add_committed("limbs", worth, (i - 1) * classes)


def _weight(weighed: Weighed, _: Lookups, e: list[Element], __: Element) -> None:
    """Weigh runs of 2^a weights."""
    add_features(weighed.model, 0, e)


_WEIGH: dict[Kind, Callable[[Weighed, Lookups, list[Element], Element], None]] = {
    Kind.DIRECT: _direct,
    Kind.QUOTIENT: _quotient,
    Kind.REMAINDER: _remainder,
    Kind.INCREMENT: _increment,
    Kind.LIMB: _limb,
    Kind.WEIGHT: _weight,
}


def _negated(values: Sequence[Element]) -> list[Element]:
    return [sub(ZERO, value) for value in values]
