"""``zkpot compile`` and ``zkpot commit-model``: the contributor's first two steps."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import click

from circuits.artefact_files import load_circuit
from circuits.compare import FLIP_LIMIT
from circuits.encoding import write_atomic
from circuits.errors import InputError, ShapeMismatch
from circuits.network import macs
from circuits.testset import MAX_BUDGET, Manifest
from circuits.weights_file import load_weights, save_weights
from verifier.question import count
from zkpot import backends
from zkpot.api import commit_model as commit
from zkpot.api import compile_model
from zkpot.backends.base import DEFAULT_MEMORY
from zkpot.cli._output import (
    FILE,
    Memory,
    Output,
    Ratio,
    backend_option,
    command_output,
    keep_existing,
    size_text,
    srs_options,
    time_text,
)

CIRCUIT_NAME = "circuit.json"
WEIGHTS_NAME = "weights.secret"
COMMITMENT_NAME = "model.json"
SECRET_NAME = "model.secret"  # noqa: S105


@click.command(name="compile")
@click.argument("model", type=FILE)
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option("--out", "folder", type=FILE, required=True, help="Folder for the two files.")
@click.option(
    "--data",
    help="Samples of your own, as for commit-data, to choose scales and compare accuracies on.",
)
@backend_option(text="By default sumcheck, if the set is committed for it.")
@click.option("--weight-bits", type=int, show_default="12, for halo2 8")
@click.option(
    "--activation-bits",
    type=int,
    show_default="12",
    help="Width of the values between layers; sumcheck only.",
)
@click.option("--per-class", is_flag=True, help="Count for each true class as well; sumcheck only.")
@click.option("--confusion", is_flag=True, help="Count the confusion matrix; sumcheck only.")
@click.option(
    "--groups/--no-groups",
    "per_group",
    default=None,
    help="Count for each group; by default if the set has groups; sumcheck only.",
)
@click.option(
    "--model-budget",
    type=click.IntRange(1, MAX_BUDGET),
    help="halo2: shard proofs that may be published with one commitment to the model.",
)
@click.option(
    "--max-flips",
    type=Ratio(),
    default=FLIP_LIMIT,
    show_default="0.5%",
    help="Largest share of predictions that quantisation may change.",
)
@click.option("--label", help="Label column of a CSV.")
@click.option(
    "--memory",
    type=Memory(),
    default=DEFAULT_MEMORY,
    show_default="8G",
    help="Memory limit for the estimate.",
)
@command_output
def compile_(
    model: Path, testset: Path, folder: Path, data: str | None, backend: str | None,
    weight_bits: int | None, activation_bits: int | None, per_class: bool, confusion: bool,
    per_group: bool | None, model_budget: int | None, max_flips: Fraction, label: str | None,
    memory: int, out: Output,
) -> None:  # fmt: skip
    """Compile an ONNX model into the circuit of a test set.

    Writes the public circuit and the secret integer weights, says what quantisation costs in
    accuracy, and what proving will cost.
    """
    if not 0 <= max_flips <= 1:
        raise InputError(f"--max-flips {max_flips} is not a share from 0 to 1")
    manifest = Manifest.load(testset)
    compiled = compile_model(
        model,
        manifest,
        backend=backend,
        data=data,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        model_budget=model_budget,
        per_class=per_class,
        confusion=confusion,
        per_group=per_group,
        flip_limit=max_flips,
        label=label,
    )
    circuit, found = compiled.circuit, compiled.comparison
    cost = backends.named(circuit.backend).cost(circuit, manifest, memory, None)
    save_weights(folder / WEIGHTS_NAME, circuit.architecture, compiled.weights)
    write_atomic(folder / CIRCUIT_NAME, circuit.encode())
    out.text(
        f"compiled {len(circuit.architecture.layers)} layers, {macs(circuit.architecture):,} "
        f"multiplications a sample; {compiled.sized.summary}"
    )
    if found is None:
        out.warn("no --data: accuracy and flipped predictions were not measured")
    else:
        out.text(
            f"  accuracy on {found.samples} samples: float {found.float_accuracy:.2%}, "
            f"integer {found.integer_accuracy:.2%}, {found.flips} predictions flipped"
        )
    keys = f"keys {time_text(cost.setup_seconds)}, " if cost.setup_seconds else ""
    key = f"proving key {size_text(cost.key_bytes)}, " if cost.key_bytes else ""
    out.text(
        f"  estimate: {keys}{count(cost.shards, 'proof')} of {time_text(cost.shard_seconds)}; "
        f"{size_text(cost.peak_bytes)} memory, {key}proofs {size_text(cost.proof_bytes)}"
    )
    out.text(f"  circuit   {circuit.digest}")
    out.text(f"  publish   {folder / CIRCUIT_NAME}")
    out.text(f"  keep      {folder / WEIGHTS_NAME}  (secret)")
    out.result(
        {
            "circuit": circuit.digest,
            "circuit_file": str(folder / CIRCUIT_NAME),
            "weights_file": str(folder / WEIGHTS_NAME),
            "backend": circuit.backend,
            **compiled.sized.facts,
            "comparison": None if found is None else vars(found),
        }
    )


@click.command(name="commit-model")
@click.option("--circuit", "circuit_file", type=FILE, required=True)
@click.option("--weights", type=FILE, required=True)
@click.option("--out", "folder", type=FILE, required=True, help="Folder for the two files.")
@click.option(
    "--budget",
    type=click.IntRange(1, MAX_BUDGET),
    help="Shard proofs that may be published with it; by default as many as can be. For halo2 "
    "it is given to compile.",
)
@srs_options
@command_output
def commit_model(
    circuit_file: Path, weights: Path, folder: Path, budget: int | None, srs: Path | None,
    allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Commit to the compiled weights: a public commitment and a secret opening."""
    keep_existing(folder / SECRET_NAME)
    circuit = load_circuit(circuit_file)
    architecture, values = load_weights(weights)
    if architecture != circuit.architecture:
        raise ShapeMismatch("the weights were compiled for another circuit")
    commitment, opening = commit(
        circuit, values, budget=budget, srs=srs, allow_insecure=allow_insecure
    )
    opening.save(folder / SECRET_NAME)
    commitment.save(folder / COMMITMENT_NAME)
    proofs = count(commitment.budget, "shard proof")
    out.text(f"committed to the model; {proofs} may be published with it")
    out.text(f"  model     {commitment.model_id}")
    out.text(f"  publish   {folder / COMMITMENT_NAME}")
    out.text(f"  keep      {folder / SECRET_NAME}  (secret)")
    insecure = getattr(commitment, "srs_insecure", False)
    if insecure:
        out.warn("made with a development SRS, and marked so")
    out.result(
        {
            "model": commitment.model_id,
            "commitment_file": str(folder / COMMITMENT_NAME),
            "secret_file": str(folder / SECRET_NAME),
            "srs_insecure": insecure,
        }
    )
