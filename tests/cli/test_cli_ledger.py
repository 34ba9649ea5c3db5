"""``zkpot ledger``: what it refuses, by which name, and what its audit finds."""

from __future__ import annotations

import re
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_lab import ORIGIN, SAMPLES, Cli, Lab, flipped, forge, opened, recount, untouched

from circuits.artefact_files import load_model
from circuits.bundle import Bundle
from circuits.statement import Context
from ledger import Ledger, Signer, blob_digest
from ledger.entries import ProofSubmit
from verifier.verdict import Check, Verdict

NOTHING = "5c" * 32


@pytest.fixture(scope="module")
def lab(sumcheck_lab: Lab) -> Lab:
    return sumcheck_lab


class TestKeys:
    def test_a_key_file_is_not_replaced(self, lab: Lab) -> None:
        with untouched(lab.folder):
            lab.cli("ledger", "keygen", lab.key("alice")).refused("BAD_KEY", 7, "not overwritten")

    def test_a_key_in_a_place_that_cannot_be(self, lab: Lab) -> None:
        with untouched(lab.folder):
            lab.cli("ledger", "keygen", lab.manifest / "key").refused("SYSTEM", 1)

    def test_passphrase(self, lab: Lab, tmp_path: Path) -> None:
        cli, book = lab.cli, tmp_path / "ledger"
        secret = {"ZKPOT_PASSPHRASE": "correct horse battery staple"}
        made = cli("ledger", "keygen", tmp_path / "key", "--json", env=secret).good()
        assert made.json["encrypted"] is True
        assert "ENCRYPTED" in (tmp_path / "key").read_text()
        assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
        cli("ledger", "init", book, "--origin", "new", env=secret).good()
        words = ("ledger", "identity", book, "--key", tmp_path / "key", "--name", "carol")
        with untouched(book):
            cli(*words).refused("BAD_KEY", 7, "Password was not given")
            cli(*words, env={"ZKPOT_PASSPHRASE": "wrong"}).refused("BAD_KEY", 7, "Incorrect")
        cli(*words, env=secret).good()
        assert all(secret["ZKPOT_PASSPHRASE"] not in text for text in cli.transcript)

    def test_an_encrypted_key_in_a_ledger_with_a_plain_one(self, lab: Lab, tmp_path: Path) -> None:
        secret = {"ZKPOT_PASSPHRASE": "mine"}
        book = lab.ledger("committed", tmp_path / "ledger")
        lab.cli("ledger", "keygen", tmp_path / "key", env=secret).good()
        lab.cli("ledger", "identity", book, "--key", tmp_path / "key", "--name", "carol",
                env=secret).good()  # fmt: skip

    @pytest.mark.parametrize(
        ("key", "code", "status"),
        [("missing", "MISSING_ARTEFACT", 4), ("identity.key.pub", "BAD_KEY", 7),
         ("circuit.json", "BAD_KEY", 7)],
    )  # fmt: skip
    def test_no_key(self, lab: Lab, key: str, code: str, status: int) -> None:
        with untouched(lab.folder):
            lab.cli("ledger", "identity", lab.at("released"), "--key", lab.at("alice", key),
                    "--name", "x").refused(code, status, key)  # fmt: skip

    def test_another_logs_key(self, lab: Lab) -> None:
        with untouched(lab.folder):
            lab.cli(
                "ledger",
                "identity",
                lab.at("released"),
                "--key",
                lab.key("bob"),
                "--name",
                "x",
                "--log-key",
                lab.key("bob"),
            ).refused("BAD_KEY", 7, "key of this log")


