"""What a review found that strangers, or a full disk, could do to a service; and no longer can."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from starlette.requests import Request

from ledger import IdentityRegister, Ledger, Signer, blob_digest
from ledger.embedded import store
from ledger.embedded.store import Refusal
from ledger.errors import LedgerBusy, NoMark, StorageFailed
from ledger.service import queue, server
from ledger.service.errors import Overloaded, RateLimited, RequestTimeout, StorageFull
from ledger.service.http import timed_body
from ledger.service.keeper import Keeper
from ledger.service.limits import Places, network
from ledger.service.routes_common import file_response
from ledger.service.spool import Spool
from tests.ledger.ledger_world import (
    ALICE,
    BOB,
    DATA,
    OPERATOR,
    digest_of,
    signer,
    statement,
    submission,
)  # fmt: skip
from tests.ledger.service.service_world import (
    FAST,
    Caller,
    Contributor,
    error_of,
    make_ledger,
    served,
    service_of,
    signed,
)  # fmt: skip

MALLORY, MALVINA = signer("mallory"), signer("malvina")
ELSEWHERE = "127.0.0.2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def task(folder: Path) -> str:
    return make_ledger(folder)


def limited(folder: Path, **limits: Any) -> Any:
    """Serve with other limits."""
    return served(service_of(folder, replace(FAST, limits=replace(FAST.limits, **limits))))


def elsewhere(url: str) -> httpx.Client:
    """Return a client of another network address."""
    return httpx.Client(
        base_url=url, timeout=30, transport=httpx.HTTPTransport(local_address=ELSEWHERE)
    )


@contextmanager
def connected(url: str, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    port = urlsplit(url).port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), 30, (source, 0)) as opened:
        yield opened


def begin_upload(opened: socket.socket, who: Signer, number: int, *, send: bytes = b"x") -> None:
    """Announce 100 bytes, and send some of them."""
    body = bytes([number]) * 100
    target = f"/v1/blobs/{blob_digest(body)}"
    fields = {"host": "x", "content-length": "100", **signed("PUT", target, body, who)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    opened.sendall(f"PUT {target} HTTP/1.1\r\n{lines}\r\n".encode() + send)


def put(caller: Caller, blob: bytes, who: Signer) -> httpx.Response:
    return caller.send("PUT", f"/v1/blobs/{blob_digest(blob)}", blob, who)


# What was taken is not given up.


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("admit", LedgerBusy("another writer holds the ledger")),
        ("before the log", NoMark("too many open files")),
        ("before the log", OSError(errno.EMFILE, "too many open files")),
        ("after the log", StorageFailed("no space left on device")),
    ],
)
def test_what_is_wrong_with_the_server_refuses_no_submission(
    folder: Path, task: str, monkeypatch: pytest.MonkeyPatch, where: str, fault: Exception
) -> None:
    """Of what an earlier service took; it is verified, logged and paid once all the same."""
    monkeypatch.setattr(queue, "_PAUSE_SECONDS", 0.01)
    said = statement(task, ALICE, "m", 80)
    bundle = said.encode()
    with Ledger.open(folder, OPERATOR) as ledger:
        body = replace(submission(task, said), bundle=blob_digest(bundle))
        entry = ledger.sign(body, ALICE)
    service = service_of(folder)
    service.spool.enter(entry.digest, entry.encode())
    waiting = folder / "service" / "blobs" / ALICE.public
    waiting.mkdir()
    (waiting / blob_digest(bundle)).write_bytes(bundle)
    admit, log, verify = service.book.admit, service.book.log, service.book.task
    faults, verified = [fault, fault], []

    async def admitting(wanted: Any) -> Any:
        if where == "admit" and faults:
            raise faults.pop()
        return await admit(wanted)

    async def logging(*wanted: Any) -> Any:
        if where == "before the log" and faults:
            raise faults.pop()
        placed = await log(*wanted)
        if where == "after the log" and faults:
            raise faults.pop()
        return placed

    def verifying(*wanted: Any) -> Any:
        verified.append(wanted)
        return verify(*wanted)

    monkeypatch.setattr(service.book, "admit", admitting)
    monkeypatch.setattr(service.book, "log", logging)
    monkeypatch.setattr(service.book, "task", verifying)
    with served(service) as url:
        caller = Caller(url)
        found = Contributor(caller, task, ALICE, "m").wait(entry.digest)
        assert (found["status"], found["index"]) == ("accepted", 10)
        assert found["credited"] > 0 and caller.http.get("/v1/info").json()["size"] == 12
    assert len(verified) == 1
    assert list((folder / "service" / "submissions").iterdir()) == []


# Connections.


def test_connections_leave_files_for_the_log() -> None:
    """As many as are allowed are asked for; and no more than half of them are for connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = (
        "import resource, sys\n"
        "from ledger.errors import StorageFailed\n"
        "from ledger.service.server import _connections\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (300, 600))\n"
        "assert _connections(1024) == 300\n"
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, 600)\n"
        "assert _connections(100) == 100\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n"
        "try:\n    _connections(1024)\n"
        "except StorageFailed:\n    sys.exit(0)\n"
        "sys.exit('not refused')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_idle_connections_of_one_address_are_not_everybodys(folder: Path, task: str) -> None:
    with limited(folder, connections=4) as url, ExitStack() as stack:
        opened = [stack.enter_context(connected(url)) for _ in range(6)]
        for extra in opened[4:]:
            with pytest.raises(ConnectionError):
                extra.sendall(b"G")
                assert not extra.recv(1)
                raise ConnectionError
        assert elsewhere(url).get("/healthz").status_code == 200


