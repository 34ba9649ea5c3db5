import numpy as np
import pytest
from field_reference import horner

from circuits.encoding import json_digest
from circuits.errors import CorruptedArtefact, UnsafeConfiguration
from circuits.sumcheck.commitment import (
    commit,
    commit_proof,
    commitment_id,
    feature_rows,
    model_header,
    restore,
    shard_header,
)
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.ntt_code import interpolate
from circuits.sumcheck.params import Profile

SEED = bytes(range(32))
POSITIONS = np.array([0, 1, 100, 511], np.int64)
SHARD = {
    "kappa": 10,
    "a": 7,
    "samples": 100,
    "features": 20,
    "classes": 10,
    "groups": 3,
    "bits": 8,
    "signed": False,
    "exponent": -8,
    "budget": 3,
    "rows": 5,
}


def values(rows=3, kappa=6):
    rng = np.random.default_rng(rows)
    return rng.integers(0, MODULUS, (rows, 1 << kappa), dtype=np.uint64)


@pytest.mark.parametrize("rows", [3, 40])  # 40: in several parts when it is opened
def test_columns_are_the_rows_polynomials_at_the_points(rows, monkeypatch):
    monkeypatch.setattr("circuits.sumcheck.commitment._CHUNK_WORDS", 1)
    slots = values(rows)
    matrix = commit(slots, SEED)
    columns = matrix.open(POSITIONS).columns
    w = pow(7, (MODULUS - 1) // 64, MODULUS)
    w_long = pow(7, (MODULUS - 1) // 512, MODULUS)
    polynomials = interpolate(slots, matrix.tail).tolist()
    for row in (0, rows - 1):
        assert len(polynomials[row]) == 96
        for s in (0, 1, 63):
            assert horner(polynomials[row], pow(w, s, MODULUS)).c0 == slots[row, s]
        for j, column in zip(POSITIONS.tolist(), columns.tolist(), strict=True):
            point = 7 * pow(w_long, j, MODULUS) % MODULUS
            assert horner(polynomials[row], point).c0 == column[row]


def test_owners_matrix_can_be_made_again():
    matrix = commit(values(), SEED)
    again = commit(values(), SEED)
    restored = restore(values(), SEED, matrix.leaves)
    assert matrix.root == again.root == restored.root
    for opening in (again.open(POSITIONS), restored.open(POSITIONS)):
        for part in ("salts", "columns", "nodes"):
            assert np.array_equal(getattr(opening, part), getattr(matrix.open(POSITIONS), part))


@pytest.mark.parametrize("changed", ["value", "seed", "leaf"])
def test_matrix_restored_from_other_secrets_does_not_open(changed):
    slots, seed, leaves = values(), SEED, commit(values(), SEED).leaves.copy()
    if changed == "value":
        slots[2, 63] ^= np.uint64(1)
    if changed == "seed":
        seed = bytes(32)
    if changed == "leaf":
        leaves[POSITIONS[2], 0] ^= 1
    restored = restore(slots, seed, leaves)
    with pytest.raises(CorruptedArtefact):
        restored.open(POSITIONS)


def test_leaves_of_another_profile_are_refused():
    leaves = commit(values(), SEED).leaves
    with pytest.raises(CorruptedArtefact):
        restore(values(kappa=7), SEED, leaves)


def test_one_seed_for_two_matrices_gives_them_nothing_in_common():
    one, two = values(), values()
    two[0, 0] ^= np.uint64(1)
    first, second = commit(one, SEED), commit(two, SEED)
    assert not np.any(first.tail == second.tail)
    salts = [matrix.open(POSITIONS).salts for matrix in (first, second)]
    assert not np.array_equal(*salts)


def test_secrets_are_not_shown():
    matrix = commit(values(), SEED)
    assert repr(matrix) == f"<Matrix of 3 rows under {matrix.root.hex()}>"


@pytest.mark.parametrize(
    "slots",
    [
        np.full((1, 64), MODULUS, np.uint64),
        np.zeros((1, 64), np.int64),
        np.zeros(64, np.uint64),
        np.zeros((1, 96), np.uint64),
    ],
)
def test_other_values_are_refused(slots):
    with pytest.raises(ValueError, match=r"matrix|row"):
        commit(slots, SEED)


def test_proof_matrix_ends_in_masks():
    slots = values(9)
    matrix = commit_proof(slots.copy())
    assert matrix.rows == 9
    assert np.array_equal(matrix.values[:3], slots[:3])
    assert not np.any(matrix.values[3:] == slots[3:])
    for row in (5, 6):  # a0, a1
        assert sum(matrix.values[row].tolist()) % MODULUS == 0
    polynomials = interpolate(matrix.values, matrix.tail)
    assert polynomials[7:, -1].tolist() == [0, 0]  # b0, b1
    assert np.all(polynomials[:7, -1] != 0)
    # All else is uniform: with any bias to speak of, some value would come up twice.
    drawn = [*matrix.tail[:, :-1].reshape(-1), *matrix.values[3:].reshape(-1)]
    assert len(set(drawn)) == len(drawn)


def test_proof_matrix_is_a_new_one_every_time():
    one, two = commit_proof(values(9)), commit_proof(values(9))
    assert one.root != two.root
    assert not np.any(one.tail[:, :-1] == two.tail[:, :-1])


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (16, 1), (17, 2), (32, 2)])
def test_features_fill_rows(count, rows):
    features = np.arange(-count * 2, count * 2).reshape(count, 4)
    found = feature_rows(features, Profile(6))
    assert found.shape == (rows, 64)
    flat = found.reshape(-1).tolist()
    assert flat[: count * 4] == [v % MODULUS for v in features.reshape(-1).tolist()]
    assert not any(flat[count * 4 :])


def test_field_elements_are_features_too():
    features = np.full((64, 1), MODULUS - 1, np.uint64)
    assert feature_rows(features, Profile(6)).tolist() == [[MODULUS - 1] * 64]


def test_headers_and_id():
    assert shard_header(**SHARD) == {"kind": "shard", **SHARD}
    model = {"kappa": 9, "architecture": "ab" * 32, "budget": 1, "rows": 4}
    assert model_header(**model) == {"kind": "model", **model}
    header = model_header(**model)
    expected = json_digest("commitment", {"header": header, "root": "cd" * 32})
    assert commitment_id(header, bytes.fromhex("cd" * 32)) == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"kappa": 5},
        {"kappa": 9},  # hides one opening, and a shard needs two
        {"a": 11},
        {"a": -1},
        {"a": 6},
        {"samples": 0},
        {"samples": 129},
        {"budget": 1},
        {"budget": 4},
        {"rows": 4},
        {"rows": 6},
        {"features": 40},
    ],
)
def test_impossible_shards_are_refused(changed):
    with pytest.raises(UnsafeConfiguration):
        shard_header(**{**SHARD, **changed})


@pytest.mark.parametrize(("kappa", "budget"), [(8, 1), (9, 0), (9, 2), (19, 1)])
def test_impossible_models_are_refused(kappa, budget):
    with pytest.raises(UnsafeConfiguration):
        model_header(kappa=kappa, architecture="ab" * 32, budget=budget, rows=1)
