"""`zkpot ledger`: the log itself, audits, receipts, evidence."""

from __future__ import annotations

from pathlib import Path

import click

from circuits.encoding import read_bytes, write_atomic
from ledger import Ledger, Receipt, VerifierKey, bundle_verifier
from ledger.engine import Engine
from verifier.verify import Options
from zkpot.cli._output import FILE, Output, command_output
from zkpot.cli.ledger._book import LedgerCommand, reading

_NOTE_LIMIT = 1 << 16


@click.command(cls=LedgerCommand)
@reading
@command_output
def show(book: Engine, out: Output) -> None:
    """List the entries of the log, and what was refused."""
    entries, refused, state = book.entries(), book.refusals(), book.state
    for index, entry in enumerate(entries):
        # Names are not unique, so the key is shown as well.
        author = f"{state.name(entry.signer)} {entry.signer[:8]}" if entry.signer else "the rules"
        out.text(f"  {index:>5}  {entry.body.type:<18} {author:<26} {entry.digest}")
    for item in refused:
        who = state.name(item.signer)
        out.text(f"  refused  {item.type:<16} {who:<18} [{item.code}] {item.message}")
    out.result(
        {
            "entries": [
                {"index": i, "type": e.body.type, "signer": e.signer, "digest": e.digest}
                for i, e in enumerate(entries)
            ],
            "refusals": [
                {"code": r.code, "type": r.type, "signer": r.signer, "message": r.message}
                for r in refused
            ],
        }
    )


@click.command()
@click.argument("folder", type=FILE)
@click.option("--no-proofs", is_flag=True, help="Do not verify the proofs again.")
@click.option("--vkey", help="The log's key as handed out; else the ledger is taken at its word.")
@click.option("--srs", type=FILE, help="SRS file; by default the one of the local store.")
@click.option(
    "--resume",
    type=FILE,
    metavar="FILE",
    help="Note in FILE which proofs were verified, and skip those noted before.",
)
@command_output  # fmt: skip
def audit(
    folder: Path, no_proofs: bool, vkey: str | None, srs: Path | None, resume: Path | None,
    out: Output,
) -> None:  # fmt: skip
    """Replay the log from its first entry, and verify every proof again."""
    with Ledger.open(folder) as book, out.progress() as progress:
        options = Options(srs=srs, progress=lambda name: progress(name, 0, 1))
        verify = None if no_proofs else bundle_verifier(book, options)
        report = book.audit(
            verify,
            VerifierKey.parse(vkey) if vkey else None,
            resume=resume,
            progress=progress,
        )
    out.result(report.to_dict())
    report.require()
    proofs = "proofs NOT verified" if no_proofs else f"{report.proofs} proofs verified again"
    if report.resumed:
        proofs += f", {report.resumed} verified before"
    out.text(f"clean: {report.size} entries replayed, {proofs}, root {report.root.hex()}")


@click.command(cls=LedgerCommand)
@reading
@click.argument("entry", type=int)
@click.option("--out", "file", type=FILE, required=True, help="File for the receipt.")
@command_output
def receipt(book: Engine, entry: int, file: Path, out: Output) -> None:
    """Write the receipt of an entry: it verifies offline, with the log's key alone."""
    key = VerifierKey(book.state.origin, book.state.operator)
    write_atomic(file, book.receipt(entry).encode().encode())
    out.text(f"receipt of entry {entry} in {file}; check it with --vkey {key}")
    out.result({"file": str(file), "vkey": str(key)})


@click.command(name="check-receipt")
@click.argument("file", type=FILE)
@click.option("--vkey", required=True, help="The log's key as it was handed out.")
@command_output
def check_receipt(file: Path, vkey: str, out: Output) -> None:
    """Check a receipt offline."""
    text = read_bytes(file, "receipt", _NOTE_LIMIT * 4).decode(errors="replace")
    parsed = Receipt.parse(text)
    entry = parsed.verify(VerifierKey.parse(vkey))
    out.text(f"good: entry {parsed.index} is the {entry.body.type} {entry.digest}")
    out.result({"index": parsed.index, "type": entry.body.type, "digest": entry.digest})
