"""Entries on the wire: one spelling each, and nothing that is not understood."""

import json
from dataclasses import replace

import pytest
from entry_samples import ALL, ID, signed
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import ALICE, BOB, DATA, ORIGIN, TASK, statement, submission

from circuits.encoding import canonical_json
from ledger import entries
from ledger.envelope import ENTRY_VERSION, MAX_ENTRY_BYTES, SIGNATURE_DOMAIN, SignedEntry
from ledger.errors import BadKey, BadSignature, MalformedEntry
from ledger.evm_keys import EvmSigner


def test_all_types_are_covered():
    assert {entry.body.type for entry in ALL} == set(entries.ENTRY_TYPES)


@pytest.mark.parametrize("entry", ALL, ids=lambda e: e.body.type)
def test_round_trip(entry):
    again = SignedEntry.decode(entry.encode())
    assert again == entry
    assert again.digest == entry.digest


@pytest.mark.parametrize("entry", ALL, ids=lambda e: e.body.type)
def test_only_one_spelling(entry):
    data = entry.encode()
    value = json.loads(data)
    payload = value["payload"]
    spoilt = [
        data + b" ",
        data[:-1],
        json.dumps(value).encode(),
        canonical_json({**value, "more": 1}),
        canonical_json({"payload": payload}),
        canonical_json([payload]),
        *(canonical_json({**value, name: "ab"}) for name in ("scheme", "key", "signature")),
        *(canonical_json({**value, name: None}) for name in ("scheme", "key", "signature")),
        canonical_json({**value, "payload": {**payload, "more": 1}}),
        *(
            canonical_json({**value, "payload": {**payload, "version": version}})
            for version in (1, ENTRY_VERSION + 1, "2")
        ),
        canonical_json({**value, "payload": {**payload, "type": "nothing"}}),
        canonical_json({**value, "payload": {**payload, "type": []}}),
        _with_body(value, {}),
        _with_body(value, []),
        canonical_json({**value, "payload": {**payload, "nonce": True}}),
        canonical_json({**value, "payload": {**payload, "nonce": -1}}),
        canonical_json({**value, "payload": {**payload, "origin": ""}}),
        canonical_json({**value, "payload": {**payload, "signer": ALICE.public.upper()}}),
    ]
    spoilt += [
        _with_body(value, {**payload["body"], name: wrong})
        for name, right in payload["body"].items()
        for wrong in (None, -1, [], {}, "", [[]], {"a": 1}, "\n", True, 2**53 - 1)
        if wrong != right and name not in _ODD.get(repr(wrong), ())
    ]
    for bad in spoilt:
        with pytest.raises(MalformedEntry):
            SignedEntry.decode(bad)


def _with_body(value, body):
    return canonical_json({**value, "payload": {**value["payload"], "body": body}})


# What the odd values of the test above are to fields that can have them.
_ODD = {
    "None": {"chain"},
    "True": {"allow_insecure_srs", "srs_insecure"},
    "[]": {"parents", "data", "approvals", "grants"},
    str(2**53 - 1): {"samples", "openings", "amount", "proof", "time"},
}


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


def test_only_the_rules_go_unsigned():
    with pytest.raises(MalformedEntry):
        SignedEntry.by_rule(DATA, ORIGIN)
    with pytest.raises(MalformedEntry):
        replace(signed(DATA), scheme="", key="", signature="", signer="", nonce=0)
    credit = ALL[-1]
    for changes in ({"signer": ALICE.public}, {"nonce": 1}, {"scheme": "ed25519"}, {"key": "00"}):
        with pytest.raises(MalformedEntry):
            replace(credit, **changes)


# Who signed


def test_each_kind_of_key_has_signatures_of_its_size():
    entry = signed(DATA)
    for scheme in ("evm", "chain", "rsa"):
        with pytest.raises(MalformedEntry):
            replace(entry, scheme=scheme)


@pytest.mark.parametrize("signer", [ALICE, EvmSigner(b"\7" * 32)], ids=["ed25519", "evm"])
def test_a_signature_is_over_the_whole_payload(signer):
    entry = SignedEntry.sign(DATA, origin=ORIGIN, nonce=3, signer=signer)
    entry.require_signature()
    for changed in (
        replace(entry, origin=ORIGIN + "x"),
        replace(entry, signer=BOB.public),
        replace(entry, nonce=4),
        replace(entry, body=replace(DATA, samples=99)),
        replace(entry, body=entries.IdentityRegister("a")),
    ):
        with pytest.raises(BadSignature):
            changed.require_signature()


def test_the_key_need_not_be_the_first():
    entry = SignedEntry.sign(DATA, origin=ORIGIN, nonce=3, signer=BOB, identity=ALICE.public)
    assert (entry.signer, entry.key) == (ALICE.public, BOB.public)
    entry.require_signature()
    # The identifier of what it creates is the same, whichever key signed.
    assert entry.digest == SignedEntry.sign(DATA, origin=ORIGIN, nonce=3, signer=ALICE).digest


def test_what_a_contract_vouches_for_has_nothing_to_check():
    account = EvmSigner(b"\7" * 32).public
    SignedEntry.by_chain(DATA, origin=ORIGIN, nonce=0, account=account).require_signature()
    with pytest.raises(BadKey):
        SignedEntry.by_chain(DATA, origin=ORIGIN, nonce=0, account="ff" * 32).require_signature()


def test_what_is_signed_byte_for_byte():
    """For whoever writes another client: the domain, then the canonical payload."""
    entry = SignedEntry.sign(
        entries.Transfer(BOB.public, 5), origin="log.example", nonce=7, signer=ALICE
    )
    message = (
        b"zkpot/ledger-entry\x00"
        b'{"body":{"amount":5,"to":"' + BOB.public.encode() + b'"},"nonce":7,'
        b'"origin":"log.example","signer":"' + ALICE.public.encode() + b'",'
        b'"type":"transfer","version":2}'
    )
    assert message.startswith(SIGNATURE_DOMAIN)
    assert entry.signature == ALICE.sign(message).hex()
