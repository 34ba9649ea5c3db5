"""A mirror follows its chain back and forth, and believes neither contract nor node."""

from __future__ import annotations

import pytest

from circuits.encoding import digest
from ledger import entries
from ledger.errors import ChainDisagrees, ChainUnavailable, InsufficientFunds
from ledger.evm import attest, events
from ledger.evm.artefact import ledger_contract
from ledger.evm.calls import call
from ledger.evm.mirror import Mirror
from ledger.evm.node import Node, NodeRefused
from ledger.invariants import check_all
from ledger.state import State
from tests.ledger.evm.evm_world import (
    ALICE,
    ATTESTERS,
    BOB,
    ENOUGH_GAS,
    EVALUATOR,
    OPERATOR,
    Ledger,
)
from tests.ledger.evm.test_chain_halo2 import ONE


def follow(ledger, confirmations=0, node=None):
    mirror = Mirror(node or ledger.node, ledger.address, ledger.first, confirmations)
    mirror.refresh()
    return mirror


def same(mirror, ledger):
    """Check a mirror against one that reads the chain for the first time."""
    fresh = follow(ledger, mirror.confirmations)
    assert mirror.state == fresh.state
    assert mirror.frontier.root == fresh.frontier.root
    assert mirror.entries == fresh.entries
    check_all(mirror.state)


class TestFollowing:
    def test_all_of_it(self, ready):
        ledger, task = ready
        entry = ledger.prove(ALICE, task, "m", 6)
        mirror = follow(ledger)
        assert mirror.entries[-2] == entry
        assert dict(mirror.state.balances) == {ALICE.public: 516}
        assert mirror.state.origin == ledger.origin
        assert mirror.state.genesis.chain == ledger.chain
        check_all(mirror.state)

    def test_step_by_step(self, ready):
        ledger, task = ready
        mirror = follow(ledger)
        for correct, model in ((4, "m"), (8, "m2")):
            ledger.prove(ALICE, task, model, correct)
            mirror.refresh()
            same(mirror, ledger)
        mirror.refresh()
        assert mirror.rollbacks == 0

    def test_only_what_is_confirmed(self, ready):
        ledger, task = ready
        mirror = follow(ledger, confirmations=3)
        before = mirror.state.size
        ledger.prove(ALICE, task, "m", 6)
        mirror.refresh()
        assert mirror.state.size < before + 3
        ledger.tester.mine_blocks(3)
        mirror.refresh()
        assert mirror.state.balances[ALICE.public] == 516
        same(mirror, ledger)

    @pytest.mark.parametrize("span", [1, 2, 5])
    def test_in_small_ranges(self, ready, span):
        ledger, task = ready
        ledger.prove(ALICE, task, "m", 6)
        whole = follow(ledger)
        mirror = Mirror(ledger.node, ledger.address, 0, 0, span)
        mirror.refresh()
        assert (mirror.state, mirror.entries) == (whole.state, whole.entries)


