"""A network that rescales between its layers, with shifts that depend on sizes and formats only.

All contributors to a task must end up with one architecture, and nothing may leak through it. So
the shift of a `Requantise` is not fitted to weights or data. Instead a linear layer chooses the
step of its accumulators, as its weights become w * (input step) / (step): it takes the one that
the public shift turns into the activations' step. What is fitted is private with the weights.

Tensors that meet in a residual sum need one step. They share a *scale*, found by union-find; the
step of a tensor is a fixed ratio of its scale's. Each scale takes the finest step for which the
activations and the weights of its tensors fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

from circuits.float_network import FloatNetwork
from circuits.layers import (
    INPUT,
    Add,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    NumberFormat,
    Relu,
    Requantise,
    Shape,
    SumPool,
)
from circuits.network import layer_bound
from circuits.passes import align, largest, pinned, readers

_GAIN = 4
"""A shift is chosen for a layer whose largest output is (largest weight) * (largest input) *
sqrt(fan in) / _GAIN. In trained networks the divisor was found to be 1.3 to 6. A shift too large
costs bits of the activations, one too small bits of the weights, which matter less."""

_LOOP_GAIN = 8
_CLOSING_GAIN = 16
"""The same for layers that read what comes from a residual sum or goes into one, and for those of
them that lead into a sum again. The step of a sum suits its largest summand anywhere along the
sums, and a step that grows comes back around the loop. Of 4, 8 and 16, 32, 64 these flipped
fewest predictions of a small ResNet."""


@dataclass(frozen=True)
class Value:
    """The integer tensor that stands for a float one; its step is `ratio` times its scale's."""

    name: str
    bound: int
    signed: bool
    scale: str
    ratio: Fraction
    pooled: bool
    """Whether it is a sum over windows that no `Requantise` has brought back into range."""


@dataclass(frozen=True)
class Linear:
    """A dense layer or convolution with what it reads and makes."""

    layer: Dense | Conv2d
    given: Value
    made: Value


@dataclass(frozen=True)
class Limit:
    """For `name` to fit, the step of `scale` is at least `factor`, or that times `other`'s step."""

    name: str
    scale: str
    factor: float
    other: str | None = None


