"""The prover's side of the linear layers (docs/protocol.md, section 5.6)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from circuits.layers import INPUT, Add, Conv2d, Dense, Layer, MaxPool, Requantise, SumPool, windows
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import K, from_array
from circuits.sumcheck.multilinear import evaluate_rows, fold
from circuits.sumcheck.pooling import taps
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.sums import k_total
from circuits.sumcheck.vectors import k_add, k_multiply, k_scale
from circuits.sumcheck.wiring import input_coefficients
from circuits.weights import Weights
from prover.sumcheck.witness import Witness

_MINUS_ONE = K.of(-1)


class LinearProver:
    """The sum of z_i m_i: implements ``Rounds``.

    Parameters
    ----------
    z, m : uint64 array [2^s_I, 2]
    """

    def __init__(self, z: U64Array, m: U64Array) -> None:
        self._z, self._m = z, m

    def message(self) -> list[K]:
        """Return g(0), g(2) of the next round."""
        at_0, at_2 = [], []
        for values in (self._z, self._m):
            low, high = values[::2], values[1::2]
            at_0.append(low)
            at_2.append(k_add(k_scale(_MINUS_ONE, low), k_scale(K(2), high)))
        return [k_total(k_multiply(z, m)) for z, m in (at_0, at_2)]

    def bind(self, c: K) -> None:
        """Bind that round's variable."""
        self._z, self._m = (fold(v, c.to_array()) for v in (self._z, self._m))

    def claims(self) -> list[K]:
        """Return z*, m*."""
        return [*from_array(self._z), *from_array(self._m)]


def linear_prover(
    relation: Relation,
    weights: Weights,
    witness: Witness,
    inputs: U64Array,
    eq: U64Array,
    accumulators: Mapping[str, U64Array],
) -> LinearProver:
    """Return the sumcheck over the inputs of all dense layers and convolutions.

    Parameters
    ----------
    relation, weights, witness
        Of the relation "accuracy".
    inputs : uint64 array [features, 2^a]
        X.
    eq : uint64 array [2^a, 2]
        eq(rho, .).
    accumulators : mapping of str to uint64 [outputs, 2]
        The coefficients e of each layer.
    """
    tensors = _tensors_at(relation, witness, inputs, eq)
    z, m = (np.zeros((1 << relation.input_bits, 2), np.uint64) for _ in range(2))
    for item in relation.linear:
        layer = item.layer
        z[item.span] = tensors[layer.inputs[0]]
        m[item.span] = input_coefficients(
            layer, weights[f"{layer.name}.weight"], accumulators[layer.name]
        )
    return LinearProver(z, m)


def _tensors_at(
    relation: Relation, witness: Witness, inputs: U64Array, eq: U64Array
) -> dict[str, U64Array]:
    """Return the extension at a point of every tensor that is linear in committed ones."""
    assert relation.architecture is not None
    found = {INPUT: evaluate_rows(inputs, eq)}
    for layer in relation.architecture.layers:
        if isinstance(layer, Requantise):
            found[layer.name] = evaluate_rows(witness.output(layer.name), eq)
        elif all(name in found for name in layer.inputs) and not isinstance(layer, Dense | Conv2d):
            found[layer.name] = _apply(layer, [found[name] for name in layer.inputs], witness, eq)
    return found


def _apply(layer: Layer, given: list[U64Array], witness: Witness, eq: U64Array) -> U64Array:
    x = given[0]
    if isinstance(layer, Add):
        x = np.zeros_like(x)
        for value, shift in zip(given, layer.shifts, strict=True):
            x = k_add(x, k_scale(K(1 << shift), value))
    elif isinstance(layer, SumPool):
        padded = np.concatenate([x, np.zeros((1, 2), np.uint64)])  # padding has the index -1
        first, *others = windows(layer).reshape(-1, layer.fan_in).T
        x = padded[first]
        for tap in others:
            x = k_add(x, padded[tap])
    elif isinstance(layer, MaxPool):
        # m_{k-1} = x_{k-1} + u_{k-1}, and x_0 for a window of one tap (section 4.3).
        pool = taps(layer)
        last = pool.starts[1:] - 1
        several = np.flatnonzero(last > pool.starts[:-1])
        x = x[pool.inputs[last]]
        u = evaluate_rows(witness.second("increment", layer.name)[last[several] - several - 1], eq)
        x[several] = k_add(x[several], u)
    return x
