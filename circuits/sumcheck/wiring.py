"""How tensors depend on each other: linear maps of the network, traced back (protocol, 5.6).

Prover and verifier hold coefficients e of some tensors and want ``sum e_i tensor_i`` as a sum over
what is committed and over accumulators. Each layer turns coefficients of its output into
coefficients of its inputs: the adjoint of the layer.
"""

from __future__ import annotations

import math

import numpy as np

from circuits.layers import INPUT, Add, Conv2d, Dense, Flatten, MaxPool, Requantise, SumPool
from circuits.sumcheck import pooling
from circuits.sumcheck.field_arrays import readable
from circuits.sumcheck.field_jit import IntegerArray, U64Array
from circuits.sumcheck.field_k import K, to_array
from circuits.sumcheck.multilinear import evaluate_rows
from circuits.sumcheck.relation import Relation
from circuits.sumcheck.sums import k_total
from circuits.sumcheck.vectors import k_add, k_scale
from circuits.sumcheck.wiring_kernels import (
    convolution_inputs,
    convolution_weights,
    geometry,
    outer_product,
)


class Coefficients:
    """Coefficients of tensors and of proof features, each uint64 [elements, 2], first all zero.

    Attributes
    ----------
    features : uint64 array [proof features, 2]
        Coefficients of the features of the proof matrix.
    accumulators : dict of str to uint64 [outputs, 2]
        After `trace_back`: the coefficients of each dense layer and convolution that was reached.
    """

    def __init__(self, relation: Relation) -> None:
        if relation.architecture is None:
            raise ValueError("this relation has no network")
        self._architecture = relation.architecture
        self._proof = relation.proof
        self._tensors: dict[str, U64Array] = {}
        self.features: U64Array = np.zeros((relation.proof.features, 2), np.uint64)
        self.accumulators: dict[str, U64Array] = {}

    def tensor(self, name: str) -> U64Array:
        """Return the coefficients of the input or of a layer's output, to be added to in place."""
        if name not in self._tensors:
            size = math.prod(self._architecture.shape_of(name))
            self._tensors[name] = np.zeros((size, 2), np.uint64)
        return self._tensors[name]

    def add_differences(self, layer: MaxPool, e: U64Array) -> None:
        """Add ``sum_i e[i] d_i`` over the differences of a `MaxPool` (section 4.3)."""
        u = self.features[self._proof.span("increments", layer.name)]
        pooling.add_differences(layer, e, self.tensor(layer.inputs[0]), u)

    def trace_back(self) -> U64Array:
        """Trace all tensors back to committed ones; return the coefficients of the input X.

        Those of the proof's features are then in `features`, the rest in `accumulators`.
        """
        for layer in reversed(self._architecture.layers):
            e = self._tensors.pop(layer.name, None)
            if e is None:
                continue
            if isinstance(layer, Requantise):
                add_to(self.features[self._proof.span("output", layer.name)], e)
            elif isinstance(layer, Dense | Conv2d):
                self.accumulators[layer.name] = e
            elif isinstance(layer, Flatten):
                add_to(self.tensor(layer.inputs[0]), e)
            elif isinstance(layer, Add):
                for name, shift in zip(layer.inputs, layer.shifts, strict=True):
                    add_to(self.tensor(name), k_scale(K(1 << shift), e))
            elif isinstance(layer, SumPool):
                pooling.add_sums(layer, e, self.tensor(layer.inputs[0]))
            elif isinstance(layer, MaxPool):
                u = self.features[self._proof.span("increments", layer.name)]
                pooling.add_maxima(layer, e, self.tensor(layer.inputs[0]), u)
        return self.tensor(INPUT)


def add_to(target: U64Array, e: U64Array) -> None:
    """Add a vector over K to another in place."""
    target[...] = k_add(target, e)


def input_coefficients(layer: Dense | Conv2d, weight: IntegerArray, e: U64Array) -> U64Array:
    """Return m_i, the sum of W_k e_o over the uses (k, o) of every input i of a layer.

    Parameters
    ----------
    layer : Dense or Conv2d
    weight : integer array
        In its own shape: [in, out], or [out, in / groups, rows, columns].
    e : uint64 array [outputs, 2]
        Coefficients of the layer's accumulators.

    Returns
    -------
    uint64 array [inputs, 2]
    """
    if isinstance(layer, Dense):
        return evaluate_rows(weight, e)
    out = np.empty((*layer.input_shape, 2), np.uint64)
    grid = readable(e.reshape(*layer.shape, 2).transpose(1, 2, 0, 3))
    convolution_inputs(readable(weight.transpose(1, 2, 3, 0)), grid, geometry(layer), out)
    return out.reshape(-1, 2)


def weight_coefficients(layer: Dense | Conv2d, z: U64Array, e: U64Array) -> U64Array:
    """Return G_k, the sum of z_i e_o over the uses (i, o) of every weight k of a layer.

    Parameters
    ----------
    layer : Dense or Conv2d
    z : uint64 array [inputs, 2]
        Coefficients of the layer's inputs.
    e : uint64 array [outputs, 2]
        Coefficients of the layer's accumulators.

    Returns
    -------
    uint64 array [weights, 2]
        In row-major order of the weight's shape.
    """
    if isinstance(layer, Dense):
        out = np.empty((len(z), len(e), 2), np.uint64)
        outer_product(readable(z), readable(e), out)
        return out.reshape(-1, 2)
    inner = layer.input_shape[0] // layer.groups
    out = np.empty((layer.out_channels, inner, *layer.kernel, 2), np.uint64)
    image = readable(z).reshape(*layer.input_shape, 2)
    grid = readable(e).reshape(*layer.shape, 2)
    convolution_weights(image, grid, geometry(layer), out)
    return out.reshape(-1, 2)


def bias_coefficients(layer: Dense | Conv2d, e: U64Array) -> U64Array:
    """Return the coefficients of a layer's biases: e, summed over the positions of a channel."""
    if isinstance(layer, Dense):
        return e
    return to_array(k_total(channel) for channel in e.reshape(layer.out_channels, -1, 2))
