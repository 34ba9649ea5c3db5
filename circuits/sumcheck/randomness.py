"""Secret randomness: row coefficients, salts, pads and masks."""

from __future__ import annotations

import hashlib
import secrets

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from circuits.sumcheck.field import P
from circuits.sumcheck.field_arrays import is_canonical
from circuits.sumcheck.field_jit import U64Array

SEED_BYTES = 32

_COUNTER = bytes(16)  # may start at zero: a key is used for one stream only
_ZEROS = bytes(1 << 20)


class Randomness:
    """A stream of uniform field elements and bytes: the keystream of AES-256 in counter mode.

    Parameters
    ----------
    seed : bytes, optional
        32 bytes, for a commitment that its owner must be able to make again. Without one, the
        stream is a fresh one of the operating system's generator: a proof must never have the
        randomness of another.
    label : str, optional
        What the stream is for. Streams of one seed and different labels are independent.
    """

    def __init__(self, seed: bytes | None = None, label: str = "") -> None:
        seed = secrets.token_bytes(SEED_BYTES) if seed is None else seed
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
        # The seed has a fixed length, so what follows it cannot be taken for a part of it.
        key = hashlib.sha256(b"zkpot/sumcheck/randomness" + seed + label.encode()).digest()
        self._stream = Cipher(algorithms.AES(key), modes.CTR(_COUNTER)).encryptor()

    def elements(self, *shape: int) -> U64Array:
        """Return the next uniform elements of F, an array of the given shape."""
        count = int(np.prod(shape))
        words = self._words(count)
        # Modulo p, small elements would come up twice; so words of p and more are replaced. It is
        # one word in 2^32.
        while not is_canonical(words):
            kept = words[words < P]
            words = np.concatenate([kept, self._words(count - len(kept))])
        return words.reshape(shape)

    def _words(self, count: int) -> U64Array:
        return self.octets(8 * count).view("<u8")

    def octets(self, count: int) -> NDArray[np.uint8]:
        """Return the next `count` bytes, as an array."""
        out = np.empty(count, np.uint8)
        for start in range(0, count, len(_ZEROS)):
            size = min(len(_ZEROS), count - start)
            self._stream.update_into(_ZEROS[:size], out[start : start + size].data)
        return out
