"""`zkpot ledger`: creation, and the charter that governors can change."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from circuits.encoding import canonical_json, parse_canonical, read_bytes, write_atomic
from circuits.errors import CorruptedArtefact, InputError
from ledger import Charter, Ledger, PolicyChange, Signer
from ledger.charter import CHARTER_DOMAIN
from ledger.embedded.mark import LOG_KEY
from ledger.engine import Engine
from ledger.rules.governance import charter_message
from ledger.signatures import Signs
from ledger.tlog.note import check_name
from zkpot.cli._output import (
    FILE,
    Output,
    Ratio,
    command_output,
    load_key,
    passphrase,
    public_key,
)
from zkpot.cli.ledger._approvals import approval, approvals, read_approvals, write_approval
from zkpot.cli.ledger._book import LedgerCommand, append, mark_of, reading, said, writing

_LIMIT = 1 << 18


def _terms(function: Any) -> Any:
    """Add the options that say what a charter holds."""
    for option in reversed((
        click.option("--governor", "governors", multiple=True, help="Who may change the charter."),
        click.option("--threshold", type=int, help="How many governors must approve a change."),
        click.option("--task-owner", "owners", multiple=True, help="Who may open tasks."),
        click.option("--max-pool", type=int, help="Most that one task may mint."),
        click.option("--bond-entries", type=int,
                     help="For how many entries a bond to the ledger is locked."),
        click.option("--finder-share", type=Ratio(),
                     help="Share of a lost bond that goes to who showed the fault."),
    )):  # fmt: skip
        function = option(function)
    return function


def _changed(
    charter: Charter, governors: tuple[str, ...], threshold: int | None, owners: tuple[str, ...],
    max_pool: int | None, bond_entries: int | None, finder_share: Fraction | None,
) -> Charter:  # fmt: skip
    given: dict[str, Any] = {
        "governors": tuple(sorted({public_key(who) for who in governors})) or None,
        "threshold": threshold,
        "task_owners": tuple(sorted({public_key(who) for who in owners})) or None,
        "max_pool": max_pool,
        "bond_entries": bond_entries,
        "finder_share": finder_share,
    }
    return replace(charter, **{name: v for name, v in given.items() if v is not None})


@click.command()
@click.argument("folder", type=FILE)
@click.option("--origin", required=True, help="Name no other ledger has, such as a URL.")
@click.option("--log-key", type=FILE, help="Key of the log; by default one is made in FOLDER.")
@_terms
@click.option(
    "--grant",
    "grants",
    multiple=True,
    metavar="WHO=UNITS",
    help="Units that an identity starts with, to post bonds from.",
)
@click.option(
    "--insecure-dev-srs",
    "allow_insecure",
    is_flag=True,
    help="Credit proofs over a development SRS too. Fixed for ever.",
)
@command_output
def init(
    folder: Path, origin: str, log_key: Path | None, grants: tuple[str, ...],
    allow_insecure: bool, out: Output, **terms: Any,
) -> None:  # fmt: skip
    """Create a ledger in FOLDER; the log's key governs it unless others are named."""
    # What can be refused is refused before a key is made.
    check_name(origin)
    granted = dict(_grant(text) for text in grants)
    charter = _changed(Charter.alone("ff" * 32), **terms)
    if log_key is None:
        log_key = folder / LOG_KEY
        if not log_key.exists():
            Signer.generate().save(log_key, passphrase())
    signer = load_key(log_key)
    charter = _changed(Charter.alone(signer.public), **terms)
    with Ledger.init(
        folder, origin, signer, allow_insecure_srs=allow_insecure, charter=charter,
        grants=granted, mark=mark_of(log_key),
    ) as made:  # fmt: skip
        out.text(f"ledger {origin} in {folder}")
        out.text(f"  log key (hand it out): {made.key}")
        if allow_insecure:
            out.warn("it credits proofs over a development SRS, which its maker can forge")
        out.result({"origin": origin, "vkey": str(made.key), "allow_insecure_srs": allow_insecure})


def _grant(text: str) -> tuple[str, int]:
    who, separator, units = text.rpartition("=")
    if not separator or not units.isdecimal():
        raise InputError(f"--grant {text!r} is not of the form WHO=UNITS")
    return public_key(who), int(units)


@click.group()
def charter() -> None:
    """Show the charter, and change it with the approval of its governors."""


@charter.command(cls=LedgerCommand)
@reading
@command_output
def show(book: Engine, out: Output) -> None:
    """Show the charter in force."""
    state = book.state
    assert state.charter is not None
    values = state.charter.to_dict()
    out.text(f"charter {state.charter.number} of {state.origin}")
    for kind in ("governors", "task_owners"):
        for who in values[kind]:
            out.text(f"  {kind[:-1].replace('_', ' '):<12} {state.name(who)} {who}")
    out.text(f"  {state.charter.threshold} of {len(state.charter.governors)} governors change it")
    out.text(f"  a task mints at most {state.charter.max_pool} units")
    out.text(f"  bonds to the ledger are locked for {state.charter.bond_entries} entries")
    out.text(f"  who shows a fault gets {state.charter.finder_share} of the bond")
    out.result(values)


@charter.command(cls=LedgerCommand)
@reading
@_terms
@click.option("--out", "file", type=FILE, required=True, help="File for the new charter.")
@command_output
def propose(book: Engine, file: Path, out: Output, **terms: Any) -> None:
    """Write the present charter with other terms, for the governors to approve."""
    present = book.state.charter
    assert present is not None
    proposed = _changed(replace(present, number=present.number + 1), **terms)
    write_atomic(file, canonical_json(proposed.to_dict()) + b"\n")
    out.text(f"charter {proposed.number} in {file}; governors: zkpot ledger charter approve")
    out.result({"file": str(file), "number": proposed.number})


@charter.command()
@click.argument("proposal", type=FILE)
@approval
@command_output
def approve(
    proposal: Path, origin: str, key_file: Path, identity: str | None, file: Path, out: Output
) -> None:
    """Sign, as a governor, the charter in PROPOSAL; read it first."""
    message = charter_message(origin, _read(proposal))
    write_approval(file, load_key(key_file), identity, CHARTER_DOMAIN, message, out)


@charter.command(cls=LedgerCommand)
@writing
@click.argument("file", type=FILE)
@approvals
@command_output
def change(
    book: Engine, author: Signs, file: Path, approvals: tuple[Path, ...], out: Output
) -> None:
    """Put the charter in FILE in force, for tasks opened from now on."""
    new = _read(file)
    receipt, _ = append(book, author, PolicyChange(new, read_approvals(approvals)))
    said(out, receipt, f"charter {new.number} is in force", number=new.number)


def _read(file: Path) -> Charter:
    data = read_bytes(file, "charter", _LIMIT).rstrip(b"\n")
    try:
        return Charter.from_dict(parse_canonical(data, "charter"))
    except (KeyError, TypeError) as error:
        raise CorruptedArtefact(f"{file} is no charter: {error!r}", artefact="charter") from None
