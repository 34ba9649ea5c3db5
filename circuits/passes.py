"""Looking at networks: what quantising a float one needs, and what a rescaled one must satisfy."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from circuits.errors import UnsupportedOperator, WouldOverflow
from circuits.float_network import FloatNetwork
from circuits.layers import (
    INPUT,
    Add,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Relu,
    Requantise,
    SumPool,
)
from circuits.network import Architecture

_MAX_SHIFT = 62

_EQUALISE_ROUNDS = 4
"""Each layer is part of two pairs, so that scales settle after a few rounds."""


def pinned(network: FloatNetwork) -> set[str]:
    """Return the layers from which a residual sum is reached before another linear layer."""
    found: set[str] = set()
    for layer in reversed(network.layers):
        if isinstance(layer, Add) or (
            layer.name in found and not isinstance(layer, Dense | Conv2d)
        ):
            found.update(layer.inputs)
    return found


def readers(network: FloatNetwork) -> dict[str, list[Layer]]:
    """Return the layers that read the input and each layer."""
    found: dict[str, list[Layer]] = {layer.name: [] for layer in network.layers}
    found[INPUT] = []
    for layer in network.layers:
        for name in layer.inputs:
            found[name].append(layer)
    return found


def relu_before_pooling(network: FloatNetwork) -> FloatNetwork:
    """Swap a max pool and the ReLU after it, which commute.

    The ReLU then follows the linear layer and becomes part of its `Requantise`.
    """
    read_by = readers(network)
    renamed: dict[str, str] = {}
    moved: dict[str, Layer] = {}
    for pool in network.layers:
        after = read_by[pool.name]
        if isinstance(pool, MaxPool) and len(after) == 1 and isinstance(after[0], Relu):
            relu = after[0]
            moved[pool.name] = Relu(relu.name, pool.inputs, pool.input_shape)
            moved[relu.name] = replace(pool, inputs=(relu.name,))
            renamed[relu.name] = pool.name
    layers = []
    for layer in network.layers:
        inputs = tuple(renamed.get(name, name) for name in layer.inputs)
        if layer.name not in renamed:
            layer = replace(moved.get(layer.name, layer), inputs=inputs)
        else:
            layer = moved[layer.name]
        layers.append(layer)
    return replace(network, layers=tuple(layers))


def copy_added_input(network: FloatNetwork) -> FloatNetwork:
    """Put a layer that changes nothing after an input that goes into a residual sum.

    What meets in a sum must have one step, and the input's is given. A layer of weights one gives
    its copy whatever step suits the sum.
    """
    if INPUT not in pinned(network):
        return network
    shape, copy = network.input_shape, "input_copy"
    layer: Layer
    weight: NDArray[np.float64]
    if len(shape) == 3:
        none = (0, 0, 0, 0)
        layer = Conv2d(
            copy, (INPUT,), shape, (1, 1), (1, 1), none, (1, 1), shape[0], shape[0], False
        )
        weight = np.ones((shape[0], 1, 1, 1))
    elif len(shape) == 1:
        layer, weight = Dense(copy, (INPUT,), shape[0], shape[0], False), np.eye(shape[0])
    else:
        remedy = "a sum with the network's input needs an input of one or three dimensions"
        raise UnsupportedOperator(INPUT, "Add", remedy)
    layers = [
        replace(item, inputs=tuple(copy if name == INPUT else name for name in item.inputs))
        for item in network.layers
    ]
    parameters = {**network.parameters, f"{copy}.weight": weight}
    return replace(network, layers=(layer, *layers), parameters=parameters)


def equalise(network: FloatNetwork) -> FloatNetwork:
    """Give each channel between two linear layers the scale that suits the weights of both.

    Dividing what makes a channel by k > 0 and multiplying what reads it by k changes no logit,
    since ReLU and pooling commute with k. With k the root of the ratio of the largest weights,
    these become alike in all channels on both sides, so that one step per tensor suits them all
    (Nagel et al., ICCV 2019). On a network with depthwise convolutions it saved 4 of 5 flips.
    """
    read_by = readers(network)
    parameters = {name: array.copy() for name, array in network.parameters.items()}
    pairs = [(layer, _next_linear(layer, read_by)) for layer in network.layers]
    for maker, reader in pairs * _EQUALISE_ROUNDS:
        if not isinstance(maker, Dense | Conv2d) or reader is None:
            continue
        made = parameters[f"{maker.name}.weight"]
        made = made.T if isinstance(maker, Dense) else made.reshape(maker.out_channels, -1)
        read = _by_input_channel(reader, parameters[f"{reader.name}.weight"], len(made))
        largest_made, largest_read = np.abs(made).max(axis=1), np.abs(read).max(axis=(2, 3))
        largest_read = largest_read.reshape(-1)
        used = (largest_made > 0) & (largest_read > 0)
        k = np.ones(len(made))
        k[used] = np.sqrt(largest_made[used] / largest_read[used])
        made /= k[:, None]
        read *= k.reshape(*read.shape[:2], 1, 1)
        if maker.bias:
            parameters[f"{maker.name}.bias"] /= k
    return replace(network, parameters=parameters)


def _next_linear(layer: Layer, read_by: dict[str, list[Layer]]) -> Dense | Conv2d | None:
    """Return the layer with weights that alone reads a layer, through ReLU and pooling at most."""
    while len(read_by[layer.name]) == 1:
        layer = read_by[layer.name][0]
        if isinstance(layer, Dense | Conv2d):
            return layer
        if not isinstance(layer, Relu | MaxPool | SumPool | Flatten):
            break
    return None


def _by_input_channel(
    layer: Dense | Conv2d, weight: NDArray[np.float64], channels: int
) -> NDArray[np.float64]:
    """Return a weight as a view [groups, channels of a group, ..., ...]."""
    if isinstance(layer, Dense):
        return weight.reshape(1, channels, -1, layer.out_features)
    each = channels // layer.groups
    grouped = weight.reshape(layer.groups, -1, each, layer.fan_in // each)
    return grouped.transpose(0, 2, 1, 3)


def align(layer: Add, steps: list[Fraction]) -> tuple[Fraction, tuple[int, ...]]:
    """Return the finest step among a sum's inputs and the shifts that bring all to it.

    Raises
    ------
    UnsupportedOperator, WouldOverflow
        If no shifts do.
    """
    step = min(steps)
    ratios = [other / step for other in steps]
    if any(ratio.denominator > 1 or ratio.numerator.bit_count() > 1 for ratio in ratios):
        raise UnsupportedOperator(
            layer.name,
            "Add",
            "it adds an average over a window whose size is not a power of two to something "
            "else: pool over a power of two, or put a convolution after the pooling",
        )
    shifts = tuple(ratio.numerator.bit_length() - 1 for ratio in ratios)
    if max(shifts) > _MAX_SHIFT:
        remedy = "the summands differ too much in scale: normalise the network's weights"
        raise WouldOverflow(layer.name, max(shifts), _MAX_SHIFT, remedy)
    return step, shifts


def largest(values: NDArray[np.float64]) -> Fraction:
    """Return the largest absolute value."""
    return Fraction(float(np.abs(values).max()))


def check_rescaled(architecture: Architecture) -> None:
    """Check that a network rescales wherever the sumcheck backend needs it.

    - What a dense layer or convolution makes is read by a `Requantise` or by a last ReLU only. So
      what one reads comes from the input, a `Requantise` or a `MaxPool`, through residual sums,
      sum pools and flattening.
    - A `MaxPool` reads the input, a `Requantise` or a `MaxPool`.
    - There is no ReLU but the last layer: others are part of a `Requantise`.

    Raises
    ------
    UnsupportedOperator
        If not; names the layer.
    """
    layers = {layer.name: layer for layer in architecture.layers}
    for layer in architecture.layers:
        given = [layers[name] for name in layer.inputs if name != INPUT]
        last = layer.name == architecture.output
        problem = None
        if isinstance(layer, Relu) and not last:
            problem = "only the last layer may be one, others belong into a Requantise"
        elif isinstance(layer, MaxPool) and not all(
            isinstance(source, Requantise | MaxPool) for source in given
        ):
            problem = "put a Requantise before it"
        elif not isinstance(layer, Relu | Requantise) and any(
            isinstance(source, Dense | Conv2d) for source in given
        ):
            problem = "it reads a layer with weights: put a Requantise between"
        if problem is not None:
            raise UnsupportedOperator(layer.name, type(layer).__name__, problem)
