"""`zkpot ledger`: keys and identities."""

from __future__ import annotations

from pathlib import Path

import click

from circuits.encoding import write_atomic
from ledger import Signer, signatures
from ledger.engine import Engine
from ledger.entries import IdentityRegister, IdentityRevoke, IdentityRotate
from ledger.rules.identity import REVOKE_DOMAIN, ROTATE_DOMAIN, revoke_message, rotate_message
from ledger.signatures import Signs
from zkpot.cli._output import FILE, Output, command_output, load_key, passphrase, public_key
from zkpot.cli.ledger._approvals import approval, approvals, read_approvals, write_approval
from zkpot.cli.ledger._book import LedgerCommand, append, said, writing


@click.command()
@click.argument("file", type=FILE)
@command_output
def keygen(file: Path, out: Output) -> None:
    """Make an Ed25519 key: FILE (secret) and FILE.pub."""
    signer, secret = Signer.generate(), passphrase()
    signer.save(file, secret)
    public = file.with_name(file.name + ".pub")
    write_atomic(public, signer.public.encode() + b"\n")
    out.text(f"key {signer.public}")
    out.text(f"  publish {public}, keep {file} ({'encrypted' if secret else 'not encrypted'})")
    out.result({"public": signer.public, "file": str(file), "encrypted": secret is not None})


@click.command(cls=LedgerCommand)
@writing
@click.option("--name", required=True, help="Name for people.")
@command_output
def identity(book: Engine, author: Signs, name: str, out: Output) -> None:
    """Register your key."""
    receipt, _ = append(book, author, IdentityRegister(name))
    said(out, receipt, f"{name} is {author.public}", identity=author.public)


@click.command(cls=LedgerCommand)
@writing
@click.option("--new-key", type=FILE, required=True, help="The key that signs from now on.")
@command_output
def rotate(book: Engine, author: Signs, new_key: Path, out: Output) -> None:
    """Sign with another key from now on; your identity stays your first key."""
    new = load_key(new_key)
    state = book.state
    who = state.author(author.public)
    message = rotate_message(state.origin, who, state.nonce(who), new.scheme, new.public)
    proof = signatures.sign(new, ROTATE_DOMAIN, message)
    receipt, _ = append(book, author, IdentityRotate(new.scheme, new.public, proof))
    said(out, receipt, f"{who} signs with {new.public} now", identity=who, key=new.public)


@click.command(cls=LedgerCommand)
@writing
@click.argument("who")
@approvals
@command_output
def revoke(book: Engine, author: Signs, who: str, approvals: tuple[Path, ...], out: Output) -> None:
    """End the identity WHO: your own, or with --approval by governors anyone's."""
    identity = public_key(who)
    receipt, _ = append(book, author, IdentityRevoke(identity, read_approvals(approvals)))
    said(out, receipt, f"{identity} signs nothing any more", identity=identity)


@click.command(name="approve-revocation")
@click.argument("who")
@approval
@command_output
def approve_revocation(
    who: str, origin: str, key_file: Path, identity: str | None, file: Path, out: Output
) -> None:
    """Sign, as a governor, that the identity WHO shall end."""
    signer = load_key(key_file)
    message = revoke_message(origin, public_key(who))
    write_approval(file, signer, identity, REVOKE_DOMAIN, message, out)
