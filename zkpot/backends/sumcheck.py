"""The sumcheck backend: no trusted setup, for thousands of samples and deeper networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from circuits import artefact_files
from circuits.datasets import Dataset
from circuits.errors import InputError, ProofRejected
from circuits.float_network import FloatNetwork
from circuits.integer import Ties
from circuits.layers import INPUT, Dense, Requantise
from circuits.network import Architecture, NumberFormat
from circuits.quantise import quantise
from circuits.sumcheck import match, plan
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.model import ModelCommitment, ModelOpening, commit_model
from circuits.sumcheck.params import Profile
from circuits.sumcheck.public import AccuracyInput
from circuits.sumcheck.shards import SumcheckCommit
from circuits.sumcheck.testset import SumcheckPart
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import Manifest, Opening
from circuits.weights import Weights
from prover.sumcheck.cluster import connect
from prover.sumcheck.plan import make_plan
from prover.sumcheck.processes import Processes
from prover.sumcheck.session import SumcheckJob
from prover.sumcheck.wellformed import prove_testset_well_formed
from verifier.sumcheck.claim import Claim
from zkpot.backends.base import (
    CompileSettings,
    Cost,
    DataSettings,
    Pins,
    ProveSettings,
    Sized,
    SrsChoice,
)

DEFAULT_BITS = 12
"""Width of weights and activations: they cost little, and each bit halves what rounding does."""

_HIDDEN = 64
"""Neurons of the network that shards are sized for where none is given."""


def _own(circuit: artefact_files.Circuit) -> Circuit:
    assert isinstance(circuit, Circuit)
    return circuit


class Sumcheck:
    """A `zkpot.backends.base.Backend`."""

    name: ClassVar[str] = "sumcheck"
    ties: ClassVar[Ties] = "first"

    def commit(self, dataset: Dataset, settings: DataSettings) -> SumcheckCommit:
        """Size the shards and return how to commit to the set."""
        if settings.network is None:
            architecture = _stand_in(dataset, settings)
        else:
            architecture, _ = _quantise(
                settings.network,
                settings.input_format,
                settings.input_exponent,
                *_widths(settings),
                None,
            )
        groups = 0 if dataset.group is None else int(dataset.group.max()) + 1
        sizing = plan.fit_shards(
            architecture,
            dataset.samples,
            groups,
            proofs=plan.DEFAULT_BUDGET if settings.budget is None else settings.budget,
            memory=settings.memory,
            shard_size=settings.shard_size,
        )
        if settings.budget is None:
            budget = Profile(sizing.kappa).max_openings
        else:
            budget = settings.budget + SumcheckPart.own_openings
        return SumcheckCommit(sizing.shard_size, sizing.kappa, budget)

    def well_formed(
        self, manifest: Manifest, opening: Opening, progress: Callable[[int, int], None]
    ) -> WellFormed:
        """Prove that a committed set is well-formed."""
        return prove_testset_well_formed(manifest, opening, progress)

    def quantise(
        self, network: FloatNetwork, manifest: Manifest, settings: CompileSettings
    ) -> tuple[Architecture, Weights]:
        """Turn a network into integers, rescaled after every layer."""
        return _quantise(
            network,
            manifest.input_format,
            manifest.input_exponent,
            *_widths(settings),
            settings.calibration,
        )

    def circuit(
        self, architecture: Architecture, manifest: Manifest, settings: CompileSettings
    ) -> Sized:
        """Return the circuit of one shard."""
        if settings.model_budget is not None:
            raise InputError("--model-budget is for halo2: give --budget to commit-model")
        part = manifest.sumcheck
        made = Circuit(
            architecture=architecture,
            shard_size=part.shard_size,
            kappa=part.kappa,
            per_class=settings.per_class,
            confusion=settings.confusion,
            per_group=settings.per_group,
            groups=manifest.groups,
        )
        facts = self.facts(made)
        return Sized(
            made,
            f"{facts['rows']:,} rows of 2^{made.kappa} and {facts['lookups']:,} lookups a shard, "
            f"{made.relation.security.bits:.1f} bits",
            facts,
        )

    def commit_model(
        self,
        circuit: artefact_files.Circuit,
        weights: Weights,
        budget: int | None,
        srs: SrsChoice,  # noqa: ARG002 - halo2's
    ) -> tuple[ModelCommitment, ModelOpening]:
        """Commit to a model; there is no SRS."""
        return commit_model(_own(circuit), weights, budget=budget)

    def require_testset(self, circuit: artefact_files.Circuit, manifest: Manifest) -> None:
        """Raise ShapeMismatch where a circuit was not compiled for a test set."""
        match.require_testset(_own(circuit), manifest)

    def check_commitment(self, model: artefact_files.ModelCommitment) -> None:
        """Do nothing: any 32 bytes may be a Merkle root."""

    def cost(
        self, circuit: artefact_files.Circuit, manifest: Manifest, memory: int, jobs: int | None
    ) -> Cost:
        """Predict what proving takes; OutOfMemory where it does not fit."""
        made = make_plan(_own(circuit), len(manifest.sumcheck.shards), memory, jobs)
        return Cost(
            shards=made.shards,
            jobs=made.jobs,
            setup_seconds=0.0,
            shard_seconds=made.one.seconds,
            seconds=made.seconds,
            peak_bytes=made.peak_bytes,
            key_bytes=0,
            proof_bytes=made.shards * made.one.proof_bytes,
        )

    @contextmanager
    def job(
        self,
        circuit: artefact_files.Circuit,
        manifest: Manifest,
        opening: Opening,
        model: artefact_files.ModelOpening,
        context: str,
        settings: ProveSettings,
    ) -> Iterator[SumcheckJob]:
        """Give the proof of a whole test set, ready to be run, here or on a cluster."""
        own = _own(circuit)
        assert isinstance(model, ModelOpening)
        match.require_testset(own, manifest)
        match.require_model(own, model)
        job = SumcheckJob(own, manifest, opening, model, context, _verifier(own, manifest))
        shards = len(manifest.sumcheck.shards)
        if settings.cluster is not None:
            with connect(settings.cluster, send_secrets=settings.send_secrets) as cluster:
                jobs = cluster.jobs(own, shards, settings.jobs)
                yield replace(job, jobs=jobs, runner=cluster)
            return
        made = make_plan(own, shards, settings.memory, settings.jobs)
        if made.jobs == 1:
            yield job
        else:
            yield replace(job, jobs=made.jobs, runner=Processes(made.threads))

    def pins(
        self,
        circuit: artefact_files.Circuit,  # noqa: ARG002 - its digest is pinned anyway
        srs: SrsChoice,  # noqa: ARG002 - halo2's
    ) -> Pins:
        """Return that there is nothing to pin but the circuit."""
        return Pins()

    def facts(self, circuit: artefact_files.Circuit) -> Mapping[str, Any]:
        """Return the sizes of a shard's proof, and what it is worth in bits."""
        relation = _own(circuit).relation
        security = relation.security
        return {
            "rows": relation.proof.rows,
            "shard_rows": relation.shard.rows,
            "model_rows": relation.model.rows if relation.model else 0,
            "lookups": relation.slots << relation.a,
            "tables": [table.entries for table in relation.tables],
            "messages": relation.schedule.messages,
            "opened_columns": relation.profile.opened,
            "most_openings": relation.profile.max_openings,
            "proof_bytes": plan.proof_bytes(relation),
            "security_bits": f"{security.bits:.1f}",
            "security_terms": {name: f"{bits:.1f}" for name, bits in security.terms.items()},
        }


