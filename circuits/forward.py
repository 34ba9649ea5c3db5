"""Running layers over a batch: the same steps for the float network and for the integer one.

Values are arrays [samples, elements], every sample flattened in row-major order, so that a
convolution is a gather by `circuits.layers.windows` and a matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.layers import (
    INPUT,
    Add,
    Conv2d,
    Dense,
    Flatten,
    Layer,
    MaxPool,
    Relu,
    Shape,
    SumPool,
    windows,
)

_BATCH_ELEMENTS = 1 << 22
"""Elements of the largest intermediate array of a batch: 32 MB."""


def forward(
    layers: Sequence[Layer],
    parameters: Mapping[str, NDArray[Any]],
    x: NDArray[Any],
    work: Callable[[Layer], type[np.generic]],
    *,
    average: bool,
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the output of every layer, in order, and forget each after its last use.

    Parameters
    ----------
    layers : sequence of Layer
        In topological order.
    parameters : mapping
        ``layer.weight`` and ``layer.bias`` by name.
    x : array [samples, elements]
        The input; all outputs have its dtype.
    work : callable
        The dtype in which a layer's products may be summed without loss.
    average : bool
        Whether a sum pool divides by its taps, as in a float network.
    """
    last_use = {name: i for i, layer in enumerate(layers) for name in layer.inputs}
    values: dict[str, NDArray[Any]] = {INPUT: x}
    for i, layer in enumerate(layers):
        given = [values[name] for name in layer.inputs]
        value = _apply(layer, given, parameters, work(layer))
        if average and isinstance(layer, SumPool):
            value = value / layer.fan_in
        yield layer.name, value
        values[layer.name] = value
        for name in layer.inputs:
            if last_use[name] == i:
                values.pop(name, None)


def batches(input_shape: Shape, layers: Sequence[Layer], samples: int) -> Iterator[slice]:
    """Yield slices of a batch of samples, small enough for bounded memory."""
    widest = max([math.prod(input_shape), *(_elements(layer) for layer in layers)])
    size = max(1, _BATCH_ELEMENTS // widest)
    for start in range(0, samples, size):
        yield slice(start, min(start + size, samples))


def _elements(layer: Layer) -> int:
    if isinstance(layer, SumPool | MaxPool):
        return math.prod(layer.shape) * layer.fan_in
    if isinstance(layer, Conv2d):
        return max(math.prod(layer.shape), math.prod(layer.positions) * layer.fan_in)
    return math.prod(layer.shape)


def _apply(
    layer: Layer,
    given: list[NDArray[Any]],
    parameters: Mapping[str, NDArray[Any]],
    work: type[np.generic],
) -> NDArray[Any]:
    x = given[0]
    y: NDArray[Any]
    if isinstance(layer, Dense):
        y = (x.astype(work) @ parameters[f"{layer.name}.weight"].astype(work)).astype(x.dtype)
        y = y + parameters[f"{layer.name}.bias"] if layer.bias else y
    elif isinstance(layer, Conv2d):
        y = _convolve(layer, x, parameters, work)
    elif isinstance(layer, SumPool):
        y = _pad(x, 0)[:, windows(layer)].sum(axis=3).reshape(len(x), -1)
    elif isinstance(layer, MaxPool):
        lowest = np.iinfo(x.dtype).min if x.dtype.kind == "i" else -np.inf
        y = _pad(x, lowest)[:, windows(layer)].max(axis=3).reshape(len(x), -1)
    elif isinstance(layer, Relu):
        y = np.maximum(x, 0)
    elif isinstance(layer, Add):
        shifted = [v * (1 << shift) for v, shift in zip(given, layer.shifts, strict=True)]
        y = np.sum(shifted, axis=0)
    elif isinstance(layer, Flatten):
        y = x
    else:
        y = np.clip((x + layer.half) >> layer.shift, layer.format.low, layer.format.high)
    return y


def _convolve(
    layer: Conv2d,
    x: NDArray[Any],
    parameters: Mapping[str, NDArray[Any]],
    work: type[np.generic],
) -> NDArray[Any]:
    weight = parameters[f"{layer.name}.weight"].astype(work)
    weight = weight.reshape(layer.groups, layer.out_channels // layer.groups, layer.fan_in)
    padded = _pad(x.astype(work), 0)
    parts = [
        (padded[:, index] @ matrix.T).transpose(0, 2, 1)
        for index, matrix in zip(windows(layer), weight, strict=True)
    ]
    y = np.concatenate(parts, axis=1).astype(x.dtype)
    if layer.bias:
        y = y + parameters[f"{layer.name}.bias"][:, None]
    return y.reshape(len(x), -1)


def _pad(x: NDArray[Any], value: float) -> NDArray[Any]:
    """Append a column holding `value`: the index -1 of a window then reads padding."""
    return np.concatenate([x, np.full((len(x), 1), value, dtype=x.dtype)], axis=1)
