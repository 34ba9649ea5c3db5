"""Signatures over what is said on a ledger, whatever kind of key made them."""

from __future__ import annotations

import hashlib
from typing import Protocol

from circuits.encoding import is_hex
from ledger import evm_keys
from ledger.errors import BadKey
from ledger.keys import check_public_key, verify_signature


class Signs(Protocol):
    """A private key: `ledger.keys.Signer`, `ledger.evm_keys.EvmSigner`, or one in a device."""

    @property
    def scheme(self) -> str:
        """Kind of the key: ``ed25519`` or ``evm``."""

    @property
    def public(self) -> str:
        """The public key, 32 bytes of lowercase hex."""

    def sign(self, message: bytes, /) -> bytes:
        """Return the signature over a message."""


def check_key(scheme: str, key: str) -> None:
    """Refuse a key that cannot sign, or whose signatures prove nothing.

    Raises
    ------
    BadKey
        If it is one, or the scheme is unknown.
    """
    if scheme == "ed25519":
        check_public_key(key)
    elif scheme in ("evm", "chain"):
        evm_keys.address_of(key)
    else:
        raise BadKey(f"no such kind of key: {scheme!r}")


def check_identity(identity: str) -> None:
    """Refuse an identity that nobody can have: its first key would be one of no use.

    Raises
    ------
    BadKey
        As `check_key`, for the kind of key that its form shows.
    """
    check_key("evm" if identity.startswith("00" * 12) else "ed25519", identity)


def sign(signer: Signs, domain: bytes, message: bytes) -> str:
    """Return the signature over `message` under a domain, in hex."""
    return signer.sign(_signed(signer.scheme, domain, message)).hex()


def verify(scheme: str, key: str, signature: str, domain: bytes, message: bytes) -> bool:
    """Tell whether `signature` is that of `key` over `message` under `domain`.

    Raises
    ------
    BadKey
        If the key is one under which signatures prove nothing.
    """
    signed = _signed(scheme, domain, message)
    if scheme == "ed25519" and is_hex(signature, 64):
        return verify_signature(key, bytes.fromhex(signature), signed)
    if scheme == "evm" and is_hex(signature, 65):
        return evm_keys.verify(key, bytes.fromhex(signature), signed)
    return False


def _signed(scheme: str, domain: bytes, message: bytes) -> bytes:
    # The signature of an EVM account is over 32 bytes.
    return domain + message if scheme == "ed25519" else hashlib.sha256(domain + message).digest()
