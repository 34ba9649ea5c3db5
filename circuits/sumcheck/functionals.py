"""Affine forms that are functionals of committed features (docs/protocol.md, section 5)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from circuits.sumcheck.affine import Affine, Functional, MatrixName, VectorName
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import ZERO, K, to_array


def placed(size: int, start: int, coefficients: U64Array) -> U64Array:
    """Return a vector of `size` coefficients, zero but for those from `start` on."""
    found = np.zeros((size, 2), np.uint64)
    found[start : start + len(coefficients)] = coefficients
    return found


def on_features(
    matrix: MatrixName, vector: VectorName, span: slice, coefficients: Iterable[K]
) -> Affine:
    """Return the sum over the features of a span of coefficient times feature under a vector."""
    return of_features(matrix, vector, placed(span.stop, span.start, to_array(coefficients)))


def of_features(matrix: MatrixName, vector: VectorName, coefficients: U64Array) -> Affine:
    """Return the sum over the first features of a matrix, with coefficients uint64 [n, 2]."""
    return Affine(ZERO, functional=Functional({(matrix, vector): coefficients}))


def of_slots(matrix: MatrixName, coefficients: U64Array) -> Affine:
    """Return the sum over the first slots of a matrix, with coefficients uint64 [n, 2]."""
    return Affine(ZERO, functional=Functional(slots={matrix: coefficients}))
