"""An attacker's workbench for the sumcheck backend: a prover with one lie, against both verifiers.

A `Bench` is a network, weights and samples. `Bench.attack` commits to them, with whatever lies it
is given, proves, and tells which constraints of docs/protocol.md, 5.7, the lie breaks; each
verifier's verdict is the name of the check by which it rejects, or "" where it accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.network import Architecture
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.commitment import Header, Matrix, commitment_id, feature_rows
from circuits.sumcheck.public import AccuracyInput, Metrics, Outputs, WellFormedInput
from circuits.sumcheck.relation import Relation, accuracy, well_formed
from tests.attacks.sumcheck_lab_opening import Forgery, Random, commit_rows, repair_sum
from tests.attacks.sumcheck_lab_proof import Made, prove
from tests.attacks.sumcheck_lab_values import (
    Block,
    Lies,
    Witness,
    model_block,
    residues,
    shard_block,
)
from tests.attacks.sumcheck_lab_witness import make_witness

HEX = {name: f"{i:02x}" * 32 for i, name in enumerate(("circuit", "testset", "context"), 0x11)}


@dataclass(frozen=True)
class Bench:
    """A network, its weights, and a shard of samples.

    Attributes
    ----------
    architecture : Architecture
    weights : mapping
    x : integer array [n, ...]
    y : sequence of int
    groups : sequence of int
        Group of every sample; empty without groups.
    group_count : int
    metrics : Metrics
    a, kappa : int
    """

    architecture: Architecture
    weights: Mapping[str, NDArray[np.int64]]
    x: NDArray[np.int64]
    y: Sequence[int]
    a: int
    groups: Sequence[int] = ()
    group_count: int = 0
    metrics: Metrics = field(default_factory=Metrics)
    kappa: int = 9

    @property
    def samples(self) -> int:
        return len(self.x)

    @cached_property
    def relation(self) -> Relation:
        return accuracy(self.architecture, self.a, self.kappa, self.metrics, self.group_count)

    @cached_property
    def well_formed(self) -> Relation:
        form, shard = self.architecture.input_format, self.relation.shard
        return well_formed(form, shard.inputs, shard.classes, shard.groups, self.a, self.kappa)

    def shard(self, lies: Lies | None = None) -> Block:
        return shard_block(self.relation, self.x, self.y, self.groups, lies or {})

    def model(self, lies: Lies | None = None) -> Block:
        return model_block(self.relation, self.weights, lies or {})

    def witness(self, lies: Lies | None = None, *, pretend: bool = False) -> Witness:
        return make_witness(
            self.relation, self.shard(lies), self.model(lies), lies, pretend=pretend
        )

    def commit(
        self,
        witness: Witness,
        *,
        seed: int = 7,
        filler: int = 0,
        forgery: Forgery | None = None,
    ) -> dict[MatrixName, Matrix]:
        """Commit to the witness's shard and model.

        Unused slots of the shard are filled with `filler`; a `forgery` is one of the shard.
        """
        profile, random = self.relation.profile, Random(seed)
        rows = feature_rows(residues(witness.shard), profile)
        rows.reshape(-1)[witness.shard.size :] = filler
        found: dict[MatrixName, Matrix] = {
            "shard": commit_rows(rows, random, profile, forgery=forgery)
        }
        if witness.relation.model is not None:
            assert witness.model is not None
            slots = residues(witness.model).reshape(-1, profile.row_slots)
            found["model"] = commit_rows(slots, random, profile)
        return found

    def public(
        self, matrices: Mapping[MatrixName, Matrix], outputs: Outputs, samples: int | None = None
    ) -> AccuracyInput:
        return AccuracyInput(
            circuit=HEX["circuit"],
            testset=HEX["testset"],
            shard=0,
            commitment=self.shard_id(matrices),
            model=commitment_id({"kind": "model"}, matrices["model"].root),
            samples=self.samples if samples is None else samples,
            context=HEX["context"],
            outputs=outputs,
        )

    def shard_id(self, matrices: Mapping[MatrixName, Matrix]) -> str:
        # No shard can be committed under the lab's profile; its id is absorbed, no more.
        header: Header = {"kind": "shard", "samples": self.samples}
        return commitment_id(header, matrices["shard"].root)

    def prove(self, witness: Witness, matrices: Mapping[MatrixName, Matrix]) -> Made:
        """Prove the counts of a witness under commitments that are given."""
        return prove(witness, matrices, self.public(matrices, count(witness, self.samples)))

    def attack(
        self,
        lies: Lies | None = None,
        *,
        claim: Callable[[Outputs], Outputs] | None = None,
        samples: int | None = None,
        pretend: bool = False,
        **how: Any,
    ) -> Made:
        """Prove the counts that follow from a witness with lies, or what `claim` makes of them.

        `pretend` is that of `make_witness`, and `how` is passed to `prove`.
        """
        witness = self.witness(lies, pretend=pretend)
        matrices = self.commit(witness, filler=how.get("filler", 0))
        real = self.samples if samples is None else samples
        outputs = count(witness, real)
        public = self.public(matrices, claim(outputs) if claim else outputs, samples)
        return prove(witness, matrices, public, **how)

    def attack_well_formed(
        self,
        lies: Lies | None = None,
        *,
        samples: int | None = None,
        pretend: bool = False,
        **how: Any,
    ) -> Made:
        """Prove that a shard with lies is well-formed; as `attack`."""
        shard = self.shard(lies)
        witness = make_witness(self.well_formed, shard, None, lies, pretend=pretend)
        matrices = self.commit(witness, filler=how.get("filler", 0))
        public = WellFormedInput(
            self.kappa,
            self.a,
            self.shard_id(matrices),
            self.samples if samples is None else samples,
        )
        return prove(witness, matrices, public, **how)


def count(witness: Witness, samples: int) -> Outputs:
    """Return the counts as they follow from what is committed, padding's labels included."""
    metrics = witness.relation.metrics
    p, y, g = witness.predictions, witness.labels, witness.groups
    real = slice(0, samples)
    hits = (p * y)[:, real].sum(axis=0)
    totals = [[int(row[real].sum()) for row in block] for block in (y, g)]
    # Labels of padding count for groups: no selector is there, the shard must be well-formed.
    by_group = (g * (p * y).sum(axis=0)).sum(axis=1)
    return Outputs(
        int(hits.sum()),
        tuple((int(h.sum()), t) for h, t in zip((p * y)[:, real], totals[0], strict=True))
        if metrics.per_class
        else (),
        tuple(tuple(int(v) for v in row) for row in y[:, real].dot(p[:, real].T))
        if metrics.confusion
        else (),
        tuple((int(h), t) for h, t in zip(by_group, totals[1], strict=True))
        if metrics.groups
        else (),
    )


def caught(made: Made, *broken: str) -> None:
    """Assert that a lie breaks just these constraints, and that both verifiers reject it.

    An honest opening shows that the constraints do not add up; with a polynomial that does add up,
    the opened columns do not fit.
    """
    assert sorted(made.broken) == sorted(broken)
    assert made.verdicts() == ("sum", "sum")
    repaired = made.reopened(Forgery(q=repair_sum))
    assert repaired.verdicts() == ("linear", "linear")


def accepted(made: Made) -> None:
    """Assert that nothing is broken and both verifiers accept."""
    assert made.broken == {}
    assert made.verdicts() == ("", "")
