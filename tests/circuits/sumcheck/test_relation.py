"""Relations: order of lookups, tables and features, the numbers of messages, and refusals."""

from dataclasses import replace

import pytest

from circuits.errors import InputError, UnsafeConfiguration, UnsupportedOperator, WouldOverflow
from circuits.layers import INPUT, Add, Flatten, MaxPool, NumberFormat, Relu, SumPool
from circuits.network import bounds
from circuits.sumcheck.provable import Limbs, check_network, requantise_tables, value_ranges
from circuits.sumcheck.public import Metrics
from circuits.sumcheck.relation import accuracy, log2_ceil, well_formed
from circuits.sumcheck.tables import MAX_ENTRIES, Table
from tests.circuits.sumcheck.toy_networks import (
    NETWORKS,
    SIGNED,
    convolution,
    dense,
    network,
    pool,
    requantise,
)

KAPPA = 9
PLAIN = Metrics()


def relation_of(architecture, a=1, metrics=PLAIN, groups=0):
    return accuracy(architecture, a, KAPPA, metrics, groups)


def summary(segments):
    return [(s.kind, s.layer, s.start, s.count, s.tag, s.limb) for s in segments]


def test_lookups_and_tables_in_order():
    relation = relation_of(NETWORKS["max pools"])
    assert summary(relation.lookups) == [
        ("increment", "m", 0, 16, 1, 0),
        ("direct", "r", 16, 8, 2, 0),
        ("increment", "n", 24, 6, 1, 0),  # values 0 .. 3 again: the same table
        ("limb", "", 30, 2, 3, 0),
        ("weight", "", 32, 6, 4, 0),
    ]
    assert relation.tables == (
        Table(-3, 3, 0, 0, 3),
        Table(-12, 12, 1, 0, 3),
        Table(0, 31, 0, 0, 0),
        Table(-1, 1, 0, 0, 0),
    )
    assert summary(relation.table_slots) == [
        ("table", "", 38, 4, 1, 0),
        ("table", "", 42, 13, 2, 0),
        ("table", "", 55, 16, 3, 0),
        ("table", "", 71, 2, 4, 0),
    ]
    assert (relation.slots, relation.slot_bits, relation.depth) == (73, 7, 8)
    assert relation.table(relation.lookups[1]) == relation.tables[1]


def test_features_in_order():
    blocks = relation_of(NETWORKS["max pools"]).proof.blocks
    plan = relation_of(NETWORKS["max pools"]).schedule
    assert [(b.layer, b.role, b.count) for b in blocks] == [
        ("m", "increments", 16),
        ("r", "output", 8),
        ("n", "increments", 6),
        ("", "logits", 2),
        ("", "predictions", 2),
        ("", "maximum", 1),
        ("", "multiplicities", 35),
        ("", "pads", plan.messages + 3 * len(plan.products)),
    ]


def test_a_split_requantise_has_two_features_and_two_segments():
    relation = relation_of(NETWORKS["split"])
    assert [(b.role, b.count) for b in relation.proof.blocks][:2] == [
        ("output", 1),
        ("quotient", 1),
    ]
    kinds = [(s.kind, relation.table(s)) for s in relation.lookups][:2]
    assert kinds == [("quotient", Table(-17, 17, 0, 0, 3)), ("remainder", Table.range(0, 7))]


def test_direct_as_long_as_the_table_is_worth_it():
    layer = requantise("r", "d", (4,), 3)
    # 2 B + 1 <= m 2^a + 2^s + hi_Q - lo_Q + 1
    for bound in range(1, 200):
        for a in range(6):
            quotients = ((bound + 4) >> 3) - ((-bound + 4) >> 3) + 1
            direct = 2 * bound + 1 <= 4 * 2**a + 8 + quotients
            assert len(requantise_tables(layer, bound, a)) == (1 if direct else 2)
    assert len(requantise_tables(requantise("r", "d", (4,), 0), 10**6, 0)) == 1
    most = MAX_ENTRIES // 2
    assert len(requantise_tables(layer, most - 1, 20)) == 1
    assert len(requantise_tables(layer, most, 20)) == 2


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (0, (1, 1, 1)),
        (1, (2, 1, 2)),
        (2047, (12, 1, 12)),
        (2048, (13, 2, 7)),
        (2**24 - 1, (25, 3, 9)),
        (2**58 - 1, (59, 5, 12)),
    ],
)
def test_limbs(bound, expected):
    limbs = Limbs.of(bound)
    assert (limbs.bits, limbs.count, limbs.width) == expected
    widths = [limbs.table(i).hi.bit_length() for i in range(limbs.count)]
    assert widths[:-1] == [limbs.width] * (limbs.count - 1)
    assert sum(widths) == limbs.bits
    assert 1 << limbs.bits > 2 * bound


