"""The contract's own refusals, asked directly: no engine and no rules stand in front of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from circuits.encoding import json_digest
from circuits.errors import WrongContext
from ledger import entries
from ledger.errors import (
    AlreadyRegistered,
    BadNonce,
    BadPins,
    BelowPolicy,
    InsufficientFunds,
    MalformedEntry,
    NotAuthorised,
    NotCommitted,
    NotOnChain,
    NullifierSpent,
    OverBudget,
    StatementMismatch,
    UnknownTask,
    UnknownTestset,
    WrongPhase,
)
from ledger.evm.artefact import ledger_contract
from ledger.evm.calls import Opening, call
from ledger.evm.node import checksum
from ledger.evm.pins import NO_PINS
from ledger.policy import Policy, Windows
from tests.ledger.evm.evm_world import (
    ALICE,
    BOB,
    CHARTER,
    DATA,
    EVALUATOR,
    MAX_POOL,
    OPERATOR,
    POLICY,
    STRANGER,
    TASK,
    Ledger,
    commitment,
    digest_of,
    new_chain,
)

MOST = 2**53 - 1


def refused(error, ledger, who, body, nonce=None, evidence=None):
    with pytest.raises(error) as caught:
        ledger.attempt(who, ledger.entry(who, body, nonce), evidence)
    assert type(caught.value) is error


class TestWho:
    def test_a_stranger_may_only_register(self, ready):
        ledger, task = ready
        commit = commitment(ledger.origin, STRANGER, task, "m")
        release, transfer = entries.TestsetRelease(task, 0), entries.Transfer(ALICE.public, 1)
        for body in (DATA, TASK, commit, release, transfer):
            refused(NotAuthorised, ledger, STRANGER, body)
        ledger.do(STRANGER, entries.IdentityRegister("stranger"))
        refused(AlreadyRegistered, ledger, STRANGER, entries.IdentityRegister("again"))

    @pytest.mark.parametrize("nonce", [0, 3, 5, MOST])
    def test_numbers_are_contiguous(self, ready, nonce):
        ledger, _ = ready
        assert ledger.ask("nonces", ALICE.address) == 3
        refused(BadNonce if nonce != 3 else InsufficientFunds, ledger, ALICE,
                entries.Transfer(BOB.public, 1000), nonce)  # fmt: skip

    def test_only_task_owners_open_tasks(self, ready):
        ledger, _ = ready
        for who in (ALICE, EVALUATOR):
            refused(NotAuthorised, ledger, who, TASK)

    def test_only_the_evaluator_releases(self, ready):
        ledger, _ = ready
        root = digest_of("other")
        ledger.do(BOB, replace(DATA, root=root))
        task = ledger.open(testset=root)
        for who in (ALICE, OPERATOR, EVALUATOR):
            refused(NotAuthorised, ledger, who, entries.TestsetRelease(task, 0))
        ledger.do(BOB, entries.TestsetRelease(task, 0))


class TestTasks:
    def test_a_set_is_registered_once(self, ready):
        ledger, _ = ready
        refused(AlreadyRegistered, ledger, BOB, DATA)

    def test_an_unknown_set(self, ready):
        ledger, _ = ready
        refused(UnknownTestset, ledger, OPERATOR, replace(TASK, testset=digest_of("?")))

    def test_an_opened_set(self, ready):
        ledger, _ = ready
        refused(WrongPhase, ledger, OPERATOR, TASK)

    def test_more_than_there_is(self, ready):
        ledger, _ = ready
        root = digest_of("other")
        ledger.do(BOB, replace(DATA, root=root, openings=4))
        for policy in (replace(POLICY, openings=5), replace(POLICY, openings=4, pool=MAX_POOL + 1)):
            refused(OverBudget, ledger, OPERATOR, replace(TASK, testset=root, policy=policy))

    @pytest.mark.parametrize("change", [
        {"rule": "best", "windows": Windows(commit=1, release=1, prove=1)},
        {"bond": 1, "windows": Windows(commit=1, release=1, prove=1)},
        {"windows": Windows(prove=9)},
        {"windows": Windows(unit="seconds")},
    ])  # fmt: skip
    def test_policies_that_no_contract_keeps(self, ready, change):
        ledger, _ = ready
        refused(NotOnChain, ledger, OPERATOR, replace(TASK, policy=replace(POLICY, **change)))

    @pytest.mark.parametrize("body", [
        entries.Bond(digest_of("x"), 1), entries.TaskClose(digest_of("x")), entries.Clock(1),
        entries.IdentityRevoke(ALICE.public), replace(DATA, parents=(digest_of("p"),)),
        entries.IdentityRegister("x", "11" * 20, "22" * 65), entries.Transfer("11" * 32, 1),
    ], ids=lambda body: body.type)  # fmt: skip
    def test_entries_that_no_contract_has(self, ready, body):
        ledger, _ = ready
        refused(NotOnChain, ledger, ALICE, body)

    @pytest.mark.parametrize("policy", [
        (2, 4, 1, 8, 700, 3, 5), (1, 4, 2, 16, 700, 3, 5), (0, 2, 1, 8, 700, 3, 5),
        (4, 4, 1, 8, 700, 3, 5), (5, 4, 1, 8, 700, 3, 5), (1, 0, 1, 8, 700, 3, 5),
        (1, 4, 0, 1, 700, 3, 5), (1, 4, 9, 8, 700, 3, 5), (1, 4, 1, 2**53, 700, 3, 5),
        (1, 2**53, 1, 8, 700, 3, 5), (1, 4, 1, 8, 2**53, 3, 5), (1, 4, 1, 8, 700, 0, 5),
        (1, 4, 1, 8, 700, 3, 0), (1, 4, 1, 8, 700, 2**53, 5), (0, 0, 1, 8, 700, 3, 5),
    ])  # fmt: skip
    def test_policies_that_are_none(self, ready, policy):
        """What Python cannot even say, said to the contract directly."""
        ledger, _ = ready
        nonce, terms, *rest = ledger.call(ledger.entry(OPERATOR, TASK)).args
        function = ledger.contract.functions.openTask(nonce, (*terms[:-1], policy), *rest)
        with pytest.raises(MalformedEntry):
            ledger.node.call(function, sender=OPERATOR.address)

    def test_a_task_without_rounds_or_with_too_many(self, ready):
        ledger, _ = ready
        nonce, terms, *rest = ledger.call(ledger.entry(OPERATOR, TASK)).args
        for evaluator, rounds in ((False, 0), (True, 0), (False, 2)):
            changed = (*terms[:-3], evaluator, rounds, terms[-1])
            function = ledger.contract.functions.openTask(nonce, changed, *rest)
            with pytest.raises(MalformedEntry):
                ledger.node.call(function, sender=OPERATOR.address)

    def test_pins_where_there_is_nothing_to_pin(self, ready):
        ledger, _ = ready
        root = digest_of("other")
        ledger.do(BOB, replace(DATA, root=root))
        body = replace(TASK, testset=root)
        for name, value in (("verifier", ledger.address), ("k", 1), ("shard_size", 1),
                            ("in_range", 1), ("shards", digest_of("x"))):  # fmt: skip
            told = Opening(BOB.address[2:].lower(), replace(NO_PINS, **{name: value}))
            refused(BadPins, ledger, OPERATOR, body, evidence=told)

    def test_a_set_that_another_registered(self, ready):
        """Mallory saw the evaluator's registration, and hers was mined first."""
        ledger, _ = ready
        root = digest_of("copied")
        ledger.do(BOB, replace(DATA, root=root))
        for evaluator in (EVALUATOR, OPERATOR):
            told = Opening(evaluator.address[2:].lower())
            refused(BadPins, ledger, OPERATOR, replace(TASK, testset=root), evidence=told)
        ledger.open(testset=root)


