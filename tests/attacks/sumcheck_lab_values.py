"""What an attacker commits to: blocks of plain Python integers, and lies about them.

Values are small, and a lie may be any field element. A lie is an edit of one block, made when that
block has been computed and before anything that follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.relation import Relation

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


def signed(block: Block) -> list[int]:
    """Return the field elements of a block as integers around zero, flat."""
    flat = (int(v) % MODULUS for v in block.reshape(-1))
    return [v - MODULUS if v > MODULUS // 2 else v for v in flat]


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
        lies.get((role, ""), unchanged)(block)
    return np.concatenate([inputs, labels, of_group])


def model_block(
    relation: Relation, weights: Mapping[str, NDArray[np.integer]], lies: Lies
) -> Block:
    """Return the slots of the model matrix."""
    assert relation.model is not None
    slots = zeros(relation.model.rows << relation.profile.kappa)
    for name, array in weights.items():
        slots[relation.model.span(name)] = integers(array).reshape(-1)
    lies.get(("weights", ""), unchanged)(slots)
    return slots


def unchanged(block: Block) -> None:
    """Leave a block as it is."""
