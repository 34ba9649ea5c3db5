"""Commitments to a test set: exact integers, honest padding, and nothing that opens falsely."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import stat
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from circuits import merkle
from circuits.datasets import Dataset
from circuits.encoding import canonical_json
from circuits.errors import (
    CorruptedArtefact,
    InputError,
    MissingArtefact,
    ShapeMismatch,
    WouldOverflow,
    WrongVersion,
)
from circuits.halo2.testset import SCALAR_FIELD, Halo2Commit
from circuits.testset import (
    MAX_BUDGET,
    MAX_EXPONENT,
    MAX_INPUT_BITS,
    Manifest,
    NumberFormat,
    Opening,
    choose_format,
    commit_testset,
    quantise,
)

SRS = "ab" * 32


def committer(values: Sequence[int]) -> bytes:
    """Stand in for KZG: binding, deterministic, 64 bytes, and as strict about its input."""
    assert all(type(v) is int and 0 <= v < SCALAR_FIELD for v in values)
    return hashlib.sha512(b"".join(v.to_bytes(32, "big") for v in values)).digest()


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable on purpose


def example(samples: int = 7, shape: tuple[int, ...] = (3,)) -> Dataset:
    rng = np.random.default_rng(samples)
    return Dataset.of(rng.normal(size=(samples, *shape)), np.arange(samples) % 4, classes=4)


def commit(dataset: Dataset | None = None, **options: Any) -> tuple[Manifest, Opening]:
    settings: dict[str, Any] = {
        "committer": committer,
        "srs": SRS,
        "k": 15,
        "srs_insecure": True,
        "shard_size": 3,
        "budget": 2,
        "randbelow": seeded(1).randrange,
    }
    how = {name: options.pop(name, value) for name, value in settings.items()}
    return commit_testset(dataset or example(), [Halo2Commit(**how)], **options)


def check(opening: Opening, manifest: Manifest) -> None:
    """Check all of an opening, as a prover does."""
    opening.check(manifest)
    opening.halo2.check(manifest.halo2, committer)


def with_part(manifest: Manifest, **changes: Any) -> Manifest:
    return dataclasses.replace(manifest, parts=(dataclasses.replace(manifest.halo2, **changes),))


def with_samples(opening: Opening, **changes: Any) -> Opening:
    """Return an opening of other samples, with the same salts."""
    samples = dataclasses.replace(opening.samples, **changes)
    halo2 = dataclasses.replace(opening.halo2, content=samples)
    return dataclasses.replace(opening, samples=samples, parts=(halo2,))


def with_salts(opening: Opening, **changes: Any) -> Opening:
    halo2 = dataclasses.replace(opening.halo2, **changes)
    return dataclasses.replace(opening, parts=(halo2,))


# --- features become integers

reals = st.floats(-1e6, 1e6, width=64)
matrices = hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=reals)


@given(x=matrices, bits=st.integers(2, MAX_INPUT_BITS))
def test_chosen_exponent_is_the_largest_that_clips_nothing(x: np.ndarray, bits: int) -> None:
    form, exponent = choose_format(x, bits)
    assert form == NumberFormat(bits, bool((x < 0).any()))
    whole = quantise(x, form, exponent)
    assert whole.dtype == np.int64
    assert form.low <= whole.min()
    assert whole.max() <= form.high
    if x.any() and exponent < MAX_EXPONENT:
        with pytest.raises(WouldOverflow):
            quantise(x, form, exponent + 1)


@given(x=matrices, bits=st.integers(2, MAX_INPUT_BITS))
def test_quantising_is_exact_with_halves_to_even(x: np.ndarray, bits: int) -> None:
    form, exponent = choose_format(x, bits)
    expected = [round(Fraction(v) * Fraction(2) ** exponent) for v in x.ravel().tolist()]
    assert quantise(x, form, exponent).ravel().tolist() == expected


def test_halves_round_to_even() -> None:
    x = np.array([[0.5, 1.5, 2.5, -0.5, -1.5]])
    assert quantise(x, NumberFormat(8, True), 0).tolist() == [[0, 2, 2, 0, -2]]


@pytest.mark.parametrize(
    ("x", "bits", "expected"),
    [
        ([[0.0, 1.0]], 8, (NumberFormat(8, False), 7)),
        ([[-1.0, 0.99]], 8, (NumberFormat(8, True), 7)),
        ([[-1.0, 1.0]], 8, (NumberFormat(8, True), 6)),
        ([[4254.0, 0.1]], 8, (NumberFormat(8, False), -5)),
        ([[0.0, -0.0]], 8, (NumberFormat(8, False), 0)),
        ([[1e-300, 0.0]], 8, (NumberFormat(8, False), MAX_EXPONENT)),
        ([[255.49]], 8, (NumberFormat(8, False), 0)),
        ([[255.5]], 8, (NumberFormat(8, False), -1)),
    ],
)
def test_formats_chosen(
    x: list[list[float]], bits: int, expected: tuple[NumberFormat, int]
) -> None:
    assert choose_format(np.array(x), bits) == expected


@pytest.mark.parametrize(
    ("value", "needed", "available", "options"),
    [
        (2.0, 9, 8, {"exponent": 7}),
        (255.6, 9, 8, {"exponent": 0}),
        (-129.0, 9, 8, {"exponent": 0}),
        (-256.0, 9, 8, {"exponent": 0}),
        (-0.001, 1, 8, {"exponent": 0, "signed": False}),
        (-0.25, 8, 8, {"signed": False}),
        (1e300, 933, 8, {}),
    ],
)
def test_a_feature_that_does_not_fit_is_never_clipped(
    value: float, needed: int, available: int, options: dict[str, Any]
) -> None:
    x = np.zeros((3, 2, 2))
    x[2, 1, 0] = value
    with pytest.raises(WouldOverflow, match=r"feature \[1, 0\] of row 2") as caught:
        choose_format(x, 8, **options)
    details = caught.value.details
    assert (details["row"], details["feature"]) == (2, [1, 0])
    assert (details["bits_needed"], details["bits_available"]) == (needed, available)


def test_formats_out_of_range() -> None:
    x = np.ones((1, 1))
    for bits in (0, MAX_INPUT_BITS + 1):
        with pytest.raises(InputError):
            choose_format(x, bits)
    for exponent in (-MAX_EXPONENT - 1, MAX_EXPONENT + 1):
        with pytest.raises(InputError):
            choose_format(x, 8, exponent=exponent)
    with pytest.raises(InputError):
        quantise(x, NumberFormat(60, False), 0)


# --- shards, salts and what is committed


def test_shards_in_order_with_padding_that_matches_no_class() -> None:
    dataset = example(7)
    manifest, opening = commit(dataset)
    whole = quantise(dataset.x, manifest.input_format, manifest.input_exponent)
    assert [(s.index, s.samples) for s in manifest.halo2.shards] == [(0, 3), (1, 3), (2, 1)]
    assert opening.halo2.shards == 3
    np.testing.assert_array_equal(opening.halo2.x_int(1), whole[3:6])
    assert opening.halo2.x_int(2).tolist() == [whole[6].tolist(), [0, 0, 0], [0, 0, 0]]
    assert opening.halo2.y(2).tolist() == [2, 4, 4]
    assert opening.halo2.x_int(2).dtype == opening.halo2.y(2).dtype == np.int64


def test_vectors_are_values_then_salts() -> None:
    manifest, opening = commit(example(4, shape=(2, 2)))
    values = [v % SCALAR_FIELD for v in opening.halo2.x_int(1).ravel().tolist()]
    assert opening.halo2.features_vector(1) == values + list(opening.halo2.salts[1].features)
    assert opening.halo2.labels_vector(1) == [3, 4, 4, *opening.halo2.salts[1].labels]
    assert len(opening.halo2.features_vector(1)) == 3 * 4 + manifest.halo2.budget + 1
    assert manifest.halo2.shards[1].features == committer(opening.halo2.features_vector(1)).hex()
    assert manifest.halo2.shards[1].labels == committer(opening.halo2.labels_vector(1)).hex()


@pytest.mark.parametrize("shard", [-1, 3])
def test_there_is_no_other_shard(shard: int) -> None:
    _, opening = commit()
    with pytest.raises(IndexError):
        opening.halo2.features_vector(shard)
    with pytest.raises(IndexError):
        opening.halo2.y(shard)


def test_every_tensor_has_its_own_salts_from_the_whole_field() -> None:
    asked: list[int] = []

    def randbelow(limit: int) -> int:
        asked.append(limit)
        return len(asked)

    _, opening = commit(budget=4, randbelow=randbelow)
    salts = [
        s for shard in opening.halo2.salts for part in (shard.features, shard.labels) for s in part
    ]
    assert len(salts) == len(set(salts)) == 3 * 2 * 5
    assert set(asked) == {SCALAR_FIELD}


def test_two_commitments_to_one_set_share_nothing() -> None:
    once, _ = commit_default_randomness()
    again, _ = commit_default_randomness()
    hexes = [h for m in (once, again) for s in m.halo2.shards for h in (s.features, s.labels)]
    assert len(set(hexes)) == len(hexes)
    assert once.testset_id != again.testset_id


def commit_default_randomness() -> tuple[Manifest, Opening]:
    return commit_testset(example(), [Halo2Commit(committer, SRS, 15, False, 3, 1)])


def test_shuffle_permutes_features_and_labels_together() -> None:
    dataset = Dataset.of([[float(i)] for i in range(20)], [i % 2 for i in range(20)])
    _, opening = commit(dataset, shuffle=seeded(5), exponent=0)
    assert sorted(opening.samples.features.ravel().tolist()) == list(range(20))
    assert opening.samples.features.ravel().tolist() != list(range(20))
    assert (opening.samples.features.ravel() % 2 == opening.samples.labels).all()
    _, again = commit(dataset, shuffle=seeded(5), exponent=0)
    assert again.samples.features.tolist() == opening.samples.features.tolist()


def test_rows_in_errors_are_those_of_the_data_not_of_the_shuffle() -> None:
    dataset = Dataset.of([[0.0]] * 9 + [[300.0]], [0, 1] * 5)
    with pytest.raises(WouldOverflow, match="row 9"):
        commit(dataset, shuffle=seeded(5), exponent=0)


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    commit(progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    "options",
    [
        {"budget": 0},
        {"budget": MAX_BUDGET + 1},
        {"shard_size": 0},
        {"shard_size": 10**12},
        {"k": 3},
        {"k": 0},
        {"k": 29},
        {"bits": 0},
    ],
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        commit(**options)


# --- the manifest


@given(
    samples=st.integers(1, 12),
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple),
    shard_size=st.integers(1, 13),
    budget=st.integers(1, 3),
    bits=st.integers(2, MAX_INPUT_BITS),
)
def test_round_trips_and_opening(
    samples: int, shape: tuple[int, ...], shard_size: int, budget: int, bits: int
) -> None:
    manifest, opening = commit(
        example(samples, shape), shard_size=shard_size, budget=budget, bits=bits
    )
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    again = Opening.from_bytes(opening.to_bytes())
    assert again.to_bytes() == opening.to_bytes()
    assert (again.halo2.budget, again.samples.shape) == (budget, shape)
    np.testing.assert_array_equal(again.samples.features, opening.samples.features)
    assert again.halo2.salts == opening.halo2.salts
    check(again, manifest)


def test_manifest_names_what_was_committed() -> None:
    manifest, _ = commit(k=16, srs_insecure=True)
    value = json.loads(manifest.to_bytes())
    assert (value["magic"], value["kind"], value["version"]) == ("zkpot", "testset", 2)
    assert (value["samples"], value["shape"], value["classes"]) == (7, [3], 4)
    assert value["groups"] == 0
    assert list(value["parts"]) == ["halo2"] == list(manifest.backends)
    part = value["parts"]["halo2"]
    assert (part["k"], part["srs"], part["srs_insecure"]) == (16, SRS, True)
    assert (part["shard_size"], part["budget"]) == (3, 2)
    assert (manifest.feature_count, manifest.proofs) == (3, 2)


def test_root_is_rfc_6962_over_the_canonical_entries() -> None:
    manifest, _ = commit()
    leaves = [merkle.leaf_hash(canonical_json(s.to_dict())) for s in manifest.halo2.shards]
    assert manifest.halo2.root == merkle.root(leaves).hex()


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 5},
        {"groups": 1},
        {"input_exponent": 3},
        {"input_format": NumberFormat(9, True)},
        {"shape": (1, 3)},
        {"part": {"budget": 3}},
        {"part": {"k": 16}},
        {"part": {"srs": "cd" * 32}},
        {"part": {"srs_insecure": False}},
    ],
)
def test_testset_id_binds_the_header(change: dict[str, Any]) -> None:
    manifest, _ = commit()
    part = change.pop("part", {})
    other = with_part(dataclasses.replace(manifest, **change), **part)
    assert other.halo2.root == manifest.halo2.root
    assert other.testset_id != manifest.testset_id
    assert other.digest != manifest.digest


def test_testset_id_binds_the_shards() -> None:
    manifest, _ = commit()
    first, second, third = manifest.halo2.shards
    other = with_part(
        manifest, shards=(first, dataclasses.replace(second, labels="00" * 64), third)
    )
    assert other.halo2.root != manifest.halo2.root
    assert other.testset_id != manifest.testset_id


def edited(manifest: Manifest, edit: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(manifest.to_bytes())
    edit(value)
    return canonical_json(value)


def half(value: dict[str, Any]) -> dict[str, Any]:
    part: dict[str, Any] = value["parts"]["halo2"]
    return part


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "more samples than shards hold": lambda v: v.update(samples=10),
    "fewer samples": lambda v: v.update(samples=6),
    "samples moved between shards": lambda v: (
        half(v)["shards"][0].update(samples=2),
        half(v)["shards"][2].update(samples=2),
    ),
    "shard dropped": lambda v: half(v)["shards"].pop(),
    "shard repeated": lambda v: half(v)["shards"].append(half(v)["shards"][-1]),
    "shards swapped": lambda v: half(v)["shards"].reverse(),
    "shard index true": lambda v: half(v)["shards"][1].update(index=True),
    "short commitment": lambda v: half(v)["shards"][0].update(features="00" * 63),
    "upper case commitment": lambda v: half(v)["shards"][0].update(labels="AB" * 64),
    "field added to a shard": lambda v: half(v)["shards"][0].update(note=""),
    "field missing in a shard": lambda v: half(v)["shards"][0].pop("labels"),
    "shards no list": lambda v: half(v).update(shards=3),
    "field added": lambda v: v.update(note=""),
    "field missing": lambda v: half(v).pop("k"),
    "input missing": lambda v: v.pop("input"),
    "input no object": lambda v: v.update(input=[8]),
    "field added to input": lambda v: v["input"].update(note=""),
    "bits as text": lambda v: v["input"].update(bits="8"),
    "no bits": lambda v: v["input"].update(bits=0),
    "many bits": lambda v: v["input"].update(bits=40),
    "sign as number": lambda v: v["input"].update(signed=1),
    "exponent too large": lambda v: v["input"].update(exponent=65),
    "unknown backend": lambda v: v["parts"].update(plonk=half(v)),
    "parts of another backend": lambda v: v["parts"].update(sumcheck=v["parts"].pop("halo2")),
    "no parts": lambda v: v.update(parts={}),
    "parts no object": lambda v: v.update(parts=[half(v)]),
    "part no object": lambda v: v["parts"].update(halo2=3),
    "field added to the part": lambda v: half(v).update(note=""),
    "groups as text": lambda v: v.update(groups="0"),
    "too many groups": lambda v: v.update(groups=257),
    "SRS digest cut": lambda v: half(v).update(srs="ab"),
    "SRS flag a number": lambda v: half(v).update(srs_insecure=1),
    "k too large": lambda v: half(v).update(k=29),
    "k too small for a shard": lambda v: half(v).update(k=3),
    "shape empty": lambda v: v.update(shape=[]),
    "shape with zero": lambda v: v.update(shape=[3, 0]),
    "shape enormous": lambda v: v.update(shape=[2**28]),
    "shape deep": lambda v: v.update(shape=[1] * 9),
    "shape no list": lambda v: v.update(shape=3),
    "one class": lambda v: v.update(classes=1),
    "classes as text": lambda v: v.update(classes="4"),
    "no budget": lambda v: half(v).update(budget=0),
    "no shard size": lambda v: half(v).update(shard_size=0),
    "another kind": lambda v: v.update(kind="model"),
    "another magic": lambda v: v.update(magic="other"),
    "version true": lambda v: v.update(version=True),
}


@pytest.mark.parametrize("name", EDITS)
def test_tampered_manifest_is_refused(name: str) -> None:
    manifest, _ = commit()
    with pytest.raises(CorruptedArtefact):
        Manifest.from_bytes(edited(manifest, EDITS[name]))


@pytest.mark.parametrize("version", [0, 1, 3, "2", None])
def test_manifest_of_another_version(version: object) -> None:
    manifest, _ = commit()
    with pytest.raises(WrongVersion):
        Manifest.from_bytes(edited(manifest, lambda v: v.update(version=version)))


def test_manifest_bytes_must_be_canonical() -> None:
    data = commit()[0].to_bytes()
    for wrong in (b"", b"[]", b"\xff", data + b"\n", data[:-1], json.dumps(json.loads(data))):
        with pytest.raises(CorruptedArtefact):
            Manifest.from_bytes(wrong if isinstance(wrong, bytes) else wrong.encode())


# --- the opening


def test_opening_shows_nothing_in_its_repr() -> None:
    _, opening = commit()
    assert repr(opening) == (f"Opening(manifest={opening.manifest_digest[:16]}, samples=7, halo2)")
    text = repr(opening) + repr(opening.halo2) + repr(opening.halo2.salts) + repr(opening.samples)
    for salts in opening.halo2.salts:
        assert not any(str(salt) in text for salt in (*salts.features, *salts.labels))


def test_opening_of_another_manifest() -> None:
    manifest, _ = commit()
    other, opening = commit(randbelow=seeded(2).randrange)
    with pytest.raises(CorruptedArtefact, match="belongs to manifest") as caught:
        check(opening, manifest)
    assert caught.value.details["expected"] == manifest.digest
    assert caught.value.details["found"] == other.digest


def change_feature(opening: Opening) -> Opening:
    features = opening.samples.features.copy()
    features[4, 1] ^= 1
    return with_samples(opening, features=features)


def change_label(opening: Opening) -> Opening:
    labels = opening.samples.labels.copy()
    labels[3] = (labels[3] + 1) % 4
    return with_samples(opening, labels=labels)


def change_salt(opening: Opening) -> Opening:
    first, second, third = opening.halo2.salts
    second = dataclasses.replace(second, labels=(*second.labels[:-1], second.labels[-1] ^ 1))
    return with_salts(opening, salts=(first, second, third))


@pytest.mark.parametrize(
    ("change", "tensor"),
    [(change_feature, "features"), (change_label, "labels"), (change_salt, "labels")],
)
def test_opening_that_does_not_open_names_the_shard(
    change: Callable[[Opening], Opening], tensor: str
) -> None:
    manifest, opening = commit()
    with pytest.raises(CorruptedArtefact, match=f"the {tensor} of shard 1") as caught:
        check(change(opening), manifest)
    assert caught.value.details["shard"] == 1
    assert caught.value.details["expected"] == getattr(manifest.halo2.shards[1], tensor)


def test_opening_must_have_the_sizes_of_its_manifest() -> None:
    manifest, opening = commit()
    shorter = tuple(
        dataclasses.replace(s, features=s.features[1:], labels=s.labels[1:])
        for s in opening.halo2.salts
    )
    for other in (
        with_samples(opening, classes=5),
        with_samples(opening, features=opening.samples.features.reshape(7, 3, 1)),
        with_samples(opening, group=opening.samples.labels, groups=4),
        with_salts(opening, salts=shorter),
        with_salts(opening, shard_size=4, salts=opening.halo2.salts[:2]),
    ):
        with pytest.raises(CorruptedArtefact, match="sizes"):
            check(other, manifest)


def test_opening_must_keep_to_the_input_format() -> None:
    manifest, opening = commit()
    features = opening.samples.features.copy()
    features[0, 0] = manifest.input_format.high + 1
    with pytest.raises(CorruptedArtefact, match="input format"):
        check(with_samples(opening, features=features), manifest)


def test_samples_refuse_parts_that_contradict_each_other() -> None:
    _, opening = commit()
    samples = opening.samples
    for change in (
        {"labels": samples.labels[:-1]},
        {"labels": samples.labels - 1},
        {"classes": 3},
        {"features": samples.labels},
        {"groups": 2},
        {"group": samples.labels},
        {"group": samples.labels, "groups": 3},
        {"group": samples.labels[:-1], "groups": 4},
    ):
        with pytest.raises(CorruptedArtefact):
            dataclasses.replace(samples, **change)


def test_opening_refuses_parts_that_contradict_each_other() -> None:
    _, opening = commit()
    salts = opening.halo2.salts
    for change in (
        {"salts": salts[:-1]},
        {"shard_size": 0},
        {"shard_size": 4},
        {"salts": (*salts[:2], dataclasses.replace(salts[2], labels=salts[2].labels[1:]))},
        {"salts": tuple(dataclasses.replace(s, features=(1,), labels=(1,)) for s in salts)},
        {"salts": (*salts[:2], dataclasses.replace(salts[2], labels=(SCALAR_FIELD, 1, 2)))},
        {"salts": (*salts[:2], dataclasses.replace(salts[2], labels=(-1, 1, 2)))},
    ):
        with pytest.raises(CorruptedArtefact):
            with_salts(opening, **change)


def test_there_is_no_part_of_another_backend() -> None:
    manifest, opening = commit()
    for asked in (manifest, opening):
        with pytest.raises(ShapeMismatch, match="for sumcheck"):
            _ = asked.sumcheck


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_changed_bit_of_an_opening_is_noticed(at: int, bit: int) -> None:
    manifest, opening = commit()
    data = bytearray(opening.to_bytes())
    data[at % len(data)] ^= 1 << bit
    with pytest.raises((CorruptedArtefact, WrongVersion)):
        check(Opening.from_bytes(bytes(data)), manifest)


@given(cut=st.integers(1, 2000))
def test_cut_or_longer_opening_is_noticed(cut: int) -> None:
    data = commit()[1].to_bytes()
    with pytest.raises(CorruptedArtefact):
        Opening.from_bytes(data[: max(0, len(data) - cut)])
    with pytest.raises(CorruptedArtefact, match="has digest"):
        Opening.from_bytes(data + bytes(cut))
    with pytest.raises(CorruptedArtefact, match="not what its header says"):
        Opening.from_bytes(summed(data[:-32] + bytes(cut)))


def test_damaged_opening_names_both_digests() -> None:
    data = bytearray(commit()[1].to_bytes())
    data[-1] ^= 1
    with pytest.raises(CorruptedArtefact, match="has digest") as caught:
        Opening.from_bytes(bytes(data))
    assert {"expected", "found"} <= caught.value.details.keys()


def rebuilt(opening: Opening, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the file with an edited header and with length and checksum made anew."""
    data = opening.to_bytes()[:-32]
    start = data.index(b"{")
    length = int.from_bytes(data[start - 4 : start], "big")
    header = json.loads(data[start : start + length])
    edit(header)
    text = canonical_json(header)
    return summed(data[: start - 4] + len(text).to_bytes(4, "big") + text + data[start + length :])


