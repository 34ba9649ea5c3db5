"""`zkpot ledger`: releases of models, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import click

from circuits.encoding import file_digest, read_bytes
from circuits.errors import InputError
from ledger import blob_digest
from ledger.checks import NOTHING
from ledger.engine import Engine
from ledger.entries import AuditAttest, ModelRelease, PredictionAttest
from ledger.signatures import Signs
from zkpot.cli._output import FILE, Output, command_output
from zkpot.cli.ledger._book import LedgerCommand, append, said, writing

_CARD = 1 << 20


@click.command(name="release-model", cls=LedgerCommand)
@writing
@click.option("--name", required=True)
@click.option("--release", required=True, help="Which version this is, such as 1.2.")
@click.option("--model", required=True, help="Commitment to the model: 64 hex digits.")
@click.option("--proof", type=int, help="Entry of its accepted proof.")
@click.option("--artefact", type=FILE, help="File that is shipped, if any; its digest is logged.")
@click.option("--card", type=FILE, help="Model card; it is published.")
@click.option("--parent", "parents", multiple=True, help="Digest of a release it was made from.")
@click.option("--data", "roots", multiple=True, help="Root of registered training data.")
@command_output
def release_model(
    book: Engine, author: Signs, name: str, release: str, model: str, proof: int | None,
    artefact: Path | None, card: Path | None, parents: tuple[str, ...], roots: tuple[str, ...],
    out: Output,
) -> None:  # fmt: skip
    """Ship a committed model under a name, and say what it was made from."""
    blob = None if card is None else read_bytes(card, "model card", _CARD)
    proven = None
    if proof is not None and (proven := book.state.proofs.get(proof)) is None:
        raise InputError(f"entry {proof} is no accepted proof")
    body = ModelRelease(
        name=name,
        release=release,
        model=model,
        task=NOTHING if proven is None else proven.task,
        proof=proof,
        artefact=NOTHING if artefact is None else file_digest(artefact),
        card=NOTHING if blob is None else blob_digest(blob),
        parents=tuple(sorted(set(parents))),
        data=tuple(sorted(set(roots))),
    )
    receipt, digest = append(book, author, body, () if blob is None else (blob,))
    said(out, receipt, f"{name} {release} is release {digest}", release=digest)


@click.command(name="attest-prediction", cls=LedgerCommand)
@writing
@click.option("--release", required=True, help="Digest of the release.")
@click.option("--input", "asked", required=True, help="Digest of what was asked.")
@click.option("--output", "answered", required=True, help="Digest of what was answered.")
@click.option("--evidence", type=FILE, help="What shows it, such as a proof; it is published.")
@command_output
def attest_prediction(
    book: Engine, author: Signs, release: str, asked: str, answered: str, evidence: Path | None,
    out: Output,
) -> None:  # fmt: skip
    """Stand for a prediction of your release, by digests."""
    blob = None if evidence is None else read_bytes(evidence, "evidence")
    named = NOTHING if blob is None else blob_digest(blob)
    body = PredictionAttest(release, asked, answered, named)
    receipt, _ = append(book, author, body, () if blob is None else (blob,))
    said(out, receipt, f"prediction of release {release}")


@click.command(name="attest-audit", cls=LedgerCommand)
@writing
@click.option("--release", required=True, help="Digest of the release.")
@click.option("--proof", type=int, required=True, help="Entry of the proof it rests on.")
@click.option("--report", type=FILE, required=True, help="The report; it is published.")
@command_output
def attest_audit(
    book: Engine, author: Signs, release: str, proof: int, report: Path, out: Output
) -> None:
    """Report on a release, resting on an accepted proof of it."""
    blob = read_bytes(report, "report", _CARD)
    receipt, _ = append(book, author, AuditAttest(release, proof, blob_digest(blob)), (blob,))
    said(out, receipt, f"report on release {release}")
