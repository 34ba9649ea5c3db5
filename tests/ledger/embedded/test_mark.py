"""A key never signs a second history, whatever copies of the database there are."""

import shutil

import pytest

from ledger import Ledger, VerifierKey, errors
from ledger.embedded.mark import Mark
from ledger.embedded.store import Store
from ledger.tlog.note import Checkpoint
from tests.ledger.embedded.embedded_world import KEY, copy_of, create, mark_size, pay
from tests.ledger.ledger_world import ALICE, BOB, OPERATOR, ORIGIN


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    create(folder / "log", folder / "keys" / "log.key.mark").close()
    return folder


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "keys" / "log.key.mark"


@pytest.fixture
def log(template, tmp_path):
    """A closed ledger of four entries."""
    for name in ("log", "keys"):
        shutil.copytree(template / name, tmp_path / name)
    return tmp_path / "log"


def note(size, root=b"r" * 32, signer=OPERATOR, origin=ORIGIN):
    return Checkpoint(origin, size, root).sign(signer)


# The mark itself


def test_a_mark_only_rises(tmp_path):
    mark = Mark.beside(tmp_path / "log.key")
    assert mark.path == tmp_path / "log.key.mark"
    assert mark.read(KEY) is None
    mark.write(KEY, note(5))
    mark.write(KEY, note(5))
    mark.write(KEY, note(7))
    assert mark.read(KEY) == Checkpoint(ORIGIN, 7, b"r" * 32)
    for lower in (note(6), note(7, b"s" * 32)):
        with pytest.raises(errors.LedgerRolledBack):
            mark.write(KEY, lower)
    assert Mark(mark.path).require(KEY).size == 7


def test_a_key_with_several_logs(tmp_path):
    mark, other = Mark(tmp_path / "mark"), VerifierKey("other.example", OPERATOR.public)
    mark.write(KEY, note(5))
    mark.write(other, note(2, origin="other.example"))
    assert (mark.read(KEY).size, mark.read(other).size) == (5, 2)
    with pytest.raises(errors.NoMark):
        mark.require(VerifierKey("third.example", OPERATOR.public))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"logs":{"a":1},"moves":{},"version":2}', b"\xff"]
)
def test_a_damaged_mark(tmp_path, data):
    (tmp_path / "mark").write_bytes(data)
    with pytest.raises(errors.NoMark):
        Mark(tmp_path / "mark").read(KEY)


def test_a_forged_mark(tmp_path):
    mark = Mark(tmp_path / "mark")
    mark.write(KEY, note(5))
    text = mark.path.read_text()
    mark.path.write_text(text.replace("\\n5\\n", "\\n4\\n"))
    with pytest.raises(errors.NoMark):
        mark.read(KEY)
    mark.path.write_text(text)
    with pytest.raises(errors.NoMark):
        mark.read(VerifierKey(ORIGIN, ALICE.public))


def test_the_mark_follows_every_commit(log, mark):
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        for receipt in pay(ledger, 3):
            assert mark_size(mark) >= receipt.index + 1
        assert mark_size(mark) == ledger.state.size == 7


# What it is for


def test_an_older_copy_cannot_go_on(log, mark, tmp_path):
    backup = copy_of(log, tmp_path / "backup")
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        pay(ledger, 2)
    before = {p: p.read_bytes() for p in backup.rglob("*") if p.is_file()}
    with pytest.raises(errors.LedgerRolledBack) as caught:
        Ledger.open(backup, OPERATOR, mark=mark)
    assert caught.value.code == "LEDGER_ROLLED_BACK"
    assert {p: p.read_bytes() for p in before if p.exists()} == before
    with Ledger.open(backup, mark=mark) as reader:
        assert reader.state.size == 4
        (warning,) = reader.warnings()
        assert "signed for 6 entries" in warning
        assert "signed for 6 entries" in reader.audit().fault
    with Ledger.open(log, mark=mark) as reader:
        assert reader.warnings() == []


def test_only_the_database_is_put_back(log, mark, tmp_path):
    """Even where the mark was lost with its key, what was published is ahead."""
    old = (log / "ledger.sqlite").read_bytes()
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        pay(ledger, 2)
    (log / "ledger.sqlite").write_bytes(old)
    with pytest.raises(errors.LedgerRolledBack):
        Ledger.open(log, OPERATOR, mark=mark)
    with Ledger.open(log, mark=tmp_path / "lost") as reader:
        (warning,) = reader.warnings()
        assert "signed for 6 entries" in warning
        assert not reader.audit().ok


