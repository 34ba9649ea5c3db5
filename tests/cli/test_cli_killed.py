"""A proof that is killed, and run again."""

from __future__ import annotations

import contextlib
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from cli_lab import INSECURE, Cli, Lab

from circuits import artefact, container
from prover.budget import VERSION
from prover.checkpoint import _FIELDS
from prover.checkpoint import VERSION as CHECKPOINT

pytestmark = pytest.mark.ezkl

TASK = "5a" * 32


@pytest.fixture(scope="module")
def lab(halo2_lab: Lab) -> Lab:
    return halo2_lab


def started_shard(process: subprocess.Popen[str], run_folder: Path) -> Path:
    """Wait until one shard is finished and the next one has its secret witness on disk."""
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        done = list(run_folder.glob("shard-*"))
        if done and list(run_folder.glob(".witness-*/input.json")):
            assert len(done) == 1
            return done[0]
        time.sleep(0.002)
    raise AssertionError(f"no second shard was begun: {process.communicate(timeout=10)[1]}")


def openings(path: Path) -> dict[str, int]:
    return artefact.load(path, "openings", VERSION, {"used": dict})["used"]


def workers(cli: Cli) -> list[int]:
    """Return the processes that run ezkl for this home, whoever their parent is by now.

    A zombie that its new parent has not buried runs nothing.
    """
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if "circuits.halo2._worker" in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            with contextlib.suppress(psutil.Error):
                if process.environ().get("ZKPOT_HOME") == str(cli.home):
                    found.append(process.pid)
    return found


def none_left(cli: Cli) -> bool:
    """Tell whether the workers end, given a moment to be killed in."""
    deadline = time.monotonic() + 10
    while workers(cli) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not workers(cli)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_killed_and_continued(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    cli: Cli = lab.cli
    for name in ("testset.secret", "model.secret"):
        shutil.copy2(lab.at("alice", name), tmp_path)
    bundle, run_folder = tmp_path / "bundle.zkpot", tmp_path / "model.secret.run"
    words = [*lab.prove(bundle, task=TASK, testset_secret=tmp_path / "testset.secret",
                        model_secret=tmp_path / "model.secret"), INSECURE]  # fmt: skip
    process = cli.process(*words)
    kept = started_shard(process, run_folder)
    content, written = kept.read_bytes(), kept.stat().st_mtime_ns
    process.send_signal(number)
    ended = cli.finished(process)
    if number == signal.SIGKILL:
        assert ended.status == -signal.SIGKILL
    else:
        ended.refused("INTERRUPTED", 130, "run it again to go on")
    assert ended.out == ""
    assert not bundle.exists()
    assert none_left(cli)
    for folder in run_folder.glob(".witness-*"):  # only SIGKILL may leave any, and then private
        assert number == signal.SIGKILL
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finished = len(list(run_folder.glob("shard-*")))
    spent = openings(tmp_path / "testset.secret.openings")

    again = cli(*words, "--json").good().json
    assert (again["proven"], again["resumed"]) == (2 - finished, finished)
    assert (kept.read_bytes(), kept.stat().st_mtime_ns) == (content, written)
    total = openings(tmp_path / "testset.secret.openings")
    assert sum(total.values()) == sum(spent.values()) + again["proven"]
    assert 1 in total.values(), "the finished shard was opened once, in the first run"
    assert not list(tmp_path.rglob(".witness-*"))
    assert not list(tmp_path.rglob("witness.json"))
    assert workers(cli) == []
    cli(*lab.verify(bundle, task=TASK), INSECURE, "--verifier", "fast").good()


def test_a_damaged_checkpoint_is_proven_again(lab: Lab, tmp_path: Path) -> None:
    for name in ("testset.secret", "model.secret"):
        shutil.copy2(lab.at("alice", name), tmp_path)
    run_folder = tmp_path / "run"
    shutil.copytree(lab.at("alice", "model.secret.run"), run_folder)
    first, second = sorted(run_folder.glob("shard-*"))
    data = first.read_bytes()
    # In the proof, behind the commitments, and the sum made anew: still a well-formed file, but no
    # proof any more.
    fields, (proof,) = container.decode(data, "checkpoint", CHECKPOINT, _FIELDS)
    proof = proof[:1500] + bytes([proof[1500] ^ 1]) + proof[1501:]
    first.write_bytes(container.encode("checkpoint", CHECKPOINT, fields, (proof,)))
    second.write_bytes(second.read_bytes()[:-10])
    found = lab.cli(
        *lab.prove(tmp_path / "bundle.zkpot", testset_secret=tmp_path / "testset.secret",
                   model_secret=tmp_path / "model.secret", run_folder=run_folder),
        INSECURE, "--json",
    ).good().json  # fmt: skip
    assert (found["proven"], found["resumed"]) == (2, 0)
    lab.cli(*lab.verify(tmp_path / "bundle.zkpot"), INSECURE, "--verifier", "fast").good()