class TestPhases:
    def test_unknown_tasks(self, ready):
        ledger, _ = ready
        nowhere = digest_of("nowhere")
        refused(UnknownTask, ledger, ALICE, commitment(ledger.origin, ALICE, nowhere, "m"))
        refused(UnknownTask, ledger, EVALUATOR, entries.TestsetRelease(nowhere, 0))
        entry = ledger.submission(ALICE, nowhere, "m", 5)
        with pytest.raises(UnknownTask):
            ledger.push(ALICE, entry, ledger.attested(entry))

    def test_nothing_goes_back(self, ready):
        ledger, task = ready
        refused(WrongPhase, ledger, ALICE, commitment(ledger.origin, ALICE, task, "late"))
        refused(WrongPhase, ledger, EVALUATOR, entries.TestsetRelease(task, 0))
        refused(WrongPhase, ledger, EVALUATOR, entries.TestsetRelease(task, 1))

    def test_rounds_follow_one_another(self, ready):
        ledger, _ = ready
        root = digest_of("rounds")
        ledger.do(EVALUATOR, replace(DATA, root=root))
        task = ledger.open(testset=root, prover="evaluator", rounds=2)
        refused(WrongPhase, ledger, ALICE, commitment(ledger.origin, ALICE, task, "m", 1))
        ledger.commit(ALICE, task, "m")
        refused(AlreadyRegistered, ledger, ALICE, commitment(ledger.origin, ALICE, task, "m"))
        with pytest.raises(WrongPhase):
            ledger.prove(ALICE, task, "m", 5, testset=root)
        ledger.release(task)
        ledger.prove(ALICE, task, "m", 5, testset=root)
        ledger.commit(ALICE, task, "m", 1)
        ledger.release(task, 1)
        ledger.prove(ALICE, task, "m", 5, 1, testset=root)
        refused(WrongPhase, ledger, ALICE, commitment(ledger.origin, ALICE, task, "m", 2))

    def test_a_set_opened_elsewhere(self, ready):
        ledger, _ = ready
        root = digest_of("twice")
        ledger.do(EVALUATOR, replace(DATA, root=root))
        first = ledger.open(testset=root)
        second = ledger.open(testset=root, title="second")
        ledger.release(first)
        refused(WrongPhase, ledger, ALICE, commitment(ledger.origin, ALICE, second, "m"))

    def test_a_context_of_another(self, ready):
        ledger, _ = ready
        root = digest_of("context")
        ledger.do(EVALUATOR, replace(DATA, root=root))
        task = ledger.open(testset=root)
        refused(StatementMismatch, ledger, ALICE, commitment(ledger.origin, BOB, task, "m"))