def test_a_copy_that_went_another_way(log, mark, tmp_path):
    """Same size, other entries: signed on another machine, by a copy of the key and its mark."""
    copy, stale = copy_of(log, tmp_path / "copy"), tmp_path / "stale.mark"
    shutil.copyfile(mark, stale)
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        pay(ledger, 1)
    with Ledger.open(copy, OPERATOR, mark=stale) as ledger:
        pay(ledger, 1, BOB)
    with pytest.raises(errors.LedgerRolledBack, match="other entries"):
        Ledger.open(copy, OPERATOR, mark=mark)


def test_two_copies_open_at_once(log, mark, tmp_path):
    """The slower of two writers stops before anything of its own is signed or published."""
    copy = copy_of(log, tmp_path / "copy")
    with (
        Ledger.open(log, OPERATOR, mark=mark) as first,
        Ledger.open(copy, OPERATOR, mark=mark) as second,
    ):
        pay(first, 1)
        entry = second.sign(first.entry(4).body, BOB)
        with pytest.raises(errors.LedgerRolledBack):
            second.append(entry)
        assert len(second.entries()) == 4
        published = (copy / "tlog" / "checkpoint").read_text()
        assert Checkpoint.open(published, KEY).size == 4
        pay(first, 1)
        assert first.audit().ok


def test_a_commit_without_its_mark(log, mark, tmp_path, monkeypatch):
    """The process ended between COMMIT and the mark; nobody was told of the entry."""
    copy_of(log, tmp_path / "copy")
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:

        def broken(self, log, note):
            raise errors.StorageFailed("pulled the plug")

        monkeypatch.setattr(Mark, "write", broken)
        with pytest.raises(errors.StorageFailed):
            pay(ledger, 1)
        # Not even a read shows what is not under the mark.
        with pytest.raises(errors.StorageFailed):
            ledger.checkpoint()
        monkeypatch.undo()
    assert mark_size(mark) == 4
    # Nobody else went on: the next opening takes the last steps.
    other = shutil.copytree(tmp_path, tmp_path.with_name(tmp_path.name + "-twin"))
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        assert ledger.state.size == mark_size(mark) == 5
        assert ledger.audit().ok
    # Another copy went on: the entry that nobody was told of is what must go.
    with Ledger.open(other / "copy", OPERATOR, mark=other / "keys" / mark.name) as ledger:
        pay(ledger, 1, BOB)
    with pytest.raises(errors.LedgerRolledBack):
        Ledger.open(other / "log", OPERATOR, mark=other / "keys" / mark.name)


def test_a_lost_mark(log, mark):
    mark.unlink()
    with pytest.raises(errors.NoMark, match="newest checkpoint"):
        Ledger.open(log, OPERATOR, mark=mark)
    with Ledger.open(log, mark=mark) as reader:
        assert reader.audit().ok


def test_a_key_starts_a_log_once(log, mark, tmp_path):
    """A database that was lost cannot be replaced by an empty one."""
    again = {"allow_insecure_srs": True, "mark": mark}
    with pytest.raises(errors.LedgerRolledBack):
        Ledger.init(tmp_path / "again", ORIGIN, OPERATOR, **again)
    with pytest.raises(errors.LedgerMissing):
        Ledger.open(tmp_path / "again", OPERATOR, mark=mark)
    Ledger.init(tmp_path / "other", "other.example/log", OPERATOR, **again).close()


def test_an_interrupted_start_is_begun_again(tmp_path, monkeypatch):
    """The mark comes first; the same ledger can then be made after all."""
    options = {"allow_insecure_srs": False, "mark": tmp_path / "mark"}

    def broken(folder, batch):
        raise errors.StorageFailed("pulled the plug")

    monkeypatch.setattr(Store, "create", broken)
    with pytest.raises(errors.StorageFailed):
        Ledger.init(tmp_path / "log", ORIGIN, OPERATOR, **options)
    monkeypatch.undo()
    with Ledger.init(tmp_path / "log", ORIGIN, OPERATOR, **options) as ledger:
        assert ledger.state.size == 1


def test_the_key_beside_the_ledger(tmp_path):
    """Without being told otherwise, the mark is where the command line keeps the key."""
    with create(tmp_path / "log") as ledger:
        pay(ledger, 1)
    assert mark_size(tmp_path / "log" / "log.key.mark") == 5


def test_tiles_left_behind_are_published_on_opening(log, mark, monkeypatch):
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        pay(ledger, 1)
    published = {p: p.read_bytes() for p in (log / "tlog").rglob("*") if p.is_file()}
    shutil.rmtree(log / "tlog")
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        assert ledger.audit().ok
    assert {p: p.read_bytes() for p in (log / "tlog").rglob("*") if p.is_file()} == published
    (log / "tlog" / "checkpoint").write_text("half a checkpo")
    with Ledger.open(log, OPERATOR, mark=mark) as ledger:
        assert ledger.audit().ok
