"""The proof systems behind one interface, by name."""

from __future__ import annotations

from circuits.errors import InputError
from zkpot.backends.base import Backend
from zkpot.backends.halo2 import Halo2
from zkpot.backends.sumcheck import Sumcheck

DEFAULT = "sumcheck"
_ALL: dict[str, Backend] = {"halo2": Halo2(), "sumcheck": Sumcheck()}
NAMES = tuple(_ALL)


def named(name: str) -> Backend:
    """Return a backend.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in _ALL:
        raise InputError(f"there is no backend {name!r}; there are {' and '.join(_ALL)}")
    return _ALL[name]


def preferred(available: tuple[str, ...], wanted: str | None = None) -> Backend:
    """Return the backend wanted, or else the default one if it is among those available."""
    if wanted is None:
        wanted = DEFAULT if DEFAULT in available else available[0]
    return named(wanted)