class TestProofs:
    def test_once(self, ready):
        ledger, task = ready
        ledger.prove(ALICE, task, "m", 6)
        assert ledger.ask("balances", ALICE.address) == 50 + 466
        with pytest.raises(NullifierSpent):
            ledger.prove(ALICE, task, "m", 6)
        with pytest.raises(NullifierSpent):
            ledger.prove(ALICE, task, "m", 7)

    def test_uncommitted(self, ready):
        ledger, task = ready
        with pytest.raises(NotCommitted):
            ledger.prove(BOB, task, "m", 6)

    def test_the_context_of_another(self, ready):
        ledger, task = ready
        said = ledger.submission(BOB, task, "m", 6).body.statement
        with pytest.raises(WrongContext):
            ledger.prove(ALICE, task, "m", 6, context=said.context)

    def test_below_the_minimum(self, ready):
        ledger, task = ready
        with pytest.raises(BelowPolicy):
            ledger.prove(ALICE, task, "m", 1)
        ledger.prove(ALICE, task, "m", 2)
        assert ledger.ask("balances", ALICE.address) == 50

    def test_only_gains_are_paid(self, ready):
        ledger, task = ready
        ledger.prove(BOB, task, "n", 7)
        paid = ledger.ask("balances", BOB.address)
        ledger.prove(ALICE, task, "m", 7)
        assert ledger.ask("balances", ALICE.address) == 50
        ledger.prove(ALICE, task, "m2", 8)
        # Exactly eta above the best: not more than eta, so not paid.
        assert ledger.ask("balances", ALICE.address) == 50
        assert ledger.ask("minted") == 50 + paid

    def test_submissions_of_one(self, ready):
        ledger, _ = ready
        root = digest_of("budget")
        ledger.do(EVALUATOR, replace(DATA, root=root, openings=3))
        policy = replace(POLICY, submissions_per_identity=2, openings=3)
        task = ledger.open(testset=root, policy=policy)
        for model in "abc":
            ledger.commit(ALICE, task, model)
        for model in "de":
            ledger.commit(BOB, task, model)
        ledger.release(task)
        ledger.prove(ALICE, task, "a", 3, testset=root)
        ledger.prove(ALICE, task, "b", 3, testset=root)
        with pytest.raises(OverBudget):
            ledger.prove(ALICE, task, "c", 3, testset=root)
        ledger.prove(BOB, task, "d", 3, testset=root)
        with pytest.raises(OverBudget):
            ledger.prove(BOB, task, "e", 3, testset=root)

    def test_openings_of_a_task_and_of_its_set(self, ready):
        """A set of three openings, with a task of one and a task of three on it."""
        ledger, _ = ready
        root = digest_of("openings")
        ledger.do(EVALUATOR, replace(DATA, root=root, openings=3))
        rounds = {"testset": root, "prover": "evaluator", "rounds": 2}
        few = ledger.open(**rounds, policy=replace(POLICY, openings=1))
        many = ledger.open(**rounds, policy=replace(POLICY, openings=3))
        for task in (few, many):
            for who in (ALICE, BOB):
                ledger.commit(who, task, "m" if who is ALICE else "n")
            ledger.release(task)
        ledger.commit(ALICE, many, "m", 1)
        ledger.release(many, 1)
        ledger.prove(ALICE, few, "m", 3, testset=root)
        with pytest.raises(OverBudget):
            ledger.prove(BOB, few, "n", 3, testset=root)
        ledger.prove(ALICE, many, "m", 3, testset=root)
        ledger.prove(BOB, many, "n", 3, testset=root)
        with pytest.raises(OverBudget):
            ledger.prove(ALICE, many, "m", 3, 1, testset=root)

    def test_counts_that_do_not_add_up(self, ready):
        ledger, task = ready
        function = call(ledger.contract, ledger.submission(ALICE, task, "m", 6))
        nonce, id_, round_, claim, bundle, signatures = function.args
        wrong = ((6, [5]), (6, []), (9, [9]), (2**53, [2**53]), (0, [2**64 - 1, 1]),
                 (6, [6] + [0] * 30_000))  # fmt: skip
        for correct, shards in wrong:
            changed = (*claim[:2], correct, shards, *claim[4:])
            function = ledger.contract.functions.submitAttested(
                nonce, id_, round_, changed, bundle, signatures
            )
            with pytest.raises(MalformedEntry):
                ledger.node.call(function, sender=ALICE.address)

    @pytest.mark.parametrize("text", [b'[[1,2]],"x":1', b"[[1, 2]]", b"null", b"-1"])
    def test_tables_cannot_name_fields(self, ready, text):
        ledger, task = ready
        function = call(ledger.contract, ledger.submission(ALICE, task, "m", 6))
        nonce, id_, round_, claim, bundle, signatures = function.args
        for at in (4, 5, 6):
            changed = (*claim[:at], text, *claim[at + 1 :])
            function = ledger.contract.functions.submitAttested(
                nonce, id_, round_, changed, bundle, signatures
            )
            with pytest.raises(MalformedEntry):
                ledger.node.call(function, sender=ALICE.address)


