"""One flipped bit, wherever it is, is found by an audit; or the ledger says the same without it."""

import contextlib
import shutil
import sqlite3

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from circuits.errors import ZkpotError
from ledger import Ledger
from tests.ledger.embedded.embedded_world import KEY, create, document, pay, pay_at_once
from tests.ledger.ledger_world import ALICE, BOB, OPERATOR

DATABASE = "ledger.sqlite"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A ledger with something in every table and of every kind of file."""
    folder = tmp_path_factory.mktemp("sound") / "log"
    with create(folder) as ledger:
        pay(ledger, 2)
        pay_at_once(ledger, 260)
        for who, text in ((ALICE, "a" * 300), (BOB, "b" * 5000)):
            entry, blobs = document(ledger, who, text)
            ledger.append(entry, blobs)
        with contextlib.suppress(ZkpotError):
            ledger.append(document(ledger, ALICE, "a" * 300)[0])
        assert ledger.refusals()
        ledger.backup(folder.parent / "copy")
    with Ledger.open(folder) as ledger:
        assert ledger.audit(log=KEY).ok
    return folder


def files(folder):
    kept = ("ledger.sqlite", "blobs/", "tlog/", "log.key.mark")
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return sorted(n for n in found if n.startswith(kept) and not n.endswith((".lock", "-shm")))


def said(folder):
    """Everything that a database says, whatever its bytes are."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as database:
        names = ("application_id", "user_version")
        marks = [database.execute(f"PRAGMA {name}").fetchone() for name in names]
        return marks, list(database.iterdump())


def flip(path, place, bit):
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)


def fault(folder):
    try:
        with Ledger.open(folder) as ledger:
            return ledger.audit(log=KEY).fault
    except ZkpotError as error:
        return error.message


def copied(folder, tmp_path_factory):
    return shutil.copytree(folder, tmp_path_factory.mktemp("flip") / "log")


places, bits = st.integers(0, 1 << 24), st.integers(0, 7)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_in_any_file(sound, tmp_path_factory, data):
    names = [name for name in files(sound) if name != DATABASE]
    assert len({name.split("/")[0] for name in names}) == 3
    folder = copied(sound, tmp_path_factory)
    flip(folder / data.draw(st.sampled_from(names)), data.draw(places), data.draw(bits))
    assert fault(folder)
    shutil.rmtree(folder)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(place=places, bit=bits)
def test_in_the_database(sound, tmp_path_factory, place, bit):
    folder = copied(sound, tmp_path_factory)
    flip(folder / DATABASE, place, bit)
    if fault(folder) is None:
        # Free space of a page, or a counter of SQLite's own.
        event("without meaning")
        assert said(folder) == said(sound)
    shutil.rmtree(folder)


def test_in_the_journal(sound, tmp_path_factory):
    """A frame that SQLite drops takes the commit with it, which mark and tiles remember."""
    folder = copied(sound, tmp_path_factory)
    with Ledger.open(folder, OPERATOR) as ledger:
        pay(ledger, 2)
        wal = (folder / f"{DATABASE}-wal").read_bytes()
        database = (folder / DATABASE).read_bytes()
    assert wal
    (folder / DATABASE).write_bytes(database)
    for place in (0, 30, 100, len(wal) // 2, len(wal) - 5000):
        (folder / f"{DATABASE}-wal").write_bytes(wal)
        flip(folder / f"{DATABASE}-wal", place, 3)
        assert "signed for" in fault(folder), place
        (folder / DATABASE).write_bytes(database)


def test_in_a_copy(sound, tmp_path_factory):
    """What a copy says of itself is covered too: a flipped bit makes no ledger of a backup."""
    folder = copied(sound.parent / "copy", tmp_path_factory)
    raw = (folder / DATABASE).read_bytes()
    for place in (at for at in range(len(raw)) if raw.startswith(b"copy", at)):
        flip(folder / DATABASE, place, 0)
        assert fault(folder) is not None
        (folder / DATABASE).write_bytes(raw)