class TestReorganisations:
    def test_an_accepted_proof_vanishes(self, ready):
        ledger, task = ready
        mirror = follow(ledger)
        before = mirror.state
        fork = ledger.tester.take_snapshot()
        ledger.prove(ALICE, task, "m", 6)
        mirror.refresh()
        assert mirror.state.balances[ALICE.public] == 516
        assert len(mirror.state.nullifiers) == 1
        ledger.tester.revert_to_snapshot(fork)
        mirror.refresh()
        assert mirror.state == before
        ledger.do(ALICE, entries.Transfer(BOB.public, 7))
        ledger.do(BOB, entries.Transfer(ALICE.public, 1))
        mirror.refresh()
        assert mirror.rollbacks == 1
        assert not mirror.state.nullifiers
        assert dict(mirror.state.balances) == {ALICE.public: 44, BOB.public: 6}
        same(mirror, ledger)

    def test_the_new_chain_is_longer(self, ready):
        ledger, task = ready
        mirror = follow(ledger)
        fork = ledger.tester.take_snapshot()
        ledger.prove(ALICE, task, "m", 6)
        ledger.prove(BOB, task, "n", 8)
        mirror.refresh()
        ledger.tester.revert_to_snapshot(fork)
        ledger.tester.mine_blocks(3)
        ledger.prove(BOB, task, "n", 4)
        ledger.tester.mine_blocks(3)
        mirror.refresh()
        assert mirror.rollbacks == 1
        assert set(mirror.state.balances) == {ALICE.public, BOB.public}
        same(mirror, ledger)

    def test_the_same_entries_in_other_blocks(self, ready):
        ledger, task = ready
        mirror = follow(ledger)
        fork = ledger.tester.take_snapshot()
        ledger.prove(ALICE, task, "m", 6)
        mirror.refresh()
        root = mirror.frontier.root
        ledger.tester.revert_to_snapshot(fork)
        ledger.tester.mine_blocks(2)
        ledger.prove(ALICE, task, "m", 6)
        mirror.refresh()
        assert mirror.rollbacks == 1
        assert mirror.frontier.root == root
        same(mirror, ledger)

    def test_even_the_genesis(self):
        ledger = Ledger.deploy(grants={ALICE.public: 50})
        # eth-tester counts blocks from 0, and the ledger's own is the first of its chain.
        before = ledger.tester.take_snapshot()
        mirror = follow(ledger)
        ledger.introduce()
        mirror.refresh()
        assert mirror.state.size == 5
        ledger.tester.revert_to_snapshot(before)
        mirror.refresh()
        assert mirror.state.size == 1
        empty = Ledger.deploy()
        assert empty.tester is not ledger.tester
        lost = Mirror(empty.node, "11" * 20, 0, 0)
        lost.refresh()
        assert lost.state == State() and not lost.events

    def test_while_it_reads(self, ready):
        """The chain turns to another branch between two questions."""
        ledger, task = ready
        fork = ledger.tester.take_snapshot()
        ledger.prove(ALICE, task, "m", 6)

        class Turning(Node):
            turned = False

            def logs(self, contract, first, last):
                found = super().logs(contract, first, last)
                if not self.turned:
                    Turning.turned = True
                    ledger.tester.revert_to_snapshot(fork)
                    ledger.do(ALICE, entries.Transfer(BOB.public, 7))
                return found

        mirror = follow(ledger, node=Turning(ledger.node.web3))
        assert Turning.turned
        assert dict(mirror.state.balances) == {ALICE.public: 43, BOB.public: 7}
        same(mirror, ledger)

    def test_that_never_end(self, ready):
        ledger, _ = ready

        class Restless(Node):
            def logs(self, contract, first, last):
                found = super().logs(contract, first, last)
                fork = ledger.tester.take_snapshot()
                ledger.tester.mine_block()
                ledger.tester.revert_to_snapshot(fork)
                return [{**log, "blockHash": bytes(32)} for log in found]

        with pytest.raises(ChainUnavailable, match="changes"):
            follow(ledger, node=Restless(ledger.node.web3))


class TestNodes:
    """Nodes that are not what they should be, and mirrors that go on."""

    def test_one_that_lags_once(self, ready):
        """Behind its own head, it says once that there is nothing."""
        ledger, task = ready

        class Lagging(Node):
            late = 1

            def logs(self, contract, first, last):
                self.late, late = self.late - 1, self.late
                return [] if late == 1 else super().logs(contract, first, last)

        node = Lagging(ledger.node.web3)
        mirror = follow(ledger, node=ledger.node)
        mirror.node = node
        ledger.prove(ALICE, task, "m", 4)
        mirror.refresh()
        ledger.prove(BOB, task, "n", 8)
        mirror.refresh()
        same(mirror, ledger)

    @pytest.mark.parametrize("limit", [1, 3])
    def test_one_that_answers_few_blocks_at_once(self, ready, limit):
        ledger, task = ready
        ledger.prove(ALICE, task, "m", 6)

        class Stingy(Node):
            def logs(self, contract, first, last):
                if last - first >= limit:
                    raise NodeRefused("too many blocks")
                return super().logs(contract, first, last)

        mirror = follow(ledger, node=Stingy(ledger.node.web3))
        assert mirror.span <= limit
        same(mirror, ledger)

    def test_one_that_answers_nothing(self, ready):
        ledger, _ = ready

        class Silent(Node):
            def logs(self, contract, first, last):
                raise NodeRefused("no")

        with pytest.raises(ChainUnavailable, match="no"):
            follow(ledger, node=Silent(ledger.node.web3))


