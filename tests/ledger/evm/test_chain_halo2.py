"""halo2 proofs verified by the contract: one honest proof, and everything that is not it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account import Account
from py_ecc import optimized_bn128 as bn

from circuits.encoding import canonical_json
from circuits.errors import ProofRejected, SrsInsecure, WrongContext
from ledger import entries
from ledger.errors import BadPins, NotApproved, NotCommitted, NullifierSpent, StatementMismatch
from ledger.evm.calls import call
from ledger.evm.deploy import Deployed, deploy_verifier
from ledger.evm.mirror import Mirror
from tests.ledger.evm.evm_world import (
    ALICE,
    ATTESTERS,
    BOB,
    OPERATOR,
    POOR,
    SECRETS,
    STRANGER,
    Ledger,
    digest_of,
)
from tests.ledger.evm.halo2_world import Halo2World

R = bn.curve_order
Q = bn.field_modulus


@pytest.fixture(scope="module")
def world():
    return Halo2World.load()


def flipped(proofs, shard, at):
    changed = bytearray(proofs[shard])
    changed[at] ^= 1
    return tuple(bytes(changed) if i == shard else p for i, p in enumerate(proofs))


def simulate(ledger, who, entry, evidence):
    """Ask the contract without sending anything."""
    return ledger.node.call(call(ledger.contract, entry, evidence), sender=who.address)


def rejected(check, ledger, entry, evidence, who=ALICE):
    with pytest.raises(ProofRejected) as caught:
        simulate(ledger, who, entry, evidence)
    assert caught.value.check == check


def test_an_honest_proof_is_paid_once(halo2, world):
    ledger, _ = halo2
    entry = world.submission(ledger)
    ledger.push(ALICE, entry, world.evidence)
    assert ledger.ask("balances", ALICE.address) == 620
    again = world.submission(ledger)
    with pytest.raises(NullifierSpent):
        simulate(ledger, ALICE, again, world.evidence)
    # The same model under another's commitment: that account's context, this account's proof.
    with pytest.raises(WrongContext):
        simulate(ledger, BOB, world.submission(ledger, BOB), world.evidence)
    mirror = Mirror(ledger.node, ledger.address, ledger.first, 0)
    mirror.refresh()
    # The contract put the bundle's digest together itself, and it is that of the file.
    assert mirror.entries[-2] == entry
    assert mirror.entries[-1].body == entries.Credit(entry.body.task, ALICE.public, 620, 9)


class TestFrontRunning:
    """Bob sees alice's transaction before it is mined, and sends it as his own."""

    def test_her_statement(self, halo2, world):
        ledger, _ = halo2
        with pytest.raises(WrongContext):
            simulate(ledger, BOB, world.submission(ledger, BOB), world.evidence)

    def test_his_context_in_her_statement(self, halo2, world):
        ledger, task = halo2
        context = ledger.ask("contextOf", BOB.address, bytes.fromhex(task), 0).hex()
        entry = world.submission(ledger, BOB, context=context)
        rejected("proof", ledger, entry, world.evidence, BOB)

    def test_an_account_without_a_commitment(self, halo2, world):
        ledger, task = halo2
        ledger.do(STRANGER, entries.IdentityRegister("stranger"))
        context = ledger.ask("contextOf", STRANGER.address, bytes.fromhex(task), 0).hex()
        with pytest.raises(NotCommitted):
            simulate(ledger, STRANGER, world.submission(ledger, STRANGER, context=context),
                     world.evidence)  # fmt: skip


class TestWrongInstances:
    def test_one_more_right(self, halo2, world):
        ledger, _ = halo2
        entry = world.submission(ledger, correct=6, shard_correct=(3, 2, 1))
        rejected("proof", ledger, entry, world.evidence)

    def test_the_same_total_in_other_shards(self, halo2, world):
        ledger, _ = halo2
        entry = world.submission(ledger, shard_correct=(1, 2, 2))
        rejected("proof", ledger, entry, world.evidence)

    @pytest.mark.parametrize("counts", [(5,), (2, 2, 1, 0), ()])
    def test_another_number_of_counts(self, halo2, world, counts):
        ledger, _ = halo2
        entry = world.submission(ledger, correct=sum(counts), shard_correct=counts)
        rejected("shards", ledger, entry, world.evidence)

    def test_tables_that_no_circuit_counts(self, halo2, world):
        ledger, _ = halo2
        for tables in ({"per_class": ((5, 5), (0, 3))}, {"groups": ((5, 8),)},
                       {"confusion": ((5, 0), (3, 0))}):  # fmt: skip
            rejected("format", ledger, world.submission(ledger, **tables), world.evidence)

    def test_another_circuit_file(self, halo2, world):
        ledger, _ = halo2
        other = canonical_json({**world.bundle.circuit, "model_budget": 7})
        for circuit in (other, b"", canonical_json(world.bundle.circuit) + b"\n"):
            evidence = replace(world.evidence, circuit=circuit)
            rejected("circuit", ledger, world.submission(ledger), evidence)

    def test_the_other_kind_of_evidence(self, halo2, ready, world):
        ledger, _ = halo2
        entry = world.submission(ledger)
        with pytest.raises(StatementMismatch):
            simulate(ledger, ALICE, entry, ledger.attested(entry))
        sumcheck, task = ready
        with pytest.raises(StatementMismatch):
            simulate(sumcheck, ALICE, sumcheck.submission(ALICE, task, "m", 6), world.evidence)


