"""From a float network to integers, with one scale per tensor.

Every integer tensor stands for a real one: real = integer * step. Steps are kept as exact
fractions and are needed here only; the integer network and the circuits know none.

A linear layer may choose the step of its output, since its weights become w * (input step) /
(output step). It takes the finest step for which weights and bias fit. Where that step is a power
of two without any rounding, or where the output reaches a residual sum, which can align powers of
two only, the step is a power of two. An average over n taps is proven as a sum, which multiplies
the step by 1/n: the next linear layer takes that up, and a residual sum refuses it unless n is a
power of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InputError, UnsupportedOperator, WouldOverflow
from circuits.float_network import FloatNetwork
from circuits.integer import check_int64
from circuits.layers import (
    INPUT,
    Add,
    Conv2d,
    Dense,
    Layer,
    NumberFormat,
    Relu,
    Requantise,
    SumPool,
)
from circuits.network import Architecture, layer_bound
from circuits.passes import pinned, readers, relu_before_pooling
from circuits.weights import Weights

__all__ = ["Weights", "quantise", "quantise_with_steps"]

_MAX_SHIFT = 62
_MAX_BITS = 32


def quantise(
    network: FloatNetwork,
    *,
    input_format: NumberFormat,
    input_exponent: int,
    weight_bits: int = 8,
    activation_bits: int = 8,
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
        Width of a weight.
    activation_bits : int
        Width of an activation between layers; of no effect without `rescale`.
    rescale : bool
        False: nothing is rounded after the weights, and accumulators grow from layer to layer.
        True: a `Requantise` follows every dense layer, convolution and residual sum but the last;
        it takes over the ReLU that comes next, if any.
    calibration : float array [N, *input_shape], optional
        Samples like those to come, never the private test set itself: the shifts chosen from them
        are public. Without them the shifts cover the worst case, which costs accuracy.

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
    activation_bits: int = 8,
    rescale: bool,
    calibration: NDArray[np.floating] | None = None,
) -> tuple[Architecture, Weights, dict[str, Fraction]]:
    """Do what `quantise` does, and return also the step of the input and of every layer."""
    if not (2 <= weight_bits <= _MAX_BITS and 2 <= activation_bits <= _MAX_BITS):
        raise InputError(
            f"weights of {weight_bits} and activations of {activation_bits} bits: "
            f"both must have 2 to {_MAX_BITS}"
        )
    if rescale:
        network = relu_before_pooling(network)
    plan = _Plan(
        weight_max=(1 << (weight_bits - 1)) - 1,
        activation_bits=activation_bits,
        ranges=network.ranges(calibration) if rescale and calibration is not None else None,
        pinned=pinned(network),
    )
    plan.tensors[INPUT] = _Tensor(INPUT, Fraction(2) ** -input_exponent, input_format.magnitude)
    found = readers(network)
    for layer in network.layers:
        inner = rescale and layer.name != network.output
        if inner and isinstance(layer, Relu):
            plan.requantise(layer, layer.inputs[0], layer.name, signed=False)
            continue
        plan.place(layer, network)
        after = found[layer.name]
        before_relu = len(after) == 1 and isinstance(after[0], Relu)
        if inner and isinstance(layer, Dense | Conv2d | Add) and not before_relu:
            plan.requantise(layer, layer.name, f"{layer.name}_q", signed=True)
    output = plan.tensors[network.output]
    architecture = Architecture(
        input_shape=network.input_shape,
        input_format=input_format,
        input_exponent=input_exponent,
        weight_bits=weight_bits,
        classes=network.classes,
        layers=tuple(plan.layers),
        output=output.name,
    )
    check_int64(architecture)
    return architecture, Weights(architecture, plan.parameters), plan.steps


@dataclass(frozen=True)
class _Tensor:
    """The integer tensor that stands for a float one."""

    name: str
    step: Fraction
    bound: int


@dataclass
class _Plan:
    weight_max: int
    activation_bits: int
    ranges: dict[str, tuple[float, float]] | None
    pinned: set[str]
    layers: list[Layer] = field(default_factory=list)
    parameters: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    tensors: dict[str, _Tensor] = field(default_factory=dict)
    steps: dict[str, Fraction] = field(default_factory=dict)

    def place(self, layer: Layer, network: FloatNetwork) -> None:
        """Append the integer form of a float layer."""
        given = [self.tensors[name] for name in layer.inputs]
        step = given[0].step
        layer = replace(layer, inputs=tuple(tensor.name for tensor in given))
        if isinstance(layer, Dense | Conv2d):
            step = self._linear(layer, given[0], network)
        elif isinstance(layer, SumPool):
            step = step / layer.fan_in
        elif isinstance(layer, Add):
            step, shifts = _align(layer, given)
            layer = replace(layer, shifts=shifts)
        self._append(layer, layer.name, given, step)

    def requantise(self, layer: Layer, source: str, name: str, *, signed: bool) -> None:
        """Append a `Requantise` of `source` that stands for the output of `layer` from now on."""
        given = self.tensors[source]
        form = NumberFormat(self.activation_bits, signed)
        shift = self._shift(layer.name, given, form)
        made = Requantise(name, (given.name,), layer.shape, shift, form)
        self._append(made, layer.name, [given], given.step * (1 << shift))

    def _append(self, layer: Layer, stands_for: str, given: list[_Tensor], step: Fraction) -> None:
        bound = layer_bound(layer, [tensor.bound for tensor in given], self.weight_max)
        self.layers.append(layer)
        self.tensors[stands_for] = _Tensor(layer.name, step, bound)
        self.steps[layer.name] = step

    def _shift(self, name: str, given: _Tensor, form: NumberFormat) -> int:
        """Return the smallest shift that brings the values of a tensor into a format."""
        low, high = -given.bound, given.bound
        if self.ranges is not None:
            least, most = self.ranges[name]
            low, high = (round(Fraction(value) / given.step) for value in (least, most))
        if not form.signed:
            low = 0
        shift = 0
        while (high >> shift) > form.high or -(-low >> shift) < form.low:
            shift += 1
        return shift

    def _linear(self, layer: Dense | Conv2d, given: _Tensor, network: FloatNetwork) -> Fraction:
        """Quantise weight and bias; return the step of the output."""
        limit = self.weight_max * given.bound
        weight = network.parameters[f"{layer.name}.weight"]
        bias = network.parameters[f"{layer.name}.bias"] if layer.bias else np.zeros(1)
        effective = weight * float(given.step)
        limits = ((_largest(effective), self.weight_max), (_largest(bias), limit))
        exponents = [_exponent(value, most) for value, most in limits if value]
        step = Fraction(2) ** -min(exponents, default=0)
        exact = all(_whole(np.ldexp(array, -_log2(step))) for array in (effective, bias))
        if not exact and layer.name not in self.pinned:
            step = max(
                _largest(weight) * given.step / self.weight_max,
                _largest(bias) / limit,
            )
        rounded = np.rint(weight / float(step / given.step)).astype(np.int64)
        # The division may end one unit in the last place above the largest weight.
        self.parameters[f"{layer.name}.weight"] = rounded.clip(-self.weight_max, self.weight_max)
        if layer.bias:
            values = [round(Fraction(float(value)) / step) for value in bias]
            self.parameters[f"{layer.name}.bias"] = np.array(values, dtype=np.int64)
        return step


def _largest(values: NDArray[np.float64]) -> Fraction:
    return Fraction(float(np.abs(values).max()))


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


def _align(layer: Add, given: list[_Tensor]) -> tuple[Fraction, tuple[int, ...]]:
    """Return the finest step among the inputs and the shifts that bring all to it."""
    step = min(tensor.step for tensor in given)
    ratios = [tensor.step / step for tensor in given]
    if any(ratio.denominator > 1 or ratio.numerator.bit_count() > 1 for ratio in ratios):
        raise UnsupportedOperator(
            layer.name,
            "Add",
            "it adds an average over a window whose size is not a power of two to something "
            "else: pool over a power of two, or put a convolution after the pooling",
        )
    shifts = tuple(_log2(ratio) for ratio in ratios)
    if max(shifts) > _MAX_SHIFT:
        remedy = "the summands differ too much in scale: normalise the network's weights"
        raise WouldOverflow(layer.name, max(shifts), _MAX_SHIFT, remedy)
    return step, shifts
