"""A witness of the sumcheck backend that may lie, and what an honest prover would make of the lie.

Everything is in plain Python integers, arrays of objects: values are small, and a lie may be any
field element. A lie is an edit of one committed block, made when that block has been computed and
before anything that follows from it: so the rest of the witness is honest for the lied-about value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from circuits.layers import INPUT, Add, Conv2d, Dense, Flatten, MaxPool, Requantise, SumPool, windows
from circuits.network import Architecture, parameter_shapes
from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.pooling import taps
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.slots import Segment

Block: TypeAlias = NDArray[Any]
"""Python integers, [features, 2^a]."""

Edit: TypeAlias = Callable[[Block], None]
"""Changes a block in place."""

Lies: TypeAlias = Mapping[tuple[str, str], Edit]
"""Edits by (role, layer). Roles are those of the proof matrix (`circuits.sumcheck.layout.Role`),
"inputs", "labels" and "groups" of the shard, "weights" of the model (one vector of slots)."""


def set_at(index: int | tuple[int, ...], value: int) -> Edit:
    """Return a lie about one element."""

    def edit(block: Block) -> None:
        block[index] = value

    return edit


def add_at(index: int | tuple[int, ...], value: int) -> Edit:
    """Return a lie about one element."""

    def edit(block: Block) -> None:
        block[index] += value

    return edit


@dataclass
class Witness:
    """All committed values of a proof but its pads, and all lookups.

    Attributes
    ----------
    relation : Relation
    shard : Block
        Inputs, labels, groups.
    model : Block or None
        The model's slots.
    blocks : dict
        Blocks of the proof matrix by (role, layer), multiplicities included.
    leaves : list of (Block, Block)
        v0 and v1 of every segment of `relation.lookups`, as they follow from what is committed.
    tensors : dict
        Every tensor by name.
    """

    relation: Relation
    shard: Block
    model: Block | None
    blocks: dict[tuple[str, str], Block] = field(default_factory=dict)
    leaves: list[tuple[Block, Block]] = field(default_factory=list)
    tensors: dict[str, Block] = field(default_factory=dict)

    @property
    def predictions(self) -> Block:
        return self.blocks["predictions", ""]

    @property
    def labels(self) -> Block:
        return self.shard[self.relation.shard.label_span]

    @property
    def groups(self) -> Block:
        return self.shard[self.relation.shard.group_span]

    def features(self) -> Block:
        """Return the features of the proof matrix before the pads."""
        layout = self.relation.proof
        found = zeros(layout.span("pads").start, 1 << self.relation.a)
        for (role, layer), block in self.blocks.items():
            found[layout.span(role, layer)] = block  # type: ignore[arg-type]
        return found


def zeros(*shape: int) -> Block:
    return np.full(shape, 0, dtype=object)


def integers(array: NDArray[Any]) -> Block:
    """Return integers as Python's."""
    return np.array(array.tolist(), dtype=object).reshape(array.shape)


def residues(block: Block) -> U64Array:
    """Return integers as field elements."""
    flat = [int(v) % MODULUS for v in block.reshape(-1)]
    return np.array(flat, np.uint64).reshape(block.shape)


def one_hot(values: Sequence[int], count: int, size: int) -> Block:
    """Return [count, size]; columns beyond `values` are zero."""
    found = zeros(count, size)
    for n, value in enumerate(values):
        found[value, n] = 1
    return found


def shard_block(
    relation: Relation,
    x: NDArray[np.integer],
    y: Sequence[int],
    groups: Sequence[int],
    lies: Lies,
) -> Block:
    """Return the features of the shard matrix for samples x [n, ...]."""
    size, layout = 1 << relation.a, relation.shard
    inputs = zeros(layout.inputs, size)
    inputs[:, : len(x)] = integers(x.reshape(len(x), -1).T)
    labels, of_group = one_hot(y, layout.classes, size), one_hot(groups, layout.groups, size)
    for role, block in (("inputs", inputs), ("labels", labels), ("groups", of_group)):
        lies.get((role, ""), _honest)(block)
    return np.concatenate([inputs, labels, of_group])


def model_block(relation: Relation, weights: Mapping[str, NDArray[np.integer]], lies: Lies) -> Block:
    """Return the slots of the model matrix."""
    assert relation.model is not None
    slots = zeros(relation.model.rows << relation.profile.kappa)
    for name, array in weights.items():
        slots[relation.model.span(name)] = integers(array).reshape(-1)
    lies.get(("weights", ""), _honest)(slots)
    return slots


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
        lies.get((role, layer), _honest)(block)
        witness.blocks[role, layer] = block
        return block

    if relation.architecture is not None:
        _run(relation.architecture, witness, put)
        _predict(witness, put)
    witness.leaves = [_leaves(witness, segment) for segment in relation.lookups]
    if pretend:
        both = zip(relation.lookups, witness.leaves, strict=True)
        witness.leaves = [_nearest(relation, segment, v0) for segment, (v0, _) in both]
    put("multiplicities", "", _multiplicities(witness))
    return witness


