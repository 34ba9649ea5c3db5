"""The mnist suite: two public networks on MNIST's test images, against ezkl's sound circuit.

The networks and images are not ours to ship: `ZKPOT_MODELS_DIR` and `ZKPOT_MNIST_DIR` say where
they are. Every figure is of a command in a process of its own, so it includes starting Python and
loading files. The proof hides weights, features and labels.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from benchmarks.measure import Measured, run_zkpot
from circuits.artefact_files import load_circuit
from circuits.compare import compare
from circuits.datasets import Dataset, load_dataset
from circuits.errors import MissingArtefact, SrsMissing
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import Circuit as Halo2Circuit
from circuits.halo2.keys import derive
from circuits.onnx_import import load_onnx
from circuits.weights_file import load_weights

NETWORKS: Final = {"mlp": "mlp_784_56_10.onnx", "lenet5": "lenet5_mnist.onnx"}
_WIDTHS: Final = {"mlp": ("9", "12", "12"), "lenet5": ("8", "9", "12")}
"""Bits of features, weights and activations. LeNet-5's first convolution then has accumulators few
enough for a table of their own (docs/adr/0004)."""
SAMPLES: Final = (100, 1_000, 10_000)
_CALIBRATION = 1_000
"""Images the scales are chosen on; public, and so not hidden in this benchmark."""
_SUBMITTER: Final = "00" * 32
_HALO2_K: Final = 17
"""The smallest circuit that holds one image and the weights of the MLP."""
_SHARED = Path(__file__).resolve().parents[2] / "shared"


Run: TypeAlias = Callable[..., Measured]
"""`run_zkpot` with a cache."""


@dataclass(frozen=True)
class Row:
    """Figures of one network on so many samples; times in seconds, sizes in bytes.

    `prove` is from starting the command to the finished bundle, the one-off commitment to the set
    (`commit`, with its proof of well-formedness) excluded. `verify` is the command with the fast
    verifier; `verify_shards` is the time in the verifier itself. `all` is every command, compiling
    the model and committing to it included.
    """

    network: str
    samples: int
    shards: int
    correct: int
    integer_correct: int
    float_correct: int
    flips: int
    commit_seconds: float
    prove_seconds: float
    prove_bytes: int
    verify_seconds: float
    verify_shards_seconds: float
    proof_bytes: int
    security_bits: float
    all_seconds: float


@dataclass(frozen=True)
class Halo2Row:
    """ezkl's sound circuit on a few samples; times in seconds, sizes in bytes.

    `refused` says why there are no figures, if the backend cannot prove the network at all.
    """

    network: str
    samples: int
    setup_seconds: float
    prove_seconds: float
    prove_bytes: int
    verify_seconds: float
    proof_bytes: int
    refused: str = ""


def find(variable: str, default: str) -> Path:
    """Return the folder named by an environment variable, or the one beside the checkout.

    Raises
    ------
    MissingArtefact
        If it is not there.
    """
    folder = Path(os.environ.get(variable, _SHARED / default))
    if not folder.is_dir():
        raise MissingArtefact(
            f"{folder} is not there: set {variable} to the folder with the files",
            artefact=variable,
        )
    return folder


def run_suite(
    folder: Path,
    networks: Sequence[str] = tuple(NETWORKS),
    samples: Sequence[int] = SAMPLES,
    halo2_samples: int = 2,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure everything in one run.

    Parameters
    ----------
    folder : Path
        For all files.
    networks : sequence of str
        Names from `NETWORKS`.
    samples : sequence of int
        Sizes of test set, the first N images each.
    halo2_samples : int
        Samples for ezkl's circuit; 0 leaves it out.
    report : callable
        Told what is about to be measured.

    Returns
    -------
    dict
        ``rows``, ``halo2`` and ``slopes`` by network: seconds and bytes a sample between the
        smallest and the largest set, and ``ratio`` of seconds a sample, ezkl's by ours.
    """
    images = load_dataset(find("ZKPOT_MNIST_DIR", "data/mnist"))
    models = find("ZKPOT_MODELS_DIR", "models")
    found: dict[str, Any] = {"rows": [], "halo2": [], "slopes": {}}
    for name in networks:
        model = models / NETWORKS[name]
        run = partial(run_zkpot, folder / "machine-code")
        report(f"{name}: compiling machine code, which is kept")
        cold = _measure(run, folder / f"{name}-cold", name, model, images, samples[0])
        rows = []
        for count in samples:
            report(f"{name}: {count} samples")
            rows.append(_measure(run, folder / f"{name}-{count}", name, model, images, count))
        halo2 = None
        if halo2_samples:
            report(f"{name}: {halo2_samples} samples in ezkl's circuit")
            halo2 = _measure_halo2(
                run, folder / f"{name}-halo2", name, model, images, halo2_samples
            )
            found["halo2"].append(asdict(halo2))
        found["rows"] += [asdict(row) for row in rows]
        found["slopes"][name] = _slope(rows, halo2) | {
            "compile_seconds": cold.all_seconds - rows[0].all_seconds
        }
    return found


def _slope(rows: Sequence[Row], halo2: Halo2Row | None) -> dict[str, float]:
    first, last = rows[0], rows[-1]
    slope = {"prove_seconds_per_sample": last.prove_seconds / last.samples}
    if len(rows) > 1:
        more = last.samples - first.samples
        slope["marginal_seconds"] = (last.prove_seconds - first.prove_seconds) / more
        slope["marginal_bytes"] = (last.proof_bytes - first.proof_bytes) / more
    if halo2 is not None and not halo2.refused:
        theirs = halo2.prove_seconds / halo2.samples
        slope["ratio"] = theirs / slope["prove_seconds_per_sample"]
    return slope


