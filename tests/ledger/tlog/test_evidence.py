"""Evidence of two histories: whom it convicts, and that it convicts nobody else."""

import json

import pytest
from hypothesis import assume, given
from tlog_world import LOG, NOW, ORIGIN, W1, W2, Log, cosigned, signer, spoilt

from circuits.encoding import canonical_json
from ledger.errors import BadEvidence
from ledger.tlog.evidence import MAX_EVIDENCE_BYTES, Evidence
from ledger.tlog.note import Checkpoint, Note, VerifierKey

TRUE, LIE = Log(40), Log(40, history="other ", fork=5)
EVIDENCE = Evidence.of(LOG, TRUE.note(7), LIE.note(7))


def rewritten(old, new):
    return Evidence.of(
        LOG, TRUE.note(old), LIE.note(new),
        prefix=LIE.root(old), proof=LIE.consistency(old, new),
    )  # fmt: skip


def test_two_roots_of_one_size():
    offence = EVIDENCE.verify([W1, LOG])
    assert offence.key == LOG
    assert {offence.first.root, offence.second.root} == {TRUE.root(7), LIE.root(7)}
    assert offence.same_size
    assert Evidence.of(LOG, LIE.note(7), TRUE.note(7)) == EVIDENCE
    assert Evidence.decode(EVIDENCE.encode()) == EVIDENCE


def test_a_witness_that_cosigned_two_roots():
    first, second = (cosigned(log.note(7), W1.name, W2.name) for log in (TRUE, LIE))
    evidence = Evidence.of(W1, first, second)
    offence = Evidence.decode(evidence.encode()).verify([W1])
    assert offence.key == W1
    assert offence.first.origin == ORIGIN
    # Nobody else's signature is in it: it accuses one key.
    assert all(len(Note.parse(note).signatures) == 1 for note in evidence.notes)


def test_a_cosigned_note_convicts_the_log_as_well():
    assert Evidence.of(LOG, cosigned(TRUE.note(7), W1.name), LIE.note(7)) == EVIDENCE


@pytest.mark.parametrize(("old", "new"), [(6, 7), (7, 8), (8, 9), (8, 16), (8, 40), (13, 40)])
def test_a_rewritten_past(old, new):
    evidence = rewritten(old, new)
    offence = Evidence.decode(evidence.encode()).verify([LOG])
    assert (offence.first, offence.second) == (TRUE.checkpoint(old), LIE.checkpoint(new))
    assert not offence.same_size


@pytest.mark.parametrize(("old", "new"), [(1, 40), (5, 6), (4, 40)])
def test_an_honest_log_cannot_be_accused(old, new):
    # Up to where the histories part they are one.
    with pytest.raises(BadEvidence, match="nothing shows"):
        rewritten(old, new)
    for prefix in (bytes(32), LIE.root(7), TRUE.root(new)):
        with pytest.raises(BadEvidence, match="proof of the other prefix"):
            Evidence.of(
                LOG, TRUE.note(old), TRUE.note(new),
                prefix=prefix, proof=TRUE.consistency(old, new),
            )  # fmt: skip


def test_growth_is_no_offence():
    with pytest.raises(BadEvidence, match="proof of the other prefix"):
        Evidence.of(LOG, TRUE.note(7), TRUE.note(8))
    with pytest.raises(BadEvidence, match="nothing shows"):
        Evidence.of(LOG, TRUE.note(0), TRUE.note(8), prefix=bytes(32))
    with pytest.raises(BadEvidence, match="same root"):
        Evidence.of(LOG, TRUE.note(7), cosigned(TRUE.note(7), W1.name))


def test_the_time_of_a_cosignature_is_no_offence():
    notes = [cosigned(TRUE.note(7), W1.name, time=NOW + i) for i in range(2)]
    with pytest.raises(BadEvidence, match="same root"):
        Evidence.of(W1, *notes)


def test_extension_lines_are_no_offence():
    notes = [
        Checkpoint(ORIGIN, 7, TRUE.root(7), lines).sign(signer(ORIGIN)) for lines in ((), ("x",))
    ]
    with pytest.raises(BadEvidence, match="same root"):
        Evidence.of(LOG, *notes)


