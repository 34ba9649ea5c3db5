"""Where everything lies in the three matrices (docs/protocol.md, 3.5, 3.6 and 4.5).

A feature is a vector of 2^a elements; feature f fills slots ``f 2^a ..`` of its matrix, counted
through the rows of 2^kappa slots.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias

from circuits.network import Architecture, parameter_shapes

Role: TypeAlias = Literal[
    "output",
    "quotient",
    "increments",
    "logits",
    "predictions",
    "maximum",
    "limbs",
    "multiplicities",
    "pads",
]
"""What a block of features of the proof matrix holds: ``output`` and ``quotient`` are z and Q of a
Requantise, ``increments`` the u of a MaxPool; ``limbs`` is without limb 0."""

Counts: TypeAlias = list[tuple[str, Role, int]]
"""Layer, role and number of features of blocks, in order."""

MaskRow: TypeAlias = Literal["m0", "m1", "a0", "a1", "b0", "b1"]
MASK_ROWS: tuple[MaskRow, ...] = ("m0", "m1", "a0", "a1", "b0", "b1")


@dataclass(frozen=True)
class Block:
    """Consecutive features of the proof matrix.

    Attributes
    ----------
    layer : str
        Name of the layer they belong to; empty for what belongs to none.
    role : str
        What they hold.
    offset, count : int
        First feature and number of features.
    """

    layer: str
    role: Role
    offset: int
    count: int

    @property
    def span(self) -> slice:
        """The block's features."""
        return slice(self.offset, self.offset + self.count)


@dataclass(frozen=True)
class ProofLayout:
    """The proof matrix: blocks of features in order, then the mask rows.

    Attributes
    ----------
    a, kappa : int
        Base-2 logarithms of the lengths of a feature and of a row.
    blocks : tuple of Block
        In order, without gaps; those without features are left out.
    """

    a: int
    kappa: int
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, a: int, kappa: int, counts: Counts) -> ProofLayout:
        """Lay out blocks given as (layer, role, number of features)."""
        blocks: list[Block] = []
        offset = 0
        for layer, role, count in counts:
            if count:
                blocks.append(Block(layer, role, offset, count))
            offset += count
        return cls(a, kappa, tuple(blocks))

    @property
    def features(self) -> int:
        """Number of features."""
        return self.blocks[-1].offset + self.blocks[-1].count

    @property
    def data_rows(self) -> int:
        """Number of rows that hold features; row `data_rows` is the first mask row."""
        return rows_of(self.features, self.a, self.kappa)

    @property
    def rows(self) -> int:
        """Number of rows with the mask rows."""
        return self.data_rows + len(MASK_ROWS)

    @property
    def mask_rows(self) -> dict[MaskRow, int]:
        """Row number of each mask (section 6.1)."""
        return {name: self.data_rows + i for i, name in enumerate(MASK_ROWS)}

    @property
    def pad_slot(self) -> int:
        """The slot of c0 of pad 0; pad i is in the slots ``pad_slot + 2 i`` and the next."""
        first = self.blocks[-1]
        assert first.role == "pads"
        return first.offset << self.a

    def span(self, role: Role, layer: str = "") -> slice:
        """Return the features of a block; an empty slice if it has none."""
        for block in self.blocks:
            if (block.layer, block.role) == (layer, role):
                return block.span
        return slice(0, 0)


@dataclass(frozen=True)
class ShardLayout:
    """The shard matrix (section 3.5): inputs X, labels Y, groups G.

    Attributes
    ----------
    a, kappa : int
        Base-2 logarithms of the lengths of a feature and of a row.
    inputs, classes, groups : int
        Number of features of each.
    """

    a: int
    kappa: int
    inputs: int
    classes: int
    groups: int

    @property
    def features(self) -> int:
        """Number of features."""
        return self.inputs + self.classes + self.groups

    @property
    def rows(self) -> int:
        """Number of rows."""
        return rows_of(self.features, self.a, self.kappa)

    @property
    def label_span(self) -> slice:
        """The features Y."""
        return slice(self.inputs, self.inputs + self.classes)

    @property
    def group_span(self) -> slice:
        """The features G."""
        return slice(self.inputs + self.classes, self.features)


@dataclass(frozen=True)
class ModelLayout:
    """The model matrix (section 3.6): one vector of slots, the weights, then the biases.

    Attributes
    ----------
    kappa : int
        Base-2 logarithm of the length of a row.
    spans : mapping of str to (first slot, number of slots)
        By name of the parameter, as in `circuits.network.parameter_shapes`.
    weights, biases : int
        Number of each.
    """

    kappa: int
    spans: Mapping[str, tuple[int, int]]
    weights: int
    biases: int

    @classmethod
    def of(cls, architecture: Architecture, kappa: int) -> ModelLayout:
        """Lay out the weights and biases of a network."""
        sizes = {name: math.prod(shape) for name, shape in parameter_shapes(architecture).items()}
        weights = {name: size for name, size in sizes.items() if name.endswith(".weight")}
        biases = {name: size for name, size in sizes.items() if name.endswith(".bias")}
        spans: dict[str, tuple[int, int]] = {}
        first_bias = rows_of(sum(weights.values()), 0, kappa) << kappa
        for first, part in ((0, weights), (first_bias, biases)):
            ends = accumulate(part.values(), initial=first)
            spans |= {name: (slot, part[name]) for name, slot in zip(part, ends, strict=False)}
        return cls(kappa, spans, sum(weights.values()), sum(biases.values()))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return rows_of(self.weights, 0, self.kappa) + rows_of(self.biases, 0, self.kappa)

    def span(self, name: str) -> slice:
        """Return the slots of a parameter."""
        first, count = self.spans[name]
        return slice(first, first + count)


def rows_of(features: int, a: int, kappa: int) -> int:
    """Return the number of rows of 2^kappa slots that features of 2^a slots fill."""
    return -(-features >> (kappa - a))
