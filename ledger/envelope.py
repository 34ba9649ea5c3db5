"""The signed form of an entry: what the log holds, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from circuits.encoding import canonical_json, is_hex, json_digest, parse_canonical
from circuits.errors import ZkpotError
from ledger.entries import ENTRY_TYPES, Entry
from ledger.errors import BadSignature, MalformedEntry
from ledger.keys import Signer, verify_signature
from ledger.policy import is_count, require

ENTRY_VERSION = 1

# The formats in which others read transparency logs give an entry a length of 16 bits.
MAX_ENTRY_BYTES = 65_535

# A text that no signed note and no JSON starts with, so that a signature over an entry can never
# be taken for one over a checkpoint made with the same key, or the other way round.
_SIGNATURE_DOMAIN = b"zkpot/ledger-entry\x00"


@dataclass(frozen=True)
class SignedEntry:
    """An entry with its author, place and number.

    Attributes
    ----------
    origin : str
        The ledger it is meant for.
    signer : str
        Public key of its author, hex; empty for an entry made by the ledger's rules.
    nonce : int
        How many entries the signer has on the ledger already; 0 for the rules.
    body : Entry
        What it says.
    signature : str
        64 bytes of hex; empty for an entry made by the ledger's rules.
    """

    origin: str
    signer: str
    nonce: int
    body: Entry
    signature: str

    def __post_init__(self) -> None:
        require(isinstance(self.origin, str) and self.origin != "", "entry names no ledger")
        require(is_count(self.nonce), "nonce is not a non-negative integer")
        if self.body.by_rule:
            require(
                (self.signer, self.nonce, self.signature) == ("", 0, ""),
                f"a {self.body.type} entry has no author",
            )
        else:
            require(is_hex(self.signer, 32), "signer is not 32 bytes of lowercase hex")
            require(is_hex(self.signature, 64), "signature is not 64 bytes of lowercase hex")

    @classmethod
    def sign(cls, body: Entry, *, origin: str, nonce: int, signer: Signer) -> SignedEntry:
        """Sign an entry.

        Parameters
        ----------
        body : Entry
            What to say.
        origin : str
            Name of the ledger.
        nonce : int
            The signer's next number, see `Ledger.next_nonce`.
        signer : Signer
            The author's key.
        """
        message = _SIGNATURE_DOMAIN + canonical_json(_payload(origin, signer.public, nonce, body))
        return cls(origin, signer.public, nonce, body, signer.sign(message).hex())

    @classmethod
    def by_rule(cls, body: Entry, origin: str) -> SignedEntry:
        """Wrap an entry that follows from the ledger's rules."""
        return cls(origin, "", 0, body, "")

    @property
    def payload(self) -> dict[str, Any]:
        """What is signed: version, ledger, type, author, number and content."""
        return _payload(self.origin, self.signer, self.nonce, self.body)

    @property
    def digest(self) -> str:
        """Digest of the payload: the identifier of what the entry creates, such as a task."""
        return json_digest("entry", self.payload)

    def require_signature(self) -> None:
        """Check the author's signature.

        Raises
        ------
        BadSignature
            If it is not the signer's over exactly this payload.
        BadKey
            If the signer's key is one under which signatures prove nothing.
        """
        message = _SIGNATURE_DOMAIN + canonical_json(self.payload)
        if not verify_signature(self.signer, bytes.fromhex(self.signature), message):
            raise BadSignature(f"{self.body.type} entry is not signed by {self.signer}")

    def encode(self) -> bytes:
        """Return the canonical bytes, the data of the log's leaf.

        Raises
        ------
        MalformedEntry
            If they are too many.
        """
        data = canonical_json({"payload": self.payload, "signature": self.signature})
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
                payload["origin"], payload["signer"], payload["nonce"], body, value["signature"]
            )
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
