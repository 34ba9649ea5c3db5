"""Sections 4 and 5.6: how the tensors of a network hang together.

Values are those of one sample. A tensor is linear in committed features and in accumulators, so a
weighted sum of its elements can be traced back, layer by layer, to a weighted sum of those.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from typing import TypeAlias

from circuits.errors import ProofRejected
from circuits.network import (
    INPUT,
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    MaxPool,
    Relu,
    Requantise,
    SumPool,
    bounds,
    windows,
)
from verifier.plain.field import GENERATOR, ZERO, Element, P, add, scale

Linear: TypeAlias = Dense | Conv2d
Weighting: TypeAlias = dict[str, list[Element]]
"""Coefficient by element, by name of a tensor."""

_LARGEST_BOUND = 1 << 58


def linear_layers(architecture: Architecture) -> list[Linear]:
    """Return the dense layers and convolutions, whose outputs are the accumulators."""
    return [layer for layer in architecture.layers if isinstance(layer, Dense | Conv2d)]


def refuse_unsupported(architecture: Architecture) -> None:
    """Refuse the circuits that section 4 refuses, for a reason other than the size of a table."""
    reached: dict[str, set[str]] = {INPUT: set()}
    for layer in architecture.layers:
        if isinstance(layer, Relu):
            raise ProofRejected("circuit", f"layer {layer.name!r} is a Relu")
        above = [reached[name] for name in layer.inputs]
        # Biases have no range of their own, so a bias could be a fraction modulo p if only a
        # multiple of its accumulator were looked up, or sums of it with other accumulators.
        multiplies = isinstance(layer, Dense | Conv2d | SumPool) and bool(above[0])
        if isinstance(layer, Add):
            shifted = any(shift and up for shift, up in zip(layer.shifts, above, strict=True))
            multiplies = shifted or sum(map(bool, above)) > 1
        if multiplies:
            raise ProofRejected("circuit", f"layer {layer.name!r} multiplies an accumulator")
        if isinstance(layer, Dense | Conv2d):
            reached[layer.name] = {layer.name}
        else:
            reached[layer.name] = set() if isinstance(layer, Requantise) else set().union(*above)
    if not linear_layers(architecture):
        raise ProofRejected("circuit", "the network has no weights")
    bound = bounds(architecture)[architecture.output]
    margin = 1 << max(1, 2 * bound).bit_length()
    if bound >= _LARGEST_BOUND or 2 * bound + 1 + margin >= P:
        raise ProofRejected("circuit", f"logits up to {bound} would wrap around p")


def value_ranges(architecture: Architecture) -> dict[str, tuple[int, int]]:
    """Return the smallest and the largest value of every tensor, as 4.3 counts them."""
    bound = bounds(architecture)
    form = architecture.input_format
    found = {INPUT: (form.low, form.high)}
    for layer in architecture.layers:
        if isinstance(layer, Requantise):
            found[layer.name] = (layer.format.low, layer.format.high)
        elif isinstance(layer, Flatten | MaxPool):
            found[layer.name] = found[layer.inputs[0]]
        else:
            found[layer.name] = (-bound[layer.name], bound[layer.name])
    return found


@dataclass(frozen=True)
class ParameterSlots:
    """Where the parameters are, and how large I is.

    Attributes
    ----------
    first_weight, first_bias, first_input : dict
        By layer: number of its first weight among all weights, of its first bias among all
        biases, and of its first input in I.
    weights, biases, inputs : int
        How many there are in all.
    """

    first_weight: dict[str, int]
    first_bias: dict[str, int]
    first_input: dict[str, int]
    weights: int
    biases: int
    inputs: int


def parameter_slots(architecture: Architecture) -> ParameterSlots:
    """Return where the parameters are (3.6) and how I is put together (5.6)."""
    first_weight: dict[str, int] = {}
    first_bias: dict[str, int] = {}
    first_input: dict[str, int] = {}
    weights = biases = inputs = 0
    for layer in linear_layers(architecture):
        first_weight[layer.name] = weights
        first_bias[layer.name] = biases
        first_input[layer.name] = inputs
        outputs = layer.out_features if isinstance(layer, Dense) else layer.out_channels
        weights += layer.fan_in * outputs
        biases += outputs if layer.bias else 0
        inputs += math.prod(architecture.shape_of(layer.inputs[0]))
    return ParameterSlots(first_weight, first_bias, first_input, weights, biases, inputs)


def increments(layer: MaxPool) -> Iterator[tuple[int, list[int], int]]:
    """Yield, for each window, its output, its real taps and its first increment (4.3)."""
    first = 0
    channels = windows(layer).tolist()
    for output, window in enumerate(window for channel in channels for window in channel):
        taps = [tap for tap in window if tap >= 0]
        yield output, taps, first
        first += len(taps) - 1


def add_to(weighting: Weighting, architecture: Architecture, name: str) -> list[Element]:
    """Return the coefficients of a tensor, zero at first, to be changed in place."""
    if name not in weighting:
        weighting[name] = [ZERO] * math.prod(architecture.shape_of(name))
    return weighting[name]


def trace_back(
    architecture: Architecture,
    weighting: Weighting,
    features: Mapping[str, int],
    proof: dict[int, Element],
) -> tuple[dict[int, Element], Weighting]:
    """Trace a weighted sum of tensors back to committed features and accumulators.

    Parameters
    ----------
    architecture : Architecture
        The network.
    weighting : Weighting
        The weighted sum; used up.
    features : mapping
        First feature of the proof matrix by name, as in `Relation.features`.
    proof : dict
        Coefficients of the proof matrix's features, to which is added.

    Returns
    -------
    dict, Weighting
        Coefficients of the features X, and e_{l,o} of the accumulators.
    """
    accumulators: Weighting = {}
    for layer in reversed(architecture.layers):
        given = weighting.pop(layer.name, None)
        if given is None:
            continue
        if isinstance(layer, Dense | Conv2d):
            accumulators[layer.name] = given
        elif isinstance(layer, Requantise):
            add_features(proof, features[f"{layer.name}.z"], given)
        elif isinstance(layer, MaxPool):
            into = add_to(weighting, architecture, layer.inputs[0])
            for output, taps, first in increments(layer):
                into[taps[-1]] = add(into[taps[-1]], given[output])
                if len(taps) > 1:
                    last = features[f"{layer.name}.u"] + first + len(taps) - 2
                    add_features(proof, last, [given[output]])
        elif isinstance(layer, SumPool):
            into = add_to(weighting, architecture, layer.inputs[0])
            channels = windows(layer).tolist()
            flat = (window for channel in channels for window in channel)
            for window, coefficient in zip(flat, given, strict=True):
                for tap in window:
                    if tap >= 0:
                        into[tap] = add(into[tap], coefficient)
        else:
            shifts = layer.shifts if isinstance(layer, Add) else (0,)
            for name, shift in zip(layer.inputs, shifts, strict=True):
                into = add_to(weighting, architecture, name)
                for i, coefficient in enumerate(given):
                    into[i] = add(into[i], scale(coefficient, 1 << shift))
    return dict(enumerate(weighting.pop(INPUT, []))), accumulators


def add_features(into: dict[int, Element], first: int, values: Sequence[Element]) -> None:
    """Add coefficients to those of consecutive features."""
    for feature, value in enumerate(values, first):
        into[feature] = add(into.get(feature, ZERO), value)


def bias_sums(layer: Linear, e: list[Element]) -> list[Element]:
    """Return e summed over the positions of each channel: the coefficients of the biases."""
    size = 1 if isinstance(layer, Dense) else math.prod(layer.positions)
    found = []
    for first in range(0, len(e), size):
        channel = e[first : first + size]
        found.append((sum(c0 for c0, _ in channel) % P, sum(c1 for _, c1 in channel) % P))
    return found


def weight_sums(layer: Linear, x: list[Element], e: list[Element]) -> list[Element]:
    """Return G_k for each weight of a layer: the sum over its uses (i, o) of x_i e_o."""
    x0, x1 = [c0 for c0, _ in x], [c1 for _, c1 in x]
    e0, e1 = [c0 for c0, _ in e], [c1 for _, c1 in e]
    if isinstance(layer, Dense):
        return [
            ((a * c + GENERATOR * b * d) % P, (a * d + b * c) % P)
            for a, b in x
            for c, d in zip(e0, e1, strict=True)
        ]
    # A tap that lies in the padding has the index -1: the zero at the end.
    x0.append(0)
    x1.append(0)
    size = math.prod(layer.positions)
    gathered = [
        [([x0[i] for i in tap], [x1[i] for i in tap]) for tap in zip(*group, strict=True)]
        for group in windows(layer).tolist()
    ]
    found = []
    for channel in range(layer.out_channels):
        c = e0[channel * size : (channel + 1) * size]
        d = e1[channel * size : (channel + 1) * size]
        for a, b in gathered[channel * layer.groups // layer.out_channels]:
            low, high = sum(map(mul, a, c)), sum(map(mul, b, d))
            cross = sum(map(mul, a, d)) + sum(map(mul, b, c))
            found.append(((low + GENERATOR * high) % P, cross % P))
    return found
