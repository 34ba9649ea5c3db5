"""A whole sumcheck proof: checked first, resumable, counted right, and silent about its secrets."""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuits.bundle import Bundle
from circuits.errors import (
    CorruptedArtefact,
    FolderInUse,
    InputError,
    OpeningBudgetSpent,
    OutOfMemory,
    ShapeMismatch,
    WorkerFailed,
)
from circuits.sumcheck.model import commit_model
from circuits.sumcheck.plan import estimate
from circuits.sumcheck.public import Outputs
from prover.budget import OpeningCounter
from prover.checkpoint import Checkpoints
from prover.session import Openings, Report, prove_testset
from prover.shard_proof import ShardProof
from prover.sumcheck import plan, work
from prover.sumcheck.plan import make_plan
from prover.sumcheck.processes import Processes
from prover.sumcheck.session import SumcheckJob
from prover.sumcheck.work import ShardWork
from tests.sumcheck_world import BUDGET, MEMORY, World, mlp, openings_in, random_weights
from verifier.verify import Options, verify_bundle


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, in the middle of a shard."""


@dataclass(frozen=True)
class Task:
    """A job with the files it is proven with."""

    job: SumcheckJob
    openings: Openings
    run_folder: Path

    def of(self, **changes: Any) -> Task:
        """Return the same task with another job."""
        return replace(self, job=replace(self.job, **changes))

    def recounted(self) -> Task:
        """Return the same task with a model that was never opened: it allows three openings."""
        path = self.openings.model.with_name("other.openings")
        return replace(self, openings=replace(self.openings, model=path))


@pytest.fixture
def task(small: World, tmp_path: Path) -> Task:
    return Task(small.job(), openings_in(tmp_path), tmp_path / "run")


def prove(task: Task, **options: Any) -> tuple[Bundle, Report]:
    return prove_testset(task.job, task.openings, task.run_folder, **options)


def accepted(small: World, bundle: Bundle) -> bool:
    return verify_bundle(bundle.encode(), small.expected(), Options(verifiers="fast")).accepted


def openings(task: Task) -> tuple[int, list[int]]:
    """Openings of the model, and of each shard."""
    model = OpeningCounter(task.openings.model).used()
    shards = OpeningCounter(task.openings.testset).used()
    named = [s.root for s in task.job.manifest.sumcheck.shards]
    assert set(model) <= {task.job.model.model}
    assert set(shards) <= set(named)
    return model.get(task.job.model.model, 0), [shards.get(name, 0) for name in named]


class Recorder:
    """Stands before `ShardWork.prove`: notes which shards are proven, and can fail one."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.real, self.proven = ShardWork.prove, list[int]()
        self.fail: dict[int, BaseException] = {}
        recorder = self

        def recorded(self: ShardWork, threads: int | None = None) -> ShardProof:
            recorder.proven.append(self.public.shard)
            if self.public.shard in recorder.fail:
                raise recorder.fail[self.public.shard]
            return recorder.real(self, threads)

        patch.setattr(ShardWork, "prove", recorded)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


# --- the whole way


def test_bundle_says_what_the_integer_network_says(
    small: World, task: Task, recorder: Recorder
) -> None:
    seen: list[tuple[str, int, int]] = []
    bundle, report = prove(task, progress=lambda *step: seen.append(step))
    statement = bundle.statement
    assert statement.shard_correct == small.counts
    assert statement.model == small.commitment.model_id
    assert statement.testset == small.manifest.testset_id
    assert (statement.circuit, bundle.circuit) == (small.circuit.digest, small.circuit.to_dict())
    assert accepted(small, bundle)
    assert (report.proven, report.resumed) == (3, 0)
    assert report.seconds > 0 and report.peak_rss > 0
    assert recorder.proven == [0, 1, 2]
    assert openings(task) == (3, [1, 1, 1])
    assert seen == [("commitments", n, 2) for n in range(3)] + [("shards", n, 3) for n in range(4)]


def test_proven_twice_is_proven_once(task: Task, recorder: Recorder) -> None:
    first, _ = prove(task)
    second, report = prove(task)
    assert first == second
    assert (report.proven, report.resumed) == (0, 3)
    assert openings(task) == (3, [1, 1, 1])
    assert len(recorder.proven) == 3


def test_no_two_proofs_are_alike(small: World, task: Task, tmp_path: Path) -> None:
    """Pads that served two proofs would show the secrets under them."""
    one, _ = prove(task)
    two, _ = prove(replace(task.recounted(), run_folder=tmp_path / "another"))
    assert accepted(small, two)
    for mine, other in zip(one.proofs, two.proofs, strict=True):
        words = [{proof[at : at + 8] for at in range(0, 8000, 8)} for proof in (mine, other)]
        assert words[0].isdisjoint(words[1])


def test_another_context_is_proven_anew(small: World, task: Task) -> None:
    prove(task)
    other = replace(small.context, round=1)
    bundle, report = prove(task.recounted().of(context=other.digest))
    assert (report.proven, report.resumed) == (3, 0)
    assert bundle.statement.context == other.digest
    assert openings(task)[1] == [2, 2, 2]


