"""One value, one encoding; one file, whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits import encoding
from circuits.encoding import (
    canonical_json,
    digest,
    file_digest,
    is_hex,
    json_digest,
    parse_canonical,
    read_bytes,
    write_atomic,
)
from circuits.errors import CorruptedArtefact, MissingArtefact

SAFE = 2**53 - 1
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_round_trip(value: Any) -> None:
    data = canonical_json(value)
    assert parse_canonical(data, "thing") == value
    assert canonical_json(parse_canonical(data, "thing")) == data


@given(st.dictionaries(texts, st.integers(-9, 9), min_size=2, max_size=6))
def test_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


@given(values)
def test_any_other_encoding_is_refused(value: Any) -> None:
    data = canonical_json(value)
    others = {
        data + b" ", b" " + data, data + b"\n", b"\xef\xbb\xbf" + data,
        json.dumps(value, indent=1).encode(), data.decode().encode("utf-16-le"),
    }  # fmt: skip
    for other in others - {data}:
        with pytest.raises(CorruptedArtefact):
            parse_canonical(other, "thing")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"nul", b"{", b'{"a":1', b"[1,]", b"'a'", b"1 2", b"\xff", b'"\xc3"',
        b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"a": 1}', b"[1, 2]",
        b"1.0", b"1e3", b"-0", b"01", b"+1", b"NaN", b"Infinity", b"[1.5]", b'{"a":[0.0]}',
        b'"\\u0041"', b'"\\/"', b'"\\ud800"', b'"\\u00e9"', b'"\\u000a"', b'"a\nb"',
        b"9007199254740992", b"-9007199254740992", b"1" * 5000,
    ],
)  # fmt: skip
def test_bytes_that_are_no_canonical_json(data: bytes) -> None:
    with pytest.raises(CorruptedArtefact, match="thing") as caught:
        parse_canonical(data, "thing")
    assert caught.value.details["artefact"] == "thing"


@pytest.mark.parametrize("value", [1.0, [0.5], {"a": {"b": [float("nan")]}}, (1, 2.0)])
def test_floats_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="floats"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), {1: 2}, 2**53, "\ud800"])
def test_what_json_lacks_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical_json(value)


@pytest.mark.parametrize(
    "library",
    ["json", "py_ecc"],
)
def test_deep_nesting_is_an_error_and_no_crash(library: str) -> None:
    """In a process of its own: py_ecc lifts the interpreter's guard of the C stack."""
    depth = 200_000
    code = (
        f"import {library}\n"
        "from circuits.encoding import parse_canonical\n"
        "from circuits.errors import CorruptedArtefact\n"
        f"for data in (b'[' * {depth}, b'[' * {depth} + b']' * {depth}, b'{{\"a\":' * {depth}):\n"
        "    try:\n"
        "        parse_canonical(data, 'thing')\n"
        "    except CorruptedArtefact:\n"
        "        continue\n"
        "    raise SystemExit('accepted')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "payload",
    [
        # Every quote is escaped: a search for strings must not begin anew at each.
        "b'\"' + b'\\\\\"' * 1_000_000",
        # The second byte of this letter looks like a quote, and hides the brackets after it.
        "('[\"\\u2201\",' + '[' * 200_000 + '\"').encode('utf-16')",
        "('[\"\\u0122\",' + '[' * 200_000 + '\"').encode('utf-16')",
    ],
)
def test_depth_is_found_in_one_pass_and_in_any_encoding(payload: str) -> None:
    code = (
        "import py_ecc\n"
        "from circuits.encoding import parse_canonical\n"
        "from circuits.errors import CorruptedArtefact\n"
        f"data = {payload}\n"
        "try:\n"
        "    parse_canonical(data, 'thing')\n"
        "except CorruptedArtefact:\n"
        "    raise SystemExit(0)\n"
        "raise SystemExit('accepted')\n"
    )
    # The limit is for what would take hours.
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert done.returncode == 0


# --- digests


