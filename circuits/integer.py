"""Running the integer network exactly: what the circuits prove, in numpy."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from circuits.errors import NotFinite, ShapeMismatch, WouldOverflow
from circuits.float_network import flatten_samples
from circuits.forward import batches, forward
from circuits.layers import Layer, Requantise
from circuits.network import Architecture, bounds
from circuits.weights import Weights

Ties: TypeAlias = Literal["strict", "first"]
"""``first``: the first of several equal maxima is the prediction, as numpy and ONNX do.
``strict``: there is no prediction unless one logit is larger than all others."""

NO_PREDICTION = -1

_FLOAT64_EXACT = 1 << 53
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
                "layers, which the sumcheck backend to come has",
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

    def work(layer: Layer) -> type[np.generic]:
        # The bound covers the sum of all absolute products, so any order of summation is exact.
        return np.float64 if limits[layer.name] < _FLOAT64_EXACT else np.int64

    logits = np.zeros((len(flat), architecture.classes), dtype=np.int64)
    for part in batches(architecture.input_shape, architecture.layers, len(flat)):
        values = flat[part].astype(np.int64)
        for name, value in forward(architecture.layers, weights, values, work, average=False):
            if name == architecture.output:
                logits[part] = value
    return logits


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
