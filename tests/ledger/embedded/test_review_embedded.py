"""What a review found: clocks that nobody set, moves that a backup undid, rows no audit saw."""

import asyncio
import contextlib
import shutil
import sqlite3
from dataclasses import replace

import pytest

from circuits.errors import ProofRejected
from ledger import Ledger, Receipt, entries, errors
from ledger.embedded.backup import restore
from ledger.embedded.mark import Mark
from ledger.embedded.store import Store
from ledger.embedded.transfer import import_
from ledger.envelope import SignedEntry
from ledger.policy import Windows
from ledger.records import Accepted
from ledger.service.keeper import Keeper
from tests.ledger.embedded.embedded_world import GRANTS, KEY, create, pay, pay_at_once
from tests.ledger.ledger_world import (
    ALICE,
    ARCHITECTURE,
    BOB,
    BONDED,
    DATA,
    EVALUATOR,
    MANIFEST,
    OPERATOR,
    ORIGIN,
    TASK,
    WINDOWED,
    commitment,
    statement,
    submission,
    submit,
    verify,
)

START = 1_700_000_000
# 10 to commit, then 5 to release, then 10 to prove.
SECONDS = replace(BONDED, windows=Windows("seconds", 10, 5, 10))


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self):
        self.time = START

    def __call__(self):
        return self.time + 0.75


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(tmp_path, clock):
    """A ledger with everyone and the test set on it, and no task yet."""
    with Ledger.init(
        tmp_path / "log", ORIGIN, OPERATOR, allow_insecure_srs=False, grants=GRANTS, clock=clock
    ) as made:
        for who, name in ((EVALUATOR, "evaluator"), (ALICE, "alice"), (BOB, "bob")):
            made.append(made.sign(entries.IdentityRegister(name), who))
        made.append(made.sign(DATA, EVALUATOR), [MANIFEST])
        yield made


def say(ledger, who, body, blobs=()):
    return ledger.append(ledger.sign(body, who), blobs)


def open_task(ledger, policy=SECONDS):
    entry = ledger.sign(replace(TASK, policy=policy), OPERATOR)
    ledger.append(entry, [ARCHITECTURE])
    return entry.digest


def bonded(ledger):
    """Open a task in seconds, and bond what it asks for."""
    task = open_task(ledger)
    for who, amount in ((EVALUATOR, 100), (ALICE, 50), (BOB, 50)):
        say(ledger, who, entries.Bond(task, amount))
    return task


def kinds(ledger, start=0):
    return [entry.body.type for entry in ledger.entries(start)]


def clocks(ledger):
    return [e.body.time - START for e in ledger.entries() if isinstance(e.body, entries.Clock)]


# Windows in seconds


def test_a_task_in_seconds(ledger, clock, tmp_path):
    """From its opening to its close, by the wall clock; whoever replays it comes to the same."""
    task = bonded(ledger)
    assert kinds(ledger, 5) == ["clock", "task.open", "bond", "bond", "bond"]
    assert ledger.task(task).opened == START
    clock.time += 9
    say(ledger, ALICE, commitment(task, ALICE, "m"))
    with pytest.raises(errors.WrongPhase, match="taken until"):
        say(ledger, EVALUATOR, entries.TestsetRelease(task, 0))
    clock.time += 1
    with pytest.raises(errors.TooLate):
        say(ledger, BOB, commitment(task, BOB, "n"))
    say(ledger, EVALUATOR, entries.TestsetRelease(task, 0, entries.blob_digest(b"opening")))
    clock.time += 9
    assert ledger.credited(submit(ledger, task, ALICE, "m", 80)) == 600
    clock.time += 1
    with pytest.raises(errors.WrongPhase):
        say(ledger, BOB, entries.TaskClose(task))
    # The second round was not released in time.
    clock.time += 5
    say(ledger, BOB, entries.Slash("no-release", EVALUATOR.public, task))
    say(ledger, BOB, entries.TaskClose(task))
    say(ledger, ALICE, entries.BondReturn(task))
    assert ledger.balance(ALICE.public) == 1_000_600
    # One before each moment at which something was accepted, and none for what was refused.
    assert clocks(ledger) == [0, 9, 10, 19, 25]
    report = ledger.audit(verify)
    assert (report.fault, report.proofs) == (None, 1)
    with Ledger.open(tmp_path / "log") as reader:
        assert reader.state.digest == ledger.state.digest
    ledger.export(tmp_path / "export")
    import_(tmp_path / "export", tmp_path / "mirror", log=KEY)
    with Ledger.open(tmp_path / "mirror") as mirror:
        assert mirror.state.digest == ledger.state.digest


