"""The mnist suite: two public networks on MNIST's test images, against ezkl's sound circuit.

The networks and images are not ours to ship: `ZKPOT_MODELS_DIR` and `ZKPOT_MNIST_DIR` say where
they are. Every figure is of a command in a process of its own, so it includes starting Python and
loading files. The proof hides weights, features and labels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.measure import Measured, run_zkpot
from circuits.backends import load_circuit
from circuits.compare import compare
from circuits.datasets import Dataset, load_dataset
from circuits.errors import MissingArtefact, ZkpotError
from circuits.float_network import FloatNetwork
from circuits.onnx_import import load_onnx
from circuits.weights_file import load_weights

NETWORKS: Final = {"mlp": "mlp_784_56_10.onnx", "lenet5": "lenet5_mnist.onnx"}
SAMPLES: Final = (100, 1_000, 10_000)
_CALIBRATION = 1_000
"""Images the scales are chosen on; public, and so not hidden in this benchmark."""
_SHARED = Path(__file__).resolve().parents[2] / "shared"


@dataclass(frozen=True)
class Row:
    """Figures of one network on so many samples; times in seconds, sizes in bytes.

    `prove` is from starting the command to the finished bundle, the one-off commitment to the set
    (`commit`, with its proof of well-formedness) excluded. `verify` is the command with the fast
    verifier; `verify_shards` is the time in the verifier itself.
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
        report(f"{name}: compiling machine code, which is kept")
        cold = _measure(folder / f"{name}-warm", name, model, images, min(samples))
        rows = []
        for count in samples:
            report(f"{name}: {count} samples")
            rows.append(_measure(folder / f"{name}-{count}", name, model, images, count))
        halo2 = None
        if halo2_samples:
            report(f"{name}: {halo2_samples} samples in ezkl's circuit")
            halo2 = _measure_halo2(folder / f"{name}-halo2", name, model, images, halo2_samples)
            found["halo2"].append(asdict(halo2))
        found["rows"] += [asdict(row) for row in rows]
        found["slopes"][name] = _slope(rows, halo2) | {
            "compile_seconds": cold.prove_seconds - rows[0].prove_seconds
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
    network: FloatNetwork = load_onnx(model)
    whole = images.reshaped(network.input_shape)
    paths = folder / "test.npz", folder / "public.npz"
    for path, size in zip(paths, (count, _CALIBRATION), strict=True):
        np.savez(path, x=whole.x[:size], y=whole.y[:size])
    return paths


def _measure(folder: Path, name: str, model: Path, images: Dataset, count: int) -> Row:
    data, public = _inputs(folder, model, images, count)
    secret, manifest = folder / "data" / "testset.secret", folder / "data" / "testset.json"
    circuit, bundle = folder / "model" / "circuit.json", folder / "bundle.zkpot"
    commit = run_zkpot("commit-data", data, "--for", model, "--classes", "10",
                       "--out", folder / "data")  # fmt: skip
    run_zkpot("compile", model, "--testset", manifest, "--data", public,
              "--out", folder / "model")  # fmt: skip
    run_zkpot("commit-model", "--circuit", circuit, "--weights",
              folder / "model" / "weights.secret", "--out", folder / "model")  # fmt: skip
    architecture, weights = load_weights(folder / "model" / "weights.secret")
    dataset = load_dataset(data, classes=10)
    compared = compare(model, architecture, weights, dataset.x, dataset.y, limit=1)
    proved = run_zkpot(
        "prove", "--circuit", circuit, "--testset", manifest, "--testset-secret", secret,
        "--model-secret", folder / "model" / "model.secret", "--out", bundle,
    )  # fmt: skip
    verified = _verify(bundle, manifest, circuit, "fast")
    inspected = run_zkpot("inspect", circuit).result
    seconds = {check["name"]: check["milliseconds"] / 1000 for check in verified.result["checks"]}
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
        security_bits=inspected["security_bits"],
    )


def _verify(bundle: Path, manifest: Path, circuit: Path, verifier: str) -> Measured:
    return run_zkpot("verify", bundle, "--testset", manifest, "--circuit", circuit,
                     "--verifier", verifier, "--insecure-dev-srs")  # fmt: skip


def _measure_halo2(folder: Path, name: str, model: Path, images: Dataset, count: int) -> Halo2Row:
    """Prove a few samples in a circuit of 2^17 rows, the smallest that holds one of them."""
    data, _ = _inputs(folder, model, images, count)
    manifest, circuit = folder / "data" / "testset.json", folder / "model" / "circuit.json"
    bundle = folder / "bundle.zkpot"
    try:
        run_zkpot(
            "commit-data", data, "--backend", "halo2", "--classes", "10", "--k", "17",
            "--shard-size", "1", "--budget", "4", "--insecure-dev-srs", "--for", model,
            "--out", folder / "data",
        )  # fmt: skip
        run_zkpot("compile", model, "--testset", manifest, "--backend", "halo2",
                  "--out", folder / "model")  # fmt: skip
    except (RuntimeError, ZkpotError) as error:
        return Halo2Row(name, count, 0, 0, 0, 0, 0, refused=str(error).splitlines()[-1])
    load_circuit(circuit)
    run_zkpot("commit-model", "--circuit", circuit, "--weights",
              folder / "model" / "weights.secret", "--insecure-dev-srs",
              "--out", folder / "model")  # fmt: skip
    proved = run_zkpot(
        "prove", "--circuit", circuit, "--testset", manifest,
        "--testset-secret", folder / "data" / "testset.secret",
        "--model-secret", folder / "model" / "model.secret", "--insecure-dev-srs",
        "--out", bundle,
    )  # fmt: skip
    verified = _verify(bundle, manifest, circuit, "fast")
    return Halo2Row(
        network=name,
        samples=count,
        setup_seconds=proved.seconds - proved.result["prove_milliseconds"] / 1000,
        prove_seconds=proved.result["prove_milliseconds"] / 1000,
        prove_bytes=max(proved.peak_bytes, proved.result["peak_rss"]),
        verify_seconds=verified.seconds,
        proof_bytes=proved.result["bytes"],
    )
