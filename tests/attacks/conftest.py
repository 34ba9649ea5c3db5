"""Circuits and SRS files that the attacks share, each made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from circuits.halo2.srs import SrsInfo
from tests.attacks.lab import (
    EZKL,
    Bench,
    bench,
    circuit_for,
    conv_architecture,
    mlp_architecture,
    random_weights,
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacks")


@pytest.fixture(scope="session", autouse=True)
def ezkl_process() -> Iterator[None]:
    """End the process of the attacks' ezkl with the session."""
    yield
    EZKL.close()


@pytest.fixture(scope="session")
def srs(development_srs: SrsInfo) -> SrsInfo:
    return development_srs


@pytest.fixture(scope="session")
def mlp(srs: SrsInfo, folder: Path) -> Bench:
    """Three samples, of which one is padding, through a 3-3-3 network; one of two is right."""
    architecture = mlp_architecture()
    return bench(
        circuit_for(architecture, srs, shard_size=3),
        srs,
        folder,
        weights=random_weights(architecture, 5),
        x=np.array([[3, -2, 5], [-4, 1, 2]]),
        y=np.array([0, 1]),
    )


@pytest.fixture(scope="session")
def conv(srs: SrsInfo, folder: Path) -> Bench:
    """Two samples through a network with every layer that the circuit supports."""
    architecture = conv_architecture()
    return bench(
        circuit_for(architecture, srs, shard_size=2, columns=4),
        srs,
        folder,
        weights=random_weights(architecture, 5),
        x=np.random.default_rng(1).integers(0, 8, (2, 2, 3, 3)),
        y=np.array([0, 1]),
    )
