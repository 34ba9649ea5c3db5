"""Rounding a layer's weights so that the errors cancel on typical inputs.

The nearest integer is the best choice for each weight alone, but the inputs of a layer are
correlated: neighbouring pixels are alike. So weights are rounded one after the other, and each
error is made up for, as far as possible, by the weights not rounded yet. The method is GPTQ
(Frantar et al., ICLR 2023), after Optimal Brain Surgeon (Hassibi and Stork, 1993).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from circuits.float_network import FloatNetwork, flatten_samples
from circuits.forward import batches, forward_columns, gather
from circuits.layers import INPUT, Conv2d, Dense
from circuits.passes import readers
from circuits.rescale import Rescaled

Floats = NDArray[np.float64]

_DAMPING = 0.03
"""Share of the mean variance added to every variance: calibration data do not show all directions.
From 0.003 to 0.1 the results on MNIST are alike."""

_MAX_FAN_IN = 4096
"""Above it the matrices of moments are too large (128 MB each): weights go to the nearest."""


@dataclass
class Moments:
    """Sums over the inputs seen by one group of a linear layer, which has `fan_in` of them."""

    count: int
    total: Floats
    products: Floats

    @property
    def mean(self) -> Floats:
        """Mean input, [fan_in]."""
        return self.total / self.count

    @property
    def second(self) -> Floats:
        """Mean product of two inputs, [fan_in, fan_in]."""
        return self.products / self.count


def round_parameters(
    rescaled: Rescaled, steps: Mapping[str, Fraction], calibration: NDArray[np.floating] | None
) -> dict[str, NDArray[np.int64]]:
    """Return the integer weights and biases of a rescaled network.

    Parameters
    ----------
    rescaled : Rescaled
    steps : mapping of str to Fraction
        From `Rescaled.steps`.
    calibration : float array [N, *input_shape], optional
        Typical samples; without them each weight goes to the nearest integer.
    """
    network, limit = rescaled.network, rescaled.weight_max
    seen = {} if calibration is None else input_moments(network, calibration)
    found: dict[str, NDArray[np.int64]] = {}
    for item in rescaled.linear:
        layer, name = item.layer, item.layer.name
        given, step = steps[item.given.name], steps[name]
        weight = _matrices(layer, network.parameters[f"{name}.weight"]) * float(given / step)
        rounded = np.empty_like(weight)
        missed = []
        for group, matrix in enumerate(weight):
            moments = seen[name][group] if name in seen else None
            rounded[group] = round_weights(matrix, limit, moments, bias=layer.bias)
            mean = moments.mean if moments else np.zeros(layer.fan_in)
            missed.append(mean / float(given) @ (matrix - rounded[group]))
        if isinstance(layer, Conv2d):
            rounded = rounded.transpose(0, 2, 1)
        shape = network.parameters[f"{name}.weight"].shape
        found[f"{name}.weight"] = rounded.reshape(shape).astype(np.int64)
        if layer.bias:
            most = limit * item.given.bound
            exact = network.parameters[f"{name}.bias"] / float(step) + np.concatenate(missed)
            found[f"{name}.bias"] = np.rint(exact).clip(-most, most).astype(np.int64)
    return found


def _matrices(layer: Dense | Conv2d, weight: Floats) -> Floats:
    """Return a weight as one matrix [fan_in, outputs] for each group."""
    if isinstance(layer, Dense):
        return weight[None]
    return weight.reshape(layer.groups, -1, layer.fan_in).transpose(0, 2, 1)


def input_moments(network: FloatNetwork, x: NDArray[np.floating]) -> dict[str, list[Moments]]:
    """Return the moments of the inputs of every dense layer and convolution, by name, per group.

    Layers whose inputs are too many are left out.
    """
    found: dict[str, list[Moments]] = {}
    for layer in network.layers:
        if isinstance(layer, Dense | Conv2d) and layer.fan_in <= _MAX_FAN_IN:
            n, groups = layer.fan_in, layer.groups if isinstance(layer, Conv2d) else 1
            found[layer.name] = [Moments(0, np.zeros(n), np.zeros((n, n))) for _ in range(groups)]
    read_by = readers(network)

    def see(name: str, values: Floats) -> None:
        for layer in read_by[name]:
            if layer.name not in found:
                continue
            parts = [(0, values)]
            if isinstance(layer, Conv2d):
                parts = [(group, taps) for group, _, taps in gather(layer, values)]
            for group, taps in parts:
                moments = found[layer.name][group]
                moments.count += taps.shape[1]
                moments.total += taps.sum(axis=1)
                moments.products += taps @ taps.T

    flat = flatten_samples(x, network.input_shape)
    for part in batches(network.input_shape, network.layers, len(flat)):
        columns = np.ascontiguousarray(flat[part].T, dtype=np.float64)
        see(INPUT, columns)
        outputs = forward_columns(
            network.layers,
            network.parameters,
            columns,
            lambda _: (np.float64, np.float64),
            average=True,
        )
        for name, values in outputs:
            see(name, values)
    return found


def round_weights(weight: Floats, limit: int, moments: Moments | None, *, bias: bool) -> Floats:
    """Round a matrix of weights [fan_in, outputs] to whole numbers from -limit to limit.

    Parameters
    ----------
    weight : float64 array
        In units of its step.
    limit : int
        Largest absolute value.
    moments : Moments, optional
        Of the layer's inputs; without them every weight goes to the nearest integer.
    bias : bool
        Whether a bias will make up for the mean error, so that deviations only count.
    """
    if moments is None:
        return np.rint(weight).clip(-limit, limit)
    weights = weight.copy()
    cost = moments.second - (np.outer(moments.mean, moments.mean) if bias else 0)
    variance = float(np.trace(cost)) / len(cost)
    if not variance > 0:
        return np.rint(weight).clip(-limit, limit)
    cost[np.diag_indices_from(cost)] += _DAMPING * variance
    # Inputs that vary most come first, while most weights are left to make up for the error.
    order = np.argsort(-np.diag(cost), kind="stable")
    weights = weights[order]
    upper = np.linalg.cholesky(np.linalg.inv(cost[np.ix_(order, order)])).T
    rounded = np.empty_like(weights)
    for i, row in enumerate(weights):
        nearest = np.rint(row).clip(-limit, limit)
        error = (row - nearest) / upper[i, i]
        weights[i + 1 :] -= np.outer(upper[i, i + 1 :], error)
        rounded[order[i]] = nearest
    return rounded
