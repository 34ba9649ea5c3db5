"""What servers, validators and strangers tried in a review: clients and validators hold."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from circuits.encoding import parse_json
from circuits.errors import CorruptedArtefact
from ledger import Checkpoint, IdentityRegister, Ledger, Signer, Transfer, VerifierKey
from ledger.envelope import SignedEntry
from ledger.errors import BadNonce, BadNote, BadTrustPolicy, InsufficientFunds, LedgerCorrupt
from ledger.service.app import create_app
from ledger.service.client import LedgerClient
from ledger.service.cosign import Validator as Asked
from ledger.service.errors import NotCosigned, NotVerified, Unreachable, Unsettled
from ledger.service.outbox import Outbox
from ledger.service.remote import Remote
from ledger.service.service import Service
from ledger.tlog.quorum import Quorum
from ledger.tlog.trust import TrustPolicy
from ledger.tlog.wire import AddCheckpoint
from tests.ledger.ledger_world import OPERATOR, ORIGIN
from tests.ledger.service.service_world import (
    FAST,
    Caller,
    Liar,
    make_ledger,
    run,
    served,
    service_of,
)  # fmt: skip
from tests.ledger.service.stand_in import StandIn
from tests.ledger.service.test_validators import KEY, Watcher

CAROL, DAVE = Signer.generate(), Signer.generate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "ledger"
    make_ledger(made)
    return made


def until(condition: Any, seconds: float = 30.0) -> None:
    """Wait for something that comes soon, or never."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextlib.contextmanager
def dripping(head: bytes, pause: float = 0.05) -> Iterator[str]:
    """A server that says something, and then a byte at a time, for as long as one listens."""
    done = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(head)
            while not done.wait(pause):
                connection.sendall(b"x")

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            done.set()
            # An accept that is under way keeps the socket open.
            listening.shutdown(socket.SHUT_RDWR)


# --- what a validator cosigns


def test_a_line_that_nobody_verified_is_not_cosigned(folder: Path, tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, "w.example")
    plain = Checkpoint(ORIGIN, 1_000_000, b"\x11" * 32)
    extended = dataclasses.replace(plain, extensions=("anything",)).sign(OPERATOR)
    with served(service_of(folder)) as url, watcher.follows(url) as (address, validator):
        until(lambda: validator.follower.size == 10)

        def ask(note: str) -> httpx.Response:
            body = AddCheckpoint(0, (), note).encode()
            return httpx.post(f"{address}/add-checkpoint", content=body, timeout=60)

        honest = httpx.get(f"{url}/checkpoint").text
        small = dataclasses.replace(Checkpoint.open(honest, KEY), extensions=("x",))
        for note in (extended, small.sign(OPERATOR)):
            assert ask(note).status_code == 422
        # The honest one is, and only that convinces a reader.
        answer = ask(honest)
        assert answer.status_code == 200
        policy = TrustPolicy.k_of_n(1, [watcher.key], [KEY])
        assert policy.open(honest + answer.text).size == 10
        with pytest.raises(BadNote, match="extension lines"):
            policy.open(extended)


def test_requests_to_cosign_do_not_stop_what_they_wait_for(folder: Path, tmp_path: Path) -> None:
    watcher, gate = Watcher(tmp_path, "w.example"), threading.Event()
    with served(service_of(folder)) as url, watcher.follows(url) as (address, validator):
        until(lambda: validator.follower.size == 10)
        verify = validator.follower._verify

        def slow(added: list[bytes]) -> Any:
            gate.wait(30)
            return verify(added)

        validator.follower._verify = slow  # type: ignore[method-assign]
        Caller(url).append(IdentityRegister("n"), Signer.generate())
        body = AddCheckpoint(0, (), httpx.get(f"{url}/checkpoint").text).encode()
        places, answers = validator.settings.limits.waiting, []

        def ask() -> None:
            found = httpx.post(f"{address}/add-checkpoint", content=body, timeout=60)
            answers.append(found.status_code)

        crowd = [threading.Thread(target=ask) for _ in range(places + 8)]
        for one in crowd:
            one.start()
        # Who has no place to wait in is told so at once.
        until(lambda: len(answers) >= 8)
        assert set(answers) == {NotVerified.status}
        assert httpx.get(f"{address}/v1/validator").json()["size"] == 10
        gate.set()
        for one in crowd:
            one.join()
        # One of them got it; to the others the witness says where it is.
        assert answers.count(NotVerified.status) == 8
        assert set(answers[8:]) <= {200, 409} and 200 in answers


