"""Entries on the wire: one spelling each, and nothing that is not understood."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import (
    ALICE,
    DATA,
    GENESIS,
    ORIGIN,
    TASK,
    commitment,
    digest_of,
    statement,
    submission,
)

from circuits.encoding import canonical_json
from ledger import entries
from ledger.envelope import MAX_ENTRY_BYTES, SignedEntry
from ledger.errors import MalformedEntry

ID = digest_of("task")
BODIES = [
    GENESIS,
    entries.IdentityRegister("Ålice"),
    DATA,
    TASK,
    commitment(ID, ALICE, "m"),
    entries.TestsetRelease(ID, 0),
    submission(ID, statement(ID, ALICE, "m", 80)),
]


def signed(body):
    return SignedEntry.sign(body, origin=ORIGIN, nonce=3, signer=ALICE)


ALL = [*map(signed, BODIES), SignedEntry.by_rule(entries.Credit(ID, ALICE.public, 5, 7), ORIGIN)]


def test_all_types_are_covered():
    assert {entry.body.type for entry in ALL} == set(entries.ENTRY_TYPES)


@pytest.mark.parametrize("entry", ALL, ids=lambda e: e.body.type)
def test_round_trip(entry):
    assert SignedEntry.decode(entry.encode()) == entry


@pytest.mark.parametrize("entry", ALL, ids=lambda e: e.body.type)
def test_only_one_spelling(entry):
    data = entry.encode()
    value = json.loads(data)
    spoilt = [
        data + b" ",
        data[:-1],
        json.dumps(value).encode(),
        canonical_json({**value, "more": 1}),
        canonical_json({"payload": value["payload"]}),
        canonical_json({**value, "payload": {**value["payload"], "more": 1}}),
        canonical_json({**value, "payload": {**value["payload"], "version": 2}}),
        canonical_json({**value, "payload": {**value["payload"], "type": "nothing"}}),
        canonical_json({**value, "payload": {**value["payload"], "type": []}}),
        canonical_json({**value, "payload": {**value["payload"], "body": {}}}),
        canonical_json({**value, "payload": {**value["payload"], "nonce": True}}),
        canonical_json({**value, "signature": "ab"}),
    ]
    spoilt += [
        canonical_json({**value, "payload": {**value["payload"], "body": body}})
        for name in value["payload"]["body"]
        for wrong in (None, -1, [], {}, "")
        for body in [{**value["payload"]["body"], name: wrong}]
    ]
    for bad in spoilt:
        with pytest.raises(MalformedEntry):
            SignedEntry.decode(bad)


def test_ratios_are_in_lowest_terms():
    data = signed(TASK).encode()
    with pytest.raises(MalformedEntry):
        SignedEntry.decode(data.replace(b'"eta":[1,50]', b'"eta":[2,100]'))


def test_an_entry_has_a_size_limit():
    said = statement(ID, ALICE, "m", 80)
    long = replace(said, shard_correct=(80, *[0] * MAX_ENTRY_BYTES))
    with pytest.raises(MalformedEntry, match="65535"):
        signed(submission(ID, long)).encode()
    with pytest.raises(MalformedEntry, match="65535"):
        SignedEntry.decode(b" " * (MAX_ENTRY_BYTES + 1))


@given(st.binary(max_size=200))
def test_noise_is_no_entry(data):
    with pytest.raises(MalformedEntry):
        SignedEntry.decode(data)


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (GENESIS, {"task_owners": ()}),
        (GENESIS, {"task_owners": (ALICE.public, ALICE.public)}),
        (DATA, {"samples": 0}),
        (DATA, {"openings": 0}),
        (DATA, {"kind": "training"}),
        (DATA, {"root": DATA.root.upper()}),
        (TASK, {"backend": "other"}),
        (TASK, {"prover": "anyone"}),
        (TASK, {"prover": "contributor"}),
        (TASK, {"rounds": 0}),
        (TASK, {"title": "a\nb"}),
        (entries.IdentityRegister("a"), {"name": "a" * 65}),
        (BODIES[4], {"round": 2**32}),
        (BODIES[6], {"srs_insecure": 0}),
        (ALL[-1].body, {"amount": 0}),
    ],
)
def test_field_limits(body, changes):
    with pytest.raises(MalformedEntry):
        replace(body, **changes)


def test_only_the_rules_go_unsigned():
    with pytest.raises(MalformedEntry):
        SignedEntry.by_rule(DATA, ORIGIN)