def _honest(block: Block) -> None:
    """Leave a block as it is."""


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
            for window, inputs in enumerate(_windows(layer)):
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
    for inputs in _windows(layer):
        best = x[inputs[0]]
        for i in inputs[1:]:
            increments[row] = np.maximum(best - x[i], 0)
            best = x[i] + increments[row]
            row += 1
    if len(increments):
        put("increments", layer.name, increments)
    maxima = zeros(math.prod(layer.shape), x.shape[1])
    row = 0
    for window, inputs in enumerate(_windows(layer)):
        row += len(inputs) - 1
        maxima[window] = x[inputs[-1]] + (increments[row - 1] if len(inputs) > 1 else 0)
    return maxima


def _windows(layer: SumPool | MaxPool) -> list[list[int]]:
    places = windows(layer).reshape(-1, layer.fan_in).tolist()
    return [[i for i in inputs if i >= 0] for inputs in places]


def _predict(witness: Witness, put: Callable[[str, str, Block], Block]) -> None:
    relation = witness.relation
    assert relation.architecture is not None and relation.limbs is not None
    logits = put("logits", "", witness.tensors[relation.architecture.output].copy())
    first = [column.index(max(column)) for column in logits.T.tolist()]
    predictions = put("predictions", "", one_hot(first, len(logits), logits.shape[1]))
    chosen = [[max(column)] for column in logits.T.tolist()]
    maximum = put("maximum", "", np.array(chosen, dtype=object).T)
    margins = _margins(logits, predictions, maximum) % (1 << relation.limbs.bits)
    width = relation.limbs.width
    digits = [margins >> (width * i) for i in range(1, relation.limbs.count)]
    digits = [d % (1 << width) for d in digits[:-1]] + digits[-1:]
    if digits:
        put("limbs", "", np.concatenate(digits))


def _margins(logits: Block, predictions: Block, maximum: Block) -> Block:
    """Return E_c of section 4.4."""
    later = np.cumsum(predictions[::-1], axis=0)[::-1] - predictions
    return maximum - logits - later


def _leaves(witness: Witness, segment: Segment) -> tuple[Block, Block]:
    """Return what a segment looks up, as it follows from what is committed."""
    relation, blocks, size = witness.relation, witness.blocks, 1 << witness.relation.a
    nothing = zeros(segment.count, size)
    if segment.kind == "input":
        return witness.shard[: segment.count], nothing
    if segment.kind == "weight":
        assert witness.model is not None
        slots = zeros(segment.count << relation.a)
        taken = witness.model[: len(slots)]
        slots[: len(taken)] = taken
        return slots.reshape(-1, size), nothing
    if segment.kind == "limb":
        return _limb(witness, segment.limb), nothing
    assert relation.architecture is not None
    layer = relation.architecture.layer(segment.layer)
    x = witness.tensors[layer.inputs[0]]
    if isinstance(layer, MaxPool):
        u, found = blocks["increments", layer.name], []
        for inputs in _windows(layer):
            best = x[inputs[0]]
            for i in inputs[1:]:
                found.append(best - x[i])
                best = x[i] + u[len(found) - 1]
        return np.array(found, dtype=object), u
    assert isinstance(layer, Requantise)
    z = blocks["output", layer.name]
    if segment.kind == "direct":
        return x, z
    quotient = blocks["quotient", layer.name]
    if segment.kind == "quotient":
        return quotient, z
    return x + layer.half - quotient * (1 << layer.shift), nothing


def _nearest(relation: Relation, segment: Segment, v0: Block) -> tuple[Block, Block]:
    """Return the entries of a segment's table that are nearest to its first values."""
    table = relation.table(segment)
    values = [min(max(value, table.lo), table.hi) for value in signed(v0)]
    images = [_image(relation, segment, value) for value in values]
    first, second = (np.array(v, dtype=object).reshape(v0.shape) for v in (values, images))
    return first, second


def _limb(witness: Witness, number: int) -> Block:
    limbs, blocks = witness.relation.limbs, witness.blocks
    assert limbs is not None
    logits = blocks["logits", ""]
    digits = blocks["limbs", ""].reshape(-1, *logits.shape) if limbs.count > 1 else []
    if number:
        return digits[number - 1]
    rest = _margins(logits, blocks["predictions", ""], blocks["maximum", ""])
    for i, digit in enumerate(digits, 1):
        rest = rest - digit * (1 << (limbs.width * i))
    return rest


def _multiplicities(witness: Witness) -> Block:
    relation = witness.relation
    first = relation.table_slots[0].start
    found = zeros(relation.slots - first, 1 << relation.a)
    for segment, (v0, v1) in zip(relation.lookups, witness.leaves, strict=True):
        table = relation.table(segment)
        entries = relation.table_slots[segment.tag - 1]
        counts = found[entries.start - first : entries.start - first + entries.count].reshape(-1)
        for value, image in zip(signed(v0), signed(v1), strict=True):
            if table.lo <= value <= table.hi and image == _image(relation, segment, value):
                counts[value - table.lo] += 1
        found[entries.start - first : entries.start - first + entries.count] = counts.reshape(
            entries.count, -1
        )
    return found


def _image(relation: Relation, segment: Segment, value: int) -> int:
    table = relation.table(segment)
    return min(max((value + table.half) >> table.shift, table.low), table.high)


def signed(block: Block) -> list[int]:
    """Return the field elements of a block as integers around zero, flat."""
    flat = (int(v) % MODULUS for v in block.reshape(-1))
    return [v - MODULUS if v > MODULUS // 2 else v for v in flat]