def _inputs(folder: Path, model: Path, images: Dataset, count: int) -> tuple[Path, Path]:
    """Write the test set and the calibration set, in the shape of the network."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = images.reshaped(load_onnx(model).input_shape)
    paths = folder / "test.npz", folder / "public.npz"
    for path, size in zip(paths, (count, _CALIBRATION), strict=True):
        np.savez(path, x=whole.x[:size], y=whole.y[:size])
    return paths


def _measure(run: Run, folder: Path, name: str, model: Path, images: Dataset, count: int) -> Row:
    data, public = _inputs(folder, model, images, count)
    secret, manifest = folder / "data" / "testset.secret", folder / "data" / "testset.json"
    circuit, bundle = folder / "model" / "circuit.json", folder / "bundle.zkpot"
    bits, weight_bits, activation_bits = _WIDTHS[name]
    widths = ("--weight-bits", weight_bits, "--activation-bits", activation_bits)
    commit = run("commit-data", data, "--for", model, "--classes", "10", "--bits", bits,
                       *widths, "--out", folder / "data")  # fmt: skip
    compiled = run("compile", model, "--testset", manifest, "--data", public, *widths,
                   "--out", folder / "model")  # fmt: skip
    committed = run("commit-model", "--circuit", circuit, "--weights",
                    folder / "model" / "weights.secret", "--out", folder / "model")  # fmt: skip
    architecture, weights = load_weights(folder / "model" / "weights.secret")
    dataset = load_dataset(data, classes=10)
    compared = compare(model, architecture, weights, dataset.x, dataset.y, limit=1)
    proved = run(
        "prove", "--circuit", circuit, "--testset", manifest, "--testset-secret", secret,
        "--model-secret", folder / "model" / "model.secret", "--submitter", _SUBMITTER,
        "--out", bundle,
    )  # fmt: skip
    verified = _verify(run, bundle, manifest, circuit)
    inspected = run("inspect", circuit).result
    seconds = {check["name"]: check["ms"] / 1000 for check in verified.result["checks"]}
    statement = proved.result["statement"]
    return Row(
        network=name,
        samples=count,
        shards=len(statement["shard_correct"]),
        correct=statement["correct"],
        integer_correct=compared.integer_correct,
        float_correct=compared.float_correct,
        flips=compared.flips,
        commit_seconds=commit.seconds,
        prove_seconds=proved.seconds,
        prove_bytes=proved.peak_bytes,
        verify_seconds=verified.seconds,
        verify_shards_seconds=seconds["sumcheck"],
        proof_bytes=proved.result["bytes"],
        security_bits=float(inspected["security_bits"]),
        all_seconds=sum(one.seconds for one in (commit, compiled, committed, proved, verified)),
    )


def _verify(run: Run, bundle: Path, manifest: Path, circuit: Path) -> Measured:
    return run("verify", bundle, "--testset", manifest, "--circuit", circuit,
                     "--submitter", _SUBMITTER, "--verifier", "fast",
                     "--insecure-dev-srs")  # fmt: skip


def _measure_halo2(
    run: Run, folder: Path, name: str, model: Path, images: Dataset, count: int
) -> Halo2Row:
    """Prove a few samples in the halo2 backend's circuit, one a shard."""
    data, _ = _inputs(folder, model, images, count)
    manifest, circuit = folder / "data" / "testset.json", folder / "model" / "circuit.json"
    bundle = folder / "bundle.zkpot"
    try:
        srs = srs_files.find(_HALO2_K, allow_insecure=True)
    except SrsMissing:
        srs = srs_files.make_development(_HALO2_K)
    insecure = ("--srs", srs.path, "--insecure-dev-srs")
    try:
        run(
            "commit-data", data, "--backend", "halo2", "--classes", "10", "--k", str(_HALO2_K),
            "--shard-size", "1", "--budget", "4", *insecure, "--for", model,
            "--out", folder / "data",
        )  # fmt: skip
        run("compile", model, "--testset", manifest, "--backend", "halo2",
                  "--out", folder / "model")  # fmt: skip
    except RuntimeError as error:
        return Halo2Row(name, count, 0, 0, 0, 0, 0, refused=str(error).splitlines()[-1])
    run(
        "commit-model", "--circuit", circuit, "--weights", folder / "model" / "weights.secret",
        *insecure, "--out", folder / "model",
    )  # fmt: skip
    begin = time.monotonic()
    compiled = load_circuit(circuit)
    assert isinstance(compiled, Halo2Circuit)
    derive(compiled, srs.path, proving=True, fresh=True)
    setup = time.monotonic() - begin
    proved = run(
        "prove", "--circuit", circuit, "--testset", manifest,
        "--testset-secret", folder / "data" / "testset.secret",
        "--model-secret", folder / "model" / "model.secret", "--submitter", _SUBMITTER,
        *insecure, "--out", bundle,
    )  # fmt: skip
    return Halo2Row(
        network=name,
        samples=count,
        setup_seconds=setup,
        prove_seconds=proved.seconds,
        prove_bytes=max(proved.peak_bytes, proved.result["peak_rss"]),
        verify_seconds=_verify(run, bundle, manifest, circuit).seconds,
        proof_bytes=proved.result["bytes"],
    )
