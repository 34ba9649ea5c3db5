"""A prover of docs/protocol.md 5.3, 5.4 and 5.6 from arrays written out in full, that may cheat.

It is slow, follows the page literally, and shares no code with the product's prover. Where it is
told to, it sends claims that are false but satisfy the check at hand, so that a lie is found by a
later check than the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from circuits.network import parameter_shapes
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import K, from_array, to_array
from circuits.sumcheck.multilinear import combine_rows, eq_table, evaluate_rows, fold
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.rounds import ZeroChallenges
from circuits.sumcheck.sums import k_total
from circuits.sumcheck.vectors import k_add, k_multiply, k_scale
from circuits.sumcheck.wiring import input_coefficients
from tests.attacks.sumcheck_lab_fractions import Cheats, Claims, FractionTree, line
from tests.attacks.sumcheck_lab_values import Witness, residues

Arrays: TypeAlias = Sequence[U64Array]
Term: TypeAlias = Callable[..., U64Array]


class DenseRounds:
    """A sumcheck over all entries of arrays: implements ``Rounds``.

    Parameters
    ----------
    arrays : sequence of uint64 [2^k, 2]
    term : callable
        From the arrays' values, the values to be summed.
    degree : int
    claims : callable, optional
        From the arrays' values at the end, what is sent.
    """

    def __init__(
        self,
        arrays: Arrays,
        term: Term,
        degree: int,
        claims: Callable[[list[K]], list[K]] = lambda found: found,
    ) -> None:
        self._arrays = list(arrays)
        self._term, self._degree, self._claims = term, degree, claims

    def message(self) -> list[K]:
        at = (0, *range(2, self._degree + 1))
        return [k_total(self._term(*[line(a, x) for a in self._arrays])) for x in at]

    def bind(self, c: K) -> None:
        self._arrays = [fold(array, c.to_array()) for array in self._arrays]

    def claims(self) -> list[K]:
        return self._claims([from_array(array)[0] for array in self._arrays])


class LabSecrets:
    """The secret side of a reduction: implements ``Secrets``."""

    def __init__(self, witness: Witness, samples: int, cheats: Cheats) -> None:
        self._witness, self._samples, self._cheats = witness, samples, cheats
        self._relation = witness.relation

    def zero_check(self, challenges: ZeroChallenges) -> DenseRounds:
        relation = self._relation
        if relation.model is None:
            bits = self._columns(np.concatenate([self._witness.labels, self._witness.groups]))
            arrays = {"tau": eq_table(to_array(challenges.tau)), "b": bits}
        else:
            arrays = self._accuracy_arrays(challenges)
        if self._cheats.arrays:
            self._cheats.arrays(arrays)
        if relation.model is None:
            return DenseRounds(
                list(arrays.values()),
                lambda tau, b: k_multiply(tau, _minus(k_multiply(b, b), b)),
                3,
                self._final(self._cheats.zero_claims, lambda found: found[1:]),
            )
        return DenseRounds(
            list(arrays.values()),
            lambda *at: _accuracy_term(challenges.beta, *at),
            3,
            self._final(self._cheats.zero_claims, self._accuracy_claims),
        )

    def _accuracy_arrays(self, challenges: ZeroChallenges) -> dict[str, U64Array]:
        witness, relation = self._witness, self._relation
        classes, size = relation.shard.classes, 1 << relation.a
        wide = 1 << relation.zero_bits
        margins = witness.blocks["maximum", ""] - witness.blocks["logits", ""]
        real = np.arange(size) < self._samples
        omega = np.zeros((wide, size, 2), np.uint64)
        omega[:classes] = to_array(challenges.omega)[:, None] * real[None, :, None].astype(
            np.uint64
        )
        first = np.zeros((wide, size, 2), np.uint64)
        first[0, :, 0] = real

        def weighed(weights: list[K], block: np.ndarray) -> U64Array:
            by_sample = np.zeros((size, 2), np.uint64)
            if weights:
                by_sample = combine_rows(to_array(weights), residues(block))
            return np.ascontiguousarray(np.broadcast_to(by_sample, (wide, size, 2)).reshape(-1, 2))

        return {
            "tau": eq_table(to_array(challenges.tau)),
            "p": self._columns(witness.predictions),
            "d": self._columns(margins),
            "y": self._columns(witness.labels),
            "omega": omega.reshape(-1, 2),
            "gamma": weighed(challenges.psi, witness.groups),
            "first": first.reshape(-1, 2),
            "yt": weighed(challenges.theta, witness.labels),
            "pf": weighed(challenges.phi, witness.predictions),
        }

    def _accuracy_claims(self, found: list[K]) -> list[K]:
        _, p, d, y, _, gamma, _, yt, pf = found
        metrics = self._relation.metrics
        of_groups = [p * y, gamma] if metrics.groups else []
        return [p, d, y, *of_groups, *([yt, pf] if metrics.confusion else [])]

    def _columns(self, block: np.ndarray) -> U64Array:
        """Return a block in K, filled up with zeros to the columns of the zero check."""
        full = np.zeros((1 << self._relation.zero_bits, block.shape[1], 2), np.uint64)
        full[: len(block), :, 0] = residues(block)
        return full.reshape(-1, 2)

    @staticmethod
    def _final(
        cheat: Claims | None, honest: Callable[[list[K]], list[K]]
    ) -> Callable[[list[K]], list[K]]:
        return lambda found: cheat(honest(found)) if cheat else honest(found)

    def lookups(self, alpha: K, gamma: K) -> FractionTree:
        relation, witness = self._relation, self._witness
        size, places = 1 << relation.a, 1 << relation.depth
        p, q = np.zeros((places, 2), np.uint64), np.zeros((places, 2), np.uint64)
        q[:, 0] = 1
        counts = residues(witness.blocks["multiplicities", ""] * -1)
        first = relation.table_slots[0].start
        for segment in (*relation.lookups, *relation.table_slots):
            span = slice(segment.span.start * size, segment.span.stop * size)
            if segment.kind == "table":
                v0, v1 = relation.table(segment).columns(relation.a)
                rows = slice(segment.span.start - first, segment.span.stop - first)
                p[span, 0] = counts[rows].reshape(-1)
            else:
                v0, v1 = witness.leaves[relation.lookups.index(segment)]
                p[span, 0] = 1
            q[span] = _denominators(v0, v1, alpha - gamma * gamma * segment.tag, gamma)
        if self._cheats.leaves:
            self._cheats.leaves(p, q)
        return FractionTree(p, q, self._cheats)

    def linear(self, rho: U64Array, accumulators: Mapping[str, U64Array]) -> DenseRounds:
        relation, witness = self._relation, self._witness
        assert relation.model is not None and witness.model is not None
        slots = residues(witness.model)
        samples = eq_table(rho)
        z, m = (np.zeros((1 << relation.input_bits, 2), np.uint64) for _ in range(2))
        for item in relation.linear:
            layer = item.layer
            x = witness.tensors[layer.inputs[0]]
            z[item.span] = evaluate_rows(residues(x), samples)
            weight = slots[relation.model.span(f"{layer.name}.weight")]
            e = accumulators[layer.name]
            m[item.span] = input_coefficients(layer, _shaped(relation, layer.name, weight), e)
        return DenseRounds([z, m], k_multiply, 2, self._final(self._cheats.linear_claims, list))


def _shaped(relation: Relation, name: str, weight: U64Array) -> U64Array:
    assert relation.architecture is not None
    return weight.reshape(parameter_shapes(relation.architecture)[f"{name}.weight"])


def _denominators(v0: np.ndarray, v1: np.ndarray, base: K, gamma: K) -> U64Array:
    """Return base - (v0 + gamma v1), flat."""
    first, second = (residues(v.astype(object)).reshape(-1) for v in (v0, v1))
    found = np.zeros((len(first), 2), np.uint64)
    found[:, 0] = second
    found = k_scale(gamma, found)
    found = k_add(found, np.stack([first, np.zeros_like(first)], axis=1))
    constant = np.broadcast_to(base.to_array(), found.shape)
    return _minus(constant, found)


def _minus(a: U64Array, b: U64Array) -> U64Array:
    return k_add(a, k_scale(K.of(-1), b))


def _accuracy_term(
    beta: K,
    tau: U64Array,
    p: U64Array,
    d: U64Array,
    y: U64Array,
    omega: U64Array,
    gamma: U64Array,
    first: U64Array,
    yt: U64Array,
    pf: U64Array,
) -> U64Array:
    """Return F of section 5.3."""
    bits = k_add(_minus(k_multiply(p, p), p), k_scale(beta, k_multiply(p, d)))
    found = k_multiply(tau, bits)
    found = k_add(found, k_multiply(k_add(omega, gamma), k_multiply(p, y)))
    return k_add(found, k_multiply(first, k_multiply(yt, pf)))
