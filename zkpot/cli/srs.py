"""``zkpot srs``: the structured reference strings of the halo2 backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from circuits.halo2 import srs as files
from circuits.halo2.circuit import MAX_K, MIN_K
from circuits.halo2.srs import SrsInfo
from zkpot.cli._output import FILE, Output, command_output


@click.group()
def srs() -> None:
    """List, fetch, import and check SRS files.

    A proof is as good as its SRS: use one of the public ceremony. A development SRS is made on
    this machine, and whoever made it can forge proofs.
    """


@srs.command(name="list")
@command_output
def list_(out: Output) -> None:
    """Show the SRS files of the local store."""
    found = files.list_store()
    rows = [_row(item) for item in found]
    if not found:
        out.text(f"no SRS in {files.store_folder()}; `zkpot srs fetch 16` gets the ceremony's")
    for row in rows:
        if "error" in row:
            out.text(f"  unusable: {row['message']}")
        else:
            out.text(f"  k={row['k']:<3} {row['origin']:<12} {row['digest']}  {row['path']}")
    out.result({"folder": str(files.store_folder()), "files": rows})


@srs.command()
@click.argument("k", type=click.IntRange(MIN_K, MAX_K))
@command_output
def fetch(k: int, out: Output) -> None:
    """Download the ceremony's SRS of 2^K rows; its hash is checked."""
    _say(files.fetch(k), out)


@srs.command(name="import")
@click.argument("file", type=FILE)
@command_output
def import_(file: Path, out: Output) -> None:
    """Copy a ceremony's SRS file into the local store."""
    _say(files.import_file(file), out)


@srs.command()
@click.argument("file", type=FILE)
@click.option("--full", is_flag=True, help="Check every point, not a sample (minutes).")
@command_output
def check(file: Path, full: bool, out: Output) -> None:
    """Check size, hash, curve points, powers and Lagrange points of a file."""
    info = files.check(file, full=full)
    _say(info, out)
    if info.insecure:
        out.warn("this is no ceremony's SRS: whoever made it may be able to forge proofs")


@srs.command()
@click.argument("k", type=click.IntRange(MIN_K, MAX_K))
@command_output
def develop(k: int, out: Output) -> None:
    """Make an insecure SRS of 2^K rows, for experiments."""
    info = files.make_development(k)
    out.warn("a development SRS: you can forge every proof made with it, and so it is marked")
    _say(info, out)


def _say(info: SrsInfo, out: Output) -> None:
    out.text(f"k={info.k} {info.origin} SRS, SHA-256 {info.digest}")
    out.text(f"  {info.path}")
    out.result(_row(info))


def _row(item: SrsInfo | Exception) -> dict[str, Any]:
    if isinstance(item, SrsInfo):
        return {"k": item.k, "origin": item.origin, "digest": item.digest, "path": str(item.path)}
    return {"error": getattr(item, "code", "SRS"), "message": str(item)}
