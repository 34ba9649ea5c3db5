"""The contract hashes the very bytes that Python hashes."""

from __future__ import annotations

import string
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from circuits.statement import Context
from ledger import entries
from ledger.errors import MalformedEntry, NotOnChain
from ledger.evm.calls import call
from ledger.evm.mirror import Mirror
from ledger.policy import Policy
from ledger.state import nullifier
from tests.ledger.evm.evm_world import ALICE, ATTESTERS, MAX_POOL, OPERATOR, TASK, digest_of

QUICK = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
MOST = 2**53 - 1

digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
rounds = st.one_of(st.sampled_from([0, 9, 10, 99, 100, 2**32 - 1]), st.integers(0, 2**32 - 1))
plain = "".join(c for c in string.printable if c.isprintable() and c not in '"\\')
ratios = st.tuples(st.integers(0, MOST), st.integers(1, MOST)).map(
    lambda p: Fraction(min(p), max(p))
)


@given(digests, rounds)
@example("00" * 32, 0)
@example("ff" * 32, 2**32 - 1)
@example("0123456789abcdef" * 4, 10)
@QUICK
def test_context(deployed, task, round_):
    found = deployed.ask("contextOf", ALICE.address, bytes.fromhex(task), round_)
    assert found.hex() == Context(ALICE.public, task, round_, deployed.origin).digest


policies = st.builds(
    Policy,
    minimum_accuracy=ratios.filter(lambda r: r < 1),
    eta=ratios.filter(lambda r: r > 0),
    pool=st.integers(0, MAX_POOL),
    submissions_per_identity=st.integers(1, MOST),
    openings=st.integers(1, TASK.policy.openings),
)


@given(
    title=st.text(plain, min_size=1, max_size=200),
    names=st.tuples(*[digests] * 4),
    shape=st.one_of(
        st.just(("contributor", 1)), st.tuples(st.just("evaluator"), rounds.filter(bool))
    ),
    policy=policies,
)
@example("'", ("00" * 32,) * 4, ("contributor", 1), TASK.policy)
@QUICK
def test_task(ready, title, names, shape, policy):
    """The identifier that openTask would return, over all fields."""
    ledger, _ = ready
    circuit, vk, srs, architecture = names
    prover, rounds_ = shape
    body = replace(TASK, title=title, circuit=circuit, vk=vk, srs=srs, architecture=architecture,
                   prover=prover, rounds=rounds_, policy=policy,
                   testset=_second_set(ledger))  # fmt: skip
    entry = ledger.entry(OPERATOR, body)
    found = ledger.node.call(ledger.call(entry), sender=OPERATOR.address)
    assert found.hex() == entry.digest


def _second_set(ledger) -> str:
    """A set that was not opened, registered once for each test."""
    root = digest_of("second set")
    if ledger.ask("testsets", bytes.fromhex(root))[2] == 0:
        ledger.do(ALICE, entries.DataRegister("testset", root, 5, digest_of("m"), openings=5))
    return root


@pytest.mark.parametrize("text", ['"', "\\", "é", "\x7f", "\n", "", "x" * 201])
def test_text_that_json_would_escape_is_refused(ready, text):
    """By the engine with the reason, and by the contract whoever calls it."""
    ledger, _ = ready
    body = replace(TASK, title="x")
    object.__setattr__(body, "title", text)
    if text and len(text) <= 200 and text.isprintable():
        with pytest.raises(NotOnChain):
            call(ledger.contract, ledger.entry(OPERATOR, body))
    nonce, terms, *rest = ledger.call(ledger.entry(OPERATOR, TASK)).args
    changed = ledger.contract.functions.openTask(nonce, (text, *terms[1:]), *rest)
    with pytest.raises(MalformedEntry):
        ledger.node.call(changed, sender=OPERATOR.address)


TABLES = (
    {},
    {"per_class": ((3, 5), (2, 3))},
    {"confusion": ((3, 2), (1, 2)), "per_class": ((3, 5), (2, 3))},
    {"groups": ((5, 8), (0, 0)), "confusion": ((5, 1), (2, 0))},
)


@pytest.mark.parametrize("tables", TABLES)
def test_statement_and_nullifier(ready, tables):
    """Read from a mirror, which compares the contract's statement digest with Python's."""
    ledger, task = ready
    entry = ledger.submission(ALICE, task, "m", 5, shard_correct=(0, 3, 2), **tables)
    ledger.push(ALICE, entry, ledger.attested(entry, ATTESTERS))
    mirror = Mirror(ledger.node, ledger.address, ledger.first, 0)
    mirror.refresh()
    assert mirror.events[-2].entry == entry
    assert mirror.events[-2].digest == entry.body.statement.digest
    spent = nullifier(task, 0, digest_of("m"), TASK.testset)
    assert ledger.ask("spentBy", bytes.fromhex(spent)) == mirror.state.nullifiers[spent] + 1


def test_origin_names_chain_and_contract(deployed):
    chain = deployed.chain
    assert deployed.origin == f"chain.example/tests/eip155:{chain.id}:0x{chain.contract}"
