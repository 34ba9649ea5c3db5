"""Receipts, offline: what they prove, and that nothing in them can be changed."""

import pytest
from hypothesis import assume, given
from tlog_world import LOG, ORIGIN, W1, W2, W3, WITNESSES, Log, cosigned, signer, spoilt

from circuits.merkle import leaf_hash
from ledger.entries import IdentityRegister
from ledger.envelope import SignedEntry
from ledger.errors import BadNote, BadSignature, LedgerError, MalformedEntry, NoQuorum
from ledger.tlog.note import VerifierKey
from ledger.tlog.quorum import Quorum
from ledger.tlog.receipt import Receipt

ALICE = signer("alice")
ENTRY = SignedEntry.sign(IdentityRegister("alice"), origin=ORIGIN, nonce=0, signer=ALICE)


def receipt(data, index=5, size=9, names=(W1.name, W2.name)):
    log = Log(size)
    log.leaves[index] = leaf_hash(data)
    return Receipt(index, data, log.inclusion(index, size), cosigned(log.note(size), *names))


RECEIPT = receipt(ENTRY.encode())
QUORUM = Quorum(2, WITNESSES)


def test_what_it_proves():
    assert Receipt.parse(RECEIPT.encode()) == RECEIPT
    assert RECEIPT.verify(LOG) == ENTRY
    assert RECEIPT.verify(LOG, QUORUM) == ENTRY
    assert RECEIPT.verify(LOG, Quorum(0)) == ENTRY


def test_an_entry_alone_on_a_log():
    alone = receipt(ENTRY.encode(), index=0, size=1)
    assert alone.proof == ()
    assert Receipt.parse(alone.encode()).verify(LOG, QUORUM) == ENTRY


def test_too_few_witnesses():
    with pytest.raises(NoQuorum):
        RECEIPT.verify(LOG, Quorum(3, WITNESSES))
    with pytest.raises(NoQuorum):
        RECEIPT.verify(LOG, Quorum(1, (W3,)))


def test_a_log_is_no_witness_of_its_own():
    own = VerifierKey("witness.example/own", LOG.public, "cosignature")
    with pytest.raises(BadNote, match="no witness of its own"):
        RECEIPT.verify(LOG, Quorum(1, (W1, own)))


def test_another_log():
    with pytest.raises(BadNote, match="not signed by"):
        RECEIPT.verify(VerifierKey(ORIGIN, ALICE.public))
    with pytest.raises(BadNote, match="checkpoint is of log"):
        RECEIPT.verify(W1)


def test_another_place():
    moved = Receipt(RECEIPT.index + 1, RECEIPT.entry, RECEIPT.proof, RECEIPT.checkpoint)
    with pytest.raises(BadNote, match="not under the checkpoint"):
        moved.verify(LOG)


def test_what_a_dishonest_log_may_hold():
    elsewhere = SignedEntry.sign(ENTRY.body, origin="other.example", nonce=0, signer=ALICE)
    with pytest.raises(BadNote, match=r"for log 'other\.example'"):
        receipt(elsewhere.encode()).verify(LOG, QUORUM)
    with pytest.raises(MalformedEntry):
        receipt(b"{}").verify(LOG, QUORUM)
    data = ENTRY.encode().replace(ENTRY.signature.encode(), b"00" * 64)
    with pytest.raises(BadSignature):
        receipt(data).verify(LOG, QUORUM)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("extra ", "extra"),
        lambda text: text.replace("\nextra ", "\nextra\t"),
        lambda text: text.replace("index 5", "index 05"),
        lambda text: text.replace("index 5", "index -5"),
        lambda text: text.replace("index 5", "index 9223372036854775808"),
        lambda text: text.replace("index 5\n", ""),
        lambda text: "\n".join(line for line in text.split("\n") if not line.startswith("extra")),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.partition("\n\n")[0],
        lambda text: "",
    ],
)
def test_malformed_receipts(change):
    with pytest.raises(BadNote):
        Receipt.parse(change(RECEIPT.encode()))


TEXT = RECEIPT.encode()


@given(spoilt(TEXT))
def test_any_changed_byte_is_refused(text):
    assume(text != TEXT)
    with pytest.raises(LedgerError):
        Receipt.parse(text).verify(LOG, Quorum(2, (W1, W2)))
