"""Cosignatures: what they sign, whose they are, and that nothing in them can be changed."""

import pytest
from hypothesis import assume, given
from tlog_world import LOG, NOW, ORIGIN, W1, W2, Log, cosigned, raw_line, signer, spoilt

from ledger.errors import BadNote
from ledger.tlog.cosignature import add_cosignatures, cosign, cosigned_at
from ledger.tlog.note import Checkpoint, Note, NoteSignature, VerifierKey, sign_note
from ledger.tlog.quorum import Quorum

LOG_ = Log(20)
NOTE = LOG_.note(7)
TEXT = Note.parse(NOTE).text
LINE = cosign(TEXT, W1.name, signer(W1.name), NOW).line


def test_the_signed_message():
    signature = cosign(TEXT, W1.name, signer(W1.name), NOW).signature
    message = f"cosignature/v1\ntime {NOW}\n{TEXT}".encode()
    assert signature == NOW.to_bytes(8) + signer(W1.name).sign(message)


def test_the_newest_time_counts():
    note = Note.parse(cosigned(NOTE, W1.name))
    newer = cosign(TEXT, W1.name, signer(W1.name), NOW + 5)
    assert cosigned_at(note, W1) == NOW
    assert cosigned_at(note.add([newer]), W1) == NOW + 5
    # Side by side, as a careless client would have it.
    assert cosigned_at(Note(TEXT, (newer, *note.signatures)), W1) == NOW + 5
    assert cosigned_at(note, W2) is None


@pytest.mark.parametrize("time", [0, -1, 2**63])
def test_no_such_time(time):
    with pytest.raises(BadNote, match="no time"):
        cosign(TEXT, W1.name, signer(W1.name), time)


@pytest.mark.parametrize("time", [0, 2**63])
def test_a_signature_over_no_such_time(time):
    message = f"cosignature/v1\ntime {time}\n{TEXT}".encode()
    blob = time.to_bytes(8) + signer(W1.name).sign(message)
    note = Note.parse(NOTE).add([NoteSignature(W1.name, W1.key_id, blob)])
    with pytest.raises(BadNote, match="does not verify"):
        cosigned_at(note, W1)


def test_only_checkpoints_are_cosigned():
    with pytest.raises(BadNote, match="checkpoint"):
        cosign("text\n", W1.name, signer(W1.name), NOW)
    with pytest.raises(BadNote, match="checkpoint"):
        cosigned_at(Note.parse(sign_note("text\n", ORIGIN, signer(ORIGIN))), W1)


def test_extension_lines_are_signed():
    text = TEXT + "extension\n"
    line = cosign(text, W1.name, signer(W1.name), NOW)
    assert cosigned_at(Note(text, (line,)), W1) == NOW
    with pytest.raises(BadNote, match="does not verify"):
        cosigned_at(Note(TEXT, (line,)), W1)


def test_a_log_is_no_witness():
    with pytest.raises(BadNote, match="not the key of a witness"):
        cosigned_at(Note.parse(NOTE), LOG)
    # One key, used by mistake as both: its signature over the note is no cosignature.
    as_witness = VerifierKey(ORIGIN, LOG.public, "cosignature")
    assert cosigned_at(Note.parse(NOTE), as_witness) is None


def test_lines_of_strangers_are_ignored():
    stranger = raw_line("stranger.example", b"abcd", b"whatever")
    assert add_cosignatures(NOTE, stranger + LINE, [W1, W2]) == NOTE + LINE
    with pytest.raises(BadNote, match="known witness"):
        add_cosignatures(NOTE, stranger, [W1])
    with pytest.raises(BadNote, match="known witness"):
        add_cosignatures(NOTE, LINE, [])


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "text\n",
        LINE[:-1],
        LINE + "\n",
        raw_line(W1.name, W1.key_id, bytes(72)),
        cosign(Log(20, history="x").checkpoint(7).text, W1.name, signer(W1.name), NOW).line,
    ],
)
def test_lines_that_are_no_cosignatures(lines):
    with pytest.raises(BadNote):
        add_cosignatures(NOTE, lines, [W1])


COSIGNED = cosigned(NOTE, W1.name, W2.name)


@given(spoilt(COSIGNED))
def test_any_changed_byte_is_refused(note):
    # Removing one of two equal bytes side by side may give the text back.
    assume(note != COSIGNED)
    with pytest.raises(BadNote):
        Quorum(2, (W1, W2)).require(note), Checkpoint.open(note, LOG)
