"""The process behind `circuits.halo2.process`: one request on stdin, one reply in a file."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import inspect
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the request and write the reply; exceptions, panics included, become text."""
    _die_with_parent()
    os.umask(0o077)  # witnesses are secrets
    request = json.loads(sys.stdin.buffer.read())
    begin = time.monotonic()
    try:
        value = _call(request["function"], request["kwargs"])
        answer: dict[str, Any] = {"value": value}
    except BaseException as error:  # a Rust panic is a BaseException
        # The first line only: what follows is a Rust source location.
        text = str(error).strip().splitlines() or [""]
        answer = {"error": f"{type(error).__name__}: {text[0][:300]}"}
    answer["seconds"] = time.monotonic() - begin
    answer["peak_rss"] = _peak_rss()
    try:
        text_answer = json.dumps(answer)
    except TypeError:
        text_answer = json.dumps({**answer, "value": None})
    path = Path(sys.argv[1])
    partial = path.with_suffix(".partial")
    partial.write_text(text_answer)
    partial.rename(path)


def _peak_rss() -> int:
    # Not ru_maxrss on Linux: it survives exec, so it would be at least the parent's size.
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, so that no prover is orphaned."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[2]):
        sys.exit("the parent was gone before its death could be noticed")


def _call(function: str, kwargs: dict[str, Any]) -> Any:
    import ezkl

    if "py_run_args" in kwargs:
        run_args = ezkl.PyRunArgs()
        for name, value in kwargs["py_run_args"].items():
            setattr(run_args, name, tuple(value) if isinstance(value, list) else value)
        kwargs["py_run_args"] = run_args

    async def run() -> Any:
        # Some bindings need a running event loop even to be called.
        value = getattr(ezkl, function)(**kwargs)
        return await value if inspect.isawaitable(value) else value

    return asyncio.run(run())


if __name__ == "__main__":
    main()
