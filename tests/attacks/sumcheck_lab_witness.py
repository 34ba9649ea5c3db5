"""A witness of the sumcheck backend that may lie: the network, run on what is lied about.

The rest of the witness is honest for the lied-about value.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from circuits.layers import (
    INPUT,
    Add,
    Conv2d,
    Dense,
    Flatten,
    MaxPool,
    Requantise,
    SumPool,
    windows,
)
from circuits.network import Architecture, parameter_shapes
from circuits.sumcheck.pooling import taps
from circuits.sumcheck.relation import Relation
from tests.attacks.sumcheck_lab_leaves import (
    leaves_of,
    margins,
    multiplicities_of,
    nearest,
    real_taps,
)
from tests.attacks.sumcheck_lab_values import (
    Block,
    Lies,
    Witness,
    one_hot,
    signed,
    unchanged,
    zeros,
)


def make_witness(
    relation: Relation,
    shard: Block,
    model: Block | None,
    lies: Lies | None = None,
    *,
    pretend: bool = False,
) -> Witness:
    """Run the network, with lies, and look everything up.

    A lookup that is in no table is not counted in the multiplicities: there is nothing to count.
    With `pretend`, the nearest entry of the table is looked up instead.
    """
    lies = lies or {}
    witness = Witness(relation, shard, model)

    def put(role: str, layer: str, block: Block) -> Block:
        lies.get((role, layer), unchanged)(block)
        witness.blocks[role, layer] = block
        return block

    if relation.architecture is not None:
        _run(relation.architecture, witness, put)
        _predict(witness, put)
    witness.leaves = [leaves_of(witness, segment) for segment in relation.lookups]
    if pretend:
        both = zip(relation.lookups, witness.leaves, strict=True)
        witness.leaves = [nearest(relation, segment, v0) for segment, (v0, _) in both]
    put("multiplicities", "", multiplicities_of(witness))
    return witness


def _run(
    architecture: Architecture, witness: Witness, put: Callable[[str, str, Block], Block]
) -> None:
    size = 1 << witness.relation.a
    tensors = witness.tensors
    tensors[INPUT] = witness.shard[: witness.relation.shard.inputs]
    for layer in architecture.layers:
        x = tensors[layer.inputs[0]]
        if isinstance(layer, Dense | Conv2d):
            value = _linear(witness, layer, x)
        elif isinstance(layer, Requantise):
            value = _requantise(witness, layer, x, put)
        elif isinstance(layer, Flatten):
            value = x
        elif isinstance(layer, Add):
            terms = zip(layer.inputs, layer.shifts, strict=True)
            value = sum((tensors[name] * (1 << shift) for name, shift in terms), zeros(*x.shape))
        elif isinstance(layer, SumPool):
            value = zeros(math.prod(layer.shape), size)
            for window, inputs in enumerate(real_taps(layer)):
                value[window] = x[inputs].sum(axis=0)
        else:
            assert isinstance(layer, MaxPool)
            value = _max_pool(layer, x, put)
        tensors[layer.name] = value


def _parameter(witness: Witness, name: str) -> Block:
    relation = witness.relation
    assert relation.model is not None and witness.model is not None
    assert relation.architecture is not None
    shape = parameter_shapes(relation.architecture)[name]
    return witness.model[relation.model.span(name)].reshape(shape)


def _linear(witness: Witness, layer: Dense | Conv2d, x: Block) -> Block:
    weight = _parameter(witness, f"{layer.name}.weight")
    if isinstance(layer, Dense):
        found = weight.T.dot(x)
        positions = 1
    else:
        positions = math.prod(layer.positions)
        per_group = layer.out_channels // layer.groups
        kernels = weight.reshape(layer.out_channels, -1)
        found = zeros(layer.out_channels, positions, x.shape[1])
        padded = np.concatenate([x, zeros(1, x.shape[1])])  # index -1 reads a zero
        for group, places in enumerate(windows(layer)):
            for channel in range(group * per_group, (group + 1) * per_group):
                for position, inputs in enumerate(places):
                    found[channel, position] = kernels[channel].dot(padded[inputs])
        found = found.reshape(-1, x.shape[1])
    if layer.bias:
        found = found + np.repeat(_parameter(witness, f"{layer.name}.bias"), positions)[:, None]
    return found


def _requantise(
    witness: Witness, layer: Requantise, x: Block, put: Callable[[str, str, Block], Block]
) -> Block:
    x = np.array(signed(x), dtype=object).reshape(x.shape)  # fractions may add up to an integer
    shifted = (x + layer.half) // (1 << layer.shift)
    proof = witness.relation.proof
    if proof.span("quotient", layer.name).stop:
        shifted = put("quotient", layer.name, shifted)
    return put("output", layer.name, np.clip(shifted, layer.format.low, layer.format.high))


def _max_pool(layer: MaxPool, x: Block, put: Callable[[str, str, Block], Block]) -> Block:
    """Return the maxima as they follow from the increments, which are computed in order.

    An edit of the increments is applied to all of them at once, so later ones are made for the
    maxima before it.
    """
    increments = zeros(taps(layer).increments, x.shape[1])
    row = 0
    for inputs in real_taps(layer):
        best = x[inputs[0]]
        for i in inputs[1:]:
            increments[row] = np.maximum(best - x[i], 0)
            best = x[i] + increments[row]
            row += 1
    if len(increments):
        put("increments", layer.name, increments)
    maxima = zeros(math.prod(layer.shape), x.shape[1])
    row = 0
    for window, inputs in enumerate(real_taps(layer)):
        row += len(inputs) - 1
        maxima[window] = x[inputs[-1]] + (increments[row - 1] if len(inputs) > 1 else 0)
    return maxima


def _predict(witness: Witness, put: Callable[[str, str, Block], Block]) -> None:
    relation = witness.relation
    assert relation.architecture is not None and relation.limbs is not None
    logits = put("logits", "", witness.tensors[relation.architecture.output].copy())
    first = [column.index(max(column)) for column in logits.T.tolist()]
    predictions = put("predictions", "", one_hot(first, len(logits), logits.shape[1]))
    chosen = [[max(column)] for column in logits.T.tolist()]
    maximum = put("maximum", "", np.array(chosen, dtype=object).T)
    rest = margins(logits, predictions, maximum) % (1 << relation.limbs.bits)
    width = relation.limbs.width
    digits = [rest >> (width * i) for i in range(1, relation.limbs.count)]
    digits = [d % (1 << width) for d in digits[:-1]] + digits[-1:]
    if digits:
        put("limbs", "", np.concatenate(digits))