class TestWrongProofs:
    def test_missing_repeated_and_foreign_shards(self, halo2, world):
        ledger, _ = halo2
        first, second, third = world.bundle.proofs
        for proofs in ((), (first,), (first, second), (first, second, third, third),
                       (first, first, third), (second, first, third), (third,) * 3):  # fmt: skip
            evidence = replace(world.evidence, proofs=proofs)
            rejected("shards", ledger, world.submission(ledger), evidence)

    def test_a_flip_in_a_commitment_to_the_set(self, halo2, world):
        ledger, _ = halo2
        for at in (0, 63, 64, 127):
            evidence = replace(world.evidence, proofs=flipped(world.bundle.proofs, 1, at))
            rejected("shards", ledger, world.submission(ledger), evidence)

    def test_another_model_in_one_shard(self, halo2, world):
        ledger, _ = halo2
        for at in (128, 191):
            evidence = replace(world.evidence, proofs=flipped(world.bundle.proofs, 2, at))
            rejected("model", ledger, world.submission(ledger), evidence)

    def test_another_model_in_the_statement(self, halo2, world):
        ledger, _ = halo2
        with pytest.raises(NotCommitted):
            simulate(ledger, ALICE, world.submission(ledger, model=digest_of("m")), world.evidence)

    def test_a_flip_anywhere_else(self, halo2, world):
        ledger, _ = halo2
        size = len(world.bundle.proofs[0])
        for at in (192, 500, size // 2, size - 65, size - 1):
            evidence = replace(world.evidence, proofs=flipped(world.bundle.proofs, 0, at))
            rejected("proof", ledger, world.submission(ledger), evidence)

    def test_other_lengths(self, halo2, world):
        ledger, _ = halo2
        first, *rest = world.bundle.proofs
        for check, proof in (("proof", first + b"\0"), ("proof", first + bytes(32)),
                             ("proof", first[:-32]), ("proof", first[:192]),
                             ("proof form", first[:191]), ("proof form", b"")):  # fmt: skip
            evidence = replace(world.evidence, proofs=(proof, *rest))
            rejected(check, ledger, world.submission(ledger), evidence)

    def test_a_coordinate_outside_its_field(self, halo2, world):
        """The same point, written as x + q: the verifier must not take both."""
        ledger, _ = halo2
        proof = world.bundle.proofs[0]
        for at in range(192, 192 + 64 * 8, 32):
            other = int.from_bytes(proof[at : at + 32], "big") + Q
            if other < 2**256:
                changed = proof[:at] + other.to_bytes(32, "big") + proof[at + 32 :]
                evidence = replace(world.evidence, proofs=(changed, *world.bundle.proofs[1:]))
                rejected("proof", ledger, world.submission(ledger), evidence)
                return
        raise AssertionError("no coordinate is small enough to be written twice")


class TestVerifier:
    """The generated contract itself, which anyone can call."""

    @pytest.fixture
    def verifier(self, halo2, world):
        ledger, _ = halo2
        address = deploy_verifier(ledger.node, OPERATOR, world.verifier).address
        contract = ledger.node.web3.eth.contract(
            ledger.node.contract(address).address, abi=world.verifier.abi
        )

        def verify(instances, proof):
            try:
                return ledger.node.call(contract.functions.verifyProof(proof, instances))
            except Exception:
                return False

        return verify

    def test_canonical_instances_only(self, verifier, world):
        context = int(world.bundle.statement.context, 16)
        honest = [2, 3, context >> 128, context % 2**128, world.circuit.in_range]
        proof = world.bundle.proofs[0]
        assert verifier(honest, proof) is True
        for at, value in enumerate(honest):
            changed = [*honest[:at], value + R, *honest[at + 1 :]]
            assert verifier(changed, proof) is False
        assert verifier(honest[:-1], proof) is False
        assert verifier([*honest, 0], proof) is False


class TestPins:
    @pytest.mark.parametrize("change", [
        {"verifier": "00" * 20}, {"verifier": "11" * 20}, {"k": 0}, {"shard_size": 0},
    ])  # fmt: skip
    def test_pins_that_cannot_be_used(self, world, change):
        with pytest.raises(BadPins):
            world.open(Ledger.deploy(), **change)

    def test_none(self, world):
        ledger = Ledger.deploy()
        verifier = deploy_verifier(ledger.node, OPERATOR, world.verifier).address
        world.open(ledger, verifier)
        with pytest.raises(BadPins):
            ledger.push(OPERATOR, ledger.entry(OPERATOR, world.terms))

    def test_more_shards_than_a_transaction_can_carry(self, world):
        with pytest.raises(BadPins):
            world.open(Ledger.deploy(), data={"samples": 24 * 3 + 1})
        world.open(Ledger.deploy(), data={"samples": 24 * 3})

    def test_pins_that_too_few_approved(self, world):
        ledger = Ledger.deploy()
        verifier = deploy_verifier(ledger.node, OPERATOR, world.verifier).address
        world.open(ledger, verifier)
        entry, pins = ledger.entry(OPERATOR, world.terms), world.pins(verifier)
        good = ledger.opening(entry, pins)
        ledger.attempt(OPERATOR, entry, good)
        one, two = good.approvals
        for approvals in ((), (one,), (two, one), (one, one)):
            with pytest.raises(NotApproved):
                ledger.attempt(OPERATOR, entry, replace(good, approvals=approvals))
        both = sorted((ATTESTERS[0], STRANGER), key=lambda who: who.public)
        with pytest.raises(NotApproved):
            ledger.attempt(OPERATOR, entry, ledger.opening(entry, pins, both))

    def test_approvals_of_something_else(self, world):
        """Of other numbers, another verifier, another task, on another contract."""
        ledger = Ledger.deploy()
        verifier = deploy_verifier(ledger.node, OPERATOR, world.verifier).address
        world.open(ledger, verifier)
        entry, pins = ledger.entry(OPERATOR, world.terms), world.pins(verifier)
        yes = contract_of(ledger, ONE)
        for change in ({"k": 11}, {"shard_size": 4}, {"in_range": 1}, {"verifier": yes},
                       {"shards": digest_of("x")}):  # fmt: skip
            changed = replace(pins, **change)
            told = replace(ledger.opening(entry, pins), pins=changed)
            with pytest.raises(NotApproved):
                ledger.attempt(OPERATOR, entry, told)
            ledger.attempt(OPERATOR, entry, ledger.opening(entry, changed))
        other = ledger.entry(OPERATOR, replace(world.terms, title="another"))
        twin = Ledger.deploy(ledger.node, ledger.tester)
        for told in (ledger.opening(other, pins), twin.opening(entry, pins)):
            with pytest.raises(NotApproved):
                ledger.attempt(OPERATOR, entry, told)


def prepared(ledger, world, **pins):
    task = world.open(ledger, **pins)
    context = ledger.ask("contextOf", ALICE.address, bytes.fromhex(task), 0).hex()
    model = pins.pop("model", world.bundle.statement.model)
    ledger.do(ALICE, entries.ModelCommit(task, 0, model, context))
    ledger.release(task)
    return task


@pytest.mark.parametrize("change", [{"in_range": 1}, {"shard_size": 4}, {"shards": digest_of("x")}])
def test_the_pins_decide(world, change):
    """With others than those of its files, a task takes no proof: they are what is verified."""
    ledger = Ledger.deploy()
    prepared(ledger, world, **change)
    check = "proof" if "in_range" in change else "shards"
    rejected(check, ledger, world.submission(ledger), world.evidence)


def test_a_production_ledger_takes_no_development_srs(world):
    ledger = Ledger.deploy(insecure=False)
    prepared(ledger, world)
    with pytest.raises(SrsInsecure):
        simulate(ledger, ALICE, world.submission(ledger), world.evidence)


def code(body: bytes) -> bytes:
    """Creation code of a contract with this code."""
    #       PUSH1 size, DUP1, PUSH1 11, PUSH1 0, CODECOPY, PUSH1 0, RETURN
    return bytes.fromhex(f"60{len(body):02x}80600b6000396000f3") + body


def contract_of(ledger, body: bytes) -> str:
    """Put a contract of hand-written code on the chain."""
    factory = ledger.node.web3.eth.contract(abi=[], bytecode=code(body))
    mined = ledger.node.send(OPERATOR, factory.constructor())
    return Deployed(mined.contract, mined.block.number, mined.gas).address


ONE = bytes.fromhex("600160005260206000f3")


class TestHostileVerifiers:
    """A task's owner may pin what it likes; what such a contract can do ends there."""

    @pytest.mark.parametrize(("answer", "accepted"), [
        ("600160005260206000f3", True),  # returns 1: the owner pays from its own pool
        ("600260005260206000f3", False),  # returns 2
        ("600160005260406000f3", False),  # returns 64 bytes
        ("6001600053601f6000f3", False),  # returns 31 bytes
        ("00", False),  # returns nothing
        ("60006000fd", False),  # reverts
        ("fe", False),  # burns all gas
    ])  # fmt: skip
    def test_only_a_returned_one_counts(self, world, answer, accepted):
        ledger = Ledger.deploy()
        prepared(ledger, world, verifier=contract_of(ledger, bytes.fromhex(answer)))
        if accepted:
            simulate(ledger, ALICE, world.submission(ledger), world.evidence)
        else:
            rejected("proof", ledger, world.submission(ledger), world.evidence)

    def test_reentrance(self, world):
        """It calls the ledger to register itself. In a static call nobody can write."""
        ledger = Ledger.deploy()
        register = ledger.contract.functions.register(0, "x")
        payload = bytes.fromhex(register.build_transaction({"gas": 1, "nonce": 0})["data"][2:])
        # CODECOPY the payload; CALL the ledger with it and 200,000 gas; return 1.
        start = 7 + 37 + len(ONE)
        copy = f"60{len(payload):02x}60{start:02x}600039"
        again = f"6000600060{len(payload):02x}6000600073{ledger.address}62030d40f150"
        body = bytes.fromhex(copy + again) + ONE + payload
        verifier = contract_of(ledger, body)
        at = ledger.node.contract(verifier).address
        snapshot = ledger.tester.take_snapshot()
        ledger.node.web3.eth.send_transaction({"to": at, "from": OPERATOR.address, "gas": 500_000})
        assert ledger.ask("registered", at) is True
        ledger.tester.revert_to_snapshot(snapshot)

        prepared(ledger, world, verifier=verifier)
        before = ledger.ask("size")
        ledger.push(ALICE, world.submission(ledger), world.evidence)
        assert ledger.ask("registered", at) is False
        assert ledger.ask("size") == before + 2
        mirror = Mirror(ledger.node, ledger.address, ledger.first, 0)
        mirror.refresh()
        assert mirror.state.size == before + 2

    def test_code_that_is_exchanged(self, world):
        """An account can point to other code later (EIP-7702); what was pinned is the code."""
        ledger = Ledger.deploy()
        both = [contract_of(ledger, ONE), contract_of(ledger, b"\x5b" + ONE)]
        delegate(ledger, both[0])
        prepared(ledger, world, verifier=POOR.address[2:].lower())
        simulate(ledger, ALICE, world.submission(ledger), world.evidence)
        delegate(ledger, both[1])
        rejected("keys", ledger, world.submission(ledger), world.evidence)
        delegate(ledger, both[0])
        simulate(ledger, ALICE, world.submission(ledger), world.evidence)


def delegate(ledger, address, who=POOR):
    """Let an account run the code at an address, in a transaction that the operator pays."""
    web3 = ledger.node.web3
    place, chain = ledger.node.contract(address).address, web3.eth.chain_id
    nonce = web3.eth.get_transaction_count(who.address)
    allowed = Account.from_key(SECRETS[who.public]).sign_authorization(
        {"chainId": chain, "address": place, "nonce": nonce}
    )
    transaction = {
        "type": 4, "chainId": chain, "to": OPERATOR.address, "value": 0, "gas": 200_000,
        "data": "0x", "nonce": web3.eth.get_transaction_count(OPERATOR.address),
        "authorizationList": [allowed],
        "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9,
    }  # fmt: skip
    raw, _ = OPERATOR.sign_transaction(transaction)
    web3.eth.send_raw_transaction(raw)
    assert len(ledger.node.code(who.address[2:].lower())) == 23
