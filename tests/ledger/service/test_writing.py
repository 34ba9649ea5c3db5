"""Writing over HTTP: blobs, entries, and every way in which they are refused."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ledger import IdentityRegister, Ledger, Receipt, Signer, VerifierKey, blob_digest, signatures
from ledger.entries import (
    DataRegister,
    IdentityRevoke,
    IdentityRotate,
)
from ledger.entries import (
    TestsetRelease as Release,
)
from ledger.envelope import MAX_ENTRY_BYTES, SignedEntry
from ledger.rules.identity import ROTATE_DOMAIN, rotate_message
from tests.ledger.ledger_world import (
    ALICE,
    BOB,
    DATA,
    EVALUATOR,
    OPERATOR,
    ORIGIN,
    commitment,
    digest_of,
)  # fmt: skip
from tests.ledger.service.service_world import (
    FAST,
    Caller,
    error_of,
    make_ledger,
    served,
    service_of,
    signed,
)  # fmt: skip

KEY = VerifierKey(ORIGIN, OPERATOR.public)
SMALL = replace(FAST, limits=replace(FAST.limits, blob_bytes=5000, spool_bytes=8000))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("writing") / "ledger"


@pytest.fixture(scope="module")
def task(folder: Path) -> str:
    return make_ledger(folder)


@pytest.fixture(scope="module")
def caller(task: str, folder: Path) -> Iterator[Caller]:
    with served(service_of(folder, SMALL)) as url:
        yield Caller(url)


def put(caller: Caller, blob: bytes, who: Signer, name: str | None = None) -> httpx.Response:
    return caller.send("PUT", f"/v1/blobs/{name or blob_digest(blob)}", blob, who)


def other_data(blob: bytes, root: str) -> DataRegister:
    return replace(DATA, root=digest_of(root), manifest=blob_digest(blob))


# --- what is taken


def test_a_stranger_registers_and_gets_a_receipt(caller: Caller) -> None:
    carol = Signer.generate()
    answer = caller.append(IdentityRegister("carol"), carol)
    assert answer.status_code == 201
    receipt = Receipt.parse(answer.json()["receipt"])
    assert receipt.index == answer.json()["index"]
    assert receipt.verify(KEY).signer == carol.public


def test_blobs_come_before_the_entry_that_names_them(caller: Caller, folder: Path) -> None:
    blob = b"a manifest"
    entry = caller.entry(other_data(blob, "blobs"), BOB)
    refused = caller.send("POST", "/v1/entries", entry.encode(), BOB)
    assert error_of(refused) == (422, "MISSING_BLOB")
    assert put(caller, blob, BOB).json() == {"digest": blob_digest(blob), "size": len(blob)}
    # Not on the ledger yet, and put by Bob for himself.
    assert error_of(caller.http.get(f"/v1/blobs/{blob_digest(blob)}")) == (404, "NOT_FOUND")
    alice = caller.append(other_data(blob, "blobs"), ALICE)
    assert error_of(alice) == (422, "MISSING_BLOB")
    assert caller.send("POST", "/v1/entries", entry.encode(), BOB).status_code == 201
    assert caller.http.get(f"/v1/blobs/{blob_digest(blob)}").content == blob
    assert list((folder / "service" / "blobs" / BOB.public).iterdir()) == []


def test_the_same_entry_again_gets_the_same_receipt(caller: Caller) -> None:
    entry = caller.entry(IdentityRegister("dave"), Signer.generate()).encode()
    who = SignedEntry.decode(entry)
    signer = Signer.generate()
    again = SignedEntry.sign(IdentityRegister("dave"), origin=ORIGIN, nonce=0, signer=signer)
    first, second = (
        caller.send("POST", "/v1/entries", again.encode(), signer).json() for _ in range(2)
    )
    assert first == second and who.digest != again.digest


def test_a_rotated_key_signs_from_then_on(caller: Caller) -> None:
    first, second = Signer.generate(), Signer.generate()
    assert caller.append(IdentityRegister("erin"), first).status_code == 201
    message = rotate_message(ORIGIN, first.public, 1, "ed25519", second.public)
    proof = signatures.sign(second, ROTATE_DOMAIN, message)
    rotation = IdentityRotate("ed25519", second.public, proof)
    assert caller.append(rotation, first).status_code == 201
    body = caller.entry(Release("ab" * 32, 0), first).encode()
    old = caller.send("POST", "/v1/entries", body, first)
    assert error_of(old) == (401, "BAD_REQUEST_SIGNATURE")
    revoke = SignedEntry.sign(IdentityRevoke(first.public), origin=ORIGIN, nonce=2, signer=second,
                              identity=first.public)  # fmt: skip
    done = caller.send("POST", "/v1/entries", revoke.encode(), second, identity=first.public)
    assert done.status_code == 201
    again = caller.send("POST", "/v1/entries", revoke.encode(), second, identity=first.public)
    assert error_of(again) == (403, "REVOKED")


def test_entries_that_come_together_share_commits(caller: Caller, folder: Path) -> None:
    signers = [Signer.generate() for _ in range(40)]
    with Ledger.open(folder) as ledger:
        before = len(ledger._store.checkpoints())
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda s: caller.append(IdentityRegister("x"), s), signers))
    assert {a.status_code for a in answers} == {201}
    assert len({a.json()["index"] for a in answers}) == 40
    with Ledger.open(folder) as ledger:
        assert len(ledger._store.checkpoints()) - before < 40
        assert ledger.audit(None, KEY).ok


# --- what is refused


def test_rules_are_named(caller: Caller, task: str) -> None:
    for body, who, expected in (
        (IdentityRegister("again"), ALICE, (409, "ALREADY_REGISTERED")),
        (Release(task, 0), ALICE, (403, "NOT_AUTHORISED")),
        (Release(task, 0), EVALUATOR, (409, "WRONG_PHASE")),
        (commitment("ab" * 32, ALICE, "m"), ALICE, (422, "UNKNOWN_TASK")),
    ):
        assert error_of(caller.append(body, who)) == expected
    early = caller.entry(commitment(task, ALICE, "z", 1), ALICE, nonce=99)
    answer = caller.send("POST", "/v1/entries", early.encode(), ALICE)
    assert error_of(answer) == (409, "BAD_NONCE")


def test_whose_entry_it_is(caller: Caller, task: str) -> None:
    entry = caller.entry(commitment(task, ALICE, "y", 1), ALICE).encode()
    assert error_of(caller.send("POST", "/v1/entries", entry, BOB)) == (403, "NOT_YOURS")
    stranger = Signer.generate()
    own = caller.entry(commitment(task, stranger, "y", 1), stranger).encode()
    answer = caller.send("POST", "/v1/entries", own, stranger)
    assert error_of(answer) == (401, "UNKNOWN_SIGNER")
    # Somebody else's registration, under a signature of one's own.
    theirs = caller.entry(IdentityRegister("x"), Signer.generate()).encode()
    assert error_of(caller.send("POST", "/v1/entries", theirs, stranger)) == (403, "NOT_YOURS")
    blob = caller.send("PUT", f"/v1/blobs/{blob_digest(b'x')}", b"x", stranger)
    assert error_of(blob) == (401, "UNKNOWN_SIGNER")


def test_an_entry_with_a_forged_signature(caller: Caller, task: str) -> None:
    entry = caller.entry(commitment(task, ALICE, "y", 1), ALICE)
    forged = replace(entry, signature="00" * 64).encode()
    answer = caller.send("POST", "/v1/entries", forged, ALICE)
    assert error_of(answer) == (422, "BAD_SIGNATURE")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"payload":1} ', b"[" * 60_000])
def test_malformed_entries(caller: Caller, body: bytes) -> None:
    for target in ("/v1/entries", "/v1/submissions"):
        answer = caller.send("POST", target, body, ALICE)
        assert error_of(answer) == (400, "MALFORMED_ENTRY")


def test_an_entry_at_the_wrong_address(caller: Caller, task: str) -> None:
    entry = caller.entry(commitment(task, ALICE, "y", 1), ALICE).encode()
    answer = caller.send("POST", "/v1/submissions", entry, ALICE)
    assert error_of(answer) == (400, "MALFORMED_ENTRY")


def test_requests_without_a_good_signature(caller: Caller) -> None:
    target, body = "/v1/entries", caller.entry(IdentityRegister("x"), ALICE).encode()
    plain = {"content-type": "application/json"}
    unsigned = caller.http.post(target, content=body, headers=plain)
    assert error_of(unsigned) == (401, "BAD_REQUEST_SIGNATURE")
    assert unsigned.headers["www-authenticate"] == "Signature"
    good = signed("POST", target, body, ALICE)
    swapped = caller.http.post(target, content=body + b" ", headers=good)
    assert error_of(swapped) == (401, "BAD_REQUEST_SIGNATURE")
    elsewhere = caller.http.post("/v1/submissions", content=body, headers=good)
    assert error_of(elsewhere) == (401, "BAD_REQUEST_SIGNATURE")
    good = signed("POST", target, body, ALICE)
    assert error_of(caller.http.post(target, content=body, headers=good))[0] == 409
    replayed = caller.http.post(target, content=body, headers=good)
    assert error_of(replayed) == (401, "REPLAYED_REQUEST")


def test_media_types(caller: Caller) -> None:
    for kind in ("text/plain", "application/json; charset=utf-8", ""):
        answer = caller.send("POST", "/v1/entries", b"{}", ALICE, **{"content-type": kind})
        assert error_of(answer) == (415, "WRONG_MEDIA_TYPE")
    encoded = {"content-encoding": "gzip"}
    answer = caller.send("POST", "/v1/entries", b"{}", ALICE, **encoded)
    assert error_of(answer) == (415, "WRONG_MEDIA_TYPE")


def test_a_blob_under_a_wrong_name(caller: Caller) -> None:
    assert error_of(put(caller, b"x", ALICE, "ab" * 32)) == (400, "MALFORMED_REQUEST")
    assert error_of(put(caller, b"x", ALICE, "AB" * 32)) == (400, "MALFORMED_REQUEST")


# --- sizes


def test_too_large_whatever_the_headers_say(caller: Caller) -> None:
    entry, blob = b"x" * (MAX_ENTRY_BYTES + 1), b"x" * 5001
    for method, target, body in (
        ("POST", "/v1/entries", entry), ("PUT", f"/v1/blobs/{blob_digest(blob)}", blob),
    ):  # fmt: skip
        for content in (body, iter([body[:3000], body[3000:]])):
            headers = signed(method, target, body, ALICE)
            # An iterator is sent in chunks, without a length.
            answer = caller.http.request(method, target, content=content, headers=headers)
            assert error_of(answer) == (413, "TOO_LARGE")
    target = f"/v1/blobs/{'ab' * 32}"
    headers = signed("PUT", target, b"", ALICE)
    endless = caller.http.put(target, content=iter([b"x" * 1000] * 10_000), headers=headers)
    assert error_of(endless) == (413, "TOO_LARGE")


def raw(caller: Caller, request: bytes, seconds: float = 5) -> bytes:
    """Send bytes as they are and return what comes back."""
    url = caller.http.base_url
    with socket.create_connection((url.host, url.port or 80), seconds) as connection:
        connection.sendall(request)
        found = b""
        while piece := connection.recv(65536):
            found += piece
        return found


def head(method: str, target: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "host: x", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_lengths_that_lie(caller: Caller) -> None:
    target = f"/v1/blobs/{blob_digest(b'12345')}"
    headers = signed("PUT", target, b"12345", ALICE)
    # More is said than may come: it is not read at all.
    answer = raw(caller, head("PUT", target, {**headers, "content-length": str(10**12)}))
    assert b"413" in answer.split(b"\r\n")[0] or b"401" in answer.split(b"\r\n")[0]
    for length in ("-1", "5, 6", "x", "9" * 30):
        request = head("PUT", target, {**headers, "content-length": length, "connection": "close"})
        assert raw(caller, request).split(b" ")[1] in (b"400", b"401", b"413")


def test_what_does_not_come_is_not_waited_for(task: str, folder: Path) -> None:
    hasty = replace(SMALL, limits=replace(SMALL.limits, read_seconds=0.3))
    target = f"/v1/blobs/{blob_digest(b'12345')}"
    with served(service_of(folder, hasty)) as url:
        # Not before, since what was signed before the service started is refused.
        headers = {**signed("PUT", target, b"12345", ALICE), "content-length": "50"}
        answer = raw(Caller(url), head("PUT", target, headers) + b"12345")
    assert answer.startswith(b"HTTP/1.1 408 ") and b"REQUEST_TIMEOUT" in answer


def test_what_is_no_http(caller: Caller) -> None:
    for request in (b"\x00\x01\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /" + b"a" * 70_000):
        assert raw(caller, request).startswith(b"HTTP/1.1 400 ")


def test_a_quota_of_what_no_entry_names(caller: Caller) -> None:
    blobs = [bytes([i]) * 4000 for i in range(3)]
    for blob in blobs[:2]:
        assert put(caller, blob, EVALUATOR).status_code == 201
    assert put(caller, blobs[0], EVALUATOR).status_code in (201, 429)
    answer = put(caller, blobs[2], EVALUATOR)
    assert error_of(answer) == (429, "QUOTA_SPENT")
    assert int(answer.headers["retry-after"]) > 0
    # Others have their own.
    assert put(caller, blobs[2], OPERATOR).status_code == 201


def test_rates_of_one_do_not_slow_another(task: str, folder: Path) -> None:
    limits = replace(FAST.limits, writes_per_second=0.01, write_burst=3)
    with served(service_of(folder, replace(FAST, limits=limits))) as url:
        caller = Caller(url)
        found = [put(caller, b"rate", ALICE) for _ in range(5)]
        assert [a.status_code for a in found[:3]] == [201] * 3
        assert error_of(found[4]) == (429, "RATE_LIMITED")
        assert put(caller, b"rate", BOB).status_code == 201


def test_a_copy_takes_nothing(task: str, folder: Path) -> None:
    service = service_of(folder, verifier=None)
    service.open_ledger = lambda: Ledger.open(folder)
    with served(service) as url:
        caller = Caller(url)
        assert caller.http.get("/v1/info").json()["writable"] is False
        answer = caller.append(IdentityRegister("x"), Signer.generate())
        assert error_of(answer) == (403, "LEDGER_READ_ONLY")
        assert error_of(put(caller, b"x", ALICE)) == (403, "LEDGER_READ_ONLY")


def test_what_goes_wrong_inside_stays_inside(
    task: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = service_of(folder)

    def fail(_: object) -> None:
        raise RuntimeError("the secret is 1234")

    with served(service) as url:
        service.book._catalogue.place = fail  # type: ignore[method-assign, assignment]
        answer = httpx.get(f"{url}/v1/submissions/{'ab' * 32}")
    assert answer.status_code == 500
    assert answer.json() == {"error": {"code": "SERVICE", "message": "the ledger failed"}}
    assert "1234" in caplog.text
