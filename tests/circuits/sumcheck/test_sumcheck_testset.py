"""A test set committed for the sumcheck backend: what is in the matrix, the ids and the files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from circuits.datasets import Dataset
from circuits.encoding import canonical_json, json_digest
from circuits.errors import (
    CorruptedArtefact,
    DataFormatError,
    InputError,
    ShapeMismatch,
    UnsafeConfiguration,
    WouldOverflow,
)
from circuits.halo2.testset import Halo2Commit
from circuits.sumcheck.commitment import commit
from circuits.sumcheck.params import Profile
from circuits.sumcheck.shards import SumcheckCommit, SumcheckOpening, shard_features
from circuits.testset import Manifest, Opening, commit_testset

P = 2**64 - 2**32 + 1
KAPPA, SIZE, BUDGET = 10, 4, 3
COMMIT = SumcheckCommit(SIZE, KAPPA, BUDGET)


def example(**changes: Any) -> Dataset:
    x = np.arange(-9, 9).reshape(6, 3)
    fields = {"x": x, "y": [0, 1, 2, 0, 1, 2], "group": [0, 1, 0, 1, 1, 0], "classes": 4}
    return Dataset.of(**(fields | changes))


def committed(dataset: Dataset | None = None, **options: Any) -> tuple[Manifest, Opening]:
    commits = options.pop("commits", [COMMIT])
    settings = {"bits": 5, "exponent": 0, "smallest_group": 1}
    return commit_testset(dataset or example(), commits, **(settings | options))


@pytest.fixture(scope="module")
def made() -> tuple[Manifest, Opening]:
    return committed()


def test_the_matrix_holds_inputs_labels_and_groups_with_zeros_for_padding(
    made: tuple[Manifest, Opening],
) -> None:
    _, opening = made
    features = shard_features(opening.sumcheck.samples(1), SIZE)
    assert features.tolist() == [
        [3, 6, 0, 0], [4, 7, 0, 0], [5, 8, 0, 0],
        [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0],
        [0, 1, 0, 0], [1, 0, 0, 0],
    ]  # fmt: skip
    slots = opening.sumcheck.matrix(0).values.reshape(-1)
    assert slots[:4].tolist() == [P - 9, P - 6, P - 3, 0]
    assert len(slots) == 1 << KAPPA


def test_a_shard_is_committed_by_its_seed(made: tuple[Manifest, Opening]) -> None:
    manifest, opening = made
    part, secret = manifest.sumcheck, opening.sumcheck
    assert [(s.index, s.samples) for s in part.shards] == [(0, 4), (1, 2)]
    for shard in part.shards:
        again = commit(secret.matrix(shard.index).values, secret.seeds[shard.index])
        assert again.root.hex() == shard.root == secret.matrix(shard.index).root.hex()
    assert len(set(secret.seeds)) == 2
    other, _ = committed()
    assert {s.root for s in part.shards}.isdisjoint(s.root for s in other.sumcheck.shards)


def test_the_id_of_a_shard_binds_its_header(made: tuple[Manifest, Opening]) -> None:
    """docs/protocol.md, 3.4, spelled out."""
    manifest, _ = made
    header = {
        "kind": "shard", "kappa": KAPPA, "a": 2, "samples": 2, "features": 3, "classes": 4,
        "groups": 2, "bits": 5, "signed": True, "exponent": 0, "budget": BUDGET, "rows": 1,
    }  # fmt: skip
    root = manifest.sumcheck.shards[1].root
    expected = json_digest("commitment", {"header": header, "root": root})
    assert manifest.sumcheck.commitment_id(manifest, 1) == expected


def test_one_opening_is_for_the_proof_that_it_is_well_formed(
    made: tuple[Manifest, Opening],
) -> None:
    assert (made[0].sumcheck.budget, made[0].sumcheck.proofs, made[0].proofs) == (3, 2, 2)


def test_files_round_trip(made: tuple[Manifest, Opening]) -> None:
    manifest, opening = made
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    data = opening.to_bytes()
    again = Opening.from_bytes(data)
    assert again.to_bytes() == data
    again.check(manifest)
    again.sumcheck.check(manifest.sumcheck)
    assert again.sumcheck.seeds == opening.sumcheck.seeds
    np.testing.assert_array_equal(again.samples.group, opening.samples.group)


def test_a_repr_shows_nothing(made: tuple[Manifest, Opening]) -> None:
    _, opening = made
    text = repr(opening) + repr(opening.sumcheck) + str(opening.samples)
    assert not any(seed.hex() in text for seed in opening.sumcheck.seeds)
    assert str(opening.samples.features.tolist()) not in text


# --- for both backends


def halo2() -> Halo2Commit:
    return Halo2Commit(lambda values: bytes([len(values)]) + bytes(63), "ab" * 32, 12, True, 5, 7)


def test_one_set_for_both_backends() -> None:
    commits = [
        COMMIT,
        replace(halo2(), committer=lambda v: canonical_json([v[-1] % 2**50]).rjust(64, b"0")),
    ]
    manifest, opening = committed(commits=commits)
    assert manifest.backends == ("halo2", "sumcheck")
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert Opening.from_bytes(opening.to_bytes()).to_bytes() == opening.to_bytes()
    # Each part has its own shards, of the same samples in the same order.
    assert (len(manifest.halo2.shards), len(manifest.sumcheck.shards)) == (2, 2)
    np.testing.assert_array_equal(
        opening.halo2.x_int(1)[:1, :], opening.samples.features[5:], strict=True
    )
    # The set allows what the smaller budget allows, and its id binds both parts.
    assert manifest.proofs == 2
    alone = replace(manifest, parts=(manifest.sumcheck,))
    assert alone.testset_id != manifest.testset_id
    cheaper = replace(manifest.halo2, budget=8)
    assert replace(manifest, parts=(cheaper, manifest.sumcheck)).testset_id != manifest.testset_id
    with pytest.raises(ShapeMismatch, match="committed for sumcheck, not for halo2"):
        _ = alone.halo2


@pytest.mark.parametrize("parts", [(), ("sumcheck", "sumcheck")])
def test_parts_are_there_once(made: tuple[Manifest, Opening], parts: tuple[str, ...]) -> None:
    with pytest.raises(CorruptedArtefact, match="no backend, or twice"):
        replace(made[0], parts=tuple(made[0].part(name) for name in parts))


# --- groups


def test_groups_are_numbered_from_zero() -> None:
    with pytest.raises(DataFormatError, match="row 3 is -1"):
        committed(example(group=[0, 1, 0, -1, 1, 0]))
    with pytest.raises(DataFormatError, match="row 0 is 256"):
        committed(example(group=[256, 1, 0, 1, 1, 0]))


def test_a_small_group_is_refused_unless_it_is_asked_for() -> None:
    with pytest.raises(
        InputError, match="group 0 has 2 samples in shard 0, fewer than 3"
    ) as caught:
        committed(smallest_group=3)
    assert caught.value.details == {"group": 0, "samples": 2}
    with pytest.raises(InputError, match="group 0 has 1 samples in shard 1, fewer than 2"):
        committed(smallest_group=2)
    # What a shard does not hold at all is no small count.
    manifest, _ = committed(example(group=[0, 0, 0, 0, 1, 1]), smallest_group=2)
    assert manifest.groups == 2


def test_a_set_without_groups_has_no_group_features() -> None:
    manifest, opening = committed(example(group=None))
    assert manifest.groups == 0
    assert opening.samples.group is None
    assert len(shard_features(opening.sumcheck.samples(0), SIZE)) == 7


# --- what is refused


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"shard_size": 3}, "power of two"), ({"shard_size": 0}, "power of two"),
        ({"shard_size": 2048}, "at most 2"), ({"budget": 1}, "2 to 3 times"),
        ({"budget": 4}, "2 to 3 times"), ({"kappa": 9}, "2 to 1 times"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit(change: dict[str, int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        replace(COMMIT, **change)


def test_a_profile_there_is_not() -> None:
    with pytest.raises(UnsafeConfiguration):
        replace(COMMIT, kappa=19)


def test_a_format_that_could_not_be_proven_well_formed() -> None:
    with pytest.raises(WouldOverflow, match="input"):
        committed(bits=23)


def edited(manifest: Manifest, edit: Callable[[dict[str, Any]], object]) -> bytes:
    value = json.loads(manifest.to_bytes())
    edit(value["parts"]["sumcheck"])
    return canonical_json(value)


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "shard dropped": lambda p: p["shards"].pop(),
    "shards swapped": lambda p: p["shards"].reverse(),
    "shard repeated": lambda p: p["shards"][1].update(root=p["shards"][0]["root"]),
    "samples moved": lambda p: p["shards"][1].update(samples=3),
    "index true": lambda p: p["shards"][1].update(index=True),
    "root cut": lambda p: p["shards"][0].update(root="ab"),
    "root in capitals": lambda p: p["shards"][0].update(root="AB" * 32),
    "field added to a shard": lambda p: p["shards"][0].update(note=1),
    "field missing in a shard": lambda p: p["shards"][0].pop("root"),
    "field added": lambda p: p.update(k=10),
    "field missing": lambda p: p.pop("kappa"),
    "shards no list": lambda p: p.update(shards=2),
    "another size": lambda p: p.update(shard_size=8),
    "no power of two": lambda p: p.update(shard_size=3),
    "size above the rows": lambda p: p.update(shard_size=2048),
    "size as text": lambda p: p.update(shard_size="4"),
    "size true": lambda p: p.update(shard_size=True),
    "no such profile": lambda p: p.update(kappa=19),
    "profile as text": lambda p: p.update(kappa="10"),
    "profile without openings": lambda p: p.update(kappa=8),
    "budget of one": lambda p: p.update(budget=1),
    "budget above the profile's": lambda p: p.update(budget=4),
}


@pytest.mark.parametrize("name", EDITS)
def test_tampered_manifest_is_refused(made: tuple[Manifest, Opening], name: str) -> None:
    with pytest.raises(CorruptedArtefact):
        Manifest.from_bytes(edited(made[0], EDITS[name]))


@pytest.mark.parametrize(
    "change",
    [{"shard_size": 8}, {"shard_size": 0}, {"shard_size": "4"}, {"kappa": 11}, {"kappa": 5},
     {"kappa": 19}, {"kappa": True}, {"note": 1}],
)  # fmt: skip
def test_sizes_must_fit_the_secrets(made: tuple[Manifest, Opening], change: dict[str, Any]) -> None:
    _, opening = made
    fields, data = opening.sumcheck.pack()
    assert SumcheckOpening.unpack(opening.samples, fields, data).seeds == opening.sumcheck.seeds
    with pytest.raises(CorruptedArtefact):
        SumcheckOpening.unpack(opening.samples, {**fields, **change}, data)
    with pytest.raises(CorruptedArtefact):
        SumcheckOpening.unpack(opening.samples, fields, data + bytes(32))


def test_an_opening_of_other_leaves_names_the_shard(made: tuple[Manifest, Opening]) -> None:
    manifest, opening = made
    secret = opening.sumcheck
    leaves = secret.leaves[1].copy()
    leaves[5, 3] ^= 1
    wrong = replace(secret, leaves=(secret.leaves[0], leaves))
    with pytest.raises(CorruptedArtefact, match="shard 1 does not open") as caught:
        wrong.check(manifest.sumcheck)
    assert caught.value.details["expected"] == manifest.sumcheck.shards[1].root
    with pytest.raises(CorruptedArtefact, match="sizes"):
        replace(secret, kappa=11).check(manifest.sumcheck)


@pytest.mark.parametrize("what", ["features", "labels", "group", "seed"])
def test_other_values_are_found_when_columns_are_opened(
    made: tuple[Manifest, Opening], what: str
) -> None:
    _, opening = made
    secret = opening.sumcheck
    if what == "seed":
        wrong = replace(secret, seeds=(bytes(32), secret.seeds[1]))
    else:
        values = getattr(opening.samples, what).copy()
        values.reshape(-1)[0] ^= 1
        wrong = replace(secret, content=replace(opening.samples, **{what: values}))
    positions = np.arange(0, Profile(KAPPA).positions, 50)
    secret.matrix(0).open(positions)
    with pytest.raises(CorruptedArtefact, match="not those of the commitment"):
        wrong.matrix(0).open(positions)