def _verifier(
    circuit: Circuit, manifest: Manifest
) -> Callable[[AccuracyInput, ModelCommitment, bytes], bool]:
    """Return what tells whether a proof verifies; the prover may not import the verifier."""

    def verifies(public: AccuracyInput, commitment: ModelCommitment, proof: bytes) -> bool:
        roots: dict[MatrixName, bytes] = {
            "shard": bytes.fromhex(manifest.sumcheck.shards[public.shard].root),
            "model": bytes.fromhex(commitment.root),
        }
        try:
            Claim(public.shard, circuit.relation, public, roots, proof).check_fast()
        except ProofRejected:
            return False
        return True

    return verifies


def _quantise(
    network: FloatNetwork,
    form: NumberFormat,
    exponent: int,
    weight_bits: int,
    activation_bits: int,
    calibration: Dataset | None,
) -> tuple[Architecture, Weights]:
    return quantise(
        network,
        input_format=form,
        input_exponent=exponent,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        rescale=True,
        calibration=None if calibration is None else calibration.x,
    )


def _widths(settings: DataSettings | CompileSettings) -> tuple[int, int]:
    """Return the widths of weights and activations."""
    given = settings.weight_bits, settings.activation_bits
    weight, activation = (DEFAULT_BITS if width is None else width for width in given)
    return weight, activation


def _stand_in(dataset: Dataset, settings: DataSettings) -> Architecture:
    """Return a network of one hidden layer, to size shards for where none is given."""
    features = int(dataset.x[0].size)
    weight_bits, activation_bits = _widths(settings)
    form = NumberFormat(activation_bits, False)
    hidden = Dense("hidden", (INPUT,), features, _HIDDEN, True)
    shift = max(0, (features * settings.input_format.magnitude).bit_length() - 1)
    return Architecture(
        input_shape=(features,),
        input_format=settings.input_format,
        input_exponent=settings.input_exponent,
        weight_bits=weight_bits,
        classes=dataset.classes,
        layers=(
            hidden,
            Requantise("active", ("hidden",), (_HIDDEN,), shift, form),
            Dense("logits", ("active",), _HIDDEN, dataset.classes, True),
        ),
        output="logits",
    )
