"""What every answer has in common: errors, headers, time limits, and a line in the access log."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from circuits.errors import ZkpotError
from ledger.errors import LedgerBusy, MissingBlob, StorageFailed
from ledger.service.config import Limits
from ledger.service.errors import (
    Busy,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RequestTimeout,
    ServiceError,
    TooLarge,
    WrongMediaType,
    status_of,
)
from ledger.service.limits import Places, network

_access = logging.getLogger("ledger.service.access")
_log = logging.getLogger("ledger.service")

_RETRY_SECONDS = 1.0
_DRAIN_BYTES = 64 << 20
_DRAIN_SECONDS = 2.0
_DRAIN_IDLE_SECONDS = 0.2
_LONGEST_MESSAGE = 1000
_LOOK_SECONDS = 1.0
SLOWEST = 1 << 16  # bytes a second
_LOGGED_PATH = 200

# Also for the explorer, whose scripts and styles are files of this server.
_HEADERS = [
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; "
     b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
     b"frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]  # fmt: skip


def error_response(error: ZkpotError) -> JSONResponse:
    """Return the answer to a request that failed, in the one form that errors have."""
    status = status_of(error)
    message = _told(error)[:_LONGEST_MESSAGE]
    headers = {"cache-control": "no-store"}
    if isinstance(error, Busy):
        headers["retry-after"] = str(error.retry_after)
    elif status == 503:
        headers["retry-after"] = str(int(_RETRY_SECONDS))
    if status == 401:
        headers["www-authenticate"] = "Signature"
    body = {"error": {"code": error.code, "message": message}}
    return JSONResponse(body, status, headers)


def _told(error: ZkpotError) -> str:
    """Return what a stranger is told: what is wrong inside, and where, is for the log."""
    if isinstance(error, MissingBlob) and "digest" in error.details:
        return f"blob {error.details['digest']} is not here; put it first"
    if isinstance(error, StorageFailed | LedgerBusy):
        return "the ledger cannot be written at the moment"
    return "the ledger failed" if status_of(error) == 500 else error.message


def install(app: FastAPI, limits: Limits) -> None:
    """Add error answers and the guard to an app."""

    async def known(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, ZkpotError)
        if status_of(error) >= 500 and not isinstance(error, Busy):
            _log.error("%s: %s", error.code, error.message)
        return error_response(error)

    async def invalid(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return error_response(MalformedRequest(f"{where}: {first['msg']}"))

    async def other(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            answer = error_response(MethodNotAllowed(f"no {request.method} here"))
            answer.headers.update(error.headers or {})
            return answer
        if error.status_code == 404:
            return error_response(NotFound("there is nothing at this address"))
        return error_response(MalformedRequest(str(error.detail)))

    app.add_exception_handler(ZkpotError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)
    app.add_middleware(Guard, limits=limits)


class Guard:
    """ASGI middleware: limits in time and number, headers, and the access log."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._places = Places(limits.connections)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._limits.answer_seconds)
        caller = network((scope.get("client") or ("",))[0])
        try:
            with self._places.take((caller, self._limits.requests_per_address)):
                async with asyncio.timeout(self._limits.answer_seconds) as exchange.deadline:
                    try:
                        await self._app(scope, exchange.receive, exchange.send)
                    finally:
                        exchange.deadline = None
        except ClientDisconnect:
            exchange.status = 499
        except TimeoutError:
            await exchange.fail(Overloaded("this took too long", _RETRY_SECONDS))
        except ServiceError as error:
            await exchange.fail(error)
        except Exception:
            _log.exception("request %s", exchange.id)
            await exchange.fail(ServiceError("internal error"))
        finally:
            exchange.log()


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._seconds = seconds
        self.deadline: asyncio.Timeout | None = None
        self._begun = time.monotonic()
        self._unread = True
        self._sent = 0
        self.id = secrets.token_hex(8)
        self.status: int | None = None
        scope.setdefault("state", {})

    async def receive(self) -> Message:
        message = await self._receive()
        # How fast a body must come in is for who reads it.
        self._go_on()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self.status is not None:
                return
            self.status = message["status"]
            headers = list(message.get("headers", []))
            given = {name for name, _ in headers}
            headers += [pair for pair in _HEADERS if pair[0] not in given]
            if b"cache-control" not in given:
                headers.append((b"cache-control", b"no-store"))
            headers.append((b"x-request-id", self.id.encode()))
            if message["status"] >= 400 and self._unread:
                await self._drain()
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        else:
            self._sent += len(message.get("body", b""))
        await self._send(message)
        # A long answer takes as long as somebody reads it.
        self._go_on()

    def _go_on(self) -> None:
        if self.deadline is not None and not self.deadline.expired():
            self.deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)

    async def _drain(self) -> None:
        """Read a little more of a body that is not wanted.

        A connection that is closed on unread bytes is reset, and its client never sees why.
        """
        length = dict(self._scope["headers"]).get(b"content-length", b"")
        if not length and b"transfer-encoding" not in dict(self._scope["headers"]):
            return
        seen, end = 0, time.monotonic() + _DRAIN_SECONDS
        try:
            while self._unread and seen < _DRAIN_BYTES and time.monotonic() < end:
                async with asyncio.timeout(_DRAIN_IDLE_SECONDS):
                    seen += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return

    async def fail(self, error: ZkpotError) -> None:
        if self.status is None:
            await error_response(error)(self._scope, self.receive, self.send)

    def log(self) -> None:
        scope = self._scope
        client = scope.get("client")
        # No query and no headers: neither is needed here, and a signature is nobody's business.
        line: dict[str, Any] = {
            "id": self.id,
            "from": client[0] if client else "",
            "method": scope["method"],
            "path": scope["path"][:_LOGGED_PATH],
            "status": self.status,
            "bytes": self._sent,
            "ms": round((time.monotonic() - self._begun) * 1e3, 1),
        }
        if identity := scope["state"].get("identity"):
            line["identity"] = identity
        _access.info(json.dumps(line))


