"""Validators that check for themselves, and clients that ask for several of them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from circuits.errors import LedgerError
from ledger import Checkpoint, IdentityRegister, Ledger, Receipt, Signer, VerifierKey
from ledger.embedded.tiles import Tile, decode_bundle
from ledger.embedded.transfer import import_
from ledger.errors import LedgerRolledBack, NoQuorum
from ledger.service.app import create_app as create_ledger_app
from ledger.service.client import LedgerClient
from ledger.service.config import Verification
from ledger.service.cosign import Validator as Asked
from ledger.service.errors import LogForked, NotCosigned
from ledger.service.follow import Follower
from ledger.service.remote_log import RemoteLog
from ledger.service.validator import Validator, create_app
from ledger.service.workers import Workers
from ledger.tlog.evidence import Evidence
from ledger.tlog.quorum import Quorum
from ledger.tlog.wire import AddCheckpoint
from ledger.tlog.witness import Witness
from tests.ledger import ledger_world
from tests.ledger.ledger_world import ALICE, BOB, OPERATOR, ORIGIN, TASK, statement, submission
from tests.ledger.service.service_world import FAST, Liar, make_ledger, run, served, service_of
from tests.ledger.service.stand_in import StandIn

KEY = VerifierKey(ORIGIN, OPERATOR.public)


class Watcher:
    """A validator's folder and key."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.signer = folder / name, name, Signer.generate()
        Witness.create(self.folder / "witness", name, self.signer, [KEY])
        self.key = VerifierKey(name, self.signer.public, "cosignature")

    @contextlib.contextmanager
    def follows(self, url: str) -> Iterator[tuple[str, Validator]]:
        """Run it."""
        remote = RemoteLog(url, KEY, patience=2)
        follower = Follower(
            self.folder / "log", remote,
            lambda _: Workers(StandIn(), Verification(workers=1, seconds=20)),
        )  # fmt: skip
        witness = Witness(self.folder / "witness", self.name, self.signer, [KEY])
        validator = Validator(follower, witness, FAST, poll=0.2)
        with run(create_app(validator), FAST) as address:
            yield address, validator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def task(folder: Path) -> str:
    return make_ledger(folder)


def test_two_validators_and_a_client_who_wants_both(
    folder: Path, task: str, tmp_path: Path
) -> None:
    watchers = [Watcher(tmp_path, name) for name in ("w1.example", "w2.example")]
    quorum = Quorum(2, tuple(w.key for w in watchers))
    asked = [Asked(w.key, "http://127.0.0.1:9") for w in watchers]
    service = service_of(folder, validators=asked)
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(served(service))
        client = stack.enter_context(
            LedgerClient(url, KEY, quorum=quorum, state_file=tmp_path / "state")
        )
        # One alone is not enough.
        validators = []
        for number, watcher in enumerate(watchers):
            address, validator = stack.enter_context(watcher.follows(url))
            validators.append(validator)
            service.validators[number].url = address
            service.validators[number].rest_until = 0.0
            if number == 0:
                with pytest.raises(NotCosigned):
                    LedgerClient(url, KEY, quorum=quorum, patience=0.1).checkpoint()
        said = statement(task, ALICE, "m", 80)
        entry = client.sign(submission(task, said), ALICE)
        receipt = client.submit(said.encode(), entry)
        # Both verified the proof themselves, before.
        assert len(quorum.require(receipt.checkpoint)) == 2
        for validator in validators:
            assert receipt.index in validator.follower.state.proofs
            assert validator.info().status == "ok"
        assert Receipt.parse(receipt.encode()).verify(KEY) == entry
        # Also what needs no proof, and what is asked for later.
        other = client.append(client.sign(IdentityRegister("carol"), carol := Signer.generate()))
        assert len(quorum.require(other.checkpoint)) == 2
        assert client.identity(carol.public) is not None
        assert client.state.size == client.info()["size"]
        stranger = Quorum(1, (VerifierKey("x", Signer.generate().public, "cosignature"),))
        with pytest.raises(NoQuorum):
            LedgerClient(url, KEY, quorum=stranger).checkpoint()
        # What a validator keeps is an export that others can check, and it serves it.
        size = validators[0].follower.size
        mirror = httpx.get(f"{service.validators[0].url}/tile/entries/000.p/{size}")
        assert len(decode_bundle(mirror.content, Tile(-1, 0, size))) == size
    # Cosignatures survive a restart, and validators their own.
    with served(service_of(folder, validators=[Asked(w.key, "http://127.0.0.1:9")
                                               for w in watchers])) as url:  # fmt: skip
        note = httpx.get(f"{url}/v1/checkpoint?cosignatures=2").text
        assert len(quorum.require(note)) == 2