def test_what_is_refused_leaves_no_clock(ledger, clock):
    task = bonded(ledger)
    size = ledger.state.size
    for step in range(5):
        clock.time += 1
        for body in (commitment(task, BOB, "m"), entries.TaskClose(task), entries.TestsetRelease(
            task, step
        ), entries.Slash("no-release", EVALUATOR.public, task)):  # fmt: skip
            with pytest.raises(errors.EntryRefused):
                say(ledger, ALICE, body)
    entry = ledger.sign(submission(task, statement(task, ALICE, "m", 80)), ALICE)
    with pytest.raises((errors.EntryRefused, ProofRejected)):
        ledger.submit(b"another", entry, verify)
    forged = replace(ledger.sign(commitment(task, ALICE, "m"), ALICE), signature="0" * 128)
    with pytest.raises(errors.BadSignature):
        ledger.append(forged)
    assert ledger.state.size == size


def test_time_goes_on_in_the_commit_that_needs_it(ledger, clock):
    """No entry and its clock are ever apart, and a batch has one for each second."""
    task = bonded(ledger)
    clock.time += 3
    signed = [(ledger.sign(commitment(task, who, "m"), who), ()) for who in (ALICE, BOB)]
    late = SignedEntry.sign(
        entries.TaskClose(task), origin=ORIGIN, nonce=signed[0][0].nonce + 1, signer=ALICE
    )
    size, notes = ledger.state.size, len(ledger._store.checkpoints())
    first, second, refused = ledger.append_many([*signed, (late, ())])
    assert isinstance(refused, errors.WrongPhase)
    assert kinds(ledger, size) == ["clock", "model.commit", "model.commit"]
    assert len(ledger._store.checkpoints()) == notes + 1
    assert [r.verify(KEY) for r in (first, second)] == [entry for entry, _ in signed]
    # The same again is what it was, whatever the time.
    clock.time += 3
    assert ledger.append(signed[0][0]) == first
    assert ledger.state.size == size + 3


def test_the_clock_never_goes_back(ledger, clock):
    task = bonded(ledger)
    clock.time += 8
    say(ledger, ALICE, commitment(task, ALICE, "m"))
    clock.time -= 5
    say(ledger, BOB, commitment(task, BOB, "m"))
    assert clocks(ledger) == [0, 8]
    # What was set by hand counts as well.
    say(ledger, OPERATOR, entries.Clock(START + 10))
    say(ledger, EVALUATOR, entries.TestsetRelease(task, 0, entries.blob_digest(b"opening")))
    assert clocks(ledger) == [0, 8, 10]


def test_nothing_else_needs_the_time(ledger, clock):
    task = open_task(ledger, replace(BONDED, windows=Windows("entries", 5, 5, 10)))
    for who, amount in ((EVALUATOR, 100), (ALICE, 50)):
        clock.time += 1
        say(ledger, who, entries.Bond(task, amount))
    say(ledger, ALICE, commitment(task, ALICE, "m"))
    say(ledger, ALICE, entries.Transfer(BOB.public, 1))
    clock.time += 100
    say(ledger, EVALUATOR, entries.TestsetRelease(task, 0, entries.blob_digest(b"opening")))
    submit(ledger, task, ALICE, "m", 80)
    assert clocks(ledger) == []


