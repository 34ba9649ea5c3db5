"""Proves a whole test set: checks everything first, then proves shard by shard, resumably."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from circuits.bundle import Bundle
from circuits.errors import CorruptedArtefact, WorkerFailed
from circuits.halo2 import kzg
from circuits.halo2.circuit import BACKEND, Circuit
from circuits.halo2.keys import Keys, derive
from circuits.halo2.match import require_model, require_testset
from circuits.halo2.model import ModelOpening, model_id
from circuits.halo2.process import kill_all
from circuits.halo2.proof import commitments, ezkl_accepts, instances
from circuits.halo2.srs import SrsInfo
from circuits.integer import count_correct, run
from circuits.statement import Statement
from circuits.testset import Manifest, Opening, ShardEntry
from prover.budget import OpeningCounter, Use
from prover.checkpoint import Checkpoints
from prover.halo2 import ShardProof, prove_shard
from prover.plan import Plan, make_plan

_KILL_INTERVAL = 0.05
"""Seconds between two looks whether a stopped thread has started one more process."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


def _silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Task:
    """What to prove, and with what.

    Attributes
    ----------
    circuit : Circuit
        The public circuit.
    manifest, opening : Manifest, Opening
        The committed test set and its secret.
    model : ModelOpening
        The committed model's secret.
    context : str
        Context digest the proof is bound to, as hex.
    srs : SrsInfo
        The SRS file.
    run_folder : Path
        Where finished shards are kept, so that an interrupted proof continues.
    testset_openings, model_openings : Path
        Files that count openings; next to the secrets they protect.
    """

    circuit: Circuit
    manifest: Manifest
    opening: Opening
    model: ModelOpening
    context: str
    srs: SrsInfo
    run_folder: Path
    testset_openings: Path
    model_openings: Path


@dataclass(frozen=True)
class Report:
    """What proving cost.

    Attributes
    ----------
    seconds : float
        Sum over shards of witness generation and proving, whoever ran them and when.
    peak_rss : int
        Largest resident memory of one proving process, in bytes.
    proven, resumed : int
        Shards proven now, and taken from checkpoints.
    """

    seconds: float
    peak_rss: int
    proven: int
    resumed: int


def prove_testset(
    task: Task,
    *,
    memory: int,
    jobs: int | None = None,
    progress: Progress = _silent,
) -> tuple[Bundle, Report]:
    """Prove how many samples of a committed test set a committed model gets right.

    Parameters
    ----------
    task : Task
        What to prove.
    memory : int
        Bytes that all proving processes together may use.
    jobs : int, optional
        Processes at a time; by default one per four cores, if memory allows.
    progress : callable
        Called as work proceeds.

    Returns
    -------
    Bundle, Report
        The proof bundle, every shard of which was verified with ezkl, and its cost.

    Raises
    ------
    SrsInvalid
        If the SRS is not the one the circuit names.
    ShapeMismatch, CorruptedArtefact
        If the parts do not belong together or a secret does not open its commitment.
    OutOfMemory
        If one shard would not fit `memory`.
    OpeningBudgetSpent
        If not all shards may be opened once more.
    FolderInUse
        If another process is proving in the same run folder.
    WorkerFailed
        If ezkl fails, or a proof it made does not verify.
    """
    session = _Session(task, make_plan(task.circuit, len(task.manifest.shards), memory, jobs))
    with session.checkpoints.locked():
        return _prove(session, progress)


def _prove(session: _Session, progress: Progress) -> tuple[Bundle, Report]:
    task = session.task
    session.check_secrets(progress)
    session.check_budgets()
    progress("keys", 0, 1)
    session.keys = derive(task.circuit, task.srs.path, proving=True)
    progress("keys", 1, 1)
    proofs = session.prove_all(progress)
    counts = tuple(proof.correct for proof in proofs)
    statement = Statement(
        backend=BACKEND,
        circuit=task.circuit.digest,
        model=task.model.model,
        testset=task.manifest.testset_id,
        samples=task.manifest.samples,
        correct=sum(counts),
        shard_correct=counts,
        context=task.context,
    )
    bundle = Bundle(
        statement, task.circuit.to_dict(), tuple(p.proof for p in proofs), task.srs.insecure
    )
    report = Report(
        seconds=sum(proof.seconds for proof in proofs),
        peak_rss=max(proof.peak_rss for proof in proofs),
        proven=session.proven,
        resumed=len(proofs) - session.proven,
    )
    return bundle, report


