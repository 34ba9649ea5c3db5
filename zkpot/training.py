"""Small classifiers on scikit-learn's bundled real data, exported to ONNX (extra ``[train]``)."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from circuits.errors import InputError

DatasetName = Literal["digits", "breast_cancer"]
HIDDEN = 16
HELD_OUT: dict[DatasetName, int] = {"digits": 300, "breast_cancer": 171}
"""Samples that are never trained on: the private test set."""

_EPOCHS = 300
_LEARNING_RATE = 1e-2
_WEIGHT_DECAY = 1e-4


@dataclass(frozen=True)
class Trained:
    """A trained model and its data, as files.

    Attributes
    ----------
    model : Path
        ONNX file with a named batch dimension.
    train, test : Path
        .npz files with float64 `x` [N, features] and int64 `y` [N].
    description : str
        The network, for people.
    """

    model: Path
    train: Path
    test: Path
    description: str


def train_classifier(
    name: DatasetName,
    folder: Path,
    *,
    seed: int = 0,
    epochs: int = _EPOCHS,
    file_name: str = "model.onnx",
) -> Trained:
    """Train a two-layer network and export it.

    Parameters
    ----------
    name : {"digits", "breast_cancer"}
        1,797 handwritten digits of 8 x 8 pixels, or 569 tumours of 30 measurements, which are
        standardised with the training patients' mean and deviation.
    folder : Path
        Where the three files go.
    seed : int
        Seed of split and training.
    epochs : int
        Full-batch steps.
    file_name : str
        Name of the ONNX file.

    Raises
    ------
    InputError
        If torch or scikit-learn is not installed.
    """
    try:
        import torch
        from sklearn import datasets
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed: this needs the extra, pip install 'zkpot[train]'"
        ) from None
    loaded: Any = getattr(datasets, f"load_{name}")()
    split = train_test_split(
        loaded.data, loaded.target, test_size=HELD_OUT[name], random_state=0, stratify=loaded.target
    )
    x, held_out, y, held_labels = (np.asarray(part) for part in split)
    if name == "breast_cancer":
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        x, held_out = (x - mean) / deviation, (held_out - mean) / deviation
    classes = int(y.max()) + 1
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, classes)
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    inputs, targets = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    for _ in range(epochs):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimiser.step()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name
    _export(torch, model, inputs[:1], path)
    return Trained(
        path,
        _save(folder / "train.npz", x, y),
        _save(folder / "test.npz", held_out, held_labels),
        f"{x.shape[1]}-{HIDDEN}-{classes} network",
    )


def _export(torch: Any, model: Any, sample: Any, path: Path) -> None:
    # The older exporter needs no further package, and writes one file.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            (sample,),
            str(path),
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
            dynamo=False,
        )


def _save(path: Path, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Path:
    np.savez_compressed(path, x=x.astype(np.float64), y=y.astype(np.int64))
    return path
