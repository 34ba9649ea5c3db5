"""The witness: the protocol's answers, what it remembers, and what it never signs."""

import hashlib
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tlog_world import LOG, NOW, ORIGIN, W1, W2, Log, raw_line, signer

from ledger.errors import (
    BadKey,
    BadWitnessRequest,
    LedgerCorrupt,
    LedgerExists,
    LedgerMissing,
    NotConsistent,
    NotSignedByLog,
    StorageFailed,
    UnknownLog,
    WitnessConflict,
)
from ledger.tlog.cosignature import cosigned_at
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Checkpoint, Note, NoteSignature, VerifierKey, sign_note
from ledger.tlog.quorum import Quorum
from ledger.tlog.wire import AddCheckpoint, answer, read_answer
from ledger.tlog.witness import Witness

TRUE, LIE = Log(80), Log(80, history="other ", fork=5)
HASH = hashlib.sha256(ORIGIN.encode()).hexdigest()


@pytest.fixture
def witness(tmp_path):
    return Witness.create(tmp_path / "w", W1.name, signer(W1.name), [LOG], clock=lambda: NOW)


def reopened(witness, clock=NOW, logs=(LOG,)):
    return Witness(witness._folder, W1.name, signer(W1.name), logs, clock=lambda: clock)


def add(witness, old, new, log=TRUE):
    """Return the checkpoint with the witness's cosignature, which is verified."""
    note = log.note(new)
    cosigned = note + witness.add_checkpoint(old, log.consistency(old, new), note)
    Quorum(1, (W1,)).require(cosigned)
    return cosigned


def test_it_follows_a_log(witness):
    for old, new in [(0, 0), (0, 1), (1, 2), (2, 2), (2, 7), (7, 64), (64, 80), (80, 80)]:
        add(witness, old, new)
        witness = reopened(witness)
    assert Checkpoint.open(witness.checkpoint(HASH), LOG) == TRUE.checkpoint(80)


def test_it_is_told_apart_what_it_saw(witness):
    add(witness, 0, 7)
    for old, new in [(0, 7), (0, 80), (6, 7), (6, 80), (8, 80)]:
        with pytest.raises(WitnessConflict) as caught:
            add(witness, old, new)
        assert caught.value.size == 7


def test_it_never_goes_back(witness):
    add(witness, 0, 7)
    for old, new in [(0, 6), (6, 6), (0, 0)]:
        with pytest.raises(WitnessConflict):
            add(reopened(witness), old, new)
    with pytest.raises(BadWitnessRequest, match="old size 7 is above size 6"):
        witness.add_checkpoint(7, (), TRUE.note(6))


def test_it_never_signs_another_history(witness):
    add(witness, 0, 7)
    for size in (8, 16, 64, 80):
        with pytest.raises(NotConsistent):
            add(witness, 7, size, LIE)
    with pytest.raises(NotConsistent):
        add(reopened(witness), 7, 7, LIE)
    assert add(witness, 7, 8)


@pytest.mark.parametrize(
    ("old", "new", "proof"),
    [
        (0, 7, (bytes(32),)),
        (0, 0, (bytes(32),)),
        (7, 7, (bytes(32),)),
        (7, 8, ()),
        (7, 8, TRUE.consistency(7, 8)[:-1]),
        (7, 8, (*TRUE.consistency(7, 8), bytes(32))),
        (7, 8, TRUE.consistency(7, 9)),
        (7, 8, (bytes(31),) * 4),
    ],
)
def test_proofs_that_prove_nothing(witness, old, new, proof):
    if old:
        add(witness, 0, old)
    with pytest.raises(NotConsistent):
        witness.add_checkpoint(old, proof, TRUE.note(new))


def test_an_empty_tree_has_one_root(witness):
    note = Checkpoint(ORIGIN, 0, bytes(32)).sign(signer(ORIGIN))
    with pytest.raises(NotConsistent):
        witness.add_checkpoint(0, (), note)


def test_logs_that_it_does_not_watch(witness):
    other = Log(3, origin="log.example/other")
    with pytest.raises(UnknownLog):
        add(witness, 0, 3, other)
    with pytest.raises(UnknownLog):
        add(reopened(witness, logs=()), 0, 3)


