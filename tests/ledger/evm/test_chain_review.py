"""What a review of the contract and its engine found: each finding as the attack that it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from circuits.encoding import digest
from circuits.halo2.model import model_id
from circuits.statement import Context, Statement
from ledger import entries
from ledger.entries import blob_digest
from ledger.errors import (
    ChainDisagrees,
    MalformedEntry,
)
from ledger.evm import attest
from ledger.evm.accounts import identity
from ledger.evm.artefact import ledger_contract
from ledger.evm.audit import audit
from ledger.evm.calls import Halo2Evidence, call
from ledger.evm.engine import EvmLedger
from ledger.evm.mirror import Mirror, _encoded
from ledger.evm.node import Node
from ledger.evm.pins import Pins
from ledger.evm_keys import keccak256
from tests.ledger.evm.evm_world import (
    ALICE,
    ATTESTERS,
    BOB,
    DATA,
    ENOUGH_GAS,
    EVALUATOR,
    OPERATOR,
    TASK,
    Ledger,
    digest_of,
)
from tests.ledger.evm.halo2_world import Halo2World
from tests.ledger.evm.test_chain_halo2 import ONE, contract_of
from verifier.verdict import Check, Verdict

N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
CIRCUIT = b'{"c":1}'
WEIGHTS = b"\x07" * 64


@pytest.fixture
def world():
    return Halo2World.load()


def follow(ledger, node=None):
    mirror = Mirror(node or ledger.node, ledger.address, ledger.first, 0)
    mirror.refresh()
    return mirror


def opened(ledger, tmp_path):
    return EvmLedger(ledger.node, ledger.address, tmp_path / "blobs", confirmations=0)


def accepting(said):
    return lambda bundle, pins: Verdict(said, (Check("all", True),), None, srs_insecure=True)


def send(ledger, who, data, to=None):
    """Send hand-made calldata; returns the receipt."""
    web3 = ledger.node.web3
    transaction = {
        "from": who.address, "to": to or ledger.contract.address, "data": "0x" + data.hex(),
        "gas": ENOUGH_GAS, "nonce": web3.eth.get_transaction_count(who.address),
        "chainId": ledger.chain.id, "gasPrice": 10**10, "value": 0,
    }  # fmt: skip
    raw, name = who.sign_transaction(transaction)
    web3.eth.send_raw_transaction(raw)
    return web3.eth.get_transaction_receipt("0x" + name.hex())


def calldata(function):
    return bytes.fromhex(function.build_transaction({"gas": 1, "nonce": 0})["data"][2:])


class TestStatementsThatDoNotFit:
    """An entry grows with its number; one that no log can hold would stop every mirror."""

    def large(self, ledger, task):
        entry = ledger.submission(ALICE, task, "m", 6)
        said = replace(entry.body.statement, shard_correct=(6, *[0] * 31_000))
        return replace(entry, body=replace(entry.body, statement=said, bundle=blob_digest(b"x")))

    def test_no_attester_signs_one(self, ready):
        ledger, task = ready
        entry = self.large(ledger, task)
        entry.encode()  # it would fit today
        with pytest.raises(MalformedEntry, match="60000"):
            attest.attest(follow(ledger).state, b"x", entry, accepting(None), ATTESTERS[0])

    def test_the_contract_takes_none(self, ready):
        ledger, task = ready
        entry = self.large(ledger, task)
        function = call(ledger.contract, entry, ledger.attested(entry))
        with pytest.raises(MalformedEntry):
            function.call({"from": ALICE.address, "gas": 29_000_000})

    def test_a_mirror_says_so_by_name(self, ready):
        ledger, task = ready
        entry = self.large(ledger, task)
        said = replace(entry.body.statement, shard_correct=(6, *[0] * 33_000))
        large = replace(entry, body=replace(entry.body, statement=said))
        event = replace(follow(ledger).events[-1], entry=large)
        with pytest.raises(ChainDisagrees, match="65535"):
            _encoded(event)


class TestCalldata:
    """Solidity looks neither at padding nor for the last word's padding; nor may an audit."""

    @pytest.mark.parametrize("form", ["dirty", "short", "long"])
    def test_an_audit_reads_what_the_contract_reads(self, halo2, world, tmp_path, form):
        ledger, _ = halo2
        entry = world.submission(ledger)
        data = bytearray(calldata(call(ledger.contract, entry, world.evidence)))
        assert data[-1] == 0
        if form == "dirty":
            data[-1] ^= 1
        elif form == "short":
            data = bytearray(bytes(data).rstrip(b"\0"))
        else:
            data += b"\xff" * 5
        assert send(ledger, ALICE, bytes(data))["status"] == 1
        seen = []
        engine = opened(ledger, tmp_path)
        check = accepting(world.bundle.statement)
        report = engine.audit(lambda bundle, pins: seen.append(bundle) or check(bundle, pins))
        assert (report.fault, report.unavailable, report.proofs) == (None, 0, 1)
        assert seen == [world.bundle.encode()]

    def test_a_proof_through_another_contract(self, ready, tmp_path):
        """Its calldata is not known here. The audit counts it, and looks at all others."""
        ledger, _ = ready
        relay = relay_of(ledger)
        place = ledger.node.contract(relay).address
        who = identity(place)
        forward(ledger, place, entries.IdentityRegister("wallet"))
        task, proofs = two_shards(ledger)
        context = Context(who, task, 0, ledger.origin).digest
        model = model_id(WEIGHTS, 12, "22" * 32)
        forward(ledger, place, entries.ModelCommit(task, 0, model, context))
        ledger.release(task)
        root = follow(ledger).state.tasks[task].terms.testset
        said = Statement(backend="halo2", circuit=digest("circuit", CIRCUIT), model=model,
                         testset=root, samples=2, correct=2, shard_correct=(1, 1),
                         context=context)  # fmt: skip
        body = entries.ProofSubmit(task, 0, digest_of("b"), said, True)
        forward(ledger, place, body, Halo2Evidence(proofs, CIRCUIT))
        assert ledger.ask("balances", place) > 0
        engine = opened(ledger, tmp_path)
        report = engine.audit(accepting(said))
        assert (report.fault, report.unavailable, report.proofs) == (None, 1, 0)
        assert report.to_dict()["unavailable"] == 1
        assert engine.audit().unavailable == 0

    def test_a_fault_behind_what_is_unavailable(self, ready, tmp_path):
        ledger, _ = ready
        task = follow(ledger).events[5].digest
        for who, model in ((ALICE, "m"), (BOB, "n")):
            ledger.prove(who, task, model, 6)
        engine = opened(ledger, tmp_path)
        assert engine.audit(accepting(None)).unavailable == 2
        second = follow(ledger).events[-1].entry.body.proof if False else None
        assert second is None


