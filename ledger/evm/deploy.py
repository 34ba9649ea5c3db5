"""Putting a ledger, and the verifier of a task's circuit, on a chain."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from circuits.errors import MissingArtefact, WorkerFailed
from ledger.charter import Charter
from ledger.entries import Chain, Genesis
from ledger.errors import NotOnChain
from ledger.evm.accounts import ChainAccount
from ledger.evm.artefact import EIP170_LIMIT, Compiled, ledger_contract
from ledger.evm.node import Mined, Node, checksum
from ledger.evm_keys import address_of

_TIMEOUT = 300.0
_NO_CONTRACT = "00" * 20


@dataclass(frozen=True)
class Deployed:
    """A contract on a chain.

    Attributes
    ----------
    address : str
        20 bytes of hex.
    block : int
        Number of the block of its deployment.
    gas : int
        What that took.
    """

    address: str
    block: int
    gas: int


def deploy_ledger(
    node: Node,
    account: ChainAccount,
    name: str,
    *,
    allow_insecure_srs: bool,
    charter: Charter,
    grants: Mapping[str, int] | None = None,
) -> Deployed:
    """Begin a ledger on a chain.

    Parameters
    ----------
    node : Node
        The chain.
    account : ChainAccount
        Signs the genesis entry. It has no power over the ledger afterwards.
    name : str
        What its origin starts with; the chain and the contract's address follow.
    allow_insecure_srs : bool
        Whether proofs over a development SRS count. Fixed for ever.
    charter : Charter
        Its governors attest sumcheck proofs, as many as its threshold says; fixed for ever.
    grants : mapping of str to int, optional
        Units that identities start with.

    Raises
    ------
    NotOnChain
        If the charter asks for what a contract does not do.
    MalformedEntry
        If name or charter cannot be used.
    ChainUnavailable
        If the node does not answer.
    """
    granted = tuple(sorted((grants or {}).items()))
    # What a mirror will read must be an entry.
    Genesis(allow_insecure_srs, charter, Chain(node.chain_id, _NO_CONTRACT), granted)
    if charter.bond_entries or charter.finder_share:
        raise NotOnChain("there are no bonds on a chain: bond_entries and finder_share are 0")
    terms = (
        [_account(who) for who in charter.governors],
        charter.threshold,
        [_account(who) for who in charter.task_owners],
        charter.max_pool,
    )
    compiled = ledger_contract()
    contract = node.web3.eth.contract(abi=compiled.abi, bytecode=compiled.bytecode)
    accounts = [_account(who) for who, _ in granted]
    amounts = [amount for _, amount in granted]
    return _deployed(
        node.send(account, contract.constructor(name, allow_insecure_srs, terms, accounts, amounts))
    )


def deploy_verifier(node: Node, account: ChainAccount, compiled: Compiled) -> Deployed:
    """Put the verifier contract of a circuit on a chain."""
    if len(compiled.runtime) > EIP170_LIMIT:
        raise NotOnChain(
            f"the verifier has {len(compiled.runtime)} bytes of code, and a contract at most "
            f"{EIP170_LIMIT}: use a circuit of fewer columns and more rows"
        )
    contract = node.web3.eth.contract(abi=compiled.abi, bytecode=compiled.bytecode)
    return _deployed(node.send(account, contract.constructor()))


def compile_verifier(source: str, modules: Path) -> Compiled:
    """Compile a generated verifier with npm's solc, which only a task's owner needs.

    Parameters
    ----------
    source : str
        As in `verifier.halo2.generate_contract`.
    modules : pathlib.Path
        A folder in which ``npm install solc@0.8.30`` was run.

    Raises
    ------
    MissingArtefact
        If node or solc are not there.
    WorkerFailed
        If it does not compile.
    """
    with (
        as_file(files("ledger.evm") / "contract" / "build.mjs") as script,
        tempfile.TemporaryDirectory(prefix="zkpot-solc-") as folder,
    ):
        path, made = Path(folder) / "verifier.sol", Path(folder) / "verifier.json"
        path.write_text(source)
        try:
            ran = subprocess.run(
                ["node", str(script), str(path), "Halo2Verifier", str(made)],
                cwd=modules,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT,
                check=False,
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingArtefact(f"cannot run node in {modules}: {error.strerror}") from None
        if "Cannot find module 'solc'" in ran.stderr:
            raise MissingArtefact(f"solc is not installed in {modules}: npm install solc@0.8.30")
        if ran.returncode:
            raise WorkerFailed(f"solc failed: {ran.stderr.strip()[-500:]}", function="solc")
        return Compiled.load(made)


def _account(identity: str) -> str:
    return str(checksum(address_of(identity)))


def _deployed(mined: Mined) -> Deployed:
    return Deployed(mined.contract, mined.block.number, mined.gas)
