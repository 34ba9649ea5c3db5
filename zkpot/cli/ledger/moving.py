"""`zkpot ledger`: backups, exports, and moving to another host."""

from __future__ import annotations

from pathlib import Path

import click

from circuits.encoding import read_bytes
from ledger import Ledger, Receipt, VerifierKey
from ledger.embedded import backup as backups
from ledger.embedded import transfer
from ledger.embedded.mark import LOG_KEY
from ledger.errors import BadNote
from zkpot.cli._output import FILE, Output, command_output, load_key
from zkpot.cli.ledger._book import mark_of

_NOTE_LIMIT = 1 << 18

_LOG_KEY = click.option(
    "--log-key", type=FILE, help=f"The log's key, by default {LOG_KEY} in FOLDER."
)


@click.command()
@click.argument("folder", type=FILE)
@click.argument("to", type=FILE)
@command_output
def backup(folder: Path, to: Path, out: Output) -> None:
    """Copy the ledger in FOLDER to the folder TO, whoever writes meanwhile.

    The copy can be read. To go on from it takes `zkpot ledger restore`, which makes sure that
    nothing is signed twice.
    """
    with Ledger.open(folder) as book:
        book.backup(to)
        size = book.state.size
    out.text(f"{size} entries in {to}; the log's key is not among them")
    out.result({"folder": str(to), "size": size})


@click.command()
@click.argument("folder", type=FILE)
@_LOG_KEY
@click.option(
    "--newest",
    type=FILE,
    help="Newest checkpoint or receipt known elsewhere, from a witness or a user.",
)
@click.option("--from", "source", type=FILE,
              help="Where entries that the backup lacks are taken from: an export, or the folder "
              "of the ledger that was lost.")  # fmt: skip
@command_output
def restore(
    folder: Path, log_key: Path | None, newest: Path | None, source: Path | None, out: Output
) -> None:
    """Let the backup in FOLDER go on as the ledger; refused where that would fork it."""
    key = log_key or folder / LOG_KEY
    note = None if newest is None else _note(newest)
    checkpoint = backups.restore(
        folder, load_key(key), mark=mark_of(key), newest=note, source=source
    )
    out.text(f"{folder} is the ledger again, with {checkpoint.size} entries")
    out.result({"size": checkpoint.size, "root": checkpoint.root.hex()})


def _note(path: Path) -> str:
    """Return the checkpoint in a file, which may be a receipt."""
    text = read_bytes(path, "checkpoint", _NOTE_LIMIT).decode(errors="replace")
    try:
        return Receipt.parse(text).checkpoint
    except BadNote:
        return text


@click.command()
@click.argument("folder", type=FILE)
@click.argument("to", type=FILE)
@click.option(
    "--move",
    is_flag=True,
    help="For another host, where it goes on: nothing more is signed here. To be imported once.",
)
@_LOG_KEY  # fmt: skip
@command_output
def export(folder: Path, to: Path, move: bool, log_key: Path | None, out: Output) -> None:
    """Write the ledger to the folder or .tar file TO, for anyone to check."""
    if move:
        key = log_key or folder / LOG_KEY
        with Ledger.open(folder, load_key(key), mark=mark_of(key)) as book:
            book.move(to)
            size = book.state.size
    else:
        with Ledger.open(folder) as book:
            book.export(to)
            size = book.state.size
    out.text(f"{size} entries in {to}" + ("; the ledger goes on there" if move else ""))
    out.result({"to": str(to), "size": size, "moved": move})


@click.command(name="import")
@click.argument("source", type=FILE)
@click.argument("folder", type=FILE)
@click.option(
    "--log-key",
    type=FILE,
    help="The log's key, if the ledger goes on here; else FOLDER is a mirror.",
)
@click.option("--vkey", help="The log's key as handed out; else the export is taken at its word.")
@command_output  # fmt: skip
def import_(
    source: Path, folder: Path, log_key: Path | None, vkey: str | None, out: Output
) -> None:
    """Make a ledger in FOLDER of an export, every entry checked; proofs are for `audit`."""
    checkpoint = transfer.import_(
        source,
        folder,
        None if log_key is None else load_key(log_key),
        mark=None if log_key is None else mark_of(log_key),
        log=VerifierKey.parse(vkey) if vkey else None,
    )
    what = "a mirror of the ledger" if log_key is None else "the ledger"
    out.text(f"{folder} is {what}, with {checkpoint.size} entries")
    out.result({"size": checkpoint.size, "root": checkpoint.root.hex()})
