"""One proof with all it is held against, for either of the two verifiers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from circuits.errors import ProofRejected
from circuits.network import macs
from circuits.sumcheck.affine import MatrixName
from circuits.sumcheck.public import AccuracyInput, WellFormedInput
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.threads import KERNELS
from verifier import plain
from verifier.question import Verifiers
from verifier.sumcheck.shard import verify_shard

PLAIN_SECONDS = 10.0
"""A plain verification that would take longer is left out, unless it is asked for."""


@dataclass(frozen=True)
class Claim:
    """One proof of a shard.

    Attributes
    ----------
    shard : int
        Index of the shard, for errors.
    relation : Relation
        What is proven.
    public : AccuracyInput or WellFormedInput
        Its public input.
    roots : mapping of matrix to bytes
        Merkle roots of the commitments of others.
    proof : bytes
        The proof.
    """

    shard: int
    relation: Relation
    public: AccuracyInput | WellFormedInput
    roots: Mapping[MatrixName, bytes]
    proof: bytes

    def check_fast(self) -> None:
        """Verify with the fast verifier; ProofRejected names its check and the shard."""
        self._check("sumcheck", self._fast)

    def check_plainly(self) -> None:
        """Verify with the plain verifier; ProofRejected names its check and the shard."""
        self._check("plain", self._plain)

    def _check(self, name: str, verify: Any) -> None:
        try:
            verify()
        except ProofRejected as error:
            raise ProofRejected(
                name, f"shard {self.shard}: {error.message}", shard=self.shard, inner=error.check
            ) from None

    def _fast(self) -> None:
        with KERNELS:
            verify_shard(self.relation, self.public, self.roots, self.proof)

    def _plain(self) -> None:
        relation = self.relation
        shape = plain.ShardShape(
            kappa=relation.profile.kappa,
            a=relation.a,
            samples=self.public.samples,
            features=relation.shard.inputs,
            classes=relation.shard.classes,
            groups=relation.shard.groups,
        )
        public = json.loads(self.public.encode())
        if relation.architecture is None:
            plain.verify_well_formed(
                shape=shape,
                input_format=relation.input_format,
                public=public,
                shard_root=self.roots["shard"],
                proof=self.proof,
            )
            return
        metrics = relation.metrics
        plain.verify_shard(
            relation.architecture,
            shape=shape,
            metrics=plain.Metrics(metrics.per_class, metrics.confusion, metrics.groups > 0),
            public=public,
            shard_root=self.roots["shard"],
            model_root=self.roots["model"],
            proof=self.proof,
        )


def wants_fast(verifiers: Verifiers) -> bool:
    """Tell whether the fast verifier is asked for."""
    return verifiers != "plain"


def wants_plain(verifiers: Verifiers, relation: Relation, proofs: int) -> bool:
    """Tell whether the plain verifier is asked for, or quick enough to be asked anyway."""
    if verifiers == "auto":
        return proofs * plain_seconds(relation) <= PLAIN_SECONDS
    return verifiers in ("plain", "both")


def plain_seconds(relation: Relation) -> float:
    """Predict how long the plain verifier takes for one proof, on a core of 2 GHz."""
    profile = relation.profile
    features = relation.shard.features + relation.proof.features
    features += 0 if relation.model is None else relation.model.rows << (profile.kappa - relation.a)
    polynomials = profile.degree + profile.linear_degree
    products = 0 if relation.architecture is None else macs(relation.architecture)
    return (
        _SECONDS_PER_SYMBOL * profile.opened * (features + polynomials)
        + _SECONDS_PER_PRODUCT * products
    )


_SECONDS_PER_SYMBOL = 0.55e-6
_SECONDS_PER_PRODUCT = 2e-6
