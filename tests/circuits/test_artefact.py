"""The frame of our JSON files: exact kind, version, fields and types."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits import artefact
from circuits.encoding import canonical_json
from circuits.errors import CorruptedArtefact, MissingArtefact, WrongVersion

TYPES: dict[str, type] = {"name": str, "count": int, "flag": bool, "parts": list, "more": dict}
FIELDS: dict[str, Any] = {"name": "a", "count": 3, "flag": True, "parts": [1], "more": {"x": None}}

fields = st.fixed_dictionaries(
    {
        "name": st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
        "count": st.integers(-(2**53) + 1, 2**53 - 1),
        "flag": st.booleans(),
        "parts": st.lists(st.integers(0, 9), max_size=3),
        "more": st.dictionaries(st.sampled_from("xyz"), st.none() | st.booleans(), max_size=3),
    }
)


@given(fields)
def test_round_trip(value: dict[str, Any]) -> None:
    data = artefact.encode("thing", 3, value)
    assert artefact.decode(data, "thing", 3, TYPES) == value
    assert artefact.encode("thing", 3, dict(reversed(value.items()))) == data


def test_file_round_trip(tmp_path: Path) -> None:
    for secret, mode in ((False, 0o644), (True, 0o600)):
        path = tmp_path / str(secret) / "f"
        artefact.save(path, "thing", 1, FIELDS, secret=secret)
        assert artefact.load(path, "thing", 1, TYPES) == FIELDS
        assert stat.S_IMODE(path.stat().st_mode) == mode


def decode(**change: Any) -> dict[str, Any]:
    value = {"magic": "zkpot-thing", "version": 1, **FIELDS, **change}
    data = canonical_json({name: item for name, item in value.items() if item is not ...})
    return artefact.decode(data, "thing", 1, TYPES)


def test_the_unchanged_one_is_read() -> None:
    assert decode() == FIELDS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"magic": "zkpot-other"}, "zkpot-other"),
        ({"magic": ...}, "something else"),
        ({"magic": None}, "something else"),
        ({"magic": ["zkpot-thing"]}, "no thing file"),
        ({"extra": 1}, "'extra' is missing or unknown"),
        ({"name": ...}, "'name' is missing or unknown"),
        ({"name": None}, "'name' is not str"),
        ({"count": True}, "'count' is not int"),
        ({"count": "3"}, "'count' is not int"),
        ({"flag": 1}, "'flag' is not bool"),
        ({"parts": {}}, "'parts' is not list"),
        ({"more": []}, "'more' is not dict"),
    ],
)
def test_wrong_fields_are_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(CorruptedArtefact, match=says) as caught:
        decode(**change)
    assert caught.value.details["artefact"] == "thing"


@pytest.mark.parametrize("version", [0, 2, -1, "1", None, ..., [1]])
def test_other_version_is_named(version: Any) -> None:
    with pytest.raises(WrongVersion, match="this tool reads 1"):
        decode(version=version)


def test_version_that_only_equals_one_is_refused() -> None:
    with pytest.raises((CorruptedArtefact, WrongVersion)):
        decode(version=True)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"5", b'"zkpot-thing"', b"{}"])
def test_other_json_is_named(data: bytes) -> None:
    with pytest.raises(CorruptedArtefact):
        artefact.decode(data, "thing", 1, TYPES)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MissingArtefact, match="thing file"):
        artefact.load(tmp_path / "absent", "thing", 1, TYPES)
    path = tmp_path / "f"
    artefact.save(path, "thing", 1, FIELDS)
    size = path.stat().st_size
    assert artefact.load(path, "thing", 1, TYPES, limit=size) == FIELDS
    with pytest.raises(CorruptedArtefact, match="larger than"):
        artefact.load(path, "thing", 1, TYPES, limit=size - 1)
