"""One job, played once, that the tests of the command line share."""

from __future__ import annotations

import pytest
from cli_lab import Cli, K, Lab, play


@pytest.fixture(scope="package")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The command, with a home that holds a development SRS and nothing else."""
    made = Cli(tmp_path_factory.mktemp("home"))
    made("srs", "develop", str(K)).good()
    return made


@pytest.fixture(scope="package")
def lab(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return play(cli, tmp_path_factory.mktemp("cli") / "lab")
