"""A layer between the ledger and the disk at which every write can be made to fail.

It stands in for nothing: what is not told to fail is done by the system and by SQLite. A write
fails in two ways, which a program cannot tell apart: before anything was done, and afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from unittest import mock

_OS = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "fchmod", "chmod")
_SQL = ("BEGIN", "INSERT", "COMMIT", "ROLLBACK")

Reached = Callable[[int, str, str], None]
"""Told the number of a write, what it is, and "before" or "after"; may raise."""


class Writes:
    """Counts writes, and tells somebody about each of them.

    Attributes
    ----------
    names : list of str
        What was written so far.
    """

    def __init__(self, reached: Reached) -> None:
        self.names: list[str] = []
        self._reached = reached

    @contextlib.contextmanager
    def write(self, name: str) -> Iterator[None]:
        number = len(self.names)
        self.names.append(name)
        self._reached(number, name, "before")
        try:
            yield
        finally:
            self._reached(number, name, "after")


@contextlib.contextmanager
def watched(reached: Reached) -> Iterator[Writes]:
    """Tell `reached` about every write in the block, to files and to databases opened in it."""
    writes = Writes(reached)

    def watch(name):
        real = getattr(os, name)

        def call(*args, **kwargs):
            with writes.write(name):
                return real(*args, **kwargs)

        return mock.patch.object(os, name, call)

    class Connection(sqlite3.Connection):
        def execute(self, sql, *args):
            if not sql.startswith(_SQL):
                return super().execute(sql, *args)
            with writes.write(sql.split()[0]):
                return super().execute(sql, *args)

        def executemany(self, sql, *args):
            with writes.write(sql.split()[0]):
                return super().executemany(sql, *args)

    def connect(*args, **kwargs):
        return real_connect(*args, **kwargs, factory=Connection)

    real_connect = sqlite3.connect
    with contextlib.ExitStack() as stack:
        for name in _OS:
            stack.enter_context(watch(name))
        stack.enter_context(mock.patch.object(sqlite3, "connect", connect))
        yield writes


def ignore(number: int, name: str, when: str) -> None:
    """Let every write succeed."""


def failing(target: int, moment: str) -> Reached:
    """Fail one write, before or after it is done, as a broken disk would."""

    def reached(number: int, name: str, when: str) -> None:
        if (number, when) == (target, moment):
            if name in _SQL:
                raise sqlite3.OperationalError("disk I/O error")
            raise OSError(errno.EIO, f"{name} failed")

    return reached


def killing(target: int, moment: str) -> Reached:
    """End the process at a write, before or after it is done."""

    def reached(number: int, name: str, when: str) -> None:
        if (number, when) == (target, moment):
            os.kill(os.getpid(), signal.SIGKILL)

    return reached
