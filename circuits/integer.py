"""Running the integer network exactly: what the circuits prove, in numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from circuits.errors import NotFinite, ShapeMismatch, WouldOverflow
from circuits.float_network import flatten_samples
from circuits.forward import batches, forward_columns
from circuits.layers import INPUT, Layer, Requantise
from circuits.network import Architecture, bounds
from circuits.weights import Weights

Ties: TypeAlias = Literal["strict", "first"]
"""``first``: the first of several equal maxima is the prediction, as numpy and ONNX do.
``strict``: there is no prediction unless one logit is larger than all others."""

NO_PREDICTION = -1

_FLOAT32_EXACT = 1 << 24
_FLOAT64_EXACT = 1 << 53
_INT32_BITS = 31
_INT64_BITS = 63


def quantise_input(architecture: Architecture, x: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return ``round(x * 2**input_exponent)``, halves to even, held to the input's range.

    Parameters
    ----------
    architecture : Architecture
        Gives exponent, format and shape.
    x : float array [N, *input_shape]
        Features.

    Returns
    -------
    int64 array [N, *input_shape]

    Raises
    ------
    ShapeMismatch, NotFinite
        If the features do not fit the architecture, or are not finite.
    """
    flatten_samples(x, architecture.input_shape)
    if not np.isfinite(x).all():
        raise NotFinite("a feature is NaN or infinite")
    scaled = np.rint(np.ldexp(x.astype(np.float64), architecture.input_exponent))
    form = architecture.input_format
    # Clipping floats to a wide format would round its limits up, past what int64 can hold.
    if form.bits > 53:
        raise WouldOverflow("input", form.bits, 53, "use a narrower input format")
    return np.clip(scaled, form.low, form.high).astype(np.int64)


def check_int64(architecture: Architecture) -> dict[str, int]:
    """Return `bounds`, having checked that every value fits 64-bit integers.

    Raises
    ------
    WouldOverflow
        If the worst case of a layer does not fit; names the layer.
    """
    found = bounds(architecture)
    for layer in architecture.layers:
        half = layer.half if isinstance(layer, Requantise) else 0
        reached = max(found[layer.name], *(found[name] + half for name in layer.inputs))
        if reached.bit_length() > _INT64_BITS:
            raise WouldOverflow(
                layer.name,
                reached.bit_length() + 1,
                _INT64_BITS + 1,
                "use fewer weight bits or fewer layers; deep networks need rescaling between "
                "layers, which the sumcheck backend has",
            )
    return found


def run(architecture: Architecture, weights: Weights, x: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the exact logits of the integer network.

    Parameters
    ----------
    architecture : Architecture
        The network.
    weights : Weights
        Its weights.
    x : integer array [N, *input_shape]
        Samples within the input format, for instance from `quantise_input`.

    Returns
    -------
    int64 array [N, classes]

    Raises
    ------
    ShapeMismatch
        If the samples have another shape or type.
    WouldOverflow
        If a sample is outside the input format, or the network does not fit 64-bit integers.
    """
    logits = np.zeros((len(x), architecture.classes), dtype=np.int64)
    parts = list(batches(architecture.input_shape, architecture.layers, len(x)))
    # Without samples there is still something to check.
    for part in parts or [slice(0)]:
        for name, value in trace(architecture, weights, x[part]):
            if name == architecture.output:
                logits[part] = value.T
    return logits


def trace(
    architecture: Architecture, weights: Weights, x: NDArray[np.integer]
) -> Iterator[tuple[str, NDArray[np.signedinteger]]]:
    """Yield the input and then the output of every layer, exactly, for all samples at once.

    A prover calls this for one batch after another. Besides what is yielded, only tensors that
    later layers read are held, so a batch needs about as many bytes as its two widest tensors.

    Parameters
    ----------
    architecture, weights, x
        As in `run`.

    Yields
    ------
    str
        `INPUT`, then the layers' names in order. The output of a `Dense`, `Conv2d` or `Add` is
        the accumulator, as it enters the `Requantise` after it.
    int32 or int64 array [elements, samples]
        In C order, one column a sample, elements in row-major order of the layer's shape. It is
        int32 where `bounds` says that every value fits, and must not be changed: later layers
        read it, and a `Flatten` shares it.

    Raises
    ------
    ShapeMismatch, WouldOverflow
        As `run`, before anything is yielded.
    """
    limits = check_int64(architecture)
    # Ranges and shapes hold for the architecture the weights were made for: make sure it is this.
    weights = Weights(architecture, weights)
    if x.dtype.kind not in "iu":
        raise ShapeMismatch(f"samples are {x.dtype}, not integers")
    flat = flatten_samples(x, architecture.input_shape)
    form = architecture.input_format
    if flat.size and not (form.low <= int(flat.min()) and int(flat.max()) <= form.high):
        largest = max(-int(flat.min()), int(flat.max()))
        raise WouldOverflow(
            "input", largest.bit_length() + form.signed, form.bits, "quantise the samples again"
        )
    return _trace(architecture, weights, flat, limits)


def _trace(
    architecture: Architecture,
    weights: Weights,
    flat: NDArray[np.integer],
    limits: Mapping[str, int],
) -> Iterator[tuple[str, NDArray[np.signedinteger]]]:
    def types(layer: Layer) -> tuple[type[np.generic], type[np.generic]]:
        output = _integer(limits[layer.name])
        if isinstance(layer, Requantise):
            return _integer(limits[layer.inputs[0]] + layer.half), output
        # The bound covers the sum of all absolute products, so any order of summation is exact.
        if limits[layer.name] < _FLOAT32_EXACT:
            return np.float32, output
        return (np.float64 if limits[layer.name] < _FLOAT64_EXACT else np.int64), output

    values = flat.T.astype(_integer(limits[INPUT]), order="C")
    yield INPUT, values
    yield from forward_columns(architecture.layers, weights, values, types)


def _integer(bound: int) -> type[np.signedinteger]:
    return np.int32 if bound.bit_length() <= _INT32_BITS else np.int64


def predict(logits: NDArray[np.integer], ties: Ties) -> NDArray[np.int64]:
    """Return the predicted class of each row of logits [N, classes], int64 [N].

    With ``ties="strict"`` a row whose maximum is shared has `NO_PREDICTION`.
    """
    best: NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
    if ties == "first":
        return best
    shared = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1) > 1
    best[shared] = NO_PREDICTION
    return best


def count_correct(logits: NDArray[np.integer], labels: NDArray[np.integer], ties: Ties) -> int:
    """Return how many of the predictions for logits [N, classes] are the labels [N].

    Raises
    ------
    ShapeMismatch
        If there is not one label per row.
    """
    if labels.shape != logits.shape[:1]:
        raise ShapeMismatch(f"{labels.size} labels for {len(logits)} samples")
    return int((predict(logits, ties) == labels).sum())
