"""``zkpot ledger serve`` and ``zkpot ledger follow``: a ledger over HTTP, and its validators."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from circuits.encoding import write_atomic
from circuits.errors import InputError
from ledger import Ledger, VerifierKey
from ledger.embedded.mark import LOG_KEY
from ledger.errors import LedgerExists, LedgerMissing
from ledger.tlog.witness import Witness
from verifier.verify import Options
from zkpot.cli._output import FILE, Memory, Output, command_output, load_key
from zkpot.cli.ledger._book import mark_of, optional

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ledger.service.config import Settings

_VALIDATOR = re.compile(r"(?P<vkey>\S+?)=(?P<url>https?://\S+)")


def _served(function: Any) -> Any:
    """Add the options that everything which listens has."""
    for option in reversed((
        click.option("--host", default="127.0.0.1", show_default=True),
        click.option("--port", type=click.IntRange(0, 65535), default=8440, show_default=True,
                     help="0 takes one that is free."),
        click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
                     help="Processes that verify proofs."),
        click.option("--worker-memory", type=Memory(), default="8G", show_default=True,
                     help="Most that one of them may use."),
        click.option("--deadline", type=click.FloatRange(1), default=900, show_default=True,
                     help="Seconds after which a verification is given up."),
        click.option("--srs", type=FILE, help="SRS file; by default the one of the local store."),
        click.option("--tls-cert", type=FILE, help="Certificate chain, to serve HTTPS."),
        click.option("--tls-key", type=FILE, help="Its private key."),
        click.option("--trusted-proxy", "proxies", multiple=True,
                     help="Address of a proxy whose X-Forwarded-For is believed."),
    )):  # fmt: skip
        function = option(function)
    return function


@click.command()
@click.argument("folder", type=FILE)
@click.option("--log-key", type=FILE, help=f"The log's key, by default {LOG_KEY} in FOLDER.")
@click.option("--validator", "validators", multiple=True, metavar="VKEY=URL",
              help="A validator to ask for cosignatures.")  # fmt: skip
@click.option("--quorum", type=click.IntRange(0), default=0,
              help="Cosignatures that clients are advised to ask for.")  # fmt: skip
@click.option("--queue", type=click.IntRange(1), default=64, show_default=True,
              help="Proofs that may wait.")  # fmt: skip
@click.option("--max-blob", type=Memory(), default="256M", show_default=True,
              help="Most that a proof bundle or manifest may have.")  # fmt: skip
@click.option("--max-kept", type=Memory(), default="256G", show_default=True,
              help="Most that the blobs which entries name may have in all.")  # fmt: skip
@click.option("--max-kept-of-one", type=Memory(), default="4G", show_default=True,
              help="Most that those of one identity's entries may have.")  # fmt: skip
@_served
@command_output
def serve(
    folder: Path, log_key: Path | None, validators: tuple[str, ...], quorum: int, queue: int,
    max_blob: int, max_kept: int, max_kept_of_one: int, srs: Path | None, out: Output, **how: Any,
) -> None:  # fmt: skip
    """Serve the ledger in FOLDER to contributors, validators and browsers."""
    with optional("serve"):
        from ledger.service.app import create_app
        from ledger.service.cosign import Validator
        from ledger.service.service import Service
        from ledger.service.verify import ProofVerifier
    asked = [Validator(key, url) for key, url in map(_validator, validators)]
    if quorum > len(asked):
        raise InputError(f"--quorum {quorum}: there are {len(asked)} validators")
    path = log_key or folder / LOG_KEY
    signer = load_key(path)
    settings = _settings(how)
    settings = replace(
        settings,
        quorum=quorum,
        limits=replace(
            settings.limits,
            blob_bytes=max_blob,
            spool_bytes=2 * max_blob,
            kept_total=max_kept,
            kept_of_one=max_kept_of_one,
        ),
        verification=replace(settings.verification, queue=queue),
    )
    with Ledger.open(folder) as book:
        genesis = book.entries(0, 1)[0]
    key = VerifierKey(genesis.origin, genesis.signer)
    service = Service(
        folder,
        lambda: Ledger.open(folder, signer, mark=mark_of(path)),
        settings,
        verifier=lambda genesis: ProofVerifier(folder, genesis, Options(srs=srs)),
        validators=asked,
    )
    _run(create_app(service), settings, how, out, f"ledger {key}", vkey=str(key))


@click.command()
@click.argument("url")
@click.argument("folder", type=FILE)
@click.option("--key", "key_file", type=FILE, required=True,
              help="Key of this validator; it serves nothing else.")  # fmt: skip
@click.option("--name", required=True, help="Name of this validator, such as its own URL.")
@click.option("--vkey", required=True, help="The log's key as it was handed out.")
@click.option("--init", "new", is_flag=True, help="Make a new validator, of a key never used.")
@click.option("--poll", type=click.FloatRange(0.1), default=30, show_default=True,
              help="Seconds between looks at the log when nobody asks.")  # fmt: skip
@_served
@command_output
def follow(
    url: str, folder: Path, key_file: Path, name: str, vkey: str, new: bool, poll: float,
    srs: Path | None, out: Output, **how: Any,
) -> None:  # fmt: skip
    """Verify the ledger at URL, proof by proof, and cosign what was verified."""
    with optional("serve"):
        from ledger.service.follow import Follower
        from ledger.service.remote_log import RemoteLog
        from ledger.service.validator import Validator, create_app
        from ledger.service.verify import ProofVerifier
        from ledger.service.workers import Workers
    log, settings = VerifierKey.parse(vkey), _settings(how)
    copy = folder / "log"
    witness = _witness(folder / "witness", name, key_file, log, new=new)
    follower = Follower(
        copy,
        RemoteLog(url, log, timeout=20, patience=5),
        lambda genesis: Workers(
            ProofVerifier(copy, genesis, Options(srs=srs)), settings.verification
        ),
    )
    validator = Validator(follower, witness, settings, poll)
    app = create_app(validator)
    _run(app, settings, how, out, f"validator {witness.key}", vkey=str(witness.key))


def _witness(folder: Path, name: str, key_file: Path, log: VerifierKey, *, new: bool) -> Witness:
    """Open the witness of a key, or make it: once for every key, wherever its folder went."""
    signer, marker = load_key(key_file), key_file.resolve().with_name(key_file.name + ".witness")
    if new:
        if marker.exists():
            raise LedgerExists(
                f"{key_file} has been a validator's, as {marker} says; what it promised must not "
                "be forgotten: make a new key, and a new name",
                path=str(marker),
            )
        # First the mark: a key that is lost is replaced, a promise that is broken is not.
        write_atomic(marker, f"{VerifierKey(name, signer.public, 'cosignature')}\n".encode())
        return Witness.create(folder, name, signer, [log])
    try:
        return Witness(folder, name, signer, [log])
    except LedgerMissing:
        raise LedgerMissing(
            f"there is no validator in {folder.parent}; --init makes a new one", path=str(folder)
        ) from None


def _validator(text: str) -> tuple[VerifierKey, str]:
    match = _VALIDATOR.fullmatch(text)
    if match is None:
        raise InputError(f"--validator {text!r} is not of the form VKEY=URL")
    key = VerifierKey.parse(match["vkey"])
    if key.kind != "cosignature":
        raise InputError(f"--validator: {key} is the key of a log, not of a validator")
    return key, match["url"].rstrip("/")


def _settings(how: dict[str, Any]) -> Settings:
    with optional("serve"):
        from ledger.service.config import Settings, Verification
    return Settings(
        verification=Verification(
            workers=how.pop("workers"),
            seconds=how.pop("deadline"),
            memory=how.pop("worker_memory"),
        )
    )


def _run(
    app: FastAPI, settings: Settings, how: dict[str, Any], out: Output, what: str, *, vkey: str
) -> None:
    from ledger.service.server import bind, log_to_stderr, serve

    cert, key = how["tls_cert"], how["tls_key"]
    if (cert is None) != (key is None):
        raise InputError("--tls-cert and --tls-key belong together")
    listening = bind(how["host"], how["port"])
    host, port = listening.getsockname()[:2]
    scheme = "http" if cert is None else "https"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    out.text(f"{what}\n  at {address}")
    out.result({"url": address, "vkey": vkey})
    log_to_stderr(logging.ERROR if out.quiet else logging.INFO)
    options: dict[str, Any] = {
        "proxy_headers": bool(how["proxies"]),
        "forwarded_allow_ips": list(how["proxies"]),
    }
    if cert is not None:
        options |= {"ssl_certfile": str(cert), "ssl_keyfile": str(key)}
    serve(app, settings, listening, **options)
