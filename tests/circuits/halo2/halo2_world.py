"""A network small enough to be proven in half a second, and everything made from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from circuits.bundle import Bundle
from circuits.datasets import Dataset
from circuits.halo2 import kzg
from circuits.halo2.circuit import Circuit
from circuits.halo2.model import ModelCommitment, ModelOpening, commit_model
from circuits.halo2.plan import fit_columns
from circuits.halo2.srs import SrsInfo
from circuits.halo2.testset import Halo2Commit
from circuits.integer import count_correct, run
from circuits.network import Architecture, Dense, NumberFormat, Relu, parameter_shapes
from circuits.statement import Context
from circuits.testset import Manifest, Opening, commit_testset
from circuits.weights import Weights, parameter_limits
from prover.halo2_session import Halo2Job
from prover.plan import make_plan
from prover.session import Openings, Report, prove_testset

K = 10
SHARD_SIZE = 3
SAMPLES = 8
TESTSET_BUDGET = 2
MODEL_BUDGET = 6
MEMORY = 8 << 30
NO_SRS = "ab" * 32
"""The digest of an SRS nobody has, for circuits that are never proven."""


def mlp(
    *,
    features: int = 4,
    hidden: int = 5,
    classes: int = 3,
    input_format: NumberFormat = NumberFormat(4, False),  # noqa: B008 - frozen
    weight_bits: int = 4,
) -> Architecture:
    layers = (
        Dense("d1", ("input",), features, hidden, True),
        Relu("r1", ("d1",), (hidden,)),
        Dense("d2", ("r1",), hidden, classes, True),
    )
    return Architecture((features,), input_format, 0, weight_bits, classes, layers, "d2")


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
    """A committed test set and a committed model that were made for each other."""

    srs: SrsInfo
    circuit: Circuit
    weights: Weights
    manifest: Manifest
    opening: Opening
    commitment: ModelCommitment
    model: ModelOpening
    context: Context

    @property
    def counts(self) -> tuple[int, ...]:
        """Right predictions of each shard, according to the integer network."""
        return tuple(
            count_correct(
                run(self.circuit.architecture, self.weights, self.opening.halo2.x_int(shard.index)),
                self.opening.halo2.y(shard.index),
                "strict",
            )
            for shard in self.manifest.halo2.shards
        )

    def job(self, jobs: int | None = None) -> Halo2Job:
        """Return what to prove."""
        return Halo2Job(
            circuit=self.circuit,
            manifest=self.manifest,
            opening=self.opening,
            model=self.model,
            context=self.context.digest,
            srs=self.srs,
            plan=make_plan(self.circuit, len(self.manifest.halo2.shards), MEMORY, jobs),
        )

    def prove(self, folder: Path) -> tuple[Bundle, Report]:
        """Prove it in a folder."""
        return prove_testset(self.job(), openings_in(folder), folder / "run")


def openings_in(folder: Path) -> Openings:
    """Return where openings are counted in a folder."""
    return Openings(folder / "testset.openings", folder / "model.openings")


def make_world(srs: SrsInfo, seed: int = 5) -> World:
    """Make a world in which every shard has right and wrong predictions."""
    architecture = mlp()
    sizing = fit_columns(
        architecture,
        shard_size=SHARD_SIZE,
        k=K,
        testset_budget=TESTSET_BUDGET,
        model_budget=MODEL_BUDGET,
        srs=srs.digest,
    )
    rng = np.random.default_rng(seed)
    weights = random_weights(architecture, rng)
    x = rng.integers(0, 16, (SAMPLES, 4))
    y = run(architecture, weights, x).argmax(axis=1)
    y[::3] = (y[::3] + 1) % 3
    commit = Halo2Commit(
        partial(kzg.commit, kzg.SrsFile.open(srs.path)), srs.digest, K, True, SHARD_SIZE,
        TESTSET_BUDGET,
    )  # fmt: skip
    manifest, opening = commit_testset(
        Dataset.of(x.astype(float), y, None, classes=3), [commit], bits=4, signed=False, exponent=0
    )
    commitment, model = commit_model(sizing.circuit, weights, srs.path, srs_insecure=True)
    context = Context("11" * 32, "22" * 32, 0, "tests")
    return World(srs, sizing.circuit, weights, manifest, opening, commitment, model, context)


def files_under(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file())


def field_texts(vector: list[int]) -> list[bytes]:
    """Return every form in which a field element could end up in a file of ours or ezkl's."""
    texts = []
    for value in vector:
        big, little = value.to_bytes(32, "big"), value.to_bytes(32, "little")
        texts += [big, little, big.hex().encode(), little.hex().encode(), str(value).encode()]
    return texts