def test_a_quorums_checkpoint_does_not_go_back(folder: Path, task: str, tmp_path: Path) -> None:
    watcher = Watcher(tmp_path, "w.example")
    quorum, state = Quorum(1, (watcher.key,)), tmp_path / "state"
    service = service_of(folder, validators=[Asked(watcher.key, "http://127.0.0.1:9")])
    liar = Liar(create_ledger_app(service))
    with run(liar, FAST) as url, watcher.follows(url) as (address, _):  # type: ignore[arg-type]
        service.validators[0].url, service.validators[0].rest_until = address, 0.0
        with LedgerClient(url, KEY, quorum=quorum, state_file=state) as client:
            old = client.checkpoint().encode()
            client.append(client.sign(IdentityRegister("x"), Signer.generate()))
            assert client.state.size == 11
        liar.lies = {"/v1/checkpoint": lambda _: old}
        with (
            LedgerClient(url, KEY, quorum=quorum, state_file=state) as client,
            pytest.raises(NotCosigned, match="now says 10"),
        ):
            _ = client.state
        # Somebody who asks for no validators has seen the newer one as well.
        with LedgerClient(url, KEY, state_file=state) as client:
            assert client.state.size == 11


def test_a_log_that_takes_a_bad_proof_is_not_cosigned(
    folder: Path, task: str, tmp_path: Path
) -> None:
    def blind(bundle: bytes, pins: object) -> object:
        """Accept whatever the log's operator wants."""
        return replace(ledger_world.verify(said.encode(), pins))

    said = statement(task, BOB, "n", 99)
    with Ledger.open(folder, OPERATOR) as ledger:
        bad = replace(submission(task, said), bundle=ledger_world.blob_digest(b"no proof"))
        ledger.submit(b"no proof", ledger.sign(bad, BOB), blind)
    watcher = Watcher(tmp_path, "w.example")
    with served(service_of(folder)) as url, watcher.follows(url) as (address, _):
        note = httpx.get(f"{url}/checkpoint").text
        request = AddCheckpoint(0, (), note).encode()
        answer = httpx.post(f"{address}/add-checkpoint", content=request, timeout=30)
        assert (answer.status_code, "at fault" in answer.text) == (422, True)
        status = httpx.get(f"{address}/v1/validator").json()
        assert status["status"] == "fault" and "PROOF_REJECTED" in status["fault"]
        # What came before it was good, and under a checkpoint of its own.
        assert httpx.get(f"{address}/checkpoint").status_code == 404
    # For ever: also after a restart, and whatever the log shows then.
    with served(service_of(folder)) as url, watcher.follows(url) as (address, _):
        answer = httpx.post(f"{address}/add-checkpoint", content=request, timeout=30)
        assert answer.status_code == 422


def forked(folder: Path, to: Path, names: list[str]) -> None:
    """Make a copy of a ledger that goes on with other entries, as its key's holder can."""
    with Ledger.open(to, OPERATOR) as ledger:
        for name in names:
            ledger.append(ledger.sign(IdentityRegister(name), Signer.generate()))