@pytest.mark.parametrize("what", ["model", "circuit"])
def test_what_else_needs_another_checkpoint(small: World, task: Task, what: str) -> None:
    prove(task)
    if what == "model":
        weights = random_weights(small.circuit.architecture, np.random.default_rng(9))
        _, model = commit_model(small.circuit, weights)
        other = task.of(model=model)
    else:
        circuit = replace(small.circuit, confusion=False)
        fresh = replace(small, circuit=circuit).job()
        other = task.of(circuit=circuit, verifies=fresh.verifies)
    _, report = prove(other.recounted())
    assert (report.proven, report.resumed) == (3, 0)


# --- in processes of their own


def test_several_jobs(small: World, task: Task) -> None:
    bundle, report = prove(task.of(jobs=2, runner=Processes(1)))
    assert accepted(small, bundle)
    assert report.peak_rss > 0
    assert openings(task) == (3, [1, 1, 1])


class Exits(ShardWork):
    def prove(self, threads: int | None = None) -> ShardProof:
        raise SystemExit(3)


def work_of(small: World, task: Task, shard: int = 0) -> ShardWork:
    found: list[ShardWork] = []

    class Catch:
        def prove(self, work: ShardWork, stop: threading.Event) -> ShardProof:
            found.append(work)
            raise WorkerFailed("caught")

        def kill(self) -> None:
            pass

    with pytest.raises(WorkerFailed, match="caught"):
        replace(task.job, runner=Catch()).prove(shard, Path(), threading.Event())
    return found[0]


def test_a_process_that_dies_is_named(small: World, task: Task) -> None:
    given = vars(work_of(small, task, 1))
    with pytest.raises(WorkerFailed, match="shard 1: the proving process ended with status 3"):
        Processes(1).prove(Exits(**given), threading.Event())


def test_an_error_in_a_process_is_told(small: World, task: Task) -> None:
    wrong = replace(work_of(small, task), shard_seed=bytes(32))
    with pytest.raises(WorkerFailed, match=r"shard 0: \[CORRUPTED_ARTEFACT\] .* not those of"):
        Processes(1).prove(wrong, threading.Event())


class Hangs(ShardWork):
    def prove(self, threads: int | None = None) -> ShardProof:
        while True:
            threading.Event().wait(60)


def test_a_process_can_be_killed(small: World, task: Task) -> None:
    processes = Processes(1)
    given = vars(work_of(small, task))
    threading.Timer(2.0, processes.kill).start()
    with pytest.raises(WorkerFailed, match="status -9"):
        processes.prove(Hangs(**given), threading.Event())


def test_nothing_starts_once_it_was_stopped(small: World, task: Task) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(WorkerFailed, match="stopped"):
        Processes(1).prove(work_of(small, task), stop)
    with pytest.raises(WorkerFailed, match="stopped"):
        task.job.prove(0, Path(), stop)


# --- interrupted


@pytest.mark.parametrize("error", [Interrupted(), WorkerFailed("no more memory")])
def test_interrupted_proof_continues(
    small: World, task: Task, recorder: Recorder, error: BaseException
) -> None:
    recorder.fail[1] = error
    with pytest.raises(type(error)):
        prove(task)
    assert recorder.proven == [0, 1], "nothing is begun after a failure"
    # Whatever was tried was counted before.
    assert openings(task) == (2, [1, 1, 0])

    recorder.fail.clear()
    # The model allows three openings, and one was lost.
    with pytest.raises(OpeningBudgetSpent, match="the model has been opened 2 of 3 times and 2"):
        prove(task)
    bundle, report = prove(task.recounted())
    assert recorder.proven[2:] == [1, 2]
    assert (report.proven, report.resumed) == (2, 1)
    assert accepted(small, bundle)


def test_a_folder_in_use_is_refused(task: Task, recorder: Recorder) -> None:
    with Checkpoints(task.run_folder).locked(), pytest.raises(FolderInUse):
        prove(task)
    assert recorder.proven == []


# --- refused before anything is spent


def test_the_budget_leaves_room_for_the_proof_that_the_set_is_well_formed(
    task: Task, recorder: Recorder
) -> None:
    counter = OpeningCounter(task.openings.testset)
    for _ in range(BUDGET - 1):
        counter.reserve(task.job.uses(2)[1])
    with pytest.raises(OpeningBudgetSpent, match="shard 2 has been opened 2 of 2"):
        prove(task)
    assert recorder.proven == []
    assert openings(task) == (0, [0, 0, 2])


def test_parts_that_do_not_belong_together(small: World, task: Task, recorder: Recorder) -> None:
    with pytest.raises(ShapeMismatch, match="shard size is 8"):
        prove(task.of(circuit=replace(small.circuit, shard_size=8)))
    with pytest.raises(ShapeMismatch, match="architecture"):
        prove(task.of(circuit=replace(small.circuit, architecture=mlp(hidden=6))))
    with pytest.raises(CorruptedArtefact, match="model secret does not open"):
        prove(task.of(model=replace(small.model, seed=bytes(32))))
    with pytest.raises(CorruptedArtefact, match="belongs to manifest"):
        prove(task.of(opening=replace(small.opening, manifest_digest="ab" * 32)))
    assert recorder.proven == []
    assert openings(task) == (0, [0, 0, 0])