class TestTransfers:
    def test_units_move(self, ready):
        ledger, _ = ready
        ledger.do(ALICE, entries.Transfer(BOB.public, 20))
        ledger.do(BOB, entries.Transfer(BOB.public, 20))
        assert ledger.ask("balances", ALICE.address) == 30
        assert ledger.ask("balances", BOB.address) == 20
        refused(InsufficientFunds, ledger, BOB, entries.Transfer(ALICE.public, 21))
        refused(NotAuthorised, ledger, BOB, entries.Transfer(STRANGER.public, 1))

    @pytest.mark.parametrize("amount", [0, 2**53, 2**64 - 1])
    def test_amounts_that_are_none(self, ready, amount):
        ledger, _ = ready
        nonce = ledger.ask("nonces", ALICE.address)
        function = ledger.contract.functions.transfer(nonce, BOB.address, amount)
        with pytest.raises(MalformedEntry):
            ledger.node.call(function, sender=ALICE.address)


class TestGenesis:
    def deploy(self, name="x", governors=(1, 2), threshold=1, owners=(1,), pool=1, grants=()):
        def accounts(numbers):
            return [checksum(f"{number:040x}") for number in numbers]

        node, _ = new_chain()
        compiled = ledger_contract()
        contract = node.web3.eth.contract(abi=compiled.abi, bytecode=compiled.bytecode)
        terms = (accounts(governors), threshold, accounts(owners), pool)
        who, amounts = accounts(g for g, _ in grants), [a for _, a in grants]
        return node.send(OPERATOR, contract.constructor(name, True, terms, who, amounts))

    def test_a_good_one(self):
        assert self.deploy(grants=((3, 1), (4, MOST - 1))).contract

    @pytest.mark.parametrize("terms", [
        {"name": ""}, {"name": "a b"}, {"name": "a+b"}, {"name": 'a"'}, {"name": "x" * 129},
        {"governors": ()}, {"governors": (2, 1)}, {"governors": (1, 1)}, {"governors": (0, 1)},
        {"threshold": 0}, {"threshold": 3}, {"owners": ()}, {"owners": (2, 2)},
        {"pool": 2**53}, {"grants": ((3, 0),)}, {"grants": ((3, 1), (3, 1))},
        {"grants": ((3, MOST), (4, 1))},
    ])  # fmt: skip
    def test_bad_ones(self, terms):
        with pytest.raises(MalformedEntry):
            self.deploy(**terms)


