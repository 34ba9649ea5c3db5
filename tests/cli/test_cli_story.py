"""The main job from the first command to the last, as a user would type it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_lab import BUDGET, CLASSES, ORIGIN, SAMPLES, SECRET_NAMES, Cli, K, Lab, untouched

from circuits.artefact_files import load_model_secret
from circuits.halo2.model import ModelOpening
from circuits.integer import count_correct, quantise_input, run
from circuits.testset import Manifest, Opening
from circuits.weights_file import load_weights


def integer_count(lab: Lab, who: str = "alice") -> int:
    architecture, weights = load_weights(lab.at(who, "weights.secret"))
    with np.load(lab.at("test.npz")) as data:
        logits = run(architecture, weights, quantise_input(architecture, data["x"]))
        ties = {"halo2": "strict", "sumcheck": "first"}[lab.setting.backend]
        return count_correct(logits, data["y"], ties)


@pytest.fixture(scope="module")
def count(lab: Lab) -> int:
    found = integer_count(lab)
    assert 0 < found < SAMPLES, "a set of which some are right and some wrong says more"
    return found


class TestText:
    def test_commit_data(self, lab: Lab) -> None:
        manifest = Manifest.load(lab.manifest)
        out = lab.runs["commit-data"].out
        (part,) = manifest.parts
        assert f"committed {SAMPLES} samples of {CLASSES} classes" in out
        assert (f"{part.backend}: 2 shards of {lab.setting.shard}, {BUDGET} proofs may be "
                f"published ({part.size})") in out  # fmt: skip
        assert manifest.testset_id in out
        assert str(lab.manifest) in out
        assert ("development SRS" in lab.runs["commit-data"].err) == bool(lab.insecure)
        assert ("testset.wellformed" in out) == (part.backend == "sumcheck")

    def test_compile_reports_three_accuracies(self, lab: Lab) -> None:
        out = lab.runs["compile alice"].out
        assert "accuracy on 60 samples: float 100.00%, integer" in out
        assert "predictions flipped" in out
        assert ("estimate: keys" in out) == (lab.setting.backend == "halo2")
        assert re.search(r"estimate: .*2 proofs of \d+\.\d s; .* memory, .*proofs \d", out)

    def test_compile_without_data_says_that_nothing_was_compared(self, lab: Lab) -> None:
        assert "accuracy and flipped predictions were not measured" in lab.runs["compile bob"].err
        assert "accuracy" not in lab.runs["compile bob"].out

    def test_commit_model(self, lab: Lab) -> None:
        out = lab.runs["commit-model alice"].out
        budget = {"halo2": 24, "sumcheck": 6}[lab.setting.backend]
        assert f"{budget} shard proofs may be published" in out
        assert load_model_secret(lab.at("alice", "model.secret")).model in out

    def test_proven_count_is_the_integer_networks(self, lab: Lab, count: int) -> None:
        share = f"{count} of {SAMPLES} right ({count / SAMPLES:.2%})"
        assert f"proved: {share}" in lab.runs["prove"].out
        assert f"accepted: {share}" in lab.runs["verify"].out
        assert f"{count} of {SAMPLES} verified; credited" in lab.runs["submit"].out

    def test_verify_lists_every_check(self, lab: Lab) -> None:
        names = re.findall(r"^  ok   (\w[\w -]*?)  ", lab.runs["verify"].out, re.MULTILINE)
        assert names == ["format", "circuit", "test set", "context", *lab.setting.checks]
        assert "FAIL" not in lab.runs["verify"].out
        assert ("development SRS" in lab.runs["verify"].err) == bool(lab.insecure)

    def test_ledger(self, lab: Lab) -> None:
        # 4 of 5 is six tenths of the way from a half to all.
        assert "credited 600" in lab.runs["submit"].out
        assert re.search(rf"600\s+alice\s+{lab.public('alice')}", lab.runs["balance"].out)
        assert "bob" not in lab.runs["balance"].out
        assert "clean: 12 entries replayed, 1 proofs verified again" in lab.runs["audit"].out
        assert "good: entry 9 is the testset.release" in lab.runs["check-receipt"].out
        shown = lab.runs["show"].out.splitlines()
        assert len(shown) == 12
        assert "credit" in shown[-1]
        assert "the rules" in shown[-1]

    def test_progress_goes_to_stderr(self, lab: Lab) -> None:
        assert "shards 2/2" in lab.runs["prove"].err
        assert "shards 2/2" not in lab.runs["prove"].out


class TestJson:
    """--json holds what the text says, as one object, and nothing else is on stdout."""

    def test_commit_data(self, lab: Lab, tmp_path: Path) -> None:
        ran = lab.cli("commit-data", lab.at("test.npz"), *lab.setting.commit_data, "--out",
                      tmp_path, "--json", *lab.insecure).good()  # fmt: skip
        manifest = Manifest.load(tmp_path / "testset.json")
        sizes = {
            "halo2": {"k": K, "srs_insecure": True, "budget": BUDGET},
            "sumcheck": {"kappa": 11, "budget": BUDGET + 1},
        }[lab.setting.backend]
        shards = {"shards": 2, "shard_size": lab.setting.shard, "proofs": BUDGET}
        proof = tmp_path / "testset.wellformed"
        assert ran.json == {
            "testset": manifest.testset_id,
            "manifest": str(tmp_path / "testset.json"),
            "well_formed": str(proof) if lab.setting.backend == "sumcheck" else None,
            "secret": str(tmp_path / "testset.secret"),
            "samples": SAMPLES,
            "parts": {lab.setting.backend: {**sizes, **shards}},
            "srs_insecure": bool(lab.insecure),
        }
        assert proof.exists() == (lab.setting.backend == "sumcheck")
        again = Manifest.load(lab.manifest)
        assert manifest.testset_id != again.testset_id, "salts must be fresh"

    def test_compile(self, lab: Lab, tmp_path: Path) -> None:
        found = lab.cli(
            "compile", lab.at("model.onnx"), "--testset", lab.manifest, *lab.setting.compiling,
            "--data", lab.at("train.npz"), "--max-flips", "1/20", "--out", tmp_path, "--json",
        ).good().json  # fmt: skip
        assert found["circuit"] in lab.runs["compile alice"].out
        assert found["backend"] == lab.setting.backend
        rows = {"halo2": f" of {1 << K:,} rows", "sumcheck": " rows of 2^11"}[found["backend"]]
        assert f"{found['rows']:,}{rows}" in lab.runs["compile alice"].out
        compared = found["comparison"]
        assert compared["samples"] == compared["float_correct"] == 60
        assert f"{compared['flips']} predictions flipped" in lab.runs["compile alice"].out
        right = compared["integer_correct"] / 60
        assert f"integer {right:.2%}" in lab.runs["compile alice"].out
        for name in ("circuit.json", "weights.secret"):
            written = (tmp_path / name).read_bytes()
            assert written == lab.at("alice", name).read_bytes(), "compiling is deterministic"

    def test_commit_model(self, lab: Lab, tmp_path: Path) -> None:
        found = lab.cli("commit-model", "--circuit", lab.at("alice", "circuit.json"), "--weights",
                        lab.at("alice", "weights.secret"), "--out", tmp_path, "--json",
                        *lab.insecure).good().json  # fmt: skip
        assert found["model"] == load_model_secret(tmp_path / "model.secret").model
        assert found["model"] not in lab.runs["commit-model alice"].out, "the commitment hides"
        assert found["srs_insecure"] is bool(lab.insecure)

    def test_prove_again_takes_everything_from_checkpoints(self, lab: Lab, count: int) -> None:
        before = lab.bundle.read_bytes()
        openings = lab.at("alice", "testset.secret.openings").read_bytes()
        found = lab.cli(*lab.prove(lab.bundle), *lab.insecure, "--json").good().json
        assert (found["proven"], found["resumed"]) == (0, 2)
        assert found["statement"]["correct"] == sum(found["statement"]["shard_correct"]) == count
        assert found["bytes"] == len(before)
        assert lab.bundle.read_bytes() == before
        assert lab.at("alice", "testset.secret.openings").read_bytes() == openings

    def test_verify(self, lab: Lab, count: int) -> None:
        words = (*lab.verify(), *lab.insecure, "--json", "--verifier")
        found = lab.cli(*words, "fast").good().json
        assert found["accepted"] is True
        assert found["srs_insecure"] is bool(lab.insecure)
        assert found["error"] is None
        assert found["statement"]["correct"] == count
        assert all(check["passed"] for check in found["checks"])
        fast, plain = lab.setting.checks[-2:]
        for which, names in (("fast", [fast]), ("plain", [plain]), ("both", [fast, plain])):
            made = [check["name"] for check in lab.cli(*words, which).good().json["checks"]]
            assert made == ["format", "circuit", "test set", "context",
                            *lab.setting.checks[:-2], *names]  # fmt: skip

    def test_readers(self, lab: Lab, tmp_path: Path) -> None:
        cli, book = lab.cli, lab.at("credited")
        assert cli("ledger", "balance", book, "--json").good().json == {
            "balances": {lab.public("alice"): 600},
            "bonds": [],
        }
        one = cli("ledger", "balance", book, f"{lab.key('bob')}.pub", "--json").good().json
        assert one["balances"] == {lab.public("bob"): 0}
        audited = cli("ledger", "audit", book, "--no-proofs", "--vkey", lab.vkey, "--json")
        assert audited.good().json["root"] in lab.runs["audit"].out
        assert audited.json["fault"] is None
        assert (audited.json["size"], audited.json["proofs"]) == (12, 0)
        shown = cli("ledger", "show", book, "--json").good().json
        assert [e["type"] for e in shown["entries"]][-3:] == [
            "testset.release", "proof.submit", "credit"
        ]  # fmt: skip
        assert shown["refusals"] == []
        for entry in shown["entries"]:
            assert entry["digest"] in lab.runs["show"].out
        receipt = tmp_path / "receipt"
        cli("ledger", "receipt", book, "10", "--out", receipt, "--json").good()
        checked = cli("ledger", "check-receipt", receipt, "--vkey", lab.vkey, "--json").good().json
        assert checked == {
            "index": 10, "type": "proof.submit", "digest": shown["entries"][10]["digest"]
        }  # fmt: skip

    def test_estimate(self, lab: Lab) -> None:
        words = ("estimate", "--circuit", lab.at("alice", "circuit.json"),
                 "--testset", lab.manifest)  # fmt: skip
        found = lab.cli(*words, "--json").good().json
        assert found["shards"] == 2
        assert f"2 shards of {lab.setting.shard} samples" in lab.cli(*words).good().out
        assert all(isinstance(value, int) for value in found.values())
        assert (found["key_bytes"] > 0) == (found["setup_milliseconds"] > 0) == bool(lab.insecure)
        assert lab.runs["prove"].out  # what it predicts is tested with the cost models

    def test_doctor(self, lab: Lab) -> None:
        facts = lab.cli("doctor", "--json").good().json
        assert facts["home"] == str(lab.cli.home)
        text = lab.cli("doctor").good()
        assert facts["ezkl"] in text.out
        assert facts["numba"] in text.out
        assert facts["speed_percent"] == {"halo2": 100, "sumcheck": 100}
        if lab.insecure:
            assert facts["srs"] == [f"k={K} development"]
            assert "no ceremony SRS" in text.err
        else:
            assert facts["srs"] == []
            assert text.err == "", "nobody needs an SRS who does not use halo2"

    def test_srs(self, halo2_lab: Lab) -> None:
        cli = halo2_lab.cli
        (listed,) = cli("srs", "list", "--json").good().json["files"]
        assert (listed["k"], listed["origin"]) == (K, "development")
        assert listed["digest"] in cli("srs", "list").good().out
        checked = cli("srs", "check", listed["path"], "--json").good()
        assert checked.json == listed

    @pytest.mark.parametrize("name", ["bundle", "circuit", "testset", "model", "wellformed"])
    def test_inspect(self, lab: Lab, name: str) -> None:
        path = {
            "bundle": lab.bundle,
            "circuit": lab.at("alice", "circuit.json"),
            "testset": lab.manifest,
            "model": lab.at("alice", "model.json"),
            "wellformed": lab.manifest.with_suffix(".wellformed"),
        }[name]
        if not path.exists():
            assert (name, lab.setting.backend) == ("wellformed", "halo2")
            return
        text, found = lab.cli("inspect", path).good(), lab.cli("inspect", path, "--json").good()
        assert json.loads(text.out) == found.json
        named = {
            "bundle": lambda f: (
                f["statement"]["correct"] == integer_count(lab) and f["verified"] is False
            ),
            "circuit": lambda f: f["digest"] in lab.runs["compile alice"].out,
            "testset": lambda f: f["testset"] in lab.runs["commit-data"].out,
            "model": lambda f: f["model"] in lab.runs["commit-model alice"].out,
            "wellformed": lambda f: len(f["commitments"]) == 2 and f["verified"] is False,
        }[name]
        assert named(found.json)


class TestQuiet:
    def test_silent_where_all_is_well(self, lab: Lab, tmp_path: Path) -> None:
        book = lab.at("credited")
        for words in (
            ("commit-data", lab.at("test.npz"), *lab.setting.commit_data, "--out", tmp_path,
             *lab.insecure),
            ("compile", lab.at("model.onnx"), "--testset", lab.manifest, "--out", tmp_path),
            ("commit-model", "--circuit", lab.at("alice", "circuit.json"), "--weights",
             lab.at("alice", "weights.secret"), "--out", tmp_path, *lab.insecure),
            (*lab.prove(lab.bundle), *lab.insecure),
            (*lab.verify(), *lab.insecure, "--verifier", "fast"),
            ("estimate", "--circuit", lab.at("alice", "circuit.json"), "--testset", lab.manifest),
            ("doctor",),
            ("srs", "list"),
            ("ledger", "show", book),
            ("ledger", "balance", book),
            ("ledger", "audit", book, "--no-proofs"),
        ):  # fmt: skip
            ran = lab.cli(*words, "--quiet").good()
            assert (ran.out, ran.err) == ("", ""), words

    def test_an_error_is_still_told(self, lab: Lab) -> None:
        ran = lab.cli("inspect", lab.at("nothing"), "-q")
        assert ran.out == ""
        assert len(ran.err.splitlines()) == 1
        ran.refused("MISSING_ARTEFACT", 4)


@pytest.fixture(scope="module")
def played(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    cli, folder = lab.cli, tmp_path_factory.mktemp("private")
    book = folder / "ledger"
    found: dict[str, Any] = {"book": book}

    def run(*words: str | Path) -> Any:
        return cli(*words, "--json").good().json

    found["init"] = run("ledger", "init", book, "--origin", ORIGIN, *lab.insecure)
    for who in ("evaluator", "alice"):
        run("ledger", "identity", book, "--key", lab.key(who), "--name", who)
    run("ledger", "data", book, "--key", lab.key("evaluator"), "--testset", lab.manifest)
    task = run("ledger", "task", book, "--key", book / "log.key", "--circuit",
               lab.at("alice", "circuit.json"), "--testset", lab.manifest, "--title", "private",
               "--prover", "evaluator", *lab.insecure)["task"]  # fmt: skip
    found["task"] = task
    run("ledger", "commit", book, "--key", lab.key("alice"), "--task", task,
        "--model", lab.at("alice", "model.json"))  # fmt: skip
    run("ledger", "release", book, "--key", lab.key("evaluator"), "--task", task)
    # Alice hands her model to the evaluator, whose files these are.
    shutil.copy2(lab.at("alice", "model.secret"), folder)
    shutil.copy2(lab.at("evaluator", "testset.secret"), folder)
    bundle = folder / "bundle.zkpot"
    found["prove"] = run(*lab.prove(bundle, task=task,
                                    testset_secret=folder / "testset.secret",
                                    model_secret=folder / "model.secret"),
                         *lab.insecure)  # fmt: skip
    found["submit"] = run(*lab.submit(book, bundle, task=task))
    return found


class TestEvaluatorProves:
    """The set is never handed out: the evaluator proves, under the contributor's name."""

    def test_credited(self, lab: Lab, played: dict[str, Any], count: int) -> None:
        assert played["prove"]["statement"]["correct"] == count
        assert played["submit"]["credited"] == played["submit"]["balance"] == 600
        balances = lab.cli("ledger", "balance", played["book"], "--json").good().json
        assert balances["balances"] == {lab.public("alice"): 600}
        lab.cli("ledger", "audit", played["book"], "--vkey", played["init"]["vkey"]).good()

    def test_the_set_is_not_opened(self, lab: Lab, played: dict[str, Any], tmp_path: Path) -> None:
        """A further task on the set is possible, which it is not once a set was handed out."""
        words = ("--circuit", lab.at("alice", "circuit.json"), "--testset", lab.manifest,
                 "--title", "next", *lab.insecure)  # fmt: skip
        private, opened = played["book"], lab.ledger("credited", tmp_path / "ledger")
        lab.cli("ledger", "task", private, "--key", private / "log.key", *words).good()
        with untouched(opened / "blobs"):
            lab.cli("ledger", "task", opened, "--key", opened / "log.key", *words).refused(
                "WRONG_PHASE", 7, "has been opened"
            )


