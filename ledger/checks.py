"""What the fields of entries are checked with."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from circuits.encoding import is_hex
from ledger.errors import MalformedEntry

_ROUNDS = 2**32

MOST_UNITS = 2**53 - 1
"""The largest integer of JSON; more units than this can never be on a ledger."""

LONGEST = 2**32 - 1
"""Of windows and locks, in entries or seconds: no sum of a few is beyond JSON's integers."""

NOTHING = "00" * 32
"""A digest where there is nothing to name."""


def require(condition: bool, message: str) -> None:
    """Refuse a field of an entry.

    Raises
    ------
    MalformedEntry
        If `condition` does not hold.
    """
    if not condition:
        raise MalformedEntry(message)


def is_count(value: object, least: int = 0, most: int = MOST_UNITS) -> bool:
    """Tell whether `value` is an integer, not a bool, that JSON carries exactly."""
    return type(value) is int and least <= value <= most


def require_digests(**values: str) -> None:
    """Refuse anything but 32 bytes of lowercase hex."""
    for name, value in values.items():
        require(is_hex(value, 32), f"{name} is not 32 bytes of lowercase hex")


def require_round(value: int) -> None:
    """Refuse a round that no task can have."""
    require(is_count(value) and value < _ROUNDS, "round is not an integer below 2**32")


def require_text(name: str, value: str, limit: int, *, empty: bool = False) -> None:
    """Refuse text that is too long or has characters that do not print."""
    least = 0 if empty else 1
    ok = isinstance(value, str) and least <= len(value) <= limit and value.isprintable()
    require(ok, f"{name} is not printable text of {least} to {limit} characters")


def require_sorted(name: str, values: Sequence[str], limit: int) -> None:
    """Refuse digests that are repeated, not in order or too many: a set has one encoding."""
    for value in values:
        require_digests(**{name: value})
    require(
        len(values) <= limit and list(values) == sorted(set(values)),
        f"{name} are not at most {limit} digests in ascending order",
    )


def is_ratio(value: object) -> bool:
    """Tell whether `value` is a fraction of integers that JSON carries exactly."""
    return (
        isinstance(value, Fraction) and is_count(value.numerator) and is_count(value.denominator, 1)
    )


def ratio_from_json(value: object) -> Fraction:
    """Read ``[numerator, denominator]``."""
    if not isinstance(value, list) or len(value) != 2:
        raise MalformedEntry(f"{value!r} is not a ratio [numerator, denominator]")
    numerator, denominator = value
    require(is_count(numerator) and is_count(denominator, 1), f"{value!r} is not a ratio")
    return Fraction(numerator, denominator)


def pairs_from_json(value: object) -> tuple[tuple[object, object], ...]:
    """Read a list of pairs."""
    require(isinstance(value, list), "not a list of pairs")
    assert isinstance(value, list)
    require(all(isinstance(v, list) and len(v) == 2 for v in value), "not a list of pairs")
    return tuple((first, second) for first, second in value)
