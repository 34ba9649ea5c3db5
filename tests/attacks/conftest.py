"""Circuits and SRS files that the attacks share, each made once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from attacks.lab import Bench, bench, circuit_for
from circuits.halo2 import srs as srs_files
from circuits.halo2.srs import SrsInfo
from circuits.network import (
    Add,
    Architecture,
    Conv2d,
    Dense,
    Flatten,
    MaxPool,
    NumberFormat,
    Relu,
    SumPool,
    parameter_shapes,
)
from circuits.weights import Weights

K = 10


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacks")


@pytest.fixture(scope="session", autouse=True)
def home(folder: Path) -> Iterator[Path]:
    """A user's home of its own, before ezkl is imported: it keeps a cache of tables there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZKPOT_HOME", str(folder / "home"))
        patch.setenv("EZKL_REPO_PATH", str(folder / "ezkl"))
        patch.setenv("RUST_LOG", "off")
        patch.setenv("RUST_BACKTRACE", "0")
        yield folder / "home"


@pytest.fixture(scope="session")
def srs(home: Path) -> SrsInfo:
    """The development SRS of all attacks; ``make_development`` checks its points."""
    return srs_files.make_development(K)


def mlp_architecture(hidden: int = 3) -> Architecture:
    return Architecture(
        input_shape=(3,),
        input_format=NumberFormat(4, True),
        input_exponent=0,
        weight_bits=4,
        classes=3,
        layers=(
            Dense("first", ("input",), 3, hidden, True),
            Relu("relu", ("first",), (hidden,)),
            Dense("second", ("relu",), hidden, 3, True),
        ),
        output="second",
    )


def conv_architecture() -> Architecture:
    """Padding, stride, groups, both pools, and a residual sum with a shift."""
    return Architecture(
        input_shape=(2, 4, 4),
        input_format=NumberFormat(3, False),
        input_exponent=0,
        weight_bits=3,
        classes=2,
        layers=(
            Conv2d(
                "conv", ("input",), (2, 4, 4), (3, 3), (2, 2), (1, 1, 0, 0), (1, 1), 4, 2, True
            ),
            Relu("relu", ("conv",), (4, 2, 2)),
            SumPool("sum", ("relu",), (4, 2, 2), (2, 2), (1, 1), (1, 1, 0, 0), (1, 1)),
            MaxPool("max", ("relu",), (4, 2, 2), (2, 2), (1, 1), (1, 1, 0, 0), (1, 1)),
            Add("add", ("sum", "max"), (4, 2, 2), (0, 1)),
            Flatten("flat", ("add",), (16,)),
            Dense("dense", ("flat",), 16, 2, True),
        ),
        output="dense",
    )


def random_weights(architecture: Architecture, seed: int) -> Weights:
    rng = np.random.default_rng(seed)
    most = architecture.weight_max
    arrays = {
        name: rng.integers(-most, most + 1, shape)
        for name, shape in parameter_shapes(architecture).items()
    }
    return Weights(architecture, arrays)


@pytest.fixture(scope="session")
def mlp(srs: SrsInfo, folder: Path) -> Bench:
    """Three samples, of which one is padding, through a 3-3-3 network; one of two is right."""
    architecture = mlp_architecture()
    made = bench(
        circuit_for(architecture, srs, shard_size=3),
        srs,
        folder,
        weights=random_weights(architecture, 5),
        x=np.array([[3, -2, 5], [-4, 1, 2]]),
        y=np.array([0, 1]),
    )
    return made
