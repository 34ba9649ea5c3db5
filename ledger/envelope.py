"""The signed form of an entry: what the log holds, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from circuits.encoding import canonical_json, is_hex, json_digest, parse_canonical
from circuits.errors import ZkpotError
from ledger import signatures
from ledger.checks import is_count, require, require_digests
from ledger.entries import ENTRY_TYPES, Entry
from ledger.errors import BadSignature, MalformedEntry
from ledger.signatures import Signs

ENTRY_VERSION = 2

# The formats in which others read transparency logs give an entry a length of 16 bits.
MAX_ENTRY_BYTES = 65_535

# A text that no signed note and no JSON starts with, so that a signature over an entry can never
# be taken for one over a checkpoint made with the same key, or the other way round.
SIGNATURE_DOMAIN = b"zkpot/ledger-entry\x00"

_SIGNATURE_BYTES = {"ed25519": 64, "evm": 65, "chain": 0}


@dataclass(frozen=True)
class SignedEntry:
    """An entry with its author, place and number.

    Attributes
    ----------
    origin : str
        The ledger it is meant for.
    signer : str
        Identity of its author: the first key that the author registered, 32 bytes of hex. Empty
        for an entry made by the ledger's rules.
    nonce : int
        How many entries the signer has on the ledger already; 0 for the rules.
    body : Entry
        What it says.
    scheme : str
        ``ed25519`` or ``evm``; ``chain`` where a contract vouches for the author; empty for the
        rules.
    key : str
        The key that signed, which the author's identity has at this place of the log. An EVM
        account is 12 zero bytes and its address.
    signature : str
        In hex: 64 bytes for ``ed25519``, 65 for ``evm``, none for ``chain`` and the rules.
    """

    origin: str
    signer: str
    nonce: int
    body: Entry
    scheme: str
    key: str
    signature: str

    def __post_init__(self) -> None:
        require(isinstance(self.origin, str) and self.origin != "", "entry names no ledger")
        require(is_count(self.nonce), "nonce is not a non-negative integer")
        if self.body.by_rule:
            require(
                (self.signer, self.nonce, self.scheme, self.key, self.signature)
                == ("", 0, "", "", ""),
                f"a {self.body.type} entry has no author",
            )
            return
        require_digests(signer=self.signer, key=self.key)
        require(self.scheme in _SIGNATURE_BYTES, f"no such kind of key: {self.scheme!r}")
        size = _SIGNATURE_BYTES[self.scheme]
        require(is_hex(self.signature, size), f"signature is not {size} bytes of lowercase hex")

    @classmethod
    def sign(
        cls, body: Entry, *, origin: str, nonce: int, signer: Signs, identity: str | None = None
    ) -> SignedEntry:
        """Sign an entry.

        Parameters
        ----------
        body : Entry
            What to say.
        origin : str
            Name of the ledger.
        nonce : int
            The signer's next number, see `State.nonce`.
        signer : Signs
            The author's present key.
        identity : str, optional
            The author's identity, where the key is not its first one.
        """
        who = signer.public if identity is None else identity
        message = canonical_json(_payload(origin, who, nonce, body))
        signature = signatures.sign(signer, SIGNATURE_DOMAIN, message)
        return cls(origin, who, nonce, body, signer.scheme, signer.public, signature)

    @classmethod
    def by_rule(cls, body: Entry, origin: str) -> SignedEntry:
        """Wrap an entry that follows from the ledger's rules."""
        return cls(origin, "", 0, body, "", "", "")

    @classmethod
    def by_chain(cls, body: Entry, *, origin: str, nonce: int, account: str) -> SignedEntry:
        """Wrap an entry whose author, the identity `account`, a contract has authenticated."""
        return cls(origin, account, nonce, body, "chain", account, "")

    @property
    def payload(self) -> dict[str, Any]:
        """What is signed: version, ledger, type, author, number and content."""
        return _payload(self.origin, self.signer, self.nonce, self.body)

    @property
    def digest(self) -> str:
        """Digest of the payload: the identifier of what the entry creates, such as a task."""
        return json_digest("entry", self.payload)

    def require_signature(self) -> None:
        """Check the author's signature by the key that the entry names.

        Whether that key is the author's is for the rules to know. An entry that a contract
        vouches for has none to check.

        Raises
        ------
        BadSignature
            If it is not the key's over exactly this payload.
        BadKey
            If the key is one under which signatures prove nothing.
        """
        signatures.check_key(self.scheme, self.key)
        if self.scheme != "chain" and not signatures.verify(
            self.scheme, self.key, self.signature, SIGNATURE_DOMAIN, canonical_json(self.payload)
        ):
            raise BadSignature(f"{self.body.type} entry is not signed by {self.key}")

    def encode(self) -> bytes:
        """Return the canonical bytes, the data of the log's leaf.

        Raises
        ------
        MalformedEntry
            If they are too many.
        """
        data = canonical_json(
            {
                "payload": self.payload,
                "scheme": self.scheme,
                "key": self.key,
                "signature": self.signature,
            }
        )
        require(len(data) <= MAX_ENTRY_BYTES, f"entry has more than {MAX_ENTRY_BYTES} bytes")
        return data

    @classmethod
    def decode(cls, data: bytes) -> SignedEntry:
        """Read an entry back; the signature is not checked here.

        Raises
        ------
        MalformedEntry
            If the bytes are not the canonical encoding of a well-formed entry.
        """
        require(len(data) <= MAX_ENTRY_BYTES, f"entry has more than {MAX_ENTRY_BYTES} bytes")
        try:
            value = parse_canonical(data, "entry")
            payload = value["payload"]
            body = ENTRY_TYPES[payload["type"]].from_dict(payload["body"])
            entry = cls(
                payload["origin"], payload["signer"], payload["nonce"], body,
                value["scheme"], value["key"], value["signature"],
            )  # fmt: skip
            again = entry.encode()
        except MalformedEntry:
            raise
        except ZkpotError as error:
            raise MalformedEntry(error.message) from None
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise MalformedEntry(f"entry is not well-formed: {error!r}") from None
        # Anything that the classes do not know, an unknown field or another version, is lost in
        # the second encoding and therefore refused here.
        require(again == data, "entry has another version, or fields of its own")
        return entry


def _payload(origin: str, signer: str, nonce: int, body: Entry) -> dict[str, Any]:
    return {
        "version": ENTRY_VERSION,
        "origin": origin,
        "type": body.type,
        "signer": signer,
        "nonce": nonce,
        "body": body.to_dict(),
    }
