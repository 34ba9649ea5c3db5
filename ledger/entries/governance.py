"""The first entry of a ledger, changes of its charter, and its clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from circuits.encoding import is_hex
from ledger.charter import Charter
from ledger.checks import is_count, pairs_from_json, require, require_sorted
from ledger.entries.base import Entry
from ledger.entries.identity import approvals_from_json, check_approvals

_GRANTS = 512


@dataclass(frozen=True)
class Chain:
    """The contract that keeps a ledger on an EVM chain.

    Attributes
    ----------
    id : int
        Chain id, EIP-155.
    contract : str
        Address, 20 bytes of lowercase hex.
    """

    id: int
    contract: str

    def __post_init__(self) -> None:
        require(is_count(self.id, 1), "id of a chain is not a positive integer")
        require(is_hex(self.contract, 20), "contract is not 20 bytes of lowercase hex")


@dataclass(frozen=True)
class Genesis(Entry):
    """Entry 0, signed by the log's own key.

    Attributes
    ----------
    allow_insecure_srs : bool
        Whether proofs over a development SRS, which its maker can forge, may be credited. Fixed
        for ever.
    charter : Charter
        Number 0.
    chain : Chain or None
        The contract whose events the entries are; None for the embedded engine.
    grants : tuple of (str, int)
        Units that identities start with, in ascending order of identities: what bonds can be
        posted from before anything is earned.
    """

    type = "genesis"

    allow_insecure_srs: bool
    charter: Charter
    chain: Chain | None = None
    grants: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        require(isinstance(self.allow_insecure_srs, bool), "allow_insecure_srs is not a bool")
        require(isinstance(self.charter, Charter), "charter is not a charter")
        require(self.charter.number == 0, "the first charter has the number 0")
        require(self.chain is None or isinstance(self.chain, Chain), "chain is not a chain")
        require_sorted("grants", [who for who, _ in self.grants], _GRANTS)
        require(all(is_count(n, 1) for _, n in self.grants), "a grant is a positive integer")
        require(is_count(sum(n for _, n in self.grants)), "grants are too large")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        chain = self.chain and {"id": self.chain.id, "contract": self.chain.contract}
        return {**super().to_dict(), "chain": chain}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        chain = value["chain"]
        return cls(
            **{
                **value,
                "charter": Charter.from_dict(value["charter"]),
                "chain": None if chain is None else Chain(**chain),
                "grants": pairs_from_json(value["grants"]),
            }
        )


@dataclass(frozen=True)
class PolicyChange(Entry):
    """A new charter, for tasks opened from now on and never for open ones.

    Attributes
    ----------
    charter : Charter
        Its number is one more than that of the present one.
    approvals : tuple of (str, str)
        Governors and their signatures, as many as the present charter asks for.
    """

    type = "policy.change"

    charter: Charter
    approvals: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        require(isinstance(self.charter, Charter), "charter is not a charter")
        check_approvals(self.approvals)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read the fields back; the caller compares encodings."""
        return cls(Charter.from_dict(value["charter"]), approvals_from_json(value["approvals"]))


@dataclass(frozen=True)
class Clock(Entry):
    """The operator's time, against which windows in seconds are measured.

    Attributes
    ----------
    time : int
        Seconds since 1970, UTC; larger than in every clock entry before.
    """

    type = "clock"

    time: int

    def __post_init__(self) -> None:
        require(is_count(self.time, 1), "time is not a positive integer")
