import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.sumcheck import transcript as module
from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.field_k import K
from circuits.sumcheck.transcript import Transcript


def u64(number):
    return number.to_bytes(8, "little")


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


class Plain:
    """Section 1 of the protocol, word for word."""

    def __init__(self):
        self.state = sha(b"zkpot/sumcheck/1")

    def absorb(self, label, data):
        self.state = sha(
            b"absorb", self.state, u64(len(label)), label.encode(), u64(len(data)), data
        )

    def words(self, label, count):
        seed = sha(b"squeeze", self.state, u64(len(label)), label.encode())
        self.state = sha(b"ratchet", seed)
        stream = b"".join(sha(seed, u64(i)) for i in range(count // 4 + 1))
        return [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(count)]


labels = st.sampled_from(["round", "claims", "positions", "x", ""])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("absorb"), labels, st.binary(max_size=100)),
        st.tuples(st.just("draw"), labels, st.integers(0, 9)),
    ),
    max_size=8,
)


@given(steps)
def test_agrees_with_the_plain_one(steps):
    ours, plain = Transcript(), Plain()
    for kind, label, content in steps:
        if kind == "absorb":
            ours.absorb(label, content)
            plain.absorb(label, content)
        else:
            # A word of p or more comes once in 2^32.
            words = plain.words(label, 2 * content)
            expected = [K(*words[i : i + 2]) for i in range(0, len(words), 2)]
            assert ours.draw(label, content) == expected
    in_order = dict.fromkeys(word % 512 for word in plain.words("positions", 100))
    assert ours.positions(512, 20).tolist() == sorted(list(in_order)[:20])


def test_known_answer():
    transcript = Transcript()
    transcript.absorb("public", b"{}")
    transcript.absorb("root", bytes(32))
    assert transcript.draw("lookups", 1) == [K(6090543841346249025, 2928592040641449083)]
    assert transcript.positions(4096, 5).tolist() == [2, 599, 2399, 2982, 3887]


def test_arrays_and_elements_are_the_same_draw():
    array = Transcript().draw_array("rows", 5)
    assert array.dtype == np.uint64
    assert [K(*pair) for pair in array.tolist()] == Transcript().draw("rows", 5)


def test_words_of_the_modulus_and_more_are_no_elements(monkeypatch):
    words = [MODULUS, 1, 2**64 - 1, MODULUS - 1, MODULUS + 1, 0, 3]
    monkeypatch.setattr(module, "_words", lambda seed: iter(words))
    assert Transcript().draw("x", 2) == [K(1, MODULUS - 1), K(0, 3)]


def test_positions_come_from_all_words_and_once_each(monkeypatch):
    words = [2**64 - 1, 7, 15, MODULUS, 7, 3]
    monkeypatch.setattr(module, "_words", lambda seed: iter(words))
    assert Transcript().positions(8, 3).tolist() == [1, 3, 7]


def test_all_positions_can_be_drawn():
    assert Transcript().positions(64, 64).tolist() == list(range(64))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("a", b"b")], [("ab", b"")]),
        ([("a", b"bc")], [("a", b"b"), ("", b"c")]),
        ([("a", b"b")], [("a", b"b"), ("", b"")]),
        ([("a", b"b"), ("c", b"d")], [("c", b"d"), ("a", b"b")]),
    ],
)
def test_different_conversations_give_different_challenges(one, other):
    found = []
    for messages in (one, other):
        transcript = Transcript()
        for label, data in messages:
            transcript.absorb(label, data)
        found.append(transcript.draw("round", 1))
    assert found[0] != found[1]


def test_challenges_differ_by_label_and_turn():
    transcript = Transcript()
    drawn = [Transcript().draw("a", 1), Transcript().draw("b", 1)]
    drawn += [transcript.draw("c", 1), transcript.draw("c", 1)]
    assert len({element for (element,) in drawn}) == 4
