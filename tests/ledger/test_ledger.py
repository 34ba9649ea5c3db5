"""The ledger on disk: what it takes, what it gives back, what it survives."""

import sqlite3
from dataclasses import replace

import pytest
from ledger_world import (
    ALICE,
    ARCHITECTURE,
    BOB,
    DATA,
    EVALUATOR,
    MANIFEST,
    OPERATOR,
    ORIGIN,
    TASK,
    commitment,
    digest_of,
    filled,
    statement,
    submission,
    submit,
    verify,
)

from circuits.errors import ProofRejected, SrsInsecure, WrongContext
from ledger import Ledger, Receipt, VerifierKey, entries, errors
from ledger.embedded.store import Batch, Conflict, Store
from verifier.verdict import Verdict

KEY = VerifierKey(ORIGIN, OPERATOR.public)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.init(tmp_path / "log", ORIGIN, OPERATOR, allow_insecure_srs=False) as made:
        yield made


def never(bundle, pins):
    raise AssertionError("verified what could not have been accepted")


def test_the_whole_story(ledger, tmp_path):
    task = filled(ledger)
    receipt = submit(ledger, task, ALICE, "m", 80)
    assert ledger.credited(receipt) == ledger.balance(ALICE.public) == 600
    assert ledger.balances() == {ALICE.public: 600}
    assert ledger.key == KEY
    assert ledger.blob(ledger.task(task).terms.architecture) == ARCHITECTURE
    assert ledger.entries()[receipt.index + 1].body.amount == 600
    report = ledger.audit(verify, KEY)
    assert report.ok, report.fault
    assert report.proofs == 1
    report.require()
    with Ledger.open(tmp_path / "log") as again:
        assert again.state == ledger.state
        assert again.checkpoint() == ledger.checkpoint()


def test_pins_come_from_the_ledger(ledger):
    task = filled(ledger)
    seen = []

    def watch(bundle, pins):
        seen.append(pins)
        return verify(bundle, pins)

    submit(ledger, task, ALICE, "m", 80, watch)
    (pins,) = seen
    assert (pins.circuit, pins.vk, pins.srs) == (TASK.circuit, TASK.vk, TASK.srs)
    assert (pins.testset, pins.samples) == (DATA.root, DATA.samples)
    assert (pins.task, pins.round, pins.origin) == (task, 0, ORIGIN)
    assert pins.submitter == ALICE.public
    assert ledger.blob(pins.manifest) == MANIFEST


# Receipts


def test_receipts_verify_offline(ledger):
    task = filled(ledger)
    submit(ledger, task, ALICE, "m", 80)
    for index, entry in enumerate(ledger.entries()):
        receipt = ledger.receipt(index)
        again = Receipt.parse(receipt.encode())
        assert again == receipt
        assert again.verify(KEY) == entry


def test_a_spoilt_receipt(ledger):
    task = filled(ledger)
    receipt = submit(ledger, task, ALICE, "m", 80)
    other = ledger.receipt(receipt.index - 1)
    for spoilt in (
        replace(receipt, index=receipt.index + 1),
        replace(receipt, entry=other.entry),
        replace(receipt, proof=receipt.proof[1:]),
        replace(receipt, proof=(*receipt.proof, bytes(32))),
        replace(receipt, checkpoint=other.checkpoint),
    ):
        with pytest.raises(errors.BadNote):
            spoilt.verify(KEY)
    with pytest.raises(errors.BadNote):
        receipt.verify(VerifierKey(ORIGIN, ALICE.public))
    text = receipt.encode()
    for bad in ("", text.replace("@v1", "@v2"), text.replace("index ", "index 0"), text[:40]):
        with pytest.raises(errors.BadNote):
            Receipt.parse(bad)


# Retries


