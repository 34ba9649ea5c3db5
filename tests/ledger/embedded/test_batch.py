"""Many entries in one commit, each with an answer of its own."""

import shutil
from dataclasses import replace

import pytest

from circuits.errors import ZkpotError
from ledger import Ledger, Receipt, entries, errors
from ledger.embedded.store import Store
from ledger.tlog.note import Checkpoint
from tests.ledger.embedded.embedded_world import KEY, create, document, payments, stranger
from tests.ledger.ledger_world import (
    ALICE,
    BOB,
    EVALUATOR,
    OPERATOR,
    filled,
    statement,
    submission,
    verify,
)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    create(folder / "log").close()
    return folder / "log"


@pytest.fixture
def ledger(template, tmp_path):
    shutil.copytree(template, tmp_path / "log")
    with Ledger.open(tmp_path / "log", OPERATOR) as opened:
        yield opened


def test_one_commit_and_one_checkpoint(ledger):
    before = ledger.state.size
    receipts = ledger.append_many([(entry, ()) for entry in payments(ledger, 50)])
    assert [receipt.index for receipt in receipts] == list(range(before, before + 50))
    assert {receipt.checkpoint for receipt in receipts} == {ledger.checkpoint()}
    for receipt in receipts:
        assert Receipt.parse(receipt.encode()).verify(KEY) == ledger.entry(receipt.index)
    assert list(ledger._store.checkpoints(before + 1)) == [before + 50]
    assert ledger.audit().ok


def test_each_on_its_own(ledger):
    before = ledger.state.size
    first, second, third = payments(ledger, 3)
    poor = ledger.sign(entries.Transfer(ALICE.public, 10**9), BOB)
    forged = replace(ledger.sign(entries.Transfer(BOB.public, 1), EVALUATOR), signature="00" * 64)
    unknown = ledger.sign(entries.Transfer(BOB.public, 1), stranger(1))
    named, blobs = document(ledger, EVALUATOR, "text")
    proof = ledger.sign(submission("00" * 32, statement("00" * 32, BOB, "m", 1)), BOB)
    results = ledger.append_many(
        [
            (first, ()),
            (poor, ()),
            (third, ()),
            (forged, ()),
            (second, ()),
            (unknown, ()),
            (named, ()),
            (named, blobs),
            (proof, ()),
            (third, ()),
            (first, ()),
        ]
    )
    said = [getattr(result, "code", None) or result.index - before for result in results]
    assert said == [
        0,
        "INSUFFICIENT_FUNDS",
        "BAD_NONCE",
        "BAD_SIGNATURE",
        1,
        "NOT_AUTHORISED",
        "MISSING_BLOB",
        2,
        "MALFORMED_ENTRY",
        3,
        0,
    ]
    assert results[0] == results[-1]
    assert ledger.state.size == before + 4
    # Recorded are refusals whose author is certain.
    assert [refusal.code for refusal in ledger.refusals()] == ["INSUFFICIENT_FUNDS", "BAD_NONCE"]
    assert ledger.audit().ok


def test_nothing_to_append(ledger):
    before = ledger.checkpoint()
    assert ledger.append_many([]) == []
    (refused,) = ledger.append_many([(payments(ledger, 2)[1], ())])
    assert isinstance(refused, errors.BadNonce)
    assert ledger.checkpoint() == before


def test_a_batch_again_gets_the_same_receipts(ledger):
    items = [(entry, ()) for entry in payments(ledger, 5)]
    receipts = ledger.append_many(items)
    assert ledger.append_many(items) == receipts
    assert ledger.append_many(items[2:]) == receipts[2:]


def test_a_batch_that_cannot_be_written(ledger, monkeypatch):
    items = [(entry, ()) for entry in payments(ledger, 5)]

    def full(self, size, batch):
        raise errors.StorageFailed("the disk is full")

    monkeypatch.setattr(Store, "commit", full)
    with pytest.raises(errors.StorageFailed):
        ledger.append_many(items)
    monkeypatch.undo()
    assert all(isinstance(receipt, Receipt) for receipt in ledger.append_many(items))


def test_somebody_else_was_first(ledger, tmp_path, monkeypatch):
    """Another process with the same database, but not the same mark, commits in between."""
    commit, mark = Store.commit, tmp_path / "other.mark"
    shutil.copyfile(ledger._mark.path, mark)
    other = Ledger.open(ledger.folder, OPERATOR, mark=mark)
    theirs, mine = payments(other, 1, BOB, ALICE)[0], payments(ledger, 2)

    def late(store, size, batch):
        monkeypatch.undo()
        other.append(theirs)
        commit(store, size, batch)

    monkeypatch.setattr(Store, "commit", late)
    receipts = ledger.append_many([(entry, ()) for entry in mine])
    assert [receipt.index for receipt in receipts] == [5, 6]
    assert ledger.entry(4) == theirs
    sizes = [Checkpoint.open(note, KEY).size for note in ledger._store.checkpoints().values()]
    assert sizes == sorted(set(sizes))
    assert ledger.audit().ok
    other.close()


def test_blobs_can_be_put_before(ledger, tmp_path):
    entry, (blob,) = document(ledger, ALICE, "early")
    assert ledger.put_blob(blob) == entry.body.manifest
    assert ledger.append(entry).index == 4
    with Ledger.open(tmp_path / "log") as reader, pytest.raises(errors.LedgerReadOnly):
        reader.put_blob(blob)


def test_entries_and_proofs_of_the_tree(ledger):
    ledger.append_many([(entry, ()) for entry in payments(ledger, 20)])
    assert [e.encode() for e in ledger.entries(3, 4)] == [e.encode() for e in ledger.entries()[3:7]]
    assert ledger.entries(24) == []
    assert ledger.inclusion(3, 10)
    assert ledger.consistency(5, 24)
    for wrong in (
        lambda: ledger.entry(24),
        lambda: ledger.entry(-1),
        lambda: ledger.receipt(24),
        lambda: ledger.inclusion(10, 10),
        lambda: ledger.inclusion(1, 25),
        lambda: ledger.consistency(10, 9),
    ):
        with pytest.raises(ZkpotError):
            wrong()


def test_submissions_are_found_again(tmp_path):
    with Ledger.init(
        tmp_path / "log", "ledger.example/tests", OPERATOR, allow_insecure_srs=False
    ) as made:
        task = filled(made)
        said = statement(task, ALICE, "m", 80)
        body = submission(task, said)
        assert made.submission(body, ALICE.public) is None
        entry = made.sign(body, ALICE)
        made.submit(said.encode(), entry, verify)
        assert made.submission(body, ALICE.public) == entry
        assert made.submission(body, BOB.public) is None
