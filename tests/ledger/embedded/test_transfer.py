"""Exports that anyone can check, and ledgers made of them."""

import shutil
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circuits.encoding import canonical_json
from circuits.errors import CorruptedArtefact, MissingArtefact, ZkpotError
from ledger import Ledger, VerifierKey, errors
from ledger.embedded.moved import Moved, open_moved, sign_moved
from ledger.embedded.tiles import TileReader, folder_fetch
from ledger.embedded.transfer import import_
from ledger.tlog.note import Checkpoint
from tests.ledger.embedded.embedded_world import KEY, create, document, pay, pay_at_once
from tests.ledger.ledger_world import ALICE, OPERATOR, ORIGIN


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    with create(folder / "log", folder / "keys" / "log.key.mark") as ledger:
        entry, blobs = document(ledger, ALICE, "my data")
        ledger.append(entry, blobs)
        pay(ledger, 3)
        ledger.export(folder / "export")
    return folder


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "keys" / "log.key.mark"


@pytest.fixture
def log(template, tmp_path):
    for name in ("log", "keys"):
        shutil.copytree(template / name, tmp_path / name)
    return tmp_path / "log"


@pytest.fixture
def exported(template, tmp_path):
    return shutil.copytree(template / "export", tmp_path / "export")


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_an_export_is_a_static_log(exported, log):
    tree, entries = TileReader(folder_fetch(exported), KEY).rebuild()
    with Ledger.open(log) as ledger:
        assert entries == [entry.encode() for entry in ledger.entries()]
        assert Checkpoint.open(ledger.checkpoint(), KEY).root == tree.root()
    assert sorted(files(exported)) == sorted(
        ["checkpoint", "checkpoints"]
        + [p for p in files(exported) if p.startswith(("tile/", "blobs/"))]
    )


def test_the_same_files_in_a_tar(exported, log, tmp_path):
    with Ledger.open(log) as ledger:
        ledger.export(tmp_path / "a.tar")
        ledger.export(tmp_path / "deeper" / "b.tar")
    with tarfile.open(tmp_path / "a.tar") as archive:
        found = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
    assert found == files(exported)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "deeper" / "b.tar").read_bytes()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_an_export_is_brought_up_to_date(exported, log, mark, tmp_path):
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        pay(ledger, 1)
        pay_at_once(ledger, 260)
        ledger.export(exported)
        ledger.export(tmp_path / "fresh")
    assert files(exported) == files(tmp_path / "fresh")


def test_another_log_is_not_exported_over_it(exported, tmp_path):
    with create(tmp_path / "other", tmp_path / "other.mark") as other:
        pay(other, 4)
        with pytest.raises(errors.LedgerCorrupt):
            other.export(exported)
    assert TileReader(folder_fetch(exported), KEY).rebuild()


@pytest.mark.parametrize("name", ["export", "export.tar"])
def test_a_mirror(log, tmp_path, name):
    with Ledger.open(log) as ledger:
        ledger.export(tmp_path / name)
    import_(tmp_path / name, tmp_path / "mirror", log=KEY)
    with Ledger.open(log) as ledger, Ledger.open(tmp_path / "mirror") as mirror:
        assert mirror.standing == "copy"
        assert mirror.state.to_dict() == ledger.state.to_dict()
        assert mirror.audit(log=KEY).ok
        # Receipts are those of the original, to the byte.
        for index in range(ledger.state.size):
            assert mirror.receipt(index) == ledger.receipt(index)
    with pytest.raises(errors.LedgerExists):
        import_(tmp_path / name, tmp_path / "mirror")


def test_a_mirror_does_not_go_on(exported, mark, tmp_path):
    import_(exported, tmp_path / "mirror")
    with pytest.raises(errors.LedgerIsBackup):
        Ledger.open(tmp_path / "mirror", OPERATOR, mark=mark)


def test_plain_tiles_are_enough_without_blobs(tmp_path, mark):
    """Such as another C2SP log's server has; the older checkpoints are then not known."""
    with create(tmp_path / "log", mark) as ledger:
        pay(ledger, 3)
    import_(tmp_path / "log" / "tlog", tmp_path / "mirror", log=KEY)
    with Ledger.open(tmp_path / "mirror") as mirror:
        assert mirror.audit().ok
        assert mirror.receipt(2).verify(KEY) == mirror.entry(2)


# Going on elsewhere


def test_moved(log, mark, tmp_path):
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        ledger.move(tmp_path / "export.tar")
        with pytest.raises(errors.LedgerMoved):
            pay(ledger)
        with pytest.raises(errors.LedgerMoved):
            ledger.move(tmp_path / "again.tar")
        assert ledger.audit().ok
    with pytest.raises(errors.LedgerMoved):
        Ledger.open(log, OPERATOR, mark=mark)
    import_(tmp_path / "export.tar", tmp_path / "there", OPERATOR, mark=tmp_path / "there.mark")
    with Ledger.open(tmp_path / "there", OPERATOR, mark=tmp_path / "there.mark") as ledger:
        pay(ledger)
        assert ledger.standing == "live"
        assert ledger.audit().ok
    with Ledger.open(log) as old:
        assert old.warnings() == ["this ledger was moved, and goes on somewhere else"]
        assert old.audit().ok
        # What was lost on the way is written again.
        old.export(tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "export.tar").read_bytes()