def test_a_validator_that_drips_holds_up_nobody(folder: Path, tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, "good.example")
    evil = VerifierKey("evil.example", Signer.generate().public, "cosignature")
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 60000\r\n\r\n"
    with dripping(head) as drip:
        asked = [Asked(watcher.key, "http://127.0.0.1:9"), Asked(evil, drip)]
        service = service_of(folder, validators=asked)
        with served(service) as url, watcher.follows(url) as (address, _):
            service.validators[0].url = address
            service.validators[0].rest_until = 0.0
            for name in ("a", "b"):
                receipt = Caller(url).append(IdentityRegister(name), Signer.generate())
                size = receipt.json()["index"] + 1
                with LedgerClient(url, KEY, quorum=Quorum(1, (watcher.key,))) as client:
                    until(lambda c=client, s=size: c.state.size == s)
            assert service.validators[1].size == 0


# --- what a client believes


def test_nested_json_is_no_answer() -> None:
    for text in (b"[" * 1_000_000, b'{"a":' * 100_000, b'["\\"[",' * 65):
        with pytest.raises(CorruptedArtefact):
            parse_json(text, "answer")
    for good in (b'["[[[[' + b"[" * 1000 + b'"]', b"[1.5, null]", b"[" * 64 + b"]" * 64):
        assert parse_json(good, "answer") == json.loads(good)
    for bad in (b"", b"\xff", '"'.encode("utf-16"), b'"' + b'\\"' * 100_000, b"[" * 65 + b"]" * 65):
        with pytest.raises(CorruptedArtefact):
            parse_json(bad, "answer")


def test_nested_json_from_a_server(folder: Path) -> None:
    liar = Liar(create_app(service_of(folder)))
    with (
        run(liar, FAST) as url,  # type: ignore[arg-type]
        LedgerClient(url, KEY, patience=0) as client,
    ):
        for status in (200, 400, 500):
            liar.lies, liar.status = {"/v1/info": lambda _: b"[" * 10**6}, {"/v1/info": status}
            with pytest.raises(Unreachable):
                client.info()


def test_a_cosigned_receipt_binds_the_servers_newest(folder: Path, tmp_path: Path) -> None:
    watcher, state = Watcher(tmp_path, "w.example"), tmp_path / "state"
    quorum = Quorum(1, (watcher.key,))
    service = service_of(folder, validators=[Asked(watcher.key, "http://127.0.0.1:9")])
    liar = Liar(create_app(service))
    with run(liar, FAST) as url, watcher.follows(url) as (address, _):  # type: ignore[arg-type]
        service.validators[0].url, service.validators[0].rest_until = address, 0.0
        with LedgerClient(url, KEY, quorum=quorum, state_file=state) as client:
            old = client.checkpoint().encode()
            client.append(client.sign(IdentityRegister("carol"), CAROL))
        # No newer checkpoint was asked for; the receipt was under one.
        liar.lies = {"/v1/checkpoint": lambda _: old}
        with (
            LedgerClient(url, KEY, quorum=quorum, state_file=state) as client,
            pytest.raises(NotCosigned),
        ):
            _ = client.state
        liar.lies = {}
        with LedgerClient(url, KEY, quorum=quorum, state_file=state) as client:
            assert client.receipt(3).index == 3
            assert CAROL.public in client.state.identities


def test_a_log_is_no_witness_of_its_own() -> None:
    own = VerifierKey("w.example", OPERATOR.public, "cosignature")
    with LedgerClient("http://127.0.0.1:9", KEY, quorum=Quorum(1, (own,)), patience=0) as client:
        for ask in (client.checkpoint, lambda: client.receipt(0)):
            with pytest.raises(BadTrustPolicy):
                ask()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;",
        b"HTTP/1.1 200 OK\r\nx-header: ",
        b"",
    ],
)
def test_a_server_that_drips_is_given_up(head: bytes) -> None:
    with dripping(head) as url:
        remote = Remote(url, timeout=0.2, patience=0)
        with pytest.raises(Unreachable):
            remote.get("/checkpoint")
        remote.close()


# --- what a client signs


