"""Counts of shards: read back from JSON, and summed."""

from __future__ import annotations

from collections.abc import Sequence

from circuits.errors import CorruptedArtefact
from circuits.sumcheck.public import Outputs

_TABLES = ("per_class", "confusion", "groups")


def parse_outputs(value: object) -> Outputs:
    """Read counts back from JSON; CorruptedArtefact if they are not what `to_dict` gives."""
    try:
        if not isinstance(value, dict):
            raise TypeError
        tables = {name: tuple(map(tuple, value.get(name, ()))) for name in _TABLES}
        outputs = Outputs(value["correct"], **tables)
        counts = [outputs.correct, *(c for t in tables.values() for row in t for c in row)]
    except (KeyError, TypeError):
        raise CorruptedArtefact("counts are malformed", artefact="counts") from None
    if outputs.to_dict() != value or not all(type(c) is int and 0 <= c < 2**53 for c in counts):
        raise CorruptedArtefact("counts are malformed", artefact="counts")
    return outputs


def total(outputs: Sequence[Outputs]) -> Outputs:
    """Return the sums over shards of counts that have the same tables."""
    return Outputs(
        sum(item.correct for item in outputs),
        _add_shares([item.per_class for item in outputs]),
        _add([item.confusion for item in outputs]),
        _add_shares([item.groups for item in outputs]),
    )


def _add(tables: Sequence[Sequence[tuple[int, ...]]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(sum, zip(*rows, strict=True))) for rows in zip(*tables, strict=True))


def _add_shares(tables: Sequence[Sequence[tuple[int, int]]]) -> tuple[tuple[int, int], ...]:
    return tuple((right, count) for right, count in _add(tables))
