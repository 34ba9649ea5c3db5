"""From a float network to integers, with one scale per tensor.

Every integer tensor stands for a real one: real = integer * step. Steps are kept as exact
fractions and are needed here only; the integer network and the circuits know none.

A linear layer may choose the step of its output, since its weights become w * (input step) /
(output step). Without rescaling it takes the finest step for which weights and bias fit. Where
that step is a power of two without any rounding, or where the output reaches a residual sum,
which can align powers of two only, the step is a power of two. An average over n taps is proven
as a sum, which multiplies the step by 1/n: the next linear layer takes that up, and a residual
sum refuses it unless n is a power of two. With rescaling see `circuits.rescale`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InputError
from circuits.float_network import FloatNetwork
from circuits.integer import check_int64
from circuits.layers import (
    INPUT,
    Add,
    Conv2d,
    Dense,
    Layer,
    NumberFormat,
    SumPool,
)
from circuits.network import Architecture, layer_bound
from circuits.passes import (
    align,
    check_rescaled,
    copy_added_input,
    equalise,
    largest,
    pinned,
    relu_before_pooling,
)
from circuits.rescale import Rescaled
from circuits.rounding import round_parameters
from circuits.weights import Weights

__all__ = ["Weights", "quantise", "quantise_with_steps"]

_MAX_BITS = 32

_HEADROOM = 1.25
"""Other samples exceed the largest activation of a few hundred by up to a quarter."""

_BLIND_HEADROOM = 2.0
_BLIND_SAMPLES = 256
"""Without calibration data: samples of uniform noise, and the headroom then. The activations of
the networks tried are between 0.7 and 1.7 times as large on noise as on data."""


def quantise(
    network: FloatNetwork,
    *,
    input_format: NumberFormat,
    input_exponent: int,
    weight_bits: int = 8,
    activation_bits: int = 12,
    rescale: bool,
    calibration: NDArray[np.floating] | None = None,
) -> tuple[Architecture, Weights]:
    """Turn a float network into an integer one.

    Parameters
    ----------
    network : FloatNetwork
        The network as trained.
    input_format, input_exponent
        How features become integers, as in `Architecture`.
    weight_bits : int
        Width of a weight. With `rescale`, 12 is where MNIST's networks stop getting closer: 0 to 2
        flips in 10,000, with 9-bit features. 9 bits with calibration flip up to 3.
    activation_bits : int
        Width of an activation between layers; of no effect without `rescale`. Each bit less
        doubles its error, which dominates below 11.
    rescale : bool
        False: nothing is rounded after the weights, and accumulators grow from layer to layer.
        True: a `Requantise` follows every dense layer, convolution and residual sum but the last;
        it takes over the ReLU that comes next, if any. One also follows an average that is summed
        or enters a max pool, and a copy of the input that is summed. `check_rescaled` holds.
    calibration : float array [N, *input_shape], optional
        Samples like those to come, a few hundred; of no effect without `rescale`. They choose the
        scales, and how weights are rounded: with 8 or 9 bits that halves the error or better.
        They do not show: the architecture is the same with any others. Without them, scales are
        chosen on noise, with more headroom, and weights go to the nearest integer.

    Returns
    -------
    Architecture, Weights

    Raises
    ------
    InputError
        If the widths are not 2 to 32 bits.
    WouldOverflow
        If the worst case of a layer does not fit 64-bit integers.
    UnsupportedOperator
        If a residual sum adds tensors whose scales no shift can align.
    ShapeMismatch, NotFinite
        If the calibration data do not fit the network.
    """
    architecture, weights, _ = quantise_with_steps(
        network,
        input_format=input_format,
        input_exponent=input_exponent,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        rescale=rescale,
        calibration=calibration,
    )
    return architecture, weights


def quantise_with_steps(
    network: FloatNetwork,
    *,
    input_format: NumberFormat,
    input_exponent: int,
    weight_bits: int = 8,
    activation_bits: int = 12,
    rescale: bool,
    calibration: NDArray[np.floating] | None = None,
) -> tuple[Architecture, Weights, dict[str, Fraction]]:
    """Do what `quantise` does, and return also the step of the input and of every layer."""
    if not (2 <= weight_bits <= _MAX_BITS and 2 <= activation_bits <= _MAX_BITS):
        raise InputError(
            f"weights of {weight_bits} and activations of {activation_bits} bits: "
            f"both must have 2 to {_MAX_BITS}"
        )
    weight_max = (1 << (weight_bits - 1)) - 1
    input_step = Fraction(2) ** -input_exponent
    architecture = Architecture(
        input_shape=network.input_shape,
        input_format=input_format,
        input_exponent=input_exponent,
        weight_bits=weight_bits,
        classes=network.classes,
        layers=network.layers,
        output=network.output,
    )
    if rescale:
        network = equalise(copy_added_input(relu_before_pooling(network)))
        rescaled = Rescaled.of(network, input_format, weight_max, activation_bits)
        architecture = replace(architecture, layers=tuple(rescaled.layers.values()))
        check_int64(architecture)
        check_rescaled(architecture)
        ranges = _ranges(network, input_format, input_step, calibration)
        steps = rescaled.steps(input_step, ranges)
        parameters = round_parameters(rescaled, steps, calibration)
        return architecture, Weights(architecture, parameters), steps
    plan = _Plan(weight_max, pinned(network))
    plan.steps[INPUT], plan.bounds[INPUT] = input_step, input_format.magnitude
    for layer in network.layers:
        plan.place(layer, network)
    architecture = replace(architecture, layers=tuple(plan.layers))
    check_int64(architecture)
    return architecture, Weights(architecture, plan.parameters), plan.steps


def _ranges(
    network: FloatNetwork,
    form: NumberFormat,
    step: Fraction,
    calibration: NDArray[np.floating] | None,
) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest value that each tensor should be able to hold."""
    headroom = _HEADROOM
    if calibration is None:
        headroom = _BLIND_HEADROOM
        noise = np.random.default_rng(0)
        low, high = (float(value * step) for value in (form.low, form.high))
        calibration = noise.uniform(low, high, (_BLIND_SAMPLES, *network.input_shape))
    found = network.ranges(calibration)
    return {name: (low * headroom, high * headroom) for name, (low, high) in found.items()}


