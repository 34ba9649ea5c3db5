"""How fast this machine proves, against the one on which the cost model was measured."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

from circuits import artefact
from circuits.errors import ArtefactError
from circuits.halo2.keys import home
from circuits.halo2.process import call_ezkl

VERSION: Final = 1
REFERENCE_SECONDS: Final = 5.5
"""Seconds that `measure` takes on the reference machine (two cores)."""

_K = 15


def machine_speed() -> float:
    """Return the stored speed of this machine relative to the reference, 1.0 if not measured."""
    try:
        fields = artefact.load(_path(), "calibration", VERSION, {"percent": int})
    except ArtefactError:
        return 1.0
    return float(max(1, fields["percent"])) / 100


def calibrate() -> float:
    """Measure this machine, store and return its speed relative to the reference."""
    speed = REFERENCE_SECONDS / measure()
    artefact.save(_path(), "calibration", VERSION, {"percent": max(1, round(100 * speed))})
    return speed


def measure() -> float:
    """Return the seconds it takes to make an SRS of 2^15 rows: multi-core curve arithmetic.

    It is what proving spends most of its time on, and needs no keys.
    """
    with tempfile.TemporaryDirectory(prefix="zkpot-calibrate-") as folder:
        begin = time.monotonic()
        call_ezkl("gen_srs", timeout=600.0, srs_path=Path(folder) / "srs", logrows=_K)
        return time.monotonic() - begin


def _path() -> Path:
    return home() / "calibration.json"
