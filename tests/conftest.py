"""What several folders of tests share: a private home folder and one proven tiny test set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from circuits.bundle import Bundle
from circuits.halo2 import srs as srs_files
from circuits.halo2.keys import Keys, derive
from circuits.halo2.srs import SrsInfo
from tests.circuits.halo2.halo2_world import K, World, make_world
from tests.sumcheck_world import World as SmallWorld
from tests.sumcheck_world import make_world as make_small_world

# The same examples on every machine and in every run, however slow it is.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def zkpot_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep every test, and the processes it starts, away from the user's keys and SRS files."""
    folder = tmp_path_factory.mktemp("zkpot-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZKPOT_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def development_srs(zkpot_home: Path) -> SrsInfo:
    """A development SRS of 2^K rows in the tests' store."""
    return srs_files.make_development(K)


@pytest.fixture(scope="session")
def tiny(development_srs: SrsInfo) -> World:
    """A committed test set of three shards and a committed model; nothing is proven yet."""
    return make_world(development_srs)


@pytest.fixture(scope="session")
def tiny_keys(tiny: World) -> Keys:
    """The keys of the tiny circuit, with the proving key."""
    return derive(tiny.circuit, tiny.srs.path, proving=True)


@pytest.fixture(scope="session")
def small(zkpot_home: Path) -> SmallWorld:
    """A test set of three shards and a model, committed for the sumcheck backend."""
    return make_small_world()


@pytest.fixture(scope="session")
def small_bundle(small: SmallWorld, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The honest bundle of the small world."""
    return small.prove(tmp_path_factory.mktemp("small-bundle"))[0]


@pytest.fixture(scope="session")
def tiny_bundle(tiny: World, tiny_keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The honest bundle of the tiny world."""
    folder = tmp_path_factory.mktemp("tiny-bundle")
    return tiny.prove(folder)[0]
