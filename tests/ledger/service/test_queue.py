"""Submissions: what a bad one can do, which is nothing to the others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ledger import IdentityRegister, Ledger, Signer, blob_digest
from ledger.entries import TestsetRelease as Release
from tests.ledger.ledger_world import (
    ALICE,
    BOB,
    EVALUATOR,
    OPERATOR,
    commitment,
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
)  # fmt: skip
from tests.ledger.service.stand_in import Misbehaving

QUICK = replace(
    FAST,
    limits=replace(FAST.limits, spool_bytes=1 << 20),
    verification=replace(FAST.verification, memory=400 << 20, queue=3),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def task(folder: Path) -> str:
    return make_ledger(folder)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


@pytest.fixture
def caller(folder: Path, task: str, gate: Path) -> Iterator[Caller]:
    with served(service_of(folder, QUICK, verifier=lambda _: Misbehaving(gate))) as url:
        yield Caller(url)


def test_a_proof_is_verified_logged_and_paid(caller: Caller, task: str, folder: Path) -> None:
    alice = Contributor(caller, task, ALICE, "m")
    bundle, entry = alice.entry()
    alice.put(bundle)
    first = alice.outcome(alice.send(entry))
    assert (first["status"], first["id"]) == ("accepted", entry.digest)
    assert first["credited"] == caller.http.get(f"/v1/tasks/{task}").json()["minted"] > 0
    # Again, after it was accepted: the same, and nothing is verified or paid once more.
    assert alice.send(entry).json() == first
    assert caller.http.get(f"/v1/entries/{first['index']}").json()["digest"] == entry.digest
    assert list((folder / "service").rglob("*.tries")) == []
    assert list((folder / "service" / "blobs" / ALICE.public).iterdir()) == []


def test_a_bad_proof_costs_only_its_author(caller: Caller, task: str) -> None:
    alice, bob = Contributor(caller, task, ALICE, "m"), Contributor(caller, task, BOB, "n")
    rejected = alice.outcome(alice.submit(b"no proof"))
    assert (rejected["status"], rejected["code"]) == ("refused", "PROOF_REJECTED")
    for word, code, said in (
        (b"crash", "WORKER_FAILED", "ended with status 3"),
        (b"eat", "OUT_OF_MEMORY", "verification took"),
    ):
        found = alice.outcome(alice.submit(word))
        assert (found["status"], found["code"]) == ("refused", code)
        assert said in found["message"]
    assert bob.outcome(bob.submit())["status"] == "accepted"
    # The proof itself does not hold, so that it is not verified again; a crash may have been
    # the machine's fault.
    _, entry = alice.entry(b"no proof")
    assert alice.send(entry).json() == rejected
    _, entry = alice.entry(b"crash")
    assert alice.outcome(alice.send(entry))["code"] == "WORKER_FAILED"
    (first,) = caller.http.get("/v1/refusals").json()["refusals"]
    assert (first["code"], first["signer"]) == ("PROOF_REJECTED", ALICE.public)


def test_what_takes_too_long_is_given_up(folder: Path, task: str, gate: Path) -> None:
    """With everything that it has started."""
    hasty = replace(QUICK, verification=replace(QUICK.verification, seconds=0.5))
    with served(service_of(folder, hasty, verifier=lambda _: Misbehaving(gate))) as url:
        alice = Contributor(Caller(url), task, ALICE, "m")
        found = alice.outcome(alice.submit(b"child"))
        assert (found["status"], found["code"]) == ("refused", "WORKER_FAILED")
        assert "did not finish within" in found["message"]
        children = psutil.Process().children(recursive=True)
        assert [p for p in children if "sleep(600)" in str(p.cmdline())] == []


def test_a_disk_that_is_full_for_a_while_refuses_nothing(
    caller: Caller, task: str, folder: Path
) -> None:
    """Also where the entry was logged, and only what comes after that failed."""
    tiles = folder / "tlog" / "tile" / "entries"
    tiles.rename(tiles.with_name("away"))
    tiles.write_text("in the way")
    alice = Contributor(caller, task, ALICE, "m")
    sent = alice.submit()
    while not list((folder / "service" / "submissions").glob("*.tries")):
        time.sleep(0.01)
    with Ledger.open(folder) as ledger:
        while not ledger.state.proofs:
            time.sleep(0.01)
    tiles.unlink()
    tiles.with_name("away").rename(tiles)
    found = alice.outcome(sent)
    assert (found["status"], found["index"]) == ("accepted", 10)
    assert caller.http.get("/v1/info").json()["size"] == 12


def test_what_the_rules_refuse_is_not_verified(caller: Caller, task: str) -> None:
    alice, bob = Contributor(caller, task, ALICE, "m"), Contributor(caller, task, BOB, "m")
    assert error_of(bob.submit(b"hang ")) == (422, "NOT_COMMITTED")
    assert error_of(alice.submit(b"hang ", correct=10)) == (422, "BELOW_POLICY")
    _, entry = alice.entry(b"never put")
    assert error_of(alice.send(entry)) == (422, "MISSING_BLOB")
    late = replace(entry.body, round=1)
    assert error_of(alice.send(caller.entry(late, ALICE))) == (409, "WRONG_PHASE")
    assert caller.http.get("/healthz").json()["queued"] == 0


def test_one_author_has_one_place(caller: Caller, task: str, gate: Path) -> None:
    alice, other = Contributor(caller, task, ALICE, "m"), Contributor(caller, task, ALICE, "m2")
    bundle, entry = alice.entry(b"wait ")
    alice.put(bundle)
    first = alice.send(entry)
    assert alice.send(entry).json()["id"] == first.json()["id"]
    assert error_of(other.submit()) == (409, "SUBMISSION_IN_FLIGHT")
    wanted = {"signer": ALICE.public, "bundle": entry.body.bundle}
    (found,) = caller.http.get("/v1/submissions", params=wanted).json()["submissions"]
    assert found["id"] == entry.digest and found["status"] in ("queued", "verifying")
    gate.touch()
    assert alice.outcome(first)["status"] == "accepted"
    assert other.outcome(other.submit(correct=90))["status"] == "accepted"


def contributors(folder: Path, task: str, count: int) -> list[tuple[Signer, str]]:
    """Register people who commit models in a second round of a task."""
    found = []
    with Ledger.open(folder, OPERATOR) as ledger:
        for number in range(count):
            who = Signer.generate()
            ledger.append(ledger.sign(IdentityRegister(f"c{number}"), who))
            body = commitment(task, who, f"model {number}", 1)
            ledger.append(ledger.sign(body, who))
            found.append((who, f"model {number}"))
    return found


def test_a_full_queue_says_when_to_come_back(
    caller: Caller, task: str, folder: Path, gate: Path
) -> None:
    """Of four who submit at a time, three have a place; the fourth has one later."""
    people = contributors(folder, task, 4)
    with Ledger.open(folder, OPERATOR) as ledger:
        ledger.append(ledger.sign(Release(task, 1), EVALUATOR))
    answers = []
    for who, model in people:
        said = statement(task, who, model, 70 + len(answers), 1)
        bundle = b"wait " + said.encode()
        body = replace(submission(task, said, 1), bundle=blob_digest(bundle))
        someone = Contributor(caller, task, who, model)
        someone.put(bundle)
        answers.append((someone, caller.entry(body, who)))
    sent = [someone.send(entry) for someone, entry in answers]
    assert [a.status_code for a in sent] == [202, 202, 202, 503]
    assert error_of(sent[3]) == (503, "QUEUE_FULL")
    assert int(sent[3].headers["retry-after"]) >= 1
    gate.touch()
    for (someone, _), answer in zip(answers[:3], sent, strict=False):
        assert someone.outcome(answer)["status"] == "accepted"
    someone, entry = answers[3]
    assert someone.outcome(someone.send(entry))["status"] == "accepted"


def test_what_waits_survives_a_stop(folder: Path, task: str, gate: Path) -> None:
    settings = replace(QUICK, stop_seconds=0.4)
    with served(service_of(folder, settings, verifier=lambda _: Misbehaving(gate))) as url:
        caller = Caller(url)
        alice, bob = Contributor(caller, task, ALICE, "m"), Contributor(caller, task, BOB, "n")
        first = alice.submit(b"wait ").json()
        second = bob.submit(correct=90).json()
        while caller.http.get("/healthz").json()["queued"] < 2:
            time.sleep(0.01)
    with Ledger.open(folder) as ledger:
        assert not ledger.state.proofs, "nothing is half-logged"
    gate.touch()
    with served(service_of(folder, settings, verifier=lambda _: Misbehaving(gate))) as url:
        caller = Caller(url)
        for found in (first, second):
            while True:
                now = caller.http.get(f"/v1/submissions/{found['id']}").json()
                if now["status"] == "accepted":
                    break
                assert now["status"] in ("queued", "verifying")
                time.sleep(0.02)
    with Ledger.open(folder, OPERATOR) as ledger:
        assert len(ledger.state.proofs) == 2 and ledger.audit(None, ledger.key).ok


def test_a_proof_that_takes_the_service_down_is_not_tried_for_ever(
    folder: Path, task: str, gate: Path
) -> None:
    def start() -> contextlib.AbstractContextManager[str]:
        return served(service_of(folder, QUICK, verifier=lambda _: Misbehaving(gate)))

    with start() as url:
        alice = Contributor(Caller(url), task, ALICE, "m")
        bundle, entry = alice.entry(b"hang")
        alice.put(bundle)
    # As two services that were killed in the middle of it would have left it.
    left = folder / "service" / "submissions" / entry.digest
    left.write_bytes(entry.encode())
    left.with_name(entry.digest + ".tries").write_text("2")
    damaged = left.with_name("ab" * 32)
    damaged.write_bytes(b"no entry")
    with start() as url:
        found = Caller(url).http.get(f"/v1/submissions/{entry.digest}").json()
    assert (found["status"], found["code"]) == ("refused", "WORKER_FAILED")
    assert not left.exists() and not damaged.exists()
