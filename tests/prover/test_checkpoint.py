"""Finished shards are found again, and only by what they prove."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from circuits.encoding import canonical_json
from circuits.errors import FolderInUse
from circuits.sumcheck.public import Outputs
from prover.checkpoint import Checkpoints
from prover.shard_proof import ShardProof

KEY = {"circuit": "aa", "model": "bb", "context": "cc", "features": "dd", "labels": "ee"}
PROOF = ShardProof(
    bytes(range(256)) * 2, Outputs(3, groups=((1, 2), (2, 5))), seconds=1.234, peak_rss=56789
)


def test_round_trip(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "a" / "run").save(KEY, PROOF)
    assert Checkpoints(tmp_path / "a" / "run").load(KEY) == PROOF


@pytest.mark.parametrize("name", sorted(KEY))
def test_another_key_finds_nothing(tmp_path: Path, name: str) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(KEY, PROOF)
    assert kept.load({**KEY, name: "ff"}) is None
    assert kept.load({n: v for n, v in KEY.items() if n != name}) is None


def test_file_under_a_wrong_name_is_not_believed(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    other = {**KEY, "context": "ff"}
    kept.save(KEY, PROOF)
    (path,) = tmp_path.glob("shard-*")
    kept.save(other, PROOF)
    (second,) = set(tmp_path.glob("shard-*")) - {path}
    second.write_bytes(path.read_bytes())
    assert kept.load(other) is None


@pytest.mark.parametrize(
    "change",
    [
        {"parts": []}, {"parts": None}, {"outputs": {"correct": "3"}}, {"outputs": {}},
        {"outputs": {"correct": 3, "groups": []}}, {"outputs": None},
        {"magic": "zkpot-bundle"}, {"version": 1}, {"key": {}}, {"extra": 1},
        {"milliseconds": "1"},
    ],
)  # fmt: skip
def test_damaged_file_counts_as_none(tmp_path: Path, change: dict[str, Any]) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(KEY, PROOF)
    (path,) = tmp_path.glob("shard-*")
    header, _, proof = path.read_bytes().partition(b"\n")
    value = {**json.loads(header), **change}
    text = canonical_json({n: v for n, v in value.items() if v is not None})
    path.write_bytes(text + b"\n" + proof)
    assert kept.load(KEY) is None
    kept.save(KEY, PROOF)
    assert kept.load(KEY) == PROOF


def test_cut_and_empty_files_count_as_none(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(KEY, PROOF)
    (path,) = tmp_path.glob("shard-*")
    data = path.read_bytes()
    for cut in (b"", data[:-1], data[: len(data) // 2], data + b"\n", b"\0" * len(data)):
        path.write_bytes(cut)
        assert kept.load(KEY) is None
    path.unlink()
    path.mkdir()
    assert kept.load(KEY) is None


@pytest.mark.parametrize("before", [None, 0o755, 0o777])
def test_folder_is_the_owners(tmp_path: Path, before: int | None) -> None:
    folder = tmp_path / "run"
    if before is not None:
        folder.mkdir()
        folder.chmod(before)
    Checkpoints(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_witnesses_of_killed_processes_are_removed(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(KEY, PROOF)
    stale = tmp_path / ".witness-abc"
    stale.mkdir()
    (stale / "witness.json").write_text("secret")
    (tmp_path / "notes.txt").write_text("the user's")
    kept = Checkpoints(tmp_path)
    assert stale.exists(), "it can be a living process's until the folder is locked"
    with kept.locked():
        assert not stale.exists()
    assert kept.load(KEY) == PROOF
    assert (tmp_path / "notes.txt").exists()


def test_folder_has_one_user_at_a_time(tmp_path: Path) -> None:
    first, second = Checkpoints(tmp_path), Checkpoints(tmp_path)
    with first.locked():
        living = tmp_path / ".witness-living"
        living.mkdir()
        with pytest.raises(FolderInUse, match="another process") as caught, second.locked():
            pass
        assert caught.value.code == "FOLDER_IN_USE"
        assert living.exists(), "a witness in use must not be swept away"
    with second.locked():
        assert not living.exists()
    with pytest.raises(ZeroDivisionError), first.locked():
        raise ZeroDivisionError
    with second.locked():
        pass