def test_several_limbs():
    wide = network((2,), dense("d", INPUT, 2, 3), input_format=NumberFormat(14, False))
    relation = relation_of(wide)
    assert [(s.limb, s.count) for s in relation.lookups if s.kind == "limb"] == [(0, 3), (1, 3)]
    span = relation.proof.span("limbs")
    assert span.stop - span.start == 3


def test_ranges():
    ranges = value_ranges(NETWORKS["convolution"])
    limits = bounds(NETWORKS["convolution"])
    assert ranges[INPUT] == (0, 3)
    assert ranges["c"] == (-limits["c"], limits["c"])
    assert ranges["r"] == (-2, 1)
    assert ranges["p"] == ranges["f"] == (-limits["p"], limits["p"])
    assert value_ranges(NETWORKS["max pools"])["m"] == (0, 3)


@pytest.mark.parametrize(
    ("metrics", "products", "constraints"),
    [
        (Metrics(), 3, 5),
        (Metrics(per_class=True), 3, 8),
        (Metrics(groups=2), 4, 9),
        (Metrics(confusion=True), 4, 7),
        (Metrics(per_class=True, confusion=True, groups=2), 5, 14),
    ],
)
def test_schedule(metrics, products, constraints):
    relation = relation_of(NETWORKS["one layer"], 2, metrics, 2)
    depth, plan = relation.depth, relation.schedule
    claims = 3 + 2 * bool(metrics.groups) + 2 * metrics.confusion
    steps = sum(2 * j + 4 for j in range(depth))
    assert plan.messages == 3 * (2 + 2) + claims + steps + 2 * 2 + 2
    assert len(plan.products) == products + 2 + 3 * (depth - 1) + 1
    assert plan.constraints == 2 * len(plan.products) + constraints + depth + 1 + 3
    assert plan.products[:3] == ((12, 12), (12, 13), (12, 14))
    assert plan.products[-1] == (plan.messages - 2, plan.messages - 1)


def test_the_linear_layers_share_one_vector_of_inputs():
    relation = relation_of(NETWORKS["convolution"])
    assert [(item.layer.name, item.span) for item in relation.linear] == [
        ("c", slice(0, 24)),
        ("d", slice(24, 32)),
    ]
    assert (relation.inputs, relation.input_bits) == (32, 5)


def test_well_formed():
    relation = well_formed(SIGNED, 5, 3, 2, 1, KAPPA)
    assert summary(relation.lookups) == [("input", "", 0, 5, 1, 0)]
    assert summary(relation.table_slots) == [("table", "", 5, 2, 1, 0)]
    assert relation.tables == (Table.range(-2, 1),)
    assert (relation.zero_bits, relation.input_bits, relation.depth) == (3, 0, 4)
    assert [block.role for block in relation.proof.blocks] == ["multiplicities", "pads"]
    assert relation.rows == {"shard": relation.shard.rows, "proof": relation.proof.rows}
    assert relation.schedule.messages == 3 * (1 + 3) + 1 + sum(2 * j + 4 for j in range(4))


def test_relations_follow_from_their_parameters():
    for name, architecture in NETWORKS.items():
        one, two = relation_of(architecture), relation_of(NETWORKS[name])
        assert one == two
        assert one.security == two.security
        assert one != relation_of(architecture, 2)


