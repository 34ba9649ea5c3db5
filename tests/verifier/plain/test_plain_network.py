"""Tracing sums back through networks, against the tensors of real samples."""

from __future__ import annotations

import random

import numpy as np
import pytest

from circuits.integer import trace
from circuits.network import Dense
from tests.verifier.plain import networks
from tests.verifier.plain.toy_witness import Case, Witness
from verifier.plain.field import ZERO, Element, P, add, scale, times, total
from verifier.plain.network import (
    bias_sums,
    increments,
    linear_layers,
    parameter_slots,
    trace_back,
    weight_sums,
)
from verifier.plain.tables import Kind

RNG = random.Random(2)  # noqa: S311


def some(count: int) -> list[Element]:
    return [(RNG.randrange(P), RNG.randrange(P)) for _ in range(count)]


def case_of(name: str) -> Case:
    rng = np.random.default_rng(3)
    architecture = networks.ALL[name]()
    return Case(
        architecture,
        networks.random_weights(architecture, rng),
        rng.integers(0, 4, (1, *architecture.input_shape)),
        labels=[0],
        a=0,
    )


@pytest.mark.parametrize("name", networks.ALL)
def test_a_weighted_sum_of_all_tensors_is_the_traced_one(name: str) -> None:
    case = case_of(name)
    witness = Witness(case)
    tensors = {name: [row[0] for row in rows] for name, rows in witness.tensors.items()}
    weighting = {name: some(len(values)) for name, values in tensors.items()}
    wanted = total(
        scale(weight, value)
        for name, weights in weighting.items()
        for weight, value in zip(weights, tensors[name], strict=True)
    )
    proof: dict[int, Element] = {}
    shard, e = trace_back(case.architecture, weighting, witness.relation.features, proof)
    terms = [scale(weight, tensors["input"][i]) for i, weight in shard.items()]
    terms += [scale(weight, witness.features[i][0]) for i, weight in proof.items()]
    for layer, weights in e.items():
        terms += map(scale, weights, tensors[layer])
    assert total(terms) == wanted
    assert e.keys() == {layer.name for layer in linear_layers(case.architecture)}


@pytest.mark.parametrize("name", networks.ALL)
def test_sums_over_uses(name: str) -> None:
    architecture = networks.ALL[name]()
    for layer in linear_layers(architecture):
        x = some(int(np.prod(architecture.shape_of(layer.inputs[0]))))
        e = some(int(np.prod(layer.shape)))
        outputs = layer.shape[0]
        wanted = [ZERO] * (layer.fan_in * outputs)
        for i, k, o in networks.uses(layer):
            wanted[k] = add(wanted[k], times(x[i], e[o]))
        assert weight_sums(layer, x, e) == wanted
        size = 1 if isinstance(layer, Dense) else len(e) // outputs
        assert bias_sums(layer, e) == [total(e[c * size : (c + 1) * size]) for c in range(outputs)]


@pytest.mark.parametrize("name", networks.ALL)
def test_the_listed_uses_make_the_accumulators(name: str) -> None:
    case = case_of(name)
    tensors = {
        name: [int(row[0]) for row in value]
        for name, value in trace(case.architecture, case.weights, case.x)
    }
    for layer in linear_layers(case.architecture):
        weights = case.weights[f"{layer.name}.weight"].reshape(-1).tolist()
        found = [0] * len(tensors[layer.name])
        for i, k, o in networks.uses(layer):
            found[o] += weights[k] * tensors[layer.inputs[0]][i]
        if layer.bias:
            bias = case.weights[f"{layer.name}.bias"].tolist()
            size = len(found) // len(bias)
            found = [value + bias[o // size] for o, value in enumerate(found)]
        assert found == tensors[layer.name]


def test_parameters_are_numbered_in_canonical_order() -> None:
    slots = parameter_slots(networks.residual())
    assert slots.first_weight == {"c1": 0, "c2": 36, "d": 38}
    assert slots.first_bias == {"c1": 0, "c2": 2, "d": 2}
    assert slots.first_input == {"c1": 0, "c2": 18, "d": 36}
    assert (slots.weights, slots.biases, slots.inputs) == (44, 5, 38)


def test_increments_are_numbered_one_after_the_other() -> None:
    (run, *_) = Witness(case_of("max_pool")).relation.lookups
    assert run.kind is Kind.INCREMENT
    layer = networks.max_pool().layer("m1")
    windows = list(increments(layer))  # type: ignore[arg-type]
    numbers = [first + i for _, taps, first in windows for i in range(len(taps) - 1)]
    assert numbers == list(range(run.slots))
    assert [output for output, _, _ in windows] == list(range(8))
