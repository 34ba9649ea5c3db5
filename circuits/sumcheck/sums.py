"""Sums over K: of the elements of an array, and of affine forms."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from circuits.sumcheck.affine import Affine
from circuits.sumcheck.field_jit import MODULUS, U64Array
from circuits.sumcheck.field_k import ZERO, K

_HALF_BITS = np.uint64(32)
_LOW_HALF = np.uint64(0xFFFF_FFFF)


def k_total(values: U64Array) -> K:
    """Return the sum of the elements of uint64 [n, 2]."""
    # Halves of words: up to 2^32 of them add up without overflow.
    low = (values & _LOW_HALF).sum(axis=0)
    high = (values >> _HALF_BITS).sum(axis=0)
    c0, c1 = (((int(high[i]) << 32) + int(low[i])) % MODULUS for i in range(2))
    return K(c0, c1)


def combine(terms: Iterable[tuple[K, Affine]]) -> Affine:
    """Return the sum of coefficient times affine form, in one pass over the pads."""
    constant = ZERO
    pads: dict[int, K] = {}
    functional = None
    for by, form in terms:
        constant += by * form.constant
        for pad, coefficient in form.pads.items():
            pads[pad] = pads.get(pad, ZERO) + by * coefficient
        if form.functional is not None:
            scaled = form.functional.scale(by)
            functional = scaled if functional is None else functional + scaled
    return Affine(constant, pads, functional)
