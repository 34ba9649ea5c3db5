"""The circuit artefact, the committed model, and the details of a bundle."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuits import artefact_files
from circuits.encoding import canonical_json, json_digest
from circuits.errors import (
    CorruptedArtefact,
    InputError,
    UnsafeConfiguration,
    UnsupportedOperator,
    WrongVersion,
)
from circuits.layers import Relu
from circuits.network import Architecture, Dense, NumberFormat, Requantise, parameter_shapes
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.details import Details
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.model import ModelCommitment, ModelOpening, commit_model, model_rows
from circuits.sumcheck.outputs import parse_outputs, total
from circuits.sumcheck.params import Profile
from circuits.sumcheck.public import Outputs
from circuits.weights import Weights
from circuits.weights_file import load_weights, save_weights

KAPPA = 10
GOLDEN = "0c20a639c3f8d9850f90b6de14c33702e16667e187b29a3bc86ef39c6d857708"


def architecture(*, hidden: int = 5, bias: bool = True) -> Architecture:
    layers = (
        Dense("d1", ("input",), 4, hidden, True),
        Requantise("r1", ("d1",), (hidden,), 4, NumberFormat(4, False)),
        Dense("d2", ("r1",), hidden, 3, bias),
    )
    return Architecture((4,), NumberFormat(4, False), 0, 4, 3, layers, "d2")


CIRCUIT = Circuit(architecture(), 4, KAPPA, True, False, True, 2)


def weights(of: Architecture, seed: int = 0) -> Weights:
    rng = np.random.default_rng(seed)
    shapes = parameter_shapes(of)
    return Weights(of, {name: rng.integers(-7, 8, shape) for name, shape in shapes.items()})


# --- the circuit


def test_circuit_round_trips_and_spells_out_what_is_fixed() -> None:
    assert Circuit.decode(CIRCUIT.encode()) == CIRCUIT
    value = json.loads(CIRCUIT.encode())
    assert (value["backend"], value["protocol"], value["tie_rule"]) == ("sumcheck", 1, "first")
    assert CIRCUIT.digest == json_digest("circuit", value)
    assert artefact_files.decode_circuit(CIRCUIT.encode()) == CIRCUIT


def test_the_digest_changes_only_with_the_version() -> None:
    """If this fails, artefacts of another form have the same version: raise it."""
    assert CIRCUIT.digest == GOLDEN


def test_the_relation_follows_from_the_circuit() -> None:
    relation = CIRCUIT.relation
    assert (relation.a, relation.profile.kappa, relation.shard.groups) == (2, KAPPA, 2)
    assert (relation.metrics.per_class, relation.metrics.groups) == (True, 2)
    assert replace(CIRCUIT, per_group=False).relation.metrics.groups == 0
    assert relation.security.bits > 96


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": architecture(hidden=6)}, {"shard_size": 8}, {"kappa": 11},
        {"per_class": False}, {"confusion": True}, {"per_group": False}, {"groups": 3},
    ],
)  # fmt: skip
def test_digest_binds_every_field(change: dict[str, Any]) -> None:
    assert replace(CIRCUIT, **change).digest != CIRCUIT.digest


@pytest.mark.parametrize(
    "change",
    [
        {"shard_size": 3}, {"shard_size": 0}, {"shard_size": -4}, {"shard_size": 2048},
        {"kappa": 5}, {"kappa": 19}, {"kappa": -3}, {"kappa": 10**9}, {"groups": -1},
        {"groups": 257}, {"groups": 0}, {"groups": True}, {"per_class": 1}, {"kappa": 10.0},
        {"architecture": {}}, {"architecture": None}, {"magic": "zkpot-model"}, {"extra": 1},
        {"tie_rule": "strict"}, {"tie_rule": ...}, {"per_group": ...}, {"confusion": None},
    ],
)  # fmt: skip
def test_malformed_circuit_is_refused(change: dict[str, Any]) -> None:
    value = {**CIRCUIT.to_dict(), **change}
    with pytest.raises(CorruptedArtefact):
        Circuit.from_dict({name: item for name, item in value.items() if item is not ...})


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"version": True}, {"protocol": 2}, {"protocol": "1"}, {"backend": "halo2"}],
)
def test_other_versions_are_named(change: dict[str, Any]) -> None:
    with pytest.raises(WrongVersion, match=next(iter(change))):
        Circuit.from_dict({**CIRCUIT.to_dict(), **change})


def test_a_backend_there_is_not() -> None:
    with pytest.raises(WrongVersion, match="plonk"):
        artefact_files.decode_circuit(canonical_json({**CIRCUIT.to_dict(), "backend": "plonk"}))
    with pytest.raises(CorruptedArtefact, match="no circuit file"):
        artefact_files.decode_circuit(b"[]")


def test_what_cannot_be_proven_is_named_by_layer() -> None:
    layers = (
        Dense("d1", ("input",), 4, 5, True),
        Relu("relu", ("d1",), (5,)),
        Dense("d2", ("relu",), 5, 3, True),
    )
    raw = Architecture((4,), NumberFormat(4, False), 0, 4, 3, layers, "d2")
    with pytest.raises(UnsupportedOperator, match="'relu'"):
        _ = replace(CIRCUIT, architecture=raw).relation


# --- the model


def test_model_rows_are_weights_then_biases_in_new_rows() -> None:
    """docs/protocol.md, 3.6, spelled out."""
    arch = architecture()
    values = weights(arch)
    rows = model_rows(arch, values, KAPPA)
    assert rows.shape == (2, 1 << KAPPA)
    flat = [*values["d1.weight"].ravel(), *values["d2.weight"].ravel()]
    assert rows[0, :35].tolist() == [int(v) % MODULUS for v in flat]
    biases = [*values["d1.bias"], *values["d2.bias"]]
    assert rows[1, :8].tolist() == [int(v) % MODULUS for v in biases]
    assert not rows[0, 35:].any()
    assert not rows[1, 8:].any()


def test_the_model_id_binds_the_header() -> None:
    """docs/protocol.md, 3.4, spelled out."""
    commitment, opening = commit_model(CIRCUIT, weights(CIRCUIT.architecture), budget=2)
    header = {"kind": "model", "kappa": KAPPA, "architecture": CIRCUIT.architecture.digest,
              "budget": 2, "rows": 2}  # fmt: skip
    assert (
        commitment.model_id
        == opening.model
        == json_digest("commitment", {"header": header, "root": commitment.root})
    )
    assert opening.matrix().root.hex() == commitment.root
    again, _ = commit_model(CIRCUIT, weights(CIRCUIT.architecture), budget=2)
    assert again.root != commitment.root, "a commitment to the same weights must not show it"


@pytest.mark.parametrize("budget", [0, 4])
def test_budget_of_a_model(budget: int) -> None:
    with pytest.raises(InputError, match="1 to 3 times"):
        commit_model(CIRCUIT, weights(CIRCUIT.architecture), budget=budget)
    assert commit_model(CIRCUIT, weights(CIRCUIT.architecture))[0].budget == 3


def test_model_files(tmp_path: Path) -> None:
    commitment, opening = commit_model(CIRCUIT, weights(CIRCUIT.architecture))
    commitment.save(tmp_path / "model.json")
    opening.save(tmp_path / "model.secret")
    assert artefact_files.load_model(tmp_path / "model.json") == commitment
    again = artefact_files.load_model_secret(tmp_path / "model.secret")
    assert isinstance(again, ModelOpening)
    assert again.matrix().root.hex() == commitment.root
    assert stat.S_IMODE((tmp_path / "model.secret").stat().st_mode) == 0o600
    assert opening.seed.hex() not in repr(opening) + repr(commitment)


MODEL = commit_model(CIRCUIT, weights(CIRCUIT.architecture))[0].to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"backend": "halo2"}, {"architecture": "ab"}, {"root": "AB" * 32}, {"kappa": 9},
        {"kappa": 5}, {"kappa": 19}, {"kappa": True}, {"budget": 0}, {"budget": 4}, {"rows": 0},
        {"rows": "2"}, {"extra": 1}, {"root": ...}, {"root": "ab" * 32}, {"rows": 3},
        {"id": "ab" * 32}, {"id": ...},
    ],
)  # fmt: skip
def test_malformed_model_is_refused(change: dict[str, Any]) -> None:
    value = {**MODEL, **change}
    with pytest.raises((CorruptedArtefact, UnsafeConfiguration)):
        ModelCommitment.from_dict({k: v for k, v in value.items() if v is not ...})


@pytest.mark.parametrize(
    "change",
    [
        {"backend": "halo2"}, {"seed": "ab"}, {"seed": ...}, {"values": "!"}, {"kappa": "10"},
        {"architecture": {}}, {"magic": "zkpot-weights"}, {"salts": []},
    ],
)  # fmt: skip
def test_malformed_model_secret_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "model.secret"
    commit_model(CIRCUIT, weights(CIRCUIT.architecture))[1].save(path)
    value = {**json.loads(path.read_bytes()), **change}
    path.write_bytes(canonical_json({k: v for k, v in value.items() if v is not ...}))
    with pytest.raises(CorruptedArtefact):
        artefact_files.load_model_secret(path)


def test_weights_of_a_network_without_biases(tmp_path: Path) -> None:
    arch = architecture(bias=False)
    save_weights(tmp_path / "w", arch, weights(arch))
    found, values = load_weights(tmp_path / "w")
    assert found == arch
    assert model_rows(arch, values, KAPPA).shape[0] == 2


# --- counts and details

OUTPUTS = Outputs(3, ((2, 3), (1, 2)), ((2, 1), (1, 1)), ((3, 5),))


def test_counts_are_summed_table_by_table() -> None:
    other = Outputs(1, ((0, 1), (1, 1)), ((0, 1), (0, 1)), ((1, 2),))
    assert total([OUTPUTS, other]) == Outputs(4, ((2, 4), (2, 3)), ((2, 2), (1, 2)), ((4, 7),))
    assert total([Outputs(2), Outputs(3)]) == Outputs(5)


def test_counts_round_trip() -> None:
    for outputs in (OUTPUTS, Outputs(0)):
        assert parse_outputs(json.loads(canonical_json(outputs.to_dict()))) == outputs


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(correct=True), lambda v: v.update(correct="3"),
        lambda v: v.update(correct=-1), lambda v: v.pop("correct"), lambda v: v.update(extra=1),
        lambda v: v.update(groups=[]), lambda v: v.update(groups=5),
        lambda v: v.update(groups=[5]), lambda v: v.update(groups=[[True, 5]]),
        lambda v: v.update(per_class=[[2.0, 3], [1, 2]]), lambda v: v.update(confusion=None),
        lambda v: v.update(confusion={"2": 1}), lambda v: v.update(groups=[["3", 5]]),
    ],
)  # fmt: skip
def test_malformed_counts_are_refused(change: Callable[[dict[str, Any]], object]) -> None:
    value = OUTPUTS.to_dict()
    change(value)
    with pytest.raises(CorruptedArtefact):
        parse_outputs(value)


def test_details_round_trip_and_have_no_other_form() -> None:
    details = Details(ModelCommitment.from_dict(MODEL), (OUTPUTS, Outputs(1)))
    value = details.to_dict()
    assert Details.from_dict(json.loads(canonical_json(value))) == details
    for change in ({"model": {}}, {"outputs": {}}, {"outputs": [5]}, {"srs_insecure": False},
                   {"model": {**MODEL, "note": 1}}):  # fmt: skip
        with pytest.raises(CorruptedArtefact):
            Details.from_dict({**value, **change})


def test_the_profile_decides_how_often_a_model_is_opened() -> None:
    assert Profile(KAPPA).max_openings == 3
