"""The halo2 backend: proofs by ezkl, small enough for a contract to check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from circuits import artefact_files
from circuits.datasets import Dataset
from circuits.errors import InputError, OutOfMemory
from circuits.float_network import FloatNetwork
from circuits.halo2 import kzg, match, plan
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import Circuit
from circuits.halo2.keys import derive
from circuits.halo2.model import ModelCommitment, ModelOpening, commit_model
from circuits.halo2.srs import SrsInfo
from circuits.halo2.testset import Halo2Commit
from circuits.integer import Ties
from circuits.network import Architecture
from circuits.quantise import quantise
from circuits.testset import Manifest, Opening
from circuits.weights import Weights
from prover.halo2_session import Halo2Job
from prover.plan import make_plan
from zkpot.backends.base import (
    CompileSettings,
    Cost,
    DataSettings,
    Pins,
    ProveSettings,
    Sized,
    SrsChoice,
)

SMALLEST_K = 12
DEFAULT_SHARD = 50
"""Samples of a shard when no model is given to size it by."""
DEFAULT_BUDGET = 32
DEFAULT_WEIGHT_BITS = 8


def find_srs(k: int, choice: SrsChoice) -> SrsInfo:
    """Return the SRS to use for 2^k rows: the file chosen, or one of the local store.

    Raises
    ------
    SrsMissing, SrsInvalid, SrsInsecure
        As `circuits.halo2.srs.require` and `find`.
    """
    if choice.path is not None:
        return srs_files.require(choice.path, k=k, allow_insecure=choice.allow_insecure)
    return srs_files.find(k, allow_insecure=choice.allow_insecure)


def choose_k(memory: int) -> int:
    """Return the size of circuit to commit for: the default, or less if memory is short.

    Raises
    ------
    OutOfMemory
        If even the smallest would not fit.
    """
    for k in range(plan.DEFAULT_K, SMALLEST_K - 1, -1):
        least = plan.estimate(k, plan.DEFAULT_COLUMNS).peak_bytes
        if least <= memory:
            return k
    raise OutOfMemory(
        f"the smallest circuit takes {least >> 20} MB to prove, and the limit is {memory >> 20} MB",
        needed=least,
        available=memory,
    )


def _weight_bits(settings: DataSettings | CompileSettings) -> int:
    return DEFAULT_WEIGHT_BITS if settings.weight_bits is None else settings.weight_bits


def _own(circuit: artefact_files.Circuit) -> Circuit:
    assert isinstance(circuit, Circuit)
    return circuit


class Halo2:
    """A `zkpot.backends.base.Backend`."""

    name: ClassVar[str] = "halo2"
    ties: ClassVar[Ties] = "strict"

    def commit(self, dataset: Dataset, settings: DataSettings) -> Halo2Commit:
        """Size the shards and return how to commit to the set."""
        k = choose_k(settings.memory) if settings.k is None else settings.k
        info = find_srs(k, settings.srs)
        budget = DEFAULT_BUDGET if settings.budget is None else settings.budget
        size = settings.shard_size
        if size is None and settings.network is None:
            size = min(DEFAULT_SHARD, dataset.samples)
        if size is None and settings.network is not None:
            architecture, _ = quantise(
                settings.network,
                input_format=settings.input_format,
                input_exponent=settings.input_exponent,
                weight_bits=_weight_bits(settings),
                rescale=False,
            )
            size = plan.fit_shard_size(
                architecture,
                dataset.samples,
                k=k,
                columns=plan.DEFAULT_COLUMNS,
                testset_budget=budget,
                model_budget=plan.DEFAULT_MODEL_BUDGET,
                srs=info.digest,
            )
        assert size is not None
        committer = partial(kzg.commit, kzg.SrsFile.open(info.path))
        return Halo2Commit(committer, info.digest, k, info.insecure, size, budget)

    def well_formed(
        self, manifest: Manifest, opening: Opening, progress: Callable[[int, int], None]
    ) -> None:
        """Prove nothing: the circuit checks features and labels in every accuracy proof."""

    def quantise(
        self, network: FloatNetwork, manifest: Manifest, settings: CompileSettings
    ) -> tuple[Architecture, Weights]:
        """Turn a network into integers, without any rounding after the weights."""
        return quantise(
            network,
            input_format=manifest.input_format,
            input_exponent=manifest.input_exponent,
            weight_bits=_weight_bits(settings),
            rescale=False,
        )

    def circuit(
        self, architecture: Architecture, manifest: Manifest, settings: CompileSettings
    ) -> Sized:
        """Return the circuit of one shard, with the fewest columns that hold it."""
        if settings.per_class or settings.confusion or settings.per_group:
            raise InputError("the halo2 backend counts right predictions only: use sumcheck")
        part = manifest.halo2
        budget = settings.model_budget
        sizing = plan.fit_columns(
            architecture,
            shard_size=part.shard_size,
            k=part.k,
            testset_budget=part.budget,
            model_budget=plan.DEFAULT_MODEL_BUDGET if budget is None else budget,
            srs=part.srs,
        )
        made = sizing.circuit
        return Sized(
            made,
            f"{sizing.rows:,} of {1 << made.k:,} rows, {made.columns} columns, "
            f"{made.decomp_legs} digits",
            {"rows": sizing.rows, "assignments": sizing.assignments, "columns": made.columns},
        )

    def commit_model(
        self, circuit: artefact_files.Circuit, weights: Weights, budget: int | None, srs: SrsChoice
    ) -> tuple[ModelCommitment, ModelOpening]:
        """Commit to a model; the budget is the circuit's."""
        own = _own(circuit)
        if budget not in (None, own.model_budget):
            raise InputError(
                f"the circuit is for a model that is opened {own.model_budget} times: give "
                "--model-budget to compile"
            )
        info = find_srs(own.k, srs)
        return commit_model(own, weights, info.path, srs_insecure=info.insecure)

    def require_testset(self, circuit: artefact_files.Circuit, manifest: Manifest) -> None:
        """Raise ShapeMismatch where a circuit was not compiled for a test set."""
        match.require_testset(_own(circuit), manifest)

    def check_commitment(self, model: artefact_files.ModelCommitment) -> None:
        """Raise CorruptedArtefact where a commitment is no point of the curve."""
        assert isinstance(model, ModelCommitment)
        match.require_points({"the model": model.commitment})

    def cost(
        self, circuit: artefact_files.Circuit, manifest: Manifest, memory: int, jobs: int | None
    ) -> Cost:
        """Predict what proving takes; OutOfMemory where it does not fit."""
        made = make_plan(_own(circuit), len(manifest.halo2.shards), memory, jobs)
        return Cost(
            shards=made.shards,
            jobs=made.jobs,
            setup_seconds=made.one.setup_seconds,
            shard_seconds=made.one.prove_seconds,
            seconds=made.seconds,
            peak_bytes=made.peak_bytes,
            key_bytes=made.one.key_bytes,
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
    ) -> Iterator[Halo2Job]:
        """Give the proof of a whole test set, ready to be run."""
        own = _own(circuit)
        if settings.cluster is not None:
            raise InputError("the halo2 backend proves on this machine only")
        assert isinstance(model, ModelOpening)
        match.require_testset(own, manifest)
        match.require_model(own, model)
        yield Halo2Job(
            circuit=own,
            manifest=manifest,
            opening=opening,
            model=model,
            context=context,
            srs=find_srs(own.k, settings.srs),
            plan=make_plan(own, len(manifest.halo2.shards), settings.memory, settings.jobs),
        )

    def pins(self, circuit: artefact_files.Circuit, srs: SrsChoice) -> Pins:
        """Derive the verifying key, and return its digest and the SRS's."""
        own = _own(circuit)
        keys = derive(own, find_srs(own.k, srs).path, proving=False)
        return Pins(keys.verifying_key_digest, own.srs)

    def facts(
        self,
        circuit: artefact_files.Circuit,  # noqa: ARG002 - all its sizes are in its file
    ) -> Mapping[str, Any]:
        """Return nothing."""
        return {}
