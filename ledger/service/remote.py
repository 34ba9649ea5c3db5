"""HTTP as a client of a ledger's service needs it: signed, limited, and tried again."""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from weakref import WeakSet

import httpx

from circuits.encoding import parse_json
from circuits.errors import CorruptedArtefact, MissingArtefact, ProofRejected, ZkpotError
from ledger import errors as _ledger_errors  # noqa: F401  (so that its classes are known)
from ledger.service.auth import Message, sign_request
from ledger.service.errors import Busy, Refused, ServiceError, TooLarge, Unreachable
from ledger.signatures import Signs

SMALL = 4 << 20
_TRIES = 4
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 30.0
_SIGNATURE_SECONDS = 60
_PIECE = 1 << 16
_SLOWEST = 1 << 16  # bytes a second
_SLOW = "it is too slow"
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_MESSAGE = 1000

Pause = Callable[[float], None]


@dataclass(frozen=True)
class Author:
    """Who signs requests.

    Attributes
    ----------
    identity : str
        The identity.
    signer : Signs
        Its present key.
    origin : str
        The ledger.
    """

    identity: str
    signer: Signs
    origin: str


class Remote:
    """A server.

    What is asked of it may be asked again: its API is made so that a repeated request changes
    nothing. Redirections are not followed.

    Parameters
    ----------
    url : str
        Where it is.
    timeout : float
        Seconds to wait for it to say something. What is sent and received must also move on, at
        64 KiB a second with twice as many seconds to spare.
    patience : float
        Seconds for which a request is tried again while the server is busy or cannot be reached.
    """

    def __init__(self, url: str, *, timeout: float = 30.0, patience: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self._spare = 2 * timeout
        self._http = httpx.Client(timeout=timeout, follow_redirects=False)
        self._sockets: WeakSet[socket.socket] = WeakSet()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, target: str, limit: int = SMALL) -> bytes:
        """Return what is at an address."""
        return self._send("GET", target, limit, dict)

    def get_json(self, target: str) -> dict[str, Any]:
        """Return the object at an address."""
        return _object(self.get(target), target)

    def find(self, target: str) -> dict[str, Any] | None:
        """Return the object at an address, or None if there is nothing."""
        try:
            return self.get_json(target)
        except MissingArtefact:
            return None

    def write(
        self, method: str, target: str, body: bytes, media_type: str, author: Author
    ) -> dict[str, Any]:
        """Send a signed request and return the object that answers it."""
        sha256 = hashlib.sha256(body).digest()

        def headers() -> dict[str, str]:
            # Anew for each try: a signature is good for one request.
            found = {"content-type": media_type}
            sign_request(
                Message(method, target, found), sha256, author.signer,
                identity=author.identity, origin=author.origin, seconds=_SIGNATURE_SECONDS,
            )  # fmt: skip
            return found

        return _object(self._send(method, target, SMALL, headers, body), target)

    def _send(
        self, method: str, target: str, limit: int, headers: Callable[[], Mapping[str, str]],
        body: bytes | None = None,
    ) -> bytes:  # fmt: skip
        end, pause = time.monotonic() + self.patience, _FIRST_PAUSE
        problem: ServiceError
        while True:
            try:
                return self._once(method, target, limit, headers(), body)
            except Unreachable as error:
                wait, problem = pause, error
            except Busy as error:
                wait, problem = float(error.retry_after), error
            if time.monotonic() + wait > end:
                raise problem
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _once(
        self, method: str, target: str, limit: int, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        clock = _Clock(self._spare, self._sockets)
        content = None if body is None else _pieces(body, clock)
        headers = {**headers, "accept-encoding": "identity"}
        sized = dict(headers) if body is None else {**headers, "content-length": str(len(body))}
        try:
            with clock, self._http.stream(
                method, self.url + target, content=content, headers=sized,
                extensions={"trace": self._connected},
            ) as response:  # fmt: skip
                found = _limited(response, limit, clock)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            what = _SLOW if clock.expired else str(error) or type(error).__name__
            raise Unreachable(f"{self.url} cannot be reached: {what}") from None
        if clock.expired:
            # An answer that ends with the connection would look like a whole one.
            raise Unreachable(f"{self.url} cannot be reached: {_SLOW}")
        if response.is_success:
            return found
        raise _error(response, found)

    def _connected(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._sockets.add(info["return_value"].get_extra_info("socket"))


class _Clock:
    """Ends an exchange that does not move on.

    The limit of the HTTP library is for one read, and a server can make it read endlessly often,
    also before the answer begins. The library does not say which connection an exchange uses: all
    of a client's are cut off, and what else is under way is tried again.
    """

    def __init__(self, spare: float, sockets: WeakSet[socket.socket]) -> None:
        self._end = time.monotonic() + spare
        self._sockets = sockets
        self._done = threading.Event()
        self.expired = False

    def moved(self, count: int) -> None:
        """Say that so many bytes were sent or received."""
        self._end += count / _SLOWEST

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="exchange clock", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()

    def _run(self) -> None:
        while (left := self._end - time.monotonic()) > 0:
            if self._done.wait(left):
                return
        if self._done.is_set():
            return
        self.expired = True
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _pieces(body: bytes, clock: _Clock) -> Iterator[bytes]:
    for start in range(0, len(body), _PIECE):
        piece = body[start : start + _PIECE]
        yield piece
        clock.moved(len(piece))


def _limited(response: httpx.Response, limit: int, clock: _Clock) -> bytes:
    found = bytearray()
    # In raw pieces: what is small when it is sent must not be large when it is decoded.
    for piece in response.iter_raw():
        found += piece
        clock.moved(len(piece))
        if len(found) > limit:
            raise TooLarge(f"{response.url} answers with more than {limit} bytes")
    return bytes(found)


def _object(data: bytes, target: str) -> dict[str, Any]:
    try:
        found = parse_json(data, "answer")
    except CorruptedArtefact:
        found = None
    if not isinstance(found, dict):
        raise Unreachable(f"the answer at {target} is no JSON object")
    return found


def _error(response: httpx.Response, content: bytes) -> ZkpotError:
    """Return the error that a server answered with, as the class of its code where there is one."""
    try:
        told = parse_json(content, "answer")["error"]
        code, message = str(told["code"]), str(told["message"])[:_MESSAGE]
    except (CorruptedArtefact, KeyError, TypeError):
        code, message = "", ""
    if not _CODE.fullmatch(code):
        code, message = "UNREACHABLE", f"the server answers with status {response.status_code}"
    if response.status_code in (429, 503):
        return Busy.told(code, message, _seconds(response.headers.get("retry-after", "")))
    if response.status_code == 404 and code == "NOT_FOUND":
        return MissingArtefact(message)
    if response.status_code >= 500:
        return Unreachable(f"{code}: {message}")
    return error_of(code, message)


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() and len(text) < 6 else 1.0


def error_of(code: str, message: str) -> ZkpotError:
    """Return an error of a code, as this side would raise it where it knows the code."""
    for cls in _subclasses(ZkpotError):
        if cls.code == code and cls.__init__ is ZkpotError.__init__:
            return cls(message)
        if cls.code == code and issubclass(cls, ProofRejected):
            check, _, rest = message.partition(": ")
            return cls(check, rest)
    return Refused(code, message)


def _subclasses(cls: type[ZkpotError]) -> Iterator[type[ZkpotError]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _subclasses(sub)
