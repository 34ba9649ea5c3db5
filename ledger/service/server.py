"""Runs an application under uvicorn: limits on connections, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
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

_HEADER_SECONDS = 15.0
_HEADER_BYTES = 32 << 10
_KEEP_ALIVE_SECONDS = 30
# The application answers that it is overloaded in its own form; beyond this nobody answers well.
_CONNECTIONS_FACTOR = 4


class _Protocol(H11Protocol):
    """uvicorn's, which would wait for ever for the end of a request's headers."""

    seconds: ClassVar[float] = _HEADER_SECONDS
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the headers, or no longer."""
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._cancel()

    def _expect(self) -> None:
        at_work = self.cycle is not None and not self.cycle.response_complete
        if at_work:
            self._cancel()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._give_up)

    def _give_up(self) -> None:
        self._timer = None
        at_work = self.cycle is not None and not self.cycle.response_complete
        if not at_work and self.timeout_keep_alive_task is None:
            self.transport.close()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Ends on SIGTERM and SIGINT, and then returns."""

    def __init__(self, app: FastAPI, settings: Settings, **options: Any) -> None:
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=settings.limits.connections * _CONNECTIONS_FACTOR,
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
