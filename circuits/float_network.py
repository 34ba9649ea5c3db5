"""A classifier with real weights, in the layers of an integer network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from circuits.errors import NotFinite, ShapeMismatch
from circuits.forward import batches, forward
from circuits.layers import INPUT, Layer, Shape, bad
from circuits.network import check_layers, layers_parameters

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True)
class FloatNetwork:
    """A network as trained.

    Attributes
    ----------
    input_shape : tuple of int
        Shape of one sample.
    classes : int
        Number of logits.
    layers : tuple of Layer
        As in `circuits.network.Architecture`, without `Requantise` and without shifts; a
        `SumPool` here stands for the average over its taps.
    output : str
        Name of the last layer.
    parameters : mapping of str to float64 array
        ``layer.weight`` and ``layer.bias``, shaped as `circuits.network.parameter_shapes` says.
    """

    input_shape: Shape
    classes: int
    layers: tuple[Layer, ...]
    output: str
    parameters: Mapping[str, NDArray[np.float64]]

    def __post_init__(self) -> None:
        check_layers(self.input_shape, self.classes, self.layers, self.output)
        for name, shape in layers_parameters(self.layers).items():
            if name not in self.parameters or self.parameters[name].shape != shape:
                bad(f"parameter {name!r} does not have the shape {list(shape)}")

    def run(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the logits, float64 [N, classes], of features [N, *input_shape].

        Raises
        ------
        ShapeMismatch, NotFinite
            If the features do not fit or are not finite.
        """
        found = [np.zeros((0, self.classes))]
        for batch in self._batches(x):
            found.extend(value for name, value in batch if name == self.output)
        return np.concatenate(found)

    def ranges(self, x: NDArray[np.floating]) -> dict[str, tuple[float, float]]:
        """Return the smallest and largest value of the input and of every layer's output.

        Raises
        ------
        ShapeMismatch, NotFinite
            If there are no features, or they do not fit or are not finite.
        """
        if not len(x):
            raise ShapeMismatch("calibration needs at least one sample")
        found: dict[str, tuple[float, float]] = {INPUT: (float(x.min()), float(x.max()))}
        for batch in self._batches(x):
            for name, value in batch:
                low, high = found.get(name, (math.inf, -math.inf))
                found[name] = (min(low, float(value.min())), max(high, float(value.max())))
        return found

    def _batches(
        self, x: NDArray[np.floating]
    ) -> Iterator[Iterator[tuple[str, NDArray[np.float64]]]]:
        flat = flatten_samples(x, self.input_shape)
        for part in batches(self.input_shape, self.layers, len(flat)):
            values = flat[part].astype(np.float64)
            if not np.isfinite(values).all():
                raise NotFinite("a feature is NaN or infinite")
            yield forward(self.layers, self.parameters, values, lambda _: np.float64, average=True)


def flatten_samples(x: NDArray[_T], shape: Shape) -> NDArray[_T]:
    """Return samples [N, *shape] as [N, elements].

    Raises
    ------
    ShapeMismatch
        If the samples have another shape.
    """
    if x.ndim < 1 or x.shape[1:] != shape:
        raise ShapeMismatch(
            f"a sample has the shape {list(x.shape[1:])} and the network takes {list(shape)}"
        )
    return x.reshape(len(x), math.prod(shape))
