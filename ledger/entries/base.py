"""The base of all entries, and how blobs are named."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, ClassVar, Self

from circuits.encoding import digest
from circuits.statement import Statement
from ledger.charter import Charter
from ledger.policy import Policy


def blob_digest(data: bytes) -> str:
    """Return the digest under which the ledger keeps and finds a blob."""
    return digest("blob", data)


@dataclass(frozen=True)
class Entry:
    """Base of all entries.

    Attributes
    ----------
    type : str
        The name of the entry type, part of what is signed.
    by_rule : bool
        Whether it follows from other entries, so that no one signs it.
    """

    type: ClassVar[str]
    by_rule: ClassVar[bool] = False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return {field.name: _to_json(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(**value)

    @property
    def blobs(self) -> tuple[str, ...]:
        """Digests of the blobs without which the entry cannot be checked."""
        return ()


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, Fraction):
        return list(value.as_integer_ratio())
    if isinstance(value, Policy | Statement | Charter):
        return value.to_dict()
    return value