def test_a_move_cannot_be_taken_back(log, mark, tmp_path):
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        ledger.move(tmp_path / "export")
        for standing in ("live", "copy"):
            with pytest.raises(errors.LedgerCorrupt):
                ledger._store.stand(standing)
    with Ledger.open(log) as old:
        assert old.standing == "moved"


def test_not_moved_and_no_mark(exported, tmp_path):
    with pytest.raises(errors.NoMark):
        import_(exported, tmp_path / "there", OPERATOR, mark=tmp_path / "there.mark")
    with pytest.raises(errors.LedgerMissing):
        Ledger.open(tmp_path / "there")


def test_with_the_mark_of_the_key(exported, log, mark, tmp_path):
    """The old place is gone, or stops by itself: its mark is no longer its own."""
    import_(exported, tmp_path / "there", OPERATOR, mark=mark)
    with Ledger.open(tmp_path / "there", OPERATOR, mark=mark) as ledger:
        pay(ledger)
    with pytest.raises(errors.LedgerRolledBack):
        Ledger.open(log, OPERATOR, mark=mark)


def test_with_a_mark_that_is_ahead(exported, log, mark, tmp_path):
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        pay(ledger)
    with pytest.raises(errors.LedgerRolledBack):
        import_(exported, tmp_path / "there", OPERATOR, mark=mark)


def test_a_move_that_says_something_else(log, mark, exported, tmp_path):
    there = {"mark": tmp_path / "there.mark"}
    newest = TileReader(folder_fetch(exported), KEY).checkpoint
    older = Checkpoint(ORIGIN, newest.size - 1, newest.root)
    with Ledger.open(log) as ledger:
        older = Checkpoint.open(ledger.receipt(newest.size - 2).checkpoint, KEY)
    for note, error in (
        (sign_moved(Moved(older, 1), OPERATOR), errors.LedgerCorrupt),
        (sign_moved(Moved(newest, 1), ALICE), errors.BadNote),
        (newest.sign(OPERATOR), errors.BadNote),
    ):
        (exported / "moved").write_text(note)
        with pytest.raises(error):
            import_(exported, tmp_path / "there", OPERATOR, **there)
    (exported / "moved").write_text(sign_moved(Moved(newest, 1), OPERATOR))
    import_(exported, tmp_path / "there", OPERATOR, **there)


def test_what_says_that_it_was_moved_is_no_checkpoint():
    newest = Checkpoint(ORIGIN, 7, b"r" * 32)
    note = sign_moved(Moved(newest, 3), OPERATOR)
    assert open_moved(note, KEY) == Moved(newest, 3)
    with pytest.raises(errors.BadNote):
        Checkpoint.open(note, KEY)


# What does not hold


def test_another_key(exported, tmp_path):
    other = VerifierKey(ORIGIN, ALICE.public)
    with pytest.raises(errors.BadNote):
        import_(exported, tmp_path / "there", log=other)
    with pytest.raises(errors.BadKey):
        import_(exported, tmp_path / "there", ALICE)
    assert not (tmp_path / "there").exists()


def test_nothing_there(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.tar").write_bytes(b"no tar file")
    for name, error in (
        ("nowhere", MissingArtefact),
        ("empty", MissingArtefact),
        ("file.tar", CorruptedArtefact),
    ):
        with pytest.raises(error):
            import_(tmp_path / name, tmp_path / "there")


def test_checkpoints_of_another_history(exported, tmp_path):
    for spoilt in (
        canonical_json([Checkpoint(ORIGIN, 3, b"x" * 32).sign(OPERATOR)]),
        canonical_json([Checkpoint(ORIGIN, 99, b"x" * 32).sign(OPERATOR)]),
        canonical_json(["note"]),
        b"{}",
        b"junk",
    ):
        (exported / "checkpoints").write_bytes(spoilt)
        with pytest.raises(ZkpotError):
            import_(exported, tmp_path / "there")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    with create(folder / "log") as ledger:
        entry, blobs = document(ledger, ALICE, "my data")
        ledger.append(entry, blobs)
        pay_at_once(ledger, 255)
        ledger.export(folder / "export")
    return folder / "export"


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_flipped_bit_of_an_export(sound, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    shutil.copytree(sound, folder / "export")
    path = folder / "export" / data.draw(st.sampled_from(sorted(files(sound))))
    spoilt = bytearray(path.read_bytes())
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(spoilt)
    with pytest.raises(ZkpotError):
        import_(folder / "export", folder / "there", log=KEY)
    assert not (folder / "there" / "ledger.sqlite").exists()