def test_samples_that_are_not_the_committed_ones_make_no_proof(small: World, task: Task) -> None:
    features = small.opening.samples.features.copy()
    features[5, 0] ^= 1
    samples = replace(small.opening.samples, features=features)
    parts = (replace(small.opening.sumcheck, content=samples),)
    wrong = task.of(opening=replace(small.opening, samples=samples, parts=parts))
    with pytest.raises(CorruptedArtefact, match="not those of the commitment"):
        prove(wrong)
    assert openings(task) == (0, [0, 0, 0]), "found before anything is spent"


def test_proof_that_does_not_verify_is_an_error(
    task: Task, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recorder.real

    def damaged(self: ShardWork, threads: int | None = None) -> ShardProof:
        made = real(self, threads)
        return replace(made, proof=made.proof[:-1] + bytes([made.proof[-1] ^ 1]))

    monkeypatch.setattr(ShardWork, "prove", damaged)
    with pytest.raises(WorkerFailed, match="shard 0: a proof was made that does not verify"):
        prove(task)
    assert not list(task.run_folder.glob("shard-*"))


def test_foreign_and_wrong_checkpoints_are_proven_anew(
    small: World, task: Task, recorder: Recorder
) -> None:
    prove(task)
    recorder.proven.clear()
    kept, key = Checkpoints(task.run_folder), task.job.key
    first = kept.load(key(0))
    assert first is not None
    kept.save(key(0), replace(first, outputs=replace(first.outputs, correct=0)))
    kept.save(key(1), first)
    kept.save(key(2), ShardProof(b"short", Outputs(1), 1.0, 1))
    bundle, _ = prove(task.recounted())
    assert recorder.proven == [0, 1, 2]
    assert accepted(small, bundle)


# --- secrets


def secrets_of(small: World) -> list[bytes]:
    """Seeds, and features and weights in every form that a file could hold them."""
    found = [small.model.seed, small.model.seed.hex().encode()]
    for seed in small.opening.sumcheck.seeds:
        found += [seed, seed.hex().encode()]
    weights = small.weights.flatten()
    samples = small.opening.samples.features.reshape(-1)
    for values in (weights[:16], samples[:16]):
        found += [values.astype(kind).tobytes() for kind in ("<i8", "<i4", "<i2", "i1")]
        found += [b",".join(str(v).encode() for v in values)]
    found.append(base64.b64encode(weights.astype("<i8").tobytes())[:60])
    return found


def test_nothing_secret_stays_behind(small: World, task: Task, tmp_path: Path) -> None:
    bundle, _ = prove(task)
    (tmp_path / "bundle").write_bytes(bundle.encode())
    needles = secrets_of(small)

    def leaks() -> set[str]:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {p.name for p in files if any(n in p.read_bytes() for n in needles)}

    assert leaks() == set()
    # The search does find secrets, in their own files.
    small.model.save(tmp_path / "model.secret")
    small.opening.save(tmp_path / "testset.secret")
    assert leaks() == {"model.secret", "testset.secret"}


def test_work_shows_nothing(small: World, task: Task) -> None:
    found = repr(work_of(small, task))
    assert found == "<ShardWork 0>"


# --- planning


def test_memory_is_checked_before_any_work(small: World) -> None:
    one = estimate(small.circuit.relation).peak_bytes
    assert make_plan(small.circuit, 3, one).jobs == 1
    with pytest.raises(OutOfMemory, match=r"1 shard\(s\) at a time") as caught:
        make_plan(small.circuit, 3, one - 1)
    assert caught.value.details == {"needed": one, "available": one - 1}
    with pytest.raises(OutOfMemory, match=r"2 shard\(s\) at a time"):
        make_plan(small.circuit, 3, 2 * one - 1, jobs=2)
    with pytest.raises(InputError, match="at least one job"):
        make_plan(small.circuit, 3, MEMORY, jobs=0)


def test_jobs_share_the_cores(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "cores", lambda: 8)
    monkeypatch.setattr(plan, "machine_speed", lambda _: 1.0)
    huge = 1 << 60
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("M", (), {"total": huge}))
    one, two = (make_plan(small.circuit, 6, huge, jobs) for jobs in (None, 2))
    assert (one.jobs, one.threads, two.jobs, two.threads) == (1, 8, 2, 4)
    assert make_plan(small.circuit, 1, huge, 5).jobs == 1
    assert two.peak_bytes == 2 * one.peak_bytes
    assert two.seconds == pytest.approx(one.seconds), "cores are not counted twice"
    monkeypatch.setattr(plan, "cores", lambda: 2)
    assert make_plan(small.circuit, 6, huge).one.seconds == pytest.approx(4 * one.one.seconds)


def test_peak_memory_is_measured() -> None:
    assert 1 << 24 < work.peak_rss() < 1 << 40
