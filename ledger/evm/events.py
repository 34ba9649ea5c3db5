"""Events of the contract as entries, one to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from eth_abi.exceptions import DecodingError
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import Web3Exception

from circuits.encoding import parse_canonical
from circuits.errors import ZkpotError
from circuits.statement import Statement
from ledger.charter import Charter
from ledger.entries import (
    Chain,
    Credit,
    DataRegister,
    Entry,
    Genesis,
    IdentityRegister,
    ModelCommit,
    ProofSubmit,
    TaskOpen,
    TestsetRelease,
    Transfer,
)
from ledger.envelope import SignedEntry
from ledger.errors import ChainDisagrees
from ledger.evm.accounts import identity
from ledger.evm.artefact import ledger_contract
from ledger.evm.pins import Pins
from ledger.policy import Policy
from ledger.state import State

_UNREADABLE = (ZkpotError, Web3Exception, DecodingError, ValueError, KeyError, TypeError)
"""What the libraries and the entries' own checks say of bytes that are no entry."""


@dataclass(frozen=True)
class Event:
    """An entry as a contract announced it.

    Attributes
    ----------
    index : int
        Its place, as the contract counts.
    entry : SignedEntry
        The entry.
    digest : str
        What the contract computed: the task of a task.open, the statement of a proof.submit;
        empty for others.
    pins : Pins or None
        Of a task.open, what the contract was told of its circuit.
    codehash : str
        Of a task.open, Keccak-256 of the verifier's code.
    transaction : str
        Hash of the transaction.
    block : int
        Number of its block.
    """

    index: int
    entry: SignedEntry
    digest: str
    pins: Pins | None
    codehash: str
    transaction: str
    block: int


def read(contract: Contract, log: Any, state: State, chain: Chain) -> Event:
    """Return the entry of an event.

    Parameters
    ----------
    contract : Contract
        Whose event it is.
    log : mapping
        As the node gave it.
    state : State
        What all entries before it amount to.
    chain : Chain
        The chain and the contract.

    Raises
    ------
    ChainDisagrees
        If the contract announced what is no entry.
    """
    if log["address"] != contract.address:
        raise ChainDisagrees(f"the node showed an event of another contract, {log['address']}")
    name = _names().get(bytes(log["topics"][0]))
    if name is None:
        raise ChainDisagrees(f"the contract announced something unknown: {log['topics'][0].hex()}")
    try:
        values = contract.events[name]().process_log(log)["args"]
        origin = str(values["origin"]) if name == "Genesis" else state.origin
        body = _BODIES[name](values, state, chain)
        if isinstance(body, Credit):
            entry = SignedEntry.by_rule(body, origin)
        else:
            nonce = values.get("nonce", 0)
            account = identity(values["signer"])
            entry = SignedEntry.by_chain(body, origin=origin, nonce=nonce, account=account)
    except _UNREADABLE as error:
        raise ChainDisagrees(f"the contract announced a {name} that is no entry: {error}") from None
    pins, digest = None, ""
    if isinstance(body, TaskOpen):
        pins, digest = _pins(values["halo2"]), _hex(values["id"])
    elif isinstance(body, ProofSubmit):
        digest = _hex(values["statement"])
    return Event(
        int(values["index"]),
        entry,
        digest,
        pins,
        _hex(values["codehash"]) if pins else "",
        _hex(log["transactionHash"]),
        int(log["blockNumber"]),
    )


@lru_cache(maxsize=1)
def _names() -> dict[bytes, str]:
    found = {}
    for item in ledger_contract().abi:
        if item["type"] == "event":
            types = ",".join(_type(field) for field in item["inputs"])
            found[bytes(Web3.keccak(text=f"{item['name']}({types})"))] = item["name"]
    return found


def _type(field: dict[str, Any]) -> str:
    kind: str = field["type"]
    if kind.startswith("tuple"):
        parts = ",".join(_type(part) for part in field["components"])
        return f"({parts}){kind.removeprefix('tuple')}"
    return kind


