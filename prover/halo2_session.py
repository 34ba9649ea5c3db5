"""How the halo2 backend proves a test set: `prover.session.Job` over ezkl's processes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
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
from circuits.testset import Manifest, Opening
from prover.budget import Use
from prover.halo2 import prove_shard
from prover.plan import Plan
from prover.session import Progress
from prover.shard_proof import ShardProof


@dataclass(frozen=True)
class Halo2Job:
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
    srs : SrsInfo
        The SRS file.
    plan : Plan
        Processes, threads and patience.
    """

    circuit: Circuit
    manifest: Manifest
    opening: Opening
    model: ModelOpening
    context: str
    srs: SrsInfo
    plan: Plan

    @property
    def shards(self) -> int:
        """Number of shards to prove."""
        return len(self.manifest.halo2.shards)

    @property
    def jobs(self) -> int:
        """Shards proven at a time."""
        return self.plan.jobs

    def check(self, progress: Progress) -> None:
        """Find every mismatch before an opening, or an hour, is spent.

        Raises
        ------
        SrsInvalid
            If the SRS is not the one the circuit names.
        ShapeMismatch, CorruptedArtefact
            If the parts do not belong together or a secret does not open its commitment.
        """
        self.circuit.require_srs(self.srs.path, self.srs.digest)
        require_testset(self.circuit, self.manifest)
        require_model(self.circuit, self.model)
        progress("commitments", 0, 2)
        commit = partial(kzg.commit, kzg.SrsFile.open(self.srs.path))
        self.opening.check(self.manifest)
        self.opening.halo2.check(self.manifest.halo2, commit)
        progress("commitments", 1, 2)
        found = model_id(commit(self._weights), self.circuit.k, self.circuit.srs)
        if found != self.model.model:
            raise CorruptedArtefact(
                f"the model secret does not open its commitment: expected {self.model.model}, "
                f"found {found}",
                artefact="model secret",
            )
        progress("commitments", 2, 2)

    def prepare(self, progress: Progress) -> None:
        """Derive the keys."""
        progress("keys", 0, 1)
        _ = self._keys
        progress("keys", 1, 1)

    def key(self, shard: int) -> dict[str, str]:
        """Return all that a shard's proof depends on."""
        entry = self.manifest.halo2.shards[shard]
        return {
            "circuit": self.circuit.digest,
            "model": self.model.model,
            "context": self.context,
            "features": entry.features,
            "labels": entry.labels,
        }

    def uses(self, shard: int) -> tuple[Use, Use]:
        """Return what proving a shard opens: the model, and the shard."""
        part = self.manifest.halo2
        return (
            Use("the model", self.model.model, self.circuit.model_budget),
            Use(f"shard {shard}", part.shards[shard].commitment, part.budget),
        )

    def could_accept(self, shard: int, kept: ShardProof) -> bool:
        """Tell whether a proof starts with the commitments of this shard and model."""
        entry = self.manifest.halo2.shards[shard]
        with contextlib.suppress(CorruptedArtefact):
            features, labels, weights = commitments(kept.proof)
            model = model_id(weights, self.circuit.k, self.circuit.srs)
            found = (features.hex(), labels.hex(), model)
            return found == (entry.features, entry.labels, self.model.model)
        return False

    def accepts(self, shard: int, made: ShardProof) -> bool:
        """Tell whether ezkl accepts a proof of this shard."""
        public = instances(
            self.circuit,
            correct=made.outputs.correct,
            samples=self.manifest.halo2.shards[shard].samples,
            context=self.context,
        )
        return self.could_accept(shard, made) and ezkl_accepts(
            self._keys, self.srs.path, made.proof, public
        )

    def prove(self, shard: int, folder: Path, stop: threading.Event) -> ShardProof:
        """Prove a shard.

        Raises
        ------
        WorkerFailed
            If ezkl fails, or the circuit does not count what the integer network counts.
        """
        opening = self.opening.halo2
        logits = run(self.model.architecture, self.model.weights, opening.x_int(shard))
        expected = count_correct(logits, opening.y(shard), "strict")
        made = prove_shard(
            self.circuit,
            self._keys,
            self.srs.path,
            features=opening.features_vector(shard),
            labels=opening.labels_vector(shard),
            weights=self._weights,
            context=self.context,
            samples=self.manifest.halo2.shards[shard].samples,
            timeout=self.plan.timeout,
            threads=self.plan.threads,
            scratch=folder,
            stop=stop,
        )
        if made.outputs.correct != expected:
            raise WorkerFailed(
                f"shard {shard}: the circuit counted {made.outputs.correct} right predictions and "
                f"the integer network {expected}",
                shard=shard,
            )
        return made

    def kill(self) -> None:
        """End ezkl's processes."""
        kill_all()

    def bundle(self, proofs: Sequence[ShardProof]) -> Bundle:
        """Put the proofs of all shards together."""
        counts = tuple(proof.outputs.correct for proof in proofs)
        statement = Statement(
            backend=BACKEND,
            circuit=self.circuit.digest,
            model=self.model.model,
            testset=self.manifest.testset_id,
            samples=self.manifest.samples,
            correct=sum(counts),
            shard_correct=counts,
            context=self.context,
        )
        details = {"srs_insecure": self.srs.insecure}
        return Bundle(statement, self.circuit.to_dict(), details, tuple(p.proof for p in proofs))

    @cached_property
    def _weights(self) -> list[int]:
        return self.model.vector()

    @cached_property
    def _keys(self) -> Keys:
        return derive(self.circuit, self.srs.path, proving=True)
