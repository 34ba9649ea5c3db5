"""An audit names the first thing that is wrong, wherever it is."""

import shutil
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger_world import ALICE, BOB, OPERATOR, ORIGIN, filled, statement, submit, verify

from circuits.errors import ProofRejected
from circuits.merkle import leaf_hash, root
from ledger import Ledger, VerifierKey, errors
from ledger.tlog.note import Checkpoint
from verifier.verdict import Verdict


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "log"
    with Ledger.init(path, ORIGIN, OPERATOR, allow_insecure_srs=False) as ledger:
        task = filled(ledger)
        submit(ledger, task, ALICE, "m", 80)
        submit(ledger, task, BOB, "n", 90)
        with pytest.raises(errors.NullifierSpent):
            submit(ledger, task, ALICE, "m", 81)
    return path


@pytest.fixture
def log(good, tmp_path):
    return shutil.copytree(good, tmp_path / "copy")


def tamper(log, *statements):
    """What somebody with the disk in hand can do: the triggers do not stop them."""
    database = sqlite3.connect(log / "ledger.sqlite", isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
    triggers = database.execute(query).fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    for sql, *values in statements:
        database.execute(sql, values)
    for _, sql in triggers:
        database.execute(sql)
    database.close()


def fault(log, check=verify):
    with Ledger.open(log) as ledger:
        report = ledger.audit(check)
    assert not report.ok
    with pytest.raises(errors.LedgerCorrupt):
        report.require()
    return report.fault


def entries_of(log):
    with Ledger.open(log) as ledger:
        return ledger.entries()


def test_nothing_is_wrong(good):
    with Ledger.open(good) as ledger:
        report = ledger.audit(verify)
        assert report.ok, report.fault
        assert (report.size, report.proofs) == (ledger.state.size, 2)
        assert report.log == str(ledger.key)
        assert report.to_dict()["ok"] is True
        assert ledger.audit().proofs == 0


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_flipped_bit_of_an_entry(good, tmp_path_factory, data):
    log = shutil.copytree(good, tmp_path_factory.mktemp("flip") / "log")
    index = data.draw(st.integers(0, 12))
    spoilt = bytearray(entries_of(log)[index].encode())
    spoilt[data.draw(st.integers(0, len(spoilt) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    # A careful forger corrects the stored leaf hash as well.
    leaf = leaf_hash(bytes(spoilt)) if data.draw(st.booleans()) else None
    tamper(
        log,
        (
            "UPDATE entries SET data = ?, leaf = coalesce(?, leaf) WHERE idx = ?",
            bytes(spoilt),
            leaf,
            index,
        ),
    )
    assert fault(log).startswith((f"entry {index}", f"checkpoint {index + 1}"))
    with Ledger.open(log) as ledger, pytest.raises(errors.LedgerCorrupt):
        ledger.balances()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM entries WHERE idx = 3", "entry 3: it is missing"),
        ("DELETE FROM entries WHERE idx >= 9", "entries lost"),
        ("DELETE FROM entries", "log is empty"),
        ("DELETE FROM checkpoints WHERE size = (SELECT max(size) FROM checkpoints)", "covers all"),
        ("UPDATE checkpoints SET note = 'x' WHERE size = 4", "checkpoint 4"),
        (
            "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 3) "
            "WHERE size = 4",
            "checkpoint 4 is for 3 entries",
        ),
        ("UPDATE balances SET amount = amount + 1", "balances"),
        ("INSERT INTO balances VALUES ('mallory', 5)", "balances"),
        ("DELETE FROM balances", "balances"),
        ("DELETE FROM nullifiers", "nullifiers"),
        ("UPDATE nullifiers SET idx = idx + 1", "nullifiers"),
        ("UPDATE states SET digest = replace(digest, '0', '1')", "not what the entries amount to"),
        ("UPDATE states SET size = 99 WHERE size = 1", "state 99 is larger than the log"),
        ("UPDATE refusals SET message = 'never mind'", "a refusal was changed"),
        ("INSERT INTO standings VALUES (3, 'copy', '')", "has gaps"),
        ("INSERT INTO standings VALUES (0, 'moved', 'by me')", "note"),
        ("CREATE TABLE more (a)", "tables and triggers"),
        ("DROP INDEX IF EXISTS none", None),
    ],
)
def test_tampering(log, statement, expected):
    tamper(log, ("PRAGMA ignore_check_constraints = ON",), (statement.replace("'x'", "x'78'"),))
    if expected is None:
        with Ledger.open(log) as ledger:
            assert ledger.audit(verify).ok
    else:
        assert expected in fault(log)


def test_a_trigger_less(log):
    database = sqlite3.connect(log / "ledger.sqlite", isolation_level=None)
    database.execute("DROP TRIGGER entries_no_delete")
    database.close()
    assert "tables and triggers" in fault(log)


def test_the_state_is_stored_and_compared(good):
    """A replay comes to the state that the writer came to: its digests were stored on the way."""
    with Ledger.open(good) as ledger:
        stored = ledger._store.states()
        assert len(stored) >= 5
        assert max(stored) >= ledger.state.size * 3 // 4
        assert stored.get(ledger.state.size, ledger.state.digest) == ledger.state.digest


def test_a_lost_credit(log):
    """The operator itself drops the last credit, and signs the shorter log."""
    with Ledger.open(log) as ledger:
        size = ledger.state.size
        leaves = [leaf_hash(entry.encode()) for entry in ledger.entries()[:-1]]
    note = Checkpoint(ORIGIN, size - 1, root(leaves)).sign(OPERATOR)
    tamper(
        log,
        ("DELETE FROM entries WHERE idx = ?", size - 1),
        ("UPDATE checkpoints SET size = ?, note = ? WHERE size = ?", size - 1, note.encode(), size),
    )
    assert "credit" in fault(log)


def test_a_log_signed_by_another_key(log):
    with Ledger.open(log) as ledger:
        size, top = ledger.state.size, ledger.audit().root
    note = Checkpoint(ORIGIN, size, top).sign(BOB)
    tamper(log, ("UPDATE checkpoints SET note = ? WHERE size = ?", note.encode(), size))
    assert "not signed by" in fault(log)


def test_another_log_altogether(good):
    with Ledger.open(good) as ledger:
        report = ledger.audit(log=VerifierKey(ORIGIN, BOB.public))
    assert "expected" in report.fault


def test_blobs(log):
    blobs = sorted((log / "blobs").iterdir())
    assert len(blobs) == 4
    for blob in blobs:
        data = blob.read_bytes()
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert blob.name in fault(log)
        blob.unlink()
        assert blob.name in fault(log, None)
        blob.write_bytes(data)


def test_proofs_are_verified_again(log):
    def disillusioned(bundle, pins):
        return Verdict(None, (), ProofRejected("pairing", "does not hold"))

    def confused(bundle, pins):
        verdict = verify(bundle, pins)
        other = statement(pins.task, ALICE, "m", 70)
        return Verdict(other, verdict.checks)

    assert "entry 10: pairing" in fault(log, disillusioned)
    assert "not the one that was verified" in fault(log, confused)


def test_a_file_that_is_damaged(log):
    path = log / "ledger.sqlite"
    data = bytearray(path.read_bytes())
    for place in range(4096, len(data), 4096):
        data[place : place + 16] = b"\xff" * 16
    path.write_bytes(data)
    assert fault(log)