wide = st.one_of(st.integers(1, 40), st.integers(MOST - 3, MOST), st.integers(1, MOST))


@given(minimum=st.tuples(wide, wide), eta=st.tuples(wide, wide), pool=wide, samples=wide,
       scores=st.lists(st.integers(0, MOST), min_size=1, max_size=3))  # fmt: skip
@example((MOST - 1, MOST), (1, MOST), MOST, MOST, [MOST, MOST])
@example((0, 1), (1, MOST), MOST, MOST, [MOST - 1, MOST])
@example((0, 1), (MOST - 1, MOST), MOST, MOST, [MOST])
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_ladder_is_that_of_python(rich, minimum, eta, pool, samples, scores):
    """Every number may be as large as JSON carries; nothing overflows, and no unit differs."""
    ledger, snapshot = rich
    ledger.tester.revert_to_snapshot(snapshot)
    low, high = sorted(minimum)
    policy = Policy(
        Fraction(low, high) if low < high else Fraction(0),
        Fraction(min(eta), max(eta)),
        pool,
        submissions_per_identity=len(scores),
        openings=len(scores),
    )
    root = json_digest("set", samples)
    ledger.do(EVALUATOR, replace(DATA, root=root, samples=samples, openings=len(scores)))
    task = ledger.open(testset=root, policy=policy)
    for model in range(len(scores)):
        ledger.commit(ALICE, task, str(model))
    ledger.release(task)
    step, paid = 0, 0
    for model, score in enumerate(sorted(min(score, samples) for score in scores)):
        accuracy = Fraction(score, samples)
        if accuracy < policy.minimum_accuracy:
            continue
        reached = policy.step(accuracy, step)
        amount = policy.paid_at(reached) - policy.paid_at(step)
        ledger.prove(ALICE, task, str(model), score, testset=root, samples=samples)
        step, paid = (reached, paid + amount) if amount else (step, paid)
        assert ledger.ask("taskState", bytes.fromhex(task))[2:4] == [step, paid]
    assert ledger.ask("balances", ALICE.address) == paid


@pytest.fixture(scope="module")
def rich():
    """A ledger whose tasks may mint as much as a number can say."""
    ledger = Ledger.deploy(charter=replace(CHARTER, max_pool=MOST))
    for who in (EVALUATOR, ALICE):
        ledger.do(who, entries.IdentityRegister("somebody"))
    return ledger, ledger.tester.take_snapshot()