def test_a_late_proof_is_not_even_verified(ledger, clock):
    task = open_task(ledger, replace(WINDOWED, windows=Windows("seconds", 10, 5, 10)))
    say(ledger, ALICE, commitment(task, ALICE, "m"))
    clock.time += 10
    say(ledger, EVALUATOR, entries.TestsetRelease(task, 0))
    clock.time += 10
    said = statement(task, ALICE, "m", 80)
    entry = ledger.sign(submission(task, said), ALICE)

    def costly(bundle, pins):
        raise AssertionError("it was verified")

    with pytest.raises(errors.TooLate):
        ledger.submit(said.encode(), entry, costly)
    with pytest.raises(errors.TooLate):
        ledger.check(entry, Accepted.claimed_by(entry.body))
    # While it is verified, time goes on.
    clock.time -= 1

    def slow(bundle, pins):
        clock.time += 1
        return verify(bundle, pins)

    with pytest.raises(errors.TooLate):
        ledger.submit(said.encode(), entry, slow)
    assert clocks(ledger) == [0, 10]


def test_what_the_operator_signs_leaves_room_for_the_clock(ledger, clock):
    assert ledger.state.time == 0
    early = ledger.sign(replace(TASK, policy=SECONDS), OPERATOR)
    task = early.digest
    clock.time += 2
    ledger.append(early, [ARCHITECTURE])
    assert ledger.task(task).opened == START + 2
    # In the same second there is no need, and what came between has used the number.
    for _ in range(2):
        say(ledger, OPERATOR, replace(TASK, policy=SECONDS, title=f"{ledger.state.size}"))
    assert clocks(ledger) == [2]
    clock.time += 1
    waits = ledger.sign(replace(TASK, policy=SECONDS, title="waits"), OPERATOR)
    for who, amount in ((EVALUATOR, 100), (ALICE, 50)):
        say(ledger, who, entries.Bond(task, amount))
    say(ledger, ALICE, commitment(task, ALICE, "m"))
    clock.time += 1
    ledger.append(waits)
    assert ledger.task(waits.digest).opened == START + 3
    # Signed by something that knows nothing of this, and long after the clock was set.
    clock.time += 100
    nonce = ledger.state.nonce(OPERATOR.public)
    for number, error in ((nonce, "is for the clock"), (nonce + 2, "the next one")):
        entry = SignedEntry.sign(
            replace(TASK, policy=SECONDS, title="stale"), origin=ORIGIN, nonce=number,
            signer=OPERATOR,
        )  # fmt: skip
        with pytest.raises(errors.BadNonce, match=error):
            ledger.append(entry)
    assert clocks(ledger) == [2, 3]


def test_two_that_write_at_once(ledger, clock, tmp_path):
    task = bonded(ledger)
    other = Clock()
    with Ledger.open(tmp_path / "log", OPERATOR, clock=other) as second:
        other.time += 4
        say(second, ALICE, commitment(task, ALICE, "m"))
        clock.time += 2
        say(ledger, BOB, commitment(task, BOB, "n"))
        assert clocks(ledger) == [0, 4]
        assert second.audit().ok


def test_through_the_service(ledger, clock, tmp_path):
    task = bonded(ledger)
    clock.time += 1
    signed = [ledger.sign(commitment(task, who, "m"), who) for who in (ALICE, BOB)]

    async def append():
        keeper = Keeper(lambda: Ledger.open(tmp_path / "log", OPERATOR, clock=clock))
        await keeper.start()
        try:
            return await asyncio.gather(*(keeper.append(entry, ()) for entry in signed))
        finally:
            await keeper.close()

    assert all(isinstance(receipt, Receipt) for receipt in asyncio.run(append()))
    assert kinds(ledger, 10) == ["clock", "model.commit", "model.commit"]


