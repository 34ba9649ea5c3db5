"""The whole story on bundled real data, told with the very commands a user would type."""

from __future__ import annotations

import resource
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from circuits.bundle import Bundle
from circuits.encoding import write_atomic
from circuits.errors import InputError, SrsError, SrsMissing, ZkpotError
from circuits.halo2 import srs as srs_files
from circuits.halo2.plan import DEFAULT_K
from circuits.statement import Context
from ledger import Ledger
from verifier.question import count
from zkpot import backends
from zkpot.training import DatasetName, train_classifier

Command = Callable[[list[str]], None]
"""Runs one ``zkpot`` command in this process; raises what it raises."""

_MARK = ".zkpot-demo"
ORIGIN = "demo.zkpot.example/ledger"
_FORMATS: dict[DatasetName, list[str]] = {
    # The grey levels of the digits are whole numbers from 0 to 16: five bits hold them exactly.
    "digits": ["--bits", "5"],
    "breast_cancer": ["--bits", "11"],
}
_WIDTHS = {"halo2": ["--weight-bits", "10"], "sumcheck": []}
_VERIFIERS = {"halo2": "keys are derived anew, then ezkl and py_ecc both check",
              "sumcheck": "the fast verifier and the plain one both check"}  # fmt: skip


class Demo:
    """Plays evaluator, contributor, validator, auditor and a cheat, each in a folder of its own.

    Parameters
    ----------
    folder : Path
        Where everything goes; replaced if it is an earlier demo's, refused if it is not.
    dataset : {"digits", "breast_cancer"}
        Which data to use.
    run : callable
        Runs a command.
    say : callable
        Writes a line.
    backend : {"sumcheck", "halo2"}
        Which proof system to use.
    """

    def __init__(
        self,
        folder: Path,
        dataset: DatasetName,
        run: Command,
        say: Callable[[str], None],
        backend: str = backends.DEFAULT,
    ) -> None:
        self.folder = folder
        self.dataset: DatasetName = dataset
        self.backend = backend
        self.run = run
        self.say = say
        self.began = time.monotonic()
        self.insecure: list[str] = []

    def play(self) -> dict[str, Any]:
        """Tell the story and return its figures; ZkpotError if a step does not go as it must."""
        self._prepare()
        if self.backend == "halo2":
            self._srs()
        self._commit()
        self._open_task()
        self._prove()
        self._credit()
        self._cheat()
        return self._summary()

    def _path(self, *parts: str) -> str:
        return str(self.folder.joinpath(*parts))

    def _step(self, title: str) -> None:
        self.say("")
        self.say(f"[{time.monotonic() - self.began:5.0f} s] {title}")

    def _zkpot(self, *words: str) -> None:
        self.say(f"$ zkpot {shlex.join(words)}")
        sys.stdout.flush()
        self.run(list(words))

    def _refused(self, *words: str) -> str:
        """Run a command that must fail; return its reason."""
        try:
            self._zkpot(*words)
        except ZkpotError as error:
            self.say(f"error [{error.code}]: {error.message}")
            return error.code
        raise ZkpotError("a forged bundle was accepted: please report this")

    def _prepare(self) -> None:
        if self.folder.exists():
            if not (self.folder / _MARK).exists():
                raise InputError(f"{self.folder} exists and is not a demo's: name another --out")
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        (self.folder / _MARK).write_text("made by `zkpot demo`; may be deleted\n")

    def _srs(self) -> None:
        try:
            srs_files.find(DEFAULT_K)
        except SrsError:
            self._step("No ceremony SRS is at hand, so a development one is used: whoever made it "
                       "can forge proofs. Every artefact below is marked with it.")  # fmt: skip
            self.insecure = ["--insecure-dev-srs"]
            try:
                srs_files.find(DEFAULT_K, allow_insecure=True)
            except SrsMissing:
                self._zkpot("srs", "develop", str(DEFAULT_K))

    def _commit(self) -> None:
        self._step(f"The contributor trains a network on {self.dataset} and exports it to ONNX.")
        trained = train_classifier(self.dataset, self.folder / "data")
        self.say(f"  {trained.description}, {trained.model}")
        # Everybody knows the architecture: an untrained network of the same shape.
        train_classifier(self.dataset, self.folder / "data", epochs=0, file_name="template.onnx")
        # The cheat trains too, but hardly.
        train_classifier(
            self.dataset, self.folder / "data", epochs=20, seed=1, file_name="cheat.onnx"
        )
        self._step("The evaluator commits the held-out test set; features and labels stay hidden.")
        self._zkpot("commit-data", str(trained.test), "--for", self._path("data", "template.onnx"),
                    "--backend", self.backend, *_FORMATS[self.dataset], *_WIDTHS[self.backend],
                    "--out", self._path("evaluator"), *self.insecure)  # fmt: skip
        for who, model in (("contributor", "model.onnx"), ("cheat", "cheat.onnx")):
            self._step(f"The {who} compiles and commits a model, without the test set.")
            self._compile(who, model)

    def _compile(self, who: str, model: str) -> None:
        self._zkpot("compile", self._path("data", model), "--testset", self._testset, "--data",
                    self._path("data", "train.npz"), *_WIDTHS[self.backend], "--max-flips", "2%",
                    "--out", self._path(who))  # fmt: skip
        self._zkpot("commit-model", "--circuit", self._path(who, "circuit.json"), "--weights",
                    self._path(who, "weights.secret"), "--out", self._path(who),
                    *self.insecure)  # fmt: skip

    @property
    def _testset(self) -> str:
        return self._path("evaluator", "testset.json")

    def _open_task(self) -> None:
        book = self._path("ledger")
        self._step("A ledger is created, everybody registers, and the host opens a task.")
        self._zkpot("ledger", "init", book, "--origin", ORIGIN, *self.insecure)
        host = self._path("ledger", "log.key")
        for who in ("evaluator", "contributor", "cheat"):
            self._zkpot("ledger", "keygen", self._key(who))
            self._zkpot("ledger", "identity", book, "--key", self._key(who), "--name", who)
        self._zkpot("ledger", "data", book, "--key", self._key("evaluator"),
                    "--testset", self._testset)  # fmt: skip
        # The pinned circuit comes from the contributor's file; anyone's would be the same.
        self._zkpot("ledger", "task", book, "--key", host, "--circuit",
                    self._path("contributor", "circuit.json"), "--testset", self._testset,
                    "--title", f"{self.dataset} demo", "--minimum", "50%", "--eta", "1%",
                    *self.insecure)  # fmt: skip
        with Ledger.open(Path(book)) as opened:
            self.task = next(iter(opened.state.tasks))
        self._step("Models are committed on the ledger; only then is the test set released.")
        for who in ("contributor", "cheat"):
            self._zkpot("ledger", "commit", book, "--key", self._key(who), "--task", self.task,
                        "--model", self._path(who, "model.json"))  # fmt: skip
        self._zkpot("ledger", "release", book, "--key", self._key("evaluator"),
                    "--task", self.task)  # fmt: skip
        shutil.copy2(self._path("evaluator", "testset.secret"), self._path("contributor"))

    def _key(self, who: str) -> str:
        return self._path(who, "identity.key")

    def _prove(self) -> None:
        self._step("The contributor proves the accuracy, shard by shard.")
        begin = time.monotonic()
        self._zkpot("prove", "--circuit", self._path("contributor", "circuit.json"),
                    "--testset", self._testset,
                    "--testset-secret", self._path("contributor", "testset.secret"),
                    "--model-secret", self._path("contributor", "model.secret"),
                    "--submitter", self._key("contributor") + ".pub", "--task", self.task,
                    "--origin", ORIGIN, "--out", self._bundle, *self.insecure)  # fmt: skip
        self.prove_seconds = time.monotonic() - begin

    @property
    def _bundle(self) -> str:
        return self._path("contributor", "bundle.zkpot")

    def _verify_words(self, bundle: str) -> list[str]:
        return ["verify", bundle, "--testset", self._testset, "--circuit",
                self._path("contributor", "circuit.json"), "--submitter",
                self._key("contributor") + ".pub", "--task", self.task, "--origin", ORIGIN,
                *self.insecure]  # fmt: skip

    def _credit(self) -> None:
        self._step(f"Anyone verifies: {_VERIFIERS[self.backend]}.")
        begin = time.monotonic()
        fresh = ["--fresh-keys"] if self.backend == "halo2" else []
        self._zkpot(*self._verify_words(self._bundle), *fresh)
        self.verify_seconds = time.monotonic() - begin
        self._step("The ledger verifies for itself and credits the contributor.")
        book = self._path("ledger")
        self._submit("contributor", self._bundle)
        self._zkpot("ledger", "balance", book)
        self._step("An auditor replays the log and verifies every proof again.")
        self._zkpot("ledger", "audit", book)

    def _submit(self, who: str, bundle: str) -> None:
        self._zkpot(*self._submit_words(who, bundle))

    def _submit_words(self, who: str, bundle: str) -> list[str]:
        return ["ledger", "submit", self._path("ledger"), "--key", self._key(who),
                "--task", self.task, "--bundle", bundle]  # fmt: skip

    def _cheat(self) -> None:
        honest = Bundle.load(Path(self._bundle))
        self._step("A copy that claims one right prediction more is tried.")
        statement = honest.statement
        tampered = self._path("cheat", "raised.zkpot")
        write_atomic(Path(tampered), raised(honest).encode())
        first = self._refused(*self._verify_words(tampered))
        self._step("The cheat submits the contributor's proof under its own name and model.")
        submitter = Path(self._key("cheat") + ".pub").read_text().strip()
        with Ledger.open(Path(self._path("ledger"))) as book:
            mine = next(m for _, key, m in book.task(self.task).commits if key == submitter)
        context = Context(submitter, self.task, 0, ORIGIN)
        stolen = replace(statement, model=mine, context=context.digest)
        forged = self._path("cheat", "stolen.zkpot")
        write_atomic(Path(forged), replace(honest, statement=stolen).encode())
        second = self._refused(*self._submit_words("cheat", forged))
        self._zkpot("ledger", "show", self._path("ledger"))
        self.refusals = [first, second]

    def _summary(self) -> dict[str, Any]:
        bundle = Bundle.load(Path(self._bundle))
        statement = bundle.statement
        who = resource.RUSAGE_CHILDREN if self.backend == "halo2" else resource.RUSAGE_SELF
        peak = resource.getrusage(who).ru_maxrss
        peak_bytes = peak if sys.platform == "darwin" else peak * 1024
        self._step("Done.")
        share = f"{statement.correct} of {statement.samples}"
        self.say(f"  proven accuracy   {share} ({statement.correct / statement.samples:.2%}), "
                 "data and weights hidden")  # fmt: skip
        keys = {"halo2": (" with key generation", " with deriving the keys")}
        proving, verifying = keys.get(self.backend, ("", ""))
        self.say(f"  proving           {self.prove_seconds:.1f} s{proving}, "
                 f"{self.prove_seconds / statement.samples:.3f} s a sample")  # fmt: skip
        self.say(f"  verifying         {self.verify_seconds:.1f} s{verifying}, both verifiers")
        proofs = count(len(bundle.proofs), "proof")
        self.say(f"  bundle            {len(bundle.encode()):,} bytes, "
                 f"{proofs} of {len(bundle.proofs[0]):,} bytes")  # fmt: skip
        self.say(f"  peak memory       {peak_bytes / 2**30:.2f} GB in any one process")
        self.say(f"  all of it         {time.monotonic() - self.began:.0f} s")
        self.say(
            f"  files             {self.folder}/ (evaluator, contributor, cheat, ledger, data)"
        )
        self.say(f"  try               zkpot inspect {self._bundle}")
        if bundle.srs_insecure:
            self.say("  NOTE: development SRS. These proofs convince nobody but you; "
                     f"`zkpot srs fetch {DEFAULT_K}` gets the ceremony's.")  # fmt: skip
        return {
            "backend": self.backend,
            "correct": statement.correct,
            "samples": statement.samples,
            "prove_milliseconds": round(1000 * self.prove_seconds),
            "verify_milliseconds": round(1000 * self.verify_seconds),
            "bundle_bytes": len(bundle.encode()),
            "peak_bytes": peak_bytes,
            "refusals": self.refusals,
            "srs_insecure": bundle.srs_insecure,
            "folder": str(self.folder),
        }


def raised(bundle: Bundle) -> Bundle:
    """Return a bundle that claims one right prediction more in its last shard."""
    statement = bundle.statement
    counts = list(statement.shard_correct)
    counts[-1] += 1
    details = bundle.details
    if "outputs" in details:
        *others, last = details["outputs"]
        details = {**details, "outputs": [*others, {**last, "correct": last["correct"] + 1}]}
    claim = replace(statement, correct=statement.correct + 1, shard_correct=tuple(counts))
    return replace(bundle, statement=claim, details=details)
