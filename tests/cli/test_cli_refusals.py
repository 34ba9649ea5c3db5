"""Bad input: a named error, a documented exit status, one line, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from cli_lab import (
    CLASSES,
    DATA_OPTIONS,
    INSECURE,
    ORIGIN,
    Cli,
    K,
    Lab,
    dense,
    flipped,
    recode,
    untouched,
    write_onnx,
)
from onnx import helper, numpy_helper

from circuits.bundle import Bundle

pytestmark = pytest.mark.ezkl

NOTHING = "5c" * 32


@dataclass(frozen=True)
class Refusal:
    """A command line that must be refused; ``{bad}`` and ``{lab}`` are folders in it."""

    words: str
    code: str
    status: int
    needles: tuple[str, ...] = ()

    def check(self, lab: Lab, bad: Path) -> None:
        words = [
            word.format(
                bad=bad, lab=lab.folder, task=lab.task, home=lab.cli.home, bundle=lab.bundle
            )
            for word in self.words.split(" ")
        ]
        with untouched(lab.folder), untouched(bad), untouched(lab.cli.home):
            text = lab.cli(*words).refused(self.code, self.status, *self.needles)
            told = lab.cli(*words, "--json").refused(self.code, self.status, *self.needles)
        assert told.json["error"] == self.code
        assert " ".join(told.json["message"].split()) == text.error[1]


def ids(cases: list[Refusal]) -> list[str]:
    return [f"{at}-{case.code}" for at, case in enumerate(cases)]


def over(cases: list[Refusal]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("case", cases, ids=ids(cases))


@pytest.fixture(scope="module")
def bad(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files with something wrong with each."""
    folder = tmp_path_factory.mktemp("bad")
    fine = [[1.0, 2, 3, 4], [0, 0, 0, 1]]
    sets = {
        "nan": ([[1, 2, 3, np.nan], fine[1]], [0, 1]),
        "inf": ([fine[0], [0, -np.inf, 0, 1]], [0, 1]),
        "label": (fine, [0, 7]),
        "negative": (fine, [-1, 0]),
        "half": (fine, [0, 0.5]),
        "uneven": (fine, [0]),
        "none": (np.zeros((0, 4)), np.zeros(0)),
        "one": (fine, [0, 0]),
        "text": (np.array([["a"], ["b"]]), [0, 1]),
        "wide": ([[1, 2, 3, 4, 5], [0, 0, 0, 0, 1]], [0, 1]),
    }
    for name, (x, y) in sets.items():
        np.savez(folder / f"{name}.npz", x=x, y=y)
    np.savez(folder / "unnamed.npz", z=[1], y=[0])
    whole = lab.at("test.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    for name, text in {
        "empty.npz": "", "empty.csv": "", "header.csv": "a,b,label\n",
        "unlabelled.csv": "a,b\n1,2\n", "word.csv": "a,b,label\n1,2,0\n1,cat,1\n",
        "ragged.csv": "a,b,label\n1,0\n", "twice.csv": "a,a,label\n1,2,0\n",
        "empty.onnx": "", "garbage.onnx": "this is no model", "plain": "",
    }.items():  # fmt: skip
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "folder").mkdir()
    (folder / "folder" / "readme").write_text("", encoding="utf-8")
    model = lab.at("model.onnx").read_bytes()
    (folder / "cut.onnx").write_bytes(model[: len(model) // 2])
    weight = numpy_helper.from_array(np.ones((4, CLASSES), np.float32), "w")
    matmul = helper.make_node("MatMul", ["x", "w"], ["out"], name="product")
    write_onnx(folder / "dynamic.onnx", [matmul], [weight], ("batch", "width"))
    nan = numpy_helper.from_array(np.full((4, CLASSES), np.nan, np.float32), "w")
    write_onnx(folder / "nan.onnx", [matmul], [nan])
    hidden = helper.make_node("MatMul", ["x", "w"], ["h"], name="product")
    for name, domain in (("Sigmoid", ""), ("Fancy", "org.example")):
        node = helper.make_node(name, ["h"], ["out"], name="squash", domain=domain)
        write_onnx(folder / f"{name}.onnx", [hidden, node], [weight])
    dense(folder / "narrow.onnx", (5, 3, CLASSES), 0)
    dense(folder / "two.onnx", (4, 3, 2), 0)
    dense(folder / "deep.onnx", (4, 32, 32, 32, CLASSES), 0, scale=3.0)
    dense(folder / "large.onnx", (4, 900, CLASSES), 0)
    alice = lab.at("alice")
    for path in (alice / "circuit.json", alice / "model.json", alice / "model.secret",
                 alice / "weights.secret", lab.manifest, lab.bundle):  # fmt: skip
        recode(path, folder / "next" / path.name, version=99)
    # A set of the same shape with other salts, and all that goes with it.
    lab.cli("commit-data", lab.at("test.npz"), *DATA_OPTIONS, "--out", folder / "other",
            INSECURE).good()  # fmt: skip
    lab.cli("commit-data", lab.at("test.npz"), "--k", "11", "--shard-size", "5",
            "--classes", "3", "--out", folder / "large", INSECURE).good()  # fmt: skip
    return folder


COMMIT = f"commit-data {{bad}}/%s {' '.join(DATA_OPTIONS)} --out {{bad}}/out {INSECURE}"


class TestCommitData:
    @over([
        Refusal(COMMIT % "nan.npz", "NOT_FINITE", 2, ("feature 3 of row 0 is nan",)),
        Refusal(COMMIT % "inf.npz", "NOT_FINITE", 2, ("feature 1 of row 1 is -inf",)),
        Refusal(COMMIT % "label.npz", "LABEL_OUT_OF_RANGE", 2, ("row 1 is 7", "0..2")),
        Refusal(COMMIT % "negative.npz", "LABEL_OUT_OF_RANGE", 2, ("row 0 is -1",)),
        Refusal(COMMIT % "half.npz", "DATA_FORMAT", 2, ("row 1 is 0.5",)),
        Refusal(COMMIT % "uneven.npz", "SHAPE_MISMATCH", 2, ("2 samples and 1 labels",)),
        Refusal(COMMIT % "none.npz", "DATA_FORMAT", 2, ("(0, 4)",)),
        Refusal(COMMIT % "text.npz", "DATA_FORMAT", 2, ("not numbers",)),
        Refusal(COMMIT % "unnamed.npz", "DATA_FORMAT", 2, ("lacks the array 'x'",)),
        Refusal(COMMIT % "cut.npz", "DATA_FORMAT", 2, ("cut.npz",)),
        Refusal(COMMIT % "empty.npz", "DATA_FORMAT", 2, ("empty.npz",)),
        Refusal(COMMIT % "empty.csv", "DATA_FORMAT", 2, ("label",)),
        Refusal(COMMIT % "header.csv", "DATA_FORMAT", 2, ("(0, 2)",)),
        Refusal(COMMIT % "unlabelled.csv", "DATA_FORMAT", 2, ("label column",)),
        Refusal(COMMIT % "unlabelled.csv" + " --label c", "DATA_FORMAT", 2, ("'c'",)),
        Refusal(COMMIT % "word.csv", "DATA_FORMAT", 2, ("column 'b' in row 1", "'cat'")),
        Refusal(COMMIT % "ragged.csv", "DATA_FORMAT", 2, ("2 fields and the header 3",)),
        Refusal(COMMIT % "twice.csv", "DATA_FORMAT", 2, ("two columns named 'a'",)),
        Refusal(COMMIT % "folder", "DATA_FORMAT", 2, ("IDX",)),
        Refusal(COMMIT % "missing.npz", "MISSING_ARTEFACT", 4, ("missing.npz does not exist",)),
        Refusal(f"commit-data nosuch:load --k 11 --out {{bad}}/out {INSECURE}", "DATA_FORMAT", 2,
                ("No module named 'nosuch'",)),
        Refusal(f"commit-data json:loads --k 11 --out {{bad}}/out {INSECURE}", "DATA_FORMAT", 2,
                ("json:loads did not load",)),
        Refusal(COMMIT % "one.npz" + " --classes 1", "DATA_FORMAT", 2, ("1 classes",)),
        Refusal(COMMIT % "wide.npz" + " --for {lab}/model.onnx", "SHAPE_MISMATCH", 2,
                ("(5,)", "(4,)")),
        Refusal(COMMIT % "wide.npz" + " --for {bad}/missing.onnx", "MISSING_ARTEFACT", 4),
        Refusal(COMMIT % "wide.npz" + " --bits 0", "BAD_INPUT", 2, ("not 0",)),
        Refusal(COMMIT % "wide.npz" + " --bits 33", "BAD_INPUT", 2, ("not 33",)),
        Refusal(COMMIT % "wide.npz" + " --exponent 30", "WOULD_OVERFLOW", 2, ("bits",)),
        Refusal(COMMIT % "wide.npz" + " --budget 0", "USAGE", 2, ("--budget",)),
        Refusal(COMMIT % "wide.npz" + " --shard-size -1", "USAGE", 2, ("-1",)),
        Refusal(COMMIT % "wide.npz" + " --shard-size 5000", "BAD_INPUT", 2, ("5000",)),
        Refusal(COMMIT % "wide.npz" + " --memory lots", "USAGE", 2, ("8G or 500M",)),
        Refusal(COMMIT % "wide.npz" + " --k 12", "SRS_MISSING", 5, ("k = 12", "srs fetch 12")),
        Refusal(COMMIT % "wide.npz" + " --srs {bad}/missing", "SRS_MISSING", 5),
        Refusal(COMMIT % "wide.npz" + " --srs {bad}/label.npz", "SRS_INVALID", 5),
        Refusal("commit-data", "USAGE", 2, ("Missing argument 'DATA'",)),
        Refusal("commit-data {bad}/wide.npz", "USAGE", 2, ("--out",)),
    ])  # fmt: skip
    def test_refused(self, lab: Lab, bad: Path, case: Refusal) -> None:
        case.check(lab, bad)

    def test_a_shard_of_nothing(self, lab: Lab, tmp_path: Path) -> None:
        lab.cli("commit-data", lab.at("test.npz"), *DATA_OPTIONS, "--shard-size", "0", "--out",
                tmp_path, INSECURE).refused("USAGE", 2)  # fmt: skip

    def test_a_secret_is_never_replaced(self, lab: Lab, tmp_path: Path) -> None:
        words = ("commit-data", lab.at("test.npz"), *DATA_OPTIONS, "--out", tmp_path, INSECURE)
        lab.cli(*words).good()
        with untouched(tmp_path):
            lab.cli(*words).refused("BAD_INPUT", 2, "testset.secret exists", "--out")

    def test_out_under_a_file(self, lab: Lab, bad: Path) -> None:
        with untouched(bad):
            ran = lab.cli("commit-data", lab.at("test.npz"), *DATA_OPTIONS, "--out",
                          bad / "plain" / "out", INSECURE)  # fmt: skip
        ran.refused("SYSTEM", 1, str(bad / "plain"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_out_not_writable(self, lab: Lab, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        ran = lab.cli("commit-data", lab.at("test.npz"), *DATA_OPTIONS, "--out", tmp_path / "out",
                      INSECURE)  # fmt: skip
        ran.refused("SYSTEM", 1, "Permission denied", str(tmp_path))


COMPILE = "compile {%s}/%s --testset {lab}/evaluator/testset.json --out {bad}/out"
COMPARED = COMPILE % ("lab", "model.onnx") + " --data {lab}/train.npz"


class TestCompile:
    @over([
        Refusal(COMPILE % ("bad", "Sigmoid.onnx"), "UNSUPPORTED_OPERATOR", 2,
                ("'squash'", "Sigmoid", "use Relu between layers")),
        Refusal(COMPILE % ("bad", "Fancy.onnx"), "UNSUPPORTED_OPERATOR", 2,
                ("'squash'", "Fancy", "use only Add")),
        Refusal(COMPILE % ("bad", "dynamic.onnx"), "DYNAMIC_SHAPE", 2, ("dimension 1", "width")),
        Refusal(COMPILE % ("bad", "nan.onnx"), "NOT_FINITE", 2, ("'w'",)),
        Refusal(COMPILE % ("bad", "empty.onnx"), "MODEL_FORMAT", 2),
        Refusal(COMPILE % ("bad", "cut.onnx"), "MODEL_FORMAT", 2, ("cut.onnx",)),
        Refusal(COMPILE % ("bad", "garbage.onnx"), "MODEL_FORMAT", 2, ("garbage.onnx",)),
        Refusal(COMPILE % ("bad", "missing.onnx"), "MISSING_ARTEFACT", 4, ("missing.onnx",)),
        Refusal(COMPILE % ("bad", "folder"), "MISSING_ARTEFACT", 4, ("is a folder",)),
        Refusal(COMPILE % ("bad", "narrow.onnx"), "SHAPE_MISMATCH", 2,
                ("feature shape", "(4,)", "(5,)")),
        Refusal(COMPILE % ("bad", "two.onnx"), "SHAPE_MISMATCH", 2,
                ("number of classes", "has 3", "2")),
        Refusal(COMPILE % ("bad", "deep.onnx") + " --weight-bits 12", "WOULD_OVERFLOW", 2,
                ("dense", "bits and there are")),
        Refusal(COMPILE % ("bad", "large.onnx"), "WOULD_OVERFLOW", 2, ("'weights'",)),
        Refusal(COMPARED + " --weight-bits 2", "TOO_MANY_FLIPS", 2,
                ("of 60 predictions", "0.50%")),
        Refusal(COMPARED + " --max-flips abc", "USAGE", 2, ("4/5, 0.8 or 80%",)),
        Refusal(COMPARED + " --max-flips 1/0", "USAGE", 2, ("'1/0'",)),
        Refusal(COMPARED + " --weight-bits 1", "BAD_INPUT", 2, ("weights of 1",)),
        Refusal(COMPARED + " --memory 10M", "OUT_OF_MEMORY", 3, ("--memory",)),
        Refusal(COMPARED + " --memory 0", "USAGE", 2),
        Refusal(COMPARED + " --data {bad}/nan.npz", "NOT_FINITE", 2),
        Refusal(COMPARED + " --data {bad}/wide.npz", "SHAPE_MISMATCH", 2),
        Refusal(COMPARED + " --data {bad}/missing.npz", "MISSING_ARTEFACT", 4),
        Refusal(COMPARED + " --testset {bad}/missing.json", "MISSING_ARTEFACT", 4,
                ("manifest", "missing.json")),
        Refusal(COMPARED + " --testset {bad}/next/testset.json", "WRONG_VERSION", 4, ("99", "1")),
        Refusal(COMPARED + " --testset {lab}/alice/circuit.json", "CORRUPTED_ARTEFACT", 4,
                ("another kind",)),
        Refusal(COMPARED + " --testset {lab}/test.npz", "CORRUPTED_ARTEFACT", 4),
    ])  # fmt: skip
    def test_refused(self, lab: Lab, bad: Path, case: Refusal) -> None:
        case.check(lab, bad)

    def test_model_budget_of_nothing(self, lab: Lab, bad: Path) -> None:
        Refusal(COMPARED + " --model-budget 0", "USAGE", 2).check(lab, bad)

    def test_negative_flips(self, lab: Lab, bad: Path) -> None:
        Refusal(COMPARED + " --max-flips -1", "BAD_INPUT", 2, ("share",)).check(lab, bad)

    @pytest.mark.parametrize("text", ["1/20", "0.05", "5%", "5 %", "5e-2"])
    def test_a_ratio_in_any_form(self, lab: Lab, tmp_path: Path, text: str) -> None:
        lab.cli("compile", lab.at("model.onnx"), "--testset", lab.manifest, "--data",
                lab.at("train.npz"), "--max-flips", text, "--out", tmp_path).good()  # fmt: skip


MODEL = ("commit-model --circuit {lab}/alice/circuit.json --weights {lab}/alice/weights.secret "
         f"--out {{bad}}/out {INSECURE}")  # fmt: skip
ESTIMATE = "estimate --circuit {lab}/alice/circuit.json --testset {lab}/evaluator/testset.json"


class TestOtherCommands:
    def test_a_model_secret_is_never_replaced(self, lab: Lab) -> None:
        with untouched(lab.folder):
            lab.cli("commit-model", "--circuit", lab.at("alice", "circuit.json"), "--weights",
                    lab.at("alice", "weights.secret"), "--out", lab.at("alice"),
                    INSECURE).refused("BAD_INPUT", 2, "model.secret exists")  # fmt: skip

    @over([
        Refusal(MODEL + " --circuit {bad}/missing", "MISSING_ARTEFACT", 4, ("circuit file",)),
        Refusal(MODEL + " --circuit {bad}/next/circuit.json", "WRONG_VERSION", 4, ("99",)),
        Refusal(MODEL + " --circuit {lab}/evaluator/testset.json", "CORRUPTED_ARTEFACT", 4),
        Refusal(MODEL + " --weights {bad}/missing", "MISSING_ARTEFACT", 4, ("weights file",)),
        Refusal(MODEL + " --weights {bad}/next/weights.secret", "WRONG_VERSION", 4, ("99",)),
        Refusal(MODEL + " --weights {lab}/alice/model.secret", "CORRUPTED_ARTEFACT", 4,
                ("no weights file but zkpot-model-secret",)),
        Refusal(ESTIMATE + " --memory 10M", "OUT_OF_MEMORY", 3),
        Refusal(ESTIMATE + " --jobs 0", "BAD_INPUT", 2, ("at least one job",)),
        Refusal(ESTIMATE + " --circuit {bad}/next/circuit.json", "WRONG_VERSION", 4),
        Refusal("inspect {bad}/missing", "MISSING_ARTEFACT", 4),
        Refusal("inspect {bad}/folder", "MISSING_ARTEFACT", 4, ("is a folder",)),
        Refusal("inspect {bad}/next/bundle.zkpot", "WRONG_VERSION", 4, ("99",)),
        Refusal("inspect {bad}/next/model.json", "WRONG_VERSION", 4),
        Refusal("inspect {lab}/alice/model.secret", "CORRUPTED_ARTEFACT", 4, ("no public",)),
        Refusal("inspect {lab}/evaluator/testset.secret", "CORRUPTED_ARTEFACT", 4),
        Refusal("inspect {lab}/alice/identity.key", "CORRUPTED_ARTEFACT", 4),
        Refusal("srs check {bad}/missing", "SRS_MISSING", 5),
        Refusal("srs check {bad}/wide.npz", "SRS_INVALID", 5, ("not a KZG parameters file",)),
        Refusal("srs import {bad}/missing", "SRS_MISSING", 5),
        Refusal("srs import {home}/srs/k11-development.srs", "SRS_INSECURE", 5, ("forge",)),
        Refusal("srs fetch 40", "USAGE", 2, ("40",)),
        Refusal("srs develop ten", "USAGE", 2),
        Refusal("conjure", "USAGE", 2, ("No such command",)),
        Refusal("prove --wrong", "USAGE", 2, ("--wrong",)),
        Refusal("bench --suite other", "USAGE", 2, ("halo2",)),
        Refusal("bench --samples 0", "USAGE", 2),
    ])  # fmt: skip
    def test_refused(self, lab: Lab, bad: Path, case: Refusal) -> None:
        case.check(lab, bad)

    def test_a_model_secret_is_of_its_circuit(self, lab: Lab, bad: Path, tmp_path: Path) -> None:
        lab.cli("compile", lab.at("model.onnx"), "--testset", lab.manifest, "--weight-bits", "7",
                "--out", tmp_path / "seven").good()  # fmt: skip
        Refusal(MODEL + f" --weights {tmp_path}/seven/weights.secret", "SHAPE_MISMATCH", 2,
                ("another circuit",)).check(lab, bad)  # fmt: skip

    def test_import_of_a_file_no_ceremony_made(self, lab: Lab, tmp_path: Path) -> None:
        srs = lab.cli.home / "srs" / f"k{K}-development.srs"
        shutil.copy2(srs, tmp_path / "ppot.srs")  # without the marker
        with untouched(lab.cli.home):
            lab.cli("srs", "import", tmp_path / "ppot.srs").refused(
                "SRS_INVALID", 5, "no ceremony's"
            )

    def test_a_damaged_srs(self, lab: Lab, tmp_path: Path) -> None:
        srs = lab.cli.home / "srs" / f"k{K}-development.srs"
        broken = flipped(srs, tmp_path / "broken.srs", 4 + 64)
        lab.cli("srs", "check", broken).refused("SRS_INVALID", 5)
        words = (*lab.verify(), "--srs", broken, INSECURE)
        assert lab.cli(*words).status in (5, 6)
        cut = tmp_path / "cut.srs"
        cut.write_bytes(srs.read_bytes()[:-1])
        lab.cli("srs", "check", cut).refused("SRS_INVALID", 5)

    def test_demo_speaks_json(self, lab: Lab, bad: Path) -> None:
        Refusal("demo --dataset iris", "USAGE", 2, ("iris",)).check(lab, bad)

    @pytest.mark.parametrize("words", [(), ("ledger",), ("srs",)])
    def test_no_command_gives_help(self, cli: Cli, words: tuple[str, ...]) -> None:
        ran = cli(*words)
        assert "Commands:\n" in ran.out + ran.err
        assert "error [" not in ran.err

    def test_estimate_for_another_set(self, lab: Lab, bad: Path) -> None:
        Refusal(ESTIMATE + " --testset {bad}/large/testset.json", "SHAPE_MISMATCH", 2).check(
            lab, bad
        )


PROVE = (
    "prove --circuit {lab}/alice/circuit.json --testset {lab}/evaluator/testset.json "
    "--testset-secret {lab}/alice/testset.secret --model-secret {lab}/alice/model.secret "
    f"--submitter {{lab}}/alice/identity.key.pub --task {{task}} --origin {ORIGIN} "
    f"--out {{bad}}/new.zkpot {INSECURE}"
)


class TestProve:
    @over([
        Refusal(PROVE + " --memory 10M", "OUT_OF_MEMORY", 3, ("--memory",)),
        Refusal(PROVE + " --jobs 2 --memory 140M", "OUT_OF_MEMORY", 3, ("2 process",)),
        Refusal(PROVE + " --jobs 0", "BAD_INPUT", 2, ("not 0",)),
        Refusal(PROVE + " --circuit {bad}/missing", "MISSING_ARTEFACT", 4, ("circuit",)),
        Refusal(PROVE + " --testset {bad}/missing", "MISSING_ARTEFACT", 4, ("manifest",)),
        Refusal(PROVE + " --testset-secret {bad}/missing", "MISSING_ARTEFACT", 4, ("opening",)),
        Refusal(PROVE + " --model-secret {bad}/missing", "MISSING_ARTEFACT", 4, ("model",)),
        Refusal(PROVE + " --submitter {bad}/missing", "MISSING_ARTEFACT", 4),
        Refusal(PROVE + " --submitter {lab}/alice/identity.key", "BAD_INPUT", 2, ("public key",)),
        Refusal(PROVE + " --circuit {bad}/next/circuit.json", "WRONG_VERSION", 4),
        Refusal(PROVE + " --testset {bad}/next/testset.json", "WRONG_VERSION", 4),
        Refusal(PROVE + " --model-secret {bad}/next/model.secret", "WRONG_VERSION", 4),
        Refusal(PROVE + " --testset {bad}/large/testset.json", "SHAPE_MISMATCH", 2,
                ("not compiled for this test set", "shard size is 3")),
        Refusal(PROVE + " --srs {bad}/missing", "SRS_MISSING", 5),
        Refusal(PROVE + " --srs {bad}/wide.npz", "SRS_INVALID", 5),
        Refusal(PROVE + " --run-folder {bad}/plain", "SYSTEM", 1),
        Refusal(PROVE + " --out {bad}/plain/new.zkpot", "SYSTEM", 1),
    ])  # fmt: skip
    def test_refused(self, lab: Lab, bad: Path, case: Refusal) -> None:
        case.check(lab, bad)

    @over([
        Refusal(PROVE + " --testset {bad}/other/testset.json", "CORRUPTED_ARTEFACT", 4,
                ("opening belongs to manifest",)),
        Refusal(PROVE + " --testset-secret {bad}/other/testset.secret", "CORRUPTED_ARTEFACT", 4,
                ("opening belongs to manifest",)),
        Refusal(PROVE + " --testset-secret {lab}/alice/model.secret", "CORRUPTED_ARTEFACT", 4),
        Refusal(PROVE + " --model-secret {lab}/alice/weights.secret", "CORRUPTED_ARTEFACT", 4,
                ("zkpot-weights",)),
    ])  # fmt: skip
    def test_secrets_of_something_else(self, lab: Lab, bad: Path, case: Refusal) -> None:
        case.check(lab, bad)

    def test_nothing_is_left_by_a_refusal(self, bad: Path) -> None:
        assert not (bad / "new.zkpot").exists()

    @pytest.mark.parametrize(
        ("option", "code"), [("--task first", "BAD_INPUT"), ("--round -1", "USAGE")]
    )
    def test_malformed_context(self, lab: Lab, bad: Path, option: str, code: str) -> None:
        Refusal(f"{PROVE} {option}", code, 2).check(lab, bad)

    def test_opening_budget(self, lab: Lab, tmp_path: Path) -> None:
        """One opening, then another context: refused before anything is spent."""
        cli, x = lab.cli, [[0, 0.5, 0.25, 0.125], [0.5, 0, 0.25, 0.75]]
        np.savez(tmp_path / "two.npz", x=x, y=[0, 1])
        cli("commit-data", tmp_path / "two.npz", "--k", "11", "--bits", "4", "--shard-size", "2",
            "--classes", "3", "--budget", "1", "--out", tmp_path, INSECURE).good()  # fmt: skip
        cli("compile", lab.at("model.onnx"), "--testset", tmp_path / "testset.json",
            "--model-budget", "1", "--out", tmp_path).good()  # fmt: skip
        cli("commit-model", "--circuit", tmp_path / "circuit.json", "--weights",
            tmp_path / "weights.secret", "--out", tmp_path, INSECURE).good()  # fmt: skip

        def prove(task: str, out: str, model: str = "") -> list[str]:
            return lab.prove(tmp_path / out, circuit=tmp_path / "circuit.json",
                             testset=tmp_path / "testset.json",
                             testset_secret=tmp_path / "testset.secret",
                             model_secret=tmp_path / model / "model.secret", task=task)  # fmt: skip

        cli(*prove(NOTHING, "a"), INSECURE).good()
        before = (tmp_path / "testset.secret.openings").read_bytes()
        cli(*prove("6d" * 32, "b"), INSECURE).refused(
            "OPENING_BUDGET_SPENT", 3, "the model", "1 of 1"
        )
        # Another commitment to the model has openings of its own; the set has none.
        cli("commit-model", "--circuit", tmp_path / "circuit.json", "--weights",
            tmp_path / "weights.secret", "--out", tmp_path / "new", INSECURE).good()  # fmt: skip
        cli(*prove("6d" * 32, "b", "new"), INSECURE).refused(
            "OPENING_BUDGET_SPENT", 3, "shard 0", "1 of 1"
        )
        assert not (tmp_path / "b").exists()
        assert (tmp_path / "testset.secret.openings").read_bytes() == before
        # The finished proof is still to be had.
        assert cli(*prove(NOTHING, "a"), INSECURE, "--json").good().json["resumed"] == 1


VERIFY = (
    "verify {bundle} --testset {lab}/evaluator/testset.json --circuit {lab}/alice/circuit.json "
    f"--submitter {{lab}}/alice/identity.key.pub --task {{task}} --origin {ORIGIN} {INSECURE}"
)


class TestVerify:
    @over([
        Refusal(VERIFY.replace("{bundle}", "{bad}/missing"), "MISSING_ARTEFACT", 4, ("bundle",)),
        Refusal(VERIFY.replace("{bundle}", "{bad}/folder"), "MISSING_ARTEFACT", 4, ("folder",)),
        Refusal(VERIFY + " --testset {bad}/missing", "MISSING_ARTEFACT", 4),
        Refusal(VERIFY + " --testset {bad}/next/testset.json", "WRONG_VERSION", 4),
        Refusal(VERIFY + " --submitter nobody", "MISSING_ARTEFACT", 4),
        Refusal(VERIFY + " --srs {bad}/missing", "SRS_MISSING", 5),
        Refusal(VERIFY + " --srs {bad}/wide.npz", "SRS_INVALID", 5),
    ])  # fmt: skip
    def test_refused(self, lab: Lab, bad: Path, case: Refusal) -> None:
        case.check(lab, bad)

    @pytest.mark.parametrize(
        ("options", "code", "check"),
        [
            ({"task": NOTHING}, "WRONG_CONTEXT", "context"),
            ({"round": "1"}, "WRONG_CONTEXT", "context"),
            ({"origin": "other.example/ledger"}, "WRONG_CONTEXT", "context"),
            ({"submitter": "{lab}/bob/identity.key.pub"}, "WRONG_CONTEXT", "context"),
            ({"circuit": NOTHING}, "PROOF_REJECTED", "circuit"),
            ({"model": NOTHING}, "PROOF_REJECTED", "model"),
            ({"testset": "{bad}/other/testset.json"}, "PROOF_REJECTED", "test set"),
        ],
    )
    def test_about_something_else(
        self, lab: Lab, bad: Path, options: dict[str, str], code: str, check: str
    ) -> None:
        given = {k: v.format(lab=lab.folder, bad=bad) for k, v in options.items()}
        with untouched(lab.folder):
            ran = lab.cli(*lab.verify(**given), INSECURE).refused(code, 6, f"{check}:")
        assert "accepted" not in ran.out
        assert ran.out.splitlines()[-1].startswith(f"  FAIL {check} ")

    def test_a_rejection_is_one_json_object(self, lab: Lab) -> None:
        ran = lab.cli(*lab.verify(task=NOTHING), INSECURE, "--json").refused("WRONG_CONTEXT", 6)
        assert ran.json["accepted"] is False

    def test_a_circuit_file_that_is_missing(self, lab: Lab, bad: Path) -> None:
        ran = lab.cli(*lab.verify(circuit=bad / "missing.json"), INSECURE)
        assert ran.status in (2, 4)

    def test_the_model_as_a_file(self, lab: Lab) -> None:
        lab.cli(*lab.verify(model=lab.at("alice", "model.json")), INSECURE,
                "--verifier", "fast").good()  # fmt: skip

    def test_without_a_circuit_it_warns(self, lab: Lab) -> None:
        words = lab.verify()
        at = words.index("--circuit")
        ran = lab.cli(*words[:at], *words[at + 2 :], INSECURE, "--verifier", "fast").good()
        assert "the architecture is the prover's choice" in ran.err

    @pytest.mark.parametrize(
        ("change", "check"),
        [
            (lambda s: {"correct": s.correct + 1, "shard_correct": (*s.shard_correct[:-1],
                        s.shard_correct[-1] + 1)}, "ezkl"),
            (lambda s: {"correct": s.correct - 1, "shard_correct": (s.shard_correct[0] - 1,
                        *s.shard_correct[1:])}, "ezkl"),
            (lambda s: {"model": NOTHING}, "model"),
            (lambda s: {"testset": NOTHING}, "test set"),
            (lambda s: {"circuit": NOTHING}, "circuit"),
            (lambda s: {"context": NOTHING}, "context"),
        ],
        ids=["raised", "lowered", "model", "testset", "circuit", "context"],
    )  # fmt: skip
    def test_a_tampered_statement(
        self, lab: Lab, tmp_path: Path, change: Callable[..., dict[str, object]], check: str
    ) -> None:
        honest = Bundle.load(lab.bundle)
        statement = replace(honest.statement, **change(honest.statement))
        forged = tmp_path / "forged.zkpot"
        forged.write_bytes(replace(honest, statement=statement).encode())
        ran = lab.cli(*lab.verify(forged), INSECURE)
        assert ran.status == 6
        assert ran.error[1].startswith(f"{check}: ")

    def test_tampered_proofs(self, lab: Lab, tmp_path: Path) -> None:
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

    def test_another_version(self, lab: Lab, bad: Path) -> None:
        ran = lab.cli(*lab.verify(bad / "next" / "bundle.zkpot"), INSECURE)
        ran.refused("PROOF_REJECTED", 6, "format:", "99")


class TestInsecure:
    """Without the flag no command that takes it works with a development SRS."""

    @pytest.mark.parametrize(
        "words",
        [
            COMMIT % "wide.npz",
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


def positions(size: int, count: int = 7) -> list[int]:
    return [round(at * (size - 1) / (count - 1)) for at in range(count)]


class TestDamage:
    """A bit that flips in a file is found by whoever uses the file next."""

    def refused(self, lab: Lab, words: list[str], what: str) -> None:
        ran = lab.cli(*words, INSECURE)
        assert ran.status in (2, 4, 6), f"{what}: {ran.out}"
        assert ran.error[0] not in ("BUG", "SYSTEM", "USAGE"), what
        assert "Traceback" not in ran.err

    @pytest.mark.parametrize(
        ("name", "option"),
        [
            ("evaluator/testset.json", "testset"),
            ("alice/testset.secret", "testset_secret"),
            ("alice/model.secret", "model_secret"),
        ],
    )
    def test_what_is_proven_with(self, lab: Lab, tmp_path: Path, name: str, option: str) -> None:
        path = lab.at(*name.split("/"))
        for at in positions(path.stat().st_size):
            damaged = flipped(path, tmp_path / "damaged", at)
            self.refused(lab, lab.prove(tmp_path / "bundle", **{option: damaged}), f"{name}[{at}]")
        assert not (tmp_path / "bundle").exists()
        assert not list(tmp_path.glob("damaged.openings"))

    @pytest.mark.parametrize("name", ["bundle.zkpot", "circuit.json"])
    def test_what_is_verified(self, lab: Lab, tmp_path: Path, name: str) -> None:
        path = lab.at("alice", name)
        for at in positions(path.stat().st_size):
            damaged = flipped(path, tmp_path / "damaged", at)
            words = (lab.verify(damaged) if path == lab.bundle
                     else lab.verify(circuit=damaged))  # fmt: skip
            self.refused(lab, words, f"{name}[{at}]")

    def test_the_counter_of_openings(self, lab: Lab, tmp_path: Path) -> None:
        """Damaged, it must not count as nothing opened."""
        for name in ("testset.secret", "model.secret"):
            shutil.copy2(lab.at("alice", name), tmp_path)
            shutil.copy2(lab.at("alice", f"{name}.openings"), tmp_path)
        counter = tmp_path / "testset.secret.openings"
        counter.write_bytes(counter.read_bytes()[:-2])
        words = lab.prove(tmp_path / "b", testset_secret=tmp_path / "testset.secret",
                          model_secret=tmp_path / "model.secret", task=NOTHING)  # fmt: skip
        lab.cli(*words, INSECURE).refused("CORRUPTED_ARTEFACT", 4, "openings")

    def test_weights(self, lab: Lab, tmp_path: Path) -> None:
        path = lab.at("alice", "weights.secret")
        damaged = tmp_path / "weights.secret"
        values = json.loads(path.read_bytes())["values"]
        other = ("B" if values[0] == "A" else "A") + values[1:]
        recode(path, damaged, values=other)
        words = ["commit-model", "--circuit", str(lab.at("alice", "circuit.json")),
                 "--weights", str(damaged), "--out", str(tmp_path / "out")]  # fmt: skip
        self.refused(lab, words, "values")
