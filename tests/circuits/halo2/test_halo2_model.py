"""A committed model: what is published, what stays secret, and what does not fit together."""

from __future__ import annotations

import base64
import json
import random
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuits import artefact
from circuits.bundle import Bundle
from circuits.encoding import canonical_json
from circuits.errors import (
    CorruptedArtefact,
    MissingArtefact,
    ShapeMismatch,
    SrsInvalid,
    WouldOverflow,
    WrongVersion,
    ZkpotError,
)
from circuits.halo2.match import require_model, require_testset
from circuits.halo2.model import (
    ModelCommitment,
    ModelOpening,
    commit_model,
    model_id,
    weight_vector,
)
from circuits.halo2.proof import FIELD_ORDER, commitments
from circuits.network import NumberFormat
from circuits.weights import Weights
from circuits.weights_file import load_weights, save_weights
from tests.circuits.halo2.halo2_world import World, mlp, random_weights

pytestmark = pytest.mark.ezkl


def seeded(seed: int) -> Any:
    return random.Random(seed).randrange  # noqa: S311 - repeatable on purpose


def commit(tiny: World, seed: int, **fields: Any) -> tuple[ModelCommitment, ModelOpening]:
    circuit = replace(tiny.circuit, **fields)
    return commit_model(
        circuit, tiny.weights, tiny.srs.path, srs_insecure=True, randbelow=seeded(seed)
    )


# --- the commitment


def test_it_is_the_one_in_every_proof(tiny: World, tiny_bundle: Bundle) -> None:
    assert len(tiny_bundle.proofs) == 3
    for proof in tiny_bundle.proofs:
        assert commitments(proof)[2].hex() == tiny.commitment.commitment
    assert tiny_bundle.statement.model == tiny.commitment.model_id == tiny.model.model


def test_salts_hide_and_are_one_more_than_the_budget(tiny: World) -> None:
    first, opening = commit(tiny, 1)
    again, _ = commit(tiny, 1)
    other, _ = commit(tiny, 2)
    assert first == again
    assert first.commitment != other.commitment and first.model_id != other.model_id
    assert len(opening.salts) == tiny.circuit.model_budget + 1
    assert len(set(opening.salts)) == len(opening.salts)
    assert opening.vector()[: -len(opening.salts)] == weight_vector(
        tiny.circuit.architecture, tiny.weights
    )
    assert len(commit(tiny, 1, model_budget=9)[1].salts) == 10


def test_salts_come_from_the_whole_field(tiny: World) -> None:
    asked = []

    def randbelow(limit: int) -> int:
        asked.append(limit)
        return limit - 1

    commit_model(tiny.circuit, tiny.weights, tiny.srs.path, srs_insecure=True, randbelow=randbelow)
    assert asked == [FIELD_ORDER] * (tiny.circuit.model_budget + 1)


def test_default_salts_are_fresh(tiny: World) -> None:
    one, two = (
        commit_model(tiny.circuit, tiny.weights, tiny.srs.path, srs_insecure=True)[1]
        for _ in range(2)
    )
    assert set(one.salts).isdisjoint(two.salts)


def test_one_weight_changes_the_commitment(tiny: World) -> None:
    arrays = {name: array.copy() for name, array in tiny.weights.items()}
    arrays["d2.bias"][0] += 1 if arrays["d2.bias"][0] <= 0 else -1
    other, _ = commit_model(
        tiny.circuit, Weights(tiny.circuit.architecture, arrays), tiny.srs.path,
        srs_insecure=True, randbelow=seeded(1),
    )  # fmt: skip
    assert other.commitment != commit(tiny, 1)[0].commitment


def test_name_binds_k_and_srs() -> None:
    point = bytes(64)
    names = {model_id(point, k, srs) for k in (10, 11) for srs in ("aa" * 32, "bb" * 32)}
    assert len(names) == 4


def test_srs_of_another_circuit_is_refused(tiny: World, tmp_path: Path) -> None:
    """A commitment under another SRS than the circuit's opens nothing and is found out late."""
    data = bytearray(tiny.srs.path.read_bytes())
    data[-1] ^= 1  # in the half that a commitment does not read
    other = tmp_path / "other.srs"
    other.write_bytes(data)
    with pytest.raises(SrsInvalid):
        commit_model(tiny.circuit, tiny.weights, other, srs_insecure=True)


# --- files


