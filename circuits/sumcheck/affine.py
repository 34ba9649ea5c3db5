"""Affine forms: what a verifier knows of a secret value (docs/protocol.md, section 5).

A secret message is sent as message + pad, so to the verifier its true value is the known masked
value minus an unknown pad. The claims of a proof are sums of such values and of linear functionals
of the committed matrices. A claim that must vanish is a constraint for the opening to prove.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ZERO, K
from circuits.sumcheck.vectors import k_add, k_scale

_Key = TypeVar("_Key")

MatrixName: TypeAlias = Literal["shard", "model", "proof"]
VectorName: TypeAlias = Literal["lookup", "zero", "samples", "padding"]
"""A vector over the samples: eq(rho, .), eq(rho_n, .), the selector of real samples, and
eq(rho_n, .) on the others."""


@dataclass(frozen=True)
class Functional:
    """A linear functional of the committed slots, with coefficients in K.

    Attributes
    ----------
    features : mapping of (matrix, vector) to uint64 [features, 2]
        Coefficient u[f] of sum_n vector[n] feature_f[n]; the features are the first ones of the
        matrix, as many as there are rows in the array.
    slots : mapping of matrix to uint64 [slots, 2]
        Coefficients of single slots, from slot 0 of the matrix.
    """

    features: Mapping[tuple[MatrixName, VectorName], U64Array] = field(default_factory=dict)
    slots: Mapping[MatrixName, U64Array] = field(default_factory=dict)

    def __add__(self, other: Functional) -> Functional:
        return Functional(_merge(self.features, other.features), _merge(self.slots, other.slots))

    def scale(self, by: K) -> Functional:
        """Return the functional times an element of K."""
        return Functional(
            {key: k_scale(by, array) for key, array in self.features.items()},
            {key: k_scale(by, array) for key, array in self.slots.items()},
        )


@dataclass(frozen=True)
class Affine:
    """``constant + sum of pads + functional``.

    Attributes
    ----------
    constant : K
        The known part.
    pads : mapping of int to K
        Coefficient by number of the pad (protocol, section 5.5).
    functional : Functional, optional
        The part that depends on the committed values.
    """

    constant: K
    pads: Mapping[int, K] = field(default_factory=dict)
    functional: Functional | None = None

    @classmethod
    def sent(cls, masked: K, pad: int) -> Affine:
        """Return the true value of a message that arrived with a pad added."""
        return cls(masked, {pad: K.of(-1)})

    def __add__(self, other: Affine | K) -> Affine:
        if isinstance(other, K):
            return Affine(self.constant + other, self.pads, self.functional)
        pads = dict(self.pads)
        for pad, coefficient in other.pads.items():
            pads[pad] = pads.get(pad, ZERO) + coefficient
        functional = self.functional
        if other.functional is not None:
            functional = other.functional if functional is None else functional + other.functional
        return Affine(self.constant + other.constant, pads, functional)

    def __mul__(self, by: K) -> Affine:
        return Affine(
            self.constant * by,
            {pad: coefficient * by for pad, coefficient in self.pads.items()},
            None if self.functional is None else self.functional.scale(by),
        )

    def __neg__(self) -> Affine:
        return self * K.of(-1)

    def __sub__(self, other: Affine | K) -> Affine:
        return self + -other


def _merge(one: Mapping[_Key, U64Array], two: Mapping[_Key, U64Array]) -> dict[_Key, U64Array]:
    merged = dict(one)
    for key, array in two.items():
        merged[key] = _sum(merged[key], array) if key in merged else array
    return merged


def _sum(one: U64Array, two: U64Array) -> U64Array:
    """Return the sum of two coefficient arrays, the shorter one continued with zeros."""
    long, short = (one, two) if len(one) >= len(two) else (two, one)
    total = np.array(long)
    total[: len(short)] = k_add(long[: len(short)], short)
    return total