def test_whom_it_accuses():
    with pytest.raises(BadEvidence, match="not a key that was asked about"):
        EVIDENCE.verify([W1, VerifierKey(ORIGIN, signer("someone else").public)])
    with pytest.raises(BadEvidence, match="not signed by"):
        Evidence.of(W1, TRUE.note(7), cosigned(LIE.note(7), W1.name))
    # Two logs of one key, or a key that signs for another log than it is named for.
    other = [Log(40, history=h, origin="log.example/other") for h in ("a", "b")]
    witness = [cosigned(log.note(7), W1.name) for log in (TRUE, other[0])]
    with pytest.raises(BadEvidence, match="two logs"):
        Evidence.of(W1, *witness)
    text = TRUE.checkpoint(7).text.replace(ORIGIN, "log.example/third")
    forged = Note(text, Note.parse(TRUE.note(7)).signatures).encode()
    with pytest.raises(BadEvidence, match="does not verify"):
        Evidence.of(LOG, TRUE.note(7), forged)
    foreign = [Checkpoint("log.example/third", 7, log.root(7)) for log in (TRUE, LIE)]
    notes = [_signed_as(LOG, checkpoint.text) for checkpoint in foreign]
    with pytest.raises(BadEvidence, match="not the key of log"):
        Evidence.of(LOG, *notes)


def _signed_as(key, text):
    signed = Note.parse(Checkpoint(key.name, 1, bytes(32)).sign(signer(ORIGIN))).signatures[0]
    blob = signer(ORIGIN).sign(text.encode())
    return Note(text, (type(signed)(key.name, key.key_id, blob),)).encode()


def test_notes_that_are_no_checkpoints():
    for text in ("text\n", f"{ORIGIN}\n7\nAAAA\n"):
        with pytest.raises(BadEvidence):
            Evidence.of(LOG, TRUE.note(7), _signed_as(LOG, text))
    with pytest.raises(BadEvidence, match="no signatures"):
        Evidence.of(LOG, TRUE.note(7), "text")


def test_there_is_one_form():
    first, second = EVIDENCE.notes
    reordered = Evidence(LOG, (second, first))
    with pytest.raises(BadEvidence, match="order"):
        reordered.verify([LOG])
    with pytest.raises(BadEvidence, match="other signatures"):
        Evidence(LOG, (first, cosigned(second, W1.name))).verify([LOG])
    with pytest.raises(BadEvidence, match="no proof"):
        Evidence(LOG, EVIDENCE.notes, bytes(32)).verify([LOG])
    with pytest.raises(BadEvidence, match="no proof"):
        Evidence(LOG, EVIDENCE.notes, b"", (bytes(32),)).verify([LOG])


VALUE = json.loads(EVIDENCE.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"format": "zkpot/other"},
        {"more": 1},
        {"key": "x"},
        {"key": 1},
        {"key": str(W1)},
        {"notes": VALUE["notes"][:1]},
        {"notes": VALUE["notes"] * 2},
        {"notes": "ab"},
        {"notes": [1, 2]},
        {"prefix": "00"},
        {"prefix": None},
        {"prefix": []},
        {"prefix": "AA" * 32},
        {"proof": ["00"]},
        {"proof": [1]},
        {"proof": {}},
        {"proof": None},
        {"proof": ["00" * 32] * 65},
    ],
    ids=str,
)
def test_malformed_files(change):
    with pytest.raises(BadEvidence):
        Evidence.decode(canonical_json({**VALUE, **change})).verify([LOG])


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"1", b"{}", b"{", b"\xff", b"{ }", b"0" * (MAX_EVIDENCE_BYTES + 1),
     EVIDENCE.encode() + b"\n", EVIDENCE.encode().replace(b":", b": ", 1)],
    ids=lambda data: repr(data[:8]),
)  # fmt: skip
def test_files_that_are_none(data):
    with pytest.raises(BadEvidence):
        Evidence.decode(data)


REWRITTEN = rewritten(13, 40).encode().decode()


@given(spoilt(REWRITTEN))
def test_any_changed_byte_is_refused(text):
    assume(text != REWRITTEN)
    with pytest.raises(BadEvidence):
        Evidence.decode(text.encode()).verify([LOG])
