"""Committed matrices of random values, and constraints that hold of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from circuits.sumcheck.affine import Affine, Functional
from circuits.sumcheck.commitment import MASK_ROWS, commit, commit_proof
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.field_k import ZERO, K, from_array, to_array
from circuits.sumcheck.params import Profile
from circuits.sumcheck.proof_bytes import Proof, Shape, encode, parse
from circuits.sumcheck.transcript import Transcript
from prover.sumcheck.opening import open_matrices
from verifier.sumcheck.opening import check_opening

PADS = 5


@dataclass
class World:
    """A prover's matrices, what they satisfy, and the two sides of the conversation."""

    a: int
    matrices: dict
    constraints: list
    vectors: dict
    pad_slot: int

    @property
    def shape(self):
        rows = {name: matrix.rows for name, matrix in self.matrices.items()}
        return Shape(self.matrices["proof"].profile, 2, 3, rows)

    @property
    def roots(self):
        return {name: m.root for name, m in self.matrices.items() if name != "proof"}

    def transcript(self):
        transcript = Transcript()
        transcript.absorb("root", self.matrices["proof"].root)
        return transcript

    def prove(self):
        """The bytes of a proof; differences and messages are another part's and made up."""
        u, q, openings = open_matrices(
            self.matrices, self.constraints, self.vectors, self.pad_slot, self.transcript()
        )
        rest = np.arange(10, dtype=np.uint64).reshape(5, 2)
        root = self.matrices["proof"].root
        return encode(Proof(root, rest[:2], rest[2:], u, q, openings))

    def verify(self, data):
        self.verify_parsed(parse(data, self.shape))

    def verify_parsed(self, proof):
        transcript = Transcript()
        transcript.absorb("root", proof.root)
        check_opening(
            proof,
            self.shape,
            self.roots,
            self.constraints,
            self.vectors,
            self.pad_slot,
            transcript,
        )

    def value(self, affine):
        """The value of an affine form on the committed slots, by the definition."""
        flat = {name: m.values.reshape(-1).tolist() for name, m in self.matrices.items()}
        total = affine.constant
        for pad, coefficient in affine.pads.items():
            slot = self.pad_slot + 2 * pad
            total = total + coefficient * K(*flat["proof"][slot : slot + 2])
        functional = affine.functional or Functional()
        for (name, vector), coefficients in functional.features.items():
            entries = from_array(self.vectors[vector])
            for f, coefficient in enumerate(from_array(coefficients)):
                feature = flat[name][f << self.a : (f + 1) << self.a]
                inner = sum((w * x for w, x in zip(entries, feature, strict=True)), ZERO)
                total = total + coefficient * inner
        for name, coefficients in functional.slots.items():
            pairs = zip(from_array(coefficients), flat[name], strict=False)
            total = total + sum((c * x for c, x in pairs), ZERO)
        return total

    def settle(self):
        """Correct the constants so that every constraint holds."""
        self.constraints = [one - self.value(one) for one in self.constraints]


def world(kappa=6, a=4, seed=0, model=True):
    """Random matrices and constraints of every kind, all slots that are not looked at random."""
    rng = np.random.default_rng(seed)
    n = Profile(kappa).row_slots

    def k_array(count):
        return rng.integers(0, MODULUS, (count, 2), dtype=np.uint64)

    def values(rows):
        return rng.integers(0, MODULUS, (rows, n), dtype=np.uint64)

    matrices = {"shard": commit(values(3), rng.bytes(32))}
    if model:
        matrices["model"] = commit(values(2), rng.bytes(32))
    matrices["proof"] = commit_proof(values(4 + MASK_ROWS))
    in_row = n >> a
    one, two = {}, {}
    one["shard", "lookup"] = k_array(2 * in_row + 1)
    one["proof", "lookup"] = k_array(in_row)
    one["proof", "zero"] = k_array(min(3, in_row))
    two["shard", "samples"] = k_array(1)
    slots = {}
    if model:
        one["model", "lookup"] = k_array(in_row)
        slots["model"] = k_array(n + 3)
    # The pads begin in one row and end in the next.
    pad_slot = 2 * n - PADS
    pads = [dict(enumerate(from_array(k_array(PADS)))), {0: K(1)}]
    constraints = [
        Affine(K(5), pads[0], Functional(one)),
        Affine(ZERO, pads[1]),
        Affine(K(7), {}, Functional(two, slots)),
        Affine(K(9), {1: K(0, 3)}, Functional({}, slots)),
    ]
    selector = to_array([K(1)] * 3 + [ZERO] * ((1 << a) - 3)) if a > 1 else k_array(1 << a)
    vectors = {"lookup": k_array(1 << a), "zero": k_array(1 << a), "samples": selector}
    made = World(a, matrices, constraints, vectors, pad_slot)
    made.settle()
    return made


def violated(made, by=1):
    """The same matrices, and a first constraint that they do not satisfy."""
    first = made.constraints[0] + K.of(by)
    return replace(made, constraints=[first, *made.constraints[1:]])
