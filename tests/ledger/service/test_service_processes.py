"""The real thing: processes, HTTP and sumcheck proofs; and what a signal does to them."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from circuits.errors import LedgerError, ProofRejected
from circuits.statement import Context
from ledger import Ledger, Policy, Receipt, Signer, VerifierKey, blob_digest
from ledger.entries import NOTHING, IdentityRegister, ModelCommit, ProofSubmit, TaskOpen
from ledger.entries import TestsetRelease as Release
from ledger.errors import LedgerExists, LedgerMissing
from ledger.proofs import registration
from ledger.service.client import LedgerClient
from ledger.tlog.quorum import Quorum
from tests.ledger.service.service_world import signed
from tests.sumcheck_world import World
from verifier.verify import Options
from zkpot.cli.serve import _witness

ORIGIN = "processes.example/tests"
_RUN = """
import sys
from zkpot.cli.ledger import ledger
from zkpot.cli.serve import follow, serve
ledger.add_command(serve)
ledger.add_command(follow)
from zkpot.cli.main import main
main()
"""


@contextmanager
def command(*words: object) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run a command of the service; gives what it says as it starts."""
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, "ledger", *map(str, words), "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def until(url: str, path: str = "/healthz") -> None:
    for _ in range(600):
        try:
            if httpx.get(url + path, timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"{url} does not come up")


def open_task(client: LedgerClient, world: World, log: Signer, author: Signer) -> str:
    """Bring a task over HTTP to where it takes proofs."""
    manifest, proof, circuit = (
        world.manifest.to_bytes(), world.well_formed.encode(), world.circuit.encode()
    )  # fmt: skip
    client.append(client.sign(IdentityRegister("author"), author))
    data = registration(manifest, proof, Options())
    client.append(client.sign(data, author), [manifest, proof])
    body = TaskOpen(
        title="small", backend="sumcheck", circuit=world.circuit.digest, vk=NOTHING, srs=NOTHING,
        architecture=blob_digest(circuit), testset=world.manifest.testset_id,
        prover="contributor", rounds=1,
        policy=Policy(Fraction(0), Fraction(1, 100), 1000, 3, world.manifest.proofs),
    )  # fmt: skip
    opened = client.sign(body, log)
    client.append(opened, [circuit])
    context = Context(author.public, opened.digest, 0, ORIGIN)
    client.append(client.sign(
        ModelCommit(opened.digest, 0, world.model.model, context.digest), author))  # fmt: skip
    client.append(client.sign(Release(opened.digest, 0), author))
    return opened.digest


def test_real_proofs_real_processes_and_signals(small: World, tmp_path: Path) -> None:
    folder, log, author, watcher = tmp_path / "ledger", *(Signer.generate() for _ in range(3))
    log.save(folder / "log.key", None)
    watcher.save(tmp_path / "w.key", None)
    key = VerifierKey(ORIGIN, log.public)
    vkey = VerifierKey("w.example", watcher.public, "cosignature")
    Ledger.init(folder, ORIGIN, log, allow_insecure_srs=False, mark=folder / "log.key.mark").close()
    here, there = free_port(), free_port()
    url = f"http://127.0.0.1:{here}"
    serve = ["serve", folder, "--port", here, "--quiet",
             "--validator", f"{vkey}=http://127.0.0.1:{there}"]  # fmt: skip
    follow = ["follow", url, tmp_path / "w", "--port", there, "--key", tmp_path / "w.key",
              "--name", vkey.name, "--vkey", key, "--quiet", "--init"]  # fmt: skip
    careful = LedgerClient(url, key, quorum=Quorum(1, (vkey,)), state_file=tmp_path / "state")
    with careful, command(*follow):
        with command(*serve) as (service, said):
            assert said == {"url": url, "vkey": str(key)}
            until(url)
            with LedgerClient(url, key) as client:
                task = open_task(client, small, log, author)
                context = Context(author.public, task, 0, ORIGIN)
                bundle = replace(small, context=context).prove(tmp_path)[0]
                good = bundle.encode()
                bad = good[:-40] + bytes(20) + good[-20:]
                body = ProofSubmit(task, 0, blob_digest(good), bundle.statement, False)
                entry = client.sign(replace(body, bundle=blob_digest(bad)), author)
                with pytest.raises(ProofRejected):
                    client.submit(bad, entry)
                # Taken, and then nothing is left of who took it.
                entry = client.sign(body, author)
                client.put_blob(good, author)
                sent = signed("POST", "/v1/submissions", entry.encode(), author, origin=ORIGIN)
                taken = httpx.post(f"{url}/v1/submissions", content=entry.encode(), headers=sent)
                assert taken.status_code == 202
                service.kill()
                service.wait()
        with command(*serve) as (service, _):
            until(url)
            # The next one goes on with it by itself.
            assert httpx.get(url + taken.headers["location"]).status_code == 200
            receipt = careful.submit(good, entry, signer=author)
            assert receipt.verify(key) == entry
            assert careful.credited(receipt) == careful.balance(author.public) > 0
            assert httpx.get(f"http://127.0.0.1:{there}/v1/validator").json()["status"] == "ok"
            service.send_signal(signal.SIGTERM)
            assert service.wait(30) == 0
    with Ledger.open(folder) as book:
        assert book.audit(None, key).ok
        assert len(book.state.proofs) == 1


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    folder, log = tmp_path / "ledger", Signer.generate()
    log.save(folder / "log.key", None)
    key = VerifierKey(ORIGIN, log.public)
    Ledger.init(folder, ORIGIN, log, allow_insecure_srs=False, mark=folder / "log.key.mark").close()
    receipts: list[Receipt] = []

    def register(url: str) -> None:
        with LedgerClient(url, key, patience=0) as client:
            while True:
                who = Signer.generate()
                try:
                    receipts.append(client.append(client.sign(IdentityRegister("x"), who)))
                except LedgerError:
                    return

    with command("serve", folder, "--port", 0, "--quiet") as (service, said):
        until(said["url"])
        people = [threading.Thread(target=register, args=(said["url"],)) for _ in range(4)]
        for person in people:
            person.start()
        while len(receipts) < 20:
            time.sleep(0.01)
        service.kill()
        for person in people:
            person.join()
    with Ledger.open(folder, log, mark=folder / "log.key.mark") as book:
        assert book.audit(None, key).ok
        size = book.state.size
        for receipt in receipts:
            assert book.entry(receipt.index).encode() == receipt.entry
        assert len(receipts) + 1 <= size <= len(receipts) + 1 + 4


def test_a_lost_validator_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    """Its key could cosign two roots of one size: what it promised would be forgotten."""
    key, folder = tmp_path / "w.key", tmp_path / "w" / "witness"
    log = VerifierKey(ORIGIN, Signer.generate().public)
    Signer.generate().save(key, None)
    with pytest.raises(LedgerMissing, match="--init"):
        _witness(folder, "w.example", key, log, new=False)
    made = _witness(folder, "w.example", key, log, new=True)
    assert _witness(folder, "w.example", key, log, new=False).key == made.key
    shutil.rmtree(folder)
    with pytest.raises(LedgerMissing):
        _witness(folder, "w.example", key, log, new=False)
    with pytest.raises(LedgerExists, match="make a new key"):
        _witness(folder, "w.example", key, log, new=True)
