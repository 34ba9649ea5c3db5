"""The secret half of an integer network: its weights, as integers, in canonical order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from circuits.errors import CorruptedArtefact, WouldOverflow
from circuits.network import Architecture, bounds, parameter_shapes


class Weights(Mapping[str, NDArray[np.int64]]):
    """Read-only int64 arrays by name, in the order of `parameter_shapes`.

    Parameters
    ----------
    architecture : Architecture
        Gives names, order, shapes and ranges.
    arrays : mapping of str to integer array
        One array per parameter.

    Raises
    ------
    CorruptedArtefact
        If a parameter is missing, unknown, of another shape or not of integers.
    WouldOverflow
        If a weight or bias is outside its range.
    """

    def __init__(self, architecture: Architecture, arrays: Mapping[str, NDArray[np.integer]]):
        shapes = parameter_shapes(architecture)
        if arrays.keys() != shapes.keys():
            odd = sorted(arrays.keys() ^ shapes.keys())[0]
            raise CorruptedArtefact(f"weights: {odd!r} is missing or unknown", artefact="weights")
        limits = parameter_limits(architecture)
        self._arrays: dict[str, NDArray[np.int64]] = {}
        for name, shape in shapes.items():
            array = arrays[name]
            if array.shape != shape or array.dtype.kind not in "iu":
                raise CorruptedArtefact(
                    f"weights: {name!r} is not an integer array of shape {list(shape)}",
                    artefact="weights",
                )
            largest = max(-int(array.min()), int(array.max()))
            if largest > limits[name]:
                raise WouldOverflow(
                    name,
                    largest.bit_length() + 1,
                    limits[name].bit_length() + 1,
                    f"no value may be larger than {limits[name]}",
                )
            copy = array.astype(np.int64)
            copy.flags.writeable = False
            self._arrays[name] = copy

    def __getitem__(self, name: str) -> NDArray[np.int64]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        # Never the values: they are secret, and a repr ends up in logs.
        return f"<Weights of {len(self)} parameters>"

    def flatten(self) -> NDArray[np.int64]:
        """Return all values as one int64 vector, in canonical order, each array row-major."""
        parts = [array.reshape(-1) for array in self._arrays.values()]
        return np.concatenate([np.zeros(0, dtype=np.int64), *parts])

    @classmethod
    def from_flat(cls, architecture: Architecture, flat: NDArray[np.integer]) -> Weights:
        """Undo `flatten`.

        Raises
        ------
        CorruptedArtefact, WouldOverflow
            If the vector has another length, or as the constructor does.
        """
        shapes = parameter_shapes(architecture)
        sizes = [math.prod(shape) for shape in shapes.values()]
        if flat.shape != (sum(sizes),):
            raise CorruptedArtefact(
                f"weights: {flat.size} values, not {sum(sizes)}", artefact="weights"
            )
        parts = np.split(flat, np.cumsum(sizes)[:-1]) if sizes else []
        named = zip(shapes.items(), parts, strict=True)
        return cls(architecture, {name: part.reshape(shape) for (name, shape), part in named})


def parameter_limits(architecture: Architecture) -> dict[str, int]:
    """Return the largest absolute value that each weight and bias may have."""
    found = bounds(architecture)
    limits: dict[str, int] = {}
    for name in parameter_shapes(architecture):
        layer, _, kind = name.rpartition(".")
        source = architecture.layer(layer).inputs[0]
        limits[name] = architecture.weight_max * (1 if kind == "weight" else found[source])
    return limits
