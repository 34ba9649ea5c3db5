"""One long-lived process that runs ezkl for the attacks.

A forged value outside a lookup table makes ``ezkl.prove`` log an error from a thread of its pool,
which waits for the GIL that the caller holds: it hangs for good. Such a process uses no processor
time, which is how it is told from a slow one; it is then killed, and the forgery has failed.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from typing import Any

import psutil

_IDLE = 1.0
_POLL = 0.1


class Refused(Exception):
    """ezkl raised, panicked or hung, so there is no proof."""


class Ezkl:
    """Calls of ezkl's functions by name: ``ezkl("prove", ...)``."""

    def __init__(self, **environment: str) -> None:
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __call__(self, function: str, *args: object, **kwargs: Any) -> Any:
        """Call a function of ezkl; `Refused` if it raises, panics, dies or hangs."""
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        texts = [arg if isinstance(arg, int) else str(arg) for arg in args]
        named = {name: arg if name == "py_run_args" else str(arg) for name, arg in kwargs.items()}
        process.stdin.write(json.dumps([function, texts, named]).encode() + b"\n")
        process.stdin.flush()
        self._wait(process, function)
        line = process.stdout.readline()
        if not line:
            self.close()
            raise Refused(f"{function}: the process died")
        fine, value = json.loads(line)
        if not fine:
            raise Refused(value)
        return value

    def _start(self) -> subprocess.Popen[bytes]:
        # ezkl keeps a cache of lookup tables in its folder, which must not be the user's.
        self._folder = tempfile.TemporaryDirectory(prefix="attacks-ezkl-")
        environment = {**os.environ, "EZKL_REPO_PATH": self._folder.name, **self._environment}
        return subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def _wait(self, process: subprocess.Popen[bytes], function: str) -> None:
        watched = psutil.Process(process.pid)
        used, since = -1.0, time.monotonic()
        while not select.select([process.stdout], [], [], _POLL)[0]:
            now = sum(watched.cpu_times()[:2])
            if now != used:
                used, since = now, time.monotonic()
            elif time.monotonic() - since > _IDLE and watched.status() == psutil.STATUS_SLEEPING:
                self.close()
                raise Refused(f"{function}: hung, as with a value that is in no lookup table")

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _serve() -> None:
    # What ezkl and Rust's panics print is of no interest.
    replies = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for line in sys.stdin:
        function, args, kwargs = json.loads(line)
        try:
            answer = [True, asyncio.run(_call(function, args, kwargs))]
        except BaseException as error:  # a panic is no Exception
            text = (str(error).strip().splitlines() or [""])[0]
            answer = [False, f"{function}: {type(error).__name__}: {text[:200]}"]
        replies.write(json.dumps(answer) + "\n")
        replies.flush()


async def _call(function: str, args: list[Any], kwargs: dict[str, Any]) -> object:
    import ezkl

    if "py_run_args" in kwargs:
        run_args = ezkl.PyRunArgs()
        for name, value in kwargs["py_run_args"].items():
            setattr(run_args, name, tuple(value) if isinstance(value, list) else value)
        kwargs["py_run_args"] = run_args
    value = getattr(ezkl, function)(*args, **kwargs)
    value = await value if inspect.isawaitable(value) else value
    return value if isinstance(value, bool | str | int | None) else None


if __name__ == "__main__":
    _serve()
