"""The transcript, against the text of section 1."""

from __future__ import annotations

import struct
from hashlib import sha256
from itertools import islice

import pytest

from verifier.plain import transcript as module
from verifier.plain.field import P
from verifier.plain.transcript import Transcript, encode


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def words(seed: bytes, count: int) -> list[int]:
    stream = b"".join(sha256(seed + u64(i)).digest() for i in range(count // 4 + 1))
    return list(struct.unpack(f"<{count}Q", stream[: 8 * count]))


def test_states_follow_the_specification() -> None:
    transcript = Transcript()
    state = sha256(b"zkpot/sumcheck/1").digest()
    for label, data in ((b"public", b"{}"), (b"root", bytes(32))):
        transcript.absorb(label.decode(), data)
        message = b"absorb" + state + u64(len(label)) + label + u64(len(data)) + data
        state = sha256(message).digest()
    for label in (b"lookups", b"lookups", b"zero"):
        seed = sha256(b"squeeze" + state + u64(len(label)) + label).digest()
        drawn = transcript.draw(label.decode(), 3)
        assert [word for element in drawn for word in element] == words(seed, 6)
        state = sha256(b"ratchet" + seed).digest()


def test_words_that_are_no_elements_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = [1, P, 2, 2**64 - 1, P - 1, 4]
    monkeypatch.setattr(module, "_words", lambda seed: iter(stream))
    assert Transcript().draw("x", 2) == [(1, 2), (P - 1, 4)]


def test_positions_are_distinct_and_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = [9, 1, 17, 2**64 - 1, 7, 3, 5]  # 2^64 - 1 is a position although not an element
    monkeypatch.setattr(module, "_words", lambda seed: iter(stream))
    assert Transcript().positions(3, 8) == [1, 3, 7]


def test_encoding() -> None:
    assert encode([(1, 2), (P - 1, 0)]) == u64(1) + u64(2) + u64(P - 1) + u64(0)
    assert list(islice(module._words(bytes(32)), 5)) == words(bytes(32), 5)
