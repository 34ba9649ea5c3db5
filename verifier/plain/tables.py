"""Section 4 and 5.1: the lookup tables, and which lookups a network needs."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from circuits.errors import ProofRejected
from circuits.network import Architecture, MaxPool, Requantise, bounds
from verifier.plain.network import increments, value_ranges

MAX_ENTRIES = 1 << 22
"""Entries of the largest table (4.1)."""

_MAX_LIMB_BITS = 12


def ceil_log2(count: int) -> int:
    """Return the smallest s with 2^s >= count, for count >= 1."""
    return (count - 1).bit_length()


def ceil_div(count: int, size: int) -> int:
    """Return how many parts of `size` hold `count` items."""
    return -(-count // size)


@dataclass(frozen=True)
class Table:
    """A lookup table of 4.1."""

    lo: int
    hi: int
    shift: int
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.entries > MAX_ENTRIES:
            raise ProofRejected("circuit", f"a table of {self.entries} entries")

    @property
    def entries(self) -> int:
        """How many values the table has."""
        return self.hi - self.lo + 1

    def image(self, value: int) -> int:
        """Return what belongs to a value."""
        half = (1 << self.shift) >> 1
        return min(max((value + half) >> self.shift, self.low), self.high)


class Kind(enum.Enum):
    """What a run of lookup slots looks up."""

    INPUT = enum.auto()
    DIRECT = enum.auto()
    QUOTIENT = enum.auto()
    REMAINDER = enum.auto()
    INCREMENT = enum.auto()
    LIMB = enum.auto()
    WEIGHT = enum.auto()


@dataclass(frozen=True)
class Lookups:
    """A run of lookup slots: `source` is a layer's name, or the number of a limb."""

    kind: Kind
    table: Table
    slots: int
    source: str | int = ""


@dataclass(frozen=True)
class Limbs:
    """How the margins are cut up (4.4): `bits` in all, in `count` limbs `width` wide."""

    bits: int
    count: int
    width: int

    @classmethod
    def of(cls, bound: int) -> Limbs:
        """Return the limbs of logits with a bound."""
        bits = max(1, 2 * bound).bit_length()
        count = max(1, ceil_div(bits, _MAX_LIMB_BITS))
        return cls(bits, count, ceil_div(bits, count))

    def table(self, limb: int) -> Table:
        """Return the range of a limb; the last one is what is left of the bits."""
        width = self.width if limb < self.count - 1 else self.bits - self.width * limb
        return Table(0, (1 << width) - 1, 0, 0, 0)


def layer_lookups(architecture: Architecture, a: int) -> Iterator[Lookups]:
    """Yield the lookups of the layers, in order (4.2, 4.3)."""
    bound = bounds(architecture)
    ranges = value_ranges(architecture)
    for layer in architecture.layers:
        if isinstance(layer, Requantise):
            yield from _requantise_lookups(layer, bound[layer.inputs[0]], a)
        elif isinstance(layer, MaxPool):
            least, most = ranges[layer.inputs[0]]
            largest = most - least
            slots = sum(len(taps) - 1 for _, taps, _ in increments(layer))
            if slots:  # a table that nothing looks up has no tag
                table = Table(-largest, largest, 0, 0, largest)
                yield Lookups(Kind.INCREMENT, table, slots, layer.name)


def _requantise_lookups(layer: Requantise, bound: int, a: int) -> Iterator[Lookups]:
    """Yield 4.2: directly where the table is not larger than what splitting would cost."""
    elements = math.prod(layer.shape)
    low, high = layer.format.low, layer.format.high
    lo_q, hi_q = ((value + layer.half) >> layer.shift for value in (-bound, bound))
    split = (elements << a) + (1 << layer.shift) + hi_q - lo_q + 1
    if 2 * bound + 1 <= min(MAX_ENTRIES, split):
        table = Table(-bound, bound, layer.shift, low, high)
        yield Lookups(Kind.DIRECT, table, elements, layer.name)
    elif layer.shift == 0:
        raise ProofRejected("circuit", f"layer {layer.name!r} needs {2 * bound + 1} entries")
    else:
        quotients = Table(lo_q, hi_q, 0, low, high)
        yield Lookups(Kind.QUOTIENT, quotients, elements, layer.name)
        remainders = Table(0, (1 << layer.shift) - 1, 0, 0, 0)
        yield Lookups(Kind.REMAINDER, remainders, elements, layer.name)


def layer_features(lookups: Iterable[Lookups]) -> list[tuple[str, int]]:
    """Return what the layers commit, in order: z, then Q if split; u."""
    found: list[tuple[str, int]] = []
    for item in lookups:
        if item.kind in (Kind.DIRECT, Kind.QUOTIENT):
            found.append((f"{item.source}.z", item.slots))
        if item.kind is Kind.QUOTIENT:
            found.append((f"{item.source}.q", item.slots))
        if item.kind is Kind.INCREMENT:
            found.append((f"{item.source}.u", item.slots))
    return found
