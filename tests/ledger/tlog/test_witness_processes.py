"""A witness killed at every line of its code, and two processes on one witness."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import ledger

DRIVER = Path(__file__).parent / "witness_processes.py"


def signed(*arguments):
    """Run the driver; return what was signed as (run, origin, size, root)."""
    path = str(Path(ledger.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(DRIVER), *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(line.split()) for line in done.stdout.splitlines()]


def test_killed_at_any_line_it_never_signs_two_roots(tmp_path):
    signatures = signed("kill", tmp_path)
    runs = {run for run, *_ in signatures} - {"begun"}
    # The last run is the one that was not killed.
    assert len(runs) > 50
    roots = {(run, size, root) for run, _, size, root in signatures}
    assert max(Counter((run, size) for run, size, _ in roots).values()) == 1
    # Some died with the promise made but nothing signed, some before, some after: the liar got
    # his way only where no promise was recorded.
    histories = Counter(root for run, size, root in roots if size == "8")
    assert len(histories) == 2
    twice = Counter(run for run, _, size, _ in signatures if size == "8")
    assert set(twice.values()) == {1, 2}


def test_two_processes_on_one_witness(tmp_path):
    signatures = signed("race", tmp_path / "w", 40)
    assert len(signatures) == len({origin for _, origin, _, _ in signatures}) == 40