def test_a_forked_or_rolled_back_log_is_found_out(folder: Path, task: str, tmp_path: Path) -> None:
    fork, early = tmp_path / "fork", tmp_path / "early"
    for copy in (fork, early):
        shutil.copytree(folder, copy)
    forked(folder, folder, ["a", "b"])
    state = tmp_path / "state"
    with served(service_of(folder)) as url, LedgerClient(url, KEY, state_file=state) as client:
        first = Checkpoint.open(client.checkpoint(), KEY)
        receipt = client.receipt(11)
    with (
        served(service_of(early)) as url,
        LedgerClient(url, KEY, state_file=state) as client,
        pytest.raises(LedgerRolledBack),
    ):
        client.checkpoint()
    evidence = state.with_name("state.evidence.json")
    assert b"two-checkpoints" in evidence.read_bytes()
    evidence.unlink()
    for names in (["a", "c"], ["d"]):
        # Another log of the same size, then a larger one.
        forked(folder, fork, names)
        with (
            served(service_of(fork)) as url,
            LedgerClient(url, KEY, state_file=state) as client,
            pytest.raises(LogForked, match="two histories"),
        ):
            client.checkpoint()
        offence = Evidence.decode(evidence.read_bytes()).verify([KEY])
        assert first in (offence.first, offence.second)
        assert offence.same_size == (names == ["a", "c"])
        evidence.unlink()
    # A receipt of the one is worth nothing to who has seen the other.
    other = tmp_path / "other"
    with served(service_of(fork)) as url, LedgerClient(url, KEY, state_file=other) as client:
        client.checkpoint()
        with pytest.raises(LogForked):
            client._verify(receipt)


def test_a_validator_keeps_evidence_of_a_fork(folder: Path, task: str, tmp_path: Path) -> None:
    fork = tmp_path / "fork"
    shutil.copytree(folder, fork)
    forked(folder, folder, ["a", "b", "c"])
    forked(folder, fork, ["x"])
    with Ledger.open(fork) as ledger:
        note = ledger.checkpoint()
    watcher = Watcher(tmp_path, "w.example")
    with served(service_of(folder)) as url, watcher.follows(url) as (address, _):
        good = httpx.get(f"{url}/checkpoint").text
        found = httpx.post(f"{address}/add-checkpoint", timeout=30,
                           content=AddCheckpoint(0, (), good).encode())  # fmt: skip
        assert found.status_code == 200
        request = AddCheckpoint(0, (), note).encode()
        assert httpx.post(f"{address}/add-checkpoint", content=request).status_code == 422
    evidence = Evidence.decode((watcher.folder / "log" / "evidence.json").read_bytes())
    assert not evidence.verify([KEY]).same_size


def test_a_validators_copy_is_an_export_of_the_ledger(
    folder: Path, task: str, tmp_path: Path
) -> None:
    watcher = Watcher(tmp_path, "w.example")
    with served(service_of(folder)) as url, watcher.follows(url) as (address, validator):
        note = httpx.get(f"{url}/checkpoint").text
        request = AddCheckpoint(0, (), note).encode()
        assert httpx.post(f"{address}/add-checkpoint", content=request, timeout=30).is_success
    import_(watcher.folder / "log", tmp_path / "mirror", log=KEY)
    with Ledger.open(folder) as ledger, Ledger.open(tmp_path / "mirror") as mirror:
        assert validator.follower.state.digest == ledger.state.digest == mirror.state.digest


def test_what_the_log_did_not_sign_is_not_held_against_it(
    folder: Path, task: str, tmp_path: Path
) -> None:
    """Whoever sits between them can stop a validator, but not for longer than that."""
    watcher = Watcher(tmp_path, "w.example")
    liar = Liar(create_ledger_app(service_of(folder)))
    with run(liar, FAST) as url:  # type: ignore[arg-type]
        remote = RemoteLog(url, KEY, patience=0)
        follower = Follower(watcher.folder / "log", remote, lambda _: None)  # type: ignore
        for path, lie in (
            ("/checkpoint", b"not signed"),
            ("/v1/proof/consistency", b'{"hashes":[]}'),
            ("/tile/entries/000.p/10", b"\x00\x02{}" * 10),
            (f"/v1/blobs/{TASK.architecture}", b"another"),
        ):
            liar.lies = {path: lambda _, sent=lie: sent}
            with contextlib.suppress(LedgerError):
                follower.sync()
            assert follower.fault is None
        liar.lies = {}
        assert follower.sync() == 10
        # An older checkpoint, as from a cache, is no news.
        with LedgerClient(url, KEY) as client:
            old = client.checkpoint().encode()
            client.append(client.sign(IdentityRegister("x"), Signer.generate()))
        assert follower.sync() == 11
        liar.lies = {"/checkpoint": lambda _: old}
        assert follower.sync() == 11 and follower.fault is None
        remote.close()
