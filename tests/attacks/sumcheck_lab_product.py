"""The product's own prover at the workbench, with randomness that can be repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from circuits.sumcheck import randomness
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.proof_bytes import parse
from circuits.sumcheck.public import AccuracyInput, Outputs, WellFormedInput
from circuits.sumcheck.relation import Relation
from circuits.weights import Weights
from prover.sumcheck.shard import prove_shard, prove_well_formed
from tests.attacks.sumcheck_lab import Bench
from tests.attacks.sumcheck_lab_opening import seed_bytes
from tests.attacks.sumcheck_lab_proof import Made


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let the product draw what `sumcheck_lab.prove` draws from a seed. For one proof."""
    uses = count(1)

    class Secrets:
        @staticmethod
        def token_bytes(_: int) -> bytes:
            return seed_bytes(seed, next(uses))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(randomness, "secrets", Secrets)
        yield


def honest(bench: Bench, seed: int | None = None) -> Made:
    """Return the product's proof of a bench's counts, its randomness from a seed if given."""
    return prove_bench(bench, bench.commit(bench.witness()), seed)


def honest_well_formed(bench: Bench, seed: int | None = None) -> Made:
    """Return the product's proof that a bench's shard is well-formed."""
    return prove_bench_well_formed(bench, {"shard": bench.commit(bench.witness())["shard"]}, seed)


def prove_bench(bench: Bench, matrices: dict[MatrixName, Matrix], seed: int | None) -> Made:
    """Prove a bench's counts under given commitments."""
    public = bench.public(matrices, Outputs(0))
    groups = np.array(bench.groups) if bench.group_count else None
    weights = Weights(bench.architecture, bench.weights)
    shard, model = matrices["shard"], matrices["model"]
    labels, relation = np.array(bench.y), bench.relation
    with _maybe_seeded(seed):
        outputs, data = prove_shard(
            relation, public, shard, model, bench.x, labels, groups, weights
        )
    return _made(relation, replace(public, outputs=outputs), matrices, data)


def prove_bench_well_formed(
    bench: Bench, matrices: dict[MatrixName, Matrix], seed: int | None
) -> Made:
    """Prove under a given commitment that a bench's shard is well-formed."""
    public = WellFormedInput(bench.kappa, bench.a, bench.shard_id(matrices), bench.samples)
    with _maybe_seeded(seed):
        data = prove_well_formed(bench.well_formed, public, matrices["shard"])
    return _made(bench.well_formed, public, matrices, data)


def _made(
    relation: Relation,
    public: AccuracyInput | WellFormedInput,
    matrices: dict[MatrixName, Matrix],
    data: bytes,
) -> Made:
    roots = {name: matrix.root for name, matrix in matrices.items()}
    made = Made(relation, public, roots, parse(data, relation.shape), {}, matrices)
    assert made.data == data
    return made


@contextmanager
def _maybe_seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
    else:
        with seeded(seed):
            yield
