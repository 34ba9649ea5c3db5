"""Entries by which keys introduce themselves, follow one another, and end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from circuits.encoding import is_hex
from ledger.checks import pairs_from_json, require, require_digests, require_text
from ledger.entries.base import Entry

SCHEMES = ("ed25519", "evm")
"""Kinds of keys that can sign entries; ``chain`` signs nothing, a contract did."""

APPROVALS = 100


def check_approvals(approvals: tuple[tuple[str, str], ...]) -> None:
    """Refuse approvals that are malformed, repeated or not in the order of identities."""
    for pair in approvals:
        require(len(pair) == 2, "an approval is an identity and its signature")
        identity, signature = pair
        require_digests(approver=identity)
        ok = is_hex(signature, 64) or is_hex(signature, 65)
        require(ok, "signature of an approval is not 64 or 65 bytes of lowercase hex")
    names = [identity for identity, _ in approvals]
    require(
        len(names) <= APPROVALS and names == sorted(set(names)),
        f"approvals are not at most {APPROVALS}, one each, in ascending order of identities",
    )


def approvals_from_json(value: Any) -> tuple[tuple[str, str], ...]:
    """Read approvals; the class checks them."""
    return tuple((str(who), str(signature)) for who, signature in pairs_from_json(value))


@dataclass(frozen=True)
class IdentityRegister(Entry):
    """A key introduces itself; its owner is known by this first key for ever.

    Attributes
    ----------
    name : str
        For people; two identities may have the same.
    evm : str
        Address of the owner on an EVM chain, 20 bytes of lowercase hex; empty if none.
    evm_signature : str
        65 bytes of hex: the address's own signature that it belongs to this identity; empty
        without an address.
    """

    type = "identity.register"

    name: str
    evm: str = ""
    evm_signature: str = ""

    def __post_init__(self) -> None:
        require_text("name", self.name, 64)
        require(
            (self.evm == "" and self.evm_signature == "")
            or (is_hex(self.evm, 20) and is_hex(self.evm_signature, 65)),
            "evm and evm_signature are 20 and 65 bytes of lowercase hex, or both empty",
        )


@dataclass(frozen=True)
class IdentityRotate(Entry):
    """An identity's next key, signed by the present one and proven to be held.

    Attributes
    ----------
    scheme : {"ed25519", "evm"}
        Kind of the new key.
    key : str
        The new key, see `ledger.envelope.SignedEntry`.
    proof : str
        Signature by the new key, so that nobody takes the key of another; see
        `ledger.rules.identity`.
    """

    type = "identity.rotate"

    scheme: str
    key: str
    proof: str

    def __post_init__(self) -> None:
        require(self.scheme in SCHEMES, f"no such scheme: {self.scheme!r}")
        require_digests(key=self.key)
        require(
            is_hex(self.proof, 64 if self.scheme == "ed25519" else 65),
            "proof is not a signature in lowercase hex",
        )


@dataclass(frozen=True)
class IdentityRevoke(Entry):
    """An identity ends: it signs nothing any more, and what it owns stays where it is.

    Attributes
    ----------
    identity : str
        Whose.
    approvals : tuple of (str, str)
        Governors and their signatures; empty where the owner ends its own identity.
    """

    type = "identity.revoke"

    identity: str
    approvals: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        require_digests(identity=self.identity)
        check_approvals(self.approvals)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(**{**value, "approvals": approvals_from_json(value["approvals"])})
