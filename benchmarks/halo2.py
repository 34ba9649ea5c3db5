"""The halo2 suite: proving accuracy our way, against one ezkl proof for every sample.

The alternative is what ezkl's documentation leads a user to: the model's weights inside the
circuit, ezkl's defaults, its own calibration, and a proof of each prediction, each in the same
kind of process as ours. It proves less (nothing ties the samples, labels or weights together, and
its default products can be forged, docs/adr/0002); it is what people do.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from circuits.datasets import Dataset, load_dataset
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import Circuit
from circuits.halo2.keys import derive
from circuits.halo2.process import call_ezkl
from circuits.statement import Context
from verifier.verify import Options
from zkpot import api
from zkpot.training import DatasetName, train_classifier

_TIMEOUT = 1800.0
_BITS: dict[DatasetName, int] = {"digits": 5, "breast_cancer": 11}
_WEIGHT_BITS = 10


@dataclass(frozen=True)
class Ours:
    """Figures of a proof over a whole test set; times in seconds, sizes in bytes."""

    samples: int
    correct: int
    shards: int
    k: int
    columns: int
    rows: int
    setup_seconds: float
    prove_seconds: float
    seconds_per_sample: float
    peak_bytes: int
    proving_key_bytes: int
    verifying_key_bytes: int
    bundle_bytes: int
    verify_ezkl_seconds: float
    verify_py_ecc_seconds: float


@dataclass(frozen=True)
class Naive:
    """Figures of one ezkl proof a sample; times in seconds, sizes in bytes."""

    samples: int
    k: int
    setup_seconds: float
    seconds_per_sample: float
    peak_bytes: int
    proving_key_bytes: int
    verifying_key_bytes: int
    proof_bytes: int
    verify_seconds_per_sample: float


def run_suite(
    folder: Path, dataset: DatasetName, samples: int, naive_samples: int
) -> dict[str, Any]:
    """Measure both in one run.

    Parameters
    ----------
    folder : Path
        For models, keys and proofs; several gigabytes for large circuits.
    dataset : {"digits", "breast_cancer"}
        Which data.
    samples : int
        Samples to prove our way, at most the held-out ones.
    naive_samples : int
        Samples to prove one by one.

    Returns
    -------
    dict
        ``ours``, ``naive`` and ``ratio`` of seconds a sample.
    """
    trained = train_classifier(dataset, folder / "data")
    whole = load_dataset(trained.test)
    part = Dataset.of(whole.x[:samples], whole.y[:samples], classes=whole.classes)
    ours = measure_ours(folder / "ours", trained.model, part, _BITS[dataset])
    naive = measure_naive(folder / "naive", trained.model, part.x[:naive_samples])
    return {
        "dataset": dataset,
        "network": trained.description,
        "ours": asdict(ours),
        "naive": asdict(naive),
        "ratio": naive.seconds_per_sample / ours.seconds_per_sample,
    }


def measure_ours(folder: Path, model: Path, data: Dataset, bits: int) -> Ours:
    """Commit, compile, prove and verify a test set; every file is new, so all work is done."""
    folder.mkdir(parents=True, exist_ok=True)
    committed = api.commit_data(
        data, backend="halo2", model=model, bits=bits, weight_bits=_WEIGHT_BITS, allow_insecure=True
    )
    manifest = committed.manifest
    srs = srs_files.find(manifest.halo2.k, allow_insecure=True)
    compiled = api.compile_model(model, manifest, weight_bits=_WEIGHT_BITS)
    circuit = compiled.circuit
    assert isinstance(circuit, Circuit)
    _, opening = api.commit_model(circuit, compiled.weights, allow_insecure=True)
    committed.opening.save(folder / "testset.secret")
    opening.save(folder / "model.secret")

    begin = time.monotonic()
    keys = derive(circuit, srs.path, proving=True, fresh=True)
    setup = time.monotonic() - begin
    context = Context("00" * 32, manifest.testset_id, 0, "")
    begin = time.monotonic()
    bundle, report = api.prove(
        circuit, manifest, folder / "testset.secret", folder / "model.secret", context,
        folder / "run", allow_insecure=True,
    )  # fmt: skip
    proving = time.monotonic() - begin
    verdict = api.verify(
        bundle.encode(), manifest, context, options=Options(allow_insecure_srs=True)
    )
    verdict.require()
    seconds = {check.name: check.seconds for check in verdict.checks}
    return Ours(
        samples=manifest.samples,
        correct=bundle.statement.correct,
        shards=len(manifest.halo2.shards),
        k=circuit.k,
        columns=circuit.columns,
        rows=compiled.sized.facts["rows"],
        setup_seconds=setup,
        prove_seconds=proving,
        seconds_per_sample=proving / manifest.samples,
        peak_bytes=report.peak_rss,
        proving_key_bytes=keys.path("proving_key").stat().st_size,
        verifying_key_bytes=keys.path("verifying_key").stat().st_size,
        bundle_bytes=len(bundle.encode()),
        verify_ezkl_seconds=seconds["ezkl"],
        verify_py_ecc_seconds=seconds["py_ecc"],
    )


def measure_naive(folder: Path, model: Path, x: np.ndarray[Any, np.dtype[np.float64]]) -> Naive:
    """Prove each sample on its own with ezkl's defaults; only data are made private."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        n: folder / n for n in ("settings", "compiled", "vk", "pk", "data", "witness", "proof")
    }
    model = _one_at_a_time(model, folder / "model.onnx")
    _write_input(files["data"], x[:1])
    args = {"input_visibility": "hashed", "param_visibility": "fixed"}
    _call("gen_settings", model=model, output=files["settings"], py_run_args=args)
    _call(
        "calibrate_settings", data=files["data"], model=model, settings=files["settings"],
        target="resources",
    )  # fmt: skip
    k = int(json.loads(files["settings"].read_bytes())["run_args"]["logrows"])
    srs = folder / f"k{k}.srs"
    _call("gen_srs", srs_path=srs, logrows=k)
    _call("compile_circuit", model=model, compiled_circuit=files["compiled"],
          settings_path=files["settings"])  # fmt: skip
    setup = _call("setup", model=files["compiled"], vk_path=files["vk"], pk_path=files["pk"],
                  srs_path=srs)  # fmt: skip
    proving = verifying = 0.0
    peak = 0
    for sample in x:
        _write_input(files["data"], sample[None])
        begin = time.monotonic()
        _call("gen_witness", data=files["data"], model=files["compiled"], output=files["witness"])
        made = _call("prove", witness=files["witness"], model=files["compiled"],
                     pk_path=files["pk"], proof_path=files["proof"], srs_path=srs)  # fmt: skip
        proving += time.monotonic() - begin
        peak = max(peak, made.peak_rss)
        begin = time.monotonic()
        _call("verify", proof_path=files["proof"], settings_path=files["settings"],
              vk_path=files["vk"], srs_path=srs)  # fmt: skip
        verifying += time.monotonic() - begin
    return Naive(
        samples=len(x),
        k=k,
        setup_seconds=setup.seconds,
        seconds_per_sample=proving / len(x),
        peak_bytes=peak,
        proving_key_bytes=files["pk"].stat().st_size,
        verifying_key_bytes=files["vk"].stat().st_size,
        proof_bytes=len(json.loads(files["proof"].read_bytes())["proof"]),
        verify_seconds_per_sample=verifying / len(x),
    )


def _one_at_a_time(model: Path, path: Path) -> Path:
    """Write the model with a batch of one, which is what ezkl wants."""
    loaded = onnx.load(model)
    for value in (*loaded.graph.input, *loaded.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(loaded, path)
    return path


def _write_input(path: Path, x: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    path.write_text(json.dumps({"input_data": [x.reshape(-1).tolist()]}))


def _call(function: str, **kwargs: Any) -> Any:
    return call_ezkl(function, timeout=_TIMEOUT, **kwargs)
