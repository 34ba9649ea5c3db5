"""Networks and sizes that must not be proven, and layouts that both verifiers must agree on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from circuits.errors import InputError, ProofRejected, ZkpotError
from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    NumberFormat,
    Relu,
    Requantise,
    SumPool,
)
from circuits.sumcheck import relation as fast
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.public import Metrics
from tests.attacks.sumcheck_lab import Bench, accepted
from tests.attacks.sumcheck_lab_networks import (
    NONE,
    ONE,
    U2,
    bench,
    mlp_architecture,
    network,
    random_network,
)
from tests.attacks.sumcheck_lab_values import Block, Lies
from verifier.plain import Metrics as PlainMetrics
from verifier.plain import ShardShape
from verifier.plain import relation as plain

HALF, QUARTER = (pow(n, -1, MODULUS) for n in (2, 4))
CONV = Conv2d("conv", ("input",), (1, 2, 2), ONE, ONE, NONE, ONE, 1, 1, True)
SIDE = Conv2d("side", ("input",), (1, 2, 2), ONE, ONE, NONE, ONE, 1, 1, True)
POOL = ((1, 2, 2), (2, 2), ONE, NONE, ONE)


def rescaled(tensor: str, size: int, *before: Layer) -> Architecture:
    """Return a network that rescales a tensor of `size` elements and ends in a dense layer."""
    shape = (1, 2, 2) if size == 4 else (1, 1, 1)
    return network(
        (1, 2, 2),
        2,
        *before,
        Requantise("act", (tensor,), shape, 1, NumberFormat(6, True)),
        Flatten("flat", ("act",), (size,)),
        Dense("dense", ("flat",), size, 2, True),
    )


FRACTIONS: dict[str, tuple[Architecture, dict[str, int]]] = {
    "sums of accumulators": (
        rescaled("sum", 1, CONV, SumPool("sum", ("conv",), *POOL)),
        {"conv.bias": 3 * QUARTER},
    ),
    "a multiple of an accumulator": (
        rescaled("add", 4, CONV, Add("add", ("conv", "input"), (1, 2, 2), (1, 0))),
        {"conv.bias": HALF},
    ),
    "two accumulators added": (
        rescaled("add", 4, CONV, SIDE, Add("add", ("conv", "side"), (1, 2, 2), (0, 0))),
        {"conv.bias": HALF, "side.bias": HALF},
    ),
}


def with_fractions(made: Bench, biases: dict[str, int]) -> Lies:
    """Return the lie that biases are fractions."""
    layout = made.relation.model
    assert layout is not None

    def edit(slots: Block) -> None:
        for name, value in biases.items():
            slots[layout.span(name)] = value

    return {("weights", ""): edit}


@pytest.mark.parametrize("name", FRACTIONS)
def test_a_bias_that_is_a_fraction_has_nowhere_to_hide(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Biases are not looked up. Where only multiples of accumulators are, 1/2 could be one.

    Both verifiers refuse such networks. If they did not, a model with such a bias, which no integer
    network is, would be accepted.
    """
    architecture, biases = FRACTIONS[name]
    with pytest.raises(InputError):
        fast.accuracy(architecture, 1, 9, Metrics(), 0)
    shape = ShardShape(9, 1, 2, 4, 2, 0)
    with pytest.raises(ProofRejected, match="circuit"):
        plain.accuracy(architecture, shape, PlainMetrics())
    monkeypatch.setattr(fast, "check_network", lambda _: None)
    monkeypatch.setattr(plain, "refuse_unsupported", lambda _: None)
    made = bench(architecture, 2, 1)
    accepted(made.attack(with_fractions(made, biases)))