def summed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


HEADER_EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "field added": lambda h: h.update(note=1),
    "field missing": lambda h: h.pop("shape"),
    "digest cut": lambda h: h.update(manifest="ab"),
    "enormous samples": lambda h: h.update(samples=2**32),
    "samples true": lambda h: h.update(samples=True),
    "enormous shape": lambda h: h.update(shape=[2**31] * 8),
    "deep shape": lambda h: h.update(shape=[1] * 70),
    "shape no list": lambda h: h.update(shape="3"),
    "no shard size": lambda h: h["parts"]["halo2"].update(shard_size=0),
    "budget as text": lambda h: h["parts"]["halo2"].update(budget="2"),
    "field added to the part": lambda h: h["parts"]["halo2"].update(note=1),
    "bytes missing": lambda h: h["parts"]["halo2"].pop("bytes"),
    "no bytes": lambda h: h["parts"]["halo2"].update(bytes=0),
    "unknown part": lambda h: h.update(parts={"plonk": h["parts"]["halo2"]}),
    "parts no object": lambda h: h.update(parts=[]),
    "one class": lambda h: h.update(classes=1),
    "groups": lambda h: h.update(groups=1),
    "unknown type": lambda h: h.update(type="object"),
    "type no text": lambda h: h.update(type=["int8"]),
}


