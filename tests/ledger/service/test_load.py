"""A thousand submissions at a time, nearly all of them worthless."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from ledger import Ledger, Signer
from ledger.entries import IdentityRegister
from ledger.entries import TestsetRelease as Release
from ledger.envelope import SignedEntry
from tests.ledger.ledger_world import (
    ALICE,
    EVALUATOR,
    OPERATOR,
    ORIGIN,
    commitment,
    statement,
    submission,
)
from tests.ledger.service.service_world import (
    FAST,
    Caller,
    Contributor,
    make_ledger,
    served,
    service_of,
    signed,
)

GOOD, ALL, CONNECTIONS = 4, 1000, 50
TARGET = "/v1/submissions"


def people(folder: Path, task: str) -> list[Signer]:
    """Register those whose proofs hold, with their models."""
    found = [Signer.generate() for _ in range(GOOD)]
    with Ledger.open(folder, OPERATOR) as ledger:
        for number, who in enumerate(found):
            ledger.append(ledger.sign(IdentityRegister(f"p{number}"), who))
            ledger.append(ledger.sign(commitment(task, who, f"model {number}", 1), who))
        ledger.append(ledger.sign(Release(task, 1), EVALUATOR))
    return found


def request(body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"POST {TARGET} HTTP/1.1", "host: x", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def worth(caller: Caller, task: str, number: int, who: Signer) -> tuple[str, bytes]:
    """Put the bundle of a proof that holds; return its submission."""
    said = statement(task, who, f"model {number}", 70 + 5 * number, 1)
    Contributor(caller, task, who, "").put(said.encode())
    entry = SignedEntry.sign(submission(task, said, 1), origin=ORIGIN, nonce=2, signer=who)
    body = entry.encode()
    return entry.digest, request(body, signed("POST", TARGET, body, who))


def worthless(task: str, number: int) -> bytes:
    """Return one of several kinds of submissions that come to nothing."""
    said = statement(task, ALICE, f"never committed {number}", 80)
    who = ALICE if number % 5 else Signer.generate()
    entry = SignedEntry.sign(submission(task, said), origin=ORIGIN, nonce=4, signer=who).encode()
    match number % 5:
        case 1:
            entry = entry.replace(b'"nonce":4', b'"nonce":5')
        case 2:
            entry = entry[: len(entry) // 2]
        case 3:
            return request(entry, signed("POST", TARGET, b"another", who))
    return request(entry, signed("POST", TARGET, entry, who))


async def storm(url: str, requests: Iterable[bytes]) -> Counter[int]:
    """Send requests over so many connections, as fast as they are answered."""
    waiting, found = list(requests), Counter[int]()

    async def client() -> None:
        place = urlsplit(url)
        while waiting:
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
            try:
                while waiting:
                    writer.write(waiting.pop())
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    found[int(head.split(b" ")[1])] += 1
                    if b"connection: close" in head:
                        break
            finally:
                writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return found


def test_a_thousand_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    task = make_ledger(folder)
    authors = people(folder, task)
    much = replace(
        FAST.limits, writes_per_second=10_000, write_burst=10_000, strangers_per_second=10_000
    )
    with served(service_of(folder, replace(FAST, limits=much))) as url:
        caller = Caller(url)
        good = [worth(caller, task, number, who) for number, who in enumerate(authors)]
        requests = [worthless(task, number) for number in range(ALL - GOOD)]
        for number, (_, item) in enumerate(good):
            requests.insert(number * ALL // GOOD, item)
        found = asyncio.run(storm(url, requests))
        for digest, _ in good:
            Contributor(caller, task, ALICE, "").wait(digest)
        decided = [caller.http.get(f"{TARGET}/{digest}").json()["status"] for digest, _ in good]
        assert caller.http.get("/healthz").json()["queued"] == 0
    # 401 not signed by who it says, or by a stranger; 400 no entry; 409 while another one of the
    # same author is looked at; 422 no such commitment, or an entry its author did not sign.
    assert sum(found.values()) == ALL
    assert found[202] == GOOD and set(found) <= {202, 400, 401, 409, 422}
    assert decided == ["accepted"] * GOOD
    with Ledger.open(folder, OPERATOR) as ledger:
        assert len(ledger.state.proofs) == GOOD and ledger.audit(None, ledger.key).ok
