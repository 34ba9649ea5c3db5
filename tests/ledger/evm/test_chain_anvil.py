"""The same contract and engine over JSON-RPC, on another implementation of the EVM: anvil.

Skipped, with the reason, where npm's @foundry-rs/anvil is not installed. One node decides alone
here, too: this tests engine and contract, not consensus.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3

from ledger import entries
from ledger.entries import blob_digest
from ledger.errors import ChainUnavailable, NullifierSpent
from ledger.evm.deploy import deploy_verifier
from ledger.evm.engine import EvmLedger
from ledger.evm.node import Node
from tests.ledger.evm.evm_world import ALICE, ATTESTERS, BOB, EVALUATOR, OPERATOR, Ledger
from tests.ledger.evm.halo2_world import Halo2World
from tests.ledger.evm.test_chain_engine import attesters, believing, filled, submission, verify

LOCAL = Path("node_modules/.bin/anvil")
ANVIL = shutil.which("anvil") or (str(LOCAL.absolute()) if LOCAL.exists() else None)

pytestmark = pytest.mark.skipif(ANVIL is None, reason="npm's @foundry-rs/anvil is not installed")

CHAIN = 131277322940537
"""eth-tester's, so that origin and task of the golden proof are the same."""


@pytest.fixture(scope="module")
def anvil():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--chain-id", str(CHAIN), "--silent", "--hardfork", "prague"]
    process = subprocess.Popen([ANVIL, *options])
    web3 = Web3(HTTPProvider(f"http://127.0.0.1:{port}", request_kwargs={"timeout": 30}))
    try:
        deadline = time.monotonic() + 20
        while not web3.is_connected():
            assert time.monotonic() < deadline and process.poll() is None, "anvil did not start"
            time.sleep(0.1)
        yield web3
    finally:
        process.kill()
        process.wait()


def rpc(web3, method, *params):
    answer = web3.provider.make_request(method, list(params))
    assert "error" not in answer, answer
    return answer["result"]


@pytest.fixture
def node(anvil):
    """A node whose chain is put back to its beginning afterwards."""
    beginning = rpc(anvil, "evm_snapshot")
    for who in (OPERATOR, EVALUATOR, ALICE, BOB, *ATTESTERS):
        rpc(anvil, "anvil_setBalance", who.address, hex(10**21))
    yield Node(anvil)
    rpc(anvil, "evm_revert", beginning)


def test_a_sumcheck_task(node, tmp_path):
    ledger = Ledger.deploy(node, grants={ALICE.public: 50})
    engine = EvmLedger(node, ledger.address, tmp_path / "b", first=ledger.first, confirmations=0,
                       attesters=attesters)  # fmt: skip
    task = filled(engine)
    bundle, entry = submission(engine, ALICE, task, "m", 6)
    assert engine.credited(engine.submit(bundle, entry, verify)) == 466
    with pytest.raises(NullifierSpent):
        engine.submit(*submission(engine, ALICE, task, "m", 7), verify)
    assert engine.audit(verify).fault is None


def test_a_halo2_task(node, tmp_path):
    """The golden proof, with gas as a real node estimates it."""
    world = Halo2World.load()
    ledger = Ledger.deploy(node)
    task = world.open(ledger, deploy_verifier(node, OPERATOR, world.verifier).address)
    said = world.bundle.statement
    ledger.do(ALICE, entries.ModelCommit(task, 0, said.model, said.context))
    ledger.release(task)
    engine = EvmLedger(node, ledger.address, tmp_path / "b", first=ledger.first, confirmations=0)
    for blob in (world.manifest.to_bytes(), world.circuit.encode()):
        engine.put_blob(blob)
    bundle = world.bundle.encode()
    body = entries.ProofSubmit(task, 0, blob_digest(bundle), said, srs_insecure=True)
    receipt = engine.submit(bundle, engine.sign(body, ALICE), believing(said))
    assert engine.credited(receipt) == 620
    used = node.web3.eth.get_transaction_receipt("0x" + receipt.transaction)["gasUsed"]
    assert 1_900_000 < used < 2_200_000
    assert engine.audit().fault is None


def test_a_reorganisation(node, tmp_path):
    ledger = Ledger.deploy(node, grants={ALICE.public: 50})
    engine = EvmLedger(node, ledger.address, tmp_path / "b", first=ledger.first, confirmations=0,
                       attesters=attesters)  # fmt: skip
    task = filled(engine)
    fork = rpc(node.web3, "evm_snapshot")
    bundle, entry = submission(engine, ALICE, task, "m", 6)
    first = engine.submit(bundle, entry, verify)
    assert engine.balance(ALICE.public) == 516
    rpc(node.web3, "evm_revert", fork)
    rpc(node.web3, "anvil_mine", "0x2")
    assert engine.balance(ALICE.public) == 50
    again = engine.submit(bundle, entry, verify)
    assert engine.balance(ALICE.public) == 516
    assert again.block != first.block
    assert engine.audit(verify).fault is None


def test_confirmations(node, tmp_path):
    ledger = Ledger.deploy(node)
    rpc(node.web3, "anvil_mine", "0x3")
    engine = EvmLedger(node, ledger.address, tmp_path / "b", confirmations=3, wait=0)
    entry = engine.sign(entries.IdentityRegister("alice"), ALICE)
    with pytest.raises(ChainUnavailable, match="not confirmed"):
        engine.append(entry)
    rpc(node.web3, "anvil_mine", "0x3")
    assert engine.append(entry).index == 1
