"""The product's prover at toy size, with chosen challenges and chosen randomness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from circuits.sumcheck import commitment, params
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import K
from circuits.sumcheck.proof_bytes import Proof, parse
from circuits.sumcheck.public import AccuracyInput, WellFormedInput
from circuits.sumcheck.randomness import Randomness
from circuits.sumcheck.reduction import reduce
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.transcript import Transcript
from circuits.weights import Weights
from prover.sumcheck import shard as product
from tests.attacks.sumcheck_lab import Bench
from tests.attacks.sumcheck_lab_opening import Challenged, draw_opening
from verifier.sumcheck.channel import ReadingChannel


@contextmanager
def toy_profiles(openings: int = 1) -> Iterator[None]:
    """Allow profiles so small that exact ranks are quickly found.

    So many positions are opened that a matrix may be opened `openings` times and not once more:
    there is no slack that could hide a missing mask.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(params, "MIN_KAPPA", 3)
        patch.setattr(params, "_opened", lambda kappa: (1 << kappa) // 2 // openings)
        yield


@contextmanager
def fixed_challenges() -> Iterator[None]:
    """Let challenges depend on the public input alone, as if they had been agreed on."""
    absorb = Transcript.absorb

    def only_public(self: Transcript, label: str, data: bytes) -> None:
        if label == "public":
            absorb(self, label, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transcript, "absorb", only_public)
        yield


@dataclass
class Chosen:
    """Randomness of a proof, in the order in which the product draws it.

    Attributes
    ----------
    pads : uint64 array [messages, 2]
    fresh : uint64 array [products, 2]
        x' of every product.
    tail, masks : uint64 array [rows, T], [6, N]
    """

    pads: U64Array
    fresh: U64Array
    tail: U64Array
    masks: U64Array

    @classmethod
    def drawn(cls, relation: Relation, seed: bytes) -> Chosen:
        stream, plan = Randomness(seed), relation.schedule
        rows, profile = relation.proof.rows, relation.profile
        return cls(
            stream.elements(plan.messages, 2),
            stream.elements(len(plan.products), 2),
            stream.elements(rows, profile.tail),
            stream.elements(6, profile.row_slots),
        )


@dataclass
class Shown:
    """A proof made with chosen randomness, and what was committed for it."""

    relation: Relation
    public: AccuracyInput | WellFormedInput
    proof: Proof
    matrices: dict[MatrixName, Matrix]
    chosen: Chosen
    own: list[Matrix] = field(default_factory=list)

    @property
    def view(self) -> dict[str, U64Array]:
        """All that a proof shows but hashes and salts."""
        found = {name: getattr(self.proof, name) for name in ("differences", "messages", "u", "q")}
        columns = {name: opening.columns for name, opening in self.proof.openings.items()}
        return {**found, **columns}  # type: ignore[dict-item]

    @property
    def rows(self) -> dict[MatrixName, int]:
        return {name: matrix.rows for name, matrix in self.matrices.items()}

    def challenged(self) -> tuple[Challenged, NDArray[np.int64]]:
        """Return what the opening is about, and its positions."""
        transcript = Transcript()
        channel = ReadingChannel(self.relation.schedule, transcript, self.proof)
        reduction = reduce(self.relation, self.public, channel)
        constraints, vectors = reduction.constraints, reduction.vectors
        found = draw_opening(constraints, self.relation, vectors, self.rows, transcript)
        profile = self.relation.profile
        return found, transcript.positions(profile.positions, profile.opened)

    def epsilon(self) -> K:
        """Return the challenge of the products."""
        transcript = Transcript()
        transcript.absorb("public", self.public.encode())
        transcript.draw("lookups", 2)
        return transcript.draw("products", 1)[0]


def show(
    bench: Bench,
    public: AccuracyInput | WellFormedInput,
    others: Mapping[MatrixName, Matrix],
    chosen: Chosen,
) -> Shown:
    """Prove with the product and with chosen randomness."""
    draws = iter([chosen.pads, chosen.fresh, chosen.tail, chosen.masks])
    own: list[Matrix] = []
    commit_proof = commitment.commit_proof

    class Replay(Randomness):
        def elements(self, *shape: int) -> U64Array:
            found = next(draws)
            assert found.shape == shape
            return found.copy()

    def recorded(values: U64Array) -> Matrix:
        own.append(commit_proof(values))
        return own[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "Randomness", Replay)
        patch.setattr(commitment, "Randomness", Replay)
        patch.setattr(product, "commit_proof", recorded)
        if isinstance(public, AccuracyInput):
            relation = bench.relation
            outputs, data = product.prove_shard(
                relation,
                public,
                others["shard"],
                others["model"],
                bench.x,
                np.array(bench.y),
                np.array(bench.groups) if bench.group_count else None,
                Weights(bench.architecture, bench.weights),
            )
            assert outputs == public.outputs
        else:
            relation = bench.well_formed
            data = product.prove_well_formed(relation, public, others["shard"])
    matrices: dict[MatrixName, Matrix] = {**others, "proof": own[0]}
    return Shown(relation, public, parse(data, relation.shape), matrices, chosen)
