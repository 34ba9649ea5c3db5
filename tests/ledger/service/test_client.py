"""A client against a server that is honest, busy, gone, or a liar."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from circuits.errors import MissingArtefact, ProofRejected
from ledger import Checkpoint, Ledger, Signer, VerifierKey, blob_digest
from ledger.entries import IdentityRegister, IdentityRotate, Transfer
from ledger.errors import (
    AlreadyRegistered,
    BadKey,
    BadNote,
    LedgerCorrupt,
    LedgerRolledBack,
    MissingBlob,
)
from ledger.rules.identity import ROTATE_DOMAIN, rotate_message
from ledger.service.app import create_app
from ledger.service.client import LedgerClient
from ledger.service.errors import LogForked, QueueFull, TooLarge, Unreachable
from ledger.service.remote import error_of
from ledger.service.watch import NEWEST, Watch
from ledger.signatures import sign
from ledger.tlog.evidence import Evidence
from tests.ledger.ledger_world import (
    ALICE,
    ARCHITECTURE,
    BOB,
    MANIFEST,
    OPERATOR,
    ORIGIN,
    TASK,
    statement,
    submission,
)  # fmt: skip
from tests.ledger.service.service_world import (
    FAST,
    Caller,
    Contributor,
    Liar,
    make_ledger,
    refused,
    run,
    served,
    service_of,
)  # fmt: skip
from tests.ledger.service.stand_in import Misbehaving

KEY = VerifierKey(ORIGIN, OPERATOR.public)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("client") / "ledger"


@pytest.fixture(scope="module")
def task(folder: Path) -> str:
    return make_ledger(folder)


@pytest.fixture(scope="module")
def url(folder: Path, task: str) -> Iterator[str]:
    with served(service_of(folder)) as found:
        yield found


@pytest.fixture
def client(url: str, tmp_path: Path) -> Iterator[LedgerClient]:
    with LedgerClient(url, KEY, state_file=tmp_path / "state") as found:
        yield found


# --- an honest server


def test_it_is_used_like_a_ledger_in_a_folder(
    client: LedgerClient, task: str, folder: Path
) -> None:
    assert (client.origin, client.info()["size"]) == (ORIGIN, client.state.size)
    assert client.task(task).terms == TASK
    assert client.blob(TASK.architecture) == ARCHITECTURE
    said = statement(task, ALICE, "m", 80)
    body = submission(task, said)
    assert client.submission(body, ALICE.public) is None
    entry = client.sign(body, ALICE)
    receipt = client.submit(said.encode(), entry)
    assert client.submit(said.encode(), entry).index == receipt.index
    assert client.submission(body, ALICE.public) == entry == client.entry(receipt.index)
    assert client.credited(receipt) == client.balance(ALICE.public) > 0
    assert dict(client.balances()) == {ALICE.public: client.balance(ALICE.public)}
    assert client.task_info(task)["leaderboard"][0]["identity"] == ALICE.public
    with Ledger.open(folder) as ledger:
        assert client.state.digest == ledger.state.digest
        assert client.entries() == ledger.entries()
        assert client.entries(3, 2) == ledger.entries(3, 2)
        assert client.refusals() == ledger.refusals()


def test_refusals_have_their_own_classes(client: LedgerClient, task: str) -> None:
    with pytest.raises(AlreadyRegistered):
        client.append(client.sign(IdentityRegister("again"), ALICE))
    said = statement(task, BOB, "n", 80)
    body = replace(submission(task, said), bundle=blob_digest(b"no proof"))
    with pytest.raises(ProofRejected, match=r"^bundle: "):
        client.submit(b"no proof", client.sign(body, BOB))
    with pytest.raises(ProofRejected, match="the entry names"):
        client.submit(b"another", client.sign(body, BOB))
    with pytest.raises(MissingArtefact):
        client.receipt(999)
    for name in ("ab" * 32, "../log.key"):
        with pytest.raises(MissingBlob):
            client.blob(name)
    assert error_of("NOBODY_KNOWS_THIS", "x").code == "NOBODY_KNOWS_THIS"


def test_an_author_whose_key_was_rotated(client: LedgerClient) -> None:
    first, second = Signer.generate(), Signer.generate()
    client.append(client.sign(IdentityRegister("erin"), first))
    proof = sign(second, ROTATE_DOMAIN, rotate_message(ORIGIN, first.public, 1, "ed25519",
                                                       second.public))  # fmt: skip
    client.append(client.sign(IdentityRotate("ed25519", second.public, proof), first))
    entry = client.sign(IdentityRegister("x"), second)
    assert (entry.signer, entry.nonce) == (first.public, 2)
    with pytest.raises(BadKey):
        client.append(entry, signer=first)


def test_the_first_visit_is_remembered(url: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with LedgerClient(url, state_file=state) as client:
        assert client.key == KEY
        client.checkpoint()
    with LedgerClient(url, state_file=state) as client:
        assert client.key == KEY
    other = VerifierKey(ORIGIN, BOB.public)
    with pytest.raises(BadKey, match="remembered"):
        LedgerClient(url, other, state_file=state)
    with LedgerClient(url, other) as client, pytest.raises(BadNote):
        client.checkpoint()
    state.write_bytes(b"{}")
    with pytest.raises(LedgerCorrupt, match="damaged"):
        LedgerClient(url, state_file=state)


# --- a server that is busy, or gone


def test_a_server_that_is_not_there() -> None:
    for url in ("http://127.0.0.1:9", "no url at all"):
        with LedgerClient(url, KEY, patience=0.3) as client:
            assert refused(client.info) == "UNREACHABLE"


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    folder, gate = tmp_path / "ledger", tmp_path / "gate"
    task = make_ledger(folder)
    one = replace(FAST, verification=replace(FAST.verification, queue=1))
    with served(service_of(folder, one, verifier=lambda _: Misbehaving(gate))) as url:
        Contributor(Caller(url), task, ALICE, "m").submit(b"wait ")
        said = statement(task, BOB, "n", 90)
        body = submission(task, said)
        with LedgerClient(url, KEY, patience=0) as hasty, pytest.raises(QueueFull):
            hasty.submit(said.encode(), hasty.sign(body, BOB))
        with LedgerClient(url, KEY) as patient:
            threading.Timer(0.5, gate.touch).start()
            receipt = patient.submit(said.encode(), patient.sign(body, BOB))
            assert patient.credited(receipt) > 0


# --- a server that lies


@contextmanager
def lying(folder: Path) -> Iterator[tuple[str, Liar]]:
    liar = Liar(create_app(service_of(folder)))
    with run(liar, FAST) as url:  # type: ignore[arg-type]
        yield url, liar


def test_lies_about_what_was_signed(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    make_ledger(folder)
    other = tmp_path / "other"
    with Ledger.init(other, "ledger.example/other", OPERATOR, allow_insecure_srs=False,
                     mark=tmp_path / "mark") as ledger:  # fmt: skip
        foreign, foreign_receipt = ledger.checkpoint(), ledger.receipt(0).encode()
    with lying(folder) as (url, liar), LedgerClient(url, KEY, patience=0) as client:
        honest = client.receipt(3).encode()
        # Of another log, of another entry, or with an entry that is not under it.
        for text in (
            foreign_receipt, client.receipt(4).encode(), honest.replace("extra ", "extra AA"),
            honest.replace("index 3", "index 4"), honest[:-5], "", "\x00" * 50,
        ):  # fmt: skip
            liar.lies = {"/v1/entries/3/receipt": lambda _, t=text: t.encode()}
            assert refused(lambda: client.receipt(3)) == "BAD_NOTE"
        for note in (foreign, client.checkpoint().replace("\n10\n", "\n11\n"), "x"):
            liar.lies = {"/checkpoint": lambda _, n=note: n.encode()}
            assert refused(client.checkpoint) == "BAD_NOTE"
        liar.lies = {f"/v1/blobs/{TASK.architecture}": lambda body: body + b" "}
        assert refused(lambda: client.blob(TASK.architecture)) == "LEDGER_CORRUPT"
        # Entries that were left out, or changed.
        for lie in (lambda body: body[:-100], lambda body: body[:-1] + b"!", lambda _: MANIFEST):
            liar.lies = {"/tile/entries/000.p/10": lie}
            assert refused(lambda: client.state) in ("LEDGER_CORRUPT", "MALFORMED_ENTRY")
        liar.lies = {}
        assert client.state.size == 10
        # A receipt for something else than was sent.
        stranger = Signer.generate()
        answer = json.dumps({"index": 3, "receipt": honest}).encode()
        liar.lies = {"/v1/entries": lambda _: answer}
        with pytest.raises(BadNote, match="another entry"):
            client.append(client.sign(IdentityRegister("x"), stranger))


def test_answers_that_are_no_answers(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    make_ledger(folder)
    with lying(folder) as (url, liar), LedgerClient(url, KEY, patience=0) as client:
        for answer in (b"", b"[]", b"\xff", b"[" * 5000, b'{"hashes": 1}'):
            liar.lies = {"/v1/info": lambda _, a=answer: a,
                         "/v1/proof/consistency": lambda _, a=answer: a}  # fmt: skip
            if answer != b'{"hashes": 1}':
                assert refused(client.info) == "UNREACHABLE"
            assert refused(lambda: client.consistency(1, 2)) == "UNREACHABLE"
        liar.lies = {"/v1/info": lambda _: b"x" * (5 << 20)}
        with pytest.raises(TooLarge):
            client.info()
        # Redirections are not followed, least of all with a signed request.
        liar.lies, liar.status = {"/v1/info": lambda _: b"http://127.0.0.1:9/"}, {"/v1/info": 302}
        assert refused(client.info) == "UNREACHABLE"
        liar.status = {"/v1/info": 500}
        assert refused(client.info) == "UNREACHABLE"
        hostile = json.dumps({"error": {"code": "x\x1b[2J", "message": "y" * 10**6}}).encode()
        liar.lies, liar.status = {"/v1/info": lambda _: hostile}, {"/v1/info": 400}
        with pytest.raises(Unreachable) as caught:
            client.info()
        assert "\x1b" not in caught.value.message and len(caught.value.message) < 2000


def test_a_proof_of_growth_that_is_wrong(tmp_path: Path) -> None:
    folder, state = tmp_path / "ledger", tmp_path / "state"
    make_ledger(folder)
    with lying(folder) as (url, liar), LedgerClient(url, KEY, state_file=state) as client:
        client.checkpoint()
        client.append(client.sign(IdentityRegister("x"), Signer.generate()))
        with LedgerClient(url, KEY, state_file=state) as again:
            again.append(again.sign(IdentityRegister("y"), Signer.generate()))
        liar.lies = {"/v1/proof/consistency": lambda _: b'{"hashes": []}'}
        with pytest.raises(LogForked):
            client.checkpoint()


def test_a_lie_about_a_number_does_not_get_two_payments(tmp_path: Path) -> None:
    """The server keeps the first one, and says that the next number is another."""
    folder = tmp_path / "ledger"
    task = make_ledger(folder)
    with lying(folder) as (url, liar), LedgerClient(url, KEY, patience=0) as client:
        said = statement(task, ALICE, "m", 80)
        client.submit(said.encode(), client.sign(submission(task, said), ALICE))
        first = client.sign(Transfer(BOB.public, 40), ALICE)
        told = {**client.identity(ALICE.public), "nonce": first.nonce + 1}
        liar.lies = {f"/v1/identities/{ALICE.public}": lambda _: json.dumps(told).encode()}
        assert client.nonce(ALICE.public) == first.nonce + 1
        assert client.sign(Transfer(BOB.public, 40), ALICE) == first


def test_evidence_takes_the_place_of_a_suspicion(tmp_path: Path) -> None:
    key, watch = VerifierKey("w.example/log", OPERATOR.public), Watch(tmp_path / "state")
    notes = [Checkpoint(key.name, 2, bytes([n]) * 32).sign(OPERATOR) for n in (1, 2)]
    older = Checkpoint(key.name, 1, bytes(32)).sign(OPERATOR)

    def gone(*_: object) -> bytes:
        raise MissingArtefact("nothing")

    watch.observe(notes[0], key, gone, gone, track=NEWEST)
    with pytest.raises(LedgerRolledBack):
        watch.observe(older, key, gone, gone, track=NEWEST)
    assert watch.evidence_path is not None
    assert b"two-checkpoints" in watch.evidence_path.read_bytes()
    with pytest.raises(LogForked):
        watch.observe(notes[1], key, gone, gone, track=NEWEST)
    assert Evidence.decode(watch.evidence_path.read_bytes()).verify([key]).same_size
