"""``zkpot demo``."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from zkpot import backends
from zkpot.cli._output import FILE, Output, command_output
from zkpot.demo import Demo
from zkpot.training import DatasetName


@click.command()
@click.option("--out", "folder", type=FILE, default=Path("demo"), show_default=True)
@click.option(
    "--dataset", type=click.Choice(get_args(DatasetName)), default="digits", show_default=True
)
@click.option(
    "--backend", type=click.Choice(backends.NAMES), default=backends.DEFAULT, show_default=True
)
@command_output
def demo(folder: Path, dataset: DatasetName, backend: str, out: Output) -> None:
    """Play the whole story on bundled real data, then say where to look."""
    root = click.get_current_context().find_root().command

    def run(words: list[str]) -> None:
        quiet = ["--quiet"] if out.quiet or out.as_json else []
        root.main([*words, *quiet], standalone_mode=False)

    out.result(Demo(folder, dataset, run, out.text, backend).play())