def creation(body):
    """Creation code of a contract with this code, of any size."""
    return bytes.fromhex(f"61{len(body):04x}80600c6000396000f3") + body


class TestImpostors:
    def test_code_that_is_no_ledger(self, ready):
        ledger, _ = ready
        for body in (ONE, ledger_contract().runtime[:-1] + b"\0"):
            factory = ledger.node.web3.eth.contract(abi=[], bytecode=creation(body))
            made = ledger.node.send(OPERATOR, factory.constructor(), ENOUGH_GAS)
            with pytest.raises(ChainDisagrees, match="not a ledger"):
                Mirror(ledger.node, made.contract, 0, 0).refresh()

    def test_events_without_a_contract(self, ready):
        """A constructor can announce what it likes and leave no code behind."""
        ledger, _ = ready
        log = ledger.node.logs(ledger.contract, 0, ledger.node.head().number)[0]
        data, topic = bytes(log["data"]), bytes(log["topics"][0])
        size = len(data)
        #       CODECOPY the data, LOG1 it, RETURN nothing
        head = f"61{size:04x}61{{at:04x}}6000397f{topic.hex()}61{size:04x}6000a160006000f3"
        start = len(head.format(at=0)) // 2
        init = bytes.fromhex(head.format(at=start)) + data
        factory = ledger.node.web3.eth.contract(abi=[], bytecode=init)
        made = ledger.node.send(OPERATOR, factory.constructor(), ENOUGH_GAS)
        place = ledger.node.contract(made.contract)
        assert len(ledger.node.logs(place, 0, ledger.node.head().number)) == 1
        mirror = Mirror(ledger.node, made.contract, 0, 0)
        mirror.refresh()
        assert mirror.state == State()

    def test_the_origin_of_another(self, ready):
        ledger, _ = ready
        other = entries.Chain(ledger.chain.id, "11" * 20)
        logs = ledger.node.logs(ledger.contract, 0, ledger.node.head().number)
        with pytest.raises(ChainDisagrees, match="origin"):
            events.read(ledger.contract, logs[0], State(), other)


@pytest.mark.parametrize("table", [b"[" * 20_000, b"5", b"[[1]", b"[[01]]", b"[]", b"[[1,2],[3]]"])
def test_tables_that_are_none(ready, table):
    """Attested by k who lie together: that has a name, and ends nobody's process."""
    ledger, task = ready
    entry = ledger.submission(ALICE, task, "m", 6)
    nonce, id_, round_, claim, bundle, _ = call(ledger.contract, entry).args
    changed = (*claim[:6], table)
    domain = attest.message(ledger.chain, entry)
    said = entry.body.statement.encode().replace(
        b'"samples"', b'"per_class":' + table + b',"samples"'
    )
    domain["message"]["statement"] = "0x" + digest("statement", said)
    signatures = [who.sign_typed(domain) for who in ATTESTERS[:2]]
    function = ledger.contract.functions.submitAttested(
        nonce, id_, round_, changed, bundle, signatures
    )
    ledger.node.send(ALICE, function, 25_000_000)
    with pytest.raises(ChainDisagrees):
        follow(ledger)


class Lying(Node):
    """A node that shows other events than there are; stands for a faulty contract, too."""

    def __init__(self, web3, lie):
        super().__init__(web3)
        self.lie = lie

    def logs(self, contract, first, last):
        found = [dict(log) for log in super().logs(contract, first, last)]
        return self.lie(found)


def word(log, at, value):
    data = bytes(log["data"])
    changed = data[: 32 * at] + value.to_bytes(32, "big") + data[32 * at + 32 :]
    return {**log, "data": changed}


def at(place, change):
    return lambda logs: [*logs[:place], change(logs[place]), *logs[place + 1 :]]


GENESIS, NAMED, DATA, OPENED, COMMITTED, RELEASED, PROVEN, PAID = 0, 1, 4, 5, 6, 9, 10, 11


