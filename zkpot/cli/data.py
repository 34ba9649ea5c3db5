"""``zkpot commit-data``: the evaluator's step."""

from __future__ import annotations

import random
from pathlib import Path

import click

from circuits.halo2.circuit import MAX_K, MIN_K
from circuits.sumcheck.wellformed import path_beside
from circuits.testset import MAX_BUDGET, SMALLEST_GROUP
from verifier.question import count
from zkpot.api import commit_data as commit
from zkpot.backends.base import DEFAULT_MEMORY
from zkpot.cli._output import (
    FILE,
    Memory,
    Output,
    backend_option,
    command_output,
    keep_existing,
    srs_options,
)

MANIFEST_NAME = "testset.json"
SECRET_NAME = "testset.secret"  # noqa: S105


@click.command(name="commit-data")
@click.argument("data")
@click.option("--out", "folder", type=FILE, required=True, help="Folder for the files.")
@backend_option(multiple=True, text="Which proof systems can prove on it; may be given twice.")
@click.option(
    "--for",
    "model",
    type=FILE,
    help="ONNX file of the public architecture; sizes and "
    "shapes the shards for it. Its weights do not matter.",
)
@click.option("--bits", type=int, show_default="9, for halo2 8", help="Width of a feature.")
@click.option(
    "--weight-bits",
    type=int,
    show_default="12, for halo2 8",
    help="Width of the weights to size for, with --for.",
)
@click.option(
    "--activation-bits",
    type=int,
    show_default="12",
    help="Width of the values between layers to size for, with --for; sumcheck only.",
)
@click.option(
    "--exponent",
    type=int,
    help="A feature x becomes round(x * 2^EXPONENT); by default the largest that clips nothing.",
)
@click.option("--signed/--unsigned", default=None, help="By default, as the data are.")
@click.option("--shard-size", type=click.IntRange(min=1), help="Samples proven together.")
@click.option(
    "--k",
    type=click.IntRange(MIN_K, MAX_K),
    help="halo2: circuits of 2^K rows; by default from --memory.",
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
    show_default="for sumcheck 16 or more, as many as the profile hides; for halo2 32",
    help="Proofs that may be published against this set.",
)
@click.option(
    "--smallest-group",
    type=click.IntRange(min=1),
    default=SMALLEST_GROUP,
    show_default=True,
    help="Fewest samples of a group in a shard; their counts become public.",
)
@click.option("--label", help="Label column of a CSV.")
@click.option("--classes", type=int, help="Number of classes, if not all occur.")
@click.option("--shuffle", is_flag=True, help="Assign samples to shards in a secret random order.")
@srs_options
@command_output
def commit_data(
    data: str, folder: Path, backend: tuple[str, ...], model: Path | None,
    bits: int | None, weight_bits: int | None, activation_bits: int | None,
    exponent: int | None, signed: bool | None, shard_size: int | None, k: int | None,
    memory: int, budget: int | None, smallest_group: int,
    label: str | None, classes: int | None, shuffle: bool, srs: Path | None,
    allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Commit to a test set: a public manifest and a secret opening.

    DATA is an .npz (x, y), a CSV with a label column, an IDX (MNIST) folder, or a Python
    function, named package.module:function.
    """
    keep_existing(folder / SECRET_NAME)
    with out.progress() as progress:
        committed = commit(
            data,
            backend=backend,
            model=model,
            bits=bits,
            signed=signed,
            exponent=exponent,
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            shard_size=shard_size,
            k=k,
            memory=memory,
            budget=budget,
            smallest_group=smallest_group,
            srs=srs,
            allow_insecure=allow_insecure,
            label=label,
            classes=classes,
            shuffle=random.SystemRandom() if shuffle else None,
            progress=progress,
        )
    manifest, well_formed = committed.manifest, committed.well_formed
    # The secret first: a manifest that nobody can open would be worse than none.
    committed.opening.save(folder / SECRET_NAME)
    public = [folder / MANIFEST_NAME]
    if well_formed is not None:
        public.append(path_beside(public[0]))
        well_formed.save(public[1])
    manifest.save(public[0])
    form = manifest.input_format
    out.text(f"committed {manifest.samples} samples of {manifest.classes} classes")
    out.text(
        f"  features: {'signed' if form.signed else 'unsigned'} {form.bits} bits, "
        f"x * 2^{manifest.input_exponent}"
    )
    for part in manifest.parts:
        out.text(
            f"  {part.backend}: {count(len(part.shards), 'shard')} of {part.shard_size}, "
            f"{count(part.proofs, 'proof')} may be published ({part.size})"
        )
    out.text(f"  test set  {manifest.testset_id}")
    for path in public:
        out.text(f"  publish   {path}")
    out.text(f"  keep      {folder / SECRET_NAME}  (secret, until the set is released)")
    if manifest.srs_insecure:
        out.warn("made with a development SRS, and marked so")
    out.result(
        {
            "testset": manifest.testset_id,
            "manifest": str(public[0]),
            "well_formed": str(public[1]) if well_formed else None,
            "secret": str(folder / SECRET_NAME),
            "samples": manifest.samples,
            "parts": {
                part.backend: {
                    **{name: value for name, value in part.header.items() if name != "srs"},
                    "shards": len(part.shards),
                    "proofs": part.proofs,
                }
                for part in manifest.parts
            },
            "srs_insecure": manifest.srs_insecure,
        }
    )