class TestSecrets:
    def secret_files(self, lab: Lab) -> list[Path]:
        return [p for p in lab.folder.rglob("*") if p.name in SECRET_NAMES]

    def needles(self, lab: Lab) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for who in ("alice", "bob", "second"):
            secret = load_model_secret(lab.at(who, "model.secret"))
            values = secret.weights.flatten()
            found[f"weights of {who}"] = [
                base64.b64encode(values.astype("<i8").tobytes()),
                values.astype("<i8").tobytes(),
                ",".join(str(v) for v in values).encode(),
                ", ".join(str(v) for v in values).encode(),
            ]
            found[f"salts of {who}"] = (
                [form for salt in secret.salts for form in _forms(salt)]
                if isinstance(secret, ModelOpening)
                else [secret.seed, secret.seed.hex().encode()]
            )
        opening = Opening.load(lab.at("evaluator", "testset.secret"))
        for shard in range(2):
            rows = slice(shard * lab.setting.shard, (shard + 1) * lab.setting.shard)
            if lab.setting.backend == "halo2":
                secrets = opening.halo2.salts[shard]
                salts = [*secrets.features, *secrets.labels]
                found[f"salts of shard {shard}"] = [form for salt in salts for form in _forms(salt)]
            else:
                seed = opening.sumcheck.seeds[shard]
                found[f"salts of shard {shard}"] = [seed, seed.hex().encode()]
            features = [int(v) for v in opening.samples.features[rows].reshape(-1)]
            found[f"features of shard {shard}"] = [
                bytes(features),
                ",".join(map(str, features)).encode(),
                ", ".join(map(str, features)).encode(),
            ]
        for who in ("evaluator", "alice", "bob"):
            pem = lab.key(who).read_text().splitlines()[1]
            seed = base64.b64decode(pem)[-32:]
            found[f"key of {who}"] = [pem.encode(), seed, seed.hex().encode()]
        return found

    def test_files_are_private(self, lab: Lab) -> None:
        found = self.secret_files(lab)
        assert {p.name for p in found} == set(SECRET_NAMES)
        for path in found:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(lab.at("alice", "model.secret.run").stat().st_mode) == 0o700

    def test_nowhere_else(self, lab: Lab) -> None:
        private = {*self.secret_files(lab), *lab.folder.glob("*.npz"), *lab.folder.glob("*.onnx")}
        public = [p for p in lab.folder.rglob("*") if p.is_file() and p not in private]
        assert {"testset.json", "circuit.json", "model.json", "bundle.zkpot", "ledger.sqlite",
                "receipt.txt"} <= {p.name for p in public}  # fmt: skip
        texts = {str(p): p.read_bytes() for p in [*public, *_kept(lab.cli.home)]}
        texts["what was printed"] = "\n".join(lab.cli.transcript).encode()
        for name, forms in self.needles(lab).items():
            for place, content in texts.items():
                assert not any(form in content for form in forms), f"{name} in {place}"

    def test_the_search_would_find_them(self, lab: Lab) -> None:
        needles = self.needles(lab)
        for who, file in (("alice", "model.secret"), ("bob", "weights.secret")):
            content = lab.at(who, file).read_bytes()
            assert any(form in content for form in needles[f"weights of {who}"])
        content = lab.at("alice", "model.secret").read_bytes()
        assert any(form in content for form in needles["salts of alice"])
        content = lab.at("evaluator", "testset.secret").read_bytes()
        for shard in range(2):
            assert any(form in content for form in needles[f"salts of shard {shard}"])
        assert needles["key of bob"][0] in lab.key("bob").read_bytes()

    def test_no_witness_is_left(self, lab: Lab) -> None:
        assert not list(lab.folder.rglob(".witness-*"))
        assert not list(lab.folder.rglob("witness.json"))