@dataclass
class Rescaled:
    """The integer network without numbers, and what its steps must satisfy.

    Attributes
    ----------
    layers : dict of str to Layer
        In topological order.
    linear : list of Linear
        The layers that have weights.
    """

    network: FloatNetwork
    weight_max: int
    activation_bits: int
    _shared: set[str]
    _behind: set[str] = field(default_factory=set)
    layers: dict[str, Layer] = field(default_factory=dict)
    linear: list[Linear] = field(default_factory=list)
    _made: dict[str, Value] = field(default_factory=dict)
    _values: dict[str, Value] = field(default_factory=dict)
    _clipped: list[tuple[str, Value]] = field(default_factory=list)
    _parents: dict[str, tuple[str, Fraction]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        network: FloatNetwork,
        input_format: NumberFormat,
        weight_max: int,
        activation_bits: int,
    ) -> Rescaled:
        """Lay out the integer form of a network, from sizes and formats only."""
        self = cls(network, weight_max, activation_bits, pinned(network))
        given = Value(INPUT, input_format.magnitude, input_format.signed, INPUT, Fraction(1), False)
        self._values[INPUT] = self._made[INPUT] = given
        read_by = readers(network)
        for layer in network.layers:
            if not (self._shared | self._behind).isdisjoint(layer.inputs):
                self._behind.add(layer.name)
        for layer in network.layers:
            if layer.name in self._values:
                continue  # a ReLU that the `Requantise` before it took over
            after = read_by[layer.name]
            relu = after[0] if len(after) == 1 and isinstance(after[0], Relu) else None
            last = (relu or layer).name == network.output
            shift = 0
            if isinstance(layer, Dense | Conv2d):
                if not last:
                    shift = self._shift(layer, signed=relu is None)
                self._linear(layer, shift)
            elif isinstance(layer, Add):
                self._add(layer)
            else:
                self._other(layer)
                continue
            if not last:
                name, stands_for = (relu.name,) * 2 if relu else (f"{layer.name}_q", layer.name)
                source = self._values[layer.name]
                signed = source.signed and relu is None
                made = self._requantise(name, layer.shape, source, shift, signed=signed)
                self._values[stands_for] = made
                self._clipped.append((stands_for, made))
        return self

    def _shift(self, layer: Dense | Conv2d, *, signed: bool) -> int:
        """Return the whole number nearest to log2(weight_max * bound * sqrt(fan_in) / gain / high).

        That is the expected largest accumulator over the largest activation, or 0 if negative.
        """
        gain = _GAIN
        if layer.name in self._behind:
            gain = _CLOSING_GAIN if layer.name in self._shared else _LOOP_GAIN
        bound = self._values[layer.inputs[0]].bound
        high = NumberFormat(self.activation_bits, signed).high
        square = 2 * layer.fan_in * (self.weight_max * bound) ** 2 // (gain * high) ** 2
        return max(0, (square.bit_length() - 1) // 2)

    def _linear(self, layer: Dense | Conv2d, shift: int) -> None:
        given = self._values[layer.inputs[0]]
        made = self._append(layer, [given], True, layer.name, Fraction(1, 1 << shift))
        self.linear.append(Linear(layer, given, made))

    def _add(self, layer: Add) -> None:
        # A sum over windows has a much finer step than its terms: they should not take it over.
        given = [self._in_range(name, layer.shape) for name in layer.inputs]
        for one, other in pairwise(given):
            self._tie(one, other)
        found = [self._root(value) for value in given]
        step, shifts = align(layer, [ratio for _, ratio in found])
        signed = any(value.signed for value in given)
        self._append(replace(layer, shifts=shifts), given, signed, found[0][0], step)

    def _other(self, layer: Layer) -> None:
        given = self._values[layer.inputs[0]]
        if isinstance(layer, Relu) and layer.name != self.network.output:
            # What is never negative needs no ReLU.
            self._values[layer.name] = (
                self._requantise(layer.name, layer.shape, given, None, signed=False)
                if given.signed
                else given
            )
            return
        if isinstance(layer, MaxPool):
            # The backend compares values that are in the range of a lookup.
            given = self._in_range(layer.inputs[0], layer.input_shape)
        ratio = given.ratio / (layer.fan_in if isinstance(layer, SumPool) else 1)
        signed = given.signed and not isinstance(layer, Relu)
        self._append(layer, [given], signed, given.scale, ratio)

    def _in_range(self, name: str, shape: Shape) -> Value:
        """Return what stands for a float tensor, after a `Requantise` if it is pooled."""
        value = self._values[name]
        if value.pooled:
            value = self._requantise(f"{value.name}_q", shape, value, None, signed=value.signed)
            self._values[name] = value
        return value

    def _requantise(
        self, name: str, shape: Shape, given: Value, shift: int | None, *, signed: bool
    ) -> Value:
        """Append a `Requantise`; a shift of None stands for the smallest that clips nothing."""
        form = NumberFormat(self.activation_bits, signed)
        if shift is None:
            shift = max(0, (given.bound // form.high).bit_length() - 1)
            while (given.bound + ((1 << shift) >> 1)) >> shift > form.high:
                shift += 1
        layer = Requantise(name, (given.name,), shape, shift, form)
        return self._append(layer, [given], form.signed, given.scale, given.ratio * (1 << shift))

    def _append(
        self, layer: Layer, given: list[Value], signed: bool, scale: str, ratio: Fraction
    ) -> Value:
        layer = replace(layer, inputs=tuple(value.name for value in given))
        bound = layer_bound(layer, [value.bound for value in given], self.weight_max)
        pooled = isinstance(layer, SumPool) or (isinstance(layer, Flatten) and given[0].pooled)
        value = Value(layer.name, bound, signed, scale, ratio, pooled)
        self.layers[layer.name] = layer
        self._values[layer.name] = self._made[layer.name] = value
        return value

    def _root(self, value: Value) -> tuple[str, Fraction]:
        """Return the scale a tensor's scale has been tied to, and its ratio to that."""
        scale, ratio = value.scale, value.ratio
        while scale in self._parents:
            scale, factor = self._parents[scale]
            ratio *= factor
        return scale, ratio

    def _tie(self, one: Value, other: Value) -> None:
        """Give two tensors one step, unless their steps are tied to each other already."""
        (kept, ratio), (tied, tied_ratio) = self._root(one), self._root(other)
        if kept != tied:
            self._parents[tied] = kept, ratio / tied_ratio

    def steps(
        self, input_step: Fraction, ranges: Mapping[str, tuple[float, float]]
    ) -> dict[str, Fraction]:
        """Return the step of the input and of every layer.

        Parameters
        ----------
        input_step : Fraction
        ranges : mapping
            The smallest and the largest value to be kept, for each float tensor.
        """
        limits = self._limits(ranges)
        found = self._solve(input_step, limits)
        if found is None:
            # Large weights on the way from a sum back to it ask for an ever coarser step. Then the
            # weights that lead into sums are clipped instead; how much that costs, `compare` says.
            rest = [limit for limit in limits if limit.name not in self._shared or not limit.other]
            found = self._solve(input_step, rest)
        steps = {}
        for name, value in self._made.items():
            scale, ratio = self._root(value)
            # A scale of zero has nothing but zeros, which any step will do for.
            steps[name] = Fraction((found or {}).get(scale) or 1.0) * ratio
        return steps

    def _solve(self, input_step: Fraction, limits: list[Limit]) -> dict[str, float] | None:
        """Return the finest step of every scale, or None if a limit makes steps grow for ever."""
        found = {INPUT: float(input_step)}
        # One pass is enough but for residual sums, which lead back to earlier scales.
        for _ in range(len(limits) + 1):
            grown = False
            for limit in limits:
                least = limit.factor * (found.get(limit.other, 0.0) if limit.other else 1.0)
                if least > found.get(limit.scale, 0.0):
                    found[limit.scale], grown = least, True
            if not grown:
                return found
        return None

    def _limits(self, ranges: Mapping[str, tuple[float, float]]) -> list[Limit]:
        """Return what keeps scales from being finer."""
        limits = []
        for name, value in self._clipped:
            form = NumberFormat(self.activation_bits, value.signed)
            scale, ratio = self._root(value)
            low, high = ranges[name]
            least = max(high / form.high, low / form.low if form.signed else 0.0)
            limits.append(Limit(name, scale, least / float(ratio)))
        for item in self.linear:
            (scale, ratio), (other, other_ratio) = self._root(item.made), self._root(item.given)
            name = item.layer.name
            weight = largest(self.network.parameters[f"{name}.weight"])
            factor = weight * other_ratio / self.weight_max / ratio
            limits.append(Limit(name, scale, float(factor), other))
            if item.layer.bias:
                bias = largest(self.network.parameters[f"{name}.bias"])
                factor = bias / (self.weight_max * item.given.bound) / ratio
                limits.append(Limit(name, scale, float(factor)))
        return limits
