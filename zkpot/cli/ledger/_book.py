"""Opening a ledger from the command line: a folder, a validator's URL, or a contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from circuits.encoding import digest, is_hex, read_bytes
from circuits.errors import InputError
from circuits.halo2.keys import home
from ledger import Ledger, Receipt, VerifierKey, bundle_verifier
from ledger.embedded.mark import LOG_KEY, Mark
from ledger.engine import Engine
from ledger.entries import Entry
from ledger.envelope import SignedEntry
from ledger.signatures import Signs
from ledger.tlog.trust import MAX_POLICY_BYTES, TrustPolicy
from verifier.verify import Options
from zkpot.cli._output import FILE, Output, load_key, passphrase

if TYPE_CHECKING:
    from ledger.evm.accounts import ChainAccount
    from ledger.evm.engine import EvmLedger

_SIGNATURE_BYTES = 256


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


@dataclass(frozen=True)
class Where:
    """Which ledger is meant, and how far to trust who serves it."""

    where: str
    vkey: str | None
    trust: Path | None
    state: Path | None
    engine: str
    rpc: str | None
    contract: str | None
    first_block: int
    confirmations: int


_OPTIONS = (
    click.argument("where", metavar="LEDGER"),
    click.option("--ledger", "unused", metavar="LEDGER", expose_value=False,
                 help="LEDGER as an option: a folder, or the URL of a validator."),
    click.option("--vkey", help="URL: the log's key as it was handed out."),
    click.option("--trust", type=FILE, metavar="POLICY",
                 help="URL: file with the log's key and the cosignatures to demand (C2SP "
                 "tlog-policy)."),
    click.option("--state", type=FILE, metavar="FILE",
                 help="URL: where the newest checkpoint seen is remembered, by default in "
                 "ZKPOT_HOME."),
    click.option("--engine", type=click.Choice(["embedded", "evm"]), default="embedded",
                 show_default=True, help="evm: a contract keeps the ledger, LEDGER its blobs."),
    click.option("--rpc", metavar="URL", help="evm: address of a node."),
    click.option("--contract", help="evm: address of the ledger's contract."),
    click.option("--first-block", type=int, default=0, show_default=True,
                 help="evm: block of the contract, or an earlier one."),
    click.option("--confirmations", type=int, default=12, show_default=True,
                 help="evm: blocks that must follow before an entry counts."),
)  # fmt: skip


def reading(function: Callable[..., None]) -> Callable[..., None]:
    """Open a ledger to read it, and pass it as ``book``."""

    @wraps(function)
    def wrapped(**kwargs: Any) -> None:
        with _open(_taken(kwargs)) as book:
            function(book=book, **kwargs)

    return _with(_OPTIONS, wrapped)


def writing(function: Callable[..., None]) -> Callable[..., None]:
    """Open a ledger to append to it, and pass it as ``book``, with the author's key."""

    @wraps(function)
    def wrapped(*, key_file: Path, log_key: Path | None, **kwargs: Any) -> None:
        where = _taken(kwargs)
        # An account signs transactions and not entries; `sign` of its engine takes it as well.
        author = cast("Signs", account(key_file)) if where.engine == "evm" else load_key(key_file)
        with _open(where, log_key, write=True) as book:
            function(book=book, author=author, **kwargs)

    options = (
        click.option("--key", "key_file", type=FILE, required=True,
                     help="Your key; for evm the keystore of your account."),
        click.option("--log-key", type=FILE,
                     help=f"Folder: the log's key, by default {LOG_KEY} in it."),
    )  # fmt: skip
    return _with((*_OPTIONS, *options), wrapped)


def _with(
    options: Sequence[Callable[[Callable[..., None]], Callable[..., None]]],
    function: Callable[..., None],
) -> Callable[..., None]:
    for option in reversed(options):
        function = option(function)
    return function


def _taken(kwargs: dict[str, Any]) -> Where:
    return Where(**{field.name: kwargs.pop(field.name) for field in fields(Where)})


def _open(where: Where, log_key: Path | None = None, *, write: bool = False) -> Engine:
    remote = where.where.startswith(("http://", "https://"))
    if not remote and (where.vkey or where.trust or where.state):
        raise InputError("--vkey, --trust and --state belong to a ledger at a URL")
    if {where.engine == "evm"} != {bool(where.rpc), bool(where.contract)}:
        raise InputError("--engine evm, --rpc URL and --contract ADDRESS belong together")
    if where.engine == "evm":
        return _chain(where)
    if remote:
        return _client(where)
    folder = Path(where.where)
    key = log_key or folder / LOG_KEY
    return Ledger.open(folder, load_key(key) if write else None, mark=mark_of(key))


