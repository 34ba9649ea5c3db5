"""Running the tool as a user would, one process a command, with wall-clock time and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One command: seconds from start to end, peak resident bytes, and what it printed."""

    seconds: float
    peak_bytes: int
    result: dict[str, Any]


def run_zkpot(cache: Path, *arguments: str | Path) -> Measured:
    """Run ``zkpot ARGUMENTS --json`` in a process of its own, with compiled code kept in `cache`.

    Raises
    ------
    RuntimeError
        If it fails; carries what it wrote to stderr.
    """
    command = [sys.executable, "-m", "zkpot", *map(str, arguments), "--json"]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
        process = subprocess.Popen(command, stdout=output, stderr=errors, env=environment)
        # wait4 gives this child's own peak; the counter of all children never goes down.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            message = errors.read().decode(errors="replace").strip()
            raise RuntimeError(f"zkpot {arguments[0]} ended with {process.returncode}: {message}")
        kilobyte = 1 if sys.platform == "darwin" else 1024
        return Measured(seconds, usage.ru_maxrss * kilobyte, json.loads(output.read()))