def test_a_retry_gets_the_same_receipt(ledger):
    task = filled(ledger)
    said = statement(task, ALICE, "m", 80)
    entry = ledger.sign(submission(task, said), ALICE)
    receipt = ledger.submit(said.encode(), entry, verify)
    submit(ledger, task, BOB, "n", 90)
    size = ledger.state.size
    assert ledger.submit(said.encode(), entry, never).encode() == receipt.encode()
    assert ledger.state.size == size
    assert ledger.balance(ALICE.public) == 600


def test_a_retried_append_gets_the_same_receipt(ledger):
    entry = ledger.sign(entries.IdentityRegister("alice"), ALICE)
    receipt = ledger.append(entry)
    ledger.append(ledger.sign(entries.IdentityRegister("bob"), BOB))
    assert ledger.append(entry) == receipt


# Refusals


def refused(ledger, error, action):
    state, size = ledger.state, ledger.state.size
    with pytest.raises(error) as caught:
        action()
    assert ledger.state == state
    assert len(ledger.entries()) == size
    return caught.value


def test_a_bad_proof_is_refused_and_recorded(ledger):
    task = filled(ledger)
    said = statement(task, ALICE, "m", 80)
    junk = b"junk"
    body = replace(submission(task, said), bundle=entries.blob_digest(junk))
    entry = ledger.sign(body, ALICE)
    error = refused(ledger, ProofRejected, lambda: ledger.submit(junk, entry, verify))
    assert error.check == "bundle"
    (refusal,) = ledger.refusals()
    assert (refusal.code, refusal.signer) == ("PROOF_REJECTED", ALICE.public)
    with pytest.raises(ProofRejected):
        ledger.submit(junk, entry, verify)
    assert len(ledger.refusals()) == 1
    with pytest.raises(errors.MissingBlob):
        ledger.blob(body.bundle)


def test_a_verdict_for_another_statement(ledger):
    task = filled(ledger)
    said, better = (statement(task, ALICE, "m", correct) for correct in (80, 90))
    body = replace(submission(task, better), bundle=entries.blob_digest(said.encode()))
    entry = ledger.sign(body, ALICE)
    error = refused(ledger, ProofRejected, lambda: ledger.submit(said.encode(), entry, verify))
    assert error.check == "statement"


def test_a_verdict_without_checks_accepts_nothing(ledger):
    task = filled(ledger)

    def lazy(bundle, pins):
        return Verdict(statement(task, ALICE, "m", 80), ())

    refused(ledger, ProofRejected, lambda: submit(ledger, task, ALICE, "m", 80, lazy))


def test_another_bundle_than_named(ledger):
    task = filled(ledger)
    said = statement(task, ALICE, "m", 80)
    entry = ledger.sign(submission(task, said), ALICE)
    refused(ledger, ProofRejected, lambda: ledger.submit(said.encode() + b" ", entry, never))


def test_a_development_srs_in_production(ledger):
    task = filled(ledger)

    def insecure(bundle, pins):
        return replace(verify(bundle, pins), srs_insecure=True)

    # Honest about it, or not.
    said = statement(task, ALICE, "m", 80)
    entry = ledger.sign(replace(submission(task, said), srs_insecure=True), ALICE)
    refused(ledger, SrsInsecure, lambda: ledger.submit(said.encode(), entry, never))
    refused(ledger, ProofRejected, lambda: submit(ledger, task, ALICE, "m", 80, insecure))


def test_what_the_rules_refuse_is_never_verified(ledger):
    task = filled(ledger)
    said = statement(task, ALICE, "m", 80)
    entry = ledger.sign(submission(task, said), BOB)
    refused(ledger, WrongContext, lambda: ledger.submit(said.encode(), entry, never))
    refused(ledger, errors.BelowPolicy, lambda: submit(ledger, task, ALICE, "m", 1, never))
    submit(ledger, task, ALICE, "m", 80)
    refused(ledger, errors.NullifierSpent, lambda: submit(ledger, task, ALICE, "m", 81, never))
    codes = [refusal.code for refusal in ledger.refusals()]
    assert codes == ["WRONG_CONTEXT", "BELOW_POLICY", "NULLIFIER_SPENT"]


