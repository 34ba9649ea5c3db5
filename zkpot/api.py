"""The steps of the main job as Python functions, one for each role's action.

Evaluator: `commit_data`. Contributor: `compile_model`, `commit_model`, `prove`. Anyone: `verify`.
The command line is a thin layer over these.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from circuits.artefact_files import Circuit, ModelCommitment, ModelOpening, load_model_secret
from circuits.bundle import Bundle
from circuits.compare import FLIP_LIMIT, Comparison, compare
from circuits.datasets import Dataset, load_dataset
from circuits.errors import ShapeMismatch
from circuits.float_network import FloatNetwork
from circuits.onnx_import import load_onnx
from circuits.statement import Context
from circuits.sumcheck.wellformed import WellFormed
from circuits.testset import SMALLEST_GROUP, Manifest, Opening, choose_format, commit_testset
from circuits.weights import Weights
from prover.session import Openings, Progress, Report, prove_testset, silent
from verifier.verdict import Verdict
from verifier.verify import Expectation, Options, verify_bundle
from zkpot import backends
from zkpot.backends.base import (
    DEFAULT_MEMORY,
    CompileSettings,
    DataSettings,
    ProveSettings,
    Sized,
    SrsChoice,
)


@dataclass(frozen=True)
class Committed:
    """A committed test set; `well_formed` is None if no backend asks for such a proof."""

    manifest: Manifest
    opening: Opening
    well_formed: WellFormed | None


@dataclass(frozen=True)
class Compiled:
    """A compiled model: the public circuit, the secret weights and the accuracies."""

    sized: Sized
    weights: Weights
    comparison: Comparison | None

    @property
    def circuit(self) -> Circuit:
        """The public circuit."""
        return self.sized.circuit


def commit_data(
    data: str | Path | Dataset,
    *,
    backend: str | Sequence[str] = backends.DEFAULT,
    model: Path | None = None,
    bits: int | None = None,
    signed: bool | None = None,
    exponent: int | None = None,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    shard_size: int | None = None,
    k: int | None = None,
    memory: int = DEFAULT_MEMORY,
    budget: int | None = None,
    smallest_group: int = SMALLEST_GROUP,
    srs: Path | None = None,
    allow_insecure: bool = False,
    label: str | None = None,
    classes: int | None = None,
    shuffle: random.Random | None = None,
    progress: Progress = silent,
) -> Committed:
    """Commit to a test set.

    Parameters
    ----------
    data : str, Path or Dataset
        What `circuits.datasets.load_dataset` takes.
    backend : str or sequence of str
        Which backends shall be able to prove on it.
    model : Path, optional
        ONNX file of the public architecture; shards are then sized for it, and samples shaped
        for it. Its weights do not matter.
    bits, signed, exponent
        How features become integers, see `circuits.testset.choose_format`; by default 9 bits, or
        8 if halo2 is among the backends.
    weight_bits, activation_bits : int, optional
        Widths to size for, see `compile_model`; matter with `model` only.
    shard_size : int, optional
        Samples of a shard.
    k : int, optional
        Size of a halo2 circuit; by default from `memory`.
    memory : int
        Bytes that proving one shard may use.
    budget : int, optional
        Proofs that may be published against this set; by default as the backend allows cheaply.
    smallest_group : int
        See `circuits.testset.commit_testset`.
    srs, allow_insecure
        SRS file of the halo2 backend, and whether a development one will do.
    label, classes
        As `load_dataset`.
    shuffle : random.Random, optional
        As `circuits.testset.commit_testset`.
    progress : callable
        Called as work proceeds.

    Raises
    ------
    ZkpotError
        Named errors for unreadable data, values that do not fit, and a missing SRS.
    """
    names = [backend] if isinstance(backend, str) else list(dict.fromkeys(backend))
    chosen = [backends.named(name) for name in names]
    dataset = (
        data if isinstance(data, Dataset) else load_dataset(data, label=label, classes=classes)
    )
    if backends.DEFAULT not in names:
        dataset = replace(dataset, group=None)  # halo2 counts none
    network = None if model is None else load_onnx(model)
    if network is not None:
        dataset = _shaped(dataset, network)
    if bits is None:
        # A ninth bit lets pixels of 0 to 1 keep white at their finest step.
        bits = 8 if "halo2" in names else 9
    form, power = choose_format(dataset.x, bits, signed=signed, exponent=exponent)
    settings = DataSettings(
        network=network,
        input_format=form,
        input_exponent=power,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        shard_size=shard_size,
        memory=memory,
        budget=budget,
        k=k,
        srs=SrsChoice(srs, allow_insecure),
    )
    manifest, opening = commit_testset(
        dataset,
        [item.commit(dataset, settings) for item in chosen],
        bits=bits,
        signed=form.signed,
        exponent=power,
        shuffle=shuffle,
        smallest_group=smallest_group,
        progress=lambda done, total: progress("commitments", done, total),
    )
    proofs = [
        item.well_formed(
            manifest, opening, lambda done, total: progress("well-formed", done, total)
        )
        for item in chosen
    ]
    return Committed(manifest, opening, next((p for p in proofs if p is not None), None))


def compile_model(
    model: Path,
    manifest: Manifest,
    *,
    backend: str | None = None,
    data: str | Path | Dataset | None = None,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    model_budget: int | None = None,
    per_class: bool = False,
    confusion: bool = False,
    per_group: bool | None = None,
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
    backend : str, optional
        By default sumcheck if the set is committed for it.
    data : str, Path or Dataset, optional
        Samples of the contributor's own, to choose scales by, and to compare accuracies on.
    weight_bits, activation_bits : int, optional
        Widths of the integers; by default 12 (halo2: weights of 8, and only these are rounded).
    model_budget : int, optional
        Shard proofs that may be published with one commitment to the model; halo2 only, where it
        is part of the circuit.
    per_class, confusion, per_group : bool
        What the proof counts beside the right predictions; sumcheck only. Groups are counted by
        default if the set has any.
    flip_limit : Fraction
        Largest share of samples of `data` whose prediction may change.
    label : str, optional
        Label column of a CSV.

    Raises
    ------
    ZkpotError
        Named errors for what cannot be compiled, does not fit, or flips too often.
    """
    chosen = backends.preferred(manifest.backends, backend)
    manifest.part(chosen.name)
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
    own = None
    if data is not None:
        own = (
            data
            if isinstance(data, Dataset)
            else load_dataset(data, label=label, classes=manifest.classes)
        )
        own = _shaped(own, network)
    groups = chosen.name == "sumcheck" and manifest.groups > 0 if per_group is None else per_group
    settings = CompileSettings(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        calibration=own,
        model_budget=model_budget,
        per_class=per_class,
        confusion=confusion,
        per_group=groups,
    )
    architecture, weights = chosen.quantise(network, manifest, settings)
    comparison = None
    if own is not None:
        comparison = compare(
            model, architecture, weights, own.x, own.y, ties=chosen.ties, limit=flip_limit
        )
    return Compiled(chosen.circuit(architecture, manifest, settings), weights, comparison)


