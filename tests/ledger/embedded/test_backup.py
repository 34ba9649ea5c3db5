"""A backup is whole, is only read, and becomes the ledger again without losing anything."""

import shutil
import threading

import pytest

from ledger import Ledger, errors
from ledger.embedded.backup import restore
from ledger.embedded.mark import Mark
from tests.ledger.embedded.embedded_world import create, document, mark_size, pay, pay_at_once
from tests.ledger.ledger_world import ALICE, BOB, OPERATOR, filled, submit, verify


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A ledger with a blob in `log`, a backup of it, and `grown` by three entries since."""
    folder = tmp_path_factory.mktemp("template")
    mark = folder / "keys" / "log.key.mark"
    with create(folder / "log", mark) as ledger:
        entry, blobs = document(ledger, ALICE, "my data")
        ledger.append(entry, blobs)
        ledger.backup(folder / "backup")
    grown = shutil.copytree(folder, folder / "grown")
    with Ledger.open(grown / "log", OPERATOR, mark=grown / "keys" / mark.name) as ledger:
        pay(ledger, 2)
        entry, blobs = document(ledger, BOB, "more data")
        ledger.append(entry, blobs)
    return folder


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "keys" / "log.key.mark"


@pytest.fixture
def log(template, tmp_path):
    """A closed ledger, and a backup of it in `backup`."""
    for name in ("log", "backup", "keys"):
        shutil.copytree(template / name, tmp_path / name)
    return tmp_path / "log"


@pytest.fixture
def grown(template, tmp_path):
    """The same, but with three more entries and another blob since the backup."""
    for name in ("log", "backup", "keys"):
        shutil.copytree(template / "grown" / name, tmp_path / name)
    return tmp_path / "log"


def contents(folder):
    with Ledger.open(folder) as ledger:
        return [entry.encode() for entry in ledger.entries()], ledger.checkpoint()


def test_a_backup_is_whole_and_only_read(log, mark, tmp_path):
    assert contents(tmp_path / "backup") == contents(log)
    with Ledger.open(tmp_path / "backup", mark=mark) as backup:
        assert backup.standing == "copy"
        assert backup.warnings() == ["this is a backup or a mirror of the ledger"]
        assert backup.audit().ok
        assert backup.blob(backup.entry(4).body.manifest) == b"my data"
    with pytest.raises(errors.LedgerIsBackup):
        Ledger.open(tmp_path / "backup", OPERATOR, mark=mark)
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        assert ledger.standing == "live"
        pay(ledger)


def test_a_backup_replaces_nothing(log, tmp_path):
    with Ledger.open(log) as ledger, pytest.raises(errors.LedgerExists):
        ledger.backup(tmp_path / "backup")


def test_a_backup_of_a_backup(log, tmp_path):
    with Ledger.open(tmp_path / "backup") as backup:
        backup.backup(tmp_path / "second")
    assert contents(tmp_path / "second") == contents(log)


def test_a_backup_while_it_is_written_to(log, mark, tmp_path):
    done = threading.Event()

    def write():
        with Ledger.open(log, OPERATOR, mark=mark) as ledger:
            while not done.is_set():
                pay(ledger, 5)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with Ledger.open(log) as ledger:
            for number in range(5):
                ledger.backup(tmp_path / f"backup{number}")
    finally:
        done.set()
        thread.join()
    for number in range(5):
        with Ledger.open(tmp_path / f"backup{number}") as backup:
            assert backup.audit().ok


def test_an_audit_while_it_is_written_to(log, mark):
    done = threading.Event()

    def write():
        with Ledger.open(log, OPERATOR, mark=mark) as ledger:
            while not done.is_set():
                pay(ledger, 3)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        with Ledger.open(log, mark=mark) as ledger:
            sizes = set()
            while len(sizes) < 8:
                report = ledger.audit()
                assert report.fault is None
                assert ledger.warnings() == []
                sizes.add(report.size)
    finally:
        done.set()
        thread.join()


def test_a_damaged_blob_is_not_backed_up(log, tmp_path):
    (blob,) = (log / "blobs").iterdir()
    blob.write_bytes(b"other")
    with Ledger.open(log) as ledger, pytest.raises(errors.LedgerCorrupt):
        ledger.backup(tmp_path / "new")
    with pytest.raises(errors.LedgerMissing):
        Ledger.open(tmp_path / "new")


def test_restored_where_nothing_happened_since(log, mark, tmp_path):
    assert restore(tmp_path / "backup", OPERATOR, mark=mark).size == 5
    with Ledger.open(tmp_path / "backup", OPERATOR, mark=mark) as ledger:
        pay(ledger, 1)
        assert ledger.warnings() == []
        assert ledger.audit().ok
    # And the one that it was made of is the older copy now.
    with pytest.raises(errors.LedgerRolledBack):
        Ledger.open(log, OPERATOR, mark=mark)


def test_an_old_backup_is_not_enough(grown, mark, tmp_path):
    with pytest.raises(errors.LedgerRolledBack, match="signed for 8 entries and only 5"):
        restore(tmp_path / "backup", OPERATOR, mark=mark)
    with pytest.raises(errors.LedgerIsBackup):
        Ledger.open(tmp_path / "backup", OPERATOR, mark=mark)


def test_filled_up_from_what_was_published(grown, mark, tmp_path):
    """The database is gone; its tiles and blobs are not."""
    before = contents(grown)
    (grown / "ledger.sqlite").unlink()
    assert restore(tmp_path / "backup", OPERATOR, mark=mark, source=grown).size == 8
    assert contents(tmp_path / "backup") == before
    with Ledger.open(tmp_path / "backup", OPERATOR, mark=mark) as ledger:
        receipt = ledger.receipt(6)
        assert receipt.verify(ledger.key) == ledger.entry(6)
        pay(ledger, 1)
        assert ledger.audit().ok


def test_a_copy_that_is_behind_is_filled_up(log, mark, tmp_path):
    """Not a backup, just an older copy of the files."""
    shutil.copytree(log, tmp_path / "copy")
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        pay_at_once(ledger, 300)
        ledger.export(tmp_path / "export")
    restore(tmp_path / "copy", OPERATOR, mark=mark, source=tmp_path / "export")
    assert contents(tmp_path / "copy") == contents(log)


def test_a_source_that_is_older_still(grown, mark, tmp_path):
    source = tmp_path / "log-before"
    shutil.copytree(grown, source)
    with Ledger.open(grown, OPERATOR, mark=mark) as ledger:
        pay(ledger, 1)
    with pytest.raises(errors.LedgerRolledBack, match="signed for 9 entries and only 8"):
        restore(tmp_path / "backup", OPERATOR, mark=mark, source=source)


def test_a_source_without_the_blob(grown, mark, tmp_path):
    for blob in (grown / "blobs").iterdir():
        blob.unlink()
    with pytest.raises(errors.MissingBlob):
        restore(tmp_path / "backup", OPERATOR, mark=mark, source=grown)
    with Ledger.open(tmp_path / "backup") as backup:
        assert backup.state.size == 5


def test_a_source_with_other_entries(grown, mark, tmp_path):
    path = grown / "tlog" / "tile" / "entries" / "000.p" / "8"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(errors.LedgerCorrupt):
        restore(tmp_path / "backup", OPERATOR, mark=mark, source=grown)


def test_the_mark_is_lost_too(grown, mark, tmp_path):
    mark.unlink()
    with pytest.raises(errors.NoMark):
        restore(tmp_path / "backup", OPERATOR, mark=mark)
    # Somebody holds a receipt for an entry that the backup has not.
    with Ledger.open(grown) as ledger:
        newest = ledger.checkpoint()
    with pytest.raises(errors.LedgerRolledBack):
        restore(tmp_path / "backup", OPERATOR, mark=mark, newest=newest)
    assert restore(grown, OPERATOR, mark=mark, newest=newest).size == 8
    assert mark_size(mark) == 8
    with Ledger.open(grown, OPERATOR, mark=mark) as ledger:
        pay(ledger, 1)


def test_what_was_published_says_what_was_signed(grown, mark, tmp_path):
    mark.unlink()
    restore(tmp_path / "backup", OPERATOR, mark=mark, source=grown)
    assert Mark(mark).path.exists()
    assert contents(tmp_path / "backup") == contents(grown)


def test_a_checkpoint_by_somebody_else(log, mark, tmp_path):
    with create(tmp_path / "other", tmp_path / "other.mark") as other:
        pay(other, 5)
        foreign = other.checkpoint()
    with pytest.raises(errors.LedgerRolledBack):
        restore(tmp_path / "backup", OPERATOR, mark=mark, newest=foreign)
    with pytest.raises(errors.BadNote):
        restore(tmp_path / "backup", OPERATOR, mark=mark, newest="no note")
    with pytest.raises(errors.BadKey):
        restore(tmp_path / "backup", ALICE, mark=mark)
    with pytest.raises(errors.LedgerMissing):
        restore(tmp_path / "nowhere", OPERATOR, mark=mark)


def test_money_and_proofs_survive(tmp_path, mark):
    with Ledger.init(
        tmp_path / "log", "ledger.example/tests", OPERATOR, allow_insecure_srs=False, mark=mark
    ) as ledger:
        ledger.backup(tmp_path / "early")
        submit(ledger, filled(ledger), ALICE, "m", 80)
    restore(tmp_path / "early", OPERATOR, mark=mark, source=tmp_path / "log")
    with Ledger.open(tmp_path / "early", OPERATOR, mark=mark) as ledger:
        assert ledger.balance(ALICE.public) == 600
        report = ledger.audit(verify)
        assert (report.fault, report.proofs) == (None, 1)
