"""Labelled test sets: what one must satisfy, and where one can come from."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from circuits._dataset_files import MAX_VALUES, Arrays, read_csv, read_idx_folder, read_npz
from circuits.errors import (
    DataFormatError,
    LabelOutOfRange,
    MissingArtefact,
    NotFinite,
    ShapeMismatch,
    ZkpotError,
)

MAX_CLASSES = 2**16

_ENTRY_POINT = re.compile(r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<function>[A-Za-z_]\w*)")


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A checked test set; make one with `Dataset.of` or `load_dataset`.

    Attributes
    ----------
    x : float64 [N, ...]
        Features, finite, read-only; N and every other dimension at least 1.
    y : int64 [N]
        Labels 0 .. classes - 1, read-only.
    group : int64 [N] or None
        A subgroup of each sample, for counts per group.
    classes : int
        Number of classes C, from 2 to `MAX_CLASSES`.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64] | None
    classes: int

    def __repr__(self) -> str:
        """Say the sizes only: a test set is a secret and must not leak through a log."""
        return f"Dataset(samples={self.samples}, shape={self.shape}, classes={self.classes})"

    @property
    def samples(self) -> int:
        """N, the number of samples."""
        return len(self.y)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample's features."""
        return self.x.shape[1:]

    @classmethod
    def of(
        cls,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        group: npt.ArrayLike | None = None,
        *,
        classes: int | None = None,
    ) -> Dataset:
        """Check arrays and copy them into a test set.

        Parameters
        ----------
        x : array_like of numbers [N, ...]
        y : array_like of whole numbers [N]
        group : array_like of whole numbers [N], optional
        classes : int, optional
            Number of classes; by default the largest label plus one. Give it when the last
            classes might not occur in the set.

        Raises
        ------
        DataFormatError
            If there is no sample, no feature or fewer than two classes, or an array does not
            hold numbers, or labels or groups are not whole.
        ShapeMismatch
            If the arrays differ in N or do not have the dimensions above.
        NotFinite
            If a feature is NaN or infinite; names row and feature.
        LabelOutOfRange
            If a label is not one of the classes; names row and value.
        """
        features = _features(x)
        labels = _whole_numbers(y, "label")
        groups = None if group is None else _whole_numbers(group, "group")
        for name, column in (("label", labels), ("group", groups)):
            if column is not None and len(column) != len(features):
                raise ShapeMismatch(f"{len(features)} samples and {len(column)} {name}s")
        count = _classes(labels, classes)
        for kept in (features, labels, groups):
            if kept is not None:
                kept.setflags(write=False)
        return cls(features, labels, groups, count)

    def reshaped(self, shape: tuple[int, ...]) -> Dataset:
        """Return the same samples with features of another shape, as a model may want them.

        Raises
        ------
        ShapeMismatch
            If `shape` does not hold as many features.
        """
        try:
            x = self.x.reshape(self.samples, *shape)
        except ValueError:
            raise ShapeMismatch(
                f"samples have shape {self.shape}, which does not fill {shape}",
                found=list(self.shape),
                expected=list(shape),
            ) from None
        return Dataset(x, self.y, self.group, self.classes)


