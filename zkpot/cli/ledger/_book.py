"""Opening a ledger from the command line: a folder, a validator's URL, or a contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

from circuits.errors import InputError
from ledger import Ledger, Receipt, bundle_verifier
from ledger.engine import Engine
from ledger.entries import Entry
from ledger.envelope import SignedEntry
from ledger.signatures import Signs
from verifier.verify import Options
from zkpot.cli._output import FILE, Output, load_key

LOG_KEY = "log.key"


class LedgerCommand(click.Command):
    """A command whose first argument, the ledger, can be given as ``--ledger`` as well."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put what ``--ledger`` names where the argument is."""
        for at, word in enumerate(args):
            if word == "--ledger" and at + 1 < len(args):
                args = [args[at + 1], *args[:at], *args[at + 2 :]]
                break
            if word.startswith("--ledger="):
                args = [word.removeprefix("--ledger="), *args[:at], *args[at + 1 :]]
                break
        return super().parse_args(ctx, args)


def _where(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed((
        click.argument("where", metavar="LEDGER"),
        click.option("--ledger", "unused", metavar="LEDGER", expose_value=False,
                     help="LEDGER as an option: a folder, or the URL of a validator."),
        click.option("--trust", type=FILE, metavar="POLICY",
                     help="URL: file with the log's key, and the cosignatures to demand."),
        click.option("--state", type=FILE, metavar="FOLDER",
                     help="URL: where what was seen of the log is remembered."),
        click.option("--engine", type=click.Choice(["embedded", "evm"]), default="embedded",
                     show_default=True, help="evm: LEDGER is the folder of a contract's mirror."),
        click.option("--rpc", metavar="URL", help="evm: address of a node."),
    )):  # fmt: skip
        function = option(function)
    return function


def reading(function: Callable[..., None]) -> Callable[..., None]:
    """Open a ledger to read it, and pass it as ``book``."""

    @_where
    @wraps(function)
    def wrapped(
        *, where: str, trust: Path | None, state: Path | None, engine: str, rpc: str | None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        with opened(where, trust=trust, state=state, engine=engine, rpc=rpc) as book:
            function(book=book, **kwargs)

    return wrapped


def writing(function: Callable[..., None]) -> Callable[..., None]:
    """Open a ledger to append to it, and pass it as ``book`` with the author's key."""

    @_where
    @click.option(
        "--key",
        "key_file",
        type=FILE,
        required=True,
        help="Your key; for evm the keystore file of your account.",
    )
    @click.option(
        "--log-key", type=FILE, help=f"Folder: the log's key, by default {LOG_KEY} in it."
    )
    @wraps(function)
    def wrapped(
        *, where: str, trust: Path | None, state: Path | None, engine: str, rpc: str | None,
        key_file: Path, log_key: Path | None, **kwargs: Any,
    ) -> None:  # fmt: skip
        author = load_key(key_file)
        with opened(
            where, trust=trust, state=state, engine=engine, rpc=rpc, log_key=log_key, write=True,
            author=author,
        ) as book:  # fmt: skip
            function(book=book, author=author, **kwargs)

    return wrapped


@contextmanager
def opened(
    where: str, *, trust: Path | None = None, state: Path | None = None, engine: str = "embedded",
    rpc: str | None = None, log_key: Path | None = None, write: bool = False,
    author: Signs | None = None,
) -> Iterator[Engine]:  # fmt: skip
    """Open the ledger that the options mean, and close it again."""
    remote = where.startswith(("http://", "https://"))
    if not remote and (trust or state):
        raise InputError("--trust and --state belong to a ledger at a URL")
    folder = Path(where)
    with Ledger.open(folder, load_key(log_key or folder / LOG_KEY) if write else None) as book:
        yield book


def append(
    book: Engine, author: Signs, body: Entry, blobs: tuple[bytes, ...] = ()
) -> tuple[Receipt, str]:
    """Sign and append an entry; return its receipt and digest."""
    entry = book.sign(body, author)
    return book.append(entry, blobs), entry.digest


def submitted(book: Engine, bundle: bytes, entry: SignedEntry, options: Options) -> Receipt:
    """Submit a proof: a folder verifies it here, a validator and a contract over there."""
    assert isinstance(book, Ledger)
    return book.submit(bundle, entry, bundle_verifier(book, options))


def said(out: Output, receipt: Receipt, what: str, **values: object) -> None:
    """Report an entry that was appended."""
    out.text(f"entry {receipt.index}: {what}")
    out.result({"entry": receipt.index, **values})
