"""Processes that are killed, and processes that write at once; see `kill_loop` and `writers`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(module):
    # In a process of its own, which forks: pytest's has threads of others.
    done = subprocess.run(
        [sys.executable, "-m", f"tests.ledger.embedded.{module}"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_killed_again_and_again():
    """Set ZKPOT_KILLS to have it done more than 25 times."""
    assert "none lost" in run("kill_loop")


def test_writers_at_once():
    assert "writers agree" in run("writers")
