"""A whole proof: checked first, resumable, counted right, and silent about its secrets."""

from __future__ import annotations

import base64
import json
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from circuits.bundle import Bundle
from circuits.errors import (
    CorruptedArtefact,
    FolderInUse,
    OpeningBudgetSpent,
    OutOfMemory,
    ShapeMismatch,
    SrsInvalid,
    WorkerFailed,
)
from circuits.halo2 import srs as srs_files
from circuits.halo2.keys import Keys
from circuits.halo2.model import commit_model
from circuits.halo2.process import call_ezkl
from circuits.halo2.proof import FIELD_ORDER
from circuits.sumcheck.public import Outputs
from prover import halo2_session, session
from prover.budget import OpeningCounter
from prover.checkpoint import Checkpoints
from prover.halo2_session import Halo2Job
from prover.plan import make_plan
from prover.session import Openings, Report, prove_testset
from prover.shard_proof import ShardProof
from tests.circuits.halo2.halo2_world import (
    World,
    field_texts,
    files_under,
    openings_in,
    random_weights,
)
from verifier.verify import Expectation, Options, verify_bundle

pytestmark = pytest.mark.ezkl

Prover = Callable[..., ShardProof]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, as a worker would see it."""


@dataclass(frozen=True)
class Task:
    """A job with the files it is proven with."""

    job: Halo2Job
    openings: Openings
    run_folder: Path

    def of(self, **changes: Any) -> Task:
        """Return the same task with another job."""
        return replace(self, job=replace(self.job, **changes))


@pytest.fixture
def task(tiny: World, tiny_keys: Keys, tmp_path: Path) -> Task:
    return Task(tiny.job(jobs=1), openings_in(tmp_path), tmp_path / "run")


def prove(task: Task, jobs: int = 1, **options: Any) -> tuple[Bundle, Report]:
    task = task.of(plan=replace(task.job.plan, jobs=jobs))
    return prove_testset(task.job, task.openings, task.run_folder, **options)


def accepted(tiny: World, bundle: Bundle) -> bool:
    verdict = verify_bundle(
        bundle.encode(), Expectation(tiny.manifest, tiny.context.digest),
        Options(allow_insecure_srs=True, verifiers="fast"),
    )  # fmt: skip
    return verdict.accepted


def openings(task: Task) -> tuple[int, list[int]]:
    """Openings of the model, and of each shard."""
    model = OpeningCounter(task.openings.model).used()
    shards = OpeningCounter(task.openings.testset).used()
    named = [s.features for s in task.job.manifest.halo2.shards]
    assert set(model) <= {task.job.model.model}
    assert set(shards) <= set(named)
    return model.get(task.job.model.model, 0), [shards.get(name, 0) for name in named]


def shard_of(task: Task, features: Any) -> int:
    (index,) = (
        s.index for s in task.job.manifest.halo2.shards
        if task.job.opening.halo2.features_vector(s.index) == list(features)
    )  # fmt: skip
    return index


class Recorder:
    """Stands before `prove_shard`: notes which shards are proven, and can fail one."""

    def __init__(self, task: Task, patch: pytest.MonkeyPatch) -> None:
        self.task, self.real, self.proven = task, halo2_session.prove_shard, list[int]()
        self.fail: dict[int, BaseException] = {}
        patch.setattr(halo2_session, "prove_shard", self)

    def __call__(self, *args: Any, **kwargs: Any) -> ShardProof:
        index = shard_of(self.task, kwargs["features"])
        self.proven.append(index)
        if index in self.fail:
            raise self.fail[index]
        return self.real(*args, **kwargs)


@pytest.fixture
def recorder(task: Task, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(task, monkeypatch)


def no_work(*args: Any, **kwargs: Any) -> None:
    raise AssertionError("nothing should have been derived or proven")


# --- the whole way


def test_bundle_says_what_the_integer_network_says(
    tiny: World, task: Task, recorder: Recorder
) -> None:
    seen: list[tuple[str, int, int]] = []
    bundle, report = prove(task, progress=lambda *step: seen.append(step))
    assert bundle.statement.shard_correct == tiny.counts
    assert 0 < bundle.statement.correct < bundle.statement.samples == 8
    assert bundle.statement.model == tiny.commitment.model_id
    assert bundle.statement.testset == tiny.manifest.testset_id
    assert bundle.statement.circuit == tiny.circuit.digest
    assert bundle.statement.context == tiny.context.digest
    assert bundle.circuit == tiny.circuit.to_dict()
    assert bundle.srs_insecure is True
    assert accepted(tiny, bundle)
    assert (report.proven, report.resumed) == (3, 0)
    assert report.seconds > 0 and report.peak_rss > 0
    assert recorder.proven == [0, 1, 2]
    assert openings(task) == (3, [1, 1, 1])
    assert [s for s in seen if s[0] == "shards"] == [("shards", n, 3) for n in range(4)]
    assert seen[0] == ("commitments", 0, 2)
    assert list(dict.fromkeys(s[0] for s in seen)) == ["commitments", "keys", "shards"]


def test_proven_twice_is_proven_once(tiny: World, task: Task, recorder: Recorder) -> None:
    first, _ = prove(task)
    second, report = prove(task)
    assert first == second
    assert (report.proven, report.resumed) == (0, 3)
    assert openings(task) == (3, [1, 1, 1])
    assert len(recorder.proven) == 3


def test_several_jobs(tiny: World, task: Task, recorder: Recorder) -> None:
    bundle, _ = prove(task, jobs=3)
    assert accepted(tiny, bundle)
    assert sorted(recorder.proven) == [0, 1, 2]
    assert openings(task) == (3, [1, 1, 1])


def test_another_context_is_proven_anew(tiny: World, task: Task, recorder: Recorder) -> None:
    prove(task)
    other = replace(tiny.context, round=1)
    bundle, report = prove(task.of(context=other.digest))
    assert (report.proven, report.resumed) == (3, 0)
    assert bundle.statement.context == other.digest
    assert openings(task) == (6, [2, 2, 2])


# --- interrupted


@pytest.mark.parametrize(
    "error", [Interrupted(), WorkerFailed("ezkl prove was killed by signal 9")]
)
def test_interrupted_proof_continues(
    tiny: World, task: Task, recorder: Recorder, error: BaseException
) -> None:
    recorder.fail[1] = error
    with pytest.raises(type(error)):
        prove(task)
    tried = list(recorder.proven)
    assert tried[:2] == [0, 1]
    # Whatever was tried was counted before, and nothing else was.
    assert openings(task) == (len(tried), [tried.count(i) for i in range(3)])
    assert not list(task.run_folder.glob(".witness-*"))

    recorder.fail.clear()
    bundle, report = prove(task)
    again = recorder.proven[len(tried) :]
    assert 0 not in again, "the first shard was finished"
    assert 1 in again
    assert report.resumed + report.proven == 3 and report.proven == len(again)
    assert openings(task) == (
        len(recorder.proven),
        [recorder.proven.count(i) for i in range(3)],
    )
    assert accepted(tiny, bundle)


def test_no_shard_is_begun_after_a_failure(tiny: World, task: Task, recorder: Recorder) -> None:
    """An opening is worth something: a failed run must not spend more of them."""
    recorder.fail[0] = WorkerFailed("no more memory")
    with pytest.raises(WorkerFailed, match="no more memory"):
        prove(task)
    assert recorder.proven == [0]
    assert openings(task) == (1, [1, 0, 0])


def test_the_first_failure_is_the_one_reported(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops the others must not hide behind their being stopped."""
    stopped = threading.Event()

    class SlowToStop(threading.Event):
        def set(self) -> None:
            super().set()
            if not stopped.is_set():
                stopped.set()
                time.sleep(1)  # the other shard ends meanwhile

    def fail(*args: Any, **kwargs: Any) -> ShardProof:
        if shard_of(task, kwargs["features"]) == 0:
            raise WorkerFailed("the reason")
        assert stopped.wait(60)
        raise WorkerFailed("a consequence")

    def arm(self: session._Session) -> None:
        self.stop = SlowToStop()

    monkeypatch.setattr(session._Session, "check_budgets", arm)
    monkeypatch.setattr(halo2_session, "prove_shard", fail)
    with pytest.raises(WorkerFailed, match="the reason"):
        prove(task, jobs=2)


