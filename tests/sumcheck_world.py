"""A tiny network, test set and model for the sumcheck backend, proven in a second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from circuits.bundle import Bundle
from circuits.datasets import Dataset
from circuits.integer import predict, run
from circuits.network import Architecture, Dense, NumberFormat, Requantise, parameter_shapes
from circuits.statement import Context
from circuits.sumcheck.circuit import Circuit
from circuits.sumcheck.model import ModelCommitment, ModelOpening, commit_model
from circuits.sumcheck.shards import SumcheckCommit
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import Manifest, Opening, commit_testset
from circuits.weights import Weights, parameter_limits
from prover.session import Openings, Report, prove_testset
from prover.sumcheck.session import SumcheckJob
from prover.sumcheck.wellformed import prove_testset_well_formed
from verifier.verify import Expectation
from zkpot.backends.base import ProveSettings
from zkpot.backends.sumcheck import Sumcheck

KAPPA = 10
SHARD_SIZE = 4
SAMPLES = 10
GROUPS = 2
CLASSES = 3
BUDGET = 3
MEMORY = 8 << 30


def mlp(hidden: int = 5) -> Architecture:
    layers = (
        Dense("d1", ("input",), 4, hidden, True),
        Requantise("r1", ("d1",), (hidden,), 4, NumberFormat(4, False)),
        Dense("d2", ("r1",), hidden, CLASSES, True),
    )
    return Architecture((4,), NumberFormat(4, False), 0, 4, CLASSES, layers, "d2")


def random_weights(architecture: Architecture, rng: np.random.Generator) -> Weights:
    limits = parameter_limits(architecture)
    return Weights(
        architecture,
        {
            name: rng.integers(-limits[name], limits[name] + 1, shape)
            for name, shape in parameter_shapes(architecture).items()
        },
    )


@dataclass(frozen=True)
class World:
    """A committed test set of three shards and a committed model that were made for each other."""

    circuit: Circuit
    weights: Weights
    manifest: Manifest
    opening: Opening
    commitment: ModelCommitment
    model: ModelOpening
    context: Context

    @cached_property
    def predictions(self) -> np.ndarray:
        logits = run(self.circuit.architecture, self.weights, self.opening.samples.features)
        return predict(logits, "first")

    @property
    def right(self) -> np.ndarray:
        return self.predictions == self.opening.samples.labels

    @property
    def counts(self) -> tuple[int, ...]:
        """Right predictions of each shard, according to the integer network."""
        starts = range(0, SAMPLES, SHARD_SIZE)
        return tuple(int(self.right[at : at + SHARD_SIZE].sum()) for at in starts)

    @cached_property
    def well_formed(self) -> WellFormed:
        return prove_testset_well_formed(self.manifest, self.opening, lambda *_: None)

    def job(self, jobs: int | None = None) -> SumcheckJob:
        """Return what to prove."""
        settings = ProveSettings(MEMORY, jobs)
        with Sumcheck().job(
            self.circuit, self.manifest, self.opening, self.model, self.context.digest, settings
        ) as job:
            return job

    def prove(self, folder: Path) -> tuple[Bundle, Report]:
        """Prove it in a folder."""
        return prove_testset(self.job(), openings_in(folder), folder / "run")

    def expected(self, **changes: object) -> Expectation:
        found = Expectation(
            self.manifest, self.context.digest, well_formed=self.well_formed.encode()
        )
        return replace(found, **changes)


def openings_in(folder: Path) -> Openings:
    """Return where openings are counted in a folder."""
    return Openings(folder / "testset.openings", folder / "model.openings")


def dataset(architecture: Architecture, weights: Weights, rng: np.random.Generator) -> Dataset:
    """Return samples of which a network gets two thirds right, in groups by turns."""
    x = rng.integers(0, 16, (SAMPLES, 4))
    y = run(architecture, weights, x).argmax(axis=1)
    y[::3] = (y[::3] + 1) % CLASSES
    return Dataset.of(x.astype(float), y, np.arange(SAMPLES) % GROUPS, classes=CLASSES)


def make_world(seed: int = 5) -> World:
    """Make a world in which every shard has right and wrong predictions."""
    rng = np.random.default_rng(seed)
    architecture = mlp()
    weights = random_weights(architecture, rng)
    manifest, opening = commit_testset(
        dataset(architecture, weights, rng), [SumcheckCommit(SHARD_SIZE, KAPPA, BUDGET)],
        bits=4, signed=False, exponent=0, smallest_group=1,
    )  # fmt: skip
    circuit = Circuit(
        architecture, SHARD_SIZE, KAPPA, per_class=True, confusion=True, per_group=True,
        groups=GROUPS,
    )  # fmt: skip
    commitment, model = commit_model(circuit, weights)
    context = Context("11" * 32, "22" * 32, 0, "tests")
    return World(circuit, weights, manifest, opening, commitment, model, context)
