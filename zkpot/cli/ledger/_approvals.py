"""Approvals by governors travel as small files: who, and the signature."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from circuits.encoding import canonical_json, parse_canonical, read_bytes, write_atomic
from circuits.errors import InputError
from ledger import signatures
from ledger.signatures import Signs
from zkpot.cli._output import FILE, Output, public_key

_LIMIT = 4096

approvals = click.option(
    "--approval",
    "approvals",
    type=FILE,
    multiple=True,
    help="Approval file of a governor; as many as the charter asks for.",
)


def approval(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options by which a governor signs an approval."""
    for option in reversed((
        click.option("--origin", required=True, help="Name of the ledger."),
        click.option("--key", "key_file", type=FILE, required=True, help="The governor's key."),
        click.option("--identity", help="The governor's identity, where its key was rotated."),
        click.option("--out", "file", type=FILE, required=True, help="File for the approval."),
    )):  # fmt: skip
        function = option(function)
    return function


def write_approval(
    file: Path, signer: Signs, identity: str | None, domain: bytes, message: bytes, out: Output
) -> None:
    """Sign `message` and write the approval."""
    who = public_key(identity) if identity else signer.public
    signature = signatures.sign(signer, domain, message)
    write_atomic(file, canonical_json([who, signature]) + b"\n")
    out.text(f"approval by {who} in {file}")
    out.result({"file": str(file), "identity": who})


def read_approvals(files: Iterable[Path]) -> tuple[tuple[str, str], ...]:
    """Read approval files, in the order in which an entry names them."""
    found = []
    for file in files:
        value = parse_canonical(read_bytes(file, "approval", _LIMIT).rstrip(b"\n"), "approval")
        if not (
            isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) for v in value)
        ):
            raise InputError(f"{file} is no approval of a governor")
        found.append((value[0], value[1]))
    return tuple(sorted(found))
