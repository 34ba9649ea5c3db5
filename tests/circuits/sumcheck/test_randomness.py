import hashlib

import numpy as np
import pytest
from Crypto.Cipher import AES

from circuits.sumcheck.field_jit import MODULUS
from circuits.sumcheck.randomness import Randomness

SEED = bytes(range(32))


def test_stream_is_that_of_another_implementation():
    key = hashlib.sha256(b"zkpot/sumcheck/randomness" + SEED + b"tails").digest()
    # More than one block of the loop, and not a multiple of anything.
    expected = AES.new(key, AES.MODE_CTR, nonce=b"").encrypt(bytes(2_500_003))
    assert Randomness(SEED, "tails").octets(2_500_003).tobytes() == expected


def test_elements_are_the_words_of_the_stream():
    octets = Randomness(SEED).octets(8 * 12)
    found = Randomness(SEED).elements(3, 2, 2)
    assert found.dtype == np.uint64
    assert found.tolist() == octets.view("<u8").reshape(3, 2, 2).tolist()


def test_stream_goes_on():
    randomness = Randomness(SEED)
    parts = [randomness.octets(5), randomness.octets(0), randomness.octets(11)]
    assert np.concatenate(parts).tolist() == Randomness(SEED).octets(16).tolist()


def test_words_of_the_modulus_and_more_are_replaced(monkeypatch):
    words = [MODULUS, 5, 2**64 - 1, MODULUS - 1, MODULUS + 1, 6, 7, 8]
    supply = iter(words)

    def octets(self, count):
        return np.array([next(supply) for _ in range(count // 8)], "<u8").view(np.uint8)

    monkeypatch.setattr(Randomness, "octets", octets)
    assert Randomness(SEED).elements(4).tolist() == [5, MODULUS - 1, 6, 7]


def test_streams_differ_by_seed_and_label():
    streams = [
        Randomness(SEED),
        Randomness(SEED, "a"),
        Randomness(SEED, "b"),
        Randomness(bytes(32)),
    ]
    assert len({stream.octets(32).tobytes() for stream in streams}) == 4


def test_without_a_seed_every_stream_is_new():
    assert Randomness().octets(32).tobytes() != Randomness().octets(32).tobytes()


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_other_seeds_are_refused(seed):
    with pytest.raises(ValueError, match="32 bytes"):
        Randomness(seed)


def test_seed_is_not_shown():
    assert SEED.hex() not in repr(Randomness(SEED))
