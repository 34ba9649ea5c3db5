"""What is the sumcheck backend's own on the command line: counts, two backends, jobs, kills."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import HALO2, INSECURE, SAMPLES, Cli, Lab

from circuits import artefact
from circuits.bundle import Bundle
from circuits.testset import Manifest
from prover.budget import VERSION

TASK = "5a" * 32
MANY, SHARD = 300, 64


@pytest.fixture(scope="module")
def lab(sumcheck_lab: Lab) -> Lab:
    return sumcheck_lab


def secrets(lab: Lab, folder: Path) -> dict[str, Path]:
    """Copy Alice's secrets, so that openings are counted from the beginning."""
    for name in ("testset.secret", "model.secret"):
        shutil.copy2(lab.at("alice", name), folder)
    return {"testset_secret": folder / "testset.secret", "model_secret": folder / "model.secret"}


def openings(path: Path) -> dict[str, int]:
    return artefact.load(path, "openings", VERSION, {"used": dict})["used"]


# --- counts by class and group


@pytest.fixture(scope="module")
def counted(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A set with groups, proven with every count there is."""
    folder, cli = tmp_path_factory.mktemp("counted"), lab.cli
    with np.load(lab.at("test.npz")) as data:
        x, y = data["x"], data["y"]
    group = np.arange(SAMPLES) % 2
    np.savez(folder / "test.npz", x=x, y=y, group=group)
    cli("commit-data", folder / "test.npz", "--bits", "4", "--classes", "3", "--smallest-group",
        "1", "--out", folder).good()  # fmt: skip
    cli("compile", lab.at("model.onnx"), "--testset", folder / "testset.json", "--per-class",
        "--confusion", "--out", folder).good()  # fmt: skip
    cli("commit-model", "--circuit", folder / "circuit.json", "--weights",
        folder / "weights.secret", "--out", folder).good()  # fmt: skip
    given = {"circuit": folder / "circuit.json", "testset": folder / "testset.json"}
    bundle = folder / "bundle.zkpot"
    cli(*lab.prove(bundle, **given, testset_secret=folder / "testset.secret",
                   model_secret=folder / "model.secret")).good()  # fmt: skip
    verified = cli(*lab.verify(bundle, **given), "--json").good().json
    shown = cli(*lab.verify(bundle, **given)).good().out
    return {"statement": verified["statement"], "text": shown, "y": y, "group": group,
            "folder": folder}  # fmt: skip


def test_counts_by_class_and_group(counted: dict[str, Any]) -> None:
    found, y, group = counted["statement"], counted["y"], counted["group"]
    assert [n for _, n in found["per_class"]] == np.bincount(y, minlength=3).tolist()
    assert [n for _, n in found["groups"]] == np.bincount(group).tolist()
    for table in ("per_class", "groups"):
        assert sum(right for right, _ in found[table]) == found["correct"]
    assert [row[c] for c, row in enumerate(found["confusion"])] == [
        right for right, _ in found["per_class"]
    ]


def test_counts_are_shown(counted: dict[str, Any]) -> None:
    right, count = counted["statement"]["groups"][1]
    assert f"group 1: {right} of {count}" in counted["text"]
    right, count = counted["statement"]["per_class"][0]
    assert f"class 0: {right} of {count}" in counted["text"]


def test_groups_need_not_be_counted(lab: Lab, counted: dict[str, Any], tmp_path: Path) -> None:
    lab.cli("compile", lab.at("model.onnx"), "--testset", counted["folder"] / "testset.json",
            "--no-groups", "--out", tmp_path).good()  # fmt: skip
    circuit = json.loads((tmp_path / "circuit.json").read_bytes())
    assert (circuit["groups"], circuit["per_group"], circuit["per_class"]) == (2, False, False)


# --- one set, two backends


@pytest.mark.ezkl
def test_one_set_for_both_backends(halo2_lab: Lab, tmp_path: Path) -> None:
    lab, cli = halo2_lab, halo2_lab.cli
    data = tmp_path / "evaluator"
    cli("commit-data", lab.at("test.npz"), *HALO2.commit_data, "--shard-size", "4", "--backend",
        "sumcheck", "--out", data, INSECURE).good()  # fmt: skip
    manifest = Manifest.load(data / "testset.json")
    assert manifest.backends == ("halo2", "sumcheck")
    counts = {}
    for name, options in (("sumcheck", ()), ("halo2", HALO2.compiling)):
        out = tmp_path / name
        cli("compile", lab.at("model.onnx"), "--testset", data / "testset.json", "--backend", name,
            *options, "--out", out).good()  # fmt: skip
        cli("commit-model", "--circuit", out / "circuit.json", "--weights",
            out / "weights.secret", "--out", out, INSECURE).good()  # fmt: skip
        given = {"circuit": out / "circuit.json", "testset": data / "testset.json"}
        found = cli(*lab.prove(out / "bundle", **given, testset_secret=data / "testset.secret",
                               model_secret=out / "model.secret"), INSECURE, "--json")  # fmt: skip
        statement = found.good().json["statement"]
        assert (statement["backend"], statement["testset"]) == (name, manifest.testset_id)
        counts[name] = statement["correct"]
        cli(*lab.verify(out / "bundle", **given), INSECURE).good()
        # Each is a proof against its own part of the set.
        bundle = Bundle.load(out / "bundle")
        assert len(bundle.proofs) == len(manifest.part(name).shards)
    assert counts["sumcheck"] >= counts["halo2"]
    used = openings(data / "testset.secret.openings")
    assert sorted(len(name) for name in used) == [64, 64, 128, 128]
    by_default = cli("compile", lab.at("model.onnx"), "--testset", data / "testset.json", "--out",
                     tmp_path / "default", "--json").good().json  # fmt: skip
    assert by_default["backend"] == "sumcheck"


# --- several at a time, and killed


def test_jobs(lab: Lab, tmp_path: Path) -> None:
    found = lab.cli(*lab.prove(tmp_path / "bundle", **secrets(lab, tmp_path), task=TASK),
                    "--jobs", "2", "--json").good().json  # fmt: skip
    assert (found["proven"], found["resumed"]) == (2, 0)
    lab.cli(*lab.verify(tmp_path / "bundle", task=TASK), "--verifier", "fast").good()
    assert set(openings(tmp_path / "testset.secret.openings").values()) == {1}


@pytest.fixture(scope="module")
def many(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of so many shards that some are left when one is finished."""
    folder, cli = tmp_path_factory.mktemp("many"), lab.cli
    x = np.random.default_rng(0).integers(0, 16, (MANY, 4)) / 16
    np.savez(folder / "test.npz", x=x, y=np.arange(MANY) % 3)
    cli("commit-data", folder / "test.npz", "--bits", "4", "--shard-size", str(SHARD),
        "--budget", "2", "--out", folder).good()  # fmt: skip
    cli("compile", lab.at("model.onnx"), "--testset", folder / "testset.json", "--out",
        folder).good()  # fmt: skip
    cli("commit-model", "--circuit", folder / "circuit.json", "--weights",
        folder / "weights.secret", "--out", folder).good()  # fmt: skip
    return folder


def started(process: subprocess.Popen[str], run_folder: Path) -> list[Path]:
    """Wait until a shard is finished, and return those that are."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if done := list(run_folder.glob("shard-*")):
            return done
        time.sleep(0.002)
    raise AssertionError(f"no shard was finished: {process.communicate(timeout=10)[1]}")


@pytest.mark.parametrize(
    ("jobs", "number"),
    [
        (1, signal.SIGKILL), (1, signal.SIGINT), (1, signal.SIGTERM), (2, signal.SIGINT),
        (2, signal.SIGKILL),
    ],
)  # fmt: skip
def test_killed_and_continued(
    lab: Lab, many: Path, tmp_path: Path, number: signal.Signals, jobs: int
) -> None:
    for name in ("testset.secret", "model.secret"):
        shutil.copy2(many / name, tmp_path)
    cli: Cli = lab.cli
    given = {"circuit": many / "circuit.json", "testset": many / "testset.json"}
    bundle, run_folder = tmp_path / "bundle.zkpot", tmp_path / "model.secret.run"
    words = lab.prove(bundle, **given, task=TASK, testset_secret=tmp_path / "testset.secret",
                      model_secret=tmp_path / "model.secret")  # fmt: skip
    process = cli.process(*words, "--jobs", str(jobs))
    started(process, run_folder)
    process.send_signal(number)
    begin = time.monotonic()
    ended = cli.finished(process)
    assert time.monotonic() - begin < 20, "it must not go on until all is proven"
    if number == signal.SIGKILL:
        assert ended.status == -signal.SIGKILL
    else:
        ended.refused("INTERRUPTED", 130, "run it again to go on")
    assert not bundle.exists()
    kept = {path: path.read_bytes() for path in run_folder.glob("shard-*")}
    shards = -(-MANY // SHARD)
    assert 1 <= len(kept) < shards
    spent = openings(tmp_path / "testset.secret.openings")

    again = cli(*words, "--json").good().json
    assert (again["proven"], again["resumed"]) == (shards - len(kept), len(kept))
    assert all(path.read_bytes() == content for path, content in kept.items())
    total = openings(tmp_path / "testset.secret.openings")
    assert sum(total.values()) == sum(spent.values()) + again["proven"]
    # Both counters are written before anything is proven; what ends it may fall between them.
    model = openings(tmp_path / "model.secret.openings").popitem()[1]
    assert 0 <= model - sum(total.values()) <= jobs
    cli(*lab.verify(bundle, **given, task=TASK), "--verifier", "fast").good()


def test_a_cluster_is_told_no_secret_without_leave(lab: Lab, tmp_path: Path) -> None:
    words = lab.prove(tmp_path / "bundle", **secrets(lab, tmp_path), task=TASK)
    lab.cli(*words, "--cluster", "tcp://127.0.0.1:9").refused("BAD_INPUT", 2, "--send-secrets")
    ran = lab.cli(*words, "--cluster", "no://where:9", "--send-secrets")
    assert "not encrypted" in ran.refused("BAD_INPUT", 2, "no dask scheduler answers").err
    assert not (tmp_path / "testset.secret.openings").exists()
