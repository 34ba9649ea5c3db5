"""Accounts of a chain, their keys in encrypted keystore files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.address import is_checksum_address

from circuits.encoding import canonical_json, is_hex, read_bytes, write_atomic
from ledger.errors import BadKey
from ledger.evm_keys import identity_of

_MAX_KEYSTORE = 1 << 16


def identity(address: str) -> str:
    """Return the identity of an address as nodes, libraries and people write it.

    Raises
    ------
    BadKey
        If it is none, the zero address, or in letters of both cases with a wrong checksum
        (EIP-55): somebody mistyped it.
    """
    plain = address.removeprefix("0x").removeprefix("0X")
    if not is_hex(plain.lower(), 20) or int(plain, 16) == 0:
        raise BadKey(f"{address!r} is no address of 20 bytes of hex")
    mixed = plain not in (plain.lower(), plain.upper())
    if mixed and not is_checksum_address("0x" + plain):
        raise BadKey(f"address {address} has a wrong checksum: it is mistyped")
    return identity_of(plain.lower())


class ChainAccount:
    """A private key that sends transactions; never shown, logged or written unencrypted.

    Attributes
    ----------
    address : str
        Checksummed address, with its ``0x``.
    public : str
        Identity on the ledger: 12 zero bytes and the address.
    """

    scheme = "chain"

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self.address: str = str(account.address)
        self.public = identity(self.address)

    def __repr__(self) -> str:
        return f"ChainAccount({self.address})"

    @classmethod
    def generate(cls) -> ChainAccount:
        """Make a new key."""
        return cls(Account.create())

    @classmethod
    def from_secret(cls, secret: bytes) -> ChainAccount:
        """Use a key of 32 bytes; BadKey if it is none."""
        try:
            return cls(Account.from_key(secret))
        except Exception:  # whatever the library says could quote the key
            raise BadKey("the secret is not a key of an EVM account") from None

    def sign_transaction(self, transaction: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return a signed transaction, ready to be sent, and its hash."""
        signed = self._account.sign_transaction(transaction)
        return bytes(signed.raw_transaction), bytes(signed.hash)

    def sign_typed(self, message: dict[str, Any]) -> bytes:
        """Return the 65-byte EIP-712 signature over a full message."""
        return bytes(self._account.sign_message(encode_typed_data(full_message=message)).signature)

    def save(self, path: Path, passphrase: str, *, iterations: int | None = None) -> None:
        """Write an encrypted keystore (Web3 Secret Storage), readable by its owner only.

        Parameters
        ----------
        path : pathlib.Path
            Where to; a file that is there already is not replaced, since it may be the only copy
            of another key.
        passphrase : str
            Encrypts the key; there is no unencrypted form.
        iterations : int, optional
            Cost of the key derivation; the library's default unless a test is in a hurry.

        Raises
        ------
        BadKey
            If there is a file, or the passphrase is empty.
        """
        if path.exists():
            raise BadKey(f"{path} exists and may be the only copy of a key")
        if not passphrase:
            raise BadKey("a keystore needs a passphrase")
        store = self._account.encrypt(passphrase, iterations=iterations)
        write_atomic(path, canonical_json(store), secret=True)

    @classmethod
    def load(cls, path: Path, passphrase: str) -> ChainAccount:
        """Read a keystore, as this class or any Ethereum wallet writes it.

        Raises
        ------
        BadKey
            If the file is no keystore or the passphrase is wrong.
        MissingArtefact
            If there is no file.
        """
        data = read_bytes(path, "keystore", _MAX_KEYSTORE)
        try:
            secret = Account.decrypt(json.loads(data), passphrase)
        except Exception:  # whatever the library says could quote the key
            raise BadKey(f"{path} is no keystore, or the passphrase is another") from None
        return cls.from_secret(bytes(secret))
