"""Proves a whole test set: checks everything first, then proves shard by shard, resumably.

The same for every backend: a `Job` says how one checks secrets, proves a shard and accepts it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from circuits.bundle import Bundle
from circuits.errors import WorkerFailed
from prover.budget import OpeningCounter, Use
from prover.checkpoint import Checkpoints
from prover.shard_proof import ShardProof

_KILL_INTERVAL = 0.05
"""Seconds between two looks whether a stopped thread has started one more process."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, steps done, and steps in all."""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Report:
    """What proving cost.

    Attributes
    ----------
    seconds : float
        Sum over shards of proving them, whoever did and when.
    peak_rss : int
        Largest resident memory of one proving process, in bytes.
    proven, resumed : int
        Shards proven now, and taken from checkpoints.
    """

    seconds: float
    peak_rss: int
    proven: int
    resumed: int


@dataclass(frozen=True)
class Openings:
    """Where openings are counted; the files are kept next to the secrets they protect."""

    testset: Path
    model: Path


class Job(Protocol):
    """How a backend proves one model on one test set."""

    @property
    def shards(self) -> int:
        """Number of shards to prove."""

    @property
    def jobs(self) -> int:
        """Shards proven at a time; 0 to prove one after the other in the calling thread."""

    def check(self, progress: Progress) -> None:
        """Find every mismatch before an opening, or an hour, is spent."""

    def prepare(self, progress: Progress) -> None:
        """Do what all shards need, such as deriving keys."""

    def key(self, shard: int) -> Mapping[str, str]:
        """Return all that a shard's proof depends on."""

    def uses(self, shard: int) -> tuple[Use, Use]:
        """Return what proving a shard opens: the model, and the shard."""

    def could_accept(self, shard: int, kept: ShardProof) -> bool:
        """Tell, without keys, whether a checkpoint may be this shard's."""

    def accepts(self, shard: int, made: ShardProof) -> bool:
        """Tell whether a proof verifies."""

    def prove(self, shard: int, folder: Path, stop: threading.Event) -> ShardProof:
        """Prove a shard; secrets on disk go below `folder`, and nothing starts after `stop`."""

    def kill(self) -> None:
        """End the processes at work."""

    def bundle(self, proofs: Sequence[ShardProof]) -> Bundle:
        """Put the proofs of all shards together."""


def prove_testset(
    job: Job, openings: Openings, run_folder: Path, progress: Progress = silent
) -> tuple[Bundle, Report]:
    """Prove how many samples of a committed test set a committed model gets right.

    Parameters
    ----------
    job : Job
        What to prove, and how.
    openings : Openings
        Where openings are counted.
    run_folder : Path
        Where finished shards are kept, so that an interrupted proof continues.
    progress : callable
        Called as work proceeds.

    Returns
    -------
    Bundle, Report
        The proof bundle, every shard of which was verified, and its cost.

    Raises
    ------
    ShapeMismatch, CorruptedArtefact
        If the parts do not belong together or a secret does not open its commitment.
    OpeningBudgetSpent
        If not all shards may be opened once more.
    FolderInUse
        If another process is proving in the same run folder.
    WorkerFailed
        If the backend fails, or a proof it made does not verify.
    """
    session = _Session(job, openings, Checkpoints(run_folder))
    with session.checkpoints.locked():
        job.check(progress)
        session.check_budgets()
        job.prepare(progress)
        proofs = session.prove_all(progress)
    report = Report(
        seconds=sum(proof.seconds for proof in proofs),
        peak_rss=max(proof.peak_rss for proof in proofs),
        proven=session.proven,
        resumed=len(proofs) - session.proven,
    )
    return job.bundle(proofs), report


class _Session:
    def __init__(self, job: Job, openings: Openings, checkpoints: Checkpoints) -> None:
        self.job = job
        self.checkpoints = checkpoints
        self.model_counter = OpeningCounter(openings.model)
        self.testset_counter = OpeningCounter(openings.testset)
        self.proven = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.failure: BaseException | None = None

    def check_budgets(self) -> None:
        left = [shard for shard in range(self.job.shards) if self._finished(shard) is None]
        uses = [self.job.uses(shard) for shard in left]
        self.model_counter.check(Counter(model for model, _ in uses))
        self.testset_counter.check(Counter(shard for _, shard in uses))

    def prove_all(self, progress: Progress) -> list[ShardProof]:
        total = self.job.shards
        progress("shards", 0, total)
        if not self.job.jobs:
            # Here, where Ctrl-C ends it at once: a thread at work cannot be interrupted.
            proofs = []
            for shard in range(total):
                proofs.append(self._prove_one(shard))
                progress("shards", shard + 1, total)
            return proofs
        found: dict[int, ShardProof] = {}
        with ThreadPoolExecutor(self.job.jobs, "prove") as pool:
            pending: dict[Future[ShardProof], int] = {
                pool.submit(self.prove_one, shard): shard for shard in range(total)
            }
            try:
                for future in as_completed(pending):
                    found[pending[future]] = future.result()
                    progress("shards", len(found), total)
            except BaseException as error:
                # The first failure, or Ctrl-C, ends the others too; what is done is on disk.
                first = error if isinstance(error, KeyboardInterrupt) else self.failure
                self.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                while not all(future.done() for future in pending):
                    self.job.kill()
                    time.sleep(_KILL_INTERVAL)
                raise (first or error) from None
        return [found[shard] for shard in range(total)]

    def prove_one(self, shard: int) -> ShardProof:
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

    def _prove_one(self, shard: int) -> ShardProof:
        job = self.job
        kept = self._finished(shard)
        if kept is not None and job.accepts(shard, kept):
            return kept
        # Counted before the proof exists: a crash may cost an opening, never hide one.
        model, testset = job.uses(shard)
        self.model_counter.reserve(model)
        self.testset_counter.reserve(testset)
        made = job.prove(shard, self.checkpoints.folder, self.stop)
        if not job.accepts(shard, made):
            raise WorkerFailed(f"shard {shard}: a proof was made that does not verify", shard=shard)
        self.checkpoints.save(job.key(shard), made)
        with self.lock:
            self.proven += 1
        return made

    def _finished(self, shard: int) -> ShardProof | None:
        kept = self.checkpoints.load(self.job.key(shard))
        return kept if kept is not None and self.job.could_accept(shard, kept) else None
