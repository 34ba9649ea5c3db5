"""Keys of EVM accounts as identities: EIP-191 signatures by secp256k1, recovered to an address.

Recovery is `py_ecc`'s, in plain Python: some 5 ms, fifty times what an Ed25519 signature costs.
"""

from __future__ import annotations

from Crypto.Hash import keccak
from py_ecc.secp256k1 import N, ecdsa_raw_recover, ecdsa_raw_sign, privtopub

from circuits.encoding import is_hex
from ledger.errors import BadKey

_PADDING = "00" * 12

# secp256k1 is y^2 = x^3 + 7 over this field; its order N is a little smaller.
_FIELD = 2**256 - 2**32 - 977


def keccak256(data: bytes) -> bytes:
    """Return Keccak-256 as the EVM has it, which is not SHA3-256."""
    return bytes(keccak.new(digest_bits=256, data=data).digest())


def identity_of(address: str) -> str:
    """Return the identity of an address of 20 bytes of hex: 12 zero bytes before it."""
    return _PADDING + address


def address_of(identity: str) -> str:
    """Return the address of an identity of that form.

    Raises
    ------
    BadKey
        If it is not of that form, or the zero address, for which nobody has a key.
    """
    if not is_hex(identity, 32) or not identity.startswith(_PADDING) or int(identity, 16) == 0:
        raise BadKey(f"{identity!r} is not 12 zero bytes and an address")
    return identity[len(_PADDING) :]


def verify(identity: str, signature: bytes, message: bytes) -> bool:
    """Tell whether the account of `identity` signed the 32 bytes `message` under EIP-191.

    Of the two signatures that differ only in the sign of s, the one with the lower s is taken.
    """
    expected = address_of(identity)
    if len(signature) != 65 or len(message) != 32:
        return False
    r, s, v = (
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
        signature[64],
    )
    if not (0 < r < N and 0 < s <= N // 2 and v in (27, 28)):
        return False
    # Not every r is the x of a point; py_ecc does not say so.
    if pow(r**3 + 7, (_FIELD - 1) // 2, _FIELD) != 1:
        return False
    point = ecdsa_raw_recover(_personal(message), (v, r, s))
    if not point:
        return False
    return _address(point) == expected


class EvmSigner:
    """A private key of an EVM account, held in memory.

    Attributes
    ----------
    public : str
        The identity of the account.
    """

    scheme = "evm"

    def __init__(self, secret: bytes) -> None:
        if len(secret) != 32 or not 0 < int.from_bytes(secret, "big") < N:
            raise BadKey("a secp256k1 key is a number of 32 bytes below the order of the curve")
        self._secret = secret
        self.public = identity_of(_address(privtopub(secret)))

    def __repr__(self) -> str:
        return f"EvmSigner({self.public})"

    def sign(self, message: bytes) -> bytes:
        """Return the 65 bytes r, s, v over the 32 bytes `message` under EIP-191."""
        v, r, s = map(int, ecdsa_raw_sign(_personal(message), self._secret))
        if s > N // 2:
            v, s = 55 - v, N - s
        return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([v])


def _personal(message: bytes) -> bytes:
    return keccak256(b"\x19Ethereum Signed Message:\n32" + message)


def _address(point: tuple[int, int]) -> str:
    x, y = point
    data = int(x).to_bytes(32, "big") + int(y).to_bytes(32, "big")
    return keccak256(data)[12:].hex()
