"""`zkpot ledger`: test sets, tasks, commitments, releases, submissions."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from circuits.artefact_files import load_circuit, load_model
from circuits.bundle import MAX_BYTES, Bundle
from circuits.encoding import read_bytes, write_atomic
from circuits.errors import InputError
from circuits.statement import Context
from circuits.sumcheck.wellformed import MAX_BYTES as MAX_WELL_FORMED
from circuits.sumcheck.wellformed import path_beside
from circuits.testset import Manifest
from ledger import blob_digest
from ledger.engine import Engine
from ledger.entries import (
    NOTHING,
    ModelCommit,
    ProofSubmit,
    TaskClose,
    TaskOpen,
    TestsetRelease,
)
from ledger.policy import RULES, Policy, Windows
from ledger.proofs import registration
from ledger.reveals import invalid_reveal
from ledger.signatures import Signs
from verifier.verify import Options
from zkpot import backends
from zkpot.backends.base import SrsChoice
from zkpot.cli._output import FILE, ROUND, Output, Ratio, command_output, srs_options
from zkpot.cli.ledger._book import LedgerCommand, append, read_signatures, said, submitted, writing


@click.command(cls=LedgerCommand)
@writing
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option(
    "--well-formed",
    type=FILE,
    help="sumcheck: proof that the set is well-formed; by default the file beside the manifest.",
)
@command_output
def data(book: Engine, author: Signs, testset: Path, well_formed: Path | None, out: Output) -> None:
    """Register a committed test set, as its evaluator; that it is well-formed is verified."""
    manifest = Manifest.load(testset)
    blob, proof = manifest.to_bytes(), None
    if "sumcheck" in manifest.backends:
        path = well_formed or path_beside(testset)
        proof = read_bytes(path, "proof that the test set is well-formed", MAX_WELL_FORMED)
    body = registration(blob, proof, Options())
    receipt, _ = append(book, author, body, (blob, proof) if proof else (blob,))
    said(out, receipt, f"test set {manifest.testset_id}", testset=manifest.testset_id)


@click.command(cls=LedgerCommand)
@writing
@click.option("--circuit", "circuit_file", type=FILE, required=True)
@click.option("--testset", type=FILE, required=True, help="Manifest of the test set.")
@click.option("--title", required=True)
@click.option(
    "--minimum",
    type=Ratio(),
    default="1/2",
    show_default=True,
    help="Least accuracy that is taken, and from which gains count.",
)
@click.option(
    "--eta",
    type=Ratio(),
    default="1/100",
    show_default=True,
    help="Least gain over the best credited score that is paid.",
)
@click.option("--pool", type=int, default=1000, show_default=True, help="Most that is ever paid.")
@click.option("--submissions", type=int, default=1, show_default=True, help="For each identity.")
@click.option("--openings", type=int, help="Proofs in all, by default the set's budget.")
@click.option(
    "--prover",
    type=click.Choice(["contributor", "evaluator"]),
    default="contributor",
    show_default=True,
    help="Who proves: the set is released to contributors, or they "
    "hand their model to the evaluator.",
)
@click.option("--rounds", type=int, default=1, show_default=True)
@click.option(
    "--rule",
    type=click.Choice(RULES),
    default="gain",
    show_default=True,
    help="gain: paid at once for what is gained over the best; best: all to the best, "
    "equal: the same to all who pass, when the task closes.",
)
@click.option(
    "--bond",
    type=int,
    default=0,
    show_default=True,
    help="What contributors must have bonded before they commit.",
)
@click.option(
    "--evaluator-bond",
    type=int,
    default=0,
    show_default=True,
    help="What the evaluator must have bonded before anyone commits.",
)
@click.option(
    "--window-unit",
    "unit",
    type=click.Choice(["entries", "seconds"]),
    default="entries",
    show_default=True,
    help="What the windows are counted in.",
)
@click.option(
    "--commit-window", type=int, default=0, help="How long models are taken; 0: until the release."
)
@click.option(
    "--release-window",
    type=int,
    default=0,
    help="How long after that the set can be released; 0: for ever.",
)
@click.option(
    "--prove-window",
    type=int,
    default=0,
    help="How long after the release proofs are taken; 0: for ever.",
)
@click.option(
    "--verifier",
    metavar="ADDRESS",
    help="evm, halo2: the circuit's verifier contract (ledger evm verifier).",
)
@click.option(
    "--proposal",
    type=FILE,
    help="evm, halo2: write the entry for the governors to approve, and send nothing.",
)
@click.option(
    "--approval",
    "approved",
    type=FILE,
    multiple=True,
    help="evm, halo2: a governor's approval of it (ledger evm approve-task).",
)
@srs_options
@command_output  # fmt: skip
def task(
    book: Engine, author: Signs, circuit_file: Path, testset: Path, title: str,
    minimum: Fraction, eta: Fraction, pool: int, submissions: int, openings: int | None,
    prover: str, rounds: int, rule: str, bond: int, evaluator_bond: int, unit: str,
    commit_window: int, release_window: int, prove_window: int, verifier: str | None,
    proposal: Path | None, approved: tuple[Path, ...], srs: Path | None, allow_insecure: bool,
    out: Output,
) -> None:  # fmt: skip
    """Open a task; for halo2 the verifying key is derived here and pinned."""
    circuit, manifest = load_circuit(circuit_file), Manifest.load(testset)
    backend = backends.named(circuit.backend)
    backend.require_testset(circuit, manifest)
    with out.progress() as progress:
        progress("keys", 0, 1)
        pins = backend.pins(circuit, SrsChoice(srs, allow_insecure))
        progress("keys", 1, 1)
    blob = circuit.encode()
    policy = Policy(
        minimum_accuracy=minimum,
        eta=eta,
        pool=pool,
        submissions_per_identity=submissions,
        openings=manifest.proofs if openings is None else openings,
        rule=rule,
        bond=bond,
        evaluator_bond=evaluator_bond,
        windows=Windows(unit, commit_window, release_window, prove_window),
    )
    body = TaskOpen(
        title=title,
        backend=backend.name,
        circuit=circuit.digest,
        vk=pins.verifying_key,
        srs=pins.srs,
        architecture=blob_digest(blob),
        testset=manifest.testset_id,
        prover=prover,
        rounds=rounds,
        policy=policy,
    )
    if proposal is not None:
        entry = book.sign(body, author)
        write_atomic(proposal, entry.encode())
        out.text(f"proposal of task {entry.digest} in {proposal}; send nothing else before it")
        out.result({"task": entry.digest, "file": str(proposal)})
        return
    given: dict[str, Any] = {}
    if verifier is not None:
        given = {
            "verifier": verifier.removeprefix("0x").lower(),
            "approvals": read_signatures(approved),
        }
    receipt, digest = append(book, author, body, (blob,), **given)
    said(out, receipt, f"task {digest}", task=digest, vk=pins.verifying_key)


@click.command(cls=LedgerCommand)
@writing
@click.option("--task", "task_id", required=True)
@ROUND
@click.option("--model", type=FILE, required=True, help="Public commitment to the model.")
@command_output
def commit(
    book: Engine, author: Signs, task_id: str, round_: int, model: Path, out: Output
) -> None:
    """Commit to a model, before the test set is released."""
    commitment = load_model(model)
    backends.named(commitment.backend).check_commitment(commitment)
    state = book.state
    context = Context(state.author(author.public), task_id, round_, state.origin)
    body = ModelCommit(task_id, round_, commitment.model_id, context.digest)
    receipt, _ = append(book, author, body)
    said(out, receipt, f"model {commitment.model_id}", context=context.digest)


@click.command(cls=LedgerCommand)
@writing
@click.option("--task", "task_id", required=True)
@ROUND
@click.option(
    "--opening",
    type=FILE,
    help="The secret file that you hand out: its digest is logged, so that a wrong one "
    "can be shown. The file itself stays with you.",
)
@command_output
def release(
    book: Engine, author: Signs, task_id: str, round_: int, opening: Path | None, out: Output
) -> None:
    """Close the commitments of a round, as the evaluator; then hand out the test set's secret."""
    named = NOTHING
    if opening is not None:
        content = read_bytes(opening, "opening")
        pins = book.state.pins(task_id, round_, author.public)
        # Better said to its owner than shown by others.
        if invalid_reveal(book.blob(pins.manifest), content):
            raise InputError(f"{opening} does not open the test set of the task")
        named = blob_digest(content)
    receipt, _ = append(book, author, TestsetRelease(task_id, round_, named))
    said(out, receipt, f"round {round_} is released; no model is taken any more", task=task_id)


