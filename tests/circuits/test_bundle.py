"""A proof bundle: one encoding, exact fields, a size limit."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.bundle import MAX_BYTES, Bundle
from circuits.container import MAX_HEADER_BYTES
from circuits.encoding import canonical_json
from circuits.errors import CorruptedArtefact, MissingArtefact, WrongVersion, ZkpotError
from circuits.statement import Statement

STATEMENT = Statement(
    "halo2", "aa" * 32, "bb" * 32, "cc" * 32, samples=9, correct=6, shard_correct=(4, 2),
    context="dd" * 32,
)  # fmt: skip
EXAMPLE = Bundle(
    STATEMENT, {"k": 10, "name": "x"}, {"srs_insecure": True}, (b"\x00\xff", b"\n\x01")
)

objects = st.dictionaries(
    st.sampled_from("abc"), st.integers(-9, 9) | st.none() | st.lists(st.booleans(), max_size=2)
)
bundles = st.builds(
    Bundle,
    st.just(STATEMENT),
    objects,
    objects,
    st.lists(st.binary(max_size=40), max_size=4).map(tuple),
)


@given(bundles)
def test_round_trip(bundle: Bundle) -> None:
    data = bundle.encode()
    found = Bundle.decode(data)
    assert (found, found.encode(), found.digest) == (bundle, data, bundle.digest)


@given(bundles, bundles)
def test_digest_names_one_bundle(one: Bundle, two: Bundle) -> None:
    # Python takes 1 for True; the encodings do not.
    assert (one.digest == two.digest) == (one.encode() == two.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"statement": replace(STATEMENT, samples=10)}, {"circuit": {"k": 11}},
        {"proofs": (b"\x01", b"\x00\xff")}, {"proofs": (b"\x00\xff\x01",)},
        {"details": {}},
    ],
)  # fmt: skip
def test_digest_binds_every_field(change: dict[str, Any]) -> None:
    assert replace(EXAMPLE, **change).digest != EXAMPLE.digest


def tampered(**change: Any) -> bytes:
    header, _, proofs = EXAMPLE.encode().partition(b"\n")
    value = {**json.loads(header), **change}
    text = canonical_json({name: item for name, item in value.items() if item is not ...})
    return text + b"\n" + proofs


PARTS = json.loads(EXAMPLE.encode().partition(b"\n")[0])["parts"]


@pytest.mark.parametrize(
    "change",
    [
        {"magic": "zkpot-model"}, {"magic": ...}, {"extra": 1}, {"version": True},
        {"statement": ...}, {"circuit": ...}, {"parts": ...}, {"details": ...},
        {"statement": []}, {"statement": {}, "version": 1, "magic": "zkpot-bundle2"},
        {"statement": {**STATEMENT.to_dict(), "correct": 7}},
        {"statement": {**STATEMENT.to_dict(), "extra": 7}},
        {"circuit": []}, {"circuit": None}, {"circuit": "x"},
        {"details": []}, {"details": True}, {"details": None},
        {"parts": {}}, {"parts": PARTS[:1]}, {"parts": PARTS[::-1]}, {"parts": [*PARTS, PARTS[0]]},
        {"parts": [PARTS[0], {**PARTS[1], "bytes": 1}]},
        {"parts": [PARTS[0], {**PARTS[1], "bytes": 3}]},
        {"parts": [PARTS[0], {**PARTS[1], "bytes": -2}]},
        {"parts": [PARTS[0], {**PARTS[1], "bytes": "2"}]},
        {"parts": [PARTS[0], {**PARTS[1], "sha256": PARTS[1]["sha256"].upper()}]},
        {"parts": [PARTS[0], {**PARTS[1], "sha256": PARTS[0]["sha256"]}]},
        {"parts": [PARTS[0], {**PARTS[1], "note": 1}]}, {"parts": [PARTS[0], "x"]},
        {"parts": [PARTS[0], {"bytes": 2}]},
    ],
)  # fmt: skip
def test_every_other_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((CorruptedArtefact, WrongVersion)):
        Bundle.decode(tampered(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 1}, {"version": "2"}, {"version": ...},
        {"statement": {**STATEMENT.to_dict(), "version": 2}}, {"statement": {}},
    ],
)  # fmt: skip
def test_other_version_is_named(change: dict[str, Any]) -> None:
    with pytest.raises(WrongVersion):
        Bundle.decode(tampered(**change))


def test_a_header_is_one_line_of_limited_length() -> None:
    for data in (EXAMPLE.encode().partition(b"\n")[0], b" " * (MAX_HEADER_BYTES + 2)):
        with pytest.raises(CorruptedArtefact, match="no header"):
            Bundle.decode(data)


def test_bytes_around_it_are_refused() -> None:
    data = EXAMPLE.encode()
    for other in (data + b"\n", b" " + data, data + b"\0", data[:-1], data * 2, b""):
        with pytest.raises(CorruptedArtefact):
            Bundle.decode(other)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_single_byte_can_change_unnoticed(place: int, flip: int) -> None:
    """Any change is refused, or makes another bundle with another digest."""
    data = bytearray(EXAMPLE.encode())
    data[place % len(data)] ^= flip
    try:
        found = Bundle.decode(bytes(data))
    except ZkpotError:
        return
    assert found.encode() == bytes(data)
    assert found.digest != EXAMPLE.digest


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.write_bytes(EXAMPLE.encode())
    assert Bundle.load(path) == EXAMPLE
    for absent in (tmp_path / "absent", tmp_path):
        with pytest.raises(MissingArtefact, match="bundle"):
            Bundle.load(absent)


def test_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.touch()
    os.truncate(path, MAX_BYTES + 1)  # a hole: nothing is on disk
    with pytest.raises(CorruptedArtefact, match="larger than"):
        Bundle.load(path)
