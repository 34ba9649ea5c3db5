"""What the layers of a network add to a proof (docs/protocol.md, 4.5, 5.1 and 5.6)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from circuits.layers import Conv2d, Dense, MaxPool, Requantise
from circuits.network import Architecture, bounds
from circuits.sumcheck.layout import Counts
from circuits.sumcheck.pooling import taps
from circuits.sumcheck.provable import increment_table, requantise_tables, value_ranges
from circuits.sumcheck.slots import Kind, Lookup


@dataclass(frozen=True)
class LinearLayer:
    """A dense layer or convolution, with its place among the inputs I of section 5.6.

    Attributes
    ----------
    layer : Dense or Conv2d
        The layer.
    offset, inputs : int
        Its inputs are elements ``offset ..`` of I.
    """

    layer: Dense | Conv2d
    offset: int
    inputs: int

    @property
    def span(self) -> slice:
        """The layer's inputs in I."""
        return slice(self.offset, self.offset + self.inputs)


@dataclass
class Needs:
    """Lookups, features of the proof matrix and linear layers, each in order."""

    lookups: list[Lookup] = field(default_factory=list)
    features: Counts = field(default_factory=list)
    linear: list[LinearLayer] = field(default_factory=list)


def needs_of(architecture: Architecture, a: int) -> Needs:
    """Return what the layers of a network need; errors as for `circuits.sumcheck.relation`."""
    limits, ranges = bounds(architecture), value_ranges(architecture)
    found = Needs()
    offset = 0
    for layer in architecture.layers:
        size, source = math.prod(layer.shape), layer.inputs[0]
        if isinstance(layer, Requantise):
            tables = requantise_tables(layer, limits[source], a)
            split = len(tables) == 2
            kinds: tuple[Kind, ...] = ("quotient", "remainder") if split else ("direct",)
            found.features += [(layer.name, "output", size), (layer.name, "quotient", size * split)]
            found.lookups += [
                (kind, layer.name, size, table) for kind, table in zip(kinds, tables, strict=True)
            ]
        elif isinstance(layer, MaxPool) and (count := taps(layer).increments):
            found.features.append((layer.name, "increments", count))
            table = increment_table(layer, *ranges[source])
            found.lookups.append(("increment", layer.name, count, table))
        elif isinstance(layer, Dense | Conv2d):
            inputs = math.prod(architecture.shape_of(source))
            found.linear.append(LinearLayer(layer, offset, inputs))
            offset += inputs
    return found
