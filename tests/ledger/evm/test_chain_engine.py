"""The engine: a whole job on a chain, receipts, retries, and an audit that finds what is wrong."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace

import pytest

from circuits.encoding import canonical_json
from circuits.errors import LedgerError, ProofRejected
from circuits.statement import Statement
from ledger import entries
from ledger.entries import blob_digest
from ledger.errors import (
    BadKey,
    BadNonce,
    BadPins,
    BelowPolicy,
    ChainUnavailable,
    LedgerMissing,
    MalformedEntry,
    MissingBlob,
    NotApproved,
    NotAuthorised,
    NotOnChain,
    UnknownTestset,
)
from ledger.evm import attest
from ledger.evm.deploy import deploy_verifier
from ledger.evm.engine import EvmLedger
from ledger.evm.node import Node
from ledger.invariants import check_all
from ledger.proofs import bundle_verifier
from tests.ledger.evm.evm_world import (
    ALICE,
    ATTESTERS,
    BOB,
    DATA,
    EVALUATOR,
    OPERATOR,
    POOR,
    STRANGER,
    TASK,
    Ledger,
    commitment,
    digest_of,
    new_chain,
    statement,
)
from tests.ledger.evm.halo2_world import Halo2World
from tests.ledger.evm.test_chain_halo2 import ONE, contract_of, delegate
from verifier.verdict import Check, Verdict
from verifier.verify import Options

MANIFEST, WELL_FORMED, ARCHITECTURE = b"manifest", b"well-formed", b"architecture"
SET = replace(DATA, manifest=blob_digest(MANIFEST), well_formed=blob_digest(WELL_FORMED))
OPENED = replace(TASK, architecture=blob_digest(ARCHITECTURE))


def verify(bundle, pins):
    """A verifier of bundles that are statements: what it says is true, if bound to its place."""
    said = Statement.decode(bundle)
    if said.context != pins.context.digest:
        return Verdict(said, (), ProofRejected("context", "another context"))
    return Verdict(said, (Check("all", True),))


def attesters(bundle, entry):
    """Two of the three are reached, in no order."""
    return [who.sign_typed(attest.message(_chain(entry), entry)) for who in ATTESTERS[2:0:-1]]


def _chain(entry):
    _, _, place = entry.origin.rpartition("/eip155:")
    chain, _, contract = place.partition(":0x")
    return entries.Chain(int(chain), contract)


@pytest.fixture(scope="module")
def begun():
    ledger = Ledger.deploy(grants={ALICE.public: 50})
    return ledger, ledger.tester.take_snapshot()


@pytest.fixture
def engine(begun, tmp_path):
    ledger, snapshot = begun
    ledger.tester.revert_to_snapshot(snapshot)
    yield EvmLedger(ledger.node, ledger.address, tmp_path / "blobs", first=ledger.first,
                    confirmations=0, attesters=attesters)  # fmt: skip
    ledger.tester.revert_to_snapshot(snapshot)


def filled(engine):
    """Run a sumcheck task to the release of its set."""
    for who in (EVALUATOR, ALICE, BOB):
        engine.append(engine.sign(entries.IdentityRegister("somebody"), who))
    engine.append(engine.sign(SET, EVALUATOR), [MANIFEST, WELL_FORMED])
    opening = engine.sign(OPENED, OPERATOR)
    engine.append(opening, [ARCHITECTURE])
    for who, model in ((ALICE, "m"), (ALICE, "m2"), (BOB, "n")):
        engine.append(engine.sign(commitment(opening.origin, who, opening.digest, model), who))
    engine.append(engine.sign(entries.TestsetRelease(opening.digest, 0), EVALUATOR))
    return opening.digest


def submission(engine, who, task, model, correct, **changes):
    said = statement(engine.state.origin, who, task, model, correct, **changes)
    bundle = said.encode()
    body = entries.ProofSubmit(task, 0, blob_digest(bundle), said, srs_insecure=False)
    return bundle, engine.sign(body, who)


class TestJob:
    def test_a_sumcheck_task(self, engine):
        task = filled(engine)
        bundle, entry = submission(engine, ALICE, task, "m", 6)
        receipt = engine.submit(bundle, entry, verify)
        assert engine.credited(receipt) == 466
        assert engine.balance(ALICE.public) == 516
        assert engine.entries()[receipt.index] == entry
        assert engine.submission(entry.body, ALICE.public) == entry
        assert engine.submission(entry.body, BOB.public) is None
        assert engine.blob(entry.body.bundle) == bundle
        assert engine.task(task).minted == 466
        assert engine.pins(task).verifier == "00" * 20
        assert engine.refusals() == []
        check_all(engine.state)
        report = engine.audit(verify)
        assert (report.fault, report.proofs, report.size) == (None, 1, engine.state.size)
        assert engine.audit().ok

    def test_the_same_submission_gets_the_same_receipt(self, engine):
        task = filled(engine)
        bundle, entry = submission(engine, ALICE, task, "m", 6)
        receipt = engine.submit(bundle, entry, verify)
        assert engine.submit(bundle, entry, verify) == receipt
        assert engine.balance(ALICE.public) == 516
        transfer = engine.sign(entries.Transfer(BOB.public, 5), ALICE)
        moved = engine.append(transfer)
        assert engine.append(transfer) == moved
        assert engine.balance(BOB.public) == 5

    def test_a_receipt_says_where(self, engine):
        entry = engine.sign(entries.IdentityRegister("alice"), ALICE)
        receipt = engine.append(entry)
        mined = engine.node.web3.eth.get_transaction_receipt("0x" + receipt.transaction)
        assert mined["blockHash"].hex() == receipt.block
        assert mined["blockNumber"] == receipt.number
        assert receipt.digest == entry.digest
        assert canonical_json(json.loads(receipt.encode())).decode() == receipt.encode()
        assert engine.receipt(receipt.index) == receipt
        for index in (-1, receipt.index + 1):
            with pytest.raises(LedgerError, match="no entry"):
                engine.receipt(index)

    def test_a_checkpoint_is_that_of_any_other_mirror(self, engine, tmp_path):
        filled(engine)
        known = engine._mirror
        other = EvmLedger(engine.node, known.contract, tmp_path / "b", first=0, confirmations=0)
        assert other.checkpoint() == engine.checkpoint()
        assert json.loads(engine.checkpoint())["size"] == engine.state.size

    def test_without_enough_attesters(self, engine):
        task = filled(engine)
        engine.attesters = lambda bundle, entry: attesters(bundle, entry)[:1]
        bundle, entry = submission(engine, ALICE, task, "m", 6)
        with pytest.raises(NotApproved):
            engine.submit(bundle, entry, verify)
        engine.attesters = None
        with pytest.raises(NotApproved):
            engine.submit(bundle, entry, verify)


class TestRefusals:
    def test_nothing_is_kept_of_a_refused_entry(self, engine):
        entry = engine.sign(SET, STRANGER)
        with pytest.raises(NotAuthorised):
            engine.append(entry, [MANIFEST, WELL_FORMED])
        with pytest.raises(MissingBlob):
            engine.blob(SET.manifest)

    def test_blobs_must_be_there(self, engine):
        engine.append(engine.sign(entries.IdentityRegister("x"), EVALUATOR))
        with pytest.raises(MissingBlob):
            engine.append(engine.sign(SET, EVALUATOR), [MANIFEST])
        assert engine.put_blob(WELL_FORMED) == SET.well_formed
        engine.append(engine.sign(SET, EVALUATOR), [MANIFEST])

    def test_proofs(self, engine):
        task = filled(engine)
        bundle, entry = submission(engine, ALICE, task, "m", 6)
        with pytest.raises(MalformedEntry):
            engine.append(entry)
        with pytest.raises(MalformedEntry):
            engine.submit(bundle, engine.sign(entries.Transfer(BOB.public, 1), ALICE), verify)
        with pytest.raises(ProofRejected, match="bundle"):
            engine.submit(b"another", entry, verify)
        lying = submission(engine, BOB, task, "n", 6)[1].body.statement
        with pytest.raises(ProofRejected, match="context"):
            body = replace(entry.body, bundle=blob_digest(lying.encode()))
            engine.submit(lying.encode(), replace(entry, body=body), verify)
        more = replace(entry.body.statement, correct=7, shard_correct=(7,))
        with pytest.raises(ProofRejected, match="statement"):
            engine.submit(bundle, replace(entry, body=replace(entry.body, statement=more)), verify)
        with pytest.raises(BelowPolicy):
            engine.submit(*submission(engine, ALICE, task, "m", 1), verify)

    def test_whose_key_is_not_here(self, engine, tmp_path):
        entry = engine.sign(entries.IdentityRegister("alice"), ALICE)
        other = EvmLedger(engine.node, engine._mirror.contract, tmp_path / "b", confirmations=0)
        with pytest.raises(BadKey):
            other.append(entry)

    def test_an_old_number(self, engine):
        first = engine.sign(entries.IdentityRegister("alice"), ALICE)
        engine.append(first)
        with pytest.raises(BadNonce):
            engine.append(replace(first, body=entries.Transfer(ALICE.public, 1)))

    def test_what_is_not_on_a_chain(self, engine):
        with pytest.raises(NotOnChain):
            engine.append(engine.sign(entries.Bond(digest_of("x"), 1), ALICE))

    def test_no_ledger_there(self, engine, tmp_path):
        for address in ("11" * 20, engine.node.contract("22" * 20).address[2:].lower()):
            with pytest.raises(LedgerMissing):
                EvmLedger(engine.node, address, tmp_path / "none", confirmations=0)
        for address in ("0x" + "11" * 20, "11", "GG" * 20):
            with pytest.raises(LedgerError, match="20 bytes"):
                EvmLedger(engine.node, address, tmp_path / "none")

    def test_an_account_without_funds(self, engine):
        with pytest.raises(ChainUnavailable):
            engine.append(engine.sign(entries.IdentityRegister("poor"), POOR))

    def test_a_node_that_is_not_there(self, tmp_path):
        node = Node.at("http://127.0.0.1:9/v3/a-key-to-it", timeout=1)
        with pytest.raises(ChainUnavailable, match="cannot be reached") as caught:
            EvmLedger(node, "11" * 20, tmp_path / "b")
        assert "a-key-to-it" not in "".join(traceback.format_exception(caught.value))


class TestConfirmations:
    def test_too_few_in_time(self, begun, tmp_path):
        """The entry is on the chain, but not deep enough yet; later it is, and it is there once."""
        ledger, snapshot = begun
        ledger.tester.mine_blocks(4)
        engine = EvmLedger(ledger.node, ledger.address, tmp_path / "b", confirmations=2, wait=0)
        entry = engine.sign(entries.IdentityRegister("alice"), ALICE)
        with pytest.raises(ChainUnavailable, match="not confirmed") as caught:
            engine.append(entry)
        assert caught.value.details["transaction"]
        assert ALICE.public not in engine.state.identities
        ledger.tester.mine_blocks(2)
        receipt = engine.append(entry)
        assert receipt.transaction == caught.value.details["transaction"]
        assert engine.state.nonce(ALICE.public) == 1
        ledger.tester.revert_to_snapshot(snapshot)

    def test_a_proof_that_was_taken_back(self, engine, begun):
        """A reorganisation takes the payment away, and the same submission earns it again."""
        ledger, _ = begun
        task = filled(engine)
        fork = ledger.tester.take_snapshot()
        bundle, entry = submission(engine, ALICE, task, "m", 6)
        first = engine.submit(bundle, entry, verify)
        assert engine.balance(ALICE.public) == 516
        ledger.tester.revert_to_snapshot(fork)
        ledger.tester.mine_block()
        assert engine.balance(ALICE.public) == 50
        assert engine.audit(verify).ok
        second = engine.submit(bundle, entry, verify)
        assert engine.balance(ALICE.public) == 516
        assert (second.index, second.digest) == (first.index, first.digest)
        assert second.block != first.block


class Lying(Node):
    """A node that answers one question about the contract's storage wrongly."""

    def __init__(self, web3, function, answer):
        super().__init__(web3)
        self.function, self.answer = function, answer

    def call(self, function, **options):
        found = super().call(function, **options)
        return self.answer(found) if function.fn_name == self.function else found


