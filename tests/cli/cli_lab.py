"""A laboratory for the command line: runs it in this process, and holds one job's files."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from circuits.bundle import Bundle
from zkpot.cli import main

ORIGIN = "lab.example/ledger"
K = 11
SAMPLES = 5
CLASSES = 3
BUDGET = 4
SHARD = 3
"""Samples of a shard, or one less."""
INSECURE = "--insecure-dev-srs"


@dataclass(frozen=True)
class Setting:
    """How the job is played with one backend.

    Attributes
    ----------
    backend : str
    shard : int
        Samples of a shard.
    data, compiling, committing : tuple of str
        Options of commit-data, compile and commit-model.
    insecure : tuple of str
        What every command needs that uses an SRS.
    checks : tuple of str
        Checks of the verifier after those of both backends.
    """

    backend: str
    shard: int
    data: tuple[str, ...]
    compiling: tuple[str, ...]
    committing: tuple[str, ...]
    insecure: tuple[str, ...]
    checks: tuple[str, ...]

    @property
    def commit_data(self) -> tuple[str, ...]:
        """All options of commit-data but the folder."""
        return ("--backend", self.backend, "--bits", "4", "--shard-size", str(self.shard),
                "--budget", str(BUDGET), "--classes", str(CLASSES), *self.data)  # fmt: skip


HALO2 = Setting(
    "halo2", SHARD, ("--k", str(K)), ("--weight-bits", "6", "--model-budget", "24"), (),
    (INSECURE,),
    ("shards", "model", "srs", "keys", "proof form", "ezkl", "py_ecc"),
)  # fmt: skip
SUMCHECK = Setting(
    "sumcheck", SHARD + 1, (), (), ("--budget", "6"), (),
    ("shards", "model", "well-formed", "parameters", "sumcheck", "plain"),
)  # fmt: skip
SECRET_NAMES = (
    "testset.secret", "weights.secret", "model.secret", "identity.key", "log.key",
    "testset.secret.openings", "model.secret.openings",
)  # fmt: skip


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout; anything else there is an error."""
        return json.loads(self.out)

    @property
    def error(self) -> tuple[str, str]:
        """Code and message of the one error line that stderr ends with."""
        lines = [line for line in self.err.splitlines() if line.startswith("error [")]
        assert len(lines) == 1, self.err
        assert self.err.splitlines()[-1] == lines[0], self.err
        code, _, message = lines[0].removeprefix("error [").partition("]: ")
        return code, message

    def good(self) -> Ran:
        """Require success."""
        assert self.status == 0, f"{self.words}: {self.err}"
        return self

    def refused(self, code: str, status: int, *needles: str) -> Ran:
        """Require one line on stderr with this code and these words, and this exit status."""
        assert (self.status, self.error[0]) == (status, code), f"{self.words}: {self.err}"
        assert "Traceback" not in self.out + self.err
        for needle in needles:
            assert needle in self.error[1], self.err
        return self