REFUSED: dict[str, Architecture] = {
    "a relu": network(
        (3,), 2, Dense("d", ("input",), 3, 3, True), Relu("r", ("d",), (3,)),
        Dense("e", ("r",), 3, 2, True),
    ),
    "a dense layer after another": network(
        (3,), 2, Dense("d", ("input",), 3, 3, True), Dense("e", ("d",), 3, 2, True)
    ),
    "no weights": network((3,), 3, Requantise("q", ("input",), (3,), 1, U2)),
    "a table of more than 2^22": network(
        (3,), 2, Dense("d", ("input",), 3, 2, True),
        Requantise("q", ("d",), (2,), 0, U2), weight_bits=22,
    ),
    "a remainder of more than 22 bits": network(
        (3,), 2, Dense("d", ("input",), 3, 2, True),
        Requantise("q", ("d",), (2,), 23, U2), weight_bits=22,
    ),
    "a maximum of more than 22 bits": network(
        (1, 2, 2), 1, replace(CONV, out_channels=1), MaxPool("m", ("conv",), *POOL),
        Requantise("q", ("m",), (1, 1, 1), 12, U2), Flatten("f", ("q",), (1,)),
        Dense("e", ("f",), 1, 1, True), weight_bits=22,
    ),
    "weights of more than 22 bits": network(
        (3,), 2, Dense("d", ("input",), 3, 2, True), weight_bits=24
    ),
    "logits that wrap around": network(
        (1, 2, 2), 1, Add("a", ("input", "input"), (1, 2, 2), (40, 40)), Flatten("f", ("a",), (4,)),
        Dense("d", ("f",), 4, 1, True), weight_bits=20,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_both_verifiers_refuse(name: str) -> None:
    architecture = REFUSED[name]
    features, classes = int(np.prod(architecture.input_shape)), architecture.classes
    with pytest.raises(InputError):
        fast.accuracy(architecture, 1, 9, Metrics(), 0)
    with pytest.raises(ProofRejected):
        shape = ShardShape(9, 1, 2, features, classes, 0)
        assert plain.accuracy(architecture, shape, PlainMetrics()).tables


@pytest.mark.parametrize("kappa", [5, 6, 7, 8, 19])
def test_profiles_that_hide_nothing_are_refused(kappa: int) -> None:
    with pytest.raises(InputError):
        fast.accuracy(mlp_architecture(), 1, kappa, Metrics(), 0)
    with pytest.raises(ProofRejected):
        shape = ShardShape(kappa, 1, 2, 3, 3, 0)
        assert plain.accuracy(mlp_architecture(), shape, PlainMetrics()).profile


def test_more_samples_than_a_row_holds_are_refused() -> None:
    with pytest.raises(InputError):
        fast.accuracy(mlp_architecture(), 10, 9, Metrics(), 0)
    with pytest.raises(ProofRejected):
        ShardShape(9, 10, 2, 3, 3, 0)


def test_both_verifiers_lay_the_same_networks_out_alike() -> None:
    """Random networks: provable for both or for neither, with the same sizes and tables."""
    rng = np.random.default_rng(7)
    verdicts = {True: 0, False: 0}
    while min(verdicts.values()) < 60:
        architecture = random_network(rng)
        a, groups = int(rng.integers(0, 5)), int(rng.integers(0, 3))
        counted = groups * int(rng.integers(2))
        metrics = Metrics(bool(rng.integers(2)), bool(rng.integers(2)), counted)
        one = laid_out_fast(architecture, a, metrics, groups)
        assert one == laid_out_plainly(architecture, a, metrics, groups)
        verdicts[one is not None] += 1


def laid_out_fast(
    architecture: Architecture, a: int, metrics: Metrics, groups: int
) -> dict[str, Any] | None:
    """Return the sizes of a proof, None if the network is refused."""
    try:
        relation = fast.accuracy(architecture, a, 9, metrics, groups)
    except ZkpotError:
        return None
    assert relation.model is not None
    return {
        "messages": relation.schedule.messages,
        "products": len(relation.schedule.products),
        "slots": relation.slots,
        "depth": relation.depth,
        "rows": (relation.shard.rows, relation.model.rows, relation.proof.rows),
        "tables": [numbers(table) for table in relation.tables],
        "pads": relation.proof.pad_slot,
        "zero": relation.a + relation.zero_bits,
        "linear": relation.input_bits,
    }


def laid_out_plainly(
    architecture: Architecture, a: int, metrics: Metrics, groups: int
) -> dict[str, Any] | None:
    features, classes = int(np.prod(architecture.input_shape)), architecture.classes
    shape = ShardShape(9, a, 1, features, classes, groups)
    wanted = PlainMetrics(metrics.per_class, metrics.confusion, metrics.groups > 0)
    try:
        relation = plain.accuracy(architecture, shape, wanted)
    except ZkpotError:
        return None
    return {
        "messages": relation.sent,
        "products": relation.products,
        "slots": relation.slots,
        "depth": relation.depth,
        "rows": (relation.shard_rows, relation.model_rows, relation.data_rows + 6),
        "tables": [numbers(table) for table in relation.tables],
        "pads": relation.features["pads"] << a,
        "zero": relation.zero_variables,
        "linear": relation.linear_variables,
    }


def numbers(table: Any) -> tuple[int, ...]:
    return (table.lo, table.hi, table.shift, table.low, table.high)