@pytest.mark.parametrize("name", HEADER_EDITS)
def test_tampered_opening_header_is_refused(name: str) -> None:
    _, opening = commit()
    with pytest.raises(CorruptedArtefact):
        Opening.from_bytes(rebuilt(opening, HEADER_EDITS[name]))


def test_reinterpreted_features_do_not_open_the_commitments() -> None:
    manifest, opening = commit(bits=9)
    wide = rebuilt(opening, lambda h: h.update(type="uint16"))
    with pytest.raises(CorruptedArtefact, match="input format"):
        check(Opening.from_bytes(wide), manifest)


def test_wider_type_than_needed_is_not_canonical() -> None:
    _, opening = commit()
    data = opening.to_bytes()[:-32]
    values = opening.samples.features.size
    payload = data[-(values + 4 * 7 + 3 * 2 * 3 * 32) :]
    wide = opening.samples.features.astype("<i2").tobytes() + payload[values:]

    def edit(header: dict[str, Any]) -> None:
        assert header["type"] == "int8"
        header.update(type="int16")

    with pytest.raises(CorruptedArtefact, match="canonical form"):
        Opening.from_bytes(summed(rebuilt(opening, edit)[: -len(payload) - 32] + wide))


def test_opening_of_another_version_or_kind() -> None:
    data = commit()[1].to_bytes()
    at = data.index(b"\n") + 4
    with pytest.raises(WrongVersion):
        Opening.from_bytes(data[:at] + b"\x01" + data[at + 1 :])
    with pytest.raises(CorruptedArtefact, match="another kind"):
        Opening.from_bytes(commit()[0].to_bytes())
    with pytest.raises(CorruptedArtefact, match="its header has 4294967295 bytes"):
        Opening.from_bytes(data[: at + 1] + b"\xff" * 4 + data[at + 5 :])


# --- files


def test_files_round_trip_with_their_modes(tmp_path: Path) -> None:
    manifest, opening = commit()
    manifest.save(tmp_path / "run" / "testset.json")
    opening.save(tmp_path / "run" / "testset.opening")
    assert Manifest.load(tmp_path / "run" / "testset.json") == manifest
    check(Opening.load(tmp_path / "run" / "testset.opening"), manifest)
    assert stat.S_IMODE((tmp_path / "run" / "testset.opening").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "run" / "testset.json").stat().st_mode) == 0o644


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact):
        Manifest.load(tmp_path / "testset.json")
    with pytest.raises(MissingArtefact):
        Opening.load(tmp_path / "testset.opening")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, opening = commit()
    path = tmp_path / "testset.opening"
    opening.save(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("circuits.encoding.os.fsync", full)
    _, other = commit(randbelow=seeded(2).randrange)
    with pytest.raises(OSError, match="No space"):
        other.save(path)
    with pytest.raises(OSError, match="No space"):
        manifest.save(tmp_path / "testset.json")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
