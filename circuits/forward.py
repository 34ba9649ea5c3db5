"""Running layers over a batch: the same steps for the float network and for the integer one.

Inside, values are arrays [elements, samples], every sample a column flattened in row-major order.
A convolution is then a gather of whole rows by `circuits.layers.windows` and a matrix product, a
pool a sum or maximum of whole rows, and memory is read in order whatever the window.
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
    Windowed,
    windows,
)

_BATCH_ELEMENTS = 1 << 22
"""Elements of the largest tensor of a batch."""

_GATHER_ELEMENTS = 1 << 22
"""Elements gathered at a time. Bounds memory; much less makes many small products, for each of
which the BLAS library waits for its threads: 3 times slower on a busy machine."""

Types = Callable[[Layer], tuple[type[np.generic], type[np.generic]]]
"""For a layer, the dtype in which its products may be summed without loss, and its output's."""


def forward(
    layers: Sequence[Layer],
    parameters: Mapping[str, NDArray[Any]],
    x: NDArray[Any],
    work: Callable[[Layer], type[np.generic]],
    *,
    average: bool,
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the output of every layer, [samples, elements], for an input of that layout.

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
    columns = np.ascontiguousarray(x.T)
    found = forward_columns(
        layers, parameters, columns, lambda layer: (work(layer), x.dtype.type), average=average
    )
    for name, value in found:
        yield name, value.T


def forward_columns(
    layers: Sequence[Layer],
    parameters: Mapping[str, NDArray[Any]],
    x: NDArray[Any],
    types: Types,
    *,
    average: bool = False,
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the output of every layer, [elements, samples], and forget each after its last use.

    Parameters
    ----------
    layers, parameters, average
        As in `forward`.
    x : array [elements, samples]
        The input, in C order.
    types : callable
        The dtypes of each layer's work and output.
    """
    last_use = {name: i for i, layer in enumerate(layers) for name in layer.inputs}
    values: dict[str, NDArray[Any]] = {INPUT: x}
    for i, layer in enumerate(layers):
        given = [values[name] for name in layer.inputs]
        work, output = types(layer)
        value = _apply(layer, given, parameters, work, output)
        if average and isinstance(layer, SumPool):
            value = value / layer.fan_in
        yield layer.name, value
        values[layer.name] = value
        for name in layer.inputs:
            if last_use[name] == i:
                values.pop(name, None)


def batches(input_shape: Shape, layers: Sequence[Layer], samples: int) -> Iterator[slice]:
    """Yield slices of a batch of samples, small enough for bounded memory."""
    widest = max([math.prod(input_shape), *(math.prod(layer.shape) for layer in layers)])
    size = max(1, _BATCH_ELEMENTS // widest)
    for start in range(0, samples, size):
        yield slice(start, min(start + size, samples))


def _apply(
    layer: Layer,
    given: list[NDArray[Any]],
    parameters: Mapping[str, NDArray[Any]],
    work: type[np.generic],
    output: type[np.generic],
) -> NDArray[Any]:
    x = given[0]
    y: NDArray[Any]
    if isinstance(layer, Dense):
        y = _dense(layer, x.astype(work, copy=False), parameters, output)
    elif isinstance(layer, Conv2d):
        y = _convolve(layer, x.astype(work, copy=False), parameters, output)
    elif isinstance(layer, SumPool):
        y = _pool(layer, np.add, _padded(layer, x.astype(output, copy=False), 0))
    elif isinstance(layer, MaxPool):
        lowest = np.iinfo(x.dtype).min if x.dtype.kind == "i" else -np.inf
        y = _pool(layer, np.maximum, _padded(layer, x, lowest))
    elif isinstance(layer, Relu):
        y = np.maximum(x, 0)
    elif isinstance(layer, Add):
        y = np.zeros(x.shape, dtype=output)
        for value, shift in zip(given, layer.shifts, strict=True):
            y += value.astype(output, copy=False) * output(1 << shift)
    elif isinstance(layer, Flatten):
        y = x
    else:
        y = x.astype(work)  # a copy, to be worked on in place
        y += work(layer.half)
        y >>= layer.shift
        y = np.clip(y, layer.format.low, layer.format.high, out=y).astype(output, copy=False)
    return y


def _dense(
    layer: Dense, x: NDArray[Any], parameters: Mapping[str, NDArray[Any]], output: type[np.generic]
) -> NDArray[Any]:
    weight = parameters[f"{layer.name}.weight"].astype(x.dtype)
    y: NDArray[Any] = (weight.T @ x).astype(output, copy=False)
    if layer.bias:
        y += parameters[f"{layer.name}.bias"][:, None].astype(output)
    return y


def _convolve(
    layer: Conv2d, x: NDArray[Any], parameters: Mapping[str, NDArray[Any]], output: type[np.generic]
) -> NDArray[Any]:
    samples = x.shape[1]
    each = layer.out_channels // layer.groups
    weight = parameters[f"{layer.name}.weight"].astype(x.dtype)
    weight = weight.reshape(layer.groups, each, layer.fan_in)
    y = np.empty((layer.groups, each, math.prod(layer.positions), samples), dtype=output)
    for group, part, taps in gather(layer, x):
        found = y[group, :, part]
        found[:] = (weight[group] @ taps).reshape(found.shape)
    if layer.bias:
        y += parameters[f"{layer.name}.bias"].reshape(layer.groups, each, 1, 1).astype(output)
    return y.reshape(math.prod(layer.shape), samples)


def gather(layer: Conv2d, x: NDArray[Any]) -> Iterator[tuple[int, slice, NDArray[Any]]]:
    """Yield what a convolution reads of its input [elements, samples], in parts of bounded size.

    Yields
    ------
    int, slice
        The group, and positions.
    array [taps, positions * samples]
        The inputs of those positions of that group, padding as zero.
    """
    padded = _padded(layer, x, 0)
    step = max(1, _GATHER_ELEMENTS // max(1, layer.fan_in * x.shape[1]))
    for group, index in enumerate(windows(layer)):
        for start in range(0, len(index), step):
            part = slice(start, start + step)
            yield group, part, padded[index[part].T].reshape(layer.fan_in, -1)


def _pool(layer: SumPool | MaxPool, join: np.ufunc, padded: NDArray[Any]) -> NDArray[Any]:
    taps = windows(layer).reshape(-1, layer.fan_in).T
    y: NDArray[Any] = padded[taps[0]]
    for tap in taps[1:]:
        join(y, padded[tap], out=y)
    return y


def _padded(layer: Windowed, x: NDArray[Any], value: float) -> NDArray[Any]:
    """Append a row holding `value` if a window reads padding, which has the index -1."""
    if not any(layer.padding):
        return x
    return np.concatenate([x, np.full((1, x.shape[1]), value, dtype=x.dtype)])
