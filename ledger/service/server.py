"""Runs an application under uvicorn: limits on connections, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import resource
import signal
import socket
import sys
import threading
from collections.abc import Generator
from typing import Any, ClassVar

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from ledger.errors import StorageFailed
from ledger.service.config import Settings
from ledger.service.limits import network

_HEADER_SECONDS = 15.0
_STALLED_SECONDS = 60.0
_HEADER_BYTES = 32 << 10
_KEEP_ALIVE_SECONDS = 30
# Beyond what the application serves at a time it says so, in its own form; beyond this nobody does.
_CONNECTIONS_FACTOR = 4
_SHARE = 4
# Connections that are accepted before those too many are closed: each is a file meanwhile.
_AT_A_TIME = 64
_WANTED_FILES = 1 << 16
_LEAST_FILES = 256


class _Protocol(H11Protocol):
    """uvicorn's, which would wait for ever for the end of headers, and for readers who do not."""

    most: ClassVar[int] = 0
    most_of_one: ClassVar[int] = 0
    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; one connection too many would be one file less for the log."""
        super().connection_made(transport)
        of_one = sum(1 for other in self.connections if _host(other) == _host(self))
        if len(self.connections) > self.most or of_one > self.most_of_one:
            transport.abort()
            return
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the headers, or no longer."""
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._cancel()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Wait for the other side to read: what it does not read is kept in memory."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(_STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Wait no longer."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _expect(self) -> None:
        at_work = self.cycle is not None and not self.cycle.response_complete
        if at_work:
            self._cancel()
        elif self._timer is None:
            self._timer = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        at_work = self.cycle is not None and not self.cycle.response_complete
        if not at_work and self.timeout_keep_alive_task is None:
            self.transport.close()
            self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """Close, though not for ever."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def on_response_complete(self) -> None:
        """Close where that was asked for, though not for ever."""
        super().on_response_complete()
        self._abort_later()

    def _abort_later(self) -> None:
        """Give up what was closed, and waits for the other side to read the last of it."""
        if self.transport.is_closing() and self._stalled is None:
            self._stalled = self.loop.call_later(_STALLED_SECONDS, self.transport.abort)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _host(connection: Any) -> str:
    return network(connection.client[0] if connection.client else "")


def _connections(wanted: int) -> int:
    """Return how many connections there may be, so that at least as many files are left.

    Raises
    ------
    StorageFailed
        If the process may have too few files.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    best = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < best:
        resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
        soft = best
    if soft != resource.RLIM_INFINITY and soft < _LEAST_FILES:
        raise StorageFailed(f"this process may open {soft} files, and needs {_LEAST_FILES}")
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft // 2)


class Server(uvicorn.Server):
    """Ends on SIGTERM and SIGINT, and then returns."""

    def __init__(self, app: FastAPI, settings: Settings, **options: Any) -> None:
        most = _connections(settings.limits.connections * _CONNECTIONS_FACTOR)
        # Behind a proxy all are of one address.
        of_one = most if options.get("forwarded_allow_ips") else max(1, most // _SHARE)
        config = uvicorn.Config(
            app,
            http=type("_Limited", (_Protocol,), {"most": most, "most_of_one": of_one}),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_AT_A_TIME,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, int(settings.stop_seconds / 2)),
            h11_max_incomplete_event_size=_HEADER_BYTES,
            **options,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals as uvicorn does, but do not raise them again once all is in order."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes any that is free.

    Raises
    ------
    StorageFailed
        If the address cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise StorageFailed(f"cannot listen on {host} port {port}: {error.strerror}") from None
    listening.setblocking(False)
    return listening


class _Lines(logging.Formatter):
    """One JSON object a line; what is one already is passed on."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {"time": round(record.created, 3), "level": record.levelname}
        message = record.getMessage()
        if record.name == "ledger.service.access":
            line.update(json.loads(message))
        else:
            line.update(log=record.name, message=message)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Write the service's log to standard error, one JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    for name in ("ledger.service", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def serve(app: FastAPI, settings: Settings, listening: socket.socket, **options: Any) -> None:
    """Serve until a signal says stop.

    Raises
    ------
    LedgerError
        If the service could not be started.
    """
    server = Server(app, settings, **options)
    try:
        with contextlib.closing(listening):
            server.run(sockets=[listening])
    finally:
        # A second signal does not wait for the first one's orderly end.
        app.state.service.abort()
    if app.state.failure is not None:
        raise app.state.failure