class TestLies:
    @pytest.fixture
    def told(self, ready):
        ledger, task = ready
        ledger.prove(ALICE, task, "m", 6)
        assert follow(ledger).state.size == PAID + 1
        return ledger

    @pytest.mark.parametrize(("lie", "what"), [
        (at(PAID, lambda log: word(log, 3, 467)), "NOT_AUTHORISED"),  # one unit more
        (at(PAID, lambda log: word(log, 2, int(BOB.public, 16))), "NOT_AUTHORISED"),  # to another
        (at(PAID, lambda log: word(log, 4, 3)), "NOT_AUTHORISED"),  # for another proof
        (lambda logs: logs[:PAID], "did not pay"),
        (lambda logs: [*logs, {**logs[PAID], "data": word(logs[PAID], 0, 12)["data"]}],
         "NOT_AUTHORISED"),  # paid twice
        (lambda logs: logs[:PROVEN] + logs[PAID:], "number 11"),
        (lambda logs: logs[1:], "names no ledger"),
        (lambda logs: [*logs[:3], logs[2], *logs[3:]], "number 2"),
        (at(NAMED, lambda log: word(log, 0, 2)), "number 2"),
        (at(NAMED, lambda log: word(log, 2, 1)), "BAD_NONCE"),
        (at(DATA, lambda log: word(log, 1, int(BOB.public, 16))), "BAD_NONCE"),
        (at(DATA, lambda log: word(log, 4, 0)), "MALFORMED_ENTRY|samples"),
        (at(OPENED, lambda log: word(log, 3, 1)), "digest"),  # another identifier
        (at(COMMITTED, lambda log: word(log, 5, 1)), "NOT_COMMITTED|STATEMENT"),
        (at(RELEASED, lambda log: word(log, 1, int(ALICE.public, 16))), "BAD_NONCE"),
        (at(PROVEN, lambda log: word(log, 6, 1)), "digest"),  # of another statement
        (at(PROVEN, lambda log: word(log, 4, 1)), "WRONG_PHASE|WRONG_CONTEXT"),
        (at(GENESIS, lambda log: {**log, "topics": [bytes(32)]}), "unknown"),
        (at(NAMED, lambda log: {**log, "address": BOB.address}), "another contract"),
        (at(GENESIS, lambda log: {**log, "data": log["data"][:-32]}), "no entry"),
    ])  # fmt: skip
    def test_each_is_found_by_name(self, told, lie, what):
        with pytest.raises(ChainDisagrees, match=what) as caught:
            follow(told, node=Lying(told.node.web3, lie))
        assert caught.value.code == "CHAIN_DISAGREES"

    def test_nothing_is_taken_over_from_a_lie(self, told):
        """A mirror that found one has no entry of the block it stands in."""
        node = Lying(told.node.web3, lambda logs: [*logs[:-1], word(logs[-1], 3, 467)])
        mirror = Mirror(node, told.address, told.first, 0)
        for _ in range(2):
            with pytest.raises(ChainDisagrees):
                mirror.refresh()
            assert mirror.state.size == PROVEN
            assert len(mirror.events) == PROVEN
        node.lie = list
        mirror.refresh()
        same(mirror, told)

    def test_a_hidden_entry(self, told):
        """Left out at the end it cannot be seen here; the audit compares with the contract."""
        lied = follow(told, node=Lying(told.node.web3, lambda logs: logs[:PROVEN]))
        assert lied.state.size == PROVEN


def test_a_contract_s_refusals_leave_no_trace(ready):
    ledger, _ = ready
    before = follow(ledger)
    function = ledger.contract.functions.transfer(99, BOB.address, 1)
    built = function.build_transaction(
        {
            "from": ALICE.address,
            "gas": 500_000,
            "nonce": _count(ledger, ALICE),
            "chainId": ledger.chain.id,
        }
    )
    raw, _ = ALICE.sign_transaction(built)
    ledger.node.web3.eth.send_raw_transaction(raw)
    assert follow(ledger).state == before.state


def _count(ledger, who):
    return ledger.node.web3.eth.get_transaction_count(who.address)


def test_a_send_that_fails_in_its_block_says_why(ready):
    """Estimated on one state, mined on another: the block's own state is asked for the reason."""
    ledger, _ = ready
    entry = ledger.entry(EVALUATOR, entries.Transfer(ALICE.public, 1))
    function = call(ledger.contract, entry)
    build = function.build_transaction
    function.build_transaction = lambda options: build({**options, "gas": 400_000})
    with pytest.raises(InsufficientFunds):
        ledger.node.send(EVALUATOR, function)
