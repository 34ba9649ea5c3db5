"""``zkpot commit-data``: the evaluator's step."""

from __future__ import annotations

import random
from pathlib import Path

import click

from circuits.halo2.circuit import MAX_K, MIN_K
from circuits.testset import MAX_BUDGET
from prover.plan import DEFAULT_MEMORY
from zkpot.api import commit_data as commit
from zkpot.cli._output import FILE, Memory, Output, command_output, keep_existing, srs_options

MANIFEST_NAME = "testset.json"
SECRET_NAME = "testset.secret"  # noqa: S105


@click.command(name="commit-data")
@click.argument("data")
@click.option("--out", "folder", type=FILE, required=True, help="Folder for the two files.")
@click.option(
    "--for",
    "model",
    type=FILE,
    help="ONNX file of the public architecture; sizes and "
    "shapes the shards for it. Its weights do not matter.",
)
@click.option("--bits", type=int, default=8, show_default=True, help="Width of a feature.")
@click.option(
    "--weight-bits",
    type=int,
    default=8,
    show_default=True,
    help="Width of the weights to size for, with --for.",
)
@click.option(
    "--exponent",
    type=int,
    help="A feature x becomes round(x * 2^EXPONENT); by default the largest that clips nothing.",
)
@click.option("--signed/--unsigned", default=None, help="By default, as the data are.")
@click.option("--shard-size", type=click.IntRange(min=1), help="Samples proven together.")
@click.option(
    "--k", type=click.IntRange(MIN_K, MAX_K), help="Circuits of 2^K rows; by default from --memory."
)
@click.option(
    "--memory",
    type=Memory(),
    default=DEFAULT_MEMORY,
    show_default="8G",
    help="Memory that proving one shard may take.",
)
@click.option(
    "--budget",
    type=click.IntRange(1, MAX_BUDGET),
    default=32,
    show_default=True,
    help="Proofs that may be published against this set.",
)
@click.option("--label", help="Label column of a CSV.")
@click.option("--classes", type=int, help="Number of classes, if not all occur.")
@click.option("--shuffle", is_flag=True, help="Assign samples to shards in a secret random order.")
@srs_options
@command_output
def commit_data(
    data: str, folder: Path, model: Path | None, bits: int, weight_bits: int,
    exponent: int | None, signed: bool | None, shard_size: int | None, k: int | None,
    memory: int, budget: int, label: str | None, classes: int | None, shuffle: bool,
    srs: Path | None, allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Commit to a test set: a public manifest and a secret opening.

    DATA is an .npz (x, y), a CSV with a label column, an IDX (MNIST) folder, or a Python
    function, named package.module:function.
    """
    keep_existing(folder / SECRET_NAME)
    with out.progress() as progress:
        committed = commit(
            data,
            model=model,
            bits=bits,
            signed=signed,
            exponent=exponent,
            weight_bits=weight_bits,
            shard_size=shard_size,
            k=k,
            memory=memory,
            budget=budget,
            srs=srs,
            allow_insecure=allow_insecure,
            label=label,
            classes=classes,
            shuffle=random.SystemRandom() if shuffle else None,
            progress=lambda done, total: progress("commitments", done, total),
        )
    manifest = committed.manifest
    # The secret first: a manifest that nobody can open would be worse than none.
    committed.opening.save(folder / SECRET_NAME)
    manifest.save(folder / MANIFEST_NAME)
    form = manifest.input_format
    out.text(
        f"committed {manifest.samples} samples of {manifest.classes} classes in "
        f"{len(manifest.shards)} shards of {manifest.shard_size} (2^{manifest.k} rows)"
    )
    out.text(
        f"  features: {'signed' if form.signed else 'unsigned'} {form.bits} bits, "
        f"x * 2^{manifest.input_exponent}; opening budget {manifest.budget}"
    )
    out.text(f"  test set  {manifest.testset_id}")
    out.text(f"  publish   {folder / MANIFEST_NAME}")
    out.text(f"  keep      {folder / SECRET_NAME}  (secret, until the set is released)")
    if manifest.srs_insecure:
        out.warn("made with a development SRS, and marked so")
    out.result(
        {
            "testset": manifest.testset_id,
            "manifest": str(folder / MANIFEST_NAME),
            "secret": str(folder / SECRET_NAME),
            "samples": manifest.samples,
            "shards": len(manifest.shards),
            "shard_size": manifest.shard_size,
            "k": manifest.k,
            "srs_insecure": manifest.srs_insecure,
        }
    )
