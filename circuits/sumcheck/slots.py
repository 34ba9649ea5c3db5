"""The slots of the lookups, and those of their tables after them (docs/protocol.md, 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from circuits.sumcheck.tables import Table

Kind: TypeAlias = Literal[
    "direct", "quotient", "remainder", "increment", "limb", "weight", "input", "table"
]
"""What the slots of a segment look up: (v, z), (Q, z), (v + half - 2^s Q, 0), (d, u), (limb, 0),
(weight, 0), (X, 0); or "table": the entries of a table."""

Lookup: TypeAlias = tuple[Kind, str, int, Table]
"""Kind, layer, number of slots and table."""


@dataclass(frozen=True)
class Segment:
    """Consecutive slots of 2^a leaves (section 5.1).

    Attributes
    ----------
    kind : str
        What they look up, or "table".
    layer : str
        The Requantise or MaxPool they belong to; empty for other kinds.
    start, count : int
        First slot and number of slots.
    tag : int
        Tag of their table, which is ``relation.tables[tag - 1]``.
    limb : int
        Number of the limb for the kind "limb", otherwise 0.
    """

    kind: Kind
    layer: str
    start: int
    count: int
    tag: int
    limb: int = 0

    @property
    def span(self) -> slice:
        """The segment's slots."""
        return slice(self.start, self.start + self.count)


def lay_out(
    lookups: Sequence[Lookup], a: int
) -> tuple[tuple[Table, ...], tuple[Segment, ...], tuple[Segment, ...]]:
    """Return the tables in the order of their tags, the lookups' segments and the tables'."""
    tags = {table: i + 1 for i, table in enumerate(dict.fromkeys(item[3] for item in lookups))}
    start = 0
    segments: list[Segment] = []
    for kind, layer, count, table in lookups:
        limb = sum(item.kind == "limb" for item in segments) if kind == "limb" else 0
        segments.append(Segment(kind, layer, start, count, tags[table], limb))
        start += count
    entries: list[Segment] = []
    for table, tag in tags.items():
        entries.append(Segment("table", "", start, table.slots(a), tag))
        start += table.slots(a)
    return tuple(tags), tuple(segments), tuple(entries)
