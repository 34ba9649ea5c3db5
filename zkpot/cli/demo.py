"""``zkpot demo``."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from zkpot.cli._output import FILE
from zkpot.demo import Demo
from zkpot.training import DatasetName


@click.command()
@click.option("--out", "folder", type=FILE, default=Path("demo"), show_default=True)
@click.option(
    "--dataset", type=click.Choice(get_args(DatasetName)), default="digits", show_default=True
)
def demo(folder: Path, dataset: DatasetName) -> None:
    """Play the whole story on bundled real data, then say where to look."""
    root = click.get_current_context().find_root().command

    def run(words: list[str]) -> None:
        root.main(words, standalone_mode=False)

    Demo(folder, dataset, run, click.echo).play()