LIES = {
    "size": [lambda n: n + 1],
    "minted": [lambda n: n + 1],
    "promised": [lambda n: n + 1],
    "balances": [lambda n: n + 1],
    "nonces": [lambda n: n + 1],
    "spentBy": [lambda n: 0],
    "testsets": [lambda v: [*v[:4], v[4] + 1], lambda v: [v[0], False, *v[2:]]],
    "taskState": [
        lambda v: [v[0], v[1], v[2] + 1, *v[3:]],
        lambda v: [*v[:4], bytes(31) + b"1"],
    ],
}


class TestAudit:
    def test_any_difference_is_found(self, engine):
        task = filled(engine)
        engine.submit(*submission(engine, ALICE, task, "m", 6), verify)
        assert engine.audit(verify).ok
        node = engine.node
        for function, answers in LIES.items():
            for answer in answers:
                engine.node = Lying(node.web3, function, answer)
                report = engine.audit()
                assert not report.ok, function
                assert "the contract has" in report.fault

    def test_attested_but_not_so(self, engine):
        """k attesters together can lie; who has the bundle and looks finds out."""
        task = filled(engine)
        bundle, entry = submission(engine, ALICE, task, "m", 6)
        engine.submit(bundle, entry, verify)
        rejecting = lambda b, p: Verdict(None, (), ProofRejected("sumcheck", "no"))  # noqa: E731
        assert "a proof that is none" in engine.audit(rejecting).fault
        other = replace(entry.body.statement, correct=5, shard_correct=(5,))
        report = engine.audit(lambda b, p: Verdict(other, (Check("all", True),)))
        assert "another statement" in report.fault

    def test_a_bundle_that_nobody_has(self, engine, tmp_path):
        task = filled(engine)
        engine.submit(*submission(engine, ALICE, task, "m", 6), verify)
        other = EvmLedger(engine.node, engine._mirror.contract, tmp_path / "b", confirmations=0)
        assert other.audit().ok
        report = other.audit(verify)
        assert (report.fault, report.proofs, report.unavailable) == (None, 0, 1)


