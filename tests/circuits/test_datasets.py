"""Test sets from every source, and every way in which one is refused."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from circuits import _dataset_files
from circuits.datasets import MAX_CLASSES, Dataset, load_dataset
from circuits.errors import (
    DataFormatError,
    LabelOutOfRange,
    MissingArtefact,
    NotFinite,
    ShapeMismatch,
)

X = np.array([[0.5, 1.0], [2.0, -3.25], [0.0, 7.0]])
Y = np.array([0, 2, 1])
MNIST = Path(os.environ.get("ZKPOT_MNIST_DIR", Path(__file__).parents[3] / "shared/data/mnist"))


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def csv(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def idx(shape: tuple[int, ...], data: bytes, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


def mnist_folder(folder: Path, name: str = "t10k-", fill: int = 0) -> Path:
    pixels = bytes([0, 255, 51, 102, *([fill] * 4)])
    (folder / f"{name}images-idx3-ubyte").write_bytes(idx((2, 2, 2), pixels))
    (folder / f"{name}labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx((2,), bytes([1, 0]))))
    return folder


# --- what a test set must satisfy


def test_a_good_set_is_kept_as_it_is() -> None:
    dataset = Dataset.of(X, Y, [5, 5, 6])
    assert (dataset.samples, dataset.shape, dataset.classes) == (3, (2,), 3)
    assert dataset.x.dtype == np.float64
    assert dataset.y.dtype == np.int64
    np.testing.assert_array_equal(dataset.x, X)
    np.testing.assert_array_equal(dataset.y, Y)
    assert dataset.group is not None
    assert dataset.group.tolist() == [5, 5, 6]


def test_a_set_is_a_read_only_copy() -> None:
    x = X.copy()
    dataset = Dataset.of(x, Y)
    x[0, 0] = 99
    assert dataset.x[0, 0] == 0.5
    with pytest.raises(ValueError, match="read-only"):
        dataset.x[0, 0] = 1


def test_repr_shows_sizes_and_no_data() -> None:
    assert repr(Dataset.of(X, Y)) == "Dataset(samples=3, shape=(2,), classes=3)"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_names_row_and_feature(bad: float) -> None:
    x = np.zeros((3, 2, 2))
    x[1, 0, 1] = bad
    with pytest.raises(NotFinite, match=r"feature \[0, 1\] of row 1") as caught:
        Dataset.of(x, Y)
    assert caught.value.details == {"row": 1, "feature": [0, 1]}


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_label_out_of_range_names_row_and_value(label: int) -> None:
    with pytest.raises(LabelOutOfRange, match="row 1") as caught:
        Dataset.of(X, [0, label, 2], classes=3)
    assert caught.value.details == {"row": 1, "value": label}


def test_labels_out_of_range_without_a_number_of_classes() -> None:
    with pytest.raises(LabelOutOfRange):
        Dataset.of(X, [0, -1, 1])
    with pytest.raises(LabelOutOfRange):
        Dataset.of(X, [0, MAX_CLASSES, 1])


@pytest.mark.parametrize("labels", [[0, 0.5, 1], [0, np.nan, 1], [0, np.inf, 1], [0, 1e300, 1]])
def test_labels_that_are_not_whole_are_refused(labels: list[float]) -> None:
    with pytest.raises(DataFormatError, match="label of row 1") as caught:
        Dataset.of(X, labels)
    assert caught.value.details == {"row": 1}


def test_whole_labels_of_other_types_are_taken() -> None:
    assert Dataset.of(X, [0.0, 2.0, 1.0]).y.tolist() == [0, 2, 1]
    assert Dataset.of(X, [False, True, True]).classes == 2


@pytest.mark.parametrize(
    ("x", "y", "group"),
    [
        (X, Y[:2], None),
        (X, Y, [1, 2]),
        (X[:, 0], Y, None),
        (X, Y[:, None], None),
        (np.float64(1), Y, None),
    ],
)
def test_sizes_that_do_not_agree_are_a_shape_mismatch(x: object, y: object, group: object) -> None:
    with pytest.raises(ShapeMismatch):
        Dataset.of(x, y, group)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros((0, 2)), np.zeros(0, int)),
        (np.zeros((3, 0)), Y),
        (X.astype(complex), Y),
        (np.array([["a", "b"]] * 3), Y),
        (np.array([[{}, {}]] * 3), Y),
        ([[1.0], [1.0, 2.0]], [0, 1]),
        (X, ["cat", "dog", "cat"]),
    ],
)
def test_what_is_no_data_is_refused(x: object, y: object) -> None:
    with pytest.raises(DataFormatError):
        Dataset.of(x, y)  # type: ignore[arg-type]


@pytest.mark.parametrize("classes", [None, 1])
def test_one_class_is_not_enough(classes: int | None) -> None:
    with pytest.raises(DataFormatError, match="classes"):
        Dataset.of(X, [0, 0, 0], classes=classes)


def test_too_many_classes_are_refused() -> None:
    with pytest.raises(DataFormatError, match="classes"):
        Dataset.of(X, Y, classes=MAX_CLASSES + 1)


def test_classes_may_be_more_than_occur() -> None:
    assert Dataset.of(X, Y, classes=10).classes == 10


def test_too_large_a_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("circuits.datasets.MAX_VALUES", 5)
    with pytest.raises(DataFormatError, match="at most 5"):
        Dataset.of(X, Y)


def test_reshape_keeps_the_order_and_refuses_another_size() -> None:
    dataset = Dataset.of(np.arange(12.0).reshape(3, 4), Y).reshaped((1, 2, 2))
    assert dataset.shape == (1, 2, 2)
    assert dataset.x[1].ravel().tolist() == [4, 5, 6, 7]
    with pytest.raises(ShapeMismatch):
        dataset.reshaped((3,))


# --- .npz


@given(
    x=hnp.arrays(
        st.sampled_from([np.dtype(name) for name in ("<f8", "<f4", "u1", "<i2", ">f8")]),
        st.tuples(st.just(3), st.integers(1, 3), st.integers(1, 3)),
        elements=st.integers(0, 100),
    ),
    fortran=st.booleans(),
)
def test_npz_round_trip(
    tmp_path_factory: pytest.TempPathFactory, x: np.ndarray, fortran: bool
) -> None:
    path = tmp_path_factory.mktemp("npz") / "set.npz"
    npz(path, x=np.asfortranarray(x) if fortran else x, y=Y, group=Y)
    dataset = load_dataset(path)
    np.testing.assert_array_equal(dataset.x, x.astype(np.float64))
    assert dataset.y.tolist() == Y.tolist()
    assert dataset.group is not None


def test_npz_uncompressed(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=X, y=Y)
    assert load_dataset(str(tmp_path / "set.npz")).samples == 3


def test_npz_pickles_are_never_loaded(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}, None, 3], dtype=object)
    with pytest.raises(DataFormatError, match="not numbers"):
        load_dataset(npz(tmp_path / "set.npz", x=X, y=objects))


def test_npz_errors_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="lacks the array 'y'"):
        load_dataset(npz(tmp_path / "a.npz", x=X))
    with pytest.raises(DataFormatError, match="groups"):
        load_dataset(npz(tmp_path / "b.npz", x=X, y=Y, groups=Y))
    (tmp_path / "c.npz").write_bytes(b"PK is not enough")
    with pytest.raises(DataFormatError, match="readable"):
        load_dataset(tmp_path / "c.npz")
    whole = npz(tmp_path / "d.npz", x=X, y=Y).read_bytes()
    (tmp_path / "d.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataFormatError):
        load_dataset(tmp_path / "d.npz")


def raw_npz(path: Path, x: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    y = io.BytesIO()
    np.save(y, Y)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x.npy", x)
        archive.writestr("y.npy", y.getvalue())
    return path


def npy(shape: tuple[int, ...], data: bytes, dtype: str = "<f8") -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return stream.getvalue() + data


def test_npz_header_that_promises_too_much_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="at most"):
        load_dataset(raw_npz(tmp_path / "a.npz", npy((10**12, 2), b"")))


@pytest.mark.parametrize("size", [47, 49])
def test_npz_data_must_fill_its_header(tmp_path: Path, size: int) -> None:
    with pytest.raises(DataFormatError, match="should hold 48 bytes"):
        load_dataset(raw_npz(tmp_path / "a.npz", npy((3, 2), bytes(size))))


def test_npz_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = raw_npz(tmp_path / "bomb.npz", npy((3, 2), bytes(2**26)))
    assert path.stat().st_size < 2**17
    with pytest.raises(DataFormatError, match="holds more"):
        load_dataset(path)


def test_npz_with_another_compression_is_refused(tmp_path: Path) -> None:
    path = raw_npz(tmp_path / "a.npz", npy((3, 2), bytes(48)), zipfile.ZIP_BZIP2)
    with pytest.raises(DataFormatError, match="compressed"):
        load_dataset(path)


def test_npz_with_a_negative_dimension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="negative"):
        load_dataset(raw_npz(tmp_path / "a.npz", npy((-3, -2), bytes(48))))


def npy_with_header(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no magic",
        b"\x93NUMPY\x03\x00" + bytes(20),
        npy_with_header(b"{'descr': '<f8', 'shape': (3, 2"),
        npy_with_header(b"{'descr': '<f8', 'fortran_order': False, 'shape': 3}"),
        npy_with_header(b"-" * 9000 + b"1"),
        npy_with_header(b"[" * 150 + b"]" * 150),
        npy((1,) * 70, bytes(8)),
    ],
)
def test_npz_member_that_is_no_array_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataFormatError):
        load_dataset(raw_npz(tmp_path / "a.npz", content))


@given(at=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_damaged_npz_never_ends_in_another_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    path = npz(tmp_path_factory.mktemp("npz") / "a.npz", x=X, y=Y)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1 << bit
    path.write_bytes(data)
    with contextlib.suppress(DataFormatError, ShapeMismatch, NotFinite, LabelOutOfRange):
        load_dataset(path)


# --- CSV


@pytest.mark.parametrize("name", ["label", "y", "target"])
def test_csv_finds_its_label_column(tmp_path: Path, name: str) -> None:
    path = csv(tmp_path / "set.csv", f"a,{name},b,group\n0.5,1,2,7\n-1e3,0,3,8\n")
    dataset = load_dataset(path)
    assert dataset.x.tolist() == [[0.5, 2.0], [-1000.0, 3.0]]
    assert dataset.y.tolist() == [1, 0]
    assert dataset.group is not None
    assert dataset.group.tolist() == [7, 8]


def test_csv_label_column_can_be_named(tmp_path: Path) -> None:
    path = csv(tmp_path / "set.csv", "y,ill\n3.5,1\n2,0\n\n")
    dataset = load_dataset(path, label="ill")
    assert (dataset.x.tolist(), dataset.y.tolist()) == ([[3.5], [2.0]], [1, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "label column"),
        ("y,label\n1,2\n", "label column"),
        ("a,a,y\n1,2,0\n", "two columns"),
        ("a,y\n1,0\n2\n", "row 1 .* has 1 fields"),
        ("a,y\n1,0\nx,1\n", "column 'a' in row 1 .* is 'x'"),
        ("a,y\n1,0\n,1\n", "column 'a' in row 1 .* is empty"),
        ("a,y\n1,cat\n", "column 'y' in row 0"),
        ("a,y\n1,0.5\n1,1\n", "label of row 0 is 0.5"),
        ("a,y\n", "hold no value"),
        ("y\n1\n0\n", "hold no value"),
        ("", "label column"),
        ('a,y\n"1,0\n', "readable"),
    ],
)
def test_csv_errors_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        load_dataset(csv(tmp_path / "set.csv", text))


def test_csv_group_is_no_label(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="cannot be the label"):
        load_dataset(csv(tmp_path / "set.csv", "a,group\n1,0\n"), label="group")


def test_csv_not_finite_names_row_and_feature(tmp_path: Path) -> None:
    with pytest.raises(NotFinite, match="feature 1 of row 1"):
        load_dataset(csv(tmp_path / "set.csv", "y,a,b\n0,1,1\n1,1,nan\n"))


def test_csv_that_is_no_text_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,y\n\xff\xfe,1\n")
    with pytest.raises(DataFormatError, match="readable"):
        load_dataset(tmp_path / "a.csv")
    path = csv(tmp_path / "b.csv", "a,y\n1,0\n2,1\n")
    monkeypatch.setattr(_dataset_files, "MAX_VALUES", 3)
    with pytest.raises(DataFormatError, match="more than 3 values"):
        load_dataset(path)
    monkeypatch.setattr(_dataset_files, "MAX_CSV_BYTES", 5)
    with pytest.raises(DataFormatError, match="larger than 5 bytes"):
        load_dataset(path)


def test_label_name_is_for_csv_only(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="CSV"):
        load_dataset(npz(tmp_path / "set.npz", x=X, y=Y), label="y")


# --- IDX


def test_idx_pixels_become_0_to_1(tmp_path: Path) -> None:
    dataset = load_dataset(mnist_folder(tmp_path))
    assert dataset.shape == (1, 2, 2)
    assert dataset.x[0].ravel().tolist() == [0.0, 1.0, 0.2, 0.4]
    assert dataset.y.tolist() == [1, 0]


def test_idx_takes_the_test_pair_and_the_plain_file(tmp_path: Path) -> None:
    mnist_folder(tmp_path, "train-", fill=9)
    mnist_folder(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"not read")
    assert load_dataset(tmp_path).x.max() == 1.0


def test_idx_pairs_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(DataFormatError, match="holds none"):
        load_dataset(tmp_path)
    mnist_folder(tmp_path, "a-test-")
    mnist_folder(tmp_path, "b-test-")
    with pytest.raises(DataFormatError, match="holds 2"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx((2, 2, 2), bytes(7)), "should hold 8 bytes and holds 7"),
        (idx((2, 2, 2), bytes(9)), "holds more"),
        (idx((2**20, 2**10, 2**10), bytes(8)), "at most"),
        (idx((2, 2, 2), bytes(32), kind=0x0D), "does not start"),
        (idx((2, 4), bytes(8)), "does not start"),
        (bytes([0, 0, 8, 3, 0]), "within its header"),
        (b"", "does not start"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_idx_errors_are_named(tmp_path: Path, content: bytes, message: str, packed: bool) -> None:
    mnist_folder(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.unlink()
    if packed:
        path, content = path.with_name(f"{path.name}.gz"), gzip.compress(content)
    path.write_bytes(content)
    with pytest.raises(DataFormatError, match=message):
        load_dataset(tmp_path)


def test_idx_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    mnist_folder(tmp_path)
    bomb = gzip.compress(idx((2,), bytes(2**26)))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(bomb)
    with pytest.raises(DataFormatError, match="holds more"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("content", [b"no gzip at all", gzip.compress(idx((2,), b"ab"))[:-9]])
def test_idx_broken_gzip(tmp_path: Path, content: bytes) -> None:
    mnist_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(DataFormatError, match="readable"):
        load_dataset(tmp_path)


def test_idx_sizes_must_agree(tmp_path: Path) -> None:
    mnist_folder(tmp_path)
    labels = gzip.compress(idx((3,), bytes([0, 1, 1])))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(labels)
    with pytest.raises(ShapeMismatch):
        load_dataset(tmp_path)


@pytest.mark.shared
def test_mnist() -> None:
    if not MNIST.is_dir():
        pytest.skip(f"no MNIST files in {MNIST}; set ZKPOT_MNIST_DIR")
    dataset = load_dataset(MNIST)
    assert (dataset.samples, dataset.shape, dataset.classes) == (10_000, (1, 28, 28), 10)
    assert (dataset.x.min(), dataset.x.max()) == (0.0, 1.0)
    assert dataset.y[:5].tolist() == [7, 2, 1, 0, 4]


# --- entry points and specs

MODULE = """
def pair(): return [[1.0], [2.0]], [0, 1]
def triple(): return [[1.0], [2.0]], [0, 1], [3, 4]
def wrong(): return 5
def broken(): return 1 / 0
def nan(): return [[float("nan")], [2.0]], [0, 1]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "zkpot_entry_example.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "zkpot_entry_example", raising=False)
    return "zkpot_entry_example"


def test_entry_point(module: str) -> None:
    assert load_dataset(f"{module}:pair").group is None
    group = load_dataset(f"{module}:triple").group
    assert group is not None
    assert group.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("function", "message"),
    [("wrong", "should return"), ("broken", "ZeroDivisionError"), ("absent", "AttributeError")],
)
def test_entry_point_errors_are_named(module: str, function: str, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        load_dataset(f"{module}:{function}")


def test_entry_point_result_is_checked(module: str) -> None:
    with pytest.raises(NotFinite):
        load_dataset(f"{module}:nan")


def test_entry_point_of_no_module() -> None:
    with pytest.raises(DataFormatError, match="ModuleNotFoundError"):
        load_dataset("no_such_package_of_ours.module:function")


def test_a_file_of_that_name_wins_over_an_entry_point(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"{module}:pair").write_text("data")
    with pytest.raises(DataFormatError, match="no test set"):
        load_dataset(f"{module}:pair")


def test_specs_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact):
        load_dataset(tmp_path / "absent.npz")
    (tmp_path / "set.pkl").write_bytes(b"\x80\x04.")
    with pytest.raises(DataFormatError, match="no test set"):
        load_dataset(tmp_path / "set.pkl")
