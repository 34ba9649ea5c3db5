"""Bad input: a named error, a documented exit status, one line, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_lab import (
    CLASSES,
    ORIGIN,
    SAMPLES,
    SUMCHECK,
    Cli,
    Lab,
    Refusal,
    dense,
    flipped,
    over,
    recode,
    recount,
    untouched,
    write_onnx,
)
from onnx import helper, numpy_helper

from circuits.bundle import Bundle
from circuits.sumcheck.wellformed import WellFormed

NOTHING = "5c" * 32
DATA = SUMCHECK.commit_data


@pytest.fixture(scope="module")
def lab(sumcheck_lab: Lab) -> Lab:
    return sumcheck_lab


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
    np.savez(folder / "grouped.npz", x=fine, y=[0, 1], group=[0, 1])
    np.savez(folder / "far.npz", x=fine, y=[0, 1], group=[0, 999])
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
    alice = lab.at("alice")
    for path in (alice / "circuit.json", alice / "model.json", alice / "model.secret",
                 alice / "weights.secret", lab.manifest, lab.bundle):  # fmt: skip
        recode(path, folder / "next" / path.name, version=99)
    # A set of the same shape with other salts, and all that goes with it.
    lab.cli("commit-data", lab.at("test.npz"), *DATA, "--out", folder / "other").good()
    lab.cli(
        "commit-data", lab.at("test.npz"), "--shard-size", "8", "--budget", "4",
        "--classes", "3", "--out", folder / "large",
    ).good()  # fmt: skip
    return folder


COMMIT = f"commit-data {{bad}}/%s {' '.join(DATA)} --out {{bad}}/out"


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
        Refusal("commit-data nosuch:load --out {bad}/out", "DATA_FORMAT", 2,
                ("No module named 'nosuch'",)),
        Refusal("commit-data json:loads --out {bad}/out", "DATA_FORMAT", 2,
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
        Refusal(COMMIT % "wide.npz" + " --shard-size 3", "BAD_INPUT", 2, ("power of two", "3")),
        Refusal(COMMIT % "wide.npz" + " --shard-size 1048576", "BAD_INPUT", 2, ("no profile",)),
        Refusal(COMMIT % "wide.npz" + " --budget 4000", "BAD_INPUT", 2, ("4000 proofs",)),
        Refusal(COMMIT % "wide.npz" + " --memory 10M", "OUT_OF_MEMORY", 3, ("10 MB",)),
        Refusal(COMMIT % "wide.npz" + " --bits 30", "WOULD_OVERFLOW", 2, ("table",)),
        Refusal(COMMIT % "wide.npz" + " --backend plonk", "USAGE", 2, ("plonk",)),
        Refusal(COMMIT % "grouped.npz", "BAD_INPUT", 2, ("group 0 has 1 samples in shard 0",)),
        Refusal(COMMIT % "far.npz", "DATA_FORMAT", 2, ("group of row 1 is 999",)),
        Refusal(COMMIT % "wide.npz" + " --memory lots", "USAGE", 2, ("8G or 500M",)),
        Refusal("commit-data", "USAGE", 2, ("Missing argument 'DATA'",)),
        Refusal("commit-data {bad}/wide.npz", "USAGE", 2, ("--out",)),
    ])  # fmt: skip
    def test_refused(self, lab: Lab, bad: Path, case: Refusal) -> None:
        case.check(lab, bad)

    def test_a_shard_of_nothing(self, lab: Lab, tmp_path: Path) -> None:
        lab.cli("commit-data", lab.at("test.npz"), *DATA, "--shard-size", "0", "--out",
                tmp_path).refused("USAGE", 2)  # fmt: skip

    def test_a_secret_is_never_replaced(self, lab: Lab, tmp_path: Path) -> None:
        words = ("commit-data", lab.at("test.npz"), *DATA, "--out", tmp_path)
        lab.cli(*words).good()
        with untouched(tmp_path):
            lab.cli(*words).refused("BAD_INPUT", 2, "testset.secret exists", "--out")

    def test_out_under_a_file(self, lab: Lab, bad: Path) -> None:
        with untouched(bad):
            ran = lab.cli("commit-data", lab.at("test.npz"), *DATA, "--out",
                          bad / "plain" / "out")  # fmt: skip
        ran.refused("SYSTEM", 1, str(bad / "plain"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_out_not_writable(self, lab: Lab, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        ran = lab.cli("commit-data", lab.at("test.npz"), *DATA, "--out", tmp_path / "out")
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
        Refusal(COMPILE % ("bad", "deep.onnx") + " --activation-bits 24", "WOULD_OVERFLOW", 2,
                ("bits and there are",)),
        Refusal(COMPILE % ("lab", "model.onnx") + " --backend halo2", "SHAPE_MISMATCH", 2,
                ("committed for sumcheck, not for halo2",)),
        Refusal(COMPILE % ("lab", "model.onnx") + " --groups", "CORRUPTED_ARTEFACT", 4,
                ("the test set has none",)),
        Refusal(COMPILE % ("lab", "model.onnx") + " --model-budget 5", "BAD_INPUT", 2,
                ("--budget to commit-model",)),
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
        Refusal(COMPARED + " --testset {bad}/next/testset.json", "WRONG_VERSION", 4, ("99", "2")),
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
         "--out {bad}/out")  # fmt: skip
ESTIMATE = "estimate --circuit {lab}/alice/circuit.json --testset {lab}/evaluator/testset.json"


class TestOtherCommands:
    def test_a_model_secret_is_never_replaced(self, lab: Lab) -> None:
        with untouched(lab.folder):
            words = ("--circuit", lab.at("alice", "circuit.json"), "--weights",
                     lab.at("alice", "weights.secret"), "--out", lab.at("alice"))  # fmt: skip
            lab.cli("commit-model", *words).refused("BAD_INPUT", 2, "model.secret exists")

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
    "--out {bad}/new.zkpot"
)


class TestProve:
    @over([
        Refusal(PROVE + " --memory 10M", "OUT_OF_MEMORY", 3, ("--memory",)),
        Refusal(PROVE + " --jobs 2 --memory 400M", "OUT_OF_MEMORY", 3, ("2 shard",)),
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
                ("not compiled for this test set", "shard size is 4")),
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
        cli("commit-data", tmp_path / "two.npz", "--bits", "4", "--classes", "3", "--budget", "1",
            "--out", tmp_path).good()  # fmt: skip
        cli("compile", lab.at("model.onnx"), "--testset", tmp_path / "testset.json",
            "--out", tmp_path).good()  # fmt: skip
        commit = ("commit-model", "--circuit", tmp_path / "circuit.json", "--weights",
                  tmp_path / "weights.secret", "--budget", "1", "--out")  # fmt: skip
        cli(*commit, tmp_path).good()

        def prove(task: str, out: str, model: str = "") -> list[str]:
            return lab.prove(tmp_path / out, circuit=tmp_path / "circuit.json",
                             testset=tmp_path / "testset.json",
                             testset_secret=tmp_path / "testset.secret",
                             model_secret=tmp_path / model / "model.secret", task=task)  # fmt: skip

        cli(*prove(NOTHING, "a")).good()
        before = (tmp_path / "testset.secret.openings").read_bytes()
        cli(*prove("6d" * 32, "b")).refused("OPENING_BUDGET_SPENT", 3, "the model", "1 of 1")
        # Another commitment to the model has openings of its own; the set has none.
        cli(*commit, tmp_path / "new").good()
        cli(*prove("6d" * 32, "b", "new")).refused("OPENING_BUDGET_SPENT", 3, "shard 0", "1 of 1")
        assert not (tmp_path / "b").exists()
        assert (tmp_path / "testset.secret.openings").read_bytes() == before
        # The finished proof is still to be had.
        assert cli(*prove(NOTHING, "a"), "--json").good().json["resumed"] == 1


VERIFY = (
    "verify {bundle} --testset {lab}/evaluator/testset.json --circuit {lab}/alice/circuit.json "
    f"--submitter {{lab}}/alice/identity.key.pub --task {{task}} --origin {ORIGIN}"
)


class TestVerify:
    @over([
        Refusal(VERIFY.replace("{bundle}", "{bad}/missing"), "MISSING_ARTEFACT", 4, ("bundle",)),
        Refusal(VERIFY.replace("{bundle}", "{bad}/folder"), "MISSING_ARTEFACT", 4, ("folder",)),
        Refusal(VERIFY + " --testset {bad}/missing", "MISSING_ARTEFACT", 4),
        Refusal(VERIFY + " --testset {bad}/next/testset.json", "WRONG_VERSION", 4),
        Refusal(VERIFY + " --submitter nobody", "MISSING_ARTEFACT", 4),
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
            ran = lab.cli(*lab.verify(**given)).refused(code, 6, f"{check}:")
        assert "accepted" not in ran.out
        assert ran.out.splitlines()[-1].startswith(f"  FAIL {check} ")

    def test_a_rejection_is_one_json_object(self, lab: Lab) -> None:
        ran = lab.cli(*lab.verify(task=NOTHING), "--json").refused("WRONG_CONTEXT", 6)
        assert ran.json["accepted"] is False

    def test_a_circuit_file_that_is_missing(self, lab: Lab, bad: Path) -> None:
        ran = lab.cli(*lab.verify(circuit=bad / "missing.json"))
        assert ran.status in (2, 4)

    def test_the_model_as_a_file(self, lab: Lab) -> None:
        lab.cli(*lab.verify(model=lab.at("alice", "model.json")),
                "--verifier", "fast").good()  # fmt: skip

    def test_without_a_circuit_it_warns(self, lab: Lab) -> None:
        words = lab.verify()
        at = words.index("--circuit")
        ran = lab.cli(*words[:at], *words[at + 2 :], "--verifier", "fast").good()
        assert "the architecture is the prover's choice" in ran.err

    @pytest.mark.parametrize(
        ("change", "check"),
        [
            ({"model": NOTHING}, "model"), ({"testset": NOTHING}, "test set"),
            ({"circuit": NOTHING}, "circuit"), ({"context": NOTHING}, "context"),
            ({"backend": "halo2"}, "format"), ({"samples": SAMPLES + 1}, "test set"),
        ],
    )  # fmt: skip
    def test_a_tampered_statement(
        self, lab: Lab, tmp_path: Path, change: dict[str, object], check: str
    ) -> None:
        honest = Bundle.load(lab.bundle)
        forged = tmp_path / "forged.zkpot"
        forged.write_bytes(replace(honest, statement=replace(honest.statement, **change)).encode())
        ran = lab.cli(*lab.verify(forged))
        assert ran.status == 6
        assert ran.error[1].startswith(f"{check}: ")

    @pytest.mark.parametrize("by", [1, -1])
    @pytest.mark.parametrize("verifier", ["fast", "plain"])
    def test_a_tampered_count(self, lab: Lab, tmp_path: Path, by: int, verifier: str) -> None:
        forged = tmp_path / "forged.zkpot"
        forged.write_bytes(recount(Bundle.load(lab.bundle), by).encode())
        check = {"fast": "sumcheck", "plain": "plain"}[verifier]
        lab.cli(*lab.verify(forged), "--verifier", verifier).refused(
            "PROOF_REJECTED", 6, f"{check}: shard"
        )

    def test_tampered_proofs(self, lab: Lab, tmp_path: Path) -> None:
        honest = Bundle.load(lab.bundle)
        first, second = honest.proofs
        for proofs, check in (
            ((second, first), "sumcheck: shard 0"),
            ((first, first), "sumcheck: shard 1"),
            ((first,), "shards: shard 1 is missing"),
            ((first, second, second), "shards:"),
            ((first, second + b"\0"), "sumcheck: shard 1"),
            ((first, second[:-1] + bytes([second[-1] ^ 1])), "sumcheck: shard 1"),
        ):
            forged = tmp_path / "forged.zkpot"
            forged.write_bytes(replace(honest, proofs=proofs).encode())
            lab.cli(*lab.verify(forged)).refused("PROOF_REJECTED", 6, check)

    def test_well_formed(self, lab: Lab, bad: Path, tmp_path: Path) -> None:
        """A proof for a set of which nobody knows that it is one says nothing."""
        missing = lab.cli(*lab.verify(well_formed=tmp_path / "none"))
        missing.refused("MISSING_ARTEFACT", 4, "well-formed")
        proof = lab.manifest.with_suffix(".wellformed")
        other = bad / "other" / "testset.wellformed"
        lab.cli(*lab.verify(well_formed=other)).refused(
            "PROOF_REJECTED", 6, "well-formed:", "another test set"
        )
        found = WellFormed.load(proof)
        for proofs in (found.proofs[::-1], (found.proofs[0], bytes(len(found.proofs[1])))):
            forged = tmp_path / "forged"
            replace(found, proofs=proofs).save(forged)
            lab.cli(*lab.verify(well_formed=forged)).refused(
                "PROOF_REJECTED", 6, "well-formed:", "shard"
            )

    def test_another_version(self, lab: Lab, bad: Path) -> None:
        ran = lab.cli(*lab.verify(bad / "next" / "bundle.zkpot"))
        ran.refused("PROOF_REJECTED", 6, "format:", "99")


def positions(size: int, count: int = 7) -> list[int]:
    return [round(at * (size - 1) / (count - 1)) for at in range(count)]


class TestDamage:
    """A bit that flips in a file is found by whoever uses the file next."""

    def refused(self, lab: Lab, words: list[str], what: str) -> None:
        ran = lab.cli(*words)
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
        lab.cli(*words).refused("CORRUPTED_ARTEFACT", 4, "openings")

    def test_weights(self, lab: Lab, tmp_path: Path) -> None:
        path = lab.at("alice", "weights.secret")
        damaged = tmp_path / "weights.secret"
        values = json.loads(path.read_bytes())["values"]
        other = ("B" if values[0] == "A" else "A") + values[1:]
        recode(path, damaged, values=other)
        words = ["commit-model", "--circuit", str(lab.at("alice", "circuit.json")),
                 "--weights", str(damaged), "--out", str(tmp_path / "out")]  # fmt: skip
        self.refused(lab, words, "values")
