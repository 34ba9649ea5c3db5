"""Where an entry is on its chain."""

from __future__ import annotations

from dataclasses import dataclass

from circuits.encoding import canonical_json


@dataclass(frozen=True)
class ChainReceipt:
    """Where an entry is on its chain.

    Attributes
    ----------
    index : int
        Place of the entry in the ledger.
    digest : str
        Digest of the entry.
    chain : int
        EIP-155 id of the chain.
    contract, transaction, block : str
        Address, transaction hash and block hash, in hex.
    number : int
        Number of the block.
    """

    index: int
    digest: str
    chain: int
    contract: str
    transaction: str
    block: str
    number: int

    def encode(self) -> str:
        """Return the receipt as canonical JSON."""
        return canonical_json(vars(self)).decode()