def mark_of(key: Path) -> Path:
    """Return the file that records what a log's key has signed: beside the key, and not a link."""
    return Mark.beside(key.resolve()).path


def _client(where: Where) -> Engine:
    with optional("serve"):
        from ledger.service.client import LedgerClient
    vkey: VerifierKey | str | None = where.vkey
    quorum = None
    if where.trust is not None:
        policy = TrustPolicy.parse(read_bytes(where.trust, "trust policy", MAX_POLICY_BYTES))
        if len(policy.logs) != 1 or where.vkey:
            raise InputError(f"{where.trust} must name the one log, in place of --vkey")
        vkey, quorum = policy.logs[0].key, policy.quorum
    name = f"{digest('url', where.where.rstrip('/').encode())[:16]}.json"
    state = where.state or home() / "logs" / name
    state.parent.mkdir(parents=True, exist_ok=True)
    return LedgerClient(where.where, vkey, quorum=quorum, state_file=state)


def _chain(where: Where) -> Engine:
    with optional("evm"):
        from ledger.evm.engine import EvmLedger
        from ledger.evm.node import Node
    assert where.rpc is not None and where.contract is not None
    book = EvmLedger(
        Node.at(where.rpc),
        where.contract.removeprefix("0x").lower(),
        Path(where.where),
        first=where.first_block,
        confirmations=where.confirmations,
    )
    # Its receipts are of the chain; all that commands read of one, both kinds have.
    return cast("Engine", book)


def account(keystore: Path) -> ChainAccount:
    """Open the keystore of an account of a chain."""
    with optional("evm"):
        from ledger.evm.accounts import ChainAccount
    secret = passphrase()
    if secret is None:
        raise InputError("keystores are encrypted: set ZKPOT_PASSPHRASE")
    return ChainAccount.load(keystore, secret.decode())


@contextmanager
def optional(extra: str) -> Iterator[None]:
    """Say which extra is missing where an import fails."""
    try:
        yield
    except ImportError as error:
        raise InputError(f"this needs the extra [{extra}]: pip install 'zkpot[{extra}]'") from error


def on_chain(book: object, what: str) -> EvmLedger:
    """Return the engine on a chain; InputError if `what` is asked of another."""
    with optional("evm"):
        from ledger.evm.engine import EvmLedger
    if not isinstance(book, EvmLedger):
        raise InputError(f"{what} belongs to --engine evm, with --rpc URL and --contract ADDRESS")
    return book


def append(
    book: Engine, author: Signs, body: Entry, blobs: tuple[bytes, ...] = (), **options: Any
) -> tuple[Receipt, str]:
    """Sign and append an entry; return its receipt and digest.

    `options` are for the engine on a chain alone.
    """
    entry = book.sign(body, author)
    if options:
        chain: Any = on_chain(book, "--verifier")
        return chain.append(entry, blobs, **options), entry.digest
    return book.append(entry, blobs), entry.digest


def submitted(
    book: Engine, bundle: bytes, entry: SignedEntry, options: Options, attestations: Sequence[Path]
) -> Receipt:
    """Submit a proof; a validator verifies it over there, the others here."""
    verify = bundle_verifier(book, options)
    if attestations:
        chain: Any = on_chain(book, "--attestation")
        found: Receipt = chain.submit(
            bundle, entry, verify, attestations=read_signatures(attestations)
        )
        return found
    return book.submit(bundle, entry, verify)


def read_signatures(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """Read signatures by accounts of a chain, each of 65 bytes of hex in a file."""
    found = []
    for path in paths:
        text = read_bytes(path, "signature", _SIGNATURE_BYTES).decode(errors="replace").strip()
        if not is_hex(text, 65):
            raise InputError(f"{path} does not hold a signature of 65 bytes of hex")
        found.append(bytes.fromhex(text))
    return tuple(found)


def said(out: Output, receipt: Receipt, what: str, **values: object) -> None:
    """Report an entry that was appended."""
    out.text(f"entry {receipt.index}: {what}")
    out.result({"entry": receipt.index, **values})