def load_dataset(
    spec: str | Path, *, label: str | None = None, classes: int | None = None
) -> Dataset:
    """Load a test set.

    Parameters
    ----------
    spec : str or Path
        One of: an ``.npz`` file with the arrays x, y and optionally group; a ``.csv`` file with a
        header, a label column and optionally a column group; a folder with a pair of IDX files,
        whose pixels are divided by 255; ``package.module:function``, which is imported, called
        without arguments and returns (x, y) or (x, y, group). Code runs in this last form only,
        and only when no file has that name.
    label : str, optional
        The label column of a CSV; by default the one named label, y or target.
    classes : int, optional
        As in `Dataset.of`.

    Raises
    ------
    MissingArtefact
        If nothing is found under `spec`.
    DataFormatError, ShapeMismatch, NotFinite, LabelOutOfRange
        As in `Dataset.of`, and if the file is not of a form above or holds too much.
    """
    path = Path(spec)
    entry = None if path.exists() else _ENTRY_POINT.fullmatch(str(spec))
    if label is not None and (entry or path.suffix.lower() != ".csv"):
        raise DataFormatError(f"a label column can be named for a CSV file only, not for {spec}")
    if entry:
        arrays = _call(entry["module"], entry["function"])
    elif path.is_dir():
        arrays = read_idx_folder(path)
    elif not path.exists():
        raise MissingArtefact(f"test set {spec} does not exist", path=str(spec))
    elif path.suffix.lower() == ".npz":
        arrays = read_npz(path)
    elif path.suffix.lower() == ".csv":
        arrays = read_csv(path, label)
    else:
        raise DataFormatError(
            f"{spec} is no test set: give an .npz or .csv file, a folder of IDX files, "
            "or package.module:function"
        )
    return Dataset.of(*arrays, classes=classes)


def _call(module: str, function: str) -> Arrays:
    try:
        result = getattr(importlib.import_module(module), function)()
    except ZkpotError:
        raise
    except Exception as error:
        raise DataFormatError(
            f"{module}:{function} did not load: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(result, tuple) or len(result) not in (2, 3):
        raise DataFormatError(f"{module}:{function} should return (x, y) or (x, y, group)")
    x, y, *rest = result
    return x, y, rest[0] if rest else None


def _array(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    try:
        found = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataFormatError(f"{name}s are not an array: {error}") from None
    if found.dtype.kind not in "biuf":
        raise DataFormatError(f"{name}s have type {found.dtype}, not numbers")
    if found.size > MAX_VALUES:
        raise DataFormatError(f"{found.size} {name}s; at most {MAX_VALUES} are taken")
    return found


def _features(x: npt.ArrayLike) -> npt.NDArray[np.float64]:
    found = _array(x, "feature")
    if found.ndim < 2:
        raise ShapeMismatch(
            f"features have {found.ndim} dimensions; they need one for samples, then at least one"
        )
    if found.size == 0:
        raise DataFormatError(f"features of shape {found.shape} hold no value")
    with np.errstate(over="ignore"):  # a wider float that overflows is caught as infinite below
        features = np.array(found, dtype=np.float64, order="C")
    finite = np.isfinite(features)
    if not finite.all():
        row, *place = (int(i) for i in np.unravel_index(int(finite.argmin()), features.shape))
        raise NotFinite(
            f"feature {place[0] if len(place) == 1 else place} of row {row} is "
            f"{features[(row, *place)]}",
            row=row,
            feature=place,
        )
    return features


def _whole_numbers(values: npt.ArrayLike, name: str) -> npt.NDArray[np.int64]:
    found = _array(values, name)
    if found.ndim != 1:
        raise ShapeMismatch(f"{name}s have {found.ndim} dimensions, not one")
    # 2^53: beyond it a float is always whole, so wholeness says nothing.
    whole = (found == np.rint(found)) if found.dtype.kind == "f" else np.ones(len(found), bool)
    whole &= np.abs(found.astype(np.float64)) <= 2**53
    if not whole.all():
        row = int(whole.argmin())
        raise DataFormatError(
            f"{name} of row {row} is {found[row]}, not a whole number up to 2^53", row=row
        )
    return found.astype(np.int64)


def _classes(labels: npt.NDArray[np.int64], classes: int | None) -> int:
    count = int(labels.max()) + 1 if classes is None else classes
    wrong = (labels < 0) | (labels >= min(count, MAX_CLASSES))
    if wrong.any():
        row = int(wrong.argmax())
        highest = min(count, MAX_CLASSES) - 1
        raise LabelOutOfRange(
            f"label of row {row} is {labels[row]}, not in 0..{highest}",
            row=row,
            value=int(labels[row]),
        )
    if not 2 <= count <= MAX_CLASSES:
        raise DataFormatError(f"{count} classes; a test set has from 2 to {MAX_CLASSES}")
    return count
