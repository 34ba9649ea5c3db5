"""Attestations: exactly k distinct attesters, for this submission on this contract and chain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account import Account
from py_ecc.secp256k1 import N

from circuits.errors import LedgerError, ProofRejected
from ledger.entries import ProofSubmit, Transfer, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import EntryRefused, MalformedEntry, NotApproved, NullifierSpent
from ledger.evm import attest
from ledger.evm.calls import Attested, call
from ledger.evm.mirror import Mirror
from ledger.state import State
from tests.ledger.evm.evm_world import (
    ALICE,
    ATTESTERS,
    BOB,
    CHARTER,
    DATA,
    EVALUATOR,
    OPERATOR,
    STRANGER,
    Ledger,
    digest_of,
)
from verifier.verdict import Check, Verdict

ONE, TWO, THREE = ATTESTERS


def refused(ledger, entry, *signatures, who=ALICE):
    with pytest.raises(NotApproved):
        send(ledger, entry, *signatures, who=who)


def send(ledger, entry, *signatures, who=ALICE):
    function = call(ledger.contract, entry, Attested(signatures))
    return ledger.node.call(function, sender=who.address)


def signed(ledger, entry, *attesters, **domain):
    text = attest.message(ledger.chain, entry)
    text["domain"] |= domain
    return tuple(who.sign_typed(text) for who in attesters)


@pytest.fixture
def submission(ready):
    ledger, task = ready
    return ledger, ledger.submission(ALICE, task, "m", 6)


class TestNumbers:
    def test_k_are_enough_whoever_they_are(self, submission):
        ledger, entry = submission
        for who in ((ONE, TWO), (ONE, THREE), (TWO, THREE), ATTESTERS):
            send(ledger, entry, *signed(ledger, entry, *who))

    def test_fewer_are_not(self, submission):
        ledger, entry = submission
        refused(ledger, entry)
        for who in ATTESTERS:
            refused(ledger, entry, *signed(ledger, entry, who))

    def test_nobody_counts_twice(self, submission):
        ledger, entry = submission
        one, two, three = signed(ledger, entry, *ATTESTERS)
        for signatures in ((one, one), (two, one), (one, two, two), (one, three, two)):
            refused(ledger, entry, *signatures)

    def test_others_do_not_count(self, submission):
        ledger, entry = submission
        for other in (STRANGER, OPERATOR, EVALUATOR, ALICE):
            both = sorted((other, TWO), key=lambda who: who.public)
            refused(ledger, entry, *signed(ledger, entry, *both))
            three = sorted((other, ONE, TWO), key=lambda who: who.public)
            refused(ledger, entry, *signed(ledger, entry, *three))


class TestReplay:
    """What two attesters signed for one thing, used for another."""

    def test_another_contract(self, submission):
        """The very same history on a second contract of the same chain."""
        ledger, entry = submission
        twin = Ledger.deploy(ledger.node, ledger.tester)
        refused(ledger, entry, *signed(twin, entry, ONE, TWO))

    def test_another_chain(self, submission):
        ledger, entry = submission
        refused(ledger, entry, *signed(ledger, entry, ONE, TWO, chainId=1))

    @pytest.mark.parametrize("domain", [{"name": "zkpot"}, {"version": "2"}])
    def test_another_domain(self, submission, domain):
        ledger, entry = submission
        refused(ledger, entry, *signed(ledger, entry, ONE, TWO, **domain))

    def test_another_submitter(self, ready):
        """Bob committed to n; alice's attested statement about m is of no use to him."""
        ledger, task = ready
        alice = ledger.submission(ALICE, task, "m", 6)
        bob = ledger.submission(BOB, task, "n", 6)
        refused(ledger, bob, *signed(ledger, alice, ONE, TWO), who=BOB)

    @pytest.mark.parametrize("change", [
        {"correct": 7, "shard_correct": (7,)}, {"shard_correct": (6, 0)},
        {"per_class": ((6, 6), (0, 2))}, {"groups": ((6, 8),)}, {"confusion": ((6, 0), (2, 0))},
    ], ids=str)  # fmt: skip
    def test_another_statement(self, ready, change):
        ledger, task = ready
        honest = ledger.submission(ALICE, task, "m", 6)
        said = replace(honest.body.statement, **change)
        other = replace(honest, body=replace(honest.body, statement=said))
        refused(ledger, other, *signed(ledger, honest, ONE, TWO))

    def test_another_model_bundle_or_round(self, ready):
        ledger, task = ready
        honest = ledger.submission(ALICE, task, "m", 6)
        other = ledger.submission(ALICE, task, "m2", 6)
        refused(ledger, other, *signed(ledger, honest, ONE, TWO))
        other = replace(honest, body=replace(honest.body, bundle=digest_of("x")))
        refused(ledger, other, *signed(ledger, honest, ONE, TWO))

    def test_another_round(self, ready):
        ledger, _ = ready
        root = digest_of("rounds")
        ledger.do(EVALUATOR, replace(DATA, root=root))
        task = ledger.open(testset=root, prover="evaluator", rounds=2)
        for round_ in (0, 1):
            ledger.commit(ALICE, task, "m", round_)
            ledger.release(task, round_)
        first = ledger.submission(ALICE, task, "m", 6, 0, testset=root)
        second = ledger.submission(ALICE, task, "m", 6, 1, testset=root)
        refused(ledger, second, *signed(ledger, first, ONE, TWO))
        send(ledger, second, *signed(ledger, second, ONE, TWO))

    def test_the_same_submission_again(self, submission):
        ledger, entry = submission
        evidence = Attested(signed(ledger, entry, ONE, TWO))
        ledger.push(ALICE, entry, evidence)
        with pytest.raises(NullifierSpent):
            ledger.push(ALICE, replace(entry, nonce=entry.nonce + 1), evidence)