def test_public_file_round_trip(tiny: World, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    tiny.commitment.save(path)
    assert ModelCommitment.load(path) == tiny.commitment
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert not any(f"{salt:064x}" in path.read_text() for salt in tiny.model.salts)


def test_secret_file_round_trip(tiny: World, tmp_path: Path) -> None:
    path = tmp_path / "model.secret"
    tiny.model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = ModelOpening.load(path)
    assert (found.model, found.architecture, found.salts) == (
        tiny.model.model, tiny.model.architecture, tiny.model.salts,
    )  # fmt: skip
    assert found.vector() == tiny.model.vector()


def test_secret_file_replaces_a_readable_one(tiny: World, tmp_path: Path) -> None:
    path = tmp_path / "model.secret"
    path.write_text("old")
    path.chmod(0o666)
    tiny.model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_weights_file_round_trip(tiny: World, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    save_weights(path, tiny.circuit.architecture, tiny.weights)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    architecture, weights = load_weights(path)
    assert architecture == tiny.circuit.architecture
    assert all((weights[name] == tiny.weights[name]).all() for name in tiny.weights)


def test_widest_values_survive_the_file(tmp_path: Path) -> None:
    architecture = mlp(input_format=NumberFormat(20, True), weight_bits=20)
    weights = random_weights(architecture, np.random.default_rng(0))
    save_weights(tmp_path / "w", architecture, weights)
    _, found = load_weights(tmp_path / "w")
    assert (found.flatten() == weights.flatten()).all()
    assert int(np.abs(found.flatten()).max()) > 1 << 32


def test_repr_and_str_hide_everything(tiny: World) -> None:
    for text in (repr(tiny.model), str(tiny.model), f"{tiny.job()}"):
        for salt in tiny.model.salts:
            assert str(salt) not in text and f"{salt:x}" not in text
        assert "array" not in text and "salts" not in text


def test_loaded_openings_can_be_compared(tiny: World, tmp_path: Path) -> None:
    tiny.model.save(tmp_path / "secret")
    one, two = (ModelOpening.load(tmp_path / "secret") for _ in range(2))
    assert (one == two) in (True, False)


@pytest.mark.parametrize("load", [ModelCommitment.load, ModelOpening.load, load_weights])
def test_missing_file_is_named(load: Any, tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match="absent"):
        load(tmp_path / "absent")
    with pytest.raises(MissingArtefact):
        load(tmp_path)


def tampered(path: Path, **fields: Any) -> Path:
    value = json.loads(path.read_bytes())
    for name, item in fields.items():
        if item is None:
            value.pop(name)
        else:
            value[name] = item
    path.write_bytes(canonical_json(value))
    return path


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"magic": "zkpot-model-secret"}, CorruptedArtefact),
        ({"magic": None}, CorruptedArtefact),
        ({"version": 2}, WrongVersion),
        ({"version": None}, WrongVersion),
        ({"backend": "sumcheck"}, CorruptedArtefact),
        ({"extra": 1}, CorruptedArtefact),
        ({"budget": None}, CorruptedArtefact),
        ({"budget": "6"}, CorruptedArtefact),
        ({"k": True}, CorruptedArtefact),
        ({"srs_insecure": 1}, CorruptedArtefact),
        ({"commitment": "ab" * 63}, CorruptedArtefact),
        ({"commitment": "AB" * 64}, CorruptedArtefact),
        ({"architecture": "ab" * 31}, CorruptedArtefact),
        ({"srs": "x" * 64}, CorruptedArtefact),
    ],
)
def test_tampered_public_file(
    tiny: World, tmp_path: Path, change: dict[str, Any], error: type[ZkpotError]
) -> None:
    path = tmp_path / "model.json"
    tiny.commitment.save(path)
    with pytest.raises(error):
        ModelCommitment.load(tampered(path, **change))


