"""The prover's side of the zero checks (docs/protocol.md, section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from circuits.sumcheck.field import kadd, kmul, ksub
from circuits.sumcheck.field_arrays import from_signed, readable
from circuits.sumcheck.field_jit import U64, IntegerArray, U64Array, compiled, parallel, prange
from circuits.sumcheck.field_k import ONE, ZERO, K, from_array, to_array
from circuits.sumcheck.multilinear import combine_rows, eq_table, fold
from circuits.sumcheck.rounds import ZeroChallenges
from circuits.sumcheck.sums import k_total
from circuits.sumcheck.vectors import k_add, k_multiply, k_scale

_POINTS = (0, 2, 3)
_RUN = 1 << 10
_ONE = np.uint64(1)
_ZERO = np.uint64(0)


@compiled
def _at(values: U64Array, i: int, x: int) -> tuple[U64, U64]:
    """Return the value at x of the line through entries 2i at 0 and 2i + 1 at 1."""
    c0, c1 = values[2 * i, 0], values[2 * i, 1]
    d0, d1 = ksub(values[2 * i + 1, 0], values[2 * i + 1, 1], c0, c1)
    for _ in range(x):
        c0, c1 = kadd(c0, c1, d0, d1)
    return c0, c1


@compiled
def _term(values: U64Array, beta: U64Array, i: int, x: int) -> tuple[U64, U64]:
    """Return eq (P^2 - P) at x; if there are D, Y and W, with eq beta P D + W P Y."""
    p0, p1 = _at(values[1], i, x)
    f0, f1 = ksub(p0, p1, _ONE, _ZERO)
    if len(values) > 2:
        d0, d1 = _at(values[2], i, x)
        d0, d1 = kmul(d0, d1, beta[0], beta[1])
        f0, f1 = kadd(f0, f1, d0, d1)
    e0, e1 = _at(values[0], i, x)
    f0, f1 = kmul(f0, f1, e0, e1)
    if len(values) > 2:
        y0, y1 = _at(values[3], i, x)
        w0, w1 = _at(values[4], i, x)
        y0, y1 = kmul(y0, y1, w0, w1)
        f0, f1 = kadd(f0, f1, y0, y1)
    return kmul(f0, f1, p0, p1)


@parallel
def _sum_runs(values: U64Array, beta: U64Array, x: int, out: U64Array) -> None:
    pairs = values.shape[1] // 2
    for run in prange(len(out)):
        c0, c1 = _ZERO, _ZERO
        for i in range(run * _RUN, min((run + 1) * _RUN, pairs)):
            f0, f1 = _term(values, beta, i, x)
            c0, c1 = kadd(c0, c1, f0, f1)
        out[run, 0], out[run, 1] = c0, c1


class OneHotCheck:
    """The sum of eq(tau, .) (B^2 - B), for "well-formed": implements ``Rounds``.

    Parameters
    ----------
    tau : sequence of K
        As many as there are variables.
    columns : uint64 array [columns, 2^a]
        B; columns beyond these are zero.
    """

    def __init__(self, tau: Sequence[K], columns: U64Array) -> None:
        equal = eq_table(to_array(tau))
        self._values = np.stack([equal, _extended(columns, len(equal))])
        self._beta = ZERO

    def message(self) -> list[K]:
        """Return g(0), g(2), g(3) of the next round."""
        values, beta = readable(self._values), self._beta.to_array()
        out = np.empty((-(-values.shape[1] // (2 * _RUN)), 2), np.uint64)
        found = []
        for x in _POINTS:
            _sum_runs(values, beta, x, out)
            found.append(k_total(out))
        return found

    def bind(self, c: K) -> None:
        """Bind that round's variable."""
        self._values = _folded(self._values, c)

    def claims(self) -> list[K]:
        """Return B*."""
        return from_array(self._values[1:2, 0])


class AccuracyCheck(OneHotCheck):
    """The sum of F over samples and classes: implements ``Rounds``.

    Parameters
    ----------
    challenges : ZeroChallenges
    predictions, margins : integer array [classes, 2^a]
        P and D = M - A.
    labels, groups : uint64 array [classes, 2^a], [groups, 2^a]
        Y and G.
    samples : int
        Number of real samples.
    """

    def __init__(
        self,
        challenges: ZeroChallenges,
        predictions: IntegerArray,
        margins: IntegerArray,
        labels: U64Array,
        groups: U64Array,
        samples: int,
    ) -> None:
        super().__init__(challenges.tau, from_signed(predictions))
        places = self._values.shape[1]
        real = np.zeros((labels.shape[1], 2), np.uint64)
        real[:samples, 0] = 1
        # Arrays over the samples: Gamma; sel, Yt, Pf.
        self._gamma = self._confusion = np.zeros((0, len(real), 2), np.uint64)
        weights = [k_scale(omega, real) for omega in challenges.omega]
        # omega is zero beyond the last class; Gamma is the same for every class.
        weights += [np.zeros_like(real)] * (places // len(real) - len(weights))
        if challenges.psi:
            self._gamma = combine_rows(to_array(challenges.psi), groups)[None]
            weights = [k_add(weight, self._gamma[0]) for weight in weights]
        if challenges.theta:
            true = combine_rows(to_array(challenges.theta), labels)
            predicted = combine_rows(to_array(challenges.phi), predictions)
            self._confusion = np.stack([real, true, predicted])
        self._first = ONE  # [c = 0], as far as it is bound
        others = [_extended(values, places) for values in (from_signed(margins), labels)]
        self._values = np.stack([*self._values, *others, np.concatenate(weights)])
        self._beta = challenges.beta

    def message(self) -> list[K]:
        """Return g(0), g(2), g(3) of the next round."""
        found = super().message()
        if len(self._confusion):
            found = [g + self._confused(x) for g, x in zip(found, _POINTS, strict=True)]
        return found

    def bind(self, c: K) -> None:
        """Bind that round's variable."""
        super().bind(c)
        if self._confusion.shape[1] == 1:
            self._first *= 1 - c
        else:
            self._gamma, self._confusion = _folded(self._gamma, c), _folded(self._confusion, c)

    def claims(self) -> list[K]:
        """Return P*, D*, Y*, then W*, Gamma* with groups, then Yt*, Pf* with confusion."""
        p, d, y = from_array(self._values[1:4, 0])
        gamma = from_array(self._gamma[:, 0])
        return [p, d, y, *(p * y for _ in gamma), *gamma, *from_array(self._confusion[1:, 0])]

    def _confused(self, x: int) -> K:
        """Return the sum of [c = 0] sel Yt Pf at x."""
        values = self._confusion
        if values.shape[1] == 1:
            product = self._first * (1 - x)
            for value in from_array(values[:, 0]):
                product *= value
            return product
        lines = zip(values[:, ::2], values[:, 1::2], strict=True)
        real, true, predicted = (
            k_add(k_scale(K.of(1 - x), at_0), k_scale(K(x), at_1)) for at_0, at_1 in lines
        )
        return k_total(k_multiply(k_multiply(real, true), predicted))


def _extended(columns: U64Array, places: int) -> U64Array:
    """Return columns of elements of F as one vector over K, continued with zeros."""
    found = np.zeros((places, 2), np.uint64)
    found[: columns.size, 0] = columns.reshape(-1)
    return found


def _folded(values: U64Array, c: K) -> U64Array:
    """Return arrays [n, m, 2] with variable 0 of each bound to c."""
    r, out = c.to_array(), np.empty((len(values), values.shape[1] // 2, 2), np.uint64)
    for one, folded in zip(values, out, strict=True):
        fold(one, r, folded)
    return out