def test_checkpoints_that_the_log_did_not_sign(witness):
    text = TRUE.checkpoint(7).text
    impostor = sign_note(text, ORIGIN, signer("impostor"))
    with pytest.raises(NotSignedByLog, match="not signed by log"):
        witness.add_checkpoint(0, (), impostor)
    spoilt = TRUE.note(7) + raw_line(ORIGIN, LOG.key_id, bytes(64))
    with pytest.raises(NotSignedByLog, match="does not verify"):
        witness.add_checkpoint(0, (), spoilt)


@pytest.mark.parametrize("text", ["text\n", f"{ORIGIN}\n7\nAAAA\n", f"{ORIGIN}\n07\nAAAA\n"])
def test_notes_that_are_no_checkpoints(witness, text):
    for note in (text, sign_note(text, ORIGIN, signer(ORIGIN))):
        with pytest.raises(BadWitnessRequest):
            witness.add_checkpoint(0, (), note)


def test_a_log_with_two_keys_and_extension_lines(witness):
    new_key = VerifierKey(ORIGIN, signer("new key").public)
    witness = reopened(witness, logs=(LOG, new_key))
    for size, name in ((7, ORIGIN), (8, "new key")):
        checkpoint = Checkpoint(ORIGIN, size, TRUE.root(size), ("extension", "lines"))
        note = sign_note(checkpoint.text, ORIGIN, signer(name))
        old = size - 1 if size == 8 else 0
        line = witness.add_checkpoint(old, TRUE.consistency(old, size), note)
        Quorum(1, (W1,)).require(note + line)


def test_what_monitors_get(witness):
    assert witness.checkpoint(HASH) is None
    note = TRUE.note(7)
    stranger = raw_line("stranger.example", b"abcd", b"whatever")
    line = witness.add_checkpoint(0, (), note + stranger)
    assert reopened(witness).checkpoint(HASH) == note + line
    (witness._folder.parent / "secret.checkpoint").write_text("of somebody else")
    for origin_hash in ("", "../secret", HASH.upper(), HASH[:-1], "0" * 64):
        assert witness.checkpoint(origin_hash) is None


def test_time_does_not_go_back(witness):
    def time(clock, old, new):
        return cosigned_at(Note.parse(add(reopened(witness, clock), old, new)), W1)

    assert time(NOW, 0, 7) == NOW
    assert time(NOW - 100, 7, 7) == NOW
    assert time(NOW + 100, 7, 7) == NOW + 100
    assert time(-1, 7, 8) == NOW + 100


def test_a_log_that_shows_two_roots_is_kept_in_evidence(witness):
    add(witness, 0, 7)
    assert witness.evidence(ORIGIN) is None
    for log in (LIE, Log(80, history="third ", fork=2)):
        with pytest.raises(NotConsistent):
            add(witness, 7, 7, log)
    evidence = reopened(witness).evidence(ORIGIN)
    assert evidence == Evidence.of(LOG, TRUE.note(7), LIE.note(7))
    assert evidence.verify([LOG]).same_size
    # Two keys of a log that contradict each other convict neither.
    other = Witness.create(
        witness._folder / "other", W2.name, signer(W2.name),
        [LOG, VerifierKey(ORIGIN, signer("new key").public)],
    )  # fmt: skip
    other.add_checkpoint(0, (), TRUE.note(7))
    with pytest.raises(NotConsistent):
        other.add_checkpoint(7, (), sign_note(LIE.checkpoint(7).text, ORIGIN, signer("new key")))
    assert other.evidence(ORIGIN) is None


def test_over_the_wire(witness):
    def call(old, new):
        body = AddCheckpoint(old, TRUE.consistency(old, new), TRUE.note(new)).encode()
        return read_answer(answer(witness.add_checkpoint, body), TRUE.note(new), [W1])

    assert Quorum(1, (W1,)).require(call(0, 7)) == [(W1, NOW)]
    with pytest.raises(WitnessConflict) as caught:
        call(0, 80)
    assert Quorum(1, (W1,)).require(call(caught.value.size, 80)) == [(W1, NOW)]


def test_a_folder_belongs_to_one_witness(witness, tmp_path):
    with pytest.raises(LedgerExists):
        Witness.create(witness._folder, W1.name, signer(W1.name))
    for name, key in ((W1.name, W2.name), ("witness.example/renamed", W1.name)):
        with pytest.raises(BadKey, match="is not witness"):
            Witness(witness._folder, name, signer(key))
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(LedgerMissing):
            Witness(folder, W1.name, signer(W1.name))


