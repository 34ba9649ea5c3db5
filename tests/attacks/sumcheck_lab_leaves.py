"""What a witness looks up, and how often each entry of a table is (docs/protocol.md, 4 and 5.1)."""

from __future__ import annotations

import numpy as np

from circuits.layers import MaxPool, Requantise, SumPool, windows
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.slots import Segment
from tests.attacks.sumcheck_lab_values import Block, Witness, signed, zeros


def leaves_of(witness: Witness, segment: Segment) -> tuple[Block, Block]:
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
        for inputs in real_taps(layer):
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


def nearest(relation: Relation, segment: Segment, v0: Block) -> tuple[Block, Block]:
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
    rest = margins(logits, blocks["predictions", ""], blocks["maximum", ""])
    for i, digit in enumerate(digits, 1):
        rest = rest - digit * (1 << (limbs.width * i))
    return rest


def margins(logits: Block, predictions: Block, maximum: Block) -> Block:
    """Return E_c of section 4.4."""
    later = np.cumsum(predictions[::-1], axis=0)[::-1] - predictions
    return maximum - logits - later


def real_taps(layer: SumPool | MaxPool) -> list[list[int]]:
    places = windows(layer).reshape(-1, layer.fan_in).tolist()
    return [[i for i in inputs if i >= 0] for inputs in places]


def multiplicities_of(witness: Witness) -> Block:
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
