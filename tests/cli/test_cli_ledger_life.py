"""The commands of the ledger that need no proof: people, charter, money, deadlines, moving."""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from ledger import Ledger, Policy, Signer, TaskOpen, Windows, blob_digest, entries
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Checkpoint, VerifierKey
from tests.cli.cli_lab import Cli

ORIGIN = "life.example/ledger"
MANIFEST, ARCHITECTURE = b'{"manifest":1}', b'{"architecture":1}'
WHO = ("host", "evaluator", "alice", "bob")


class Town:
    """A ledger in a folder, the keys of its people, and the commands to use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cli = Cli(folder / "home")
        self.book = folder / "book"
        for who in WHO:
            self.cli("ledger", "keygen", self.key(who)).good()

    def key(self, who: str) -> Path:
        return self.folder / f"{who}.key"

    def public(self, who: str) -> str:
        return Path(f"{self.key(who)}.pub").read_text().strip()

    def ledger(self, command: str, *words: str | Path, key: str, book: Path | None = None):
        where = book or self.book
        return self.cli("ledger", *command.split(), where, "--key", self.key(key), "--log-key",
                        self.key("host"), *words)  # fmt: skip

    def balances(self) -> dict[str, int]:
        found = self.cli("ledger", "balance", self.book, "--json").good().json["balances"]
        return {who: found[self.public(who)] for who in WHO if self.public(who) in found}


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Town:
    town = Town(tmp_path_factory.mktemp("life"))
    town.cli("ledger", "init", town.book, "--origin", ORIGIN, "--log-key", town.key("host"),
             "--governor", f"{town.key('alice')}.pub", "--governor", f"{town.key('bob')}.pub",
             "--threshold", "2", "--task-owner", town.public("host"), "--bond-entries", "2",
             "--grant", f"{town.public('alice')}=100",
             "--grant", f"{town.public('evaluator')}=50",
             "--grant", f"{town.public('host')}=10").good()  # fmt: skip
    for who in WHO[1:]:
        town.ledger("identity", "--name", who, key=who).good()
    return town


@pytest.fixture
def town(founded: Town, tmp_path: Path) -> Town:
    """The founded town, for one test to change."""
    folder = tmp_path / "town"
    shutil.copytree(founded.folder, folder)
    moved = object.__new__(Town)
    moved.folder, moved.cli, moved.book = folder, founded.cli, folder / "book"
    return moved


def with_task(town: Town, **changes: object) -> str:
    """Open a task with deadlines, of artefacts that no proof will need."""
    policy = Policy(Fraction(1, 2), Fraction(1, 100), 100, 1, 2, evaluator_bond=20,
                    windows=Windows("entries", commit=3, release=2, prove=2))  # fmt: skip
    data = entries.DataRegister("testset", "ab" * 32, 10, blob_digest(MANIFEST), openings=2)
    task = TaskOpen("t", "halo2", "01" * 32, "02" * 32, "03" * 32, blob_digest(ARCHITECTURE),
                    data.root, "evaluator", 1, replace(policy, **changes))  # fmt: skip
    host, evaluator = (Signer.load(town.key(who)) for who in ("host", "evaluator"))
    mark = town.key("host").with_name("host.key.mark")
    with Ledger.open(town.book, host, mark=mark) as book:
        book.append(book.sign(data, evaluator), [MANIFEST])
        opened = book.sign(task, host)
        book.append(opened, [ARCHITECTURE])
    return opened.digest


class TestPeople:
    def test_another_key(self, town: Town) -> None:
        town.cli("ledger", "keygen", town.folder / "new.key").good()
        ran = town.ledger("rotate", "--new-key", town.folder / "new.key", "--json", key="alice")
        assert ran.good().json["identity"] == town.public("alice")
        words = ("--to", town.public("bob"), "--amount", "1")
        town.ledger("transfer", *words, key="alice").refused("BAD_SIGNATURE", 7, "present key")
        shutil.copy2(town.folder / "new.key", town.key("carol"))
        town.ledger("transfer", *words, key="carol").good()
        assert town.balances()["alice"] == 99

    def test_an_identity_ends(self, town: Town) -> None:
        town.ledger("revoke", town.public("alice"), key="bob").refused("NOT_APPROVED", 7)
        approvals: list[str | Path] = []
        for who in ("alice", "bob"):
            file = town.folder / f"{who}.approval"
            town.cli("ledger", "approve-revocation", town.public("evaluator"), "--origin", ORIGIN,
                     "--key", town.key(who), "--out", file).good()  # fmt: skip
            approvals += ["--approval", file]
        town.ledger("revoke", town.public("evaluator"), *approvals, key="bob").good()
        words = ("--to", town.public("bob"), "--amount", "1")
        town.ledger("transfer", *words, key="evaluator").refused("REVOKED", 7)

    def test_its_owner_ends_it(self, town: Town) -> None:
        town.ledger("revoke", town.public("bob"), key="bob").good()
        town.ledger("transfer", "--to", town.public("bob"), "--amount", "1", key="alice").refused(
            "REVOKED", 7
        )

    def test_no_approval(self, town: Town) -> None:
        town.ledger("revoke", town.public("bob"), "--approval", town.key("bob"),
                    key="alice").refused("CORRUPTED_ARTEFACT", 4)  # fmt: skip


class TestCharter:
    def test_governors_change_it(self, town: Town) -> None:
        new = town.folder / "charter.json"
        town.cli("ledger", "charter", "propose", town.book, "--max-pool", "7", "--out", new).good()
        approvals: list[str | Path] = []
        for who in ("alice", "bob"):
            file = town.folder / f"{who}.approval"
            town.cli("ledger", "charter", "approve", new, "--origin", ORIGIN, "--key",
                     town.key(who), "--out", file).good()  # fmt: skip
            approvals += ["--approval", file]
        one = approvals[:2]
        town.ledger("charter change", new, *one, key="bob").refused("NOT_APPROVED", 7, "2 must")
        town.ledger("charter change", new, *approvals, key="bob").good()
        town.ledger("charter change", new, *approvals, key="bob").refused("WRONG_PHASE", 7)
        shown = town.cli("ledger", "charter", "show", town.book, "--json").good().json
        assert (shown["number"], shown["max_pool"]) == (1, 7)
        assert "2 of 2 governors" in town.cli("ledger", "charter", "show", town.book).out

    def test_an_approval_of_another_charter(self, town: Town) -> None:
        files: list[str | Path] = []
        for name, pool in (("one", "7"), ("other", "8")):
            town.cli("ledger", "charter", "propose", town.book, "--max-pool", pool, "--out",
                     town.folder / name).good()  # fmt: skip
        for who in ("alice", "bob"):
            file = town.folder / f"{who}.approval"
            town.cli("ledger", "charter", "approve", town.folder / "one", "--origin", ORIGIN,
                     "--key", town.key(who), "--out", file).good()  # fmt: skip
            files += ["--approval", file]
        ran = town.ledger("charter change", town.folder / "other", *files, key="bob")
        ran.refused("BAD_SIGNATURE", 7, "did not sign this")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"number":1}'])
    def test_no_charter(self, town: Town, text: str) -> None:
        file = town.folder / "charter.json"
        file.write_text(text)
        ran = town.ledger("charter change", file, key="bob")
        assert ran.status in (4, 7) and ran.error[0] != "BUG", ran.err

    @pytest.mark.parametrize(
        "words", [("--grant", "x"), ("--grant", "ab=1"), ("--grant", f"{'ab' * 32}=0"),
                  ("--threshold", "3"), ("--finder-share", "1"), ("--max-pool", "-1")],
    )  # fmt: skip
    def test_init_is_refused_before_anything_is_there(
        self, town: Town, words: tuple[str, ...]
    ) -> None:
        made = town.folder / "made"
        ran = town.cli("ledger", "init", made, "--origin", "x.example", *words)
        assert ran.status in (2, 4, 7) and ran.error[0] != "BUG", ran.err
        assert not (made / "ledger.sqlite").exists()


class TestMoney:
    def test_transfer(self, town: Town) -> None:
        town.ledger("transfer", "--to", f"{town.key('bob')}.pub", "--amount", "30",
                    key="alice").good()  # fmt: skip
        assert town.balances() == {"host": 10, "evaluator": 50, "alice": 70, "bob": 30}
        town.ledger("transfer", "--to", town.public("bob"), "--amount", "71", key="alice").refused(
            "INSUFFICIENT_FUNDS", 7, "has 70 units"
        )

    def test_a_bond_to_the_ledger(self, town: Town) -> None:
        town.ledger("bond", "--amount", "40", key="alice").good()
        notice = town.ledger("bond-return", "--json", key="alice").good().json
        assert notice["until"] == notice["entry"] + 2
        town.ledger("bond-return", key="alice").refused("WRONG_PHASE", 7, "locked until")
        assert "bonded to the ledger" in town.cli("ledger", "balance", town.book).out
        town.ledger("transfer", "--to", town.public("bob"), "--amount", "1", key="alice").good()
        town.ledger("bond-return", key="alice").good()
        assert town.balances()["alice"] == 99

    def test_who_signs_two_histories_loses_its_bond(self, town: Town) -> None:
        town.ledger("bond", "--amount", "10", key="host").good()
        host = Signer.load(town.key("host"))
        notes = [Checkpoint(ORIGIN, 9, bytes([at]) * 32).sign(host) for at in range(2)]
        shown = Evidence.of(VerifierKey(ORIGIN, host.public), *notes)
        file = town.folder / "evidence"
        file.write_bytes(shown.encode())
        words = (file, "--offender", town.public("host"))
        town.ledger("slash equivocation", file, "--offender", town.public("alice"),
                    key="bob").refused("NO_FAULT", 7)  # fmt: skip
        town.ledger("slash equivocation", *words, key="bob").good()
        assert town.balances()["bob"] == 5
        town.ledger("slash equivocation", *words, key="bob").refused("ALREADY_REGISTERED", 7)

    def test_an_evaluator_who_does_not_release_loses_its_bond(self, town: Town) -> None:
        task = with_task(town)
        town.ledger("bond", "--task", task, "--amount", "20", key="evaluator").good()
        late = ("--task", task)
        town.ledger("slash no-release", *late, key="bob").refused("NO_FAULT", 7, "still can be")
        for amount in ("1", "2", "3", "4"):
            words = ("--to", town.public("bob"), "--amount", amount)
            town.ledger("transfer", *words, key="alice").good()
        town.ledger("release", *late, key="evaluator").refused("TOO_LATE", 7)
        town.ledger("close", *late, key="bob").good()
        town.ledger("bond-return", *late, key="evaluator").refused("WRONG_PHASE", 7, "forfeit")
        town.ledger("slash no-release", *late, key="alice").good()
        assert town.balances()["alice"] == 100 - 10 + 10

    def test_a_release_that_comes_too_early(self, town: Town) -> None:
        task = with_task(town)
        town.ledger("release", "--task", task, key="evaluator").refused(
            "WRONG_PHASE", 7, "models are taken until"
        )


class TestModels:
    def test_release_and_trace(self, town: Town) -> None:
        card = town.folder / "card.json"
        card.write_text("{}")
        first = town.ledger(
            "release-model",
            "--name",
            "reader",
            "--release",
            "1",
            "--model",
            "cd" * 32,
            "--card",
            card,
            "--artefact",
            card,
            "--json",
            key="alice",
        )
        release = first.good().json["release"]
        town.ledger("release-model", "--name", "reader", "--release", "1", "--model", "ce" * 32,
                    key="alice").refused("ALREADY_REGISTERED", 7)  # fmt: skip
        town.ledger("release-model", "--name", "reader", "--release", "2", "--model", "ce" * 32,
                    "--parent", release, key="alice").good()  # fmt: skip
        town.ledger("attest-prediction", "--release", release, "--input", "01" * 32, "--output",
                    "02" * 32, key="alice").good()  # fmt: skip
        town.ledger("attest-prediction", "--release", release, "--input", "01" * 32, "--output",
                    "02" * 32, key="bob").refused("NOT_AUTHORISED", 7)  # fmt: skip
        shown = town.cli("ledger", "trace", town.book, "reader@2").good().out
        assert "reader 2" in shown and "reader 1" in shown
        town.ledger("release-model", "--name", "x", "--release", "1", "--model", "ce" * 32,
                    "--proof", "99", key="alice").refused("BAD_INPUT", 2)  # fmt: skip
        town.ledger("release-model", "--name", "x", "--release", "1", "--model", "ce" * 32,
                    "--data", "77" * 32, key="alice").refused("UNKNOWN_DATA", 7)  # fmt: skip


class TestMoving:
    def test_a_backup_does_not_fork_the_ledger(self, town: Town) -> None:
        old = town.folder / "old"
        town.cli("ledger", "backup", town.book, old).good()
        town.ledger("transfer", "--to", town.public("bob"), "--amount", "1", key="alice").good()
        words = ("--to", town.public("bob"), "--amount", "2")
        town.ledger("transfer", *words, key="alice", book=old).refused("LEDGER_IS_BACKUP", 7)
        key = ("--log-key", town.key("host"))
        town.cli("ledger", "restore", old, *key).refused("LEDGER_ROLLED_BACK", 7, "only 4 are here")
        town.cli("ledger", "restore", old, *key, "--from", town.book / "tlog").good()
        town.ledger("transfer", *words, key="alice", book=old).good()
        # The other copy is the older one now.
        town.ledger("transfer", *words, key="alice").refused("LEDGER_ROLLED_BACK", 7)

    def test_a_move(self, town: Town) -> None:
        files, there = town.folder / "files.tar", town.folder / "there"
        town.cli("ledger", "export", town.book, files, "--move", "--log-key",
                 town.key("host")).good()  # fmt: skip
        words = ("--to", town.public("bob"), "--amount", "2")
        town.ledger("transfer", *words, key="alice").refused("LEDGER_MOVED", 7)
        town.cli("ledger", "import", files, there, "--log-key", town.key("host")).good()
        town.ledger("transfer", *words, key="alice", book=there).good()
        mirror = town.folder / "mirror"
        town.cli("ledger", "import", files, mirror).good()
        town.ledger("transfer", *words, key="alice", book=mirror).refused("LEDGER_IS_BACKUP", 7)

    def test_an_audit_goes_on(self, town: Town) -> None:
        notes = town.folder / "audit.json"
        for _ in range(2):
            town.cli("ledger", "audit", town.book, "--resume", notes).good()
        notes.write_text("{}")
        town.cli("ledger", "audit", town.book, "--resume", notes).refused("CORRUPTED_ARTEFACT", 4)


class TestWhere:
    def test_as_an_option(self, town: Town) -> None:
        one = town.cli("ledger", "balance", town.book, town.public("alice"), "--json")
        other = town.cli("ledger", "balance", town.public("alice"), "--json", "--ledger", town.book)
        third = town.cli("ledger", "balance", f"--ledger={town.book}", town.public("alice"),
                         "--json")  # fmt: skip
        assert one.good().json == other.good().json == third.good().json

    @pytest.mark.parametrize(
        "words", [("--vkey", "x"), ("--engine", "evm"), ("--rpc", "http://127.0.0.1:9")]
    )
    def test_what_does_not_belong_together(self, town: Town, words: tuple[str, ...]) -> None:
        town.cli("ledger", "balance", town.book, *words).refused("BAD_INPUT", 2, "belong")

    def test_nobody_is_there(self, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ledger.service.remote.time.sleep", lambda _: None, raising=False)
        ran = town.cli("ledger", "balance", "http://127.0.0.1:9")
        assert ran.status not in (0, 70), ran.err
