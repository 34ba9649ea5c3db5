"""The steps of the main job as Python functions, one for each role's action.

Evaluator: `commit_data`. Contributor: `compile_model`, `commit_model`, `prove`. Anyone: `verify`.
The command line is a thin layer over these.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from circuits.bundle import Bundle
from circuits.compare import FLIP_LIMIT, Comparison, compare
from circuits.datasets import Dataset, load_dataset
from circuits.errors import OutOfMemory, ShapeMismatch
from circuits.float_network import FloatNetwork
from circuits.halo2 import kzg
from circuits.halo2 import srs as srs_files
from circuits.halo2.circuit import Circuit
from circuits.halo2.match import require_model, require_testset
from circuits.halo2.model import ModelCommitment, ModelOpening
from circuits.halo2.model import commit_model as commit_weights
from circuits.halo2.plan import (
    DEFAULT_COLUMNS,
    DEFAULT_K,
    DEFAULT_MODEL_BUDGET,
    Sizing,
    estimate,
    fit_columns,
    fit_shard_size,
)
from circuits.halo2.srs import SrsInfo
from circuits.onnx_import import load_onnx
from circuits.quantise import quantise
from circuits.statement import Context
from circuits.testset import Manifest, Opening, choose_format, commit_testset
from circuits.weights import Weights
from prover.plan import DEFAULT_MEMORY
from prover.session import Progress, Report, Task, prove_testset
from verifier.verdict import Verdict
from verifier.verify import Expectation, Options, verify_bundle

SMALLEST_K = 12
DEFAULT_SHARD = 50
"""Samples of a shard when no model is given to size it by."""


@dataclass(frozen=True)
class Committed:
    """A committed test set, with what the evaluator may want to know of it."""

    manifest: Manifest
    opening: Opening
    srs: SrsInfo


@dataclass(frozen=True)
class Compiled:
    """A compiled model: the public circuit, the secret weights and the three accuracies."""

    sizing: Sizing
    weights: Weights
    comparison: Comparison | None

    @property
    def circuit(self) -> Circuit:
        """The public circuit."""
        return self.sizing.circuit


def find_srs(k: int, *, path: Path | None = None, allow_insecure: bool = False) -> SrsInfo:
    """Return the SRS to use for 2^k rows: the file given, or one of the local store.

    Raises
    ------
    SrsMissing, SrsInvalid, SrsInsecure
        As `circuits.halo2.srs.require` and `find`.
    """
    if path is not None:
        return srs_files.require(path, k=k, allow_insecure=allow_insecure)
    return srs_files.find(k, allow_insecure=allow_insecure)


def choose_k(memory: int) -> int:
    """Return the size of circuit to commit for: the default, or less if memory is short.

    Raises
    ------
    OutOfMemory
        If even the smallest would not fit.
    """
    for k in range(DEFAULT_K, SMALLEST_K - 1, -1):
        least = estimate(k, DEFAULT_COLUMNS).peak_bytes
        if least <= memory:
            return k
    raise OutOfMemory(
        f"the smallest circuit takes {least >> 20} MB to prove, and the limit is {memory >> 20} MB",
        needed=least,
        available=memory,
    )


def commit_data(
    data: str | Path | Dataset,
    *,
    model: Path | None = None,
    bits: int = 8,
    signed: bool | None = None,
    exponent: int | None = None,
    weight_bits: int = 8,
    shard_size: int | None = None,
    k: int | None = None,
    memory: int = DEFAULT_MEMORY,
    budget: int = 32,
    srs: Path | None = None,
    allow_insecure: bool = False,
    label: str | None = None,
    classes: int | None = None,
    shuffle: random.Random | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Committed:
    """Commit to a test set.

    Parameters
    ----------
    data : str, Path or Dataset
        What `circuits.datasets.load_dataset` takes.
    model : Path, optional
        ONNX file of the public architecture; shards are then sized for it, and samples shaped
        for it. Its weights do not matter.
    bits, signed, exponent
        How features become integers, see `circuits.testset.choose_format`.
    weight_bits : int
        Width of the weights to size for; matters with `model` only.
    shard_size : int, optional
        Samples of a shard.
    k : int, optional
        Circuit size; by default from `memory`.
    memory : int
        Bytes that proving one shard may use.
    budget : int
        Proofs that may be published against this set.
    srs, allow_insecure
        As `find_srs`.
    label, classes
        As `load_dataset`.
    shuffle, progress
        As `circuits.testset.commit_testset`.

    Raises
    ------
    ZkpotError
        Named errors for unreadable data, values that do not fit, and a missing SRS.
    """
    dataset = (
        data if isinstance(data, Dataset) else load_dataset(data, label=label, classes=classes)
    )
    k = choose_k(memory) if k is None else k
    info = find_srs(k, path=srs, allow_insecure=allow_insecure)
    if model is not None:
        network = load_onnx(model)
        dataset = _shaped(dataset, network)
        if shard_size is None:
            form, power = choose_format(dataset.x, bits, signed=signed, exponent=exponent)
            architecture, _ = quantise(
                network,
                input_format=form,
                input_exponent=power,
                weight_bits=weight_bits,
                rescale=False,
            )
            shard_size = fit_shard_size(
                architecture,
                dataset.samples,
                k=k,
                columns=DEFAULT_COLUMNS,
                testset_budget=budget,
                model_budget=DEFAULT_MODEL_BUDGET,
                srs=info.digest,
            )
    manifest, opening = commit_testset(
        dataset,
        committer=partial(kzg.commit, kzg.SrsFile.open(info.path)),
        srs=info.digest,
        k=k,
        srs_insecure=info.insecure,
        shard_size=min(DEFAULT_SHARD, dataset.samples) if shard_size is None else shard_size,
        budget=budget,
        bits=bits,
        signed=signed,
        exponent=exponent,
        shuffle=shuffle,
        progress=progress,
    )
    return Committed(manifest, opening, info)


def compile_model(
    model: Path,
    manifest: Manifest,
    *,
    data: str | Path | Dataset | None = None,
    weight_bits: int = 8,
    model_budget: int = DEFAULT_MODEL_BUDGET,
    flip_limit: Fraction = FLIP_LIMIT,
    label: str | None = None,
) -> Compiled:
    """Compile an ONNX model into the circuit of a committed test set.

    Parameters
    ----------
    model : Path
        The ONNX file.
    manifest : Manifest
        The public side of the test set: shape, number format, shard size.
    data : str, Path or Dataset, optional
        Samples of the contributor's own, to compare float and integer accuracy on.
    weight_bits : int
        Width of the integer weights.
    model_budget : int
        Shard proofs that may be published with one commitment to the model.
    flip_limit : Fraction
        Largest share of samples of `data` whose prediction may change.
    label : str, optional
        Label column of a CSV.

    Raises
    ------
    ZkpotError
        Named errors for what cannot be compiled, does not fit, or flips too often.
    """
    network = load_onnx(model)
    for name, wanted, found in (
        ("feature shape", manifest.shape, network.input_shape),
        ("number of classes", manifest.classes, network.classes),
    ):
        if wanted != found:
            raise ShapeMismatch(
                f"{name}: the test set has {wanted} and the model {found} "
                "(commit-data --for MODEL shapes a set for a model)"
            )
    architecture, weights = quantise(
        network,
        input_format=manifest.input_format,
        input_exponent=manifest.input_exponent,
        weight_bits=weight_bits,
        rescale=False,
    )
    comparison = None
    if data is not None:
        own = (
            data
            if isinstance(data, Dataset)
            else load_dataset(data, label=label, classes=manifest.classes)
        )
        own = _shaped(own, network)
        comparison = compare(
            model, architecture, weights, own.x, own.y, ties="strict", limit=flip_limit
        )
    sizing = fit_columns(
        architecture,
        shard_size=manifest.shard_size,
        k=manifest.k,
        testset_budget=manifest.budget,
        model_budget=model_budget,
        srs=manifest.srs,
    )
    return Compiled(sizing, weights, comparison)


def commit_model(
    circuit: Circuit, weights: Weights, *, srs: Path | None = None, allow_insecure: bool = False
) -> tuple[ModelCommitment, ModelOpening]:
    """Commit to quantised weights; `srs` and `allow_insecure` as `find_srs`."""
    info = find_srs(circuit.k, path=srs, allow_insecure=allow_insecure)
    return commit_weights(circuit, weights, info.path, srs_insecure=info.insecure)


def prove(
    circuit: Circuit,
    manifest: Manifest,
    testset_secret: Path,
    model_secret: Path,
    context: Context,
    run_folder: Path,
    *,
    memory: int = DEFAULT_MEMORY,
    jobs: int | None = None,
    srs: Path | None = None,
    allow_insecure: bool = False,
    progress: Progress | None = None,
) -> tuple[Bundle, Report]:
    """Prove a committed model's accuracy on a committed, released test set.

    Parameters
    ----------
    circuit : Circuit
        From `compile_model`.
    manifest : Manifest
        The committed test set.
    testset_secret, model_secret : Path
        The openings. Their opening counters are kept beside them.
    context : Context
        What the proof is bound to.
    run_folder : Path
        Where finished shards are kept; give the same one to continue.
    memory, jobs, progress
        As `prover.session.prove_testset`.
    srs, allow_insecure
        As `find_srs`.

    Raises
    ------
    ZkpotError
        As `prover.session.prove_testset`.
    """
    opening, model = Opening.load(testset_secret), ModelOpening.load(model_secret)
    require_testset(circuit, manifest)
    require_model(circuit, model)
    task = Task(
        circuit=circuit,
        manifest=manifest,
        opening=opening,
        model=model,
        context=context.digest,
        srs=find_srs(circuit.k, path=srs, allow_insecure=allow_insecure),
        run_folder=run_folder,
        testset_openings=counter_path(testset_secret),
        model_openings=counter_path(model_secret),
    )
    if progress is None:
        return prove_testset(task, memory=memory, jobs=jobs)
    return prove_testset(task, memory=memory, jobs=jobs, progress=progress)


def counter_path(secret: Path) -> Path:
    """Return the file that counts the openings of a secret file."""
    return secret.with_name(secret.name + ".openings")


def verify(
    bundle: Path | bytes,
    manifest: Manifest,
    context: Context,
    *,
    circuit: str | None = None,
    model: str | None = None,
    options: Options | None = None,
) -> Verdict:
    """Verify a bundle against a test set and a context; see `verifier.verify`."""
    expected = Expectation(manifest, context.digest, circuit=circuit, model=model)
    return verify_bundle(bundle, expected, options)


def _shaped(dataset: Dataset, network: FloatNetwork) -> Dataset:
    # A flat row and an image with as many values are the same data.
    return (
        dataset if dataset.shape == network.input_shape else dataset.reshaped(network.input_shape)
    )