@pytest.mark.parametrize(
    "log", [W2, VerifierKey(ORIGIN, signer(W1.name).public)], ids=["witness", "own key"]
)
def test_what_cannot_be_watched(witness, log):
    with pytest.raises(BadKey, match="not the key of a log"):
        reopened(witness, logs=(log,))


def test_a_damaged_record_is_never_a_new_beginning(witness):
    add(witness, 0, 7)
    path = witness._folder / f"{HASH}.record"
    good = path.read_bytes()
    for place in range(len(good)):
        spoilt = bytearray(good)
        spoilt[place] ^= 1 << place % 8
        path.write_bytes(spoilt)
        with pytest.raises(LedgerCorrupt, match="damaged"):
            add(witness, 7, 8)
    for bad in (b"", good[:-1], b"[]", b"{}", b"1"):
        path.write_bytes(bad)
        with pytest.raises(LedgerCorrupt, match="damaged"):
            add(witness, 0, 8, LIE)
    path.write_bytes(good)
    assert add(witness, 7, 8)


def test_a_record_of_another_log(witness):
    other = Log(9, origin="log.example/other")
    key = VerifierKey(other.origin, signer(other.origin).public)
    witness = reopened(witness, logs=(LOG, key))
    add(witness, 0, 7)
    other_hash = hashlib.sha256(other.origin.encode()).hexdigest()
    (witness._folder / f"{HASH}.record").rename(witness._folder / f"{other_hash}.record")
    with pytest.raises(LedgerCorrupt, match="another log"):
        add(witness, 0, 7, other)


@pytest.mark.parametrize("what", ["record", "checkpoint"])
def test_a_write_that_fails(witness, what):
    add(witness, 0, 7)
    # A folder in the file's place: neither is it read nor replaced.
    path = witness._folder / f"{HASH}.{what}"
    aside = path.rename(path.with_suffix(".aside"))
    path.mkdir()
    with pytest.raises(StorageFailed):
        add(witness, 7, 8)
    path.rmdir()
    aside.rename(path)
    # What was promised without an answer still binds; otherwise nothing has changed.
    seen = 8 if what == "checkpoint" else 7
    with pytest.raises(NotConsistent):
        add(reopened(witness), seen, 8, LIE)
    assert add(reopened(witness), seen, 8)


class _Recorder:
    """A signer that remembers what it signed, whatever becomes of the signature."""

    def __init__(self, name):
        self._signer, self.signed = signer(name), []
        self.public = self._signer.public

    def sign(self, message):
        self.signed.append(Checkpoint.parse(message.decode().split("\n", 2)[2]))
        return self._signer.sign(message)


REQUESTS = st.lists(
    st.tuples(st.sampled_from([TRUE, LIE]), st.integers(0, 12), st.integers(0, 12), st.booleans()),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(REQUESTS)
def test_whatever_is_asked_one_history_is_signed(tmp_path_factory, requests):
    recorder = _Recorder(W1.name)
    folder = tmp_path_factory.mktemp("witness")
    witness = Witness.create(folder, W1.name, recorder, [LOG])
    for log, old, new, honest in requests:
        proof = log.consistency(old, new) if honest and old <= new else (bytes(32),)
        try:
            witness.add_checkpoint(old, proof, log.note(new))
        except (BadWitnessRequest, NotConsistent, WitnessConflict):
            witness = Witness(folder, W1.name, recorder, [LOG])
    sizes = [checkpoint.size for checkpoint in recorder.signed]
    assert sizes == sorted(sizes)
    assert len({(c.size, c.root) for c in recorder.signed}) == len(set(sizes))
    histories = [{c.root == log.root(c.size) for c in recorder.signed} for log in (TRUE, LIE)]
    assert not recorder.signed or {True} in histories


def test_threads_take_turns(witness):
    answers = []

    def run(log):
        try:
            answers.append((log, witness.add_checkpoint(0, (), log.note(7))))
        except WitnessConflict:
            answers.append((log, None))

    threads = [threading.Thread(target=run, args=(log,)) for log in (TRUE, LIE) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(line is not None for _, line in answers) == 1


def test_the_line_is_a_note_signature(witness):
    line = witness.add_checkpoint(0, (), TRUE.note(7))
    signature = NoteSignature.parse(line[:-1])
    assert signature.is_by(W1)
    assert signature.line == line
