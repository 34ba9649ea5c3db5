"""Every write fails once before and once after it is done; nothing is lost and nothing is halved.

Whoever calls is told by a named error, or the write did not matter. Afterwards the ledger opens,
an audit finds nothing, what the call was to do is done or not, and doing it again does it once.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest

from circuits.errors import ZkpotError
from ledger import Ledger, Receipt, errors
from ledger.embedded.backup import restore
from ledger.embedded.transfer import import_
from tests.ledger.embedded.embedded_world import KEY, create, document, pay, payments
from tests.ledger.embedded.faults import failing, ignore, watched
from tests.ledger.ledger_world import (
    ALICE,
    BOB,
    OPERATOR,
    ORIGIN,
    filled,
    statement,
    submission,
    verify,
)


def every_failure(template, folder, act, check):
    """Run `act` on copies of a folder, with each of its writes failing; `check` what is left."""
    clean = shutil.copytree(template, folder / "clean")
    with watched(ignore) as writes:
        act(clean)
    count = len(writes.names)
    assert count > 3
    failed = 0
    for number in range(count):
        for moment in ("before", "after"):
            place = shutil.copytree(template, folder / f"{number}{moment}")
            try:
                with watched(failing(number, moment)):
                    act(place)
            except ZkpotError:
                failed += 1
            check(place, f"{writes.names[number]} {number} {moment}")
            shutil.rmtree(place)
    # Not all matter: a temporary file may be left behind, say.
    assert failed > count


@pytest.fixture
def folder(tmp_path):
    """A folder in memory, where there is such a thing: it is the order of writes that counts."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A ledger, and one with a task that is ready for proofs."""
    folder = tmp_path_factory.mktemp("template")
    with create(folder / "log", folder / "log.mark") as ledger:
        pay(ledger)
    with Ledger.init(
        folder / "task", ORIGIN, OPERATOR, allow_insecure_srs=False, mark=folder / "task.mark"
    ) as ledger:
        filled(ledger)
    return folder


def opened(place, name="log"):
    return Ledger.open(place / name, OPERATOR, mark=place / f"{name}.mark")


@pytest.fixture(scope="module")
def batch(template):
    """Entries of two commits, with a blob among them."""
    with Ledger.open(template / "log") as ledger:
        entry, blobs = document(ledger, BOB, "text")
        return [(e, ()) for e in payments(ledger, 3)] + [(entry, blobs)]


def test_an_append(template, folder, batch):
    def act(place):
        with opened(place) as ledger:
            for receipt in ledger.append_many(batch):
                assert isinstance(receipt, Receipt)

    def check(place, what):
        with opened(place) as ledger:
            assert ledger.state.size in (5, 9), what
            assert ledger.audit().ok, what
            receipts = ledger.append_many(batch)
            assert [r.index for r in receipts] == [5, 6, 7, 8], what
            assert ledger.append_many(batch) == receipts
            assert ledger.audit().ok, what
        assert not list((place / "log").rglob(".*")), what

    every_failure(template, folder, act, check)


def test_on_with_the_same_ledger(template, folder, batch):
    """The process lives on after the error, and so does its view of the log."""

    def act(place):
        with opened(place) as ledger:
            try:
                ledger.append_many(batch)
            finally:
                # Where the first time went well, it is this that fails.
                with contextlib.suppress(errors.StorageFailed):
                    ledger.append_many(batch)
                assert [r.index for r in ledger.append_many(batch)] == [5, 6, 7, 8]

    def check(place, what):
        with opened(place) as ledger:
            assert ledger.audit().ok, what

    every_failure(template, folder, act, check)


def test_a_submission(template, folder):
    """A proof and what it pays are one."""
    with Ledger.open(template / "task") as ledger:
        (task,) = ledger.state.tasks
        said = statement(task, ALICE, "m", 80)
        entry = ledger.sign(submission(task, said), ALICE)

    def act(place):
        with opened(place, "task") as ledger:
            ledger.submit(said.encode(), entry, verify)

    def check(place, what):
        with opened(place, "task") as ledger:
            assert ledger.balance(ALICE.public) in (0, 600), what
            assert bool(ledger.state.proofs) == bool(ledger.balance(ALICE.public)), what
            assert ledger.audit(verify).ok, what
            receipt = ledger.submit(said.encode(), entry, verify)
            assert ledger.credited(receipt) == ledger.balance(ALICE.public) == 600, what
            assert ledger.audit(verify).ok, what

    every_failure(template, folder, act, check)


def test_a_new_ledger(folder):
    (folder / "empty").mkdir()

    def act(place):
        Ledger.init(
            place / "log", ORIGIN, OPERATOR, allow_insecure_srs=False, mark=place / "log.mark"
        ).close()

    def check(place, what):
        with contextlib.suppress(errors.LedgerExists):
            act(place)
        with opened(place) as ledger:
            assert ledger.state.size == 1, what
            assert ledger.audit().ok, what

    every_failure(folder / "empty", folder, act, check)


def test_copies(template, folder):
    """A backup, an export and an import are there whole or not at all."""

    def act(place):
        with Ledger.open(place / "log") as ledger:
            ledger.backup(place / "backup")
            ledger.export(place / "export.tar")
        import_(place / "export.tar", place / "mirror", log=KEY)

    def check(place, what):
        for name in ("backup", "mirror"):
            with contextlib.suppress(errors.LedgerMissing), Ledger.open(place / name) as copy:
                assert copy.audit(log=KEY).ok, what
                assert copy.standing == "copy", what
        for name in ("backup", "mirror"):
            shutil.rmtree(place / name, ignore_errors=True)
        act(place)

    every_failure(template, folder, act, check)


def test_a_restored_ledger(template, folder):
    place = shutil.copytree(template, folder / "template")
    with opened(place) as ledger:
        ledger.backup(place / "backup")
        pay(ledger)

    def act(place):
        restore(place / "backup", OPERATOR, mark=place / "log.mark", source=place / "log")

    def check(place, what):
        act(place)
        with Ledger.open(place / "backup", OPERATOR, mark=place / "log.mark") as ledger:
            assert ledger.state.size == 6, what
            assert ledger.audit().ok, what

    every_failure(place, folder, act, check)


def test_a_move(template, folder):
    """At no time can both places go on, and at least one of them always will."""

    def act(place):
        with opened(place) as ledger:
            ledger.move(place / "export")
        import_(place / "export", place / "there", OPERATOR, mark=place / "there.mark")

    def check(place, what):
        with contextlib.suppress(errors.LedgerMoved):
            opened(place).close()
            return
        # What was begun is finished, and what was lost on the way is written again.
        with Ledger.open(place / "log") as ledger:
            assert ledger.standing == "moved", what
            ledger.export(place / "export")
        with pytest.raises(errors.LedgerMoved):
            opened(place)
        with contextlib.suppress(errors.LedgerExists):
            import_(place / "export", place / "there", OPERATOR, mark=place / "there.mark")
        with opened(place, "there") as ledger:
            pay(ledger)
            assert ledger.audit().ok, what

    every_failure(template, folder, act, check)