def test_requests_of_one_address_are_not_everybodys(folder: Path, task: str) -> None:
    with limited(folder, requests_per_address=2) as url, ExitStack() as stack:
        other = elsewhere(url)
        for number in range(2):
            begin_upload(stack.enter_context(connected(url)), ALICE, number)
        blobs = folder / "service" / "blobs"
        while len(list(blobs.glob("*/.*"))) < 2:
            pass
        assert error_of(Caller(url).http.get("/healthz")) == (429, "RATE_LIMITED")
        assert other.get("/healthz").status_code == 200


def test_an_ipv6_network_is_one_caller() -> None:
    assert network("2001:db8:1:2:3:4:5:6") == network("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert network("::1") == "::/64"
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") == "192.0.2.1"
    assert network("") == ""


# Uploads.


def test_uploads_of_one_identity_are_not_everybodys(folder: Path, task: str) -> None:
    limits = {"uploads": 5, "uploads_of_one": 2, "uploads_per_address": 4}
    with limited(folder, **limits) as url, ExitStack() as stack:
        caller = Caller(url)
        for who in (MALLORY, MALVINA):
            assert caller.append(IdentityRegister("m"), who).status_code == 201
        blobs = folder / "service" / "blobs"
        # Who sends nothing has no place.
        for number in range(10):
            begin_upload(stack.enter_context(connected(url)), MALLORY, number, send=b"")
        assert put(caller, b"honest", ALICE).status_code == 201
        for number in (20, 21):
            begin_upload(stack.enter_context(connected(url)), MALLORY, number)
        while len(list(blobs.glob(f"{MALLORY.public}/.*"))) < 2:
            pass
        assert error_of(put(caller, b"more", MALLORY)) == (429, "RATE_LIMITED")
        assert put(caller, b"honest too", ALICE).status_code == 201
        # Nor has one address all places, whoever signs.
        for number in (30, 31):
            begin_upload(stack.enter_context(connected(url)), MALVINA, number)
        while len(list(blobs.glob(f"{MALVINA.public}/.*"))) < 2:
            pass
        assert error_of(put(caller, b"honest three", ALICE)) == (429, "RATE_LIMITED")
        caller.http = elsewhere(url)
        assert put(caller, b"honest three", ALICE).status_code == 201


def test_places_are_given_back() -> None:
    places = Places(2)
    with places.take(("a", 1)):
        with pytest.raises(RateLimited), places.take(("a", 1)):
            pass
        with places.take(("b", 1)):
            assert places.scarce
            with pytest.raises(Overloaded), places.take(("c", 1)):
                pass
    assert not places.scarce
    with places.take(("a", 1)), places.take(("c", 1)):
        pass


def test_an_upload_that_waits_must_hurry_when_places_become_scarce() -> None:
    """Also while it sends nothing: the rate is that of the moment."""
    rates = [1]

    async def receive() -> Any:
        if rates == [1]:
            rates.append(1 << 20)
            return {"type": "http.request", "body": b"x" * 1000, "more_body": True}
        return await asyncio.Event().wait()

    async def read() -> list[bytes]:
        request = Request({"type": "http", "method": "PUT", "headers": []}, receive)
        return [piece async for piece in timed_body(request, 10**6, 0.0, lambda: rates[-1])]

    with pytest.raises(RequestTimeout):
        asyncio.run(read())


def test_a_full_spool_makes_room_at_the_cost_of_who_fills_it(tmp_path: Path) -> None:
    limits = replace(FAST.limits, spool_bytes=600, spool_total=1000)
    spool = Spool(tmp_path, limits)

    def keep(who: str, data: bytes) -> None:
        with spool.upload(who) as upload:
            upload.write(data)
            asyncio.run(spool.keep(upload))

    for who in ("a", "b"):
        keep(who * 64, who.encode() * 250)
        keep(who * 64, who.encode() * 249)
    spool.needed = lambda: {("a" * 64, blob_digest(b"a" * 250))}
    keep("c" * 64, b"c" * 200)
    assert spool.used("c" * 64) == 200 and spool.used("a" * 64) + spool.used("b" * 64) <= 800
    assert spool.find("a" * 64, blob_digest(b"a" * 250)) is not None


# Readers.


def test_a_file_goes_out_as_it_is_read(tmp_path: Path) -> None:
    """Who does not read takes up a piece of it in memory, and not the whole."""
    path = tmp_path / "blob"
    path.write_bytes(bytes(8 << 20))
    sent: list[int] = []

    async def send(message: Any) -> None:
        sent.append(len(message.get("body", b"")))
        if sum(sent) > 0:
            await asyncio.Event().wait()

    async def serve() -> None:
        response = await file_response(path, "application/octet-stream")
        scope = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.4"}}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await response(scope, asyncio.Event().wait, send)

    asyncio.run(serve())
    assert 0 < sum(sent) <= 1 << 20


@pytest.mark.parametrize("size", [8 << 20, 3 << 19])
def test_who_does_not_read_is_cut_off(
    folder: Path, task: str, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(server, "_STALLED_SECONDS", 0.2)
    monkeypatch.setattr(server, "_KEEP_ALIVE_SECONDS", 1)
    with Ledger.open(folder, OPERATOR) as ledger:
        name = ledger.put_blob(bytes(size))
    with served(service_of(folder)) as url, socket.socket() as silent:
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        silent.connect(("127.0.0.1", urlsplit(url).port))
        silent.sendall(f"GET /v1/blobs/{name} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        mine = silent.getsockname()

        def is_open() -> bool:
            found = psutil.Process().net_connections("tcp4")
            return any(tuple(c.raddr or ()) == mine and c.status == "ESTABLISHED" for c in found)

        while not is_open():
            pass
        while is_open():
            pass


def test_writes_go_before_the_readers_that_wait(folder: Path, task: str) -> None:
    seen: list[bool] = []
    busy, go = Event(), Event()

    async def run() -> None:
        keeper = Keeper(lambda: Ledger.open(folder, OPERATOR))
        await keeper.start()
        entry = await keeper.run(lambda ledger: ledger.sign(IdentityRegister("m"), MALLORY))

        def block(_: Ledger) -> None:
            busy.set()
            go.wait()

        def read(ledger: Ledger) -> None:
            seen.append(MALLORY.public in ledger.state.identities)

        tasks = [asyncio.create_task(keeper.run(block))]
        await asyncio.to_thread(busy.wait)
        tasks += [asyncio.create_task(keeper.run(read)) for _ in range(50)]
        writing = asyncio.create_task(keeper.append(entry, ()))
        # Until all of them are in the queue.
        while keeper._waiting.qsize() < 51:
            await asyncio.sleep(0)
        go.set()
        await asyncio.gather(writing, *tasks)
        await keeper.close()

    asyncio.run(run())
    assert seen == [True] * 50


# What is kept.


def test_refusals_are_bounded(folder: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "REFUSALS", 20)
    monkeypatch.setattr(store, "REFUSALS_OF_ONE", 5)

    def refusals(who: str, count: int) -> list[Refusal]:
        return [
            Refusal(digest_of(f"{who} {i}"), "BAD_NONCE", who, "bond", "") for i in range(count)
        ]

    with Ledger.open(folder, OPERATOR) as ledger:
        ledger._store.record(refusals("honest", 2))
        for refusal in refusals("mallory", 30):
            ledger._store.record([refusal])
        kept = ledger.refusals()
        assert [r.signer for r in kept] == ["honest"] * 2 + ["mallory"] * 5
        assert kept[-1].entry == digest_of("mallory 29")
        for who in "abcd":
            ledger._store.record(refusals(who, 5))
        assert [r.signer for r in ledger.refusals()] == [w for w in "abcd" for _ in range(5)]
        assert ledger.refusals(1) == ledger.refusals()[-1:]
        assert ledger.audit(None, ledger.key).ok


def test_what_entries_name_is_bounded(folder: Path, task: str) -> None:
    """And is told before the entry is appended, so that its number can be used again."""
    limits = {"kept_of_one": 1500, "kept_total": 3200, "document_bytes": 1100}

    def registered(caller: Caller, who: Signer, blob: bytes) -> Any:
        body = replace(DATA, root=digest_of(blob.hex()), manifest=blob_digest(blob))
        assert put(caller, blob, who).status_code == 201
        return caller.append(body, who)

    with limited(folder, **limits) as url:
        caller = Caller(url)
        assert error_of(registered(caller, ALICE, b"0" * 1101)) == (413, "TOO_LARGE")
        assert registered(caller, ALICE, b"1" * 1000).status_code == 201
        assert error_of(registered(caller, ALICE, b"2" * 600)) == (403, "STORAGE_SPENT")
        assert registered(caller, ALICE, b"3" * 400).status_code == 201
        # What is there already costs nobody anything.
        body = replace(DATA, root=digest_of("again"), manifest=blob_digest(b"1" * 1000))
        assert caller.append(body, ALICE).status_code == 201
        assert registered(caller, BOB, b"4" * 1000).status_code == 201
    # The same after a restart; and in all.
    with limited(folder, **limits) as url:
        caller = Caller(url)
        assert error_of(registered(caller, ALICE, b"2" * 600)) == (403, "STORAGE_SPENT")
        assert caller.append(IdentityRegister("m"), MALLORY).status_code == 201
        full = registered(caller, MALLORY, b"5" * 1000)
        assert error_of(full) == (503, "STORAGE_FULL") and int(full.headers["retry-after"]) > 1


def test_blobs_leave_the_disk_some_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, replace(FAST.limits, free_bytes=1 << 60))
    with pytest.raises(StorageFull), spool.upload("a" * 64):
        pass
    assert list(tmp_path.glob("*/*")) == []