def approvals(engine, entry, pins):
    """Of two governors who look at nothing."""
    text = attest.pinning(_chain(entry), entry, pins, engine.node.code(pins.verifier))
    return [who.sign_typed(text) for who in ATTESTERS[1:]]


def believing(said):
    """A verifier that accepts a statement whatever the bundle: the chain's is what is tested."""
    return lambda bundle, pins: Verdict(said, (Check("all", True),), None, srs_insecure=True)


class TestHalo2:
    """The golden proof through the engine, with the real verifiers."""

    @pytest.fixture
    def world(self):
        return Halo2World.load()

    def job(self, engine, world, address):
        for who in (EVALUATOR, ALICE):
            engine.append(engine.sign(entries.IdentityRegister("somebody"), who))
        engine.append(engine.sign(world.data, EVALUATOR), [world.manifest.to_bytes()])
        opening = engine.sign(world.terms, OPERATOR)
        engine.append(opening, [world.circuit.encode()], verifier=address,
                      approvals=approvals(engine, opening, world.pins(address)))  # fmt: skip
        said = world.bundle.statement
        commit = entries.ModelCommit(opening.digest, 0, said.model, said.context)
        engine.append(engine.sign(commit, ALICE))
        engine.append(engine.sign(entries.TestsetRelease(opening.digest, 0), EVALUATOR))
        return opening.digest

    def submission(self, engine, world, task):
        bundle = world.bundle.encode()
        body = entries.ProofSubmit(task, 0, blob_digest(bundle), world.bundle.statement, True)
        return bundle, engine.sign(body, ALICE)

    def test_a_whole_job(self, world, tmp_path):
        ledger = Ledger.deploy()
        engine = EvmLedger(ledger.node, ledger.address, tmp_path / "b", confirmations=0)
        address = deploy_verifier(engine.node, OPERATOR, world.verifier).address
        task = self.job(engine, world, address)
        assert engine.pins(task) == world.pins(address)
        assert engine.verifier_code(task) == world.verifier.runtime
        bundle, entry = self.submission(engine, world, task)
        receipt = engine.submit(bundle, entry, believing(world.bundle.statement))
        assert engine.credited(receipt) == 620
        # Somebody who has only the public files puts the bundle together from the chain.
        other = EvmLedger(ledger.node, ledger.address, tmp_path / "c", confirmations=0)
        for blob in (world.manifest.to_bytes(), world.circuit.encode()):
            other.put_blob(blob)
        with pytest.raises(MissingBlob):
            other.blob(entry.body.bundle)
        seen = []
        check = bundle_verifier(other, Options(srs=world.srs))
        report = other.audit(lambda b, pins: seen.append(b) or check(b, pins))
        assert (report.fault, report.proofs) == (None, 1)
        assert seen == [bundle]

    def test_a_verifier_that_accepts_everything(self, world, tmp_path):
        """A task's owner can pay whom it likes from its pool; an audit shows that it did."""
        ledger = Ledger.deploy()
        engine = EvmLedger(ledger.node, ledger.address, tmp_path / "b", confirmations=0)
        task = self.job(engine, world, contract_of(ledger, ONE))
        assert engine.verifier_code(task) != world.verifier.runtime
        _, entry = self.submission(engine, world, task)
        said = replace(world.bundle.statement, correct=8, shard_correct=(3, 3, 2))
        forged = replace(world.bundle, statement=said).encode()
        body = replace(entry.body, statement=said, bundle=blob_digest(forged))
        engine.submit(forged, replace(entry, body=body), believing(said))
        report = engine.audit(bundle_verifier(engine, Options(srs=world.srs)))
        assert "the contract paid for a proof that is none" in report.fault

    def test_wrong_pins_are_found_before_anybody_commits(self, world, tmp_path):
        ledger = Ledger.deploy()
        verifier = contract_of(ledger, ONE)
        task = world.open(ledger, verifier, in_range=1)
        engine = EvmLedger(ledger.node, ledger.address, tmp_path / "b", confirmations=0)
        with pytest.raises(MissingBlob):
            engine.pins(task)
        for blob in (world.manifest.to_bytes(), world.circuit.encode()):
            engine.put_blob(blob)
        with pytest.raises(BadPins, match="in_range"):
            engine.pins(task)

    def registered(self, engine, world, **changes):
        engine.append(engine.sign(entries.IdentityRegister("somebody"), EVALUATOR))
        body = replace(world.data, **changes)
        engine.append(engine.sign(body, EVALUATOR), [world.manifest.to_bytes()])

    def test_a_task_needs_a_verifier_and_the_right_files(self, world, tmp_path):
        ledger = Ledger.deploy()
        engine = EvmLedger(ledger.node, ledger.address, tmp_path / "b", confirmations=0)
        circuit = world.circuit.encode()
        with pytest.raises(UnknownTestset):
            engine.append(engine.sign(world.terms, OPERATOR), [circuit])
        self.registered(engine, world)
        with pytest.raises(BadPins, match="verifier"):
            engine.append(engine.sign(world.terms, OPERATOR), [circuit])
        yes = contract_of(ledger, ONE)
        with pytest.raises(NotApproved):
            engine.append(engine.sign(world.terms, OPERATOR), [circuit], verifier=yes)
        other = replace(world.circuit, model_budget=7).encode()
        body = replace(world.terms, architecture=blob_digest(other))
        with pytest.raises(BadPins, match="circuit"):
            engine.append(engine.sign(body, OPERATOR), [other], verifier=yes)
        with pytest.raises(BadPins, match="SRS"):
            body = replace(world.terms, srs="11" * 32)
            engine.append(engine.sign(body, OPERATOR), [circuit], verifier=yes)

    @pytest.mark.parametrize("change", [{"openings": 3}, {"samples": 9}])
    def test_a_registration_that_promises_more_than_its_set(self, world, tmp_path, change):
        ledger = Ledger.deploy()
        engine = EvmLedger(ledger.node, ledger.address, tmp_path / "b", confirmations=0)
        self.registered(engine, world, **change)
        with pytest.raises(BadPins, match=next(iter(change))):
            engine.append(engine.sign(world.terms, OPERATOR), [world.circuit.encode()],
                          verifier=contract_of(ledger, ONE))  # fmt: skip

    def test_a_governor_signs_what_it_derived_itself(self, world, tmp_path):
        ledger = Ledger.deploy()
        engine = EvmLedger(ledger.node, ledger.address, tmp_path / "b", confirmations=0)
        self.registered(engine, world)
        opening = engine.sign(world.terms, OPERATOR)
        good = deploy_verifier(engine.node, OPERATOR, world.verifier).address
        files = (world.circuit.encode(), world.manifest.to_bytes())
        own = {"vk": world.vk, "runtime": world.verifier.runtime}

        def approve(verifier=good, files=files, entry=opening, who=ATTESTERS[0], **changes):
            return engine.approve(entry, verifier, files, governor=who, **(own | changes))

        with pytest.raises(BadPins, match="the code at"):
            approve(contract_of(ledger, ONE))
        with pytest.raises(BadPins, match="verifying key"):
            approve(vk="11" * 32)
        with pytest.raises(BadPins, match="circuit"):
            approve(files=(replace(world.circuit, model_budget=7).encode(), files[1]))
        with pytest.raises(NotAuthorised):
            approve(entry=engine.sign(world.terms, EVALUATOR))
        with pytest.raises(BadPins, match="no task"):
            approve(entry=engine.sign(entries.Transfer(ALICE.public, 1), OPERATOR))
        signatures = [approve(who=who) for who in ATTESTERS[::-1]]
        engine.append(opening, [files[0]], verifier=good, approvals=signatures)
        assert engine.pins(opening.digest) == world.pins(good)

    @pytest.mark.parametrize("how", ["dirty", "short", "relayed", "reworded"])
    def test_unusual_submissions_do_not_stop_an_audit(self, world, tmp_path, how):
        """Padding that the contract does not look at; and a call by way of other code."""
        ledger = Ledger.deploy()
        engine = EvmLedger(ledger.node, ledger.address, tmp_path / "b", confirmations=0)
        task = self.job(engine, world, contract_of(ledger, ONE))
        _, entry = self.submission(engine, world, task)
        call = ledger.call(entry, world.evidence)
        data = bytes.fromhex(call.build_transaction({"gas": 1, "nonce": 0})["data"][2:])
        padding = -len(canonical_json(world.bundle.circuit)) % 32
        assert padding and data.endswith(bytes(padding))
        sent = {"dirty": data[:-1] + b"\x01", "short": data[:-padding]}.get(how, data)
        payer, to = ALICE.address, ledger.contract.address
        if how in ("relayed", "reworded"):
            # Somebody else pays, and alice's account passes on what it gets, or nearly so.
            passing = relay(ledger)
            if how == "reworded":
                place = data.index(world.bundle.proofs[2]) + 1000
                passing = relay(ledger, place, data[place])
                sent = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
            delegate(ledger, contract_of(ledger, passing), ALICE)
            payer, to = OPERATOR.address, ALICE.address
        web3 = engine.node.web3
        mined = web3.eth.send_transaction({"from": payer, "to": to, "data": sent, "gas": 9_000_000})
        assert web3.eth.get_transaction_receipt(mined)["status"] == 1
        assert engine.balance(ALICE.public) == 620
        report = engine.audit(believing(world.bundle.statement))
        if how == "reworded":
            assert (report.fault, report.proofs, report.unavailable) == (None, 0, 1)
            engine.put_blob(world.bundle.encode())
            report = engine.audit(believing(world.bundle.statement))
        assert (report.fault, report.proofs, report.unavailable) == (None, 1, 0)


def relay(ledger, at=0, byte=None):
    """Code that calls the ledger with what it is called with, one byte of which it may change."""
    copy, change = "366000600037", "" if byte is None else f"60{byte:02x}61{at:04x}53"
    again = f"60006000366000600073{ledger.address}5af100"
    return bytes.fromhex(copy + change + again)


def test_a_chain_without_the_ledger(tmp_path):
    node, _ = new_chain()
    with pytest.raises(LedgerMissing):
        EvmLedger(node, "33" * 20, tmp_path / "b", confirmations=0)
