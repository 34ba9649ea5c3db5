"""Runs one ezkl function in a process of its own.

ezkl's bindings hold the GIL, print to standard output, raise PanicException (which is not an
Exception) and can use gigabytes. In a process with a deadline each of these is one named error.
The process gets a private, empty ``EZKL_REPO_PATH``: ezkl caches lookup tables there by name
and would take a table from that folder into the keys without looking at its content.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuits.errors import WorkerFailed

NETWORK_FUNCTIONS = frozenset({"get_srs"})
"""The only functions that may reach the network; all others see a closed proxy."""

_SECRET_FUNCTIONS = frozenset({"gen_witness", "prove", "mock"})

_CLOSED_PROXY = "http://127.0.0.1:9"


_live: set[subprocess.Popen[bytes]] = set()
"""Processes that run now, for `kill_all`."""


@dataclass(frozen=True)
class Result:
    """What a call returned and what it cost.

    Attributes
    ----------
    value : object
        The function's return value where it is JSON, else None.
    seconds : float
        Wall time of the function, without the start of the process.
    peak_rss : int
        Peak resident memory of the process, in bytes.
    """

    value: Any
    seconds: float
    peak_rss: int


def call_ezkl(
    function: str, *, timeout: float, threads: int | None = None, **kwargs: Any
) -> Result:
    """Call ``ezkl.<function>(**kwargs)`` in a new process.

    Parameters
    ----------
    function : str
        Name of the function; coroutines are awaited.
    timeout : float
        Seconds after which the process is killed.
    threads : int, optional
        Size of ezkl's thread pool; all cores by default.
    **kwargs
        JSON values or paths. ``py_run_args`` may be a dict of PyRunArgs fields.

    Raises
    ------
    WorkerFailed
        If the function raised or panicked (then `details` has ``raised``), or the process died
        or ran out of time.
    """
    request = {
        "function": function,
        "kwargs": {k: str(v) if isinstance(v, Path) else v for k, v in kwargs.items()},
    }
    with tempfile.TemporaryDirectory(prefix="zkpot-ezkl-") as scratch:
        reply = Path(scratch) / "reply.json"
        with (Path(scratch) / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "circuits.halo2._worker", str(reply), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=_environment(function, scratch, threads),
                start_new_session=True,
            )
        _live.add(process)
        try:
            process.communicate(json.dumps(request).encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            raise WorkerFailed(
                f"ezkl {function} did not finish within {timeout:.0f} s", function=function
            ) from None
        finally:
            _kill(process)
            _live.discard(process)
        return _read(function, process.returncode, reply)


def kill_all() -> None:
    """Kill every running call of this process; each then raises WorkerFailed in its thread."""
    for process in list(_live):
        _kill(process)


def _environment(function: str, scratch: str, threads: int | None) -> dict[str, str]:
    # EZKL_ variables change limits, key formats and folders: two parties must not differ in them.
    env = {k: v for k, v in os.environ.items() if not k.startswith("EZKL_")}
    env |= {"EZKL_REPO_PATH": scratch, "RUST_LOG": "off", "RUST_BACKTRACE": "0"}
    # The child finds this package wherever the parent did, installed or not.
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    if threads is not None:
        env["RAYON_NUM_THREADS"] = str(threads)
    if function not in NETWORK_FUNCTIONS:
        # create_evm_verifier tries to download a compiler, which nobody asked for.
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            env[name] = env[name.upper()] = _CLOSED_PROXY
        env["no_proxy"] = env["NO_PROXY"] = ""
    return env


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(function: str, status: int, reply: Path) -> Result:
    try:
        answer = json.loads(reply.read_bytes())
    except (FileNotFoundError, ValueError):
        how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
        hint = " (out of memory?)" if status == -signal.SIGKILL else ""
        raise WorkerFailed(f"ezkl {function} {how}{hint}", function=function) from None
    if "error" in answer:
        if function in _SECRET_FUNCTIONS:
            # ezkl quotes values in its messages; those of a witness stay where they are.
            raise WorkerFailed(
                f"ezkl {function} refused its input: {answer['error'].split(':')[0]} "
                "(details withheld, they can hold secret values)",
                function=function,
                raised=True,
            )
        raise WorkerFailed(
            f"ezkl {function} failed: {answer['error']}", function=function, raised=True
        )
    return Result(answer["value"], answer["seconds"], answer["peak_rss"])