@dataclass
class _Plan:
    """The integer network without rescaling, as far as it is made."""

    weight_max: int
    pinned: set[str]
    layers: list[Layer] = field(default_factory=list)
    parameters: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    bounds: dict[str, int] = field(default_factory=dict)
    steps: dict[str, Fraction] = field(default_factory=dict)

    def place(self, layer: Layer, network: FloatNetwork) -> None:
        """Append the integer form of a float layer."""
        step = self.steps[layer.inputs[0]]
        if isinstance(layer, Dense | Conv2d):
            step = self._linear(layer, network)
        elif isinstance(layer, SumPool):
            step = step / layer.fan_in
        elif isinstance(layer, Add):
            step, shifts = align(layer, [self.steps[name] for name in layer.inputs])
            layer = replace(layer, shifts=shifts)
        self.layers.append(layer)
        self.steps[layer.name] = step
        given = [self.bounds[name] for name in layer.inputs]
        self.bounds[layer.name] = layer_bound(layer, given, self.weight_max)

    def _linear(self, layer: Dense | Conv2d, network: FloatNetwork) -> Fraction:
        """Quantise weight and bias; return the step of the output."""
        given = self.steps[layer.inputs[0]]
        limit = self.weight_max * self.bounds[layer.inputs[0]]
        weight = network.parameters[f"{layer.name}.weight"]
        bias = network.parameters[f"{layer.name}.bias"] if layer.bias else np.zeros(1)
        effective = weight * float(given)
        limits = ((largest(effective), self.weight_max), (largest(bias), limit))
        exponents = [_exponent(value, most) for value, most in limits if value]
        step = Fraction(2) ** -min(exponents, default=0)
        exact = all(_whole(np.ldexp(array, -_log2(step))) for array in (effective, bias))
        if not exact and layer.name not in self.pinned:
            step = max(
                largest(weight) * given / self.weight_max,
                largest(bias) / limit,
            )
        rounded = np.rint(weight / float(step / given)).astype(np.int64)
        # The division may end one unit in the last place above the largest weight.
        self.parameters[f"{layer.name}.weight"] = rounded.clip(-self.weight_max, self.weight_max)
        if layer.bias:
            values = [round(Fraction(float(value)) / step) for value in bias]
            self.parameters[f"{layer.name}.bias"] = np.array(values, dtype=np.int64)
        return step


def _whole(values: NDArray[np.float64]) -> bool:
    return bool((values == np.rint(values)).all())


def _exponent(value: Fraction, limit: int) -> int:
    """Return the largest e for which round(value * 2^e) <= limit."""
    exponent = limit.bit_length() + value.denominator.bit_length()
    exponent -= value.numerator.bit_length() - 1
    while math.floor(value * Fraction(2) ** exponent + Fraction(1, 2)) > limit:
        exponent -= 1
    return exponent


def _log2(power: Fraction) -> int:
    """Return the logarithm of a power of two."""
    return power.numerator.bit_length() - power.denominator.bit_length()
