"""What quantisation costs: the float model, run by onnxruntime, beside the integer network."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from circuits.encoding import read_bytes
from circuits.errors import ModelFormatError, ShapeMismatch, TooManyFlips
from circuits.integer import Ties, count_correct, predict, quantise_input, run
from circuits.network import Architecture
from circuits.weights import Weights

FLIP_LIMIT = Fraction(5, 1000)
"""Above this share of flipped predictions a proof would speak of another network."""

_BATCH = 512
_DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}


@dataclass(frozen=True)
class Comparison:
    """Right predictions of both networks on the same samples, and how many differ."""

    samples: int
    float_correct: int
    integer_correct: int
    flips: int

    @property
    def float_accuracy(self) -> float:
        """Share of samples that the float model gets right."""
        return self.float_correct / self.samples

    @property
    def integer_accuracy(self) -> float:
        """Share of samples that the integer network gets right: what will be proven."""
        return self.integer_correct / self.samples


def compare(
    model: Path,
    architecture: Architecture,
    weights: Weights,
    x: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    ties: Ties = "first",
    limit: Fraction | float = FLIP_LIMIT,
) -> Comparison:
    """Compare the ONNX file with the integer network made from it.

    Parameters
    ----------
    model : Path
        The ONNX file.
    architecture, weights
        The integer network.
    x : float array [N, *input_shape]
        Features, N > 0.
    labels : integer array [N]
        True classes.
    ties : {"first", "strict"}
        The backend's tie rule; under ``strict`` a tie of the integer network is a flip.
    limit : Fraction or float
        Largest share of samples whose prediction may differ.

    Raises
    ------
    TooManyFlips
        If more predictions differ; carries all numbers.
    ShapeMismatch, NotFinite, ModelFormatError
        If the inputs do not fit together.
    """
    if not len(x) or labels.shape != (len(x),):
        raise ShapeMismatch(f"{labels.size} labels for {len(x)} samples")
    integer_logits = run(architecture, weights, quantise_input(architecture, x))
    float_best = run_onnx(model, x).argmax(axis=1)
    found = Comparison(
        samples=len(x),
        float_correct=int((float_best == labels).sum()),
        integer_correct=count_correct(integer_logits, labels, ties),
        flips=int((predict(integer_logits, ties) != float_best).sum()),
    )
    if found.flips > limit * found.samples:
        raise TooManyFlips(
            f"quantisation changed {found.flips} of {found.samples} predictions, over the limit of "
            f"{float(limit):.2%} (right: {found.float_correct} in float, {found.integer_correct} "
            "in integers): use more bits or better calibration data",
            samples=found.samples,
            flips=found.flips,
            float_correct=found.float_correct,
            integer_correct=found.integer_correct,
        )
    return found


def run_onnx(model: Path, x: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the output [N, classes] of an ONNX file for features [N, ...], by onnxruntime.

    Raises
    ------
    ModelFormatError
        If onnxruntime cannot run it.
    """
    data = read_bytes(model, "model")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        given = session.get_inputs()[0]
        fixed = given.shape[0] if isinstance(given.shape[0], int) else None
        size = fixed or _BATCH
        values = x.astype(_DTYPES[given.type])
        outputs = []
        for start in range(0, len(values), size):
            batch = values[start : start + size]
            # A static batch takes no fewer samples: fill it up and drop what is too much.
            missing = size - len(batch) if fixed else 0
            filled = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)])
            outputs.append(session.run(None, {given.name: filled})[0][: len(batch)])
    except Exception as error:  # onnxruntime raises classes of its compiled module
        line = " ".join(str(error).split())[:300]
        raise ModelFormatError(f"onnxruntime cannot run {model}: {line}") from None
    return np.concatenate(outputs)
