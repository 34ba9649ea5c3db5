"""The witness protocol's bodies, both ways."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tlog_world import NOW, W1, W2, Log, cosigned, signer

from ledger.errors import (
    BadNote,
    BadWitnessRequest,
    NotConsistent,
    NotSignedByLog,
    UnknownLog,
    WitnessConflict,
    WitnessRefused,
)
from ledger.tlog.cosignature import cosign
from ledger.tlog.note import Note
from ledger.tlog.wire import (
    MAX_REQUEST_BYTES,
    SIZE_TYPE,
    AddCheckpoint,
    Answer,
    answer,
    read_answer,
)

NOTE = Log(9).note(9)
LINE = cosign(Note.parse(NOTE).text, W1.name, signer(W1.name), NOW).line
HASH = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_requests(size, proof, note):
    request = AddCheckpoint(size, tuple(proof), note)
    assert AddCheckpoint.parse(request.encode()) == request


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not an old size"),
        (b"old 0\n", "not an old size"),
        (b"old 0\nnote", "not an old size"),
        (b"0\n\nnote", "not an old size"),
        (b"\n\nold 0", "not an old size"),
        (b"old  0\n\nnote", "decimal"),
        (b"old 00\n\nnote", "decimal"),
        (b"old -1\n\nnote", "decimal"),
        (b"old 9223372036854775808\n\nnote", "decimal"),
        (b"old 0\r\n\r\n\n\nnote", "decimal"),
        (b"old 1\nAAAA\n\nnote", "32 bytes"),
        (b"old 1\nPlRN\r\n\nnote", "base64"),
        (b"old 1\n" + (HASH + "\n").encode() * 64 + b"\nnote", "63 lines"),
        (b"old 0\n\n\xff", "UTF-8"),
        (b"old 0\n\n" + b"x" * MAX_REQUEST_BYTES, "bytes"),
    ],
)
def test_malformed_requests(body, reason):
    with pytest.raises(BadWitnessRequest, match=reason):
        AddCheckpoint.parse(body)


def test_a_cosignature_as_an_answer():
    def add(size, proof, note):
        assert (size, proof, note) == (0, (), NOTE)
        return LINE

    answered = answer(add, AddCheckpoint(0, (), NOTE).encode())
    assert (answered.status, answered.body) == (200, LINE.encode())
    assert read_answer(answered, NOTE, [W1]) == cosigned(NOTE, W1.name)
    with pytest.raises(BadNote, match="known witness"):
        read_answer(answered, NOTE, [W2])


@pytest.mark.parametrize(
    ("refusal", "status"),
    [(BadWitnessRequest, 400), (NotSignedByLog, 403), (UnknownLog, 404), (NotConsistent, 422)],
)
def test_refusals_keep_their_names(refusal, status):
    def add(size, proof, note):
        raise refusal("the reason\x1b")

    answered = answer(add, AddCheckpoint(0, (), NOTE).encode())
    assert answered.status == status
    with pytest.raises(refusal, match=f"status {status}: 'the reason.x1b'"):
        read_answer(answered, NOTE, [W1])


def test_a_conflict_tells_the_size():
    def add(size, proof, note):
        raise WitnessConflict(20852014)

    answered = answer(add, AddCheckpoint(0, (), NOTE).encode())
    assert answered == Answer(409, "text/x.tlog.size", b"20852014\n")
    for content_type in (SIZE_TYPE, "Text/X.tlog.size ; charset=utf-8"):
        with pytest.raises(WitnessConflict) as caught:
            read_answer(replace(answered, content_type=content_type), NOTE, [W1])
    assert (caught.value.size, caught.value.code) == (20852014, "WITNESS_CONFLICT")


def test_a_malformed_request_is_answered():
    answered = answer(lambda *_: LINE, b"x")
    assert answered.status == 400


@pytest.mark.parametrize(
    ("answered", "error"),
    [
        (Answer(200, "text/plain", b""), BadNote),
        (Answer(200, "text/plain", b"\xff"), BadNote),
        (Answer(200, "text/html", b"<html>\n"), BadNote),
        (Answer(409, SIZE_TYPE, b"many\n"), BadNote),
        (Answer(409, SIZE_TYPE, b"-1\n"), BadNote),
        (Answer(409, "text/html", b"7\n"), WitnessRefused),
        (Answer(500, "text/html", b"<html>"), WitnessRefused),
        (Answer(204, "", b""), WitnessRefused),
    ],
)
def test_answers_that_are_none(answered, error):
    with pytest.raises(error) as caught:
        read_answer(answered, NOTE, [W1])
    assert caught.type is error