class TestInit:
    def test_not_twice(self, lab: Lab) -> None:
        with untouched(lab.folder):
            lab.cli("ledger", "init", lab.at("released"), "--origin", "x").refused(
                "LEDGER_EXISTS", 7
            )

    @pytest.mark.parametrize(
        "words",
        [("--origin", "two words"), ("--origin", "a+b"), ("--origin", ""),
         ("--origin", "x", "--task-owner", "nobody"), ("--origin", "x", "--task-owner", "00" * 32)],
        ids=["space", "plus", "empty", "owner", "weak owner"],
    )  # fmt: skip
    def test_refused(self, cli: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
        ran = cli("ledger", "init", tmp_path / "book", *words)
        assert ran.status in (2, 4, 7)
        assert ran.error[0] in ("BAD_INPUT", "BAD_NOTE", "MALFORMED_ENTRY", "MISSING_ARTEFACT",
                                "BAD_KEY")  # fmt: skip
        assert not (tmp_path / "book" / "ledger.sqlite").exists()

    def test_refused_it_leaves_nothing(self, cli: Cli, tmp_path: Path) -> None:
        with untouched(tmp_path):
            assert cli("ledger", "init", tmp_path / "book", "--origin", "two words").status != 0

    @pytest.mark.parametrize("command", ["show", "balance", "audit"])
    def test_no_ledger(self, cli: Cli, tmp_path: Path, command: str) -> None:
        cli("ledger", command, tmp_path / "none").refused("LEDGER_MISSING", 7, "none")
        assert not (tmp_path / "none").exists()


class TestPhases:
    """Each refusal leaves the log as it was."""

    def refused(self, lab: Lab, phase: str, code: str, *words: str | Path) -> None:
        """Run words with LEDGER replaced by a fresh copy; the log must not grow."""
        scratch = lab.at(f"scratch-{phase}")
        shutil.rmtree(scratch, ignore_errors=True)
        book = lab.ledger(phase, scratch)
        try:
            before = lab.cli("ledger", "show", book, "--json").good().json
            status = 6 if code == "WRONG_CONTEXT" else 7
            lab.cli(*[book if word == "LEDGER" else word for word in words]).refused(code, status)
            after = lab.cli("ledger", "show", book, "--json").good().json
            assert after["entries"] == before["entries"]
            assert [item["code"] for item in after["refusals"]] in ([], [code])
            lab.cli("ledger", "audit", book, "--no-proofs").good()
        finally:
            shutil.rmtree(scratch)

    def test_commit(self, lab: Lab) -> None:
        model = ("--model", lab.at("alice", "model.json"))
        alice = ("ledger", "commit", "LEDGER", "--key", lab.key("alice"))
        self.refused(lab, "released", "WRONG_PHASE", *alice, "--task", lab.task, *model)
        self.refused(lab, "committed", "ALREADY_REGISTERED", *alice, "--task", lab.task, *model)
        self.refused(lab, "committed", "UNKNOWN_TASK", *alice, "--task", NOTHING, *model)
        self.refused(lab, "committed", "WRONG_PHASE", *alice, "--task", lab.task, "--round", "1",
                     *model)  # fmt: skip

    def test_release(self, lab: Lab) -> None:
        words = ("ledger", "release", "LEDGER", "--task", lab.task, "--key")
        self.refused(lab, "committed", "NOT_AUTHORISED", *words, lab.key("alice"))
        self.refused(lab, "released", "WRONG_PHASE", *words, lab.key("evaluator"))

    def test_identity_and_data(self, lab: Lab) -> None:
        alice = ("LEDGER", "--key", lab.key("alice"))
        self.refused(lab, "committed", "ALREADY_REGISTERED", "ledger", "identity", *alice,
                     "--name", "x")  # fmt: skip
        self.refused(lab, "committed", "ALREADY_REGISTERED", "ledger", "data", *alice,
                     "--testset", lab.manifest)  # fmt: skip

    def test_a_stranger(self, lab: Lab, tmp_path: Path) -> None:
        lab.cli("ledger", "keygen", tmp_path / "key").good()
        self.refused(lab, "committed", "NOT_AUTHORISED", "ledger", "commit", "LEDGER", "--key",
                     tmp_path / "key", "--task", lab.task, "--model",
                     lab.at("alice", "model.json"))  # fmt: skip

    def test_task(self, lab: Lab) -> None:
        parts = ("--circuit", lab.at("alice", "circuit.json"), "--testset", lab.manifest,
                 "--title", "t")  # fmt: skip
        host = ("ledger", "task", "LEDGER", "--key", lab.at("committed", "log.key"), *parts)
        self.refused(lab, "committed", "NOT_AUTHORISED", "ledger", "task", "LEDGER", "--key",
                     lab.key("alice"), *parts)  # fmt: skip
        self.refused(lab, "released", "WRONG_PHASE", *host)
        self.refused(lab, "committed", "OVER_BUDGET", *host, "--openings", "99")
        for wrong in (("--minimum", "100%"), ("--eta", "0"), ("--pool", "-1"), ("--rounds", "0"),
                      ("--submissions", "0"), ("--title", "")):  # fmt: skip
            self.refused(lab, "committed", "MALFORMED_ENTRY", *host, *wrong)

    def test_submit(self, lab: Lab, tmp_path: Path) -> None:
        words = ("ledger", "submit", "LEDGER", "--bundle", lab.bundle, "--task", lab.task)
        alice = (*words, "--key", lab.key("alice"))
        self.refused(lab, "committed", "WRONG_PHASE", *alice)
        self.refused(lab, "released", "WRONG_CONTEXT", *words, "--key", lab.key("bob"))
        self.refused(lab, "released", "UNKNOWN_TASK", *alice, "--task", NOTHING)
        self.refused(lab, "released", "WRONG_PHASE", *alice, "--round", "1")
        forged = forge(lab, tmp_path / "forged", model=NOTHING)
        self.refused(lab, "released", "NOT_COMMITTED", *alice, "--bundle", forged)
        forged = forge(lab, tmp_path / "forged", circuit=NOTHING)
        self.refused(lab, "released", "STATEMENT_MISMATCH", *alice, "--bundle", forged)
        second = load_model(lab.at("second", "model.json")).model_id
        forged = forge(lab, tmp_path / "forged", model=second)
        self.refused(lab, "credited", "OVER_BUDGET", *alice, "--bundle", forged)


class TestSubmit:
    @pytest.mark.parametrize("by", [1, -1])
    def test_a_tampered_count(self, lab: Lab, tmp_path: Path, by: int) -> None:
        book = lab.ledger("released", tmp_path / "ledger")
        forged = tmp_path / "forged"
        forged.write_bytes(recount(Bundle.load(lab.bundle), by).encode())
        lab.cli(*lab.submit(book, forged)).refused("PROOF_REJECTED", 6, "sumcheck: shard")
        shown = lab.cli("ledger", "show", book)
        assert re.search(
            r"refused\s+proof.submit\s+alice\s+\[PROOF_REJECTED\] sumcheck:", shown.out
        )
        assert lab.cli("ledger", "balance", book, "--json").json["balances"] == {}
        assert lab.cli("ledger", "balance", book).out == "nobody has any credit\n"

    def test_anothers_proof_under_ones_own_name(self, lab: Lab, tmp_path: Path) -> None:
        book = lab.ledger("released", tmp_path / "ledger")
        bob = Context(lab.public("bob"), lab.task, 0, ORIGIN).digest
        model = load_model(lab.at("bob", "model.json")).model_id
        stolen = forge(lab, tmp_path / "stolen", context=bob, model=model)
        lab.cli(*lab.submit(book, stolen, key=lab.key("bob"))).refused(
            "PROOF_REJECTED", 6, "model: id:"
        )

    @pytest.mark.parametrize(
        ("name", "code"),
        [("missing", "MISSING_ARTEFACT"), ("circuit.json", "CORRUPTED_ARTEFACT"),
         ("identity.key", "CORRUPTED_ARTEFACT")],
    )  # fmt: skip
    def test_no_bundle(self, lab: Lab, name: str, code: str) -> None:
        with untouched(lab.folder):
            lab.cli(*lab.submit(lab.at("released"), lab.at("alice", name))).refused(code, 4)

    def test_a_flipped_bit(self, lab: Lab, tmp_path: Path) -> None:
        book, size = lab.ledger("released", tmp_path / "ledger"), lab.bundle.stat().st_size
        for at in range(0, size, size // 6):
            ran = lab.cli(*lab.submit(book, flipped(lab.bundle, tmp_path / "flipped", at)))
            assert ran.status in (4, 6, 7), ran.err
            assert ran.error[0] != "BUG"
        assert lab.cli("ledger", "balance", book, "--json").json["balances"] == {}

    def test_again_it_says_the_same(self, lab: Lab, tmp_path: Path) -> None:
        book = lab.ledger("credited", tmp_path / "ledger")
        assert lab.cli(*lab.submit(book)).good().out == lab.runs["submit"].out

    def test_again_nothing_is_paid(self, lab: Lab, tmp_path: Path) -> None:
        book = lab.ledger("credited", tmp_path / "ledger")
        lab.cli(*lab.submit(book))
        lab.cli(*lab.submit(book))
        assert lab.cli("ledger", "balance", book).out == lab.runs["balance"].out
        assert len(lab.cli("ledger", "show", book, "--json").json["entries"]) == 12

    def test_below_the_minimum(self, lab: Lab, tmp_path: Path) -> None:
        book = tmp_path / "ledger"
        lab.cli("ledger", "init", book, "--origin", ORIGIN).good()
        task = opened(lab, book, "--minimum", "90%")
        context = Context(lab.public("alice"), task, 0, ORIGIN).digest
        forged = forge(lab, tmp_path / "forged", context=context)
        lab.cli(*lab.submit(book, forged, task=task)).refused(
            "BELOW_POLICY", 7, f"4/{SAMPLES}", "9/10"
        )


class TestReceipts:
    @pytest.mark.parametrize("index", [0, 4, 9, 10, 11])
    def test_every_entry_has_one(self, lab: Lab, tmp_path: Path, index: int) -> None:
        lab.cli("ledger", "receipt", lab.at("credited"), str(index), "--out",
                tmp_path / "receipt").good()  # fmt: skip
        assert f"good: entry {index} is" in lab.cli(
            "ledger", "check-receipt", tmp_path / "receipt", "--vkey", lab.vkey
        ).good().out  # fmt: skip

    def test_no_such_entry(self, lab: Lab, tmp_path: Path) -> None:
        lab.cli("ledger", "receipt", lab.at("credited"), "12", "--out", tmp_path / "r").refused(
            "LEDGER", 7, "no entry 12"
        )
        assert not (tmp_path / "r").exists()

    def test_damaged(self, lab: Lab, tmp_path: Path) -> None:
        receipt = lab.at("receipt.txt")
        size = receipt.stat().st_size
        for at in range(3, size, size // 25):
            broken = flipped(receipt, tmp_path / "receipt", at)
            ran = lab.cli("ledger", "check-receipt", broken, "--vkey", lab.vkey)
            assert ran.status == 7, f"byte {at}: {ran.out}"
            assert ran.error[0] in ("BAD_NOTE", "MALFORMED_ENTRY", "BAD_SIGNATURE", "BAD_KEY")

    def test_another_log(self, lab: Lab, tmp_path: Path) -> None:
        other = lab.cli("ledger", "init", tmp_path / "l", "--origin", ORIGIN, "--json").good().json
        lab.cli("ledger", "check-receipt", lab.at("receipt.txt"), "--vkey", other["vkey"]).refused(
            "BAD_NOTE", 7
        )

    @pytest.mark.parametrize("vkey", ["", "x", "a+00000000+AAAA"])
    def test_no_key(self, lab: Lab, vkey: str) -> None:
        lab.cli("ledger", "check-receipt", lab.at("receipt.txt"), "--vkey", vkey).refused(
            "BAD_KEY", 7
        )


def _sql(*statements: str) -> Callable[[Path], None]:
    """Change the database as its operator could: without the triggers."""

    def change(book: Path) -> None:
        with sqlite3.connect(book / "ledger.sqlite") as database:
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                database.execute(f"DROP TRIGGER {name}")
            for statement in statements:
                database.execute(statement)
        database.close()

    return change


def _blob(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def apply(book: Path) -> None:
        # The bundle: by far the largest of them.
        change(max((book / "blobs").iterdir(), key=lambda path: path.stat().st_size))

    return apply


class TestAudit:
    @pytest.mark.parametrize(
        "damage",
        [
            _sql("UPDATE balances SET amount = 1000"),
            _sql("DELETE FROM nullifiers"),
            _sql("DELETE FROM entries WHERE idx = 11"),
            _sql("DELETE FROM entries WHERE idx >= 10", "DELETE FROM checkpoints WHERE size > 10",
                 "DELETE FROM nullifiers"),
            _sql("DELETE FROM entries WHERE idx = 3"),
            _sql("UPDATE entries SET data = CAST(replace(CAST(data AS TEXT), 'alice', 'malic') "
                 "AS BLOB) WHERE idx = 2"),
            _sql("DELETE FROM checkpoints WHERE size = 12"),
            _blob(Path.unlink),
            _blob(lambda path: flipped(path, path, 2000)),
            lambda book: (book / "ledger.sqlite").write_bytes(b"no database at all" * 500),
            lambda book: (book / "ledger.sqlite").write_bytes(b""),
        ],
        ids=["balance", "nullifier", "last entry", "proof and credit", "entry", "content",
             "checkpoint", "lost blob", "flipped blob", "garbage", "empty"],
    )  # fmt: skip
    def test_damage_is_found(
        self, lab: Lab, tmp_path: Path, damage: Callable[[Path], object]
    ) -> None:
        book = lab.ledger("credited", tmp_path / "ledger")
        lab.cli("ledger", "audit", book, "--no-proofs").good()
        damage(book)
        ran = lab.cli("ledger", "audit", book, "--no-proofs")
        assert ran.status == 7, ran.out
        assert "clean" not in ran.out
        assert ran.error[0] in ("LEDGER_CORRUPT", "LEDGER_STORAGE"), ran.err

    def test_a_proof_that_does_not_hold(self, lab: Lab, tmp_path: Path) -> None:
        """Only verifying again can find a log that was written without verifying."""
        book = lab.ledger("released", tmp_path / "ledger")
        forged = recount(Bundle.load(lab.bundle), 1)
        content, claimed = forged.encode(), forged.statement
        with Ledger.open(book, Signer.load(book / "log.key")) as opened:
            body = ProofSubmit(lab.task, 0, blob_digest(content), claimed, False)
            entry = opened.sign(body, Signer.load(lab.key("alice")))
            lie = Verdict(claimed, (Check("sumcheck", True),))
            opened.submit(content, entry, lambda _bundle, _pins: lie)
        assert lab.cli("ledger", "audit", book, "--no-proofs").good().out.startswith("clean")
        lab.cli("ledger", "audit", book).refused("LEDGER_CORRUPT", 7, "entry 10: sumcheck:")

    def test_another_logs_key(self, lab: Lab, tmp_path: Path) -> None:
        other = lab.cli("ledger", "init", tmp_path / "l", "--origin", ORIGIN, "--json").good().json
        lab.cli("ledger", "audit", lab.at("credited"), "--no-proofs", "--vkey",
                other["vkey"]).refused("LEDGER_CORRUPT", 7, "expected", other["vkey"])  # fmt: skip

    def test_a_fault_is_one_json_object(self, lab: Lab, tmp_path: Path) -> None:
        book = lab.ledger("credited", tmp_path / "ledger")
        _sql("UPDATE balances SET amount = 1000")(book)
        found = lab.cli("ledger", "audit", book, "--no-proofs", "--json").json
        assert found["ok"] is False


class TestWhatIsRegistered:
    """A public file that was damaged on its way must not get onto the log."""

    @pytest.mark.parametrize("command", ["data", "commit"])
    def test_a_flipped_commitment(self, lab: Lab, tmp_path: Path, command: str) -> None:
        book = lab.ledger("committed", tmp_path / "ledger")
        key, path, words = {
            "data": ("evaluator", lab.manifest, ("--testset",)),
            "commit": ("bob", lab.at("bob", "model.json"), ("--task", lab.task, "--model")),
        }[command]
        text = path.read_text()
        at = re.search(r'"(?:root|architecture)":"[0-9a-f]{40}', text).end()
        damaged = tmp_path / "damaged.json"
        damaged.write_text(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :])
        ran = lab.cli("ledger", command, book, "--key", lab.key(key), *words, damaged)
        assert ran.status != 0, ran.out

    def test_balance_of_somebody_unknown(self, lab: Lab) -> None:
        lab.cli("ledger", "balance", lab.at("credited"), "carol").refused("MISSING_ARTEFACT", 4)
        assert lab.cli("ledger", "balance", lab.at("credited"), NOTHING, "--json").good().json == {
            "balances": {NOTHING: 0},
            "bonds": [],
        }