def test_digest_is_stable() -> None:
    assert digest("statement", b"abc") == DIGEST
    assert json_digest("context", {"b": 1, "a": [2]}) == digest("context", b'{"a":[2],"b":1}')


DIGEST = "15685ae4aad685ecbccc0fe0d6cd4b5cf17e5370c07ceaf3ba0caaeef1d2e859"


@given(texts, texts, st.binary(max_size=8), st.binary(max_size=8))
def test_label_and_data_are_told_apart(one: str, two: str, first: bytes, second: bytes) -> None:
    assert (digest(one, first) == digest(two, second)) == ((one, first) == (two, second))


def test_label_does_not_run_into_the_data() -> None:
    assert digest("ab", b"c") != digest("a", b"bc") != digest("", b"abc")


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("ab" * 32, True), ("00" * 32, True), ("AB" * 32, False), ("ab" * 31, False),
        ("ab" * 33, False), ("ag" * 32, False), (" " + "a" * 63, False), ("\u0660" * 64, False),
        ("ab" * 31 + "a\n", False), (None, False), (5, False), (b"ab" * 32, False), ("", False),
    ],
)  # fmt: skip
def test_hex_is_exact(text: object, good: bool) -> None:
    assert is_hex(text, 32) is good


# --- files


def test_file_digest_is_plain_sha256(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert file_digest(tmp_path / "f") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_reading_names_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_bytes(path, "thing", 5) == b"12345"
    assert read_bytes(path, "thing") == b"12345"
    with pytest.raises(CorruptedArtefact, match=r"thing .*larger than 4 bytes"):
        read_bytes(path, "thing", 4)
    for wrong in (tmp_path / "absent", tmp_path, path / "below"):
        with pytest.raises(MissingArtefact, match="thing") as caught:
            read_bytes(wrong, "thing", 1 << 20)
        assert caught.value.details["path"] == str(wrong)


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(MissingArtefact, match="may not be read"):
        read_bytes(tmp_path, "thing")


@pytest.mark.parametrize(("secret", "mode"), [(False, 0o644), (True, 0o600)])
def test_modes(tmp_path: Path, secret: bool, mode: int) -> None:
    path = tmp_path / "a" / "b" / "f"
    for data in (b"one", b"two"):
        write_atomic(path, data, secret=secret)
        assert path.read_bytes() == data
        assert stat.S_IMODE(path.stat().st_mode) == mode
        path.chmod(0o666)  # what was there before says nothing of what comes
    assert [p.name for p in path.parent.iterdir()] == ["f"]


def test_secret_is_never_readable_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even before the rename: the temporary file is private from its first byte."""
    seen = []
    real = os.fchmod

    def watch(handle: int, mode: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        real(handle, mode)

    old = os.umask(0)
    try:
        monkeypatch.setattr(encoding.os, "fchmod", watch)
        write_atomic(tmp_path / "f", b"secret", secret=True)
    finally:
        os.umask(old)
    assert seen == [0o600]


class Disk(OSError):
    """The disk is full."""


def fail(*args: Any, **kwargs: Any) -> None:
    raise Disk


@pytest.mark.parametrize("step", ["fsync", "replace", "fchmod"])
@pytest.mark.parametrize("old", [b"old", None])
def test_failed_write_leaves_the_old_file(
    tmp_path: Path, step: str, old: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    if old is not None:
        path.write_bytes(old)
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(Disk):
        write_atomic(path, b"new")
    assert (path.read_bytes() if path.exists() else None) == old
    assert [p.name for p in tmp_path.iterdir()] == (["f"] if old else [])


def test_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "f"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new", secret=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_content_is_on_disk_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, rename, folder: in any other order a power cut can leave an empty file."""
    steps = []
    fsync, replace = os.fsync, os.replace

    def watch_fsync(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def watch_replace(source: Any, target: Any) -> None:
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watch_fsync)
    monkeypatch.setattr(os, "replace", watch_replace)
    write_atomic(tmp_path / "f", b"new")
    assert steps == ["file", "rename", "folder"]
