"""Signed notes and checkpoints against the formats' own examples, and against forgers."""

import base64

import pytest
from ledger_world import ALICE, BOB, OPERATOR

from ledger.errors import BadKey, BadNote
from ledger.note import Checkpoint, VerifierKey, from_base64, open_note, sign_note

# From the tests of Go's golang.org/x/mod/sumdb/note, where the format comes from.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZ"
    "b6KE6RyyBwJnAM=\n"
)

LOG = VerifierKey("example.com/log", OPERATOR.public)
CHECKPOINT = Checkpoint("example.com/log", 7, bytes(range(32)))


def test_published_note():
    peter = VerifierKey.parse(PETER)
    assert str(peter) == PETER
    assert open_note(NOTE, peter) == NOTE[: NOTE.index("\n\n") + 1]


def test_checkpoint_text():
    assert CHECKPOINT.text == (
        f"example.com/log\n7\n{base64.b64encode(bytes(range(32))).decode()}\n"
    )
    assert Checkpoint.open(CHECKPOINT.sign(OPERATOR), LOG) == CHECKPOINT


def test_any_flipped_byte_of_a_checkpoint_is_found():
    note = CHECKPOINT.sign(OPERATOR).encode()
    for place in range(len(note)):
        for bit in range(8):
            spoilt = bytearray(note)
            spoilt[place] ^= 1 << bit
            try:
                text = spoilt.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises(BadNote):
                Checkpoint.open(text, LOG)


@pytest.mark.parametrize(
    "text",
    [
        "example.com/log\n07\n{root}\n",
        "example.com/log\n+7\n{root}\n",
        "example.com/log\n٧\n{root}\n",  # noqa: RUF001 - a digit, to str.isdigit
        "example.com/log\n7\n",
        "example.com/log\n7\n{root}\nextension\n",
        "example.com/log\n7\nAAAA\n",
        "example.com/log\n7\n{root}=\n",
        "example.com/other\n7\n{root}\n",
    ],
)
def test_malformed_checkpoints(text):
    root = base64.b64encode(bytes(32)).decode()
    note = sign_note(text.format(root=root), LOG.name, OPERATOR)
    with pytest.raises(BadNote):
        Checkpoint.open(note, LOG)


def test_signatures_by_others_are_ignored():
    note = CHECKPOINT.sign(OPERATOR)
    witness = sign_note(CHECKPOINT.text, "witness.example", ALICE).rpartition("\n\n")[2]
    impostor = sign_note(CHECKPOINT.text, LOG.name, BOB).rpartition("\n\n")[2]
    assert Checkpoint.open(note + witness + impostor, LOG) == CHECKPOINT
    for alone in (witness, impostor):
        with pytest.raises(BadNote, match="not signed by"):
            Checkpoint.open(f"{CHECKPOINT.text}\n{alone}", LOG)


def test_a_bad_signature_of_the_log_spoils_a_note():
    note = CHECKPOINT.sign(OPERATOR)
    wrong = base64.b64encode(LOG.key_id + bytes(64)).decode()
    with pytest.raises(BadNote, match="does not verify"):
        open_note(f"{note}— {LOG.name} {wrong}\n", LOG)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— x\n",
        "text\n\n- x AAAAAAA=\n",
        "text\n\n— x AAAA\n",
        "a\tb\n\n— x AAAAAAA=\n",
        "text\n\n" + "— x AAAAAAA=\n" * 101,
        "text\n\n— x AAAAAAA=",
        "\udc80\n\n— x AAAAAAA=\n",
    ],
)
def test_malformed_notes(note):
    with pytest.raises(BadNote):
        open_note(note, LOG)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b", "x" * 256])
def test_bad_names(name):
    with pytest.raises(BadNote):
        VerifierKey(name, OPERATOR.public)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name+00000000",
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("Peter", "Paul"),
        PETER[:-4],
        PETER.replace("+A", "+B"),
    ],
)
def test_malformed_verifier_keys(text):
    with pytest.raises(BadKey):
        VerifierKey.parse(text)


def test_texts_that_cannot_be_signed():
    for text in ("no newline", "a\rb\n"):
        with pytest.raises(BadNote):
            sign_note(text, LOG.name, OPERATOR)


@pytest.mark.parametrize("text", ["AB==", "A", "AA= =", "AA-_", "AA==\n"])
def test_base64_has_one_spelling(text):
    with pytest.raises(BadNote):
        from_base64(text)
