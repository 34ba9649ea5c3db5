"""What the engine needs of a chain, through one node: blocks, logs, calls, transactions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from eth_typing import ChecksumAddress, HexStr
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import (
    BlockNotFound,
    ContractLogicError,
    TimeExhausted,
    TransactionNotFound,
    Web3Exception,
)

from circuits.encoding import is_hex
from circuits.errors import LedgerError
from ledger.errors import ChainUnavailable
from ledger.evm.accounts import ChainAccount
from ledger.evm.artefact import ledger_contract
from ledger.evm.refusals import refusal

WAIT = 180.0
"""Seconds to wait for a transaction to be mined."""

_SPARE_GAS = 1.1
"""The state may change between the estimate and the block, a storage slot be new instead of old."""


@dataclass(frozen=True)
class Block:
    """A block by what it is called by."""

    number: int
    digest: str


@dataclass(frozen=True)
class Mined:
    """A transaction that is in a block."""

    transaction: str
    block: Block
    gas: int
    contract: str


@dataclass(frozen=True)
class Signed:
    """A transaction ready to be sent."""

    raw: bytes
    transaction: str
    sender: str
    function: Any


class NodeRefused(ChainUnavailable):
    """The node answered that it will not, for some reason of its own."""


class Node:
    """A chain as one node shows it.

    Parameters
    ----------
    web3 : Web3
        Connected to the node.
    """

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3

    @classmethod
    def at(cls, url: str, timeout: float = 60.0) -> Node:
        """Connect to a node by the URL of its JSON-RPC interface."""
        return cls(Web3(HTTPProvider(url, request_kwargs={"timeout": timeout})))

    def contract(self, address: str) -> Contract:
        """Return the ledger contract at an address, 20 bytes of hex.

        Raises
        ------
        LedgerError
            If it is no address.
        """
        if not is_hex(address, 20):
            raise LedgerError(f"{address!r} is not 20 bytes of lowercase hex")
        return self.web3.eth.contract(address=checksum(address), abi=ledger_contract().abi)

    @property
    def chain_id(self) -> int:
        """The chain's EIP-155 id."""
        with _named():
            return int(self.web3.eth.chain_id)

    def head(self) -> Block:
        """Return the newest block."""
        with _named():
            return _block(self.web3.eth.get_block("latest"))

    def block(self, number: int) -> Block | None:
        """Return a block by number; None if the chain is shorter now."""
        with _named():
            try:
                return _block(self.web3.eth.get_block(number))
            except BlockNotFound:
                return None

    def logs(self, contract: Contract, first: int, last: int) -> Sequence[Any]:
        """Return the events of a contract in a range of blocks, both ends included, in order."""
        with _named():
            found = self.web3.eth.get_logs(
                {"address": contract.address, "fromBlock": first, "toBlock": last}
            )
        return sorted(found, key=lambda log: (log["blockNumber"], log["logIndex"]))

    def code(self, address: str) -> bytes:
        """Return the code of a contract by its address, 20 bytes of hex."""
        with _named():
            return bytes(self.web3.eth.get_code(checksum(address)))

    def call(self, function: Any, *, sender: str = "", block: int | None = None) -> Any:
        """Return what a function of a contract answers, in no transaction.

        Parameters
        ----------
        function : ContractFunction
            With its arguments.
        sender : str, optional
            Address that asks.
        block : int, optional
            State to ask; by default the newest.

        Raises
        ------
        ZkpotError
            By name, if the contract refuses.
        ChainUnavailable
            If the node does not answer.
        """
        with _named():
            options = {"from": sender} if sender else {}
            return function.call(options, "latest" if block is None else block)

    def input(self, transaction: str) -> bytes:
        """Return the data that a transaction was sent with."""
        with _named():
            try:
                found = self.web3.eth.get_transaction(HexStr("0x" + transaction))
            except TransactionNotFound:
                raise ChainUnavailable(f"the node has no transaction {transaction}") from None
            return bytes(found["input"])

    def sign(self, account: ChainAccount, function: Any, gas: int | None = None) -> Signed:
        """Make the transaction that calls a function, or deploys a contract, without sending it.

        Parameters
        ----------
        account : ChainAccount
            Who sends and pays.
        function : ContractFunction or ContractConstructor
            With its arguments.
        gas : int, optional
            Most that may be used; by default an estimate, for which the call is run.

        Raises
        ------
        ZkpotError
            By name, if the gas is estimated and the contract refuses.
        ChainUnavailable
            If the node does not answer, or the account cannot pay.
        """
        with _named():
            place = Web3.to_checksum_address(account.address)
            nonce = self.web3.eth.get_transaction_count(place, "pending")
            chain = self.web3.eth.chain_id
            sender = {"from": account.address, "nonce": nonce, "chainId": chain}
            if gas is not None:
                sender["gas"] = gas
            transaction = function.build_transaction(sender)
        if gas is None:
            transaction["gas"] = int(transaction["gas"] * _SPARE_GAS)
        raw, digest = account.sign_transaction(transaction)
        return Signed(raw, digest.hex(), account.address, function)

    def broadcast(self, signed: Signed) -> Mined:
        """Send a transaction and wait for its block.

        Raises
        ------
        ZkpotError
            By name, if the contract refuses it now.
        ChainUnavailable
            If the node does not answer, or the transaction is not mined in time: then it may be
            later, and the details name it.
        """
        name = signed.transaction
        with _named(transaction=name):
            self.web3.eth.send_raw_transaction(signed.raw)
            receipt = self.web3.eth.wait_for_transaction_receipt(HexStr("0x" + name), timeout=WAIT)
            block = Block(int(receipt["blockNumber"]), bytes(receipt["blockHash"]).hex())
            if receipt["status"] != 1:
                # Another transaction came first. Asked again on that state, it says why.
                signed.function.call({"from": signed.sender}, block.number)
                raise ChainUnavailable(f"transaction {name} ran out of gas", transaction=name)
        contract = str(receipt.get("contractAddress") or "").removeprefix("0x").lower()
        return Mined(name, block, int(receipt["gasUsed"]), contract)

    def send(self, account: ChainAccount, function: Any, gas: int | None = None) -> Mined:
        """Make, send and await a transaction; as `sign` and `broadcast`."""
        return self.broadcast(self.sign(account, function, gas))


def checksum(address: str) -> ChecksumAddress:
    """Return an address, 20 bytes of hex, as nodes and libraries write it."""
    return Web3.to_checksum_address("0x" + address)


def _block(found: Any) -> Block:
    return Block(int(found["number"]), bytes(found["hash"]).hex())


@contextmanager
def _named(**details: object) -> Iterator[None]:
    """Turn what libraries raise into this project's errors."""
    try:
        yield
    except ContractLogicError as error:
        data = error.data if isinstance(error.data, str) else ""
        raise refusal(bytes.fromhex(data.removeprefix("0x"))) from None
    except TimeExhausted:
        raise ChainUnavailable(f"not mined within {WAIT:.0f} s", **details) from None
    except Web3Exception as error:
        raise NodeRefused(f"the node refuses: {error}", **details) from None
    except (requests.RequestException, OSError) as error:
        # Their text has the node's URL in it, and that often a key to it.
        kind = type(error).__name__
        raise ChainUnavailable(f"the node cannot be reached: {kind}", **details) from None
