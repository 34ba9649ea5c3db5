"""Signed notes and checkpoints against the formats' own examples, and against forgers."""

import base64

import pytest
from tlog_world import raw_line, signer

from ledger.errors import BadKey, BadNote
from ledger.tlog.encoding import from_base64, from_decimal
from ledger.tlog.note import Checkpoint, Note, NoteSignature, VerifierKey, open_note, sign_note

# From the tests of Go's golang.org/x/mod/sumdb/note, where the format comes from.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZ"
    "b6KE6RyyBwJnAM=\n"
)

OPERATOR, ALICE, BOB = signer("operator"), signer("alice"), signer("bob")
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
        "example.com/log\n9223372036854775808\n{root}\n",
        "example.com/log\n7\n{root}\n\n",
        "example.com/log\n7\n\n{root}\n",
        "\n7\n{root}\n",
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


@pytest.mark.parametrize(
    "text", ["\n7\n{root}\n", "x\n7\n{root}\n\n", "x\n7\n{root}\n\ny\n", "x\n7\n"]
)
def test_texts_that_are_no_checkpoints(text):
    with pytest.raises(BadNote, match="a line each"):
        Checkpoint.parse(text.format(root=base64.b64encode(bytes(32)).decode()))


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
        "text\n\n— x AAAAAA==\n",
        "text\n\n— x  AAAAAAA=\n",
        "text\n\n— a+b AAAAAAA=\n",
        "text\n\n— x AAAAAAA= \n",
        "text\n\n— x AAAAAAA=\n\n",
        "text\n\n— x AAAAAAA=\r\n",
        "text\n" + "x" * 1_000_000 + "\n\n— x AAAAAAA=\n",
        "a\tb\n\n— x AAAAAAA=\n",
        "text\n\n" + "— x AAAAAAA=\n" * 101,
        "text\n\n— x AAAAAAA=",
        "\udc80\n\n— x AAAAAAA=\n",
    ],
)
def test_malformed_notes(note):
    with pytest.raises(BadNote):
        Note.parse(note)


def test_limits():
    assert len(Note.parse("text\n\n" + "— x AAAAAAA=\n" * 100).signatures) == 100
    assert Note.parse("x" * (10**6 - 18) + "\n\n— x AAAAAAA=\n")


def test_a_malformed_line_alone():
    for line in ("— a\x01b AAAAAAA=", "— a AAAAAAA=\n", "— a AAAA\nAAA="):
        with pytest.raises(BadNote, match="malformed"):
            NoteSignature.parse(line)


def test_sixteen_signatures_by_keys_of_unknown_types_are_carried_along():
    # As long as those of ML-DSA-44 (2,428 bytes) and SLH-DSA, by names we would not give.
    post_quantum = "".join(
        raw_line(f"post\u200bquantum{n}" + "x" * 300, bytes([n] * 4), bytes(5000))
        for n in range(15)
    )
    note = CHECKPOINT.sign(OPERATOR) + post_quantum
    assert Checkpoint.open(note, LOG) == CHECKPOINT
    assert Note.parse(note).encode() == note


def test_a_key_signs_a_note_once():
    note = Note.parse(CHECKPOINT.sign(OPERATOR) + raw_line("x", b"abcd", b"old"))
    newer = Note.parse("text\n\n" + raw_line("x", b"abcd", b"new")).signatures
    other = Note.parse("text\n\n" + raw_line("x", b"abce", b"new")).signatures
    again = note.add(newer).add(newer).add(other)
    assert [s.signature for s in again.signatures[1:]] == [b"new", b"new"]
    assert again.signatures[0] == note.signatures[0]
    assert Checkpoint.open(again.encode(), LOG) == CHECKPOINT


@pytest.mark.parametrize("kind", ["ed25519", "cosignature"])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 63, 64, 65, 72, 73])
def test_signatures_of_a_wrong_length(kind, size):
    key = VerifierKey(LOG.name, LOG.public, kind)
    assert not key.verify(CHECKPOINT.text, b"\x01" * size)


def test_the_kinds_of_keys_differ():
    cosigner = VerifierKey(LOG.name, LOG.public, "cosignature")
    assert cosigner.key_id != LOG.key_id
    assert VerifierKey.parse(str(cosigner)) == cosigner
    assert VerifierKey.parse(str(LOG)) == LOG
    with pytest.raises(BadNote, match="not signed by"):
        open_note(CHECKPOINT.sign(OPERATOR), cosigner)
    with pytest.raises(BadKey, match="kind"):
        VerifierKey(LOG.name, LOG.public, "ml-dsa-44")


def test_a_key_of_small_order_is_no_verifier():
    with pytest.raises(BadKey, match="small order"):
        VerifierKey("x", "01" + 31 * "00", "cosignature")


def test_extension_lines_belong_to_others():
    extended = Checkpoint("example.com/log", 7, bytes(32), ("one", "two"))
    assert Checkpoint.parse(extended.text) == extended
    with pytest.raises(BadNote, match="lines beside"):
        Checkpoint.open(extended.sign(OPERATOR), LOG)


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
        PETER.replace("PeterNeumann", "Peter Neumann"),
        PETER.replace("c74f20a3", "C74F20A3"),
        # ML-DSA-44, type 0x06.
        "x+00000000+" + base64.b64encode(b"\x06" + bytes(1312)).decode(),
    ],
)
def test_malformed_verifier_keys(text):
    with pytest.raises(BadKey):
        VerifierKey.parse(text)


def test_texts_that_cannot_be_signed():
    for text in ("no newline", "a\rb\n"):
        with pytest.raises(BadNote):
            sign_note(text, LOG.name, OPERATOR)


@pytest.mark.parametrize("text", ["", "-1", "+1", "01", "1 ", "1\n", "0x1", "9223372036854775808"])
def test_numbers_have_one_spelling(text):
    with pytest.raises(BadNote):
        from_decimal(text)


def test_numbers_end_at_63_bits():
    assert (from_decimal("0"), from_decimal("9223372036854775807")) == (0, 2**63 - 1)


@pytest.mark.parametrize("text", ["AB==", "A", "AA= =", "AA-_", "AA==\n"])
def test_base64_has_one_spelling(text):
    with pytest.raises(BadNote):
        from_base64(text)
