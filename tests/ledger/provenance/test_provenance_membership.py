"""Membership proofs: every item has one, no other item does, and they tell of no other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from circuits.datasets import load_dataset
from circuits.encoding import canonical_json
from circuits.errors import (
    CorruptedArtefact,
    DataFormatError,
    InputError,
    ProofRejected,
    WrongVersion,
    ZkpotError,
)
from ledger.provenance import (
    MembershipProof,
    TrainingSecret,
    commit_training,
    open_source,
    prove_membership,
    verify_file,
    verify_row,
)
from ledger.provenance.commit import leaves, salted
from tests.ledger.provenance.provenance_world import KEY, cancer_npz, digits_csv, images

OTHER = "5c" * 32
MNIST = Path(os.environ.get("ZKPOT_MNIST_DIR", Path(__file__).parents[4] / "shared/data/mnist"))


def committed(path: Path) -> TrainingSecret:
    return commit_training(open_source(path), KEY)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 33])
def test_every_row_of_every_size(tmp_path: Path, rows: int) -> None:
    path = digits_csv(tmp_path, rows)
    source, secret = open_source(path), committed(path)
    for index in range(rows):
        proof = prove_membership(source, secret, index=index)
        assert MembershipProof.decode(proof.encode()) == proof
        verify_row(secret.commitment.root, proof, source, index)
        for other in {0, rows - 1, (index + 1) % rows} - {index}:
            with pytest.raises(ProofRejected, match=f"not row {index}"):
                verify_row(secret.commitment.root, proof, source, other)


def test_a_row_that_somebody_else_has(tmp_path: Path) -> None:
    path = cancer_npz(tmp_path)
    secret = committed(path)
    proof = prove_membership(open_source(path), secret, index=400)
    with np.load(path) as arrays:
        x, y = arrays["x"][400:401], arrays["y"][400:401]
    mine = tmp_path / "mine.npz"
    np.savez(mine, x=x, y=y)
    verify_row(secret.commitment.root, proof, open_source(mine))
    for changed in ({"x": x, "y": 1 - y}, {"x": np.nextafter(x, 0), "y": y}):
        np.savez(mine, **changed)
        with pytest.raises(ProofRejected, match="not row 400"):
            verify_row(secret.commitment.root, proof, open_source(mine))
    for changed in ({"x": x.astype("f4"), "y": y}, {"x": x}, {"x": x, "z": y}):
        np.savez(mine, **changed)
        with pytest.raises(ProofRejected, match="other columns"):
            verify_row(secret.commitment.root, proof, open_source(mine))
    np.savez(mine, x=x, y=y)
    with pytest.raises(InputError, match="no row 7"):
        verify_row(secret.commitment.root, proof, open_source(mine), 7)


@pytest.mark.shared
@pytest.mark.skipif(not MNIST.is_dir(), reason=f"{MNIST} is absent: set ZKPOT_MNIST_DIR")
def test_ten_thousand_digits(tmp_path: Path) -> None:
    digits = load_dataset(MNIST)
    images, labels = digits.x, digits.y
    path = tmp_path / "mnist.npz"
    np.savez(path, x=np.rint(images * 255).astype(np.uint8), y=labels)
    source, secret = open_source(path), committed(path)
    assert secret.commitment.count == len(labels)
    for index in (0, 4711, len(labels) - 1):
        proof = prove_membership(source, secret, index=index)
        mine = tmp_path / "mine.npz"
        np.savez(mine, x=np.rint(images[index : index + 1] * 255).astype(np.uint8),
                 y=labels[index : index + 1])  # fmt: skip
        verify_row(secret.commitment.root, proof, open_source(mine))
    folder = committed(MNIST)
    name = sorted(p.name for p in MNIST.iterdir())[0]
    of_file = prove_membership(open_source(MNIST), folder, name=name)
    verify_file(folder.commitment.root, of_file, MNIST / name)


def test_every_file(tmp_path: Path) -> None:
    root = images(tmp_path)
    source, secret = open_source(root), committed(root)
    for index, leaf in enumerate(leaves(source, KEY)):
        proof = prove_membership(source, secret, name=leaf.name)
        assert proof == prove_membership(source, secret, index=index)
        verify_file(secret.commitment.root, proof, root / leaf.name)


def test_a_file_of_the_same_content_elsewhere(tmp_path: Path) -> None:
    root = images(tmp_path)
    (root / "copy.bin").write_bytes((root / "0" / "0.bin").read_bytes())
    secret = committed(root)
    proof = prove_membership(open_source(root), secret, name="copy.bin")
    # Where the checker keeps its file does not matter, and it may be reached by a link.
    (tmp_path / "link").symlink_to(root / "0" / "0.bin")
    verify_file(secret.commitment.root, proof, tmp_path / "link")
    with pytest.raises(ProofRejected):
        verify_file(secret.commitment.root, replace(proof, name="0/0.bin"), root / "0" / "0.bin")


class TestMutations:
    """No byte of a proof can be another."""

    @pytest.fixture(params=["rows", "files"])
    def honest(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[bytes, Any]:
        path = digits_csv(tmp_path, 21) if request.param == "rows" else images(tmp_path, 21)
        secret = committed(path)
        proof = prove_membership(open_source(path), secret, index=13)
        assert len(proof.hashes) == 5

        def check(data: bytes) -> None:
            claimed, root = MembershipProof.decode(data), secret.commitment.root
            if request.param == "rows":
                verify_row(root, claimed, open_source(path), 13)
            else:
                verify_file(root, claimed, path / proof.name)

        check(proof.encode())
        return proof.encode(), check

    @staticmethod
    def mutations(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in fields.items():
            yield name, None
            if isinstance(value, str):
                yield name, value + "0"
                yield name, value[:-1]
                yield name, value.upper() if value.upper() != value else "x"
                yield name, ("1" if value[:1] == "0" else "0") + value[1:]
            elif isinstance(value, int):
                yield from (
                    (name, other) for other in (value - 1, value + 1, -1, 0, 2**53 - 1, True)
                )
            else:
                for at in range(len(value)):
                    yield name, [*value[:at], OTHER, *value[at + 1 :]]
                    yield name, [*value[:at], *value[at + 1 :]]
                yield name, [*value, OTHER]
                yield name, value[::-1]
                yield name, [1] * len(value)
        yield "unit", "files" if fields["unit"] == "rows" else "rows"
        yield "name", "" if fields["name"] else "0/0.bin"

    def test_of_every_field(self, honest: tuple[bytes, Callable[[bytes], None]]) -> None:
        data, check = honest
        fields = json.loads(data)
        for name, value in self.mutations(fields):
            changed = fields | {name: value}
            if changed == fields and type(value) is type(fields[name]):
                continue
            with pytest.raises((CorruptedArtefact, WrongVersion, ProofRejected)):
                check(canonical_json(changed))
                pytest.fail(f"accepted with {name} = {value!r}")

    def test_consistent_lies_about_the_data(
        self, honest: tuple[bytes, Callable[[bytes], None]]
    ) -> None:
        """The header is bound by the root, so the same tree is not that of more or fewer leaves."""
        data, check = honest
        proof = MembershipProof.decode(data)
        for change in ({"count": 22}, {"count": 20}, {"columns": OTHER}, {"tree": OTHER}):
            other = replace(proof, commitment=replace(proof.commitment, **change))
            with pytest.raises(ProofRejected, match="not " + proof.commitment.root):
                check(other.encode())

    def test_of_the_encoding(self, honest: tuple[bytes, Callable[[bytes], None]]) -> None:
        data, check = honest
        for changed in (data + b"\n", b" " + data, data.replace(b":", b": ", 1), data[:-1], b"",
                        b"[]", b"\xff" + data, b"[" * 100_000):  # fmt: skip
            with pytest.raises(CorruptedArtefact):
                check(changed)


def test_the_root_is_the_checkers(tmp_path: Path) -> None:
    path = digits_csv(tmp_path)
    proof = prove_membership(open_source(path), committed(path), index=3)
    for root in (OTHER, "", proof.commitment.tree):
        with pytest.raises(ProofRejected, match="is about the data"):
            verify_row(root, proof, open_source(path), 3)


def test_rows_and_files_are_not_confused(tmp_path: Path) -> None:
    table, root = digits_csv(tmp_path), images(tmp_path)
    of_row = prove_membership(open_source(table), committed(table), index=0)
    of_file = prove_membership(open_source(root), committed(root), index=0)
    with pytest.raises(ProofRejected, match="about a row"):
        verify_file(of_row.commitment.root, of_row, root / of_file.name)
    with pytest.raises(ProofRejected, match="about a file"):
        verify_row(of_file.commitment.root, of_file, open_source(table))
    with pytest.raises(ProofRejected, match="no table"):
        verify_row(of_row.commitment.root, of_row, open_source(root))


class TestOtherItemsStayHidden:
    """Whoever holds all that is public, and proofs of other rows, cannot test a guess."""

    def test_against_a_full_dictionary(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.csv"
        path.write_text("smokes\n" + "".join(f"{i % 2}\n" for i in range(16)))
        source, secret = open_source(path), committed(path)
        every = list(leaves(source, KEY))
        dictionary = {leaf.content for leaf in every}
        assert len(dictionary) == 2
        shown = {i: prove_membership(source, secret, index=i) for i in range(16) if i != 6}
        target = every[6].hash
        # The hash of the hidden leaf is public: it is in the proof of its neighbour.
        assert target.hex() in shown[7].hashes
        salts = [bytes.fromhex(proof.salt) for proof in shown.values()]
        known = [*salts, bytes(32), *(bytes.fromhex(p.commitment.root) for p in shown.values())]
        # Nor does treating a shown salt as the secret give another one.
        for key in known:
            salts += [leaf.salt for leaf in leaves(source, key)]
        guesses = {salted(salt, content) for salt in (*salts, *known) for content in dictionary}
        assert target not in guesses
        # The attack is a real one: with the leaf's own salt it finds the answer.
        assert target in {salted(every[6].salt, content) for content in dictionary}

    def test_a_proof_names_no_other_file(self, tmp_path: Path) -> None:
        root = images(tmp_path)
        source, secret = open_source(root), committed(root)
        data = prove_membership(source, secret, index=5).encode()
        others = [leaf for i, leaf in enumerate(leaves(source, KEY)) if i != 5]
        for leaf in others:
            assert leaf.name.encode() not in data
            assert leaf.salt.hex().encode() not in data
            assert leaf.content.hex().encode() not in data
        assert KEY.hex().encode() not in data


class TestProving:
    @pytest.mark.parametrize(
        "change",
        [lambda rows: [*rows[:50], rows[50].replace("0", "1", 1), *rows[51:]],
         lambda rows: [*rows, rows[-1]], lambda rows: rows[:-1], lambda rows: rows[:3],
         lambda rows: [rows[0], rows[2], rows[1], *rows[3:]]],
    )  # fmt: skip
    def test_data_that_changed(self, tmp_path: Path, change: Callable[[Any], Any]) -> None:
        path = digits_csv(tmp_path)
        secret = committed(path)
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
        with pytest.raises(DataFormatError, match="something has changed"):
            prove_membership(open_source(path), secret, index=4)

    def test_other_columns_or_another_secret(self, tmp_path: Path) -> None:
        path = digits_csv(tmp_path)
        secret = committed(path)
        with pytest.raises(DataFormatError, match="something has changed"):
            prove_membership(open_source(path), replace(secret, key=bytes(32)), index=4)
        path.write_text(path.read_text().replace("label", "digit"))
        with pytest.raises(DataFormatError, match="other columns"):
            prove_membership(open_source(path), secret, index=4)

    @pytest.mark.parametrize(
        ("chosen", "words"),
        [({}, "by one of them"), ({"index": 1, "name": "0/0.bin"}, "by one of them"),
         ({"index": 30}, "no item 30"), ({"index": -1}, "no item -1"),
         ({"name": "0/1.bin"}, "no file '0/1.bin'"), ({"name": ""}, "no file")],
    )  # fmt: skip
    def test_items_that_are_not_there(
        self, tmp_path: Path, chosen: dict[str, Any], words: str
    ) -> None:
        root = images(tmp_path)
        with pytest.raises(InputError, match=words):
            prove_membership(open_source(root), committed(root), **chosen)

    def test_a_row_has_no_path(self, tmp_path: Path) -> None:
        path = digits_csv(tmp_path)
        with pytest.raises(InputError, match="a row has no path"):
            prove_membership(open_source(path), committed(path), name="0")

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        root = images(tmp_path)
        proof = prove_membership(open_source(root), committed(root), index=0)
        with pytest.raises(DataFormatError, match="cannot be read"):
            verify_file(proof.commitment.root, proof, tmp_path / "absent")
        with pytest.raises(ZkpotError):
            verify_file(proof.commitment.root, proof, root)
