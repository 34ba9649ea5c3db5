"""The public description of a circuit: one encoding, and only what fits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.encoding import canonical_json
from circuits.errors import ArtefactError, CorruptedArtefact, WouldOverflow, WrongVersion
from circuits.halo2.circuit import (
    MAX_BUDGET,
    MAX_COLUMNS,
    MAX_K,
    MAX_LEGS,
    MIN_K,
    Circuit,
    decomposition,
)
from circuits.halo2.kzg import column_capacity
from circuits.network import (
    Architecture,
    Dense,
    Flatten,
    MaxPool,
    NumberFormat,
    Relu,
    bounds,
)
from tests.circuits.halo2.halo2_world import NO_SRS, mlp


def circuit(architecture: Architecture | None = None, **fields: Any) -> Circuit:
    architecture = architecture or mlp()
    k = fields.get("k", 10)
    given_fields: dict[str, Any] = {
        "shard_size": 3, "k": k, "columns": 2, "testset_budget": 2, "model_budget": 6,
        "srs": NO_SRS,
    }  # fmt: skip
    if "decomp_base" not in fields:
        base, legs = decomposition(architecture, k)
        given_fields |= {"decomp_base": base, "decomp_legs": legs}
    return Circuit(architecture, **(given_fields | fields))


def with_field(name: str, value: object) -> bytes:
    return canonical_json({**circuit().to_dict(), name: value})


# --- encoding


def test_round_trip() -> None:
    made = circuit()
    assert Circuit.decode(made.encode()) == made
    assert Circuit.decode(made.encode()).digest == made.digest


def test_digest_never_changes() -> None:
    """A changed digest orphans every published proof: bump `VERSION` and say so."""
    assert circuit().digest == DIGEST


DIGEST = "0f6c3d3f4f0b03d8b9d70ad6f1369a0e0a7af0310c68c2495dbfd59af12664e8"


@pytest.mark.parametrize(
    "change",
    [
        {"shard_size": 4}, {"k": 11}, {"columns": 3}, {"decomp_base": 512, "decomp_legs": 2},
        {"decomp_base": 256, "decomp_legs": 3}, {"testset_budget": 3}, {"model_budget": 7},
        {"srs": "ac" * 32}, {"architecture": mlp(hidden=4)}, {"architecture": mlp(weight_bits=3)},
        {"architecture": mlp(input_format=NumberFormat(4, True))},
    ],
)  # fmt: skip
def test_digest_binds_every_field(change: dict[str, Any]) -> None:
    assert replace(circuit(), **change).digest != circuit().digest


@pytest.mark.parametrize("name", sorted(circuit().to_dict()))
def test_missing_field_is_named_error(name: str) -> None:
    fields = circuit().to_dict()
    del fields[name]
    with pytest.raises(ArtefactError):
        Circuit.decode(canonical_json(fields))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("magic", "zkpot-model", CorruptedArtefact),
        ("version", 2, WrongVersion),
        ("version", "1", WrongVersion),
        ("backend", "sumcheck", WrongVersion),
        ("backend_version", "23.0.6", WrongVersion),
        ("tie_rule", "first", CorruptedArtefact),
        ("unknown", 1, CorruptedArtefact),
        ("architecture", {}, CorruptedArtefact),
        ("architecture", [], CorruptedArtefact),
        ("shard_size", 0, CorruptedArtefact),
        ("shard_size", True, CorruptedArtefact),
        ("shard_size", "3", CorruptedArtefact),
        ("shard_size", (1 << MAX_K) + 1, CorruptedArtefact),
        ("k", MIN_K - 1, CorruptedArtefact),
        ("k", MAX_K + 1, CorruptedArtefact),
        ("columns", 0, CorruptedArtefact),
        ("columns", MAX_COLUMNS + 1, CorruptedArtefact),
        ("decomp_base", 1, CorruptedArtefact),
        ("decomp_base", 513, CorruptedArtefact),
        ("decomp_base", 16, WouldOverflow),
        ("decomp_legs", 0, CorruptedArtefact),
        ("decomp_legs", MAX_LEGS + 1, CorruptedArtefact),
        ("decomp_legs", 1, WouldOverflow),
        ("testset_budget", 0, CorruptedArtefact),
        ("testset_budget", MAX_BUDGET + 1, CorruptedArtefact),
        ("testset_budget", 1013, WouldOverflow),
        ("model_budget", 0, CorruptedArtefact),
        ("model_budget", MAX_BUDGET + 1, CorruptedArtefact),
        ("srs", "AB" * 32, CorruptedArtefact),
        ("srs", "ab" * 31, CorruptedArtefact),
        ("srs", None, CorruptedArtefact),
    ],
)
def test_tampered_field_is_named_error(name: str, value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        Circuit.decode(with_field(name, value))


@pytest.mark.parametrize("k", [0, -1, -(2**40)])
def test_k_below_one_is_named_error(k: int) -> None:
    with pytest.raises(CorruptedArtefact, match="k is"):
        Circuit.decode(with_field("k", k))


def test_enormous_k_is_refused_before_it_costs_memory() -> None:
    # 2^36 bits would be 8 GB; what a hostile bundle could ask for has no limit.
    with pytest.raises(CorruptedArtefact, match="k is"):
        Circuit.decode(with_field("k", 1 << 50))


def test_version_that_only_equals_one_is_refused() -> None:
    with pytest.raises(ArtefactError):
        Circuit.decode(with_field("version", True))


@pytest.mark.parametrize("value", [None, [], "circuit", 1, {}])
def test_something_else_is_named_error(value: object) -> None:
    with pytest.raises(CorruptedArtefact, match="not a circuit file"):
        Circuit.from_dict(value)


def test_other_encodings_are_refused() -> None:
    data = circuit().encode()
    value = json.loads(data)
    for other in (
        data + b"\n",
        json.dumps(value).encode(),
        json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(),
        data.replace(b'"k":10', b'"k":10.0'),
        data.replace(b'"k":10', b'"k":1e1'),
        data.replace(b'"k":10', b'"k":10,"k":10'),
        data[:-1],
        b"\xef\xbb\xbf" + data,
        data.decode().encode("utf-16"),
    ):
        assert other != data
        with pytest.raises(CorruptedArtefact):
            Circuit.decode(other)


# --- numbers


def test_salts_and_elements() -> None:
    made = circuit(testset_budget=9, model_budget=20)
    assert made.salts == (10, 10, 21, 0)
    assert made.in_range == 3 * 4 + 4 * 5 + 5 * 3


networks = st.builds(
    lambda features, hidden, bits, weight_bits: mlp(
        features=features, hidden=hidden, input_format=NumberFormat(bits, False),
        weight_bits=weight_bits,
    ),
    st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(2, 9),
)  # fmt: skip


@settings(max_examples=150)
@given(networks, st.integers(11, 14))
def test_decomposition_is_the_smallest_with_fewest_legs(network: Architecture, k: int) -> None:
    base, legs = decomposition(network, k)
    widest = max(2 * bounds(network)["d2"], bounds(network)["d1"])
    assert widest < base**legs
    assert 2 <= base <= 1 << (k - 1)
    assert base == 1 or widest >= (base // 2) ** legs, "half the base would do"
    if legs > 1:
        assert widest >= (1 << (k - 1)) ** (legs - 1), "a leg less would do"
    circuit(network, k=k)  # check_fits agrees


def test_base_below_the_widest_value_is_refused() -> None:
    network = mlp()
    widest = 2 * bounds(network)["d2"]
    base, legs = decomposition(network, 10)
    assert base**legs > widest
    with pytest.raises(WouldOverflow) as caught:
        circuit(network, decomp_base=base // 2, decomp_legs=legs)
    assert caught.value.details["layer"] == "d2"
    assert caught.value.details["bits_needed"] == widest.bit_length()
    assert caught.value.details["bits_available"] == ((base // 2) ** legs).bit_length() - 1


def test_room_is_exclusive() -> None:
    """|v| < base^legs: a widest value of exactly base^legs does not fit."""
    # One feature of one bit, weights of 2 bits, no bias: logits within 1, differences within 2.
    network = Architecture(
        (1,), NumberFormat(1, False), 0, 2, 2, (Dense("d", ("input",), 1, 2, False),), "d"
    )
    assert 2 * bounds(network)["d"] == 2
    with pytest.raises(WouldOverflow):
        circuit(network, decomp_base=2, decomp_legs=1)
    circuit(network, decomp_base=3, decomp_legs=1)


def test_too_deep_a_network_names_layer_and_bits() -> None:
    layers: list[Dense | Relu] = [Dense("d0", ("input",), 2, 2, True)]
    for i in range(1, 8):
        layers += [Relu(f"r{i}", (f"d{i - 1}",), (2,)), Dense(f"d{i}", (f"r{i}",), 2, 2, True)]
    network = Architecture((2,), NumberFormat(8, False), 0, 8, 2, tuple(layers), "d7")
    with pytest.raises(WouldOverflow) as caught:
        decomposition(network, 10)
    error = caught.value
    assert error.details["layer"] == "d7"
    assert error.details["bits_needed"] == (2 * bounds(network)["d7"]).bit_length()
    assert error.details["bits_available"] == MAX_LEGS * 9
    assert "'d7'" in error.message and "sumcheck" in error.message


def test_max_pool_counts_the_difference() -> None:
    """max(a, b) = b + relu(a - b) decomposes a difference, one bit wider than the values."""
    image = (2, 1, 2)
    layers = (
        MaxPool("m", ("input",), image, (1, 2), (1, 1), (0,) * 4, (1, 1)),
        Flatten("f", ("m",), (2,)),
        Relu("r", ("f",), (2,)),
    )
    network = Architecture(image, NumberFormat(9, True), 0, 2, 2, layers, "r")
    # Values reach 256; the logits are positive, so only the pool's differences reach 512.
    assert decomposition(network, 12) == (1024, 1)
    with pytest.raises(WouldOverflow) as caught:
        circuit(network, k=12, decomp_base=512, decomp_legs=1)
    assert caught.value.details["layer"] == "m"


@pytest.mark.parametrize("k", [10, 11])
def test_a_format_must_leave_room_in_the_table(k: int) -> None:
    """2^bits + 1 consecutive values fill less than a column."""
    fits = k - 1
    circuit(mlp(input_format=NumberFormat(fits, False), weight_bits=2), k=k)
    circuit(mlp(input_format=NumberFormat(2, False), weight_bits=fits), k=k)
    with pytest.raises(WouldOverflow) as caught:
        circuit(mlp(input_format=NumberFormat(k, False), weight_bits=2), k=k)
    assert caught.value.details["layer"] == "input"
    with pytest.raises(WouldOverflow) as caught:
        circuit(mlp(input_format=NumberFormat(2, False), weight_bits=k), k=k)
    assert caught.value.details["layer"] == "weights"


def test_every_committed_tensor_fits_one_column() -> None:
    """A second column would carry values and no salt."""
    room = column_capacity(10)
    most = (room - 3) // 4
    circuit(shard_size=most)
    with pytest.raises(WouldOverflow) as caught:
        circuit(shard_size=most + 1)
    assert caught.value.details["layer"] == "features of a shard"
    one = mlp(features=1)
    circuit(one, shard_size=room - 3)
    with pytest.raises(WouldOverflow):
        circuit(one, shard_size=room - 2)
    weights = 4 * 5 + 5 + 5 * 3 + 3
    circuit(model_budget=room - weights - 1)
    with pytest.raises(WouldOverflow) as caught:
        circuit(model_budget=room - weights)
    assert caught.value.details["layer"] == "weights"
    assert "salts do not fit" in caught.value.message
