"""What a proof shows, as plain data: lookups, tables, layout, messages (docs/protocol.md, 4 and 5).

A relation follows from public parameters alone; prover and verifier compute it and loop over it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from circuits.errors import InputError
from circuits.layers import NumberFormat
from circuits.network import Architecture, bounds
from circuits.sumcheck import schedule
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.layout import Counts, ModelLayout, ProofLayout, ShardLayout
from circuits.sumcheck.needs import LinearLayer, needs_of
from circuits.sumcheck.params import Profile, Security, security
from circuits.sumcheck.proof_bytes import Shape
from circuits.sumcheck.provable import Limbs, check_network, input_table, weight_table
from circuits.sumcheck.public import Metrics
from circuits.sumcheck.schedule import Schedule
from circuits.sumcheck.slots import Lookup, Segment, lay_out
from circuits.sumcheck.tables import Table


@dataclass(frozen=True)
class Relation:
    """All public sizes of a proof. Made by `accuracy` and `well_formed`.

    Attributes
    ----------
    name : str
        "accuracy" or "well-formed".
    a : int
        Base-2 logarithm of the number of samples, padding included.
    profile : Profile
        Sizes of the commitments; ``profile.kappa``.
    metrics : Metrics
        What is counted beside the right predictions.
    input_format : NumberFormat
        Range of the features X.
    shard : ShardLayout
        The shard matrix; its inputs, classes and groups.
    model : ModelLayout or None
        The model matrix; None for "well-formed".
    proof : ProofLayout
        The proof matrix: features by (role, layer), `pad_slot`, `mask_rows`.
    tables : tuple of Table
        In the order of their tags, which start at 1.
    lookups : tuple of Segment
        The lookup slots, in order from slot 0.
    table_slots : tuple of Segment
        The slots of each table, in the order of `tables`; they follow the lookups.
    limbs : Limbs or None
        Digits of the margins (section 4.4); None for "well-formed".
    linear : tuple of LinearLayer
        Dense layers and convolutions, in order.
    schedule : Schedule
        Numbers of messages and constraints, and the products.
    architecture : Architecture or None
        The network; None for "well-formed".
    """

    name: Literal["accuracy", "well-formed"]
    a: int
    profile: Profile
    metrics: Metrics
    input_format: NumberFormat
    shard: ShardLayout
    model: ModelLayout | None
    proof: ProofLayout
    tables: tuple[Table, ...]
    lookups: tuple[Segment, ...]
    table_slots: tuple[Segment, ...]
    limbs: Limbs | None
    linear: tuple[LinearLayer, ...]
    schedule: Schedule
    architecture: Architecture | None

    @property
    def slots(self) -> int:
        """n_S of section 5.1: slots of lookups and tables."""
        last = self.table_slots[-1]
        return last.start + last.count

    @property
    def slot_bits(self) -> int:
        """The number s of variables that number the slots."""
        return log2_ceil(self.slots)

    @property
    def depth(self) -> int:
        """D of section 5.1: the leaves are layer D."""
        return self.a + self.slot_bits

    @property
    def zero_bits(self) -> int:
        """High variables of the zero check (section 5.3): s_c, or s_b for "well-formed"."""
        columns = self.shard.classes
        return log2_ceil(columns if self.model else columns + self.shard.groups)

    @property
    def inputs(self) -> int:
        """Length of I of section 5.6."""
        return sum(item.inputs for item in self.linear)

    @property
    def input_bits(self) -> int:
        """The number s_I of variables of the sumcheck of the linear layers."""
        return log2_ceil(self.inputs)

    @property
    def rows(self) -> dict[MatrixName, int]:
        """Rows of every matrix of the proof, masks included."""
        found: dict[MatrixName, int] = {"shard": self.shard.rows, "proof": self.proof.rows}
        return found | ({"model": self.model.rows} if self.model else {})

    @property
    def shape(self) -> Shape:
        """The lengths of a proof."""
        plan = self.schedule
        return Shape(self.profile, len(plan.products), plan.messages, self.rows)

    @cached_property
    def security(self) -> Security:
        """The soundness error by terms (section 2.2); refused if it is too large."""
        in_accuracy = self.model is not None
        return security(
            self.profile,
            a=self.a,
            leaves=self.slots << self.a,
            constraints=self.schedule.constraints,
            products=len(self.schedule.products),
            zero_variables=self.a + self.zero_bits,
            linear_variables=self.input_bits if in_accuracy else None,
            features=None if in_accuracy else self.shard.inputs,
        )

    def table(self, segment: Segment) -> Table:
        """Return the table of a segment."""
        return self.tables[segment.tag - 1]


def accuracy(
    architecture: Architecture, a: int, kappa: int, metrics: Metrics, groups: int
) -> Relation:
    """Return the relation "accuracy": the network predicts so many labels of a shard.

    Parameters
    ----------
    architecture : Architecture
        The network, made by ``quantise(rescale=True)``.
    a : int
        Base-2 logarithm of the number of samples, padding included.
    kappa : int
        The profile.
    metrics : Metrics
        What is counted; `metrics.groups` is 0 or `groups`.
    groups : int
        Number of group features of the shard.

    Raises
    ------
    UnsupportedOperator, WouldOverflow, InputError
        If section 4 cannot prove the network (the layer is named), or the sizes do not fit.
    """
    profile = _profile(a, kappa)
    if metrics.groups not in (0, groups):
        raise InputError(f"{metrics.groups} groups are to be counted, and the shard has {groups}")
    check_network(architecture)
    input_table(architecture.input_format)  # else the shard could not be proven well-formed
    model = ModelLayout.of(architecture, kappa)
    limbs = Limbs.of(bounds(architecture)[architecture.output])
    needs = needs_of(architecture, a)
    classes = architecture.classes
    needs.lookups += [("limb", "", classes, limbs.table(i)) for i in range(limbs.count)]
    weights = -(-model.weights >> a)
    needs.lookups.append(("weight", "", weights, weight_table(architecture.weight_max)))
    needs.features += [("", "logits", classes), ("", "predictions", classes), ("", "maximum", 1)]
    needs.features.append(("", "limbs", classes * (limbs.count - 1)))
    tables, segments, entries = lay_out(needs.lookups, a)
    plan = schedule.accuracy(
        a + log2_ceil(classes),
        a + log2_ceil(entries[-1].span.stop),
        log2_ceil(sum(item.inputs for item in needs.linear)),
        classes,
        metrics,
    )
    return Relation(
        name="accuracy",
        a=a,
        profile=profile,
        metrics=metrics,
        input_format=architecture.input_format,
        shard=ShardLayout(a, kappa, math.prod(architecture.input_shape), classes, groups),
        model=model,
        proof=_proof_layout(a, kappa, needs.features, entries, plan),
        tables=tables,
        lookups=segments,
        table_slots=entries,
        limbs=limbs,
        linear=tuple(needs.linear),
        schedule=plan,
        architecture=architecture,
    )


def well_formed(
    input_format: NumberFormat, features: int, classes: int, groups: int, a: int, kappa: int
) -> Relation:
    """Return the relation "well-formed" of one shard commitment (section 4.6).

    Parameters
    ----------
    input_format : NumberFormat
        Range of the features.
    features, classes, groups : int
        Features of the shard matrix of each kind (section 3.5).
    a, kappa : int
        As for `accuracy`.

    Raises
    ------
    WouldOverflow, InputError
        If the input format is too wide for a table, or the sizes do not fit.
    """
    profile = _profile(a, kappa)
    lookups: list[Lookup] = [("input", "", features, input_table(input_format))]
    tables, segments, entries = lay_out(lookups, a)
    depth = a + log2_ceil(entries[-1].span.stop)
    plan = schedule.well_formed(a + log2_ceil(classes + groups), depth, groups=groups > 0)
    return Relation(
        name="well-formed",
        a=a,
        profile=profile,
        metrics=Metrics(),
        input_format=input_format,
        shard=ShardLayout(a, kappa, features, classes, groups),
        model=None,
        proof=_proof_layout(a, kappa, [], entries, plan),
        tables=tables,
        lookups=segments,
        table_slots=entries,
        limbs=None,
        linear=(),
        schedule=plan,
        architecture=None,
    )


def log2_ceil(count: int) -> int:
    """Return the number of bits that number `count` things."""
    return max(count - 1, 0).bit_length()


def _profile(a: int, kappa: int) -> Profile:
    profile = Profile(kappa)
    if not 0 <= a <= kappa:
        raise InputError(
            f"2^{a} samples do not fit rows of 2^{kappa}: use smaller shards or a larger profile"
        )
    if profile.max_openings < 1:
        raise InputError(f"a commitment of profile {kappa} could not be opened: use a larger one")
    return profile


def _proof_layout(
    a: int, kappa: int, features: Counts, entries: tuple[Segment, ...], plan: Schedule
) -> ProofLayout:
    slots = sum(item.count for item in entries)
    counts: Counts = [
        *features,
        ("", "multiplicities", slots),
        ("", "pads", -(-2 * plan.pads >> a)),
    ]
    return ProofLayout.of(a, kappa, counts)