def relay_of(ledger):
    """A contract that calls whom it is told to, with what it is told."""
    body = bytes.fromhex("602036038060206000376000600082600060006000355af15000")
    return contract_of(ledger, body)


def forward(ledger, place, body, evidence=None):
    nonce = ledger.ask("nonces", place)
    entry = entry_of(ledger, place, body, nonce)
    data = (
        bytes(12) + bytes.fromhex(ledger.address) + calldata(call(ledger.contract, entry, evidence))
    )
    assert send(ledger, OPERATOR, data, place)["status"] == 1
    assert ledger.ask("nonces", place) == nonce + 1


def entry_of(ledger, place, body, nonce):
    entry = ledger.entry(OPERATOR, body, nonce=nonce)
    return replace(entry, signer=identity(place), key=identity(place))


def proofs_of(shards, size=300):
    return tuple((bytes([i + 1]) * 128 + WEIGHTS).ljust(size, b"\x05") for i in range(shards))


def two_shards(ledger):
    return shards_of(ledger, 2)


def shards_of(ledger, count, size=300):
    """A task whose verifier accepts everything, approved by governors who did not look."""
    root = digest_of(f"{count} shards")
    ledger.do(EVALUATOR, replace(DATA, root=root, samples=count))
    proofs = proofs_of(count, size)
    points = keccak256(b"".join(proof[:128] for proof in proofs)).hex()
    pins = Pins(contract_of(ledger, ONE), 12, 1, 99, points)
    body = replace(TASK, backend="halo2", circuit=digest("circuit", CIRCUIT), vk="11" * 32,
                   srs="22" * 32, testset=root)  # fmt: skip
    entry = ledger.entry(OPERATOR, body)
    ledger.push(OPERATOR, entry, ledger.opening(entry, pins))
    return entry.digest, proofs


