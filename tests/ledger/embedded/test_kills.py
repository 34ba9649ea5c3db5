"""What was acknowledged survives SIGKILL; see `kill_loop`, which runs for as long as one likes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_killed_again_and_again():
    done = subprocess.run(
        [sys.executable, "-m", "tests.ledger.embedded.kill_loop"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "none lost" in done.stdout
