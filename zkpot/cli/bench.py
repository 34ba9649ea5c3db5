"""``zkpot bench``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, get_args

import click

from benchmarks import ledger, mnist, report
from benchmarks.mnist import NETWORKS
from circuits.errors import SrsMissing
from circuits.halo2 import srs as srs_files
from circuits.halo2.plan import DEFAULT_K
from zkpot.cli._output import FILE, Output, command_output, size_text
from zkpot.training import DatasetName


@click.command()
@click.option(
    "--suite",
    type=click.Choice(["mnist", "halo2", "ledger"]),
    default="mnist",
    show_default=True,
    help="mnist: public networks on MNIST's test images, against ezkl's sound circuit. halo2: "
    "that circuit on bundled data, against one ezkl proof a sample. ledger: a ledger of 10,000 "
    "entries, against the same rows in a plain table.",
)
@click.option("--network", "networks", type=click.Choice(list(NETWORKS)), multiple=True,
              help="mnist: by default all of them.")  # fmt: skip
@click.option(
    "--dataset", type=click.Choice(get_args(DatasetName)), default="digits", show_default="digits",
    help="halo2: which data.",
)  # fmt: skip
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    multiple=True,
    show_default="100 1000 10000; halo2: 100",
    help="Samples to prove; mnist takes several.",
)
@click.option(
    "--naive-samples",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Samples for what we are compared with, which takes long.",
)
@click.option("--readme", type=FILE, help="mnist: write the table into this Markdown file.")
@click.option("--plot", "picture", type=FILE, help="mnist: draw time and size as this PNG.")
@click.option("--out", "folder", type=FILE, help="Keep all files here; else they are removed.")
@command_output
def bench(
    suite: str, networks: tuple[str, ...], dataset: DatasetName, samples: tuple[int, ...],
    naive_samples: int, readme: Path | None, picture: Path | None, folder: Path | None,
    out: Output,
) -> None:  # fmt: skip
    """Measure this machine against the alternative a user would take, in one run."""
    with tempfile.TemporaryDirectory(prefix="zkpot-bench-") as scratch:
        kept = folder or Path(scratch)
        if suite == "mnist":
            found = mnist.run_suite(
                kept, networks or tuple(NETWORKS), samples or mnist.SAMPLES, naive_samples, out.text
            )
            out.text(report.table(found))
            if readme is not None:
                report.write_readme(readme, found)
            if picture is not None:
                report.plot(picture, found)
        elif suite == "ledger":
            found = ledger.run_suite(kept)
            out.text(ledger.table(found))
        else:
            found = _halo2(kept, dataset, samples[0] if samples else 100, naive_samples, out)
    out.result(found)


def _halo2(
    folder: Path, dataset: DatasetName, samples: int, naive_samples: int, out: Output
) -> dict[str, Any]:
    # It trains a network: torch is not needed for the other suite.
    from benchmarks.halo2 import run_suite

    try:
        srs_files.find(DEFAULT_K, allow_insecure=True)
    except SrsMissing:
        out.warn("no SRS at hand: making a development one")
        srs_files.make_development(DEFAULT_K)
    found = run_suite(folder, dataset, samples, naive_samples)
    _table(found, "halo2", out)
    return found


def _table(found: dict[str, Any], suite: str, out: Output) -> None:
    ours, naive = found["ours"], found["naive"]
    out.text(f"suite {suite}: {found['dataset']}, {found['network']}; ours proves "
             f"{ours['samples']} samples in {ours['shards']} shards, ezkl alone "
             f"{naive['samples']} one by one")  # fmt: skip
    total = ours["samples"]
    rows = [
        ("rows of the circuit", f"2^{ours['k']}", f"2^{naive['k']}"),
        ("key generation", f"{ours['setup_seconds']:.1f} s", f"{naive['setup_seconds']:.1f} s"),
        ("proving, a sample", f"{ours['seconds_per_sample']:.3f} s",
         f"{naive['seconds_per_sample']:.3f} s"),
        ("peak memory", size_text(ours["peak_bytes"]), size_text(naive["peak_bytes"])),
        ("proving key", size_text(ours["proving_key_bytes"]),
         size_text(naive["proving_key_bytes"])),
        ("verifying key", size_text(ours["verifying_key_bytes"]),
         size_text(naive["verifying_key_bytes"])),
        (f"proofs of {total}", size_text(ours["bundle_bytes"]),
         size_text(naive["proof_bytes"] * total)),
        (f"ezkl verifies {total}", f"{ours['verify_ezkl_seconds']:.2f} s",
         f"{naive['verify_seconds_per_sample'] * total:.2f} s"),
        (f"py_ecc verifies {total}", f"{ours['verify_py_ecc_seconds']:.2f} s", "-"),
    ]  # fmt: skip
    out.text(f"  {'':<22}{'zkpot':>12}{'ezkl alone':>14}")
    for name, left, right in rows:
        out.text(f"  {name:<22}{left:>12}{right:>14}")
    out.text(f"  zkpot is {found['ratio']:.1f} times as fast a sample")
    out.text("  ezkl alone: sizes and verification of all samples are its measured ones times "
             f"{total}; it proves no accuracy")  # fmt: skip