@click.command(cls=LedgerCommand)
@writing
@click.option("--task", "task_id", required=True)
@ROUND
@click.option("--bundle", type=FILE, required=True)
@click.option(
    "--attestation",
    "attestations",
    type=FILE,
    multiple=True,
    help="evm, sumcheck: a validator's word that it verified the bundle.",
)
@click.option("--srs", type=FILE, help="SRS file; by default the one of the local store.")
@command_output  # fmt: skip
def submit(
    book: Engine, author: Signs, task_id: str, round_: int, bundle: Path,
    attestations: tuple[Path, ...], srs: Path | None, out: Output,
) -> None:  # fmt: skip
    """Verify a proof bundle and, if it holds, log it and credit its submitter."""
    content = read_bytes(bundle, "bundle", MAX_BYTES)
    claimed = Bundle.decode(content)
    body = ProofSubmit(
        task_id, round_, blob_digest(content), claimed.statement, claimed.srs_insecure
    )
    with out.progress() as progress:
        options = Options(srs=srs, progress=lambda name: progress(name, 0, 1))
        # The same proof handed in twice, as after a lost answer, is one submission.
        who = book.state.author(author.public)
        signed = book.sign(body, author)
        entry = book.submission(body, who) or signed
        receipt = submitted(book, content, entry, options, attestations)
    paid = book.credited(receipt)
    said(
        out, receipt,
        f"{claimed.statement.correct} of {claimed.statement.samples} verified; credited {paid}",
        credited=paid, balance=book.balance(who),
    )  # fmt: skip


@click.command(cls=LedgerCommand)
@writing
@click.option("--task", "task_id", required=True)
@command_output
def close(book: Engine, author: Signs, task_id: str, out: Output) -> None:
    """End a task whose deadlines have passed: it pays what it pays at the end."""
    receipt, _ = append(book, author, TaskClose(task_id))
    minted = book.task(task_id).minted
    said(out, receipt, f"task {task_id} is closed; it paid {minted} in all", minted=minted)
