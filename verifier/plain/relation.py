"""Sections 3 to 5.1: which slots there are, in which order, and which lookups are made of them.

All of it follows from public numbers: the architecture, the shape of the shard and the metrics
asked for. Nothing here is read from the proof.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from circuits.errors import ProofRejected
from circuits.network import Architecture, NumberFormat, bounds
from verifier.plain.network import parameter_slots, refuse_unsupported
from verifier.plain.parameters import Profile
from verifier.plain.tables import (
    Kind,
    Limbs,
    Lookups,
    Table,
    ceil_div,
    ceil_log2,
    layer_features,
    layer_lookups,
)


@dataclass(frozen=True)
class Metrics:
    """What a proof of accuracy counts besides the correct predictions."""

    per_class: bool = False
    confusion: bool = False
    groups: bool = False


@dataclass(frozen=True)
class ShardShape:
    """The numbers of a shard's header (3.4) that fix its layout.

    Raises
    ------
    ProofRejected
        If they do not fit together.
    """

    kappa: int
    a: int
    samples: int
    features: int
    classes: int
    groups: int

    def __post_init__(self) -> None:
        if not 0 <= self.a <= self.kappa:
            raise ProofRejected("circuit", f"a = {self.a} with kappa = {self.kappa}")
        if not 1 <= self.samples <= 1 << self.a:
            raise ProofRejected("circuit", f"{self.samples} samples in 2^{self.a} slots")
        if self.features < 1 or self.classes < 1 or self.groups < 0:
            raise ProofRejected("circuit", "a shard has features and classes")


@dataclass(frozen=True)
class Relation:
    """The layout of one proof.

    Attributes
    ----------
    shape : ShardShape
        Of the shard it is about.
    metrics : Metrics
        What it counts; nothing for well-formedness.
    lookups : tuple of Lookups
        In the order of 5.1.
    committed : tuple of (str, int)
        Name and number of the proof matrix's features before the multiplicities (4.5).
    zero_high : int
        High variables of the zero check: s_c or s_b.
    inputs : int
        Elements of I (5.6); 0 for well-formedness.
    model_slots : tuple of int
        Numbers of weights and of biases; (0, 0) for well-formedness.
    """

    shape: ShardShape
    metrics: Metrics
    lookups: tuple[Lookups, ...]
    committed: tuple[tuple[str, int], ...]
    zero_high: int
    inputs: int
    model_slots: tuple[int, int]

    @cached_property
    def profile(self) -> Profile:
        """The profile of kappa."""
        return Profile(self.shape.kappa)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables, by first use; table i has the tag i + 1."""
        return tuple(dict.fromkeys(item.table for item in self.lookups))

    @cached_property
    def tags(self) -> dict[Table, int]:
        """The tag of each table."""
        return {table: i + 1 for i, table in enumerate(self.tables)}

    def table_slots(self, table: Table) -> int:
        """Return how many slots a table takes."""
        return ceil_div(table.entries, 1 << self.shape.a)

    @cached_property
    def lookup_slots(self) -> int:
        """Slots of lookups, before those of the tables."""
        return sum(item.slots for item in self.lookups)

    @cached_property
    def all_table_slots(self) -> int:
        """Slots of all tables; as many features are multiplicities."""
        return sum(self.table_slots(table) for table in self.tables)

    @property
    def slots(self) -> int:
        """n_S."""
        return self.lookup_slots + self.all_table_slots

    @property
    def depth(self) -> int:
        """D = a + s."""
        return self.shape.a + ceil_log2(self.slots)

    @cached_property
    def features(self) -> dict[str, int]:
        """The first feature of each part of the proof matrix, by name (4.5)."""
        found: dict[str, int] = {}
        first = 0
        for name, count in (*self.committed, ("multiplicities", self.all_table_slots)):
            found[name] = first
            first += count
        found["pads"] = first
        return found

    @property
    def zero_variables(self) -> int:
        """Variables of the zero check."""
        return self.shape.a + self.zero_high

    @property
    def linear_variables(self) -> int:
        """s_I."""
        return ceil_log2(self.inputs)

    @property
    def is_accuracy(self) -> bool:
        """Whether the relation has a network."""
        return self.inputs > 0

    @property
    def sent(self) -> int:
        """Masked values in a proof."""
        claims = 3 + 2 * self.metrics.groups + 2 * self.metrics.confusion
        zero = 3 * self.zero_variables + (claims if self.is_accuracy else 1)
        lookups = 4 + sum(2 * j + 4 for j in range(1, self.depth))
        linear = 2 * self.linear_variables + 2 if self.is_accuracy else 0
        return zero + lookups + linear

    @property
    def products(self) -> int:
        """Products in a proof."""
        zero = 3 + self.metrics.groups + self.metrics.confusion if self.is_accuracy else 1
        return zero + 2 + 3 * (self.depth - 1) + self.is_accuracy

    @property
    def shard_rows(self) -> int:
        """Rows of the shard matrix (3.5)."""
        shape = self.shape
        return self._rows(shape.features + shape.classes + shape.groups)

    @property
    def model_rows(self) -> int:
        """Rows of the model matrix (3.6)."""
        return sum(ceil_div(count, self.profile.slots) for count in self.model_slots)

    @property
    def first_bias(self) -> int:
        """The slot of the first bias: biases begin in a row of their own."""
        return ceil_div(self.model_slots[0], self.profile.slots) * self.profile.slots

    @property
    def data_rows(self) -> int:
        """Rows of the proof matrix before the mask rows."""
        pads = self.sent + 3 * self.products
        return self._rows(self.features["pads"] + ceil_div(2 * pads, 1 << self.shape.a))

    def _rows(self, features: int) -> int:
        return ceil_div(features << self.shape.a, self.profile.slots)