@pytest.mark.parametrize(("count", "bits"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_log2_ceil(count, bits):
    assert log2_ceil(count) == bits


# Refusals

DENSE = dense("d", INPUT, 2, 2)
IMAGE = convolution("c", INPUT, (1, 2, 2), 2, kernel=(1, 1))
REFUSED = {
    "Relu": network((2,), DENSE, Relu("r", ("d",), (2,))),
    "Dense": network((2,), DENSE, dense("e", "d", 2, 2)),
    "Conv2d": network(
        (1, 2, 2),
        IMAGE,
        pool(MaxPool, "m", "c", (2, 2, 2), (1, 1)),
        convolution("e", "m", (2, 2, 2), 1),
        Flatten("f", ("e",), (1,)),
    ),
    "SumPool": network(
        (1, 2, 2),
        IMAGE,
        pool(SumPool, "s", "c", (2, 2, 2)),
        Flatten("f", ("s",), (2,)),
    ),
    "Add": network((2,), DENSE, Add("a", ("d", INPUT), (2,), (1, 0))),
}
LAST = {"Relu": "r", "Dense": "e", "Conv2d": "e", "SumPool": "s", "Add": "a"}


@pytest.mark.parametrize("operator", REFUSED)
def test_layers_that_cannot_be_proven(operator):
    with pytest.raises(UnsupportedOperator, match="rescal") as caught:
        relation_of(REFUSED[operator])
    assert caught.value.details["node"] == LAST[operator]
    assert caught.value.details["operator"] == operator


def test_an_accumulator_is_not_added_to_another():
    check_network(network((2,), DENSE, Add("a", ("d", INPUT), (2,), (0, 1))))
    twin = dense("e", INPUT, 2, 2)
    for twins, names in (((DENSE,), ("d", "d")), ((DENSE, twin), ("d", "e"))):
        with pytest.raises(UnsupportedOperator, match="'a'"):
            check_network(network((2,), *twins, Add("a", names, (2,), (0, 0))))


def test_a_network_without_weights():
    with pytest.raises(InputError, match="no weights"):
        relation_of(network((2,), requantise("r", INPUT, (2,))))


POOLED = (
    pool(MaxPool, "m", INPUT, (1, 1, 2), (1, 2)),
    Flatten("f", ("m",), (1,)),
    dense("d", "f", 1, 1),
)
WIDE = NumberFormat(22, True)
TOO_LARGE = [
    ("r", network((2,), DENSE, requantise("r", "d", (2,), 0), input_format=WIDE)),
    ("r", network((2,), DENSE, requantise("r", "d", (2,), 23), input_format=WIDE)),
    ("m", network((1, 1, 2), *POOLED, input_format=WIDE)),
    ("input", network((2,), DENSE, input_format=NumberFormat(23, False))),
    ("weights", network((2,), DENSE, weight_bits=23)),
    ("d", network((2,), DENSE, weight_bits=32, input_format=NumberFormat(30, False))),
]


@pytest.mark.parametrize(("name", "architecture"), TOO_LARGE)
def test_values_that_are_too_large(name, architecture):
    with pytest.raises(WouldOverflow) as caught:
        relation_of(architecture)
    assert caught.value.details["layer"] == name


def test_tables_and_values_that_just_fit():
    relation_of(network((2,), DENSE, input_format=NumberFormat(22, False), weight_bits=22))
    double = Add("a", (INPUT, INPUT), (1,), (0, 0))
    wide = network((1,), double, requantise("r", "a", (1,)), dense("d", "r", 1, 1))
    check_network(replace(wide, input_format=NumberFormat(57, False)))
    with pytest.raises(WouldOverflow, match="'a'"):
        check_network(replace(wide, input_format=NumberFormat(58, False)))


def test_sizes_that_do_not_fit():
    architecture = NETWORKS["one layer"]
    with pytest.raises(InputError, match="2\\^10 samples"):
        relation_of(architecture, 10)
    with pytest.raises(InputError, match="samples"):
        relation_of(architecture, -1)
    with pytest.raises(InputError, match="could not be opened"):
        accuracy(architecture, 1, 8, Metrics(), 0)
    with pytest.raises(UnsafeConfiguration):
        accuracy(architecture, 1, 19, Metrics(), 0)
    with pytest.raises(InputError, match="3 groups"):
        relation_of(architecture, 1, Metrics(groups=3), 2)
    with pytest.raises(WouldOverflow):
        well_formed(NumberFormat(23, True), 2, 2, 0, 1, KAPPA)
    assert relation_of(architecture, KAPPA).shard.features == 6
