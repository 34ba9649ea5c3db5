"""Commitments to training data: what they bind, what they hide, what they refuse."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import stat
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from circuits.encoding import canonical_json
from circuits.errors import (
    CorruptedArtefact,
    DataFormatError,
    InputError,
    MissingArtefact,
    WrongVersion,
    ZkpotError,
)
from circuits.merkle import root as merkle_root
from ledger.provenance import TrainingCommitment, TrainingSecret, commit_training, open_source
from ledger.provenance.commit import leaves
from tests.ledger.provenance.provenance_world import KEY, cancer_npz, digits_csv, images


def commit(path: Path, key: bytes | None = KEY) -> TrainingCommitment:
    return commit_training(open_source(path), key).commitment


def table(folder: Path, text: str, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def tagged(label: str, data: bytes) -> bytes:
    tag = b"zkpot/" + label.encode()
    return hashlib.sha256(len(tag).to_bytes(2, "big") + tag + data).digest()


class TestAgainstTheDescription:
    """The root, computed once more from the words of docs/provenance.md."""

    def by_hand(self, unit: str, columns: list[object], contents: list[bytes]) -> str:
        hashes = []
        for index, content in enumerate(contents):
            salt = hmac.new(
                KEY, b"zkpot/training-salt\0" + index.to_bytes(8, "big") + content, "sha256"
            ).digest()
            leaf = b"\0zkpot/training-leaf\0" + salt + content
            hashes.append(hashlib.sha256(leaf).digest())
        header = {
            "version": 1, "unit": unit, "count": len(contents), "tree": merkle_root(hashes).hex(),
            "columns": tagged("training-columns", canonical_json(columns)).hex(),
        }  # fmt: skip
        return tagged("training-data", canonical_json(header)).hex()

    def test_csv(self, tmp_path: Path) -> None:
        path = digits_csv(tmp_path)
        header, *rows = (line.split(",") for line in path.read_text().splitlines())
        columns = [[name, "text", []] for name in header]
        schema = tagged("training-columns", canonical_json(columns))
        contents = [tagged("training-row", schema + canonical_json(row)) for row in rows]
        assert commit(path).root == self.by_hand("rows", columns, contents)

    def test_npz(self, tmp_path: Path) -> None:
        path = cancer_npz(tmp_path)
        with np.load(path) as arrays:
            x, y = arrays["x"], arrays["y"]
        columns = [["x", "<f8", [30]], ["y", "<i8", []]]
        schema = tagged("training-columns", canonical_json(columns))
        contents = [
            tagged("training-row", schema + a.tobytes() + b.tobytes())
            for a, b in zip(x, y, strict=True)
        ]
        assert commit(path).root == self.by_hand("rows", columns, contents)

    def test_files(self, tmp_path: Path) -> None:
        root = images(tmp_path)
        contents = []
        for path in sorted(root.rglob("*.bin"), key=lambda p: os.fsencode(p.relative_to(root))):
            data = path.read_bytes()
            fields = {"path": path.relative_to(root).as_posix(), "bytes": len(data),
                      "sha256": hashlib.sha256(data).hexdigest()}  # fmt: skip
            contents.append(tagged("training-file", canonical_json(fields)))
        assert commit(root).root == self.by_hand("files", [], contents)


class TestBinding:
    def test_same_data_and_secret_give_the_same_root(self, tmp_path: Path) -> None:
        path = digits_csv(tmp_path)
        assert commit(path) == commit(path)
        assert commit(path).root != commit(path, bytes(32)).root
        assert commit(path, None).root != commit(path, None).root

    @given(
        rows=st.lists(
            st.lists(st.text(max_size=3), min_size=2, max_size=2), min_size=1, max_size=5
        ),
        data=st.data(),
    )
    def test_every_cell_counts(self, rows: list[list[str]], data: st.DataObject) -> None:
        changed = [list(row) for row in rows]
        at = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, 1))
        changed[at[0]][at[1]] = data.draw(st.text(max_size=3))
        assume(changed != rows)
        with tempfile.TemporaryDirectory() as folder:
            assert self.root(Path(folder), rows) != self.root(Path(folder), changed)

    def root(self, folder: Path, rows: list[list[str]]) -> str:
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
        return commit(table(folder, "\r\n".join(["a,b", *quoted, ""]))).root

    @pytest.mark.parametrize(
        "other",
        ["a,b\n3,4\n1,2\n", "a,c\n1,2\n3,4\n", "b,a\n2,1\n4,3\n", "a,b\n1,2\n3,4\n3,4\n",
         "a,b\n1,2\n", "a,b\n1.0,2\n3,4\n", "a,b\n1, 2\n3,4\n", "a\n1\n2\n"],
    )  # fmt: skip
    def test_order_names_and_number_count(self, tmp_path: Path, other: str) -> None:
        first = commit(table(tmp_path, "a,b\n1,2\n3,4\n"))
        assert commit(table(tmp_path, other)).root != first.root

    @pytest.mark.parametrize(
        "same", ["a,b\r\n1,2\r\n3,4\r\n", '"a","b"\n"1","2"\n3,4', "\ufeffa,b\n1,2\n\n3,4\n"]
    )
    def test_spelling_of_a_csv_does_not(self, tmp_path: Path, same: str) -> None:
        first = commit(table(tmp_path, "a,b\n1,2\n3,4\n"))
        assert commit(table(tmp_path, same)) == first

    def test_spelling_of_an_npz_does_not(self, tmp_path: Path) -> None:
        path = cancer_npz(tmp_path)
        with np.load(path) as arrays:
            x, y = arrays["x"], arrays["y"]
        other = tmp_path / "other.npz"
        np.savez(other, y=y.astype(">i8"), x=np.asfortranarray(x).astype(">f8"))
        assert commit(other) == commit(path)
        np.savez(other, y=y, x=x.astype("f4"))
        assert commit(other).root != commit(path).root
        np.savez(other, y=y, x=x.reshape(len(x), 5, 6))
        assert commit(other).root != commit(path).root

    def test_arrays_are_read_in_pieces(self, tmp_path: Path) -> None:
        x = np.random.default_rng(0).integers(0, 256, (3000, 1000)).astype(np.uint8)
        path = tmp_path / "large.npz"
        np.savez(path, x=x)
        schema = tagged("training-columns", canonical_json([["x", "|u1", [1000]]]))
        found = [leaf.content for leaf in leaves(open_source(path), KEY)]
        assert found == [tagged("training-row", schema + row.tobytes()) for row in x]

    def test_a_renamed_moved_or_changed_file(self, tmp_path: Path) -> None:
        root = images(tmp_path)
        first = commit(root).root
        (root / "0" / "0.bin").rename(root / "0" / "00.bin")
        second = commit(root).root
        (root / "0" / "00.bin").rename(root / "1" / "0.bin")
        third = commit(root).root
        (root / "1" / "0.bin").rename(root / "0" / "0.bin")
        assert commit(root).root == first
        (root / "0" / "0.bin").write_bytes(bytes(64))
        assert len({first, second, third, commit(root).root}) == 4

    def test_the_order_is_that_of_the_paths(self, tmp_path: Path) -> None:
        root = tmp_path / "tree"
        names = ["a/x", "a-b", "a.b/y", "a0", "ä", "Z", ".hidden", "a/é/z"]
        for name in reversed(names):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(name.encode())
        (root / "empty" / "deeper").mkdir(parents=True)
        found = [leaf.name for leaf in leaves(open_source(root), KEY)]
        assert found == sorted(names, key=str.encode)

    def test_deep_folders(self, tmp_path: Path) -> None:
        below = tmp_path.joinpath(*["d"] * 300)
        below.mkdir(parents=True)
        (below / "leaf").write_bytes(b"")
        assert commit(tmp_path).count == 1


class TestHiding:
    def test_equal_rows_have_other_leaves(self, tmp_path: Path) -> None:
        path = table(tmp_path, "a\n1\n1\n1\n")
        found = list(leaves(open_source(path), KEY))
        assert len({leaf.content for leaf in found}) == 1
        assert len({leaf.hash for leaf in found}) == len({leaf.salt for leaf in found}) == 3

    def test_a_secret_used_again_for_other_data_opens_neither(self, tmp_path: Path) -> None:
        first = list(leaves(open_source(table(tmp_path, "a\n1\n2\n")), KEY))
        second = list(leaves(open_source(table(tmp_path, "a\n1\n3\n")), KEY))
        assert first[0] == second[0]
        assert first[1].salt != second[1].salt


class TestMemory:
    @contextmanager
    def within(self, limit: int) -> Iterator[None]:
        tracemalloc.start()
        try:
            yield
            assert tracemalloc.get_traced_memory()[1] < limit
        finally:
            tracemalloc.stop()

    def test_a_large_file(self, tmp_path: Path) -> None:
        with (tmp_path / "large").open("wb") as stream:
            stream.truncate(1 << 26)
        with self.within(1 << 22):
            commit(tmp_path)

    def test_a_large_array(self, tmp_path: Path) -> None:
        path = tmp_path / "large.npz"
        np.savez_compressed(path, x=np.zeros((64, 1 << 19), np.uint8))
        with self.within(1 << 24):
            commit(path)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Take away what lets root read every file."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class TestWhatIsRefused:
    def refused(self, path: Path, words: str, kind: type[ZkpotError] = DataFormatError) -> None:
        with pytest.raises(kind, match=words) as caught:
            commit(path)
        assert type(caught.value) is kind

    @pytest.mark.parametrize("target", ["../images/0/0.bin", "../images/0", "nowhere", "."])
    def test_symbolic_links(self, tmp_path: Path, target: str) -> None:
        root = images(tmp_path)
        (root / "1" / "link").symlink_to(target)
        self.refused(root, "'1/link' .* symbolic link")

    def test_pipes(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        self.refused(tmp_path, "'pipe' .* is no file")

    def test_what_cannot_be_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            root.chmod(0o755)
            (root / "open").write_bytes(b"1")
            (root / "shut").mkdir()
            (root / "shut" / "in").write_bytes(b"2")
            (root / "shut" / "in").chmod(0)
            with unprivileged():
                self.refused(root, "'shut/in' .* Permission denied")
            (root / "shut").chmod(0)
            with unprivileged():
                self.refused(root, "'shut/' .* Permission denied")
            (root / "shut").chmod(0o755)

    def test_names_that_are_not_text(self, tmp_path: Path) -> None:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_bytes(b"")
        self.refused(tmp_path, "not UTF-8")

    def test_nothing(self, tmp_path: Path) -> None:
        self.refused(tmp_path / "absent", "does not exist", MissingArtefact)
        (tmp_path / "empty").mkdir()
        self.refused(tmp_path / "empty", "no files")
        self.refused(table(tmp_path, "a,b\n"), "no rows")
        self.refused(table(tmp_path, ""), "0 columns")

    def test_other_files(self, tmp_path: Path) -> None:
        self.refused(table(tmp_path, "a\n1\n", "table.txt"), "no training data")

    @pytest.mark.parametrize(
        ("text", "words"),
        [("a,a\n1,2\n", "two columns named 'a'"), ("a,b\n1\n", "row 0 .* 1 fields"),
         ("a,b\n1,2\n1,2,3\n", "row 1 .* 3 fields"), ('a\n"1\n', "CSV"), ('a\n"1"2\n', "CSV"),
         ("x" * 1001 + "\n1\n", "more than 1000"), ("a\n" + "x" * (1 << 24) + "\n", "16777216")],
    )  # fmt: skip
    def test_csv(self, tmp_path: Path, text: str, words: str) -> None:
        self.refused(table(tmp_path, text), words)

    def test_csv_of_another_encoding(self, tmp_path: Path) -> None:
        (tmp_path / "latin.csv").write_bytes(b"a\n\xe9\n")
        self.refused(tmp_path / "latin.csv", "CSV")

    @pytest.mark.parametrize(
        ("arrays", "words"),
        [({"x": np.zeros(3), "y": np.zeros(4)}, "differ in their number of rows"),
         ({"x": np.array([{}, 1], dtype=object)}, "not numbers"),
         ({"x": np.zeros(2, "datetime64[s]")}, "not numbers"),
         ({"x": np.float64(3)}, "has no rows"), ({"x": np.zeros((3, 0))}, "has no rows"),
         ({"x": np.zeros((0, 3))}, "no rows to commit"), ({}, "0 columns")],
    )  # fmt: skip
    def test_npz(self, tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
        np.savez(tmp_path / "odd.npz", **arrays)
        self.refused(tmp_path / "odd.npz", words)

    @pytest.mark.parametrize(
        ("change", "words"),
        [(lambda data: data[:-1], "ends within"), (lambda data: data + b"\0", "bytes follow"),
         (lambda data: b"no header", "magic"), (lambda data: data[:20], "npz")],
    )  # fmt: skip
    def test_damaged_npz(
        self, tmp_path: Path, change: Callable[[bytes], bytes], words: str
    ) -> None:
        np.save(tmp_path / "x.npy", np.zeros((3, 2)))
        with zipfile.ZipFile(tmp_path / "bad.npz", "w") as archive:
            archive.writestr("x.npy", change((tmp_path / "x.npy").read_bytes()))
        self.refused(tmp_path / "bad.npz", words)

    def test_npz_with_a_flipped_bit(self, tmp_path: Path) -> None:
        path = cancer_npz(tmp_path)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        self.refused(path, "npz|ends within")

    def test_npz_packed_by_another_method(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((3, 2)))
        with zipfile.ZipFile(tmp_path / "odd.npz", "w", zipfile.ZIP_LZMA) as archive:
            archive.write(tmp_path / "x.npy", "x.npy")
        self.refused(tmp_path / "odd.npz", "odd way")

    @pytest.mark.parametrize(
        ("shape", "fortran", "words"),
        [((1, 2**29), False, "a row of array 'x'"), ((2**28, 8), True, "Fortran order"),
         ((3, -1), False, "has no rows")],
    )  # fmt: skip
    def test_npz_that_promises_too_much(
        self, tmp_path: Path, shape: tuple[int, ...], fortran: bool, words: str
    ) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": fortran, "shape": shape}
        )
        with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
            archive.writestr("x.npy", header.getvalue())
        self.refused(tmp_path / "huge.npz", words)

    @pytest.mark.parametrize(("version", "good"), [((2, 0), True), ((3, 0), False)])
    def test_versions_of_npy(self, tmp_path: Path, version: tuple[int, int], good: bool) -> None:
        array = io.BytesIO()
        np.lib.format.write_array(array, np.arange(3), version=version)
        with zipfile.ZipFile(tmp_path / "v.npz", "w") as archive:
            archive.writestr("x.npy", array.getvalue())
        if good:
            np.savez(tmp_path / "w.npz", x=np.arange(3))
            assert commit(tmp_path / "v.npz") == commit(tmp_path / "w.npz")
        else:
            self.refused(tmp_path / "v.npz", "version")

    def test_no_zip(self, tmp_path: Path) -> None:
        self.refused(table(tmp_path, "a\n1\n", "table.npz"), "npz")

    def test_another_unit(self, tmp_path: Path) -> None:
        for path, unit in ((digits_csv(tmp_path), "files"), (images(tmp_path), "rows")):
            with pytest.raises(InputError, match=f"not its {unit}"):
                open_source(path, unit)


class TestSecret:
    def test_file(self, tmp_path: Path) -> None:
        secret = commit_training(open_source(digits_csv(tmp_path)))
        secret.save(tmp_path / "secret")
        assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
        assert TrainingSecret.load(tmp_path / "secret") == secret
        assert secret.key.hex() not in repr(secret)

    @pytest.mark.parametrize(
        ("change", "kind"),
        [({"key": "00"}, CorruptedArtefact), ({"key": "A" * 64}, CorruptedArtefact),
         ({"unit": "bytes"}, CorruptedArtefact), ({"count": 0}, CorruptedArtefact),
         ({"count": True}, CorruptedArtefact), ({"tree": ""}, CorruptedArtefact),
         ({"columns": "0"}, CorruptedArtefact), ({"more": 1}, CorruptedArtefact),
         ({"magic": "zkpot-model"}, CorruptedArtefact), ({"version": 2}, WrongVersion)],
    )  # fmt: skip
    def test_damaged_file(
        self, tmp_path: Path, change: dict[str, object], kind: type[ZkpotError]
    ) -> None:
        path = tmp_path / "secret"
        commit_training(open_source(digits_csv(tmp_path))).save(path)
        path.write_bytes(canonical_json(json.loads(path.read_bytes()) | change))
        with pytest.raises(kind):
            TrainingSecret.load(path)

    def test_a_short_key(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptedArtefact):
            commit(digits_csv(tmp_path), b"short")