class Thief(Liar):
    """Keeps the entries that it is sent, and answers what the test says."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.caught: list[bytes] = []
        self.answer: tuple[int, bytes] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        taken = scope.get("path") == "/v1/entries" and scope.get("method") == "POST"
        if not taken or self.answer is None:
            await super().__call__(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.caught.append(body)
        status, content = self.answer
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


REFUSED = (409, b'{"error":{"code":"BAD_NONCE","message":"please try again"}}')
LOST = (500, b"")


@pytest.fixture
def money(tmp_path: Path) -> Path:
    """A ledger where Carol has 100."""
    folder = tmp_path / "money"
    with Ledger.init(
        folder, ORIGIN, OPERATOR, allow_insecure_srs=False, grants={CAROL.public: 100},
        mark=tmp_path / "money.mark",
    ) as ledger:  # fmt: skip
        for who, name in ((CAROL, "carol"), (DAVE, "dave")):
            ledger.append(ledger.sign(IdentityRegister(name), who))
    return folder


@contextlib.contextmanager
def thief(folder: Path, mark: Path) -> Iterator[tuple[str, Thief]]:
    service = Service(
        folder, lambda: Ledger.open(folder, OPERATOR, mark=mark), FAST, verifier=lambda _: StandIn()
    )
    found = Thief(create_app(service))
    with run(found, FAST) as url:  # type: ignore[arg-type]
        yield url, found


def client_of(url: str, state: Path) -> LedgerClient:
    return LedgerClient(url, KEY, state_file=state, patience=0)


@pytest.mark.parametrize("answer", [REFUSED, LOST])
def test_one_payment_is_made_once(money: Path, tmp_path: Path, answer: tuple[int, bytes]) -> None:
    """Whatever a server says of the first try, and of the next number, and in between logs."""
    state, path = tmp_path / "state", f"/v1/identities/{CAROL.public}"
    with thief(money, tmp_path / "money.mark") as (url, liar):
        liar.answer = answer
        with client_of(url, state) as client, pytest.raises((BadNonce, Unreachable)):
            client.append(client.sign(Transfer(DAVE.public, 40), CAROL))
        liar.lies = {path: lambda body: json.dumps({**json.loads(body), "nonce": 2}).encode()}
        with client_of(url, state) as client, pytest.raises((BadNonce, Unreachable)):
            client.append(client.sign(Transfer(DAVE.public, 40), CAROL))
        assert liar.caught[0] == liar.caught[1]
        # Now it logs what it had said was not logged.
        liar.answer, liar.lies = None, {}
        stolen = SignedEntry.decode(liar.caught[0])
        sent = Caller(url).send("POST", "/v1/entries", stolen.encode(), CAROL)
        assert sent.status_code == 201
        with client_of(url, state) as client:
            again = client.sign(Transfer(DAVE.public, 40), CAROL)
            assert again == stolen
            assert client.append(again).index == sent.json()["index"]
            assert client.balance(DAVE.public) == 40
            # That is settled: the same once more is another payment.
            client.append(client.sign(Transfer(DAVE.public, 40), CAROL))
            assert client.balance(DAVE.public) == 80


def test_a_number_is_not_given_away_while_its_entry_may_come(money: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with thief(money, tmp_path / "money.mark") as (url, liar):
        liar.answer = LOST
        with client_of(url, state) as client, pytest.raises(Unreachable):
            client.append(client.sign(Transfer(DAVE.public, 40), CAROL))
        liar.answer = None
        with client_of(url, state) as client:
            other = client.sign(Transfer(DAVE.public, 7), CAROL)
            with pytest.raises(Unsettled, match="send it again"):
                client.append(other)
            first = client.sign(Transfer(DAVE.public, 40), CAROL)
            assert (first.nonce, first.encode()) == (other.nonce, liar.caught[0])
            client.append(first)
            client.append(client.sign(Transfer(DAVE.public, 7), CAROL))
            assert client.balance(DAVE.public) == 47


def test_a_number_whose_entry_was_refused_is_used_again(money: Path, tmp_path: Path) -> None:
    """And what was refused is dead, once the log shows another in its place."""
    state = tmp_path / "state"
    with thief(money, tmp_path / "money.mark") as (url, _), client_of(url, state) as client:
        poor = client.sign(Transfer(DAVE.public, 400), CAROL)
        with pytest.raises(InsufficientFunds):
            client.append(poor)
        assert client.sign(Transfer(DAVE.public, 400), CAROL) == poor
        elsewhere = Caller(url).append(Transfer(DAVE.public, 1), CAROL)
        assert elsewhere.status_code == 201
        assert client.sign(Transfer(DAVE.public, 400), CAROL).nonce == poor.nonce + 1
        client.append(client.sign(Transfer(DAVE.public, 2), CAROL))
        assert client.balance(DAVE.public) == 3


def test_an_outbox_that_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "sent"
    entry = SignedEntry.sign(IdentityRegister("x"), origin=ORIGIN, nonce=0, signer=CAROL)
    Outbox(path).add(entry)
    assert Outbox(path).find(CAROL.public, entry.body, CAROL.public) == entry
    assert Outbox(path).find(DAVE.public, entry.body, CAROL.public) is None
    good = path.read_bytes()
    other = good.replace(b'"version":1', b'"version":2')
    for bad in (b"", b"{}", b"[]", other, good[:-20]):
        path.write_bytes(bad)
        with pytest.raises(LedgerCorrupt):
            Outbox(path).add(entry)
