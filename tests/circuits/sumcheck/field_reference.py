"""Random field elements with the awkward values first, and the slow way to do things."""

import numpy as np

from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.field_k import K

P = MODULUS
EDGES = [0, 1, 2, P - 1, P - 2, 2**32 - 1, 2**32, 2**32 + 1, 2**63 - 1, 2**63, P - 2**32]


def elements(rng, *shape):
    """Random elements of F, the edge values among them."""
    array = rng.integers(0, P, shape, dtype=np.uint64)
    flat = array.reshape(-1)
    places = rng.permutation(len(flat))[: len(EDGES)]
    flat[places] = EDGES[: len(places)]
    return array


def k_vector(array):
    """uint64[n, 2] as a list of K."""
    return [K(*pair) for pair in array.tolist()]


def k_sum(terms):
    return sum(terms, K(0))


def horner(coefficients, x):
    """The polynomial at x; ints or K, low coefficient first."""
    result = K(0)
    for coefficient in reversed(coefficients):
        result = result * x + coefficient
    return result
