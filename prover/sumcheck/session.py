"""How the sumcheck backend proves a test set: a `prover.session.Job`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from circuits.bundle import Bundle
from circuits.errors import CorruptedArtefact, WorkerFailed
from circuits.statement import Statement
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.claims import accuracy_input
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.details import Details
from circuits.sumcheck.match import require_model, require_testset
from circuits.sumcheck.model import ModelCommitment, ModelOpening
from circuits.sumcheck.outputs import total
from circuits.sumcheck.public import AccuracyInput, Outputs
from circuits.sumcheck.testset import BACKEND
from circuits.testset import Manifest, Opening
from prover.budget import Use
from prover.session import Progress
from prover.shard_proof import ShardProof
from prover.sumcheck.work import ShardWork


class Runner(Protocol):
    """Where shards are proven: in processes here, or on other machines."""

    def prove(self, work: ShardWork, stop: threading.Event) -> ShardProof:
        """Prove a shard; WorkerFailed where it cannot be."""

    def kill(self) -> None:
        """End what is at work."""


@dataclass(frozen=True)
class SumcheckJob:
    """What to prove, and with what; a `prover.session.Job`.

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
    verifies : callable
        Tells whether a proof of a public input verifies under a model's commitment.
    jobs : int
        Shards proven at a time; 0 for one after the other in this process.
    runner : Runner, optional
        Where they are proven if there are jobs.
    """

    circuit: Circuit
    manifest: Manifest
    opening: Opening
    model: ModelOpening
    context: str
    verifies: Callable[[AccuracyInput, ModelCommitment, bytes], bool]
    jobs: int = 0
    runner: Runner | None = None

    @property
    def shards(self) -> int:
        """Number of shards to prove."""
        return len(self.manifest.sumcheck.shards)

    def check(self, progress: Progress) -> None:
        """Find every mismatch before an opening is spent.

        Raises
        ------
        ShapeMismatch, CorruptedArtefact
            If the parts do not belong together or a secret does not open its commitment.
        """
        require_testset(self.circuit, self.manifest)
        require_model(self.circuit, self.model)
        progress("commitments", 0, 2)
        self.opening.check(self.manifest)
        self.opening.sumcheck.check(self.manifest.sumcheck)
        for shard in range(self.shards):
            # That samples and seed are those of the leaf hashes shows in any column.
            self.opening.sumcheck.matrix(shard).open(np.zeros(1, np.int64))
        progress("commitments", 1, 2)
        found = self._commitment.model_id
        if found != self.model.model:
            raise CorruptedArtefact(
                f"the model secret does not open its commitment: expected {self.model.model}, "
                f"found {found}",
                artefact="model secret",
            )
        progress("commitments", 2, 2)

    def prepare(self, progress: Progress) -> None:
        """Do nothing: there are no keys."""

    def key(self, shard: int) -> dict[str, str]:
        """Return all that a shard's proof depends on."""
        return {
            "circuit": self.circuit.digest,
            "testset": self.manifest.testset_id,
            "model": self.model.model,
            "context": self.context,
            "shard": self.manifest.sumcheck.shards[shard].root,
        }

    def uses(self, shard: int) -> tuple[Use, Use]:
        """Return what proving a shard opens: the model, and the shard."""
        part = self.manifest.sumcheck
        # The proof that the set is well-formed took its opening when the set was committed.
        return (
            Use("the model", self.model.model, self.model.budget),
            Use(f"shard {shard}", part.shards[shard].commitment, part.proofs),
        )

    def could_accept(self, shard: int, kept: ShardProof) -> bool:  # noqa: ARG002
        """Tell nothing: a checkpoint has a checksum, and is verified when it is used."""
        return True

    def accepts(self, shard: int, made: ShardProof) -> bool:
        """Tell whether a proof verifies."""
        return self.verifies(self._public(shard, made.outputs), self._commitment, made.proof)

    def prove(
        self,
        shard: int,
        folder: Path,  # noqa: ARG002 - nothing secret is put on disk
        stop: threading.Event,
    ) -> ShardProof:
        """Prove a shard; nothing is written to `folder`."""
        opening = self.opening.sumcheck
        work = ShardWork(
            circuit=self.circuit,
            public=self._public(shard, Outputs(0)),
            samples=opening.samples(shard),
            shard_seed=opening.seeds[shard],
            shard_leaves=opening.leaves[shard],
            weights=self.model.weights,
            model_seed=self.model.seed,
            model_leaves=self._matrix.leaves,
        )
        if self.runner is None:
            if stop.is_set():
                raise WorkerFailed("proving was stopped")
            return work.prove()
        return self.runner.prove(work, stop)

    def kill(self) -> None:
        """End what is at work elsewhere."""
        if self.runner is not None:
            self.runner.kill()

    def bundle(self, proofs: Sequence[ShardProof]) -> Bundle:
        """Put the proofs of all shards together."""
        outputs = tuple(proof.outputs for proof in proofs)
        sums = total(outputs)
        statement = Statement(
            backend=BACKEND,
            circuit=self.circuit.digest,
            model=self.model.model,
            testset=self.manifest.testset_id,
            samples=self.manifest.samples,
            correct=sums.correct,
            shard_correct=tuple(counts.correct for counts in outputs),
            context=self.context,
            per_class=sums.per_class,
            confusion=sums.confusion,
            groups=sums.groups,
        )
        details = Details(self._commitment, outputs).to_dict()
        return Bundle(statement, self.circuit.to_dict(), details, tuple(p.proof for p in proofs))

    def _public(self, shard: int, outputs: Outputs) -> AccuracyInput:
        return accuracy_input(
            self.manifest,
            shard,
            circuit=self.circuit.digest,
            model=self.model.model,
            context=self.context,
            outputs=outputs,
        )

    @cached_property
    def _matrix(self) -> Matrix:
        return self.model.matrix()

    @cached_property
    def _commitment(self) -> ModelCommitment:
        return self.model.commitment(self._matrix)