def test_nobody_is_recorded_in_anothers_name(ledger):
    task = filled(ledger)
    body = commitment(task, ALICE, "late")
    forged = replace(ledger.sign(body, BOB), signer=ALICE.public)
    refused(ledger, errors.BadSignature, lambda: ledger.append(forged))
    assert ledger.refusals() == []


def test_wrong_doors(ledger):
    task = filled(ledger)
    said = statement(task, ALICE, "m", 80)
    with pytest.raises(errors.MalformedEntry):
        ledger.append(ledger.sign(submission(task, said), ALICE))
    with pytest.raises(errors.MalformedEntry):
        ledger.submit(b"", ledger.sign(entries.IdentityRegister("x"), ALICE), never)


def test_blobs_come_first(ledger):
    ledger.append(ledger.sign(entries.IdentityRegister("evaluator"), EVALUATOR))
    entry = ledger.sign(DATA, EVALUATOR)
    for blobs in ([], [b"other"]):
        refused(ledger, errors.MissingBlob, lambda blobs=blobs: ledger.append(entry, blobs))
    ledger.append(entry, [MANIFEST])
    with pytest.raises(errors.MissingBlob):
        ledger.blob(entries.blob_digest(b"other"))
    with pytest.raises(errors.MissingBlob):
        ledger.blob("../ledger.sqlite")


# Opening