def test_public_file_has_a_size_limit(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_bytes(b" " * ((1 << 16) + 1))
    with pytest.raises(CorruptedArtefact, match="larger than"):
        ModelCommitment.load(path)


def packed(values: list[int]) -> str:
    return base64.b64encode(np.array(values, "<i8").tobytes()).decode()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"magic": "zkpot-weights"}, CorruptedArtefact),
        ({"version": 0}, WrongVersion),
        ({"salts": None}, CorruptedArtefact),
        ({"salts": ["ab" * 31]}, CorruptedArtefact),
        ({"salts": [5]}, CorruptedArtefact),
        ({"salts": [f"{FIELD_ORDER:064x}"]}, CorruptedArtefact),
        ({"salts": "ab" * 32}, CorruptedArtefact),
        ({"values": "###"}, CorruptedArtefact),
        ({"values": "AAAA"}, CorruptedArtefact),
        ({"values": ""}, CorruptedArtefact),
        ({"values": "ü"}, CorruptedArtefact),
        ({"values": packed([0] * 42)}, CorruptedArtefact),
        ({"values": packed([8] + [0] * 42)}, WouldOverflow),
        ({"values": packed([-(2**63)] + [0] * 42)}, WouldOverflow),
        ({"architecture": {}}, CorruptedArtefact),
        ({"architecture": mlp(hidden=4).to_dict()}, CorruptedArtefact),
    ],
)
def test_tampered_secret_file(
    tiny: World, tmp_path: Path, change: dict[str, Any], error: type[ZkpotError]
) -> None:
    path = tmp_path / "model.secret"
    tiny.model.save(path)
    with pytest.raises(error):
        ModelOpening.load(tampered(path, **change))


def test_errors_about_secrets_hold_no_value(tiny: World, tmp_path: Path) -> None:
    path = tmp_path / "model.secret"
    tiny.model.save(path)
    first = f"{tiny.model.salts[0]:064x}"
    for change in ({"salts": [first, "00" * 31]}, {"values": "AAAA"}, {"values": packed([3])}):
        with pytest.raises(CorruptedArtefact) as caught:
            ModelOpening.load(tampered(path, **change))
        assert first not in str(caught.value.to_dict())
        tiny.model.save(path)


def test_a_kind_is_not_taken_for_another(tiny: World, tmp_path: Path) -> None:
    tiny.commitment.save(tmp_path / "public")
    tiny.model.save(tmp_path / "secret")
    with pytest.raises(CorruptedArtefact, match="zkpot-model-secret"):
        ModelCommitment.load(tmp_path / "secret")
    with pytest.raises(CorruptedArtefact, match="zkpot-model"):
        ModelOpening.load(tmp_path / "public")
    assert artefact.load(tmp_path / "public", "model", 1, dict(_types(tiny)))


def _types(tiny: World) -> dict[str, type]:
    return {"backend": str, **{name: type(v) for name, v in vars(tiny.commitment).items()}}


# --- does it belong together


def test_what_belongs_together_passes(tiny: World) -> None:
    require_testset(tiny.circuit, tiny.manifest)
    require_model(tiny.circuit, tiny.commitment)
    require_model(tiny.circuit, tiny.model)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"k": 11}, "k is 11"),
        ({"srs": "cd" * 32}, "SRS"),
        ({"shard_size": 2}, "shard size is 2"),
        ({"testset_budget": 3}, "opening budget is 3"),
        ({"architecture": mlp(features=3)}, "feature shape"),
        ({"architecture": mlp(classes=2)}, "number of classes is 2"),
        ({"architecture": mlp(input_format=NumberFormat(4, True))}, "input format"),
        ({"architecture": replace(mlp(), input_exponent=1)}, "input exponent is 1"),
    ],
)
def test_circuit_for_another_test_set(tiny: World, change: dict[str, Any], name: str) -> None:
    with pytest.raises(ShapeMismatch, match=f"not compiled for this test set: {name}"):
        require_testset(replace(tiny.circuit, **change), tiny.manifest)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"architecture": mlp(hidden=4)}, "architecture"),
        ({"k": 11}, "k is 11"),
        ({"srs": "cd" * 32}, "SRS"),
        ({"model_budget": 5}, "opening budget is 5"),
    ],
)
def test_circuit_for_another_model(tiny: World, change: dict[str, Any], name: str) -> None:
    circuit = replace(tiny.circuit, **change)
    with pytest.raises(ShapeMismatch, match=f"not committed for this circuit: {name}"):
        require_model(circuit, tiny.commitment)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"architecture": mlp(hidden=4)}, "architecture"), ({"model_budget": 7}, "opening budget")],
)
def test_circuit_for_another_secret(tiny: World, change: dict[str, Any], name: str) -> None:
    with pytest.raises(ShapeMismatch, match=name):
        require_model(replace(tiny.circuit, **change), tiny.model)