def require_media_type(request: Request, expected: str) -> None:
    """Refuse a body of another type, or one that is encoded.

    Raises
    ------
    WrongMediaType
        If it is.
    """
    found = request.headers.get("content-type", "").strip().lower()
    if found != expected:
        raise WrongMediaType(f"content-type must be {expected}")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongMediaType("the body must not be encoded")


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Return a body of at most `limit` bytes, whatever its headers say of it.

    Raises
    ------
    TooLarge
        If it is larger; found out before it is all read.
    RequestTimeout
        If it does not arrive in time.
    """
    pieces = bytearray()
    async for piece in timed_body(request, limit, seconds):
        pieces += piece
    return bytes(pieces)


def address_of(request: Request) -> str:
    """Return what the sender of a request is counted by, see `network`."""
    return network(request.client.host if request.client else "")


async def timed_body(
    request: Request, limit: int, seconds: float, least_rate: Callable[[], int] = lambda: SLOWEST
) -> AsyncIterator[bytes]:
    """Give the pieces of a body; see `read_body`. A long one may take longer, at a least rate."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or len(declared) > 18 or int(declared) > limit:
        raise TooLarge(f"a body here has at most {limit} bytes")
    size = 0
    stream = request.stream()
    begun = time.monotonic()
    while True:
        coming = asyncio.ensure_future(anext(stream, None))
        try:
            while not coming.done():
                # The rate may change while nothing comes.
                left = begun + seconds + size / least_rate() - time.monotonic()
                if left <= 0:
                    raise RequestTimeout("the body did not arrive in time")
                await asyncio.wait({coming}, timeout=min(left, _LOOK_SECONDS))
            piece = coming.result()
        finally:
            coming.cancel()
        if piece is None:
            return
        size += len(piece)
        if size > limit:
            raise TooLarge(f"a body here has at most {limit} bytes")
        if piece:
            yield piece
