"""Sections 4 and 5.1: tables, lookups and features, against small cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from circuits.errors import ProofRejected
from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    NumberFormat,
    Relu,
    Requantise,
    SumPool,
    bounds,
)
from tests.verifier.plain import networks
from tests.verifier.plain.networks import S3, U2
from verifier.plain.network import value_ranges
from verifier.plain.relation import Metrics, ShardShape, accuracy, well_formed
from verifier.plain.tables import MAX_ENTRIES, Kind, Limbs, Table, layer_lookups


def shape_of(architecture: Architecture, a: int, samples: int = 1, groups: int = 0) -> ShardShape:
    features = 1
    for size in architecture.input_shape:
        features *= size
    return ShardShape(9, a, samples, features, architecture.classes, groups)


@pytest.mark.parametrize(
    "table", [Table(-9, 9, 2, -2, 1), Table(-5, 5, 0, 0, 5), Table(0, 7, 3, 0, 3)]
)
def test_images_round_half_up_and_clamp(table: Table) -> None:
    for value in range(table.lo, table.hi + 1):
        exact = Fraction(value, 1 << table.shift) + (Fraction(1, 2) if table.shift else 0)
        rounded = exact.numerator // exact.denominator
        assert table.image(value) == sorted((table.low, rounded, table.high))[1]


def test_range_tables_map_to_zero() -> None:
    assert {Table(-3, 3, 0, 0, 0).image(value) for value in range(-3, 4)} == {0}


def test_tables_have_at_most_2_22_entries() -> None:
    assert Table(0, MAX_ENTRIES - 1, 0, 0, 0).entries == MAX_ENTRIES
    with pytest.raises(ProofRejected, match="circuit"):
        Table(0, MAX_ENTRIES, 0, 0, 0)


def test_dense_layout_by_hand() -> None:
    # Accumulators of d1 are at most (4 + 1) * 3 * 3 = 45, logits (3 + 1) * 3 * 3 = 36.
    relation = accuracy(networks.dense(), shape_of(networks.dense(), 2), Metrics())
    direct, limb, weight = (Table(-45, 45, 3, 0, 3), Table(0, 127, 0, 0, 0), Table(-3, 3, 0, 0, 0))
    quotients, remainders = Table(-6, 6, 0, 0, 3), Table(0, 7, 0, 0, 0)
    # Split costs 3 * 4 + 8 + 13 = 33 < 91 entries.
    assert [(run.kind, run.table, run.slots) for run in relation.lookups] == [
        (Kind.QUOTIENT, quotients, 3),
        (Kind.REMAINDER, remainders, 3),
        (Kind.LIMB, limb, 3),
        (Kind.WEIGHT, weight, 6),
    ]
    assert relation.tables == (quotients, remainders, limb, weight)
    assert relation.tags[weight] == 4
    assert relation.slots == 15 + 4 + 2 + 32 + 2
    assert relation.depth == 2 + 6
    assert relation.features == {
        "q1.z": 0, "q1.q": 3, "logits": 6, "predictions": 9, "largest": 12, "limbs": 13,
        "multiplicities": 13, "pads": 53,
    }  # fmt: skip
    assert (relation.shard_rows, relation.model_rows, relation.first_bias) == (1, 2, 512)
    assert relation.inputs == 4 + 3
    # 4 rounds of 3 and 3 claims; 4, then 2 j + 4 for j = 1..7; 3 rounds of 2 and 2 claims.
    assert relation.sent == 15 + 4 + sum(2 * j + 4 for j in range(1, 8)) + 8
    assert relation.products == 3 + (2 + 3 * 7) + 1
    pads = relation.sent + 3 * relation.products
    assert relation.data_rows == -(-(53 * 4 + 2 * pads) // 512)
    # With 2^5 samples splitting would cost 3 * 32 + 8 + 13 > 91 entries.
    wide = accuracy(networks.dense(), shape_of(networks.dense(), 5), Metrics())
    assert wide.lookups[0].kind is Kind.DIRECT
    assert wide.lookups[0].table == direct
    assert "q1.q" not in wide.features


def test_metrics_add_messages_and_products() -> None:
    shape = shape_of(networks.dense(), 2, groups=2)
    plain = accuracy(networks.dense(), shape, Metrics())
    for metrics in (Metrics(groups=True), Metrics(confusion=True)):
        more = accuracy(networks.dense(), shape, metrics)
        assert (more.sent, more.products) == (plain.sent + 2, plain.products + 1)
    by_class = accuracy(networks.dense(), shape, Metrics(per_class=True))
    assert (by_class.sent, by_class.products) == (plain.sent, plain.products)


def test_max_pool_counts_real_taps_only() -> None:
    architecture = networks.max_pool()
    runs = {run.source: run for run in layer_lookups(architecture, 2)}
    # 3x3 windows at stride 2, padded by one above and to the left, have 4, 6, 6 and 9 real taps.
    assert runs["m1"].slots == 2 * (3 + 5 + 5 + 8)
    assert runs["m1"].table == Table(-3, 3, 0, 0, 3)
    bound = bounds(architecture)["c"]
    assert runs["m2"].table == Table(-2 * bound, 2 * bound, 0, 0, 2 * bound)
    assert "m3" not in runs  # windows of one tap need no comparison
    assert value_ranges(architecture)["m3"] == (-4, 3)


@pytest.mark.parametrize("bound", [0, 1, 3, 36, 2047, 2048, 10**6, 10**9, 1 << 57])
def test_limbs_cover_exactly_the_bits(bound: int) -> None:
    limbs = Limbs.of(bound)
    assert limbs.bits == max(1, (2 * bound).bit_length())
    assert limbs.count == max(1, -(-limbs.bits // 12))
    entries = [limbs.table(i).entries for i in range(limbs.count)]
    assert entries[:-1] == [1 << limbs.width] * (limbs.count - 1)
    product = 1
    for count in entries:
        assert 2 <= count <= 1 << 12
        product *= count
    assert product == 1 << limbs.bits


def test_well_formed_layout() -> None:
    relation = well_formed(ShardShape(9, 3, 5, 784, 10, 2), NumberFormat(8, False))
    assert relation.tables == (Table(0, 255, 0, 0, 0),)
    assert relation.slots == 784 + 32
    assert relation.zero_high == 4
    assert relation.features == {"multiplicities": 0, "pads": 32}
    assert relation.products == 1 + 2 + 3 * (relation.depth - 1)
    assert (relation.model_rows, relation.shard_rows) == (0, -(-796 // 64))


def with_layers(*layers: Layer) -> Architecture:
    return replace(networks.single(), layers=layers, output=layers[-1].name)


def test_refused_circuits() -> None:
    first = Dense("d", ("input",), 3, 3, False)
    last = Dense("e", ("q",), 3, 2, False)
    refused = {
        "Relu": with_layers(first, Relu("q", ("d",), (3,)), last),
        "multiplies an acc": with_layers(first, Dense("e", ("d",), 3, 2, False)),
        "needs": replace(
            with_layers(first, Requantise("q", ("d",), (3,), 0, S3), last), weight_bits=22
        ),
        "a table": replace(
            with_layers(first, Requantise("q", ("d",), (3,), 1, S3), last), weight_bits=25
        ),
        "wrap": replace(networks.single(), weight_bits=32, input_format=NumberFormat(27, False)),
        "no weights": replace(
            networks.single(), layers=(Requantise("q", ("input",), (3,), 0, U2),),
            output="q", classes=3,
        ),
    }  # fmt: skip
    for message, architecture in refused.items():
        with pytest.raises(ProofRejected, match=f"circuit: .*{message}"):
            accuracy(architecture, shape_of(architecture, 2), Metrics())


def test_an_accumulator_may_have_integers_added_but_not_be_multiplied() -> None:
    twins = (Dense("d", ("input",), 3, 2, True), Dense("e", ("input",), 3, 2, True))
    rescaled = Requantise("q", ("e",), (2,), 1, S3)
    good = with_layers(*twins, rescaled, Add("s", ("d", "q"), (2,), (0, 1)))
    accuracy(good, shape_of(good, 2), Metrics())
    image = (1, 3, 1)
    bad = {
        "shifted": with_layers(*twins, Add("s", ("d", "e"), (2,), (0, 1))),
        "two": with_layers(*twins, Add("s", ("d", "e"), (2,), (0, 0))),
        "twice": with_layers(twins[0], Add("s", ("d", "d"), (2,), (0, 0))),
        "pooled": replace(
            networks.single(),
            input_shape=image,
            layers=(
                Conv2d("c", ("input",), image, (1, 1), (1, 1), (0,) * 4, (1, 1), 2, 1, True),
                SumPool("p", ("c",), (2, 3, 1), (3, 1), (1, 1), (0,) * 4, (1, 1)),
                Flatten("f", ("p",), (2,)),
            ),
            output="f",
        ),
    }
    for architecture in bad.values():
        with pytest.raises(ProofRejected, match="multiplies an accumulator"):
            accuracy(architecture, shape_of(architecture, 2), Metrics())


def test_shards_that_do_not_fit() -> None:
    good = shape_of(networks.single(), 2)
    for change in ({"features": 4}, {"classes": 3}):
        with pytest.raises(ProofRejected, match="circuit"):
            accuracy(networks.single(), replace(good, **change), Metrics())
    with pytest.raises(ProofRejected, match="circuit"):
        accuracy(networks.single(), good, Metrics(groups=True))
    for change in ({"samples": 0}, {"samples": 5}, {"a": 10}, {"a": -1}, {"groups": -1}):
        with pytest.raises(ProofRejected, match="circuit"):
            replace(good, **change)
