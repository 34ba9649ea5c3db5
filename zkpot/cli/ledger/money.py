"""`zkpot ledger`: balances, transfers, bonds, and their loss."""

from __future__ import annotations

from pathlib import Path

import click

from circuits.encoding import read_bytes
from ledger import blob_digest
from ledger.checks import NOTHING
from ledger.engine import Engine
from ledger.entries import Bond, BondReturn, Slash, Transfer
from ledger.signatures import Signs
from ledger.tlog.evidence import Evidence
from zkpot.cli._output import FILE, Output, command_output, public_key
from zkpot.cli.ledger._book import LedgerCommand, append, reading, said, writing

_SUBJECT = click.option("--task", "task_id", help="The task; without it the ledger itself.")


@click.command(cls=LedgerCommand)
@reading
@click.argument("who", required=False)
@command_output
def balance(book: Engine, who: str | None, out: Output) -> None:
    """Show the balance of one identity, or of all."""
    state = book.state
    if who:
        shown = {public_key(who): book.balance(public_key(who))}
    else:
        shown = {key: amount for key, amount in state.balances.items() if amount}
    for key, amount in sorted(shown.items()):
        out.text(f"  {amount:>8}  {state.name(key)}  {key}")
    if not shown:
        out.text("nobody has any credit")
    bonds = [
        {"identity": key, "subject": subject, "amount": locked.amount}
        for (key, subject), locked in sorted(state.bonds.items())
        if key in shown or not who
    ]
    for bond in bonds:
        subject = "the ledger" if bond["subject"] == NOTHING else f"task {bond['subject']}"
        out.text(f"  {bond['amount']:>8}  bonded to {subject} by {bond['identity']}")
    out.result({"balances": shown, "bonds": bonds})


@click.command(cls=LedgerCommand)
@writing
@click.option("--to", required=True, help="Identity that gets it: hex, or a .pub file.")
@click.option("--amount", type=int, required=True)
@command_output
def transfer(book: Engine, author: Signs, to: str, amount: int, out: Output) -> None:
    """Give units to another identity."""
    receiver = public_key(to)
    receipt, _ = append(book, author, Transfer(receiver, amount))
    left = book.balance(book.state.author(author.public))
    said(out, receipt, f"{amount} to {receiver}; {left} left", balance=left)


@click.command(cls=LedgerCommand)
@writing
@_SUBJECT
@click.option("--amount", type=int, required=True)
@command_output
def bond(book: Engine, author: Signs, task_id: str | None, amount: int, out: Output) -> None:
    """Lock units for a task or for the ledger; who does wrong loses them."""
    receipt, _ = append(book, author, Bond(task_id or NOTHING, amount))
    said(out, receipt, f"{amount} bonded", amount=amount)


@click.command(name="bond-return", cls=LedgerCommand)
@writing
@_SUBJECT
@command_output
def bond_return(book: Engine, author: Signs, task_id: str | None, out: Output) -> None:
    """Take a bond back: of a closed task at once, of the ledger by notice and, later, again."""
    receipt, _ = append(book, author, BondReturn(task_id or NOTHING))
    state = book.state
    who = state.author(author.public)
    kept = state.bonds.get((who, task_id or NOTHING))
    if kept is not None:
        said(out, receipt, f"notice given: say it again from entry {kept.until} on",
             until=kept.until)  # fmt: skip
        return
    left = book.balance(who)
    said(out, receipt, f"the bond is back; balance {left}", balance=left)


@click.group()
def slash() -> None:
    """Show that somebody did wrong, which costs their bond and pays you a share."""


@slash.command(cls=LedgerCommand)
@writing
@click.argument("evidence", type=FILE)
@click.option("--offender", required=True, help="Identity whose key signed both notes.")
@command_output
def equivocation(book: Engine, author: Signs, evidence: Path, offender: str, out: Output) -> None:
    """Show two checkpoints of one size with two roots, from the file EVIDENCE."""
    read = Evidence.decode(read_bytes(evidence, "evidence", 1 << 20))
    body = Slash("equivocation", public_key(offender), NOTHING, read.notes)
    receipt, _ = append(book, author, body)
    said(out, receipt, f"{offender} lost its bond to the ledger")


@slash.command(name="no-release", cls=LedgerCommand)
@writing
@click.option("--task", "task_id", required=True)
@command_output
def no_release(book: Engine, author: Signs, task_id: str, out: Output) -> None:
    """Show that the evaluator let the deadline of the release pass."""
    receipt, _ = append(book, author, Slash("no-release", _evaluator(book, task_id), task_id))
    said(out, receipt, "the evaluator lost its bond to the task")


@slash.command(name="invalid-reveal", cls=LedgerCommand)
@writing
@click.option("--task", "task_id", required=True)
@click.option("--opening", type=FILE, required=True, help="The file as the evaluator gave it.")
@command_output
def invalid(book: Engine, author: Signs, task_id: str, opening: Path, out: Output) -> None:
    """Show that the released opening file does not open the test set; it is not published."""
    content = read_bytes(opening, "opening")
    body = Slash("invalid-reveal", _evaluator(book, task_id), task_id, (), blob_digest(content))
    receipt, _ = append(book, author, body, (content,))
    said(out, receipt, "the evaluator lost its bond to the task")


def _evaluator(book: Engine, task_id: str) -> str:
    return book.state.testsets[book.task(task_id).terms.testset].evaluator
