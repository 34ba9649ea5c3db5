"""A service under a real server, in a thread of the test, and signed requests to it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from ledger import Ledger, Signer, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import LedgerError
from ledger.service.app import create_app
from ledger.service.auth import Message, sign_request
from ledger.service.config import Limits, Settings, Verification
from ledger.service.server import Server, bind
from ledger.service.service import Service
from tests.ledger import ledger_world
from tests.ledger.ledger_world import OPERATOR, ORIGIN, filled
from tests.ledger.service.stand_in import StandIn

FAST = Settings(
    limits=Limits(
        writes_per_second=1000, write_burst=1000, stranger_burst=1000, cosign_seconds=1
    ),
    verification=Verification(workers=1, queue=8, seconds=20),
    stop_seconds=4,
)  # fmt: skip


_template: list[tuple[Path, str]] = []


def make_ledger(folder: Path) -> str:
    """Make a ledger whose one task takes proofs; returns the task."""
    if not _template:
        with Ledger.init(folder, ORIGIN, OPERATOR, allow_insecure_srs=False) as ledger:
            task = filled(ledger)
        _template.append((folder.with_name(".template"), task))
        shutil.copytree(folder, _template[0][0])
        return task
    pristine, task = _template[0]
    shutil.copytree(pristine, folder)
    return task


def service_of(folder: Path, settings: Settings = FAST, **options: Any) -> Service:
    """Return the service of a ledger that `make_ledger` made, with the stand-in."""
    options.setdefault("verifier", lambda _: StandIn())
    return Service(folder, lambda: Ledger.open(folder, OPERATOR), settings, **options)


@contextlib.contextmanager
def run(app: FastAPI, settings: Settings) -> Iterator[str]:
    """Run an application in a thread; gives its URL."""
    listening = bind("127.0.0.1", 0)
    server = Server(app, settings)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listening]),))
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        assert thread.is_alive(), app.state.failure
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def served(service: Service) -> contextlib.AbstractContextManager[str]:
    """Run the service of a ledger; gives its URL."""
    return run(create_app(service), service.settings)


def signed(
    method: str, target: str, body: bytes, signer: Signer, *, identity: str | None = None,
    origin: str = ORIGIN, seconds: int = 60, **headers: str,
) -> dict[str, str]:  # fmt: skip
    """Return the headers of a signed request."""
    kind = "application/octet-stream" if method == "PUT" else "application/json"
    fields = {"content-type": kind, **headers}
    sign_request(
        Message(method, target, fields), hashlib.sha256(body).digest(), signer,
        identity=identity or signer.public, origin=origin, seconds=seconds,
    )  # fmt: skip
    return fields


class Caller:
    """Sends signed requests, and nothing else, so that they can also be wrong."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30)

    def send(self, method: str, target: str, body: bytes, signer: Signer, **how: Any) -> Any:
        return self.http.request(
            method, target, content=body, headers=signed(method, target, body, signer, **how)
        )

    def nonce(self, signer: Signer) -> int:
        found = self.http.get(f"/v1/identities/{signer.public}")
        return found.json()["nonce"] if found.status_code == 200 else 0

    def entry(self, body: Any, signer: Signer, nonce: int | None = None) -> SignedEntry:
        number = self.nonce(signer) if nonce is None else nonce
        return SignedEntry.sign(body, origin=ORIGIN, nonce=number, signer=signer)

    def append(self, body: Any, signer: Signer) -> Any:
        return self.send("POST", "/v1/entries", self.entry(body, signer).encode(), signer)


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of an error, having checked its form."""
    error = response.json()["error"]
    assert set(error) == {"code", "message"} and error["message"], error
    return response.status_code, error["code"]


def refused(call: Callable[[], Any]) -> str:
    """Return the code of the error that a call raises."""
    try:
        call()
    except LedgerError as error:
        return error.code
    raise AssertionError("not refused")


class Contributor:
    """Somebody with a committed model who submits proofs of it."""

    def __init__(self, caller: Caller, task: str, who: Signer, model: str) -> None:
        self.caller, self.task, self.who, self.model = caller, task, who, model

    def entry(self, bundle: bytes = b"", correct: int = 80) -> tuple[bytes, SignedEntry]:
        """Return a bundle, by default the honest one, and an entry that submits it."""
        said = ledger_world.statement(self.task, self.who, self.model, correct)
        bundle = bundle + said.encode() if not bundle or bundle.endswith(b" ") else bundle
        body = replace(ledger_world.submission(self.task, said), bundle=blob_digest(bundle))
        return bundle, self.caller.entry(body, self.who)

    def submit(self, bundle: bytes = b"", correct: int = 80) -> httpx.Response:
        """Put the bundle and submit it."""
        content, entry = self.entry(bundle, correct)
        self.put(content)
        return self.send(entry)

    def put(self, content: bytes) -> None:
        target = f"/v1/blobs/{blob_digest(content)}"
        assert self.caller.send("PUT", target, content, self.who).status_code == 201

    def send(self, entry: SignedEntry) -> httpx.Response:
        return self.caller.send("POST", "/v1/submissions", entry.encode(), self.who)

    def outcome(self, response: httpx.Response) -> dict[str, Any]:
        """Wait until a submission is decided."""
        assert response.status_code == 202, response.text
        return self.wait(response.json()["id"])

    def wait(self, digest: str) -> dict[str, Any]:
        """Wait until the submission of a digest is decided."""
        while True:
            found = self.caller.http.get(f"/v1/submissions/{digest}").json()
            if found["status"] in ("accepted", "refused"):
                return dict(found)
            time.sleep(0.02)


class Liar:
    """Between the service and the client; what it changes is the test's to say."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.state = app.state
        self.lies: dict[str, Callable[[bytes], bytes]] = {}
        self.status: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        lie = self.lies.get(scope.get("path", ""))
        if scope["type"] != "http" or lie is None:
            await self.app(scope, receive, send)
            return
        body = bytearray()
        start: dict[str, Any] = {}

        async def collect(message: Any) -> None:
            start.update(message if message["type"] == "http.response.start" else {})
            body.extend(message.get("body", b""))

        await self.app(scope, receive, collect)
        changed = lie(bytes(body))
        headers = [(k, v) for k, v in start["headers"] if k != b"content-length"]
        status = self.status.get(scope["path"], start["status"])
        if 300 <= status < 400:
            headers.append((b"location", changed))
        await send({**start, "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": changed})