def accuracy(architecture: Architecture, shape: ShardShape, metrics: Metrics) -> Relation:
    """Return the layout of a proof of accuracy.

    Raises
    ------
    ProofRejected
        If section 4 refuses the circuit, or the shard is not one for it.
    """
    wanted = (math.prod(architecture.input_shape), architecture.classes)
    if (shape.features, shape.classes) != wanted or (metrics.groups and not shape.groups):
        raise ProofRejected("circuit", "the shard is not one for this network and these metrics")
    refuse_unsupported(architecture)
    bound = bounds(architecture)[architecture.output]
    limbs = Limbs.of(bound)
    wiring = parameter_slots(architecture)
    lookups = [*layer_lookups(architecture, shape.a)]
    lookups += [Lookups(Kind.LIMB, limbs.table(i), shape.classes, i) for i in range(limbs.count)]
    weight_max = architecture.weight_max
    lookups.append(
        Lookups(
            Kind.WEIGHT,
            Table(-weight_max, weight_max, 0, 0, 0),
            ceil_div(wiring.weights, 1 << shape.a),
        )
    )
    committed = [*layer_features(lookups)]
    committed += [("logits", shape.classes), ("predictions", shape.classes), ("largest", 1)]
    committed.append(("limbs", shape.classes * (limbs.count - 1)))
    return Relation(
        shape=shape,
        metrics=metrics,
        lookups=tuple(lookups),
        committed=tuple(committed),
        zero_high=ceil_log2(shape.classes),
        inputs=wiring.inputs,
        model_slots=(wiring.weights, wiring.biases),
    )


def well_formed(shape: ShardShape, input_format: NumberFormat) -> Relation:
    """Return the layout of a proof that a shard is well-formed (4.6)."""
    table = Table(input_format.low, input_format.high, 0, 0, 0)
    return Relation(
        shape=shape,
        metrics=Metrics(),
        lookups=(Lookups(Kind.INPUT, table, shape.features),),
        committed=(),
        zero_high=ceil_log2(shape.classes + shape.groups),
        inputs=0,
        model_slots=(0, 0),
    )
