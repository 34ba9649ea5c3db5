"""The libraries of the extra ``[provenance]``, which only the exports need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from circuits.errors import InputError


@contextmanager
def needed() -> Iterator[None]:
    """Turn a failed import into one line that says what to install."""
    try:
        yield
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed: this needs the extra, pip install 'zkpot[provenance]'"
        ) from None