# Moves


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A ledger in `log` that was moved, with a backup and an export of before, and its mark."""
    folder = tmp_path_factory.mktemp("moved")
    mark = folder / "a.mark"
    with create(folder / "log", mark) as ledger:
        ledger.export(folder / "before")
        ledger.backup(folder / "backup")
        ledger._store.copy_to(folder / "raw")
        ledger.move(folder / "export")
    with contextlib.closing(Store.open(folder / "raw")) as raw:
        raw.stand("live")
    return folder


@pytest.fixture
def place(moved, tmp_path):
    return shutil.copytree(moved, tmp_path / "place")


@pytest.mark.parametrize("name", ["log", "raw", "backup"])
def test_nothing_goes_on_where_it_was_moved_from(place, name):
    mark = place / "a.mark"
    import_(place / "export", place / "there", OPERATOR, mark=place / "b.mark")
    with Ledger.open(place / "there", OPERATOR, mark=place / "b.mark") as there:
        pay(there)
    for _ in range(2):
        with pytest.raises(errors.LedgerMoved):
            Ledger.open(place / name, OPERATOR, mark=mark)
        with pytest.raises(errors.LedgerMoved):
            restore(place / name, OPERATOR, mark=mark)
        with pytest.raises(errors.LedgerMoved):
            restore(place / name, OPERATOR, mark=mark, source=place / "export")
    with pytest.raises(errors.LedgerMoved):
        import_(place / "before", place / "again", OPERATOR, mark=mark)
    with pytest.raises(errors.LedgerMoved):
        Mark(mark).write(KEY, (place / "log" / "tlog" / "checkpoint").read_text())
    assert not (place / "again" / "ledger.sqlite").exists()
    with Ledger.open(place / name, mark=mark) as old:
        assert old.audit().ok == (name != "raw")
        assert len(old.warnings()) == 1


def test_a_copy_of_the_database_is_warned_of(place):
    with Ledger.open(place / "raw", mark=place / "a.mark") as raw:
        assert raw.standing == "live"
        assert raw.warnings() == ["this ledger was moved, and goes on somewhere else"]


def test_a_move_that_ended_half_way(tmp_path, monkeypatch):
    """The mark is there first, and is enough; the rest is done later."""
    mark = tmp_path / "a.mark"

    def broken(self, standing, note=""):
        raise errors.StorageFailed("pulled the plug")

    with create(tmp_path / "log", mark) as ledger:
        monkeypatch.setattr(Store, "stand", broken)
        with pytest.raises(errors.StorageFailed):
            ledger.move(tmp_path / "export")
        monkeypatch.undo()
        with pytest.raises(errors.LedgerMoved):
            pay(ledger)
        assert ledger.standing == "moved"
        ledger.export(tmp_path / "export")
    import_(tmp_path / "export", tmp_path / "there", OPERATOR, mark=tmp_path / "b.mark")
    Ledger.open(tmp_path / "there", OPERATOR, mark=tmp_path / "b.mark").close()


def test_an_import_takes_a_move_once(place):
    """There and back and away again: no earlier export counts after a later move."""
    a, b = place / "a.mark", place / "b.mark"
    import_(place / "export", place / "there", OPERATOR, mark=b)
    with Ledger.open(place / "there", OPERATOR, mark=b) as there:
        # Nothing was appended: the moves have the same checkpoint.
        there.move(place / "back")
    with pytest.raises(errors.LedgerMoved):
        import_(place / "export", place / "x", OPERATOR, mark=b)
    import_(place / "back", place / "here", OPERATOR, mark=a)
    with Ledger.open(place / "here", OPERATOR, mark=a) as here:
        assert here.audit().ok
        here.move(place / "away")
    for name in ("export", "back", "before"):
        with pytest.raises(errors.LedgerMoved):
            import_(place / name, place / "x", OPERATOR, mark=a)
    import_(place / "away", place / "there-again", OPERATOR, mark=b)
    with Ledger.open(place / "there-again", OPERATOR, mark=b) as there:
        pay(there)
    # What b took once it does not take again, now that it has gone on.
    with pytest.raises(errors.LedgerRolledBack):
        import_(place / "away", place / "y", OPERATOR, mark=b)


def test_a_move_to_another_folder_of_the_same_key(place):
    mark = place / "a.mark"
    import_(place / "export", place / "there", OPERATOR, mark=mark)
    with Ledger.open(place / "there", OPERATOR, mark=mark) as there:
        pay(there)
    for name, error in (("log", errors.LedgerMoved), ("raw", errors.LedgerRolledBack)):
        with pytest.raises(error):
            Ledger.open(place / name, OPERATOR, mark=mark)


def test_a_mark_that_says_less_or_more(place):
    mark = place / "a.mark"
    good = mark.read_bytes()
    for old, new in (
        (b'"away":true', b'"away":1'),
        (b'"moves":{"ledger', b'"moves":{"Ledger'),
        (b"ledger-moved\\n1", b"ledger-moved\\n01"),
        (b"ledger-moved\\n1", b"ledger-moved\\n2"),
        (b"ledger-moved", b"ledger-movee"),
    ):
        spoilt = good.replace(old, new)
        assert spoilt != good
        mark.write_bytes(spoilt)
        with Ledger.open(place / "log", mark=mark) as old_place:
            assert "damaged" in old_place.audit().fault, new


# Audits


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audited") / "log"
    with create(folder) as ledger:
        pay(ledger, 4)
        pay_at_once(ledger, 20)
    return folder


def tamper(folder, *statements):
    """Change what is stored, past the triggers."""
    with contextlib.closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        found = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        triggers = database.execute(found).fetchall()
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for sql, *values in statements:
            assert database.execute(sql, values).rowcount, sql
        for _, sql in triggers:
            database.execute(sql)
        database.commit()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE checkpoints SET size = 0 WHERE size = 1", "checkpoint 0 is of no log"),
        ("UPDATE checkpoints SET size = -7 WHERE size = 1", "checkpoint -7 is of no log"),
        ("UPDATE states SET size = 0 WHERE size = 1", "state 0 is of no log"),
        ("UPDATE states SET size = -1 WHERE size = 1", "state -1 is of no log"),
        ("DELETE FROM checkpoints WHERE size = 1", "checkpoint 1 is missing"),
        (
            "DELETE FROM checkpoints WHERE size IN (SELECT size FROM states WHERE size < 28)",
            "is missing",
        ),
    ],
)
def test_keys_of_rows(audited, tmp_path, change, expected):
    folder = shutil.copytree(audited, tmp_path / "log")
    tamper(folder, (change,))
    with Ledger.open(folder) as ledger:
        assert expected in ledger.audit().fault


def test_checkpoints_that_others_have(audited, tmp_path):
    """What was published last, and what the key has signed last, must be there."""
    folder = shutil.copytree(audited, tmp_path / "log")
    mark, tiles = folder / "log.key.mark", folder / "tlog"
    older = tmp_path / "older"
    with create(tmp_path / "twin") as ledger:
        pay(ledger, 4)
        shutil.copytree(tmp_path / "twin", older)
    with Ledger.open(folder) as ledger:
        assert ledger.audit().ok
    size = Mark(older / "log.key.mark").read(KEY).size
    assert size == 8
    # Both are from before the last commit, as when a process ended right after it.
    shutil.copyfile(older / "log.key.mark", mark)
    shutil.copyfile(older / "tlog" / "checkpoint", tiles / "checkpoint")
    with Ledger.open(folder) as ledger:
        assert ledger.audit().ok
    tamper(
        folder,
        ("DELETE FROM checkpoints WHERE size = ?", size),
        ("DELETE FROM states WHERE size = ?", size),
    )
    with Ledger.open(folder) as ledger:
        assert f"not that of {size} entries" in ledger.audit().fault
    shutil.copyfile(audited / "tlog" / "checkpoint", tiles / "checkpoint")
    with Ledger.open(folder) as ledger:
        assert f"checkpoint {size} is missing" in ledger.audit().fault


def test_nothing_is_published(audited, tmp_path):
    folder = shutil.copytree(audited, tmp_path / "log")
    shutil.rmtree(folder / "tlog")
    with Ledger.open(folder) as ledger:
        assert "nothing is published" in ledger.audit().fault
        ledger.backup(tmp_path / "backup")
    # A copy publishes nothing; the ledger does so as soon as it is opened, or made of a copy.
    with Ledger.open(tmp_path / "backup") as backup:
        assert backup.audit().ok
    restore(tmp_path / "backup", OPERATOR, mark=folder / "log.key.mark")
    with Ledger.open(tmp_path / "backup") as backup:
        assert backup.standing == "live"
        assert backup.audit().ok
        backup.export(tmp_path / "export")
    import_(tmp_path / "export", tmp_path / "made", OPERATOR, mark=folder / "log.key.mark")
    with Ledger.open(tmp_path / "made") as made:
        assert made.audit().ok
    with Ledger.open(folder, OPERATOR) as ledger:
        assert ledger.audit().ok