def test_a_missing_ledger_is_an_error(tmp_path):
    with pytest.raises(errors.LedgerMissing):
        Ledger.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.LedgerMissing):
        Ledger.open(tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_ledger_is_not_replaced(ledger, tmp_path):
    before = ledger.checkpoint()
    with pytest.raises(errors.LedgerExists):
        Ledger.init(tmp_path / "log", ORIGIN, ALICE, allow_insecure_srs=True)
    assert ledger.checkpoint() == before
    assert not [p for p in (tmp_path / "log").iterdir() if p.name.startswith(".")]


def test_other_files_are_no_ledgers(tmp_path):
    for name, data in (("text", b"not a database" * 100), ("nothing", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ledger.sqlite").write_bytes(data)
        with pytest.raises(errors.LedgerCorrupt):
            Ledger.open(tmp_path / name)


def test_an_unwritable_place_has_a_name(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.StorageFailed):
        Ledger.init(tmp_path / "file" / "log", ORIGIN, OPERATOR, allow_insecure_srs=False)


def test_reading_needs_no_key_and_writing_does(ledger, tmp_path):
    filled(ledger)
    with Ledger.open(tmp_path / "log") as reader:
        assert reader.audit().ok
        with pytest.raises(errors.LedgerReadOnly):
            reader.append(reader.sign(DATA, ALICE))
    with pytest.raises(errors.BadKey):
        Ledger.open(tmp_path / "log", ALICE)


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "line\nbreak"])
def test_a_ledger_has_a_proper_name(tmp_path, origin):
    with pytest.raises((errors.BadNote, errors.MalformedEntry)):
        Ledger.init(tmp_path / "log", origin, OPERATOR, allow_insecure_srs=False)
    assert not (tmp_path / "log").exists()


# Two writers, and the store itself


def test_two_writers_see_each_other(ledger, tmp_path):
    task = filled(ledger)
    with Ledger.open(tmp_path / "log", OPERATOR) as other:
        assert other.balance(ALICE.public) == 0
        submit(ledger, task, ALICE, "m", 80)
        assert other.balance(ALICE.public) == 600
        with pytest.raises(errors.NullifierSpent):
            submit(other, task, ALICE, "m", 80)
        submit(other, task, BOB, "n", 90)
        assert ledger.state == other.state
    assert ledger.audit(verify).ok


def test_the_slower_of_two_writers_is_asked_again(ledger, tmp_path):
    """The other writer appends while the proof is being verified."""
    task = filled(ledger)
    with Ledger.open(tmp_path / "log", OPERATOR) as other:

        def slow(bundle, pins):
            submit(other, task, BOB, "n", 90)
            return verify(bundle, pins)

        receipt = submit(ledger, task, ALICE, "m", 80, slow)
    assert ledger.credited(receipt) == 0
    assert ledger.balances() == {BOB.public: 800}
    assert ledger.audit(verify).ok


def test_the_slower_of_two_identical_submissions(ledger, tmp_path):
    task = filled(ledger)
    said = statement(task, ALICE, "m", 80)
    entry = ledger.sign(submission(task, said), ALICE)
    first = []
    with Ledger.open(tmp_path / "log", OPERATOR) as other:

        def slow(bundle, pins):
            first.append(other.submit(bundle, entry, verify))
            return verify(bundle, pins)

        assert ledger.submit(said.encode(), entry, slow) == first[0]
    assert ledger.state.minted == 600


def test_compare_and_swap(ledger, tmp_path):
    store = Store.open(tmp_path / "log")
    with pytest.raises(Conflict):
        store.commit(0, Batch([b"x"], "note"))
    assert store.size == 1


def test_a_lost_acknowledgement_is_found_again(ledger, monkeypatch):
    """Persisted, but reported as failed: the retry gets the receipt and no second entry."""
    commit = Store.commit

    def unlucky(store, size, batch):
        commit(store, size, batch)
        raise errors.StorageFailed("the wire broke")

    entry = ledger.sign(entries.IdentityRegister("alice"), ALICE)
    monkeypatch.setattr(Store, "commit", unlucky)
    with pytest.raises(errors.StorageFailed):
        ledger.append(entry)
    monkeypatch.undo()
    assert ledger.append(entry).index == 1
    assert ledger.state.size == 2


def test_a_failed_write_leaves_nothing(ledger, tmp_path, monkeypatch):
    entry = ledger.sign(entries.IdentityRegister("alice"), ALICE)
    database = sqlite3.connect(tmp_path / "log" / "ledger.sqlite")
    database.execute(
        "CREATE TRIGGER no BEFORE INSERT ON checkpoints BEGIN SELECT raise(ABORT, 'disk full'); END"
    )
    database.commit()
    with pytest.raises(errors.LedgerCorrupt, match="disk full"):
        ledger.append(entry)
    assert ledger.state.size == len(ledger.entries()) == 1
    database.execute("DROP TRIGGER no")
    database.commit()
    database.close()
    assert ledger.append(entry).index == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET data = x'00' WHERE idx = 0",
        "DELETE FROM entries WHERE idx = 1",
        "INSERT OR REPLACE INTO entries VALUES (0, x'00', zeroblob(32))",
        "INSERT INTO entries VALUES (99, x'00', zeroblob(32))",
        "UPDATE checkpoints SET note = x'00'",
        "DELETE FROM checkpoints",
        "INSERT OR REPLACE INTO checkpoints VALUES (1, x'00')",
        "UPDATE nullifiers SET idx = 0",
        "DELETE FROM nullifiers",
        "UPDATE balances SET amount = -1",
    ],
)
def test_the_database_defends_itself(ledger, tmp_path, statement):
    submit(ledger, filled(ledger), ALICE, "m", 80)
    database = sqlite3.connect(tmp_path / "log" / "ledger.sqlite")
    with pytest.raises(sqlite3.IntegrityError):
        database.execute(statement)
    database.close()
    assert ledger.audit(verify).ok


def test_durability_pragmas(ledger):
    database = ledger._store._db
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_log_that_shrinks_is_noticed(ledger, monkeypatch):
    filled(ledger)
    monkeypatch.setattr(Store, "size", 3)
    for _ in range(2):
        with pytest.raises(errors.LedgerCorrupt, match="shrank"):
            ledger.balance(ALICE.public)


def test_unknown_entry(ledger):
    with pytest.raises(errors.LedgerError):
        ledger.receipt(5)
    assert digest_of("x") not in ledger.balances()
