"""Toy shards and models, committed, proven by the fast prover and verified."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from circuits.network import Architecture
from circuits.sumcheck.commitment import Matrix, commit, feature_rows
from circuits.sumcheck.model import model_rows
from circuits.sumcheck.public import AccuracyInput, Metrics, Outputs, WellFormedInput
from circuits.sumcheck.relation import Relation, accuracy, well_formed
from circuits.weights import Weights
from prover.sumcheck.shard import prove_shard, prove_well_formed
from tests.circuits.sumcheck.toy_networks import random_samples, random_weights
from verifier.sumcheck.shard import verify_shard

KAPPA = 9
_IDS = dict.fromkeys(("circuit", "testset", "commitment", "model", "context"), "00" * 32)


@dataclass
class Toy:
    """What an owner of a model and an owner of a shard have."""

    relation: Relation
    weights: Weights
    inputs: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None

    @property
    def public(self) -> AccuracyInput:
        return AccuracyInput(**_IDS, shard=0, samples=len(self.labels), outputs=Outputs(0))

    @property
    def shard(self) -> Matrix:
        layout = self.relation.shard
        features = np.zeros((layout.features, 1 << self.relation.a), np.int64)
        count = len(self.labels)
        features[: layout.inputs, :count] = self.inputs.reshape(count, -1).T
        features[layout.inputs + self.labels, np.arange(count)] = 1
        if self.groups is not None:
            features[layout.inputs + layout.classes + self.groups, np.arange(count)] = 1
        return commit(feature_rows(features, self.relation.profile), bytes(32))

    @property
    def model(self) -> Matrix:
        network = self.relation.architecture
        assert network is not None
        return commit(model_rows(network, self.weights, KAPPA), bytes(32))

    def prove(self, **options: Any) -> tuple[Outputs, bytes]:
        return prove_shard(
            self.relation,
            self.public,
            self.shard,
            self.model,
            self.inputs,
            self.labels,
            self.groups,
            self.weights,
            **options,
        )

    def verify(self, outputs: Outputs, proof: bytes) -> None:
        roots = {"shard": self.shard.root, "model": self.model.root}
        verify_shard(self.relation, replace(self.public, outputs=outputs), roots, proof)

    def well_formed(self) -> tuple[Relation, WellFormedInput]:
        layout = self.relation.shard
        relation = well_formed(
            self.relation.input_format,
            layout.inputs,
            layout.classes,
            layout.groups,
            self.relation.a,
            KAPPA,
        )
        return relation, WellFormedInput(KAPPA, self.relation.a, "00" * 32, len(self.labels))

    def prove_and_verify_well_formed(self) -> None:
        relation, public = self.well_formed()
        proof = prove_well_formed(relation, public, self.shard)
        verify_shard(relation, public, {"shard": self.shard.root}, proof)


def toy(
    network: Architecture,
    a: int,
    samples: int,
    metrics: Metrics | None = None,
    groups: int = 0,
    seed: int = 0,
) -> Toy:
    rng = np.random.default_rng(seed)
    return Toy(
        accuracy(network, a, KAPPA, metrics or Metrics(), groups),
        random_weights(network, rng),
        random_samples(network, samples, rng),
        rng.integers(0, network.classes, samples),
        rng.integers(0, groups, samples) if groups else None,
    )
