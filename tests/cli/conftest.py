"""One job, played once, that the tests of the command line share."""

from __future__ import annotations

import pytest
from cli_lab import HALO2, SUMCHECK, Cli, K, Lab, play


@pytest.fixture(scope="package")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """The command, with a home that holds a development SRS and nothing else."""
    made = Cli(tmp_path_factory.mktemp("home"))
    made("srs", "develop", str(K)).good()
    return made


@pytest.fixture(scope="package")
def halo2_lab(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return play(cli, tmp_path_factory.mktemp("halo2") / "lab", HALO2)


@pytest.fixture(scope="package")
def sumcheck_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The default backend, on a machine that has no SRS and needs none."""
    cli = Cli(tmp_path_factory.mktemp("home"))
    return play(cli, tmp_path_factory.mktemp("sumcheck") / "lab", SUMCHECK)


@pytest.fixture(scope="package", params=["sumcheck", pytest.param("halo2", marks=pytest.mark.ezkl)])
def lab(request: pytest.FixtureRequest) -> Lab:
    """Both, one after the other."""
    found: Lab = request.getfixturevalue(f"{request.param}_lab")
    return found