def test_a_shard_between_two_processes_ends_too(
    tiny: World, task: Task, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill of all processes must hold for those that a thread is about to start."""
    import prover.halo2

    began, failed = threading.Event(), threading.Event()
    real_kill = halo2_session.kill_all

    def kill_all() -> None:
        real_kill()
        failed.set()

    def slow(function: str, **kwargs: Any) -> Any:
        if function == "gen_witness":
            began.set()
            assert failed.wait(60)
        return call_ezkl(function, **kwargs)

    def fail_first(*args: Any, **kwargs: Any) -> ShardProof:
        if shard_of(task, kwargs["features"]) == 0:
            assert began.wait(60)
            raise Interrupted
        return recorder.real(*args, **kwargs)

    monkeypatch.setattr(halo2_session, "kill_all", kill_all)
    monkeypatch.setattr(prover.halo2, "call_ezkl", slow)
    monkeypatch.setattr(halo2_session, "prove_shard", fail_first)
    with pytest.raises(Interrupted):
        prove(task, jobs=2)
    assert not list(task.run_folder.glob("shard-*")), "it was proven to the end all the same"


def test_a_folder_in_use_is_refused(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halo2_session, "derive", no_work)
    with Checkpoints(task.run_folder).locked(), pytest.raises(FolderInUse):
        prove(task)
    assert openings(task) == (0, [0, 0, 0])


# --- refused before anything is spent


def test_budget_is_checked_before_any_work(
    tiny: World, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = OpeningCounter(task.openings.testset)
    for _ in range(task.job.manifest.halo2.budget):
        counter.reserve(task.job.uses(2)[1])
    monkeypatch.setattr(halo2_session, "derive", no_work)
    monkeypatch.setattr(halo2_session, "prove_shard", no_work)
    with pytest.raises(OpeningBudgetSpent, match="shard 2 has been opened 2 of 2") as caught:
        prove(task)
    assert caught.value.code == "OPENING_BUDGET_SPENT"
    assert openings(task) == (0, [0, 0, 2])


def test_model_budget_counts_all_shards(
    tiny: World, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = OpeningCounter(task.openings.model)
    for _ in range(task.job.circuit.model_budget - 2):
        counter.reserve(task.job.uses(0)[0])
    monkeypatch.setattr(halo2_session, "derive", no_work)
    with pytest.raises(OpeningBudgetSpent, match="the model has been opened 4 of 6 times and 3"):
        prove(task)


def test_finished_shards_need_no_budget(tiny: World, task: Task, recorder: Recorder) -> None:
    for context in (tiny.context, replace(tiny.context, round=1)):
        prove(task.of(context=context.digest))
    assert openings(task) == (6, [2, 2, 2])
    _, report = prove(task)
    assert report.resumed == 3
    with pytest.raises(OpeningBudgetSpent):
        prove(task.of(context="77" * 32))


def test_memory_is_checked_before_any_work(tiny: World) -> None:
    with pytest.raises(OutOfMemory):
        make_plan(tiny.circuit, 3, 1 << 20, 1)


def test_parts_that_do_not_belong_together(
    tiny: World, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(halo2_session, "derive", no_work)
    with pytest.raises(ShapeMismatch, match="shard size"):
        prove(task.of(circuit=replace(tiny.circuit, shard_size=2)))
    with pytest.raises(ShapeMismatch, match="opening budget"):
        prove(task.of(circuit=replace(tiny.circuit, model_budget=7)))
    salts = (*tiny.model.salts[:-1], tiny.model.salts[-1] ^ 1)
    with pytest.raises(CorruptedArtefact, match="model secret does not open"):
        prove(task.of(model=replace(tiny.model, salts=salts)))
    features = tiny.opening.samples.features.copy()
    features[0, 0] ^= 1
    samples = replace(tiny.opening.samples, features=features)
    parts = (replace(tiny.opening.halo2, content=samples),)
    with pytest.raises(CorruptedArtefact, match="shard 0 do not open"):
        prove(task.of(opening=replace(tiny.opening, samples=samples, parts=parts)))
    assert openings(task) == (0, [0, 0, 0])


def test_another_srs_is_named(
    tiny: World, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong SRS file must not read as a damaged secret."""
    monkeypatch.setenv("ZKPOT_HOME", str(tmp_path / "other-home"))
    other = srs_files.make_development(tiny.circuit.k)
    with pytest.raises(SrsInvalid):
        prove(task.of(srs=other))


# --- what the circuit counts is what the integer network counts


def test_another_count_is_an_error(
    tiny: World, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = halo2_session.count_correct
    monkeypatch.setattr(halo2_session, "count_correct", lambda *args: real(*args) + 1)
    with pytest.raises(
        WorkerFailed,
        match=rf"shard 0: the circuit counted {tiny.counts[0]} .*network {tiny.counts[0] + 1}",
    ) as caught:
        prove(task)
    assert caught.value.details == {"shard": 0}
    assert not list(task.run_folder.glob("shard-*")), "such a proof must not be kept"
    assert not list(task.run_folder.glob(".witness-*"))


def test_proof_that_does_not_verify_is_an_error(
    tiny: World, task: Task, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recorder.real

    def damaged(*args: Any, **kwargs: Any) -> ShardProof:
        made = real(*args, **kwargs)
        return replace(made, proof=made.proof[:-1] + bytes([made.proof[-1] ^ 1]))

    recorder.real = damaged
    with pytest.raises(WorkerFailed, match="shard 0: a proof was made that does not verify"):
        prove(task)
    assert not list(task.run_folder.glob("shard-*"))


# --- checkpoints are not believed


def test_foreign_and_damaged_checkpoints_are_proven_anew(
    tiny: World, task: Task, recorder: Recorder
) -> None:
    prove(task)
    recorder.proven.clear()
    kept, key = Checkpoints(task.run_folder), task.job.key
    proofs = [kept.load(key(shard)) for shard in range(3)]
    assert proofs[0] is not None and proofs[1] is not None and proofs[2] is not None
    # Another shard's proof, another count, and one intact.
    kept.save(key(0), proofs[1])
    kept.save(key(1), replace(proofs[1], outputs=Outputs(proofs[1].outputs.correct + 1)))
    bundle, report = prove(task)
    assert recorder.proven == [0, 1]
    assert (report.proven, report.resumed) == (2, 1)
    assert openings(task) == (5, [2, 2, 1])
    assert accepted(tiny, bundle)


def test_checkpoint_with_too_short_a_proof_is_proven_anew(
    tiny: World, task: Task, recorder: Recorder
) -> None:
    Checkpoints(task.run_folder).save(task.job.key(0), ShardProof(b"short", Outputs(1), 1.0, 1))
    bundle, report = prove(task)
    assert report.proven == 3
    assert accepted(tiny, bundle)


# --- secrets


def secrets_of(task: Task) -> list[bytes]:
    """Salts, and features, labels and weights in every form that a file could hold them."""
    found: list[bytes] = []
    plain = task.job.model.vector()[:6]
    vectors = [[v % FIELD_ORDER for v in task.job.model.vector()]]
    opening = task.job.opening.halo2
    for shard in range(opening.shards):
        vectors += [opening.features_vector(shard), opening.labels_vector(shard)]
    salts = list(task.job.model.salts)
    for shard_salts in opening.salts:
        salts += [*shard_salts.features, *shard_salts.labels]
    found += field_texts(salts)
    for vector in vectors:
        small = vector[:6]
        found += [b"".join(v.to_bytes(32, order) for v in small) for order in ("big", "little")]  # type: ignore[arg-type]
        found.append(b"".join(v.to_bytes(32, "little") for v in small).hex().encode())
        if max(small) < 1 << 63:
            found.append(json.dumps(small).encode())
            found.append(json.dumps(small, separators=(",", ":")).encode())
            found.append(b"".join(v.to_bytes(8, "little") for v in small))
    found += [json.dumps(plain).encode(), json.dumps(plain, separators=(",", ":")).encode()]
    flat = task.job.model.weights.flatten().astype("<i8").tobytes()
    found += [flat[:64], base64.b64encode(flat)[:60]]
    return found


def leaks(needles: list[bytes], *folders: Path) -> list[Path]:
    return [
        path for path in files_under(*folders)
        if any(needle in path.read_bytes() for needle in needles)
    ]  # fmt: skip


def test_nothing_secret_stays_behind(
    tiny: World, task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    recorder: Recorder, zkpot_home: Path,
) -> None:  # fmt: skip
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    needles = secrets_of(task)
    during: list[Path] = []

    import prover.halo2

    def watch(function: str, **kwargs: Any) -> Any:
        during.extend(leaks(needles, task.run_folder, scratch))
        return call_ezkl(function, **kwargs)

    monkeypatch.setattr(prover.halo2, "call_ezkl", watch)
    recorder.fail[1] = WorkerFailed("killed")
    with pytest.raises(WorkerFailed):
        prove(task)
    assert leaks(needles, tmp_path) == []
    recorder.fail.clear()
    bundle, _ = prove(task)

    # The search does find secrets: in witnesses while they exist, and in the secrets' own files.
    assert any(path.name == "input.json" for path in during)
    assert all(path.parent.name.startswith(".witness-") for path in during)
    assert all(path.is_relative_to(task.run_folder) for path in during)
    secret = tmp_path / "secret-files"
    task.job.model.save(secret / "model")
    task.job.opening.save(secret / "testset")
    assert len(leaks(needles, secret)) == 2

    (tmp_path / "bundle").write_bytes(bundle.encode())
    assert [p for p in leaks(needles, tmp_path) if p.parent != secret] == []
    assert leaks(needles, zkpot_home) == []
    assert list(scratch.iterdir()) == []
    names = {p.name.split("-")[0] for p in task.run_folder.iterdir()}
    assert names == {"shard", ".lock"}


def test_stale_witness_is_removed_when_the_work_continues(task: Task) -> None:
    stale = task.run_folder / ".witness-killed"
    stale.mkdir(parents=True)
    (stale / "input.json").write_text("secret")
    prove(task)
    assert not stale.exists()


def test_another_model_needs_another_checkpoint(
    tiny: World, task: Task, recorder: Recorder
) -> None:
    import numpy as np

    prove(task)
    weights = random_weights(tiny.circuit.architecture, np.random.default_rng(99))
    commitment, model = commit_model(tiny.circuit, weights, tiny.srs.path, srs_insecure=True)
    bundle, report = prove(task.of(model=model))
    assert (report.proven, report.resumed) == (3, 0)
    assert bundle.statement.model == commitment.model_id != tiny.commitment.model_id