class TestForms:
    """One signature has one form: nobody makes a second of somebody's first."""

    def test_high_s(self, submission):
        ledger, entry = submission
        one, two = signed(ledger, entry, ONE, TWO)
        r, s, v = two[:32], int.from_bytes(two[32:64], "big"), two[64]
        mirrored = r + (N - s).to_bytes(32, "big") + bytes([55 - v])
        message = attest.encode_typed_data(full_message=attest.message(ledger.chain, entry))
        assert Account.recover_message(message, signature=two) == TWO.address
        # The curve does not tell them apart, so the contract must.
        refused(ledger, entry, one, mirrored)
        refused(ledger, entry, one, two, mirrored)

    def test_other_lengths_and_parities(self, submission):
        ledger, entry = submission
        one, two = signed(ledger, entry, ONE, TWO)
        compact = two[:32] + (int.from_bytes(two[32:64], "big") | (two[64] - 27) << 255).to_bytes(
            32, "big"
        )
        for other in (two[:64], two + b"\0", compact, b"", two[:64] + bytes([two[64] - 27]),
                      two[:64] + bytes([55 - two[64]]), two[:64] + b"\0"):  # fmt: skip
            refused(ledger, entry, one, other)

    def test_a_signature_that_recovers_nobody(self, submission):
        """ecrecover answers zero, which must not pass for an attester."""
        ledger, entry = submission
        (two,) = signed(ledger, entry, TWO)
        for nothing in (bytes(65), bytes(64) + b"\x1b", b"\xff" * 32 + bytes(31) + b"\x01\x1b"):
            refused(ledger, entry, nothing, two)
            refused(ledger, entry, nothing)


