"""Proofs of the sumcheck backend made from a witness that may lie, and what both verifiers say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from circuits.errors import ProofRejected
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.channel import Channel
from circuits.sumcheck.commitment import Matrix
from circuits.sumcheck.field_k import K, to_array
from circuits.sumcheck.proof_bytes import Proof, encode
from circuits.sumcheck.public import AccuracyInput, WellFormedInput
from circuits.sumcheck.reduction import Reduction, reduce
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.transcript import Transcript
from tests.attacks.sumcheck_lab_fractions import Cheats
from tests.attacks.sumcheck_lab_opening import (
    Forgery,
    Random,
    commit_rows,
    evaluate_form,
    open_rows,
)
from tests.attacks.sumcheck_lab_rounds import LabSecrets
from tests.attacks.sumcheck_lab_values import Witness, residues
from verifier import plain
from verifier.sumcheck.shard import verify_shard


class LabChannel(Channel):
    """Masks what it is told to, with pads of its own.

    Parameters
    ----------
    relation : Relation
    root : bytes
        Root of the proof matrix.
    pads : list of K
        All pads of section 5.5.
    """

    def __init__(self, relation: Relation, root: bytes, pads: list[K]) -> None:
        super().__init__(relation.schedule, Transcript(), root)
        self.masked: list[K] = []
        self.read: list[K] = []
        self._pads, self._products = pads, relation.schedule.products
        self._first = relation.schedule.messages

    def mask(self, values: Sequence[K] | None, count: int) -> list[K]:
        assert values is not None and len(values) == count
        found = [v + self._pads[self.sent + i] for i, v in enumerate(values)]
        self.masked += found
        return found

    def differences(self, epsilon: K) -> list[K]:
        self.read = [
            epsilon * self._pads[x] - self._pads[self._first + 3 * j + 1]
            for j, (x, _) in enumerate(self._products)
        ]
        return self.read


def honest_pads(relation: Relation, random: Random) -> list[K]:
    """Return pads with z = x y and z' = x' y (5.5)."""
    products = relation.schedule.products
    pads = random.k_elements(relation.schedule.messages)
    for (x, y), other in zip(products, random.k_elements(len(products)), strict=True):
        pads += [pads[x] * pads[y], other, other * pads[y]]
    return pads


@dataclass(frozen=True)
class Made:
    """A proof, honest or not.

    Attributes
    ----------
    relation : Relation
    public : AccuracyInput or WellFormedInput
    roots : dict
        Of shard and model.
    proof : Proof
    broken : dict of str to K
        The constraints that do not hold of what is committed, by name, and by how much they fail.
    matrices : dict
        What is committed.
    reduction : Reduction
    transcript : Transcript
        As it was before the opening.
    """

    relation: Relation
    public: AccuracyInput | WellFormedInput
    roots: dict[MatrixName, bytes]
    proof: Proof
    broken: dict[str, K] = field(default_factory=dict)
    matrices: dict[MatrixName, Matrix] = field(default_factory=dict)
    reduction: Reduction | None = None
    transcript: Transcript = field(default_factory=Transcript)

    @cached_property
    def data(self) -> bytes:
        return encode(self.proof)

    def reopened(self, forgery: Forgery) -> Made:
        """Return the proof with another opening; only `u` and `q` of the forgery are used."""
        assert self.reduction is not None
        opened = open_rows(
            self.reduction.constraints,
            self.relation,
            self.reduction.vectors,
            self.matrices,
            copy(self.transcript),
            forgery,
        )
        return self.changed(u=opened.u, q=opened.q, openings=opened.openings)

    def changed(self, **fields: Any) -> Made:
        """Return the proof with other parts."""
        return replace(self, proof=replace(self.proof, **fields))

    def claiming(self, **fields: Any) -> Made:
        """Return the same proof for another public input."""
        return replace(self, public=replace(self.public, **fields))

    def verdicts(self, data: bytes | None = None) -> tuple[str, str]:
        """Return the verdicts of the fast and of the plain verifier."""
        data = self.data if data is None else data
        return fast_verdict(self, data), plain_verdict(self, data)


def _verdict(verify: Callable[[], None]) -> str:
    try:
        verify()
    except ProofRejected as error:
        return error.check
    return ""


def fast_verdict(made: Made, data: bytes) -> str:
    """Return the check by which the fast verifier rejects, or ""."""
    return _verdict(lambda: verify_shard(made.relation, made.public, made.roots, data))


def plain_verdict(made: Made, data: bytes) -> str:
    """Return the check by which the plain verifier rejects, or ""."""
    return _verdict(lambda: _verify_plainly(made, data))


def _verify_plainly(made: Made, data: bytes) -> None:
    relation, layout, public = made.relation, made.relation.shard, made.public
    shape = plain.ShardShape(
        kappa=relation.profile.kappa,
        a=relation.a,
        samples=public.samples,
        features=layout.inputs,
        classes=layout.classes,
        groups=layout.groups,
    )
    value = json.loads(public.encode())
    shard_root = made.roots["shard"]
    if relation.architecture is None:
        plain.verify_well_formed(
            shape=shape,
            input_format=relation.input_format,
            public=value,
            shard_root=shard_root,
            proof=data,
        )
        return
    metrics = relation.metrics
    plain.verify_shard(
        relation.architecture,
        shape=shape,
        metrics=plain.Metrics(metrics.per_class, metrics.confusion, metrics.groups > 0),
        public=value,
        shard_root=shard_root,
        model_root=made.roots["model"],
        proof=data,
    )


def constraint_names(relation: Relation, public: AccuracyInput | WellFormedInput) -> list[str]:
    """Return names for the constraints in the order of section 5.7."""
    names = []
    for j in range(len(relation.schedule.products)):
        names += [f"difference {j}", f"product {j}"]
    metrics, layout = relation.metrics, relation.shard
    if isinstance(public, AccuracyInput):
        names += ["F", "P*", "D*", "Y*"]
        names += ["W*", "Gamma*"] if metrics.groups else []
        names += ["Yt*", "Pf*"] if metrics.confusion else []
        names.append("P one-hot")
        names += [f"total of class {c}" for c in range(layout.classes * metrics.per_class)]
        names += [f"total of group {g}" for g in range(metrics.groups)]
    else:
        names += ["F", "B*", "Y one-hot"] + ["G one-hot"] * (layout.groups > 0)
        names += ["padding"] * (public.samples < 1 << relation.a)
    names += [f"step {j}" for j in range(relation.depth)] + ["p"]
    return names + (["z* m*", "z*", "m*"] if relation.model else ["V"])


def prove(
    witness: Witness,
    matrices: Mapping[MatrixName, Matrix],
    public: AccuracyInput | WellFormedInput,
    *,
    cheats: Cheats | None = None,
    forgery: Forgery | None = None,
    pads: Callable[[list[K]], None] | None = None,
    filler: int = 0,
    seed: int = 1,
) -> Made:
    """Prove what can be proven of a witness that may lie.

    Parameters
    ----------
    witness : Witness
    matrices : mapping
        The commitments of others.
    public : AccuracyInput or WellFormedInput
        The claim, true or not.
    cheats, forgery
        What is done otherwise than by an honest prover.
    pads : callable, optional
        Changes the pads in place before they are committed.
    filler : int
        Value of the slots that nobody uses.
    seed : int
        Of all randomness.
    """
    relation = witness.relation
    profile, layout, forgery = relation.profile, relation.proof, forgery or Forgery()
    secret_pads = honest_pads(relation, Random(seed, 1))
    if pads:
        pads(secret_pads)
    features = residues(witness.features()).reshape(-1)
    values = np.full(layout.data_rows << profile.kappa, filler, np.uint64)
    values[: len(features)] = features
    flat = to_array(secret_pads).reshape(-1)
    values[layout.pad_slot : layout.pad_slot + len(flat)] = flat
    rows = values.reshape(-1, profile.row_slots)
    own = commit_rows(rows, Random(seed, 2), profile, masks=True, forgery=forgery)
    every: dict[MatrixName, Matrix] = {**matrices, "proof": own}
    channel = LabChannel(relation, own.root, secret_pads)
    secrets = LabSecrets(witness, public.samples, cheats or Cheats())
    reduction = reduce(relation, public, channel, secrets)
    constraints, vectors = reduction.constraints, reduction.vectors
    names = constraint_names(relation, public)
    found = [evaluate_form(form, relation, every, vectors) for form in constraints]
    before = copy(channel.transcript)
    opened = open_rows(constraints, relation, vectors, every, channel.transcript, forgery)
    proof = Proof(
        own.root,
        to_array(channel.read),
        to_array(channel.masked),
        opened.u,
        opened.q,
        opened.openings,
    )
    return Made(
        relation,
        public,
        {name: matrix.root for name, matrix in matrices.items()},
        proof,
        {name: value for name, value in zip(names, found, strict=True) if value},
        every,
        reduction,
        before,
    )