class _Session:
    keys: Keys

    def __init__(self, task: Task, plan: Plan) -> None:
        self.task = task
        self.plan = plan
        self.checkpoints = Checkpoints(task.run_folder)
        self.testset_counter = OpeningCounter(task.testset_openings)
        self.model_counter = OpeningCounter(task.model_openings)
        self.weights = task.model.vector()
        self.proven = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.failure: BaseException | None = None

    def check_secrets(self, progress: Progress) -> None:
        """Find every mismatch before an opening, or an hour, is spent."""
        task = self.task
        task.circuit.require_srs(task.srs.path, task.srs.digest)
        require_testset(task.circuit, task.manifest)
        require_model(task.circuit, task.model)
        progress("commitments", 0, 2)
        commit = partial(kzg.commit, kzg.SrsFile.open(task.srs.path))
        task.opening.check(task.manifest, commit)
        progress("commitments", 1, 2)
        found = model_id(commit(self.weights), task.circuit.k, task.circuit.srs)
        if found != task.model.model:
            raise CorruptedArtefact(
                f"the model secret does not open its commitment: expected {task.model.model}, "
                f"found {found}",
                artefact="model secret",
            )
        progress("commitments", 2, 2)

    def check_budgets(self) -> None:
        left = [s for s in self.task.manifest.shards if self._finished(s) is None]
        self.model_counter.check({self._model_use(): len(left)})
        self.testset_counter.check({self._shard_use(shard): 1 for shard in left})

    def prove_all(self, progress: Progress) -> list[ShardProof]:
        shards = self.task.manifest.shards
        found: dict[int, ShardProof] = {}
        progress("shards", 0, len(shards))
        with ThreadPoolExecutor(self.plan.jobs, "prove") as pool:
            pending: dict[Future[ShardProof], int] = {
                pool.submit(self.prove_one, shard): shard.index for shard in shards
            }
            try:
                for future in as_completed(pending):
                    found[pending[future]] = future.result()
                    progress("shards", len(found), len(shards))
            except BaseException as error:
                # The first failure, or Ctrl-C, ends the others too; what is done is on disk.
                first = error if isinstance(error, KeyboardInterrupt) else self.failure
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                while not all(future.done() for future in pending):
                    kill_all()
                    time.sleep(_KILL_INTERVAL)
                raise (first or error) from None
        return [found[shard.index] for shard in shards]

    def prove_one(self, shard: ShardEntry) -> ShardProof:
        """Prove a shard, unless another has failed; then nothing is begun any more."""
        try:
            if self.stop.is_set():
                raise WorkerFailed("proving was stopped")
            return self._prove_one(shard)
        except BaseException as error:
            # Here, since the pool hands out the next shard before anyone looks at the failure.
            with self.lock:
                self.failure = self.failure or error
            self.stop.set()
            raise

    def _prove_one(self, shard: ShardEntry) -> ShardProof:
        task = self.task
        kept = self._finished(shard)
        public = partial(instances, task.circuit, samples=shard.samples, context=task.context)
        if kept is not None and self._accepts(kept, public(correct=kept.correct)):
            return kept
        logits = run(task.model.architecture, task.model.weights, task.opening.x_int(shard.index))
        expected = count_correct(logits, task.opening.y(shard.index), "strict")
        # Counted before the proof exists: a crash may cost an opening, never hide one.
        self.model_counter.reserve(self._model_use())
        self.testset_counter.reserve(self._shard_use(shard))
        made = prove_shard(
            task.circuit,
            self.keys,
            task.srs.path,
            features=task.opening.features_vector(shard.index),
            labels=task.opening.labels_vector(shard.index),
            weights=self.weights,
            context=task.context,
            samples=shard.samples,
            timeout=self.plan.timeout,
            threads=self.plan.threads,
            scratch=self.checkpoints.folder,
            stop=self.stop,
        )
        if made.correct != expected:
            raise WorkerFailed(
                f"shard {shard.index}: the circuit counted {made.correct} right predictions and "
                f"the integer network {expected}",
                shard=shard.index,
            )
        if not self._accepts(made, public(correct=expected)) or not self._opens(made, shard):
            raise WorkerFailed(
                f"shard {shard.index}: ezkl made a proof that does not verify", shard=shard.index
            )
        self.checkpoints.save(self._key(shard), made)
        with self.lock:
            self.proven += 1
        return made

    def _accepts(self, proof: ShardProof, public: list[int]) -> bool:
        return ezkl_accepts(self.keys, self.task.srs.path, proof.proof, public)

    def _opens(self, proof: ShardProof, shard: ShardEntry) -> bool:
        features, labels, weights = commitments(proof.proof)
        task = self.task
        model = model_id(weights, task.circuit.k, task.circuit.srs)
        return (features.hex(), labels.hex(), model) == (
            shard.features,
            shard.labels,
            task.model.model,
        )

    def _finished(self, shard: ShardEntry) -> ShardProof | None:
        kept = self.checkpoints.load(self._key(shard))
        with contextlib.suppress(CorruptedArtefact):
            return kept if kept is not None and self._opens(kept, shard) else None
        return None

    def _key(self, shard: ShardEntry) -> dict[str, str]:
        task = self.task
        return {
            "circuit": task.circuit.digest,
            "model": task.model.model,
            "context": task.context,
            "features": shard.features,
            "labels": shard.labels,
        }

    def _model_use(self) -> Use:
        return Use("the model", self.task.model.model, self.task.circuit.model_budget)

    def _shard_use(self, shard: ShardEntry) -> Use:
        return Use(f"shard {shard.index}", shard.features, self.task.manifest.budget)