@dataclass
class Cli:
    """The ``zkpot`` command with a home of its own; remembers all it wrote."""

    home: Path
    transcript: list[str] = field(default_factory=list)

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ZKPOT_")}
        return {**kept, "ZKPOT_HOME": str(self.home), **(extra or {})}

    def __call__(self, *words: str | Path, env: Mapping[str, str] | None = None) -> Ran:
        """Run `zkpot.cli.main` here, as the console script does."""
        text = [str(word) for word in words]
        out, err = io.StringIO(), io.StringIO()
        handler, path = signal.getsignal(signal.SIGTERM), list(sys.path)
        try:
            with (
                mock.patch.dict(os.environ, self.environment(env), clear=True),
                mock.patch.object(sys, "argv", ["zkpot", *text]),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                try:
                    main()
                except SystemExit as done:
                    status = done.code
        finally:
            signal.signal(signal.SIGTERM, handler)
            sys.path[:] = path
        assert isinstance(status, int)
        return self._ran(text, status, out.getvalue(), err.getvalue())

    def process(self, *words: str | Path, **kwargs: Any) -> subprocess.Popen[str]:
        """Start the command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", "from zkpot.cli import main; main()", *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment(), **kwargs,
        )  # fmt: skip

    def finished(self, process: subprocess.Popen[str], timeout: float = 120) -> Ran:
        out, err = process.communicate(timeout=timeout)
        return self._ran([str(word) for word in process.args[3:]], process.returncode, out, err)

    def _ran(self, words: Sequence[str], status: int, out: str, err: str) -> Ran:
        self.transcript += [out, err]
        return Ran(tuple(words), status, out, err)


def dense(path: Path, sizes: Sequence[int], seed: int, scale: float = 1.0) -> Path:
    """Write a network of dense layers with Relu between, and a named batch dimension."""
    rng = np.random.default_rng(seed)
    nodes, weights, name = [], [], "x"
    for at, (width, height) in enumerate(pairwise(sizes)):
        if at:
            nodes.append(helper.make_node("Relu", [name], [f"r{at}"], name=f"relu{at}"))
            name = f"r{at}"
        for kind, shape in (("w", (width, height)), ("b", (height,))):
            values = rng.normal(0, scale if kind == "w" else scale / 5, shape).astype(np.float32)
            weights.append(numpy_helper.from_array(values, f"{kind}{at}"))
        nodes.append(
            helper.make_node("Gemm", [name, f"w{at}", f"b{at}"], [f"h{at}"], name=f"gemm{at}")
        )
        name = f"h{at}"
    return write_onnx(path, nodes, weights, ("batch", sizes[0]), name, sizes[-1])


def write_onnx(
    path: Path,
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    shape: tuple[int | str, ...] = ("batch", 4),
    output: str = "out",
    classes: int = CLASSES,
) -> Path:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape[0], classes])], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def samples(count: int, seed: int) -> NDArray[np.float64]:
    """Return features on the grid that four bits hold exactly."""
    return np.random.default_rng(seed).integers(0, 16, (count, 4)) / 16


def write_data(path: Path, model: Path, count: int, seed: int, *, wrong: int = 0) -> Path:
    """Write samples that a float model gets right, but for the first few."""
    import onnxruntime

    x = samples(count, seed)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    y = session.run(None, {"x": x.astype(np.float32)})[0].argmax(1)
    y[:wrong] = (y[:wrong] + 1) % CLASSES
    np.savez(path, x=x, y=y)
    return path


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every file under a folder with its size and time: what a refusal must not change."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        # Whoever looks takes a lock; that is no change.
        if not path.is_dir() and path.suffix != ".lock"
    }


@contextlib.contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Require that no file under a folder appears, changes or goes."""
    before = files(folder)
    yield
    after = files(folder)
    assert after == before, sorted(set(after.items()) ^ set(before.items()))


def recode(path: Path, to: Path, **changes: Any) -> Path:
    """Write a copy of a JSON artefact with other fields, in canonical form."""
    from circuits.encoding import canonical_json

    to.parent.mkdir(parents=True, exist_ok=True)
    header, line, parts = path.read_bytes().partition(b"\n")
    to.write_bytes(canonical_json({**json.loads(header), **changes}) + line + parts)
    return to


def recount(bundle: Bundle, by: int) -> Bundle:
    """Return a bundle whose first shard that has room claims `by` more right predictions."""
    counts = list(bundle.statement.shard_correct)
    shard = 0 if 0 <= counts[0] + by <= bundle.circuit["shard_size"] else 1
    counts[shard] += by
    statement = replace(
        bundle.statement, correct=bundle.statement.correct + by, shard_correct=tuple(counts)
    )
    details = bundle.details
    if "outputs" in details:
        outputs = [{**one, "correct": n} for one, n in zip(details["outputs"], counts, strict=True)]
        details = {**details, "outputs": outputs}
    return replace(bundle, statement=statement, details=details)


def flipped(path: Path, to: Path, at: int, bit: int = 0) -> Path:
    """Write a copy of a file with one bit changed."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    to.write_bytes(data)
    return to


@dataclass
class Lab:
    """One evaluator, two contributors, a ledger in three phases, and a proof.

    ``committed``, ``released`` and ``credited`` are copies of the ledger's folder at those
    points; copy one before changing it.
    """

    cli: Cli
    folder: Path
    setting: Setting
    runs: dict[str, Ran] = field(default_factory=dict)
    task: str = ""
    vkey: str = ""

    def at(self, *parts: str) -> Path:
        return self.folder.joinpath(*parts)

    @property
    def insecure(self) -> tuple[str, ...]:
        """What every command needs that uses an SRS."""
        return self.setting.insecure

    @property
    def manifest(self) -> Path:
        return self.at("evaluator", "testset.json")

    @property
    def bundle(self) -> Path:
        return self.at("alice", "bundle.zkpot")

    def ledger(self, phase: str, to: Path) -> Path:
        """Return a copy of the ledger to play with."""
        return Path(shutil.copytree(self.at(phase), to))

    def key(self, who: str) -> Path:
        return self.at(who, "identity.key")

    def public(self, who: str) -> str:
        return Path(f"{self.key(who)}.pub").read_text().strip()

    def context(self, task: str | None = None) -> list[str]:
        return ["--submitter", f"{self.key('alice')}.pub", "--task", task or self.task,
                "--origin", ORIGIN]  # fmt: skip

    def prove(self, out: Path, **given: str | Path) -> list[str]:
        """Words of a proof by Alice; options given replace the right ones."""
        options: dict[str, str | Path] = {
            "circuit": self.at("alice", "circuit.json"),
            "testset": self.manifest,
            "testset-secret": self.at("alice", "testset.secret"),
            "model-secret": self.at("alice", "model.secret"),
            "submitter": f"{self.key('alice')}.pub",
            "task": self.task,
            "origin": ORIGIN,
            "out": out,
        }
        options |= {name.replace("_", "-"): value for name, value in given.items()}
        return ["prove", *_words(options)]

    def verify(self, bundle: Path | None = None, **given: str | Path) -> list[str]:
        """Words of a verification of Alice's bundle; options given replace the right ones."""
        options: dict[str, str | Path] = {
            "testset": self.manifest,
            "circuit": self.at("alice", "circuit.json"),
            "submitter": f"{self.key('alice')}.pub",
            "task": self.task,
            "origin": ORIGIN,
        }
        options |= {name.replace("_", "-"): value for name, value in given.items()}
        return ["verify", str(bundle or self.bundle), *_words(options)]

    def submit(self, book: Path, bundle: Path | None = None, **given: str | Path) -> list[str]:
        """Words of Alice's submission."""
        options: dict[str, str | Path] = {
            "key": self.key("alice"),
            "task": self.task,
            "bundle": bundle or self.bundle,
        }
        return ["ledger", "submit", str(book), *_words(options | given)]


def _words(options: Mapping[str, str | Path]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def play(cli: Cli, folder: Path, setting: Setting) -> Lab:
    """Play the main job once, command by command, as text."""
    lab = Lab(cli, folder, setting)
    insecure = setting.insecure
    folder.mkdir()

    def run(name: str, *words: str | Path) -> Ran:
        lab.runs[name] = cli(*words).good()
        return lab.runs[name]

    model, other = (
        dense(lab.at("model.onnx"), (4, 3, CLASSES), 3),
        dense(lab.at("other.onnx"), (4, 3, CLASSES), 8),
    )
    write_data(lab.at("test.npz"), model, SAMPLES, 1, wrong=1)
    write_data(lab.at("train.npz"), model, 60, 2)
    run("commit-data", "commit-data", lab.at("test.npz"), *setting.commit_data,
        "--out", lab.at("evaluator"), *insecure)  # fmt: skip
    for who, file in (("alice", model), ("bob", other)):
        data = ("--data", lab.at("train.npz"), "--max-flips", "5%") if file == model else ()
        run(f"compile {who}", "compile", file, "--testset", lab.manifest, *setting.compiling,
            *data, "--out", lab.at(who))  # fmt: skip
        run(f"commit-model {who}", "commit-model", "--circuit", lab.at(who, "circuit.json"),
            "--weights", lab.at(who, "weights.secret"), *setting.committing,
            "--out", lab.at(who), *insecure)  # fmt: skip
    # Alice has a second model, so that she can ask twice.
    run("compile second", "compile", other, "--testset", lab.manifest, *setting.compiling,
        "--out", lab.at("second"))  # fmt: skip
    run("commit-model second", "commit-model", "--circuit", lab.at("second", "circuit.json"),
        "--weights", lab.at("second", "weights.secret"), *setting.committing,
        "--out", lab.at("second"), *insecure)  # fmt: skip

    book = lab.at("ledger")
    run("init", "ledger", "init", book, "--origin", ORIGIN, *insecure)
    for who in ("evaluator", "alice", "bob"):
        run(f"keygen {who}", "ledger", "keygen", lab.key(who))
        run(f"identity {who}", "ledger", "identity", book, "--key", lab.key(who), "--name", who)
    run("data", "ledger", "data", book, "--key", lab.key("evaluator"), "--testset", lab.manifest)
    host = book / "log.key"
    lab.task = cli(
        "ledger", "task", book, "--key", host, "--circuit", lab.at("alice", "circuit.json"),
        "--testset", lab.manifest, "--title", "first", "--json", *insecure,
    ).good().json["task"]  # fmt: skip
    for who, model_of in (("alice", "alice"), ("alice", "second"), ("bob", "bob")):
        run(f"commit {model_of}", "ledger", "commit", book, "--key", lab.key(who), "--task",
            lab.task, "--model", lab.at(model_of, "model.json"))  # fmt: skip
    lab.ledger("ledger", lab.at("committed"))
    run("release", "ledger", "release", book, "--key", lab.key("evaluator"), "--task", lab.task)
    lab.ledger("ledger", lab.at("released"))
    shutil.copy2(lab.at("evaluator", "testset.secret"), lab.at("alice"))
    run("prove", *lab.prove(lab.bundle), *insecure)
    run("verify", *lab.verify(), *insecure)
    run("submit", *lab.submit(book))
    lab.ledger("ledger", lab.at("credited"))
    run("balance", "ledger", "balance", book)
    run("audit", "ledger", "audit", book)
    run("show", "ledger", "show", book)
    last = cli("ledger", "receipt", book, "9", "--out", lab.at("receipt.txt"), "--json").good().json
    lab.vkey = last["vkey"]
    run("check-receipt", "ledger", "check-receipt", lab.at("receipt.txt"), "--vkey", lab.vkey)
    return lab


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


def forge(lab: Lab, to: Path, **changes: Any) -> Path:
    """Write a bundle with another statement, which no proof supports."""
    honest = Bundle.load(lab.bundle)
    details = changes.pop("details", honest.details)
    statement = replace(honest.statement, **changes)
    to.write_bytes(replace(honest, statement=statement, details=details).encode())
    return to


def opened(lab: Lab, book: Path, *options: str, released: bool = True) -> str:
    """Open, and unless told otherwise run through, a second task in a fresh ledger."""
    cli = lab.cli
    for who in ("evaluator", "alice"):
        cli("ledger", "identity", book, "--key", lab.key(who), "--name", who).good()
    cli("ledger", "data", book, "--key", lab.key("evaluator"), "--testset", lab.manifest).good()
    task = cli("ledger", "task", book, "--key", book / "log.key", "--circuit",
               lab.at("alice", "circuit.json"), "--testset", lab.manifest, "--title", "second",
               *lab.insecure, "--json", *options).good().json["task"]  # fmt: skip
    cli("ledger", "commit", book, "--key", lab.key("alice"), "--task", task,
        "--model", lab.at("alice", "model.json")).good()  # fmt: skip
    if released:
        cli("ledger", "release", book, "--key", lab.key("evaluator"), "--task", task).good()
    return task
