"""``zkpot commit-training``, ``data-card``, ``membership``; ``ledger register-training, trace``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click

from circuits.encoding import write_atomic
from circuits.errors import InputError
from ledger.engine import Engine
from ledger.provenance import (
    Card,
    Creator,
    MembershipProof,
    Trace,
    TrainingSecret,
    canonical_licence,
    commit_training,
    open_source,
    prove_membership,
    trace,
    verify_file,
    verify_row,
)
from ledger.signatures import Signs
from zkpot.cli._output import FILE, Output, command_output, digest_of, keep_existing, load_key
from zkpot.cli.ledger._book import LedgerCommand, append, reading, said, writing

CARD_NAME = "training.json"
SECRET_NAME = "training.secret"  # noqa: S105
FORMATS = ("text", "json", "intoto", "prov")


def _root(text: str) -> str:
    """Return a root given as hex, or that of the card in a file."""
    root = digest_of(text, lambda path: Card.load(path).root)
    assert root is not None
    return root


@click.command(name="commit-training")
@click.argument("data", type=FILE)
@click.option("--out", "folder", type=FILE, required=True, help="Folder for card and secret.")
@click.option("--rows", "unit", flag_value="rows", help="DATA is a table; said by its name too.")
@click.option("--files", "unit", flag_value="files", help="DATA is a folder.")
@click.option("--name", required=True, help="Name of the data.")
@click.option("--description", required=True, help="What they are.")
@click.option("--licence", "--license", "licence", required=True,
              help="SPDX identifier, LicenseRef- and a name, or URL of the terms.")  # fmt: skip
@click.option("--creator", "people", multiple=True, help="Person who made them; repeatable.")
@click.option("--organisation", "organisations", multiple=True, help="The same, if not a person.")
@click.option("--parent", "parents", multiple=True,
              help="Registered data these were made from: root, or card; repeatable.")  # fmt: skip
@click.option("--data-version", "version", default="1.0.0", show_default=True)
@click.option("--url", default="", help="Page about the data.")
@click.option("--keyword", "keywords", multiple=True)
@click.option("--published", help="Date of the card, YYYY-MM-DD; by default today's, UTC.")
@click.option("--rai", "rai", multiple=True, metavar="PROPERTY=TEXT",
              help="Croissant responsible-AI property, like dataBiases; repeatable.")  # fmt: skip
@click.option("--secret", "again", type=FILE,
              help="Use the key of this secret: the same data then get the same root.")  # fmt: skip
@command_output
def commit_training_(
    data: Path, folder: Path, unit: str | None, name: str, description: str, licence: str,
    people: tuple[str, ...], organisations: tuple[str, ...], parents: tuple[str, ...],
    version: str, url: str, keywords: tuple[str, ...], published: str | None,
    rai: tuple[str, ...], again: Path | None, out: Output,
) -> None:  # fmt: skip
    """Commit to training data: a public card with a root, and a secret.

    DATA is a folder, or a table of one row for each sample: a CSV with a header, or an .npz.
    """
    keep_existing(folder / SECRET_NAME)
    source = open_source(data, unit)
    if data.is_dir() and folder.resolve().is_relative_to(data.resolve()):
        raise InputError(f"--out {folder} is in the data, which it would change")
    key = None if again is None else TrainingSecret.load(again).key
    # What can be refused is refused before the data are read.
    licence, ancestors = canonical_licence(licence), tuple(sorted({_root(p) for p in parents}))
    properties = _properties(rai)
    with out.progress() as progress:
        progress("reading", 0, 1)
        made = commit_training(source, key)
        progress("reading", 1, 1)
    card = Card(
        name=name,
        description=description,
        licence=licence,
        creators=(
            *(Creator(person) for person in people),
            *(Creator(organisation, "Organization") for organisation in organisations),
        ),
        published=published or datetime.now(UTC).date().isoformat(),
        commitment=made.commitment,
        columns=source.columns,
        encoding=source.encoding,
        version=version,
        url=url,
        keywords=keywords,
        parents=ancestors,
        rai=properties,
    )
    public = card.to_bytes()
    # The secret first: a root that nobody can open would be worse than none.
    made.save(folder / SECRET_NAME)
    write_atomic(folder / CARD_NAME, public)
    out.text(f"committed to {made.commitment.count} {made.commitment.unit}")
    out.text(f"  root      {card.root}")
    out.text(f"  publish   {folder / CARD_NAME}")
    out.text(f"  keep      {folder / SECRET_NAME}  (secret: who has it can test guesses)")
    out.result({**_summary(card), "card": str(folder / CARD_NAME),
                "secret": str(folder / SECRET_NAME)})  # fmt: skip


def _properties(rai: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for item in rai:
        name, separator, text = item.partition("=")
        if not separator:
            raise InputError(f"--rai {item!r} is not of the form PROPERTY=TEXT")
        found[name] = (*found.get(name, ()), text)
    return found


def _summary(card: Card) -> dict[str, object]:
    return {
        "root": card.root,
        "unit": card.commitment.unit,
        "count": card.commitment.count,
        "licence": card.licence,
        "parents": list(card.parents),
    }


@click.command(name="data-card")
@click.argument("file", type=FILE)
@command_output
def data_card(file: Path, out: Output) -> None:
    """Check a data card and show what it says."""
    card = Card.load(file)
    out.text(f"{card.name} {card.version}, {card.published}")
    out.text(f"  {card.commitment.count} {card.commitment.unit}, {card.licence}, "
             f"by {', '.join(creator.name for creator in card.creators)}")  # fmt: skip
    out.text(f"  root      {card.root}")
    for parent in card.parents:
        out.text(f"  made from {parent}")
    out.result({**_summary(card), "name": card.name, "version": card.version})


@click.group()
def membership() -> None:
    """Show that one file or row is part of committed training data."""


@membership.command()
@click.argument("data", type=FILE)
@click.option("--secret", type=FILE, required=True, help="From when DATA were committed to.")
@click.option("--index", type=int, help="Place of the file or row, from 0.")
@click.option("--path", "name", help="Path of the file in DATA, instead of its place.")
@click.option("--out", "file", type=FILE, required=True, help="File for the proof.")
@command_output
def prove(
    data: Path, secret: Path, index: int | None, name: str | None, file: Path, out: Output
) -> None:
    """Prove that a file or row is in DATA; reads them once more."""
    proof = prove_membership(open_source(data), TrainingSecret.load(secret), index=index, name=name)
    write_atomic(file, proof.encode())
    what = proof.name or f"row {proof.index}"
    out.text(f"proof for {what} of {proof.commitment.count} in {file}")
    out.text("  whoever gets it can test guesses of this one item, and of no other")
    out.result({"file": str(file), "root": proof.commitment.root, "index": proof.index,
                "name": proof.name})  # fmt: skip


@membership.command()
@click.argument("proof", type=FILE)
@click.argument("data", type=FILE)
@click.option("--root", required=True, help="Root as registered, or the card that has it.")
@click.option("--row", type=click.IntRange(min=0), help="Row of DATA, if it has several.")
@command_output
def verify(proof: Path, data: Path, root: str, row: int | None, out: Output) -> None:
    """Check offline that DATA, a file or a table with the row, was committed to."""
    claimed, expected = MembershipProof.load(proof), _root(root)
    if claimed.commitment.unit == "files":
        if row is not None:
            raise InputError("the proof is about a file: --row is for tables")
        verify_file(expected, claimed, data)
    else:
        table = open_source(data, "rows")
        if row is None and len(list(islice(table, 2))) > 1:
            raise InputError(f"{data} has several rows: say which with --row")
        verify_row(expected, claimed, table, row or 0)
    what = claimed.name or f"row {claimed.index}"
    out.text(f"good: it is {what} of {claimed.commitment.count} in the data {expected}")
    out.result({"root": expected, "index": claimed.index, "name": claimed.name})


@click.command(name="register-training", cls=LedgerCommand)
@writing
@click.option("--card", "file", type=FILE, required=True, help="Card of the data; published.")
@command_output
def register_training(book: Engine, author: Signs, file: Path, out: Output) -> None:
    """Register committed training data, with its card."""
    card = Card.load(file)
    receipt, _ = append(book, author, card.registration(), (card.to_bytes(),))
    said(out, receipt, f"training data {card.root}", data=card.root)


@click.command(name="trace", cls=LedgerCommand)
@reading
@click.argument("model")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True,
              help="intoto: signed in-toto attestation; prov: W3C PROV-JSON.")  # fmt: skip
@click.option("--out", "file", type=FILE, help="File to write; by default it is shown.")
@click.option("--key", "key_file", type=FILE, help="intoto: Ed25519 key to sign with.")
@command_output
def trace_(
    book: Engine, model: str, form: str, file: Path | None, key_file: Path | None, out: Output
) -> None:
    """Follow MODEL back to its data, parents, tasks, proofs and credits.

    MODEL is the digest of a release, the commitment of a model, or NAME or NAME@VERSION.
    """
    if (form == "intoto") != (key_file is not None):
        raise InputError("--format intoto needs a --key to sign with, and nothing else does")
    found = trace(book, model)
    data = _written(found, form, key_file)
    if file is None:
        out.text(data.decode().rstrip("\n"))
        out.result(found.to_dict() if form == "text" else json.loads(data))
        return
    write_atomic(file, data)
    out.text(f"trace of {model} in {file}: {len(found.nodes)} nodes")
    for remark in found.remarks:
        out.warn(f"{remark.code} {found.node(remark.node).label}: {remark.message}")
    remarks = found.to_dict()["remarks"]
    out.result({"file": str(file), "format": form, "nodes": len(found.nodes), "remarks": remarks})


def _written(found: Trace, form: str, key: Path | None) -> bytes:
    # The libraries of the extra are loaded for who asks for them only.
    if key is not None:
        from ledger.provenance import intoto

        return intoto.export(found, load_key(key))
    if form == "prov":
        from ledger.provenance import prov

        return prov.export(found)
    return found.encode() if form == "json" else "".join(f"{s}\n" for s in found.text()).encode()
