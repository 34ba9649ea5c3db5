"""Which networks can be proven, and with which tables (docs/protocol.md, section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from circuits.errors import InputError, UnsupportedOperator, WouldOverflow
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
    SumPool,
)
from circuits.network import Architecture, bounds
from circuits.sumcheck.tables import MAX_ENTRIES, Table

_BOUND_BITS = 58
"""All values stay below 2^58: sums and differences of a few never wrap around p."""

_TABLE_BITS = MAX_ENTRIES.bit_length() - 1
_LIMB_BITS = 12
_FEWER_BITS = "use fewer weight or activation bits, or rescale before it"


@dataclass(frozen=True)
class Limbs:
    """The digits of a margin E in [0, 2^bits), of `width` bits each, the last one shorter (4.4)."""

    bits: int
    count: int
    width: int

    @classmethod
    def of(cls, bound: int) -> Limbs:
        """Return the limbs for logits bounded by `bound`."""
        bits = max(1, 2 * bound).bit_length()
        count = max(1, -(-bits // _LIMB_BITS))
        return cls(bits, count, -(-bits // count))

    def table(self, i: int) -> Table:
        """Return the range of limb i."""
        last = i == self.count - 1
        return Table.range(0, (1 << (self.bits - self.width * i if last else self.width)) - 1)


def check_network(architecture: Architecture) -> None:
    """Refuse a network that section 4 cannot prove.

    Raises
    ------
    UnsupportedOperator
        For a `Relu`; and where outputs of dense layers or convolutions reach another, or are
        multiplied by a public factor, without a `Requantise` between.
    WouldOverflow
        If the worst case of a tensor reaches 2^58.
    InputError
        If the network has no weights.
    """
    raw: dict[str, set[str]] = {INPUT: set()}  # the accumulators each tensor depends on
    for layer in architecture.layers:
        given = [raw[name] for name in layer.inputs]
        _check_layer(layer, given)
        raw[layer.name] = set() if isinstance(layer, Requantise) else set().union(*given)
        if isinstance(layer, Dense | Conv2d):
            raw[layer.name] = {layer.name}
    if not any(isinstance(layer, Dense | Conv2d) for layer in architecture.layers):
        raise InputError("the network has no weights, so there is no model to prove anything about")
    for name, bound in bounds(architecture).items():
        if bound.bit_length() > _BOUND_BITS:
            raise WouldOverflow(name, bound.bit_length() + 1, _BOUND_BITS + 1, _FEWER_BITS)


def _check_layer(layer: Layer, raw: Sequence[set[str]]) -> None:
    """Refuse a layer, given the accumulators that each of its inputs depends on."""
    operator, problem = type(layer).__name__, ""
    if isinstance(layer, Relu):
        problem = "it is proven only as part of a Requantise"
    elif isinstance(layer, Dense | Conv2d) and raw[0]:
        problem = "its input is a sum of products that was not rescaled"
    # Biases have no range of their own: they are integers because accumulators are looked up, each
    # alone or with integers added. Multiples, and sums of several, would admit fractions modulo p.
    elif isinstance(layer, SumPool) and raw[0]:
        problem = "it sums sums of products that were not rescaled"
    elif isinstance(layer, Add):
        scaled = any(names and shift for names, shift in zip(raw, layer.shifts, strict=True))
        if scaled or sum(map(bool, raw)) > 1:
            problem = "it adds multiples of sums of products that were not rescaled"
    if problem:
        raise UnsupportedOperator(
            layer.name, operator, f"{problem}: quantise with rescaling, or rescale before it"
        )


def value_ranges(architecture: Architecture) -> dict[str, tuple[int, int]]:
    """Return the range of the input's and every layer's values, as section 4.3 defines it."""
    form = architecture.input_format
    found = {INPUT: (form.low, form.high)}
    limits = bounds(architecture)
    for layer in architecture.layers:
        if isinstance(layer, Requantise):
            found[layer.name] = (layer.format.low, layer.format.high)
        elif isinstance(layer, Flatten | MaxPool):
            found[layer.name] = found[layer.inputs[0]]
        else:
            found[layer.name] = (-limits[layer.name], limits[layer.name])
    return found


def requantise_tables(layer: Requantise, bound: int, a: int) -> tuple[Table, ...]:
    """Return the tables of a `Requantise` (section 4.2): one if direct, or two if split.

    Parameters
    ----------
    layer : Requantise
    bound : int
        Bound of its input.
    a : int
        Base-2 logarithm of the number of samples.

    Returns
    -------
    tuple of Table
        Of (v, z); or of (Q, z) and of the remainders.

    Raises
    ------
    WouldOverflow
        If a table would be too large.
    """
    form = layer.format
    low, high = (-bound + layer.half) >> layer.shift, (bound + layer.half) >> layer.shift
    elements = math.prod(layer.shape)
    worth = (elements << a) + (1 << layer.shift) + high - low + 1
    direct = Table(-bound, bound, layer.shift, form.low, form.high)
    # Without a shift, splitting would leave the table as it is.
    if layer.shift == 0 or direct.entries <= min(MAX_ENTRIES, worth):
        return (sized(layer.name, direct),)
    quotient = Table(low, high, 0, form.low, form.high)
    remainder = Table.range(0, (1 << layer.shift) - 1)
    return sized(layer.name, quotient), sized(layer.name, remainder)


def increment_table(layer: MaxPool, low: int, high: int) -> Table:
    """Return the table of a `MaxPool` (section 4.3) over values low .. high.

    Raises
    ------
    WouldOverflow
        If it would be too large.
    """
    most = high - low
    return sized(layer.name, Table(-most, most, 0, 0, most))


def weight_table(weight_max: int) -> Table:
    """Return the range of the weights (section 5.1); `WouldOverflow` if it is too large."""
    return sized("weights", Table.range(-weight_max, weight_max))


def input_table(form: NumberFormat) -> Table:
    """Return the range of the inputs (section 4.6); `WouldOverflow` if it is too large."""
    return sized(INPUT, Table.range(form.low, form.high))


def sized(name: str, table: Table) -> Table:
    """Return `table`, refusing one of more than 2^22 entries."""
    if table.entries > MAX_ENTRIES:
        needed = (table.entries - 1).bit_length()
        raise WouldOverflow(
            name, needed, _TABLE_BITS, f"its table would be too large: {_FEWER_BITS}"
        )
    return table
