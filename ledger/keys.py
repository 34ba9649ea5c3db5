"""Ed25519 keys: on disk, for signing, and the check of the public keys of others."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from circuits.encoding import is_hex, read_bytes, write_atomic
from ledger.errors import BadKey

_FIELD = 2**255 - 19
_PEM_LIMIT = 4096

# The y coordinates of the eight points whose order divides 8: the neutral one, one of order 2,
# two of order 4 and, at this y and its negative, four of order 8.
_ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD - 1, _ORDER_8_Y, _FIELD - _ORDER_8_Y})


def check_public_key(public: str) -> None:
    """Refuse a public key under which a signature proves nothing.

    Parameters
    ----------
    public : str
        32 bytes of lowercase hex.

    Raises
    ------
    BadKey
        If it is malformed, not canonical or of small order.
    """
    if not is_hex(public, 32):
        raise BadKey(f"public key {public!r} is not 32 bytes of lowercase hex")
    y = int.from_bytes(bytes.fromhex(public), "little") & (2**255 - 1)
    # Two encodings of one key would be two identities with one secret.
    if y >= _FIELD:
        raise BadKey(f"public key {public} is not canonically encoded")
    # Under a key of small order, fixed signatures verify for (nearly) every message, without
    # any secret; the library's verification accepts them. Both signs of x are covered.
    if y in _SMALL_ORDER_Y:
        raise BadKey(f"public key {public} is a point of small order")


def verify_signature(public: str, signature: bytes, message: bytes) -> bool:
    """Tell whether `signature` is that of `public` over `message`; weak keys sign nothing."""
    check_public_key(public)
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, message)
    except InvalidSignature:
        return False
    return True


class Signer:
    """A private Ed25519 key.

    Attributes
    ----------
    public : str
        The public key, 32 bytes of lowercase hex: how the ledger calls its owner.
    """

    scheme = "ed25519"

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"Signer({self.public})"

    @classmethod
    def generate(cls) -> Signer:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return self._key.sign(message)

    def save(self, path: Path, passphrase: bytes | None) -> None:
        """Write the key as PKCS8 PEM, readable by its owner only.

        Parameters
        ----------
        path : pathlib.Path
            Where to; a file that is there already is not replaced, since it may be the only copy
            of another key.
        passphrase : bytes or None
            Encrypts the file; None, which must be said, leaves it unencrypted.
        """
        if path.exists():
            raise BadKey(f"{path} exists and is not overwritten", path=str(path))
        protection: KeySerializationEncryption = (
            NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        )
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)
        write_atomic(path, pem, secret=True)

    @classmethod
    def load(cls, path: Path, passphrase: bytes | None = None) -> Signer:
        """Read a key written by `save`.

        Raises
        ------
        MissingArtefact
            If there is no such file.
        BadKey
            If it is not an Ed25519 key, or the passphrase is wrong, missing or not needed.
        """
        pem = read_bytes(path, "key", _PEM_LIMIT)
        try:
            key = load_pem_private_key(pem, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadKey(f"key {path} cannot be read: {error}", path=str(path)) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey(f"key {path} is not an Ed25519 key", path=str(path))
        return cls(key)