class TestAttesting:
    """What an attester's own program signs."""

    BUNDLE = b"a bundle"

    @pytest.fixture
    def case(self, ready):
        ledger, task = ready
        mirror = Mirror(ledger.node, ledger.address, ledger.first, 0)
        mirror.refresh()
        entry = ledger.submission(ALICE, task, "m", 6)
        body = replace(entry.body, bundle=blob_digest(self.BUNDLE))
        return ledger, mirror.state, replace(entry, body=body)

    def verify(self, statement, insecure=False):
        return lambda bundle, pins: Verdict(statement, (Check("all", True),), None, insecure)

    def test_an_honest_submission(self, case):
        ledger, state, entry = case
        verify = self.verify(entry.body.statement)
        signatures = [attest.attest(state, self.BUNDLE, entry, verify, who) for who in ATTESTERS]
        text = attest.message(ledger.chain, entry)
        ordered = attest.in_order(CHARTER, text, reversed(signatures))
        assert ordered == tuple(signatures[:2])
        ledger.push(ALICE, entry, Attested(ordered))

    def test_nothing_else(self, case):
        _, state, entry = case
        said = entry.body.statement
        verify = self.verify(said)
        with pytest.raises(ProofRejected, match="bundle"):
            attest.attest(state, b"another", entry, verify, ONE)
        more = replace(said, correct=7, shard_correct=(7,))
        for other in (self.verify(more), self.verify(said, insecure=True)):
            with pytest.raises(ProofRejected, match="statement"):
                attest.attest(state, self.BUNDLE, entry, other, ONE)
        rejecting = lambda bundle, pins: Verdict(said, (), ProofRejected("sumcheck", "no"))  # noqa: E731
        with pytest.raises(ProofRejected, match="sumcheck"):
            attest.attest(state, self.BUNDLE, entry, rejecting, ONE)
        uncommitted = replace(
            entry, body=replace(entry.body, statement=replace(said, model="11" * 32))
        )
        with pytest.raises(EntryRefused):
            attest.attest(state, self.BUNDLE, uncommitted, verify, ONE)

    def test_what_no_log_could_hold(self, case):
        """No mirror could go on after an entry that is too large to be one."""
        _, state, entry = case
        said = entry.body.statement
        room = (attest.MOST_STATEMENT - len(said.encode())) // 2
        for zeros, fits in ((room, True), (room + 1, False)):
            said = replace(said, shard_correct=(6, *[0] * zeros))
            assert (len(said.encode()) <= attest.MOST_STATEMENT) == fits
            large = replace(entry, body=replace(entry.body, statement=said))
            if fits:
                attest.attest(state, self.BUNDLE, large, self.verify(said), ONE)
                replace(large, nonce=2**53 - 1).encode()
            else:
                with pytest.raises(MalformedEntry, match="60000"):
                    attest.attest(state, self.BUNDLE, large, self.verify(said), ONE)

    def test_a_table_that_no_log_could_hold(self, case):
        """Whoever attested it: the contract does not take it, however it is split."""
        ledger, _, entry = case
        nonce, id_, round_, claim, bundle, signatures = call(ledger.contract, entry).args
        for tables in ((b"[" * 60_000, b"", b""), (b"[" * 20_000,) * 3):
            function = ledger.contract.functions.submitAttested(
                nonce, id_, round_, (*claim[:4], *tables), bundle, signatures
            )
            with pytest.raises(MalformedEntry):
                ledger.node.call(function, sender=ALICE.address)

    def test_one_faulty_attester_stops_nobody(self, case):
        ledger, _, entry = case
        text = attest.message(ledger.chain, entry)
        one, two, three = (who.sign_typed(text) for who in ATTESTERS)
        s = int.from_bytes(one[32:64], "big")
        high = one[:32] + (N - s).to_bytes(32, "big") + bytes([55 - one[64]])
        junk = [b"", b"junk", bytes(65), b"\xff" * 65, STRANGER.sign_typed(text), high]
        assert attest.in_order(CHARTER, text, [*junk, three, *junk, two]) == (two, three)
        assert attest.in_order(CHARTER, text, [three, one, two, one]) == (one, two)
        assert attest.in_order(CHARTER, text, junk) == ()

    def test_what_is_no_submission(self, case):
        ledger, state, entry = case
        other = ledger.entry(ALICE, Transfer(BOB.public, 1))
        verify = self.verify(entry.body.statement)
        for attempt in (lambda: attest.attest(state, b"", other, verify, ONE),
                        lambda: attest.message(ledger.chain, other)):  # fmt: skip
            with pytest.raises(MalformedEntry):
                attempt()
        with pytest.raises(LedgerError, match="not on a chain"):
            attest.attest(State(), self.BUNDLE, entry, verify, ONE)


def test_a_threshold_of_one():
    """k is the genesis entry's, and nothing else."""
    charter = replace(CHARTER, threshold=1, governors=(ONE.public,))
    other = Ledger.deploy(charter=charter)
    other.introduce()
    task = other.open()
    other.commit(ALICE, task, "m")
    other.release(task)
    entry = other.submission(ALICE, task, "m", 6)
    assert isinstance(entry, SignedEntry) and isinstance(entry.body, ProofSubmit)
    refused(other, entry, *signed(other, entry, TWO))
    send(other, entry, *signed(other, entry, ONE))