def _forms(salt: int) -> list[bytes]:
    return [f"{salt:064x}".encode(), str(salt).encode(), salt.to_bytes(32, "big"),
            salt.to_bytes(32, "little")]  # fmt: skip


def _kept(home: Path) -> list[Path]:
    return [p for p in home.rglob("*") if p.is_file() and p.suffix not in (".key", ".srs")]


class TestEntries:
    """The installed command, in a process of its own."""

    def test_console_script(self, lab: Lab) -> None:
        script = Path(sys.executable).with_name("zkpot")
        if not script.exists():
            pytest.skip(f"{script} is absent: install the package")
        ran = subprocess.run([script, "inspect", lab.bundle, "--json"], capture_output=True,
                             text=True, env=lab.cli.environment(), check=True)  # fmt: skip
        assert json.loads(ran.stdout)["statement"]["samples"] == SAMPLES

    def test_status_reaches_the_shell(self, cli: Cli, tmp_path: Path) -> None:
        ran = cli.finished(cli.process("inspect", tmp_path / "nothing"))
        ran.refused("MISSING_ARTEFACT", 4)
        assert len(ran.err.splitlines()) == 1

    def test_data_by_entry_point_of_the_working_folder(self, lab: Lab, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text(
            "def load():\n    return [[0, 1], [1, 0]], [0, 1]\n", encoding="utf-8"
        )
        process = lab.cli.process("commit-data", "mine:load", "--backend", lab.setting.backend,
                                  *lab.setting.data, "--out", "set", "--json", *lab.insecure,
                                  cwd=tmp_path)  # fmt: skip
        found = lab.cli.finished(process).good().json
        assert found["samples"] == 2
        assert (tmp_path / "set" / "testset.json").exists()

    def test_every_command_has_help(self, cli: Cli) -> None:
        top = cli("--help").good().out
        for name in ("bench", "commit-data", "commit-model", "compile", "demo", "doctor",
                     "estimate", "inspect", "ledger", "prove", "srs", "verify"):  # fmt: skip
            assert f"  {name} " in top
            assert "Usage:" in cli(name, "--help").good().out
        assert cli("--version").good().out.startswith("zkpot, version ")


def test_ledger_database_holds_what_show_shows(lab: Lab) -> None:
    with sqlite3.connect(lab.at("credited", "ledger.sqlite")) as database:
        (rows,) = database.execute("SELECT count(*) FROM entries").fetchone()
    assert rows == len(lab.runs["show"].out.splitlines())