def commit_model(
    circuit: Circuit,
    weights: Weights,
    *,
    budget: int | None = None,
    srs: Path | None = None,
    allow_insecure: bool = False,
) -> tuple[ModelCommitment, ModelOpening]:
    """Commit to quantised weights.

    Parameters
    ----------
    circuit : Circuit
        From `compile_model`.
    weights : Weights
        Likewise.
    budget : int, optional
        Shard proofs that may be published with the commitment; sumcheck only.
    srs, allow_insecure
        As `commit_data`.
    """
    chosen = backends.named(circuit.backend)
    return chosen.commit_model(circuit, weights, budget, SrsChoice(srs, allow_insecure))


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
    cluster: str | None = None,
    send_secrets: bool = False,
    progress: Progress = silent,
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
    memory, jobs : int
        Bytes that all of it may use, and shards at a time.
    srs, allow_insecure
        As `commit_data`.
    cluster : str, optional
        Address of a dask scheduler, such as ``tls://host:8786``, whose workers prove the shards;
        sumcheck only. Whoever can connect to it can read what is sent.
    send_secrets : bool
        Whether samples and weights may be sent there.
    progress : callable
        Called as work proceeds.

    Raises
    ------
    ZkpotError
        As `prover.session.prove_testset`, and OutOfMemory if it does not fit `memory`.
    """
    opening, model = Opening.load(testset_secret), load_model_secret(model_secret)
    if model.backend != circuit.backend:
        raise ShapeMismatch(
            f"the model was committed for {model.backend} and the circuit is for {circuit.backend}"
        )
    settings = ProveSettings(memory, jobs, SrsChoice(srs, allow_insecure), cluster, send_secrets)
    openings = Openings(counter_path(testset_secret), counter_path(model_secret))
    backend = backends.named(circuit.backend)
    with backend.job(circuit, manifest, opening, model, context.digest, settings) as job:
        return prove_testset(job, openings, run_folder, progress)


def counter_path(secret: Path) -> Path:
    """Return the file that counts the openings of a secret file."""
    # Beside the file itself: a link to it must not have a budget of its own.
    secret = secret.resolve()
    return secret.with_name(secret.name + ".openings")


def verify(
    bundle: Path | bytes,
    manifest: Manifest,
    context: Context,
    *,
    circuit: str | None = None,
    model: str | None = None,
    well_formed: Path | bytes | None = None,
    options: Options | None = None,
) -> Verdict:
    """Verify a bundle against a test set and a context; see `verifier.verify`."""
    expected = Expectation(
        manifest, context.digest, circuit=circuit, model=model, well_formed=well_formed
    )
    return verify_bundle(bundle, expected, options)


def _shaped(dataset: Dataset, network: FloatNetwork) -> Dataset:
    # A flat row and an image with as many values are the same data.
    return (
        dataset if dataset.shape == network.input_shape else dataset.reshaped(network.input_shape)
    )
