"""What is the halo2 backend's own on the command line: SRS files, keys and their refusals."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cli_lab import (
    INSECURE,
    ORIGIN,
    Cli,
    K,
    Lab,
    Refusal,
    dense,
    flipped,
    forge,
    opened,
    over,
    recount,
    untouched,
)

from circuits.bundle import Bundle
from circuits.statement import Context

pytestmark = pytest.mark.ezkl

COMMIT = ("commit-data {lab}/test.npz --backend halo2 --k 11 --bits 4 --shard-size 3 "
          f"--classes 3 --out {{bad}}/out {INSECURE}")  # fmt: skip
COMPILE = "compile {bad}/%s --testset {lab}/evaluator/testset.json --out {bad}/out"
MODEL = ("commit-model --circuit {lab}/alice/circuit.json --weights {lab}/alice/weights.secret "
         f"--out {{bad}}/out {INSECURE}")  # fmt: skip
PROVE = (
    "prove --circuit {lab}/alice/circuit.json --testset {lab}/evaluator/testset.json "
    "--testset-secret {lab}/alice/testset.secret --model-secret {lab}/alice/model.secret "
    f"--submitter {{lab}}/alice/identity.key.pub --task {{task}} --origin {ORIGIN} "
    f"--out {{bad}}/new.zkpot {INSECURE}"
)
VERIFY = (
    "verify {bundle} --testset {lab}/evaluator/testset.json --circuit {lab}/alice/circuit.json "
    f"--submitter {{lab}}/alice/identity.key.pub --task {{task}} --origin {ORIGIN} {INSECURE}"
)


@pytest.fixture(scope="module")
def lab(halo2_lab: Lab) -> Lab:
    return halo2_lab


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    dense(folder / "deep.onnx", (4, 32, 32, 32, 3), 0, scale=3.0)
    dense(folder / "large.onnx", (4, 900, 3), 0)
    (folder / "junk").write_text("no SRS", encoding="utf-8")
    return folder


@over([
    Refusal(COMMIT + " --shard-size 5000", "BAD_INPUT", 2, ("5000",)),
    Refusal(COMMIT + " --k 12", "SRS_MISSING", 5, ("k = 12", "srs fetch 12")),
    Refusal(COMMIT + " --srs {bad}/missing", "SRS_MISSING", 5),
    Refusal(COMMIT + " --srs {bad}/junk", "SRS_INVALID", 5),
    Refusal(COMPILE % "deep.onnx" + " --weight-bits 12", "WOULD_OVERFLOW", 2,
            ("dense", "bits and there are")),
    Refusal(COMPILE % "large.onnx", "WOULD_OVERFLOW", 2, ("'weights'",)),
    Refusal(COMPILE % "large.onnx" + " --confusion", "BAD_INPUT", 2, ("use sumcheck",)),
    Refusal(MODEL + " --budget 7", "BAD_INPUT", 2, ("opened 24 times", "--model-budget")),
    Refusal(PROVE + " --memory 10M", "OUT_OF_MEMORY", 3, ("--memory",)),
    Refusal(PROVE + " --jobs 2 --memory 140M", "OUT_OF_MEMORY", 3, ("2 process",)),
    Refusal(PROVE + " --srs {bad}/missing", "SRS_MISSING", 5),
    Refusal(PROVE + " --srs {bad}/junk", "SRS_INVALID", 5),
    Refusal(VERIFY + " --srs {bad}/missing", "SRS_MISSING", 5),
    Refusal(VERIFY + " --srs {bad}/junk", "SRS_INVALID", 5),
    Refusal("srs check {bad}/missing", "SRS_MISSING", 5),
    Refusal("srs check {bad}/junk", "SRS_INVALID", 5, ("not a KZG parameters file",)),
    Refusal("srs import {bad}/missing", "SRS_MISSING", 5),
    Refusal("srs import {home}/srs/k11-development.srs", "SRS_INSECURE", 5, ("forge",)),
    Refusal("srs fetch 40", "USAGE", 2, ("40",)),
    Refusal("srs develop ten", "USAGE", 2),
])  # fmt: skip
def test_refused(lab: Lab, bad: Path, case: Refusal) -> None:
    case.check(lab, bad)


def test_import_of_a_file_no_ceremony_made(lab: Lab, tmp_path: Path) -> None:
    srs = lab.cli.home / "srs" / f"k{K}-development.srs"
    shutil.copy2(srs, tmp_path / "ppot.srs")  # without the marker
    with untouched(lab.cli.home):
        lab.cli("srs", "import", tmp_path / "ppot.srs").refused("SRS_INVALID", 5, "no ceremony's")


def test_a_damaged_srs(lab: Lab, tmp_path: Path) -> None:
    srs = lab.cli.home / "srs" / f"k{K}-development.srs"
    broken = flipped(srs, tmp_path / "broken.srs", 4 + 64)
    lab.cli("srs", "check", broken).refused("SRS_INVALID", 5)
    words = (*lab.verify(), "--srs", broken, INSECURE)
    assert lab.cli(*words).status in (5, 6)
    cut = tmp_path / "cut.srs"
    cut.write_bytes(srs.read_bytes()[:-1])
    lab.cli("srs", "check", cut).refused("SRS_INVALID", 5)


def test_tampered_proofs(lab: Lab, tmp_path: Path) -> None:
    honest = Bundle.load(lab.bundle)
    first, second = honest.proofs
    for proofs, check in (
        ((second, first), "shards"),
        ((first, first), "shards"),
        ((first,), "shards"),
        ((first, second, second), "shards"),
        ((first, second + b"\0"), "proof form"),
        ((first, second[:-1] + bytes([second[-1] ^ 1])), "ezkl"),
    ):
        forged = tmp_path / "forged.zkpot"
        forged.write_bytes(replace(honest, proofs=proofs).encode())
        lab.cli(*lab.verify(forged), INSECURE).refused("PROOF_REJECTED", 6, f"{check}:")


class TestInsecure:
    """Without the flag no command that takes it works with a development SRS."""

    @pytest.mark.parametrize(
        "words",
        [
            COMMIT,
            MODEL,
            PROVE,
            VERIFY,
            "ledger task {lab}/committed --key {lab}/committed/log.key --title t --circuit "
            f"{{lab}}/alice/circuit.json --testset {{lab}}/evaluator/testset.json {INSECURE}",
        ],
        ids=["commit-data", "commit-model", "prove", "verify", "task"],
    )
    def test_refused_without_the_flag(self, lab: Lab, bad: Path, words: str) -> None:
        plain = words.removesuffix(f" {INSECURE}")
        assert plain != words
        Refusal(plain, "SRS_INSECURE", 5, (f"k = {K}",)).check(lab, bad)
        srs = f"{{home}}/srs/k{K}-development.srs"
        Refusal(f"{plain} --srs {srs}", "SRS_INSECURE", 5, ("forge",)).check(lab, bad)

    def test_the_flag_is_named(self, lab: Lab) -> None:
        assert INSECURE in lab.cli(*lab.verify()).error[1]

    def test_an_empty_home(self, lab: Lab, tmp_path: Path) -> None:
        cli = Cli(tmp_path / "home")
        cli(*lab.verify(), INSECURE).refused("SRS_MISSING", 5, f"srs develop {K}")
        assert cli("srs", "list", "--json").good().json["files"] == []
        assert "no SRS in" in cli("srs", "list").good().out
        assert not cli.home.exists()


class TestProduction:
    """A ledger that was not told to take development SRS takes none, whatever a bundle says."""

    @pytest.mark.parametrize(
        ("says", "code", "status"), [(True, "SRS_INSECURE", 5), (False, "SRS_INSECURE", 5)]
    )
    def test_refuses(self, lab: Lab, tmp_path: Path, says: bool, code: str, status: int) -> None:
        book = tmp_path / "ledger"
        made = lab.cli("ledger", "init", book, "--origin", ORIGIN).good()
        assert "development" not in made.err
        task = opened(lab, book)
        context = Context(lab.public("alice"), task, 0, ORIGIN).digest
        forged = forge(lab, tmp_path / "forged", context=context, details={"srs_insecure": says})
        lab.cli(*lab.submit(book, forged, task=task)).refused(code, status)
        srs = next((lab.cli.home / "srs").glob("*.srs"))
        lab.cli(*lab.submit(book, forged, task=task), "--srs", srs).refused(
            "SRS_INSECURE", 5, "development"
        )
        assert lab.cli("ledger", "balance", book, "--json").json["balances"] == {}

    def test_a_ledger_for_development_says_so(self, lab: Lab) -> None:
        assert "its maker can forge" in lab.runs["init"].err


class TestLedger:
    def test_a_machine_that_cannot_verify_does_not_say_all_is_well(
        self, lab: Lab, tmp_path: Path
    ) -> None:
        ran = Cli(tmp_path / "home")("ledger", "audit", lab.at("credited"))
        assert ran.status != 0
        assert "SRS" in ran.error[1]
        assert "clean" not in ran.out

    @pytest.mark.parametrize("command", ["data", "commit"])
    def test_a_flipped_commitment_is_not_registered(
        self, lab: Lab, tmp_path: Path, command: str
    ) -> None:
        """A public file that was damaged on its way must not get onto the log."""
        book = lab.ledger("committed", tmp_path / "ledger")
        key, path, words = {
            "data": ("evaluator", lab.manifest, ("--testset",)),
            "commit": ("bob", lab.at("bob", "model.json"), ("--task", lab.task, "--model")),
        }[command]
        text = path.read_text()
        at = re.search(r'"(?:features|commitment)":"[0-9a-f]{40}', text).end()
        damaged = tmp_path / "damaged.json"
        damaged.write_text(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :])
        lab.cli("ledger", command, book, "--key", lab.key(key), *words, damaged).refused(
            "CORRUPTED_ARTEFACT", 4, "no point of the curve"
        )

    @pytest.mark.parametrize("by", [1, -1])
    def test_a_tampered_count(self, lab: Lab, tmp_path: Path, by: int) -> None:
        book = lab.ledger("released", tmp_path / "ledger")
        forged = tmp_path / "forged"
        forged.write_bytes(recount(Bundle.load(lab.bundle), by).encode())
        lab.cli(*lab.submit(book, forged)).refused("PROOF_REJECTED", 6, "ezkl:")
