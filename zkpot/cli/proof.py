"""``zkpot prove`` and ``zkpot verify``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

import click

from circuits.artefact_files import load_circuit, load_model
from circuits.encoding import write_atomic
from circuits.errors import InputError
from circuits.statement import Statement
from circuits.sumcheck.wellformed import path_beside
from circuits.testset import Manifest
from verifier.question import count
from verifier.verdict import Verdict
from verifier.verify import Options, Verifiers
from zkpot.api import prove as prove_bundle
from zkpot.api import verify as verify_one
from zkpot.backends.base import DEFAULT_MEMORY
from zkpot.cli._output import (
    FILE,
    Memory,
    Output,
    command_output,
    context_options,
    digest_of,
    make_context,
    size_text,
    srs_options,
    time_text,
)


@click.command()
@click.option("--circuit", "circuit_file", type=FILE, required=True)
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option("--testset-secret", type=FILE, required=True, help="Its opening.")
@click.option("--model-secret", type=FILE, required=True, help="Opening of the model.")
@click.option("--out", "bundle_file", type=FILE, required=True, help="Proof bundle to write.")
@click.option(
    "--memory",
    type=Memory(),
    default=DEFAULT_MEMORY,
    show_default="8G",
    help="Memory that proving may take in all.",
)
@click.option(
    "--jobs",
    type=int,
    help="Shards at a time; by default one, for halo2 one per four cores, on a cluster one per "
    "worker.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="sumcheck: prove on the workers of a dask scheduler, such as tls://host:8786.",
)
@click.option(
    "--send-secrets",
    is_flag=True,
    help="Let samples and weights be sent to the cluster, in the clear to whoever runs it.",
)
@click.option(
    "--run-folder",
    type=FILE,
    help="Where finished shards are kept; by default beside the model's secret.",
)
@context_options
@srs_options
@command_output
def prove(
    circuit_file: Path, testset: Path, testset_secret: Path, model_secret: Path,
    bundle_file: Path, memory: int, jobs: int | None, cluster: str | None, send_secrets: bool,
    run_folder: Path | None, submitter: str, task: str | None, round_: int, origin: str,
    srs: Path | None, allow_insecure: bool, out: Output,
) -> None:  # fmt: skip
    """Prove how many samples of a released test set the committed model gets right.

    Interrupted, it keeps the finished shards; the same command continues.
    """
    manifest = Manifest.load(testset)
    context = make_context(submitter, task, round_, origin, manifest.testset_id)
    if bundle_file.is_dir():
        raise InputError(f"{bundle_file} is a folder: name the bundle's file")
    # With the model, so that a proof for the same context is found under any name.
    folder = run_folder or model_secret.with_name(f"{model_secret.name}.run")
    if cluster is not None and send_secrets and not cluster.startswith("tls://"):
        out.warn(
            f"the way to {cluster} is not encrypted: samples and weights can be read on it; "
            "use tls://"
        )
    begin = time.monotonic()
    with out.progress() as progress:
        bundle, report = prove_bundle(
            load_circuit(circuit_file),
            manifest,
            testset_secret,
            model_secret,
            context,
            folder,
            memory=memory,
            jobs=jobs,
            srs=srs,
            allow_insecure=allow_insecure,
            cluster=cluster,
            send_secrets=send_secrets,
            progress=progress,
        )
    seconds = time.monotonic() - begin
    data = bundle.encode()
    write_atomic(bundle_file, data)
    statement = bundle.statement
    out.text(f"proved: {statement.correct} of {statement.samples} right "
             f"({statement.correct / statement.samples:.2%})")  # fmt: skip
    out.text(
        f"  {time_text(seconds)} in all; {count(report.proven, 'shard')} proven, "
        f"{report.resumed} resumed; peak {size_text(report.peak_rss)} a process; "
        f"bundle {size_text(len(data))}"
    )
    _show_tables(statement, out)
    out.text(f"  bundle    {bundle_file}")
    if bundle.srs_insecure:
        out.warn("made with a development SRS, and marked so")
    out.result(
        {
            "bundle": str(bundle_file),
            "digest": bundle.digest,
            "statement": statement.to_dict(),
            "milliseconds": round(seconds * 1000),
            "peak_rss": report.peak_rss,
            "bytes": len(data),
            "proven": report.proven,
            "resumed": report.resumed,
            "srs_insecure": bundle.srs_insecure,
        }
    )


@click.command()
@click.argument("bundle", type=FILE)
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option("--circuit", "circuit", help="Circuit digest that was agreed on, or its file.")
@click.option("--model", help="Model id that was registered, or its file.")
@click.option(
    "--well-formed",
    type=FILE,
    help="sumcheck: proof that the set is well-formed; by default the file beside the manifest.",
)
@click.option(
    "--verifier",
    "verifiers",
    type=click.Choice(get_args(Verifiers)),
    default="auto",
    show_default=True,
    help="fast (ezkl for halo2), plain (plain Python; py_ecc for halo2), or both. auto is both, "
    "but for sumcheck proofs that would take the plain one more than ten seconds.",
)
@click.option("--fresh-keys", is_flag=True, help="halo2: derive the verifying key again.")
@click.option(
    "--memory",
    type=Memory(),
    default=DEFAULT_MEMORY,
    show_default="8G",
    help="A bundle that needs more to verify is not for this machine.",
)
@context_options
@srs_options
@command_output
def verify(
    bundle: Path, testset: Path, circuit: str | None, model: str | None,
    well_formed: Path | None, verifiers: Verifiers, fresh_keys: bool, memory: int, submitter: str,
    task: str | None, round_: int, origin: str, srs: Path | None, allow_insecure: bool,
    out: Output,
) -> None:  # fmt: skip
    """Verify a proof bundle against a test set and a context; exit status 6 if it is rejected.

    All that the proof is held against is derived here, from the public circuit and the test set;
    nothing of the prover is trusted.
    """
    manifest = Manifest.load(testset)
    context = make_context(submitter, task, round_, origin, manifest.testset_id)
    circuit = digest_of(circuit, lambda path: load_circuit(path).digest)
    model = digest_of(model, lambda path: load_model(path).model_id)
    with out.progress() as progress:
        options = Options(
            allow_insecure_srs=allow_insecure,
            verifiers=verifiers,
            srs=srs,
            fresh_keys=fresh_keys,
            memory=memory,
            progress=lambda name: progress(name, 0, 1),
        )
        verdict = verify_one(
            bundle,
            manifest,
            context,
            circuit=circuit,
            model=model,
            well_formed=well_formed or path_beside(testset),
            options=options,
        )
    show_verdict(verdict, out)
    out.result(verdict.to_dict())
    if circuit is None:
        out.warn("no --circuit given: the architecture is the prover's choice")
    verdict.require()


def show_verdict(verdict: Verdict, out: Output) -> None:
    """Write each check, then what was established."""
    for check in verdict.checks:
        mark = "ok  " if check.passed else "FAIL"
        out.text(f"  {mark} {check.name:<11} {check.seconds:6.2f} s  {check.detail}")
    if verdict.accepted and verdict.statement is not None:
        statement = verdict.statement
        out.text(f"accepted: {statement.correct} of {statement.samples} right "
                 f"({statement.correct / statement.samples:.2%})")  # fmt: skip
        _show_tables(statement, out)
        if verdict.srs_insecure:
            out.warn("the proof rests on a development SRS: its maker could have forged it")


def _show_tables(statement: Statement, out: Output) -> None:
    """Write the counts of each class and group, where there are any."""
    for name, shares in (("class", statement.per_class), ("group", statement.groups)):
        for number, (right, samples) in enumerate(shares):
            share = f" ({right / samples:.2%})" if samples else ""
            out.text(f"  {name} {number}: {right} of {samples} right{share}")
    if statement.confusion:
        out.text("  confusion matrix, true classes down and predicted ones across:")
        width = 1 + max(len(str(value)) for row in statement.confusion for value in row)
        for row in statement.confusion:
            out.text("   " + "".join(f"{value:>{width}}" for value in row))
