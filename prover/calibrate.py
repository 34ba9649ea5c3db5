"""How fast this machine proves, against the one on which the cost models were measured."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from circuits import artefact
from circuits.errors import ArtefactError
from circuits.halo2.keys import home
from circuits.halo2.process import call_ezkl

VERSION: Final = 2

_K = 15
_KAPPA, _ROWS, _REPEATS = 13, 256, 4


def machine_speed(backend: str) -> float:
    """Return the stored speed of this machine relative to the reference, 1.0 if not measured."""
    try:
        fields = artefact.load(_path(), "calibration", VERSION, dict.fromkeys(PROBES, int))
    except ArtefactError:
        return 1.0
    return float(max(1, fields[backend])) / 100


def calibrate() -> dict[str, float]:
    """Measure this machine, store and return its speed for each backend."""
    speeds = {name: seconds / measure() for name, (seconds, measure) in PROBES.items()}
    percents = {name: max(1, round(100 * speed)) for name, speed in speeds.items()}
    artefact.save(_path(), "calibration", VERSION, percents)
    return speeds


def measure_halo2() -> float:
    """Return the seconds it takes to make an SRS of 2^15 rows: multi-core curve arithmetic.

    It is what proving spends most of its time on, and needs no keys.
    """
    with tempfile.TemporaryDirectory(prefix="zkpot-calibrate-") as folder:
        begin = time.monotonic()
        call_ezkl("gen_srs", timeout=600.0, srs_path=Path(folder) / "srs", logrows=_K)
        return time.monotonic() - begin


def measure_sumcheck() -> float:
    """Return the seconds it takes to commit to a few million values: arithmetic and hashing."""
    # Here, because it takes a second to load, and halo2 does without.
    from circuits.sumcheck.commitment import commit
    from circuits.sumcheck.randomness import SEED_BYTES, Randomness

    seed = bytes(SEED_BYTES)
    values = Randomness(seed).elements(_ROWS, 1 << _KAPPA)
    commit(values[:1], seed)  # compiles, which is not what is measured
    begin = time.monotonic()
    for _ in range(_REPEATS):
        commit(values, seed)
    return time.monotonic() - begin


PROBES: dict[str, tuple[float, Callable[[], float]]] = {
    "halo2": (5.5, measure_halo2),
    "sumcheck": (2.2, measure_sumcheck),
}
"""By backend: seconds of the reference machine (two cores), and what it took them for."""


def _path() -> Path:
    return home() / "calibration.json"