class TestWhoseContract:
    """Whatever announces the right events is believed for what only the right code ensures."""

    def test_none_that_only_announces(self, ready, tmp_path):
        """Events of another ledger, from the creation of a contract that has no code at all."""
        ledger, _ = ready
        logs = ledger.node.logs(ledger.contract, 0, ledger.node.head().number)
        fake = announcing(ledger, logs)
        assert ledger.node.code(fake) == b""
        with pytest.raises(ChainDisagrees):
            raise_unless_empty(Mirror(ledger.node, fake, 0, 0))
        other = announcing(ledger, logs, b"\x00")
        assert ledger.node.code(other) == b"\x00"
        with pytest.raises(ChainDisagrees, match="not a ledger"):
            EvmLedger(ledger.node, other, tmp_path / "b", confirmations=0)

    def test_none_with_other_code(self, tmp_path):
        ledger = Ledger.deploy()
        changed = bytearray(ledger_contract().runtime)
        changed[-1] ^= 1

        class Other(Node):
            def code(self, address):
                return bytes(changed)

        node = Other(ledger.node.web3)
        with pytest.raises(ChainDisagrees, match="not a ledger"):
            EvmLedger(node, ledger.address, tmp_path / "b", confirmations=0)
        assert "not a ledger" in audit(Mirror(node, ledger.address, 0, 0), None).fault

    def test_none_that_calls_itself_another(self, ready):
        ledger, _ = ready

        class Renamed(Node):
            def logs(self, contract, first, last):
                found = [dict(log) for log in super().logs(contract, first, last)]
                wanted = ledger.address.encode()
                for log in found:
                    log["data"] = bytes(log["data"]).replace(wanted, b"11" * 20)
                return found

        with pytest.raises(ChainDisagrees, match="origin"):
            follow(ledger, Renamed(ledger.node.web3))


def raise_unless_empty(mirror):
    """A mirror of a place without code has nothing to show, or says why not."""
    mirror.refresh()
    assert not mirror.events
    raise ChainDisagrees("nothing")


def announcing(ledger, logs, left=b""):
    """Create a contract that announces some events while it is made, and leaves some code."""
    data = [bytes(log["data"]) for log in logs]
    each = 3 + 3 + 2 + 1 + 33 + 3 + 2 + 1
    end = bytes.fromhex(f"60{len(left):02x}600053") if not left else b""
    tail = bytes.fromhex(f"60{len(left):02x}6000f3")
    clear = bytes.fromhex("6000600053") if left else b""
    at, body = each * len(logs) + len(end and b"") + len(clear) + len(tail), b""
    for log, content in zip(logs, data, strict=True):
        size = len(content).to_bytes(2, "big")
        body += b"\x61" + size + b"\x61" + at.to_bytes(2, "big") + b"\x60\x00\x39"
        body += b"\x7f" + bytes(log["topics"][0]) + b"\x61" + size + b"\x60\x00\xa1"
        at += len(content)
    factory = ledger.node.web3.eth.contract(abi=[], bytecode=body + clear + tail + b"".join(data))
    return ledger.node.send(OPERATOR, factory.constructor(), 5_000_000).contract
