"""Kills a process that writes to a ledger, again and again, and checks what it left each time.

    python -m tests.ledger.embedded.kill_loop --kills 500

It pays, registers documents and submits proofs, some of which earn something. Half of the times it
is killed at a random moment, half of the times right before or after one of its writes, whichever
it is. After each: the ledger opens; every receipt that was acknowledged is given again, to the
byte, and verifies; what was not acknowledged is there as a whole or not at all; an audit finds
nothing; the mark has what was acknowledged.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ledger import Ledger, Receipt, entries
from ledger.embedded.mark import Mark
from ledger.embedded.store import Store
from ledger.envelope import SignedEntry
from tests.ledger.embedded.embedded_world import KEY, PEOPLE, create, document, payments
from tests.ledger.embedded.faults import killing, watched
from tests.ledger.ledger_world import (
    ALICE,
    ARCHITECTURE,
    DATA,
    EVALUATOR,
    MANIFEST,
    OPERATOR,
    ORIGIN,
    POLICY,
    TASK,
    commitment,
    digest_of,
    statement,
    submission,
    verify,
)

_KILLS_ON_ONE_LEDGER = 25
_MOST_SECONDS = 0.25
_MOST_WRITES = 120
_MODELS = 150
_PATIENCE = 60.0


def work(place: Path, seed: int, pipe: int) -> None:
    """Append for ever; say before each commit what it will be, and after it what came of it."""
    choose = random.Random(seed)  # noqa: S311 - repeatable on purpose
    with Ledger.open(place / "log", OPERATOR, mark=place / "log.mark") as ledger:
        while True:
            who = choose.choice(PEOPLE)
            to = PEOPLE[PEOPLE.index(who) - 1]
            items = [(entry, []) for entry in payments(ledger, choose.choice((1, 1, 5)), who, to)]
            if choose.random() < 0.3:
                other = to if choose.random() < 0.5 else PEOPLE[PEOPLE.index(who) - 2]
                items.append(document(ledger, other, f"{seed} {choose.random()}"))
            if choose.random() < 0.25 and (proof := next_proof(ledger)) is not None:
                bundle, entry = proof
                tell(pipe, "try", [entry.digest])
                receipt = ledger.submit(bundle, entry, verify)
                tell(pipe, "done", [digest_of(receipt.encode())])
                continue
            tell(pipe, "try", [entry.digest for entry, _ in items])
            receipts = [r.encode() for r in ledger.append_many(items)]
            tell(pipe, "done", [digest_of(receipt) for receipt in receipts])


def found(place: Path) -> None:
    """Make a ledger with a task in which Alice has many models to prove."""
    with create(place / "log", place / "log.mark") as ledger:
        many = {"openings": 2 * _MODELS, "submissions_per_identity": 2 * _MODELS}
        data = replace(DATA, openings=2 * _MODELS)
        ledger.append(ledger.sign(data, EVALUATOR), [MANIFEST])
        opening = ledger.sign(replace(TASK, rounds=1, policy=replace(POLICY, **many)), OPERATOR)
        ledger.append(opening, [ARCHITECTURE])
        nonce = ledger.state.nonce(ALICE.public)
        ledger.append_many([
            (SignedEntry.sign(commitment(opening.digest, ALICE, f"m{at}"), origin=ORIGIN,
                              nonce=nonce + at, signer=ALICE), ())
            for at in range(_MODELS)
        ])  # fmt: skip
        ledger.append(ledger.sign(entries.TestsetRelease(opening.digest, 0), EVALUATOR))


def next_proof(ledger: Ledger) -> tuple[bytes, SignedEntry] | None:
    """Return a submission of the next of Alice's models, some of which earn something."""
    at = len(ledger.state.proofs)
    if at >= _MODELS:
        return None
    task = next(iter(ledger.state.tasks))
    said = statement(task, ALICE, f"m{at}", min(100, 50 + at // 2))
    return said.encode(), ledger.sign(submission(task, said), ALICE)


def tell(pipe: int, what: str, values: list[str]) -> None:
    os.write(pipe, json.dumps([what, values]).encode() + b"\n")


def killed(place: Path, seed: int) -> list[list]:
    """Let a process work until it is killed, and return what it said."""
    choose = random.Random(seed)  # noqa: S311 - repeatable on purpose
    at_a_write = choose.random() < 0.5
    target, moment = choose.randrange(_MOST_WRITES), choose.choice(("before", "after"))
    seconds = choose.random() * _MOST_SECONDS
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ours)
            if at_a_write:
                with watched(killing(target, moment)):
                    work(place, seed, theirs)
            work(place, seed, theirs)
        except BaseException as error:
            tell(theirs, "failed", [repr(error)])
        finally:
            os._exit(1)
    os.close(theirs)
    said = listen(ours, _PATIENCE if at_a_write else seconds)
    os.kill(child, signal.SIGKILL)
    said += listen(ours, _PATIENCE)
    os.close(ours)
    os.waitpid(child, 0)
    # The last line may be half a line.
    return [json.loads(line) for line in said.split(b"\n")[:-1]]


def listen(pipe: int, seconds: float) -> bytes:
    """Read until the other end is closed, or for some seconds."""
    said, end = b"", time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            data = os.read(pipe, 1 << 16)
            if not data:
                break
            said += data
    return said


def check(place: Path, said: list[list], acknowledged: dict[str, str]) -> None:
    """Check what a killed process left; `acknowledged` are receipts by entry so far."""
    assert not [line for line in said if line[0] == "failed"], said[-1]
    tried = [values for what, values in said if what == "try"]
    done = [values for what, values in said if what == "done"]
    for digests, receipts in zip(tried, done, strict=False):
        acknowledged.update(zip(digests, receipts, strict=True))
    with Ledger.open(place / "log", OPERATOR, mark=place / "log.mark") as ledger:
        places = {entry.digest: index for index, entry in enumerate(ledger.entries())}
        for digest, receipt in acknowledged.items():
            again = ledger.receipt(places[digest])
            assert digest_of(again.encode()) == receipt
            assert Receipt.parse(again.encode()).verify(KEY).digest == digest
        for digests in tried[len(done) :]:
            assert len({digest in places for digest in digests}) == 1, "half a commit"
        report = ledger.audit(log=KEY)
        assert report.ok, report.fault
        assert Mark(place / "log.mark").read(KEY).size == report.size


def run(kills: int, seed: int, place: Path) -> int:
    """Do it so many times; returns the number of receipts that were acknowledged."""
    total, acknowledged = 0, {}
    for number in range(kills):
        if number % _KILLS_ON_ONE_LEDGER == 0:
            total, acknowledged = total + len(acknowledged), {}
            shutil.rmtree(place / "log", ignore_errors=True)
            (place / "log.mark").unlink(missing_ok=True)
            found(place)
        try:
            check(place, killed(place, seed + number), acknowledged)
        except BaseException:
            sys.stderr.write(f"kill {number} of seed {seed + number}, ledger in {place}\n")
            raise
    assert Store.open(place / "log").size > 8 + _MODELS, "nothing was ever written"
    return total + len(acknowledged)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a writer again and again.")
    parser.add_argument("--kills", type=int, default=int(os.environ.get("ZKPOT_KILLS", "25")))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="zkpot-kills-"))
    receipts = run(given.kills, given.seed, place)
    shutil.rmtree(place)
    sys.stdout.write(f"{given.kills} kills, {receipts} acknowledged entries, none lost\n")


if __name__ == "__main__":
    main()