def _genesis(v: Any, _state: State, chain: Chain) -> Entry:
    # What proofs are bound to; a contract of another origin could show another ledger's.
    if not v["origin"].endswith(f"/eip155:{chain.id}:0x{chain.contract}"):
        raise ValueError(f"the origin {v['origin']} is not that of this chain and contract")
    charter = Charter(
        number=0,
        governors=tuple(map(identity, v["governors"])),
        threshold=v["threshold"],
        task_owners=tuple(map(identity, v["taskOwners"])),
        max_pool=v["maxPool"],
        # There are no bonds on a chain.
        bond_entries=0,
        finder_share=Fraction(0),
    )
    grants = tuple(zip(map(identity, v["granted"]), v["grants"], strict=True))
    return Genesis(v["allowInsecureSrs"], charter, chain, grants)


def _data(v: Any, _state: State, _chain: Chain) -> Entry:
    return DataRegister(
        kind="testset",
        root=_hex(v["root"]),
        samples=v["samples"],
        manifest=_hex(v["manifest"]),
        openings=v["openings"],
        well_formed=_hex(v["wellFormed"]),
    )


def _task(v: Any, _state: State, _chain: Chain) -> Entry:
    terms = v["terms"]
    policy = terms["policy"]
    return TaskOpen(
        title=terms["title"],
        backend="sumcheck" if terms["sumcheck"] else "halo2",
        circuit=_hex(terms["circuit"]),
        vk=_hex(terms["vk"]),
        srs=_hex(terms["srs"]),
        architecture=_hex(terms["architecture"]),
        testset=_hex(terms["testset"]),
        prover="evaluator" if terms["evaluatorProves"] else "contributor",
        rounds=terms["rounds"],
        policy=Policy(
            minimum_accuracy=Fraction(policy["minimumNum"], policy["minimumDen"]),
            eta=Fraction(policy["etaNum"], policy["etaDen"]),
            pool=policy["pool"],
            submissions_per_identity=policy["perIdentity"],
            openings=policy["openings"],
        ),
    )


def _proof(v: Any, state: State, _chain: Chain) -> Entry:
    # Backend, circuit, test set and its size are the task's; the digest shows that the contract
    # had the same in mind.
    claim = v["claim"]
    task = state.task(_hex(v["task"]))
    tables = {
        name: tuple(map(tuple, parse_canonical(claim[field], name))) if claim[field] else ()
        for name, field in _TABLES.items()
    }
    statement = Statement(
        backend=task.terms.backend,
        circuit=task.terms.circuit,
        model=_hex(claim["model"]),
        testset=task.terms.testset,
        samples=state.testsets[task.terms.testset].terms.samples,
        correct=claim["correct"],
        shard_correct=tuple(claim["shardCorrect"]),
        context=_hex(claim["context"]),
        **tables,
    )
    return ProofSubmit(task.id, v["round"], _hex(v["bundle"]), statement, v["srsInsecure"])


_TABLES = {"confusion": "confusion", "groups": "groups", "per_class": "perClass"}

_BODIES: dict[str, Callable[[Any, State, Chain], Entry]] = {
    "Genesis": _genesis,
    "IdentityRegister": lambda v, _state, _chain: IdentityRegister(v["name"]),
    "DataRegister": _data,
    "TaskOpen": _task,
    "ModelCommit": lambda v, _state, _chain: ModelCommit(
        _hex(v["task"]), v["round"], _hex(v["model"]), _hex(v["context"])
    ),
    "TestsetRelease": lambda v, _state, _chain: TestsetRelease(
        _hex(v["task"]), v["round"], _hex(v["opening"])
    ),
    "ProofSubmit": _proof,
    "Credit": lambda v, _state, _chain: Credit(
        _hex(v["task"]), identity(v["identity"]), v["amount"], v["proof"]
    ),
    "Transfer": lambda v, _state, _chain: Transfer(identity(v["to"]), v["amount"]),
}


def _pins(v: Any) -> Pins:
    verifier = str(v["verifier"]).removeprefix("0x").lower()
    return Pins(verifier, v["k"], v["shardSize"], v["inRange"], _hex(v["shards"]))


def _hex(value: Any) -> str:
    return bytes(value).hex()
