"""A ledger with something on every page of the explorer, served by the real service."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from circuits.encoding import canonical_json
from ledger import Ledger, entries
from ledger.charter import Charter
from ledger.entries import Entry, blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import EntryRefused
from ledger.keys import Signer
from ledger.policy import Policy, Windows
from ledger.provenance import Card, Creator, commit_training, open_source
from ledger.rules.identity import ROTATE_DOMAIN, rotate_message
from ledger.service.app import create_app
from ledger.service.cosign import Validator
from ledger.service.server import Server, bind
from ledger.service.service import Service
from ledger.signatures import sign
from ledger.tlog.cosignature import add_cosignatures
from ledger.tlog.note import VerifierKey
from ledger.tlog.witness import Witness
from tests.ledger import ledger_world
from tests.ledger.ledger_world import (
    ALICE,
    ARCHITECTURE,
    BOB,
    DATA,
    EVALUATOR,
    MANIFEST,
    OPERATOR,
    ORIGIN,
    TASK,
    digest_of,
    signer,
)
from tests.ledger.service.service_world import FAST

CAROL, DORA, MALLORY = signer("carol"), signer("dora"), signer("mallory")
NAMES = {
    EVALUATOR.public: "St Anna Hospital",
    ALICE.public: "Imaging Lab Alice",
    BOB.public: "Bob & Sons",
    CAROL.public: "Carol Institute",
    DORA.public: "Dora Diagnostics",
}

ATTACK = "<img src=x onerror=alert(1)>"
SCRIPT = '"><script>alert(2)</script>\u05e9\u05dc\u05d5\u05dd'
FIRST, SECOND = signer("validator one"), signer("validator two")
VALIDATORS = (
    VerifierKey("validator.example/one", FIRST.public, "cosignature"),
    VerifierKey("validator.example/two", SECOND.public, "cosignature"),
)


@dataclass
class Story:
    """What was put on the ledger, for tests to compare with what is shown."""

    folder: Path
    task: str = ""
    ended: str = ""
    attack: str = ""
    proofs: list[int] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        """The ledger, to read; close it."""
        return Ledger.open(self.folder)


class Teller:
    """Appends to a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def do(self, who: Signer, body: Entry, *blobs: bytes, identity: str | None = None) -> str:
        """Append an entry; returns its digest."""
        name = identity or who.public
        nonce = self.ledger.state.nonce(name)
        entry = SignedEntry.sign(body, origin=ORIGIN, nonce=nonce, signer=who, identity=name)
        self.ledger.append(entry, blobs)
        return entry.digest

    def commit(self, task: str, who: Signer, model: str, round_: int = 0) -> None:
        """Commit a model."""
        self.do(who, ledger_world.commitment(task, who, model, round_))

    def prove(self, task: str, who: Signer, model: str, correct: int, round_: int = 0) -> int:
        """Submit a proof by way of the stand-in verifier; returns its index."""
        said = ledger_world.statement(task, who, model, correct, round_)
        entry = self.ledger.sign(ledger_world.submission(task, said, round_), who)
        return self.ledger.submit(said.encode(), entry, ledger_world.verify).index


def card(folder: Path, name: str, rows: list[str], **changes: Any) -> Card:
    """Commit to a few rows and describe them."""
    path = folder / f"{name}.csv"
    path.write_text("age,marker\n" + "\n".join(rows) + "\n")
    source = open_source(path)
    secret = commit_training(source, bytes(range(32)))
    fields: dict[str, Any] = {
        "name": name, "description": "Measurements, synthetic.", "licence": "CC-BY-4.0",
        "creators": (Creator("Carol Institute", "Organization"),), "published": "2026-01-31",
        "commitment": secret.commitment, "columns": source.columns, "encoding": source.encoding,
    }  # fmt: skip
    return Card(**(fields | changes))


def tell(folder: Path, *, attacks: bool = True) -> Story:
    """Make the ledger."""
    story = Story(folder / "ledger")
    charter = replace(
        Charter.alone(OPERATOR.public),
        governors=tuple(sorted((OPERATOR.public, CAROL.public, DORA.public))),
        threshold=2,
    )
    grants = {EVALUATOR.public: 500, CAROL.public: 300}
    with Ledger.init(
        story.folder, ORIGIN, OPERATOR, allow_insecure_srs=False, charter=charter, grants=grants
    ) as ledger:
        teller = Teller(ledger)
        for who in (EVALUATOR, ALICE, BOB, CAROL, DORA):
            teller.do(who, entries.IdentityRegister(NAMES[who.public]))
        teller.do(OPERATOR, entries.Clock(1_800_000_000))
        _data(teller, story, folder)
        _competition(teller, story)
        _models(teller, story, attacks=attacks)
        _money(teller, story)
        if attacks:
            _attacks(teller, story)
        _refusals(teller, story)
        _cosign(ledger, folder)
    return story


def _data(teller: Teller, story: Story, folder: Path) -> None:
    base = card(folder, "scans", [f"{30 + i},{i * 7 % 11}" for i in range(40)])
    derived = card(folder, "scans-cleaned", [f"{30 + i},{i * 5 % 7}" for i in range(25)],
                   parents=(base.root,))  # fmt: skip
    for made, who in ((base, CAROL), (derived, ALICE)):
        teller.do(who, made.registration(), made.to_bytes())
    teller.do(EVALUATOR, replace(DATA, openings=20), MANIFEST)
    story.data = [base.root, derived.root, DATA.root]


def _competition(teller: Teller, story: Story) -> None:
    policy = Policy(
        minimum_accuracy=Fraction(1, 2), eta=Fraction(1, 50), pool=1000,
        submissions_per_identity=4, openings=10,
    )  # fmt: skip
    task = replace(TASK, title="Skin lesions, two classes", policy=policy)
    story.task = teller.do(OPERATOR, task, ARCHITECTURE)
    for who, model in ((ALICE, "a0"), (BOB, "b0"), (DORA, "d0")):
        teller.commit(story.task, who, model)
    teller.do(EVALUATOR, entries.TestsetRelease(story.task, 0))
    for who, model, correct in ((BOB, "b0", 71), (ALICE, "a0", 78), (DORA, "d0", 64)):
        story.proofs.append(teller.prove(story.task, who, model, correct))
    for who, model in ((ALICE, "a1"), (BOB, "b1"), (DORA, "d1")):
        teller.commit(story.task, who, model, 1)
    teller.do(EVALUATOR, entries.TestsetRelease(story.task, 1))
    for who, model, correct in ((DORA, "d1", 86), (ALICE, "a1", 91), (BOB, "b1", 88)):
        story.proofs.append(teller.prove(story.task, who, model, correct, 1))


def _models(teller: Teller, story: Story, *, attacks: bool) -> None:
    note = ATTACK if attacks else "Screening of adults."
    model_card = canonical_json({"name": "DermaNet", "description": f"For screening. {note}"})
    first = entries.ModelRelease(
        "DermaNet", "1.0", digest_of("a0"), task=story.task, proof=story.proofs[1],
        artefact=digest_of("file"), data=(story.data[0],),
    )  # fmt: skip
    story.releases.append(teller.do(ALICE, first))
    second = replace(
        first, release="2.0", model=digest_of("a1"), proof=story.proofs[4],
        card=blob_digest(model_card), parents=(story.releases[0],),
        data=tuple(sorted(story.data[:2])),
    )  # fmt: skip
    story.releases.append(teller.do(ALICE, second, model_card))
    report = canonical_json({"groups": [["under 50", 46, 50], ["from 50", 45, 50]]})
    audit = entries.AuditAttest(story.releases[1], story.proofs[4], blob_digest(report))
    teller.do(CAROL, audit, report)
    teller.do(
        ALICE,
        entries.PredictionAttest(story.releases[1], digest_of("input"), digest_of("output")),
    )


def _money(teller: Teller, story: Story) -> None:
    windows = Windows("entries", commit=4, release=6, prove=40)
    policy = Policy(
        minimum_accuracy=Fraction(0), eta=Fraction(1, 100), pool=600, submissions_per_identity=1,
        openings=5, rule="best", bond=20, evaluator_bond=200, windows=windows,
    )  # fmt: skip
    task = replace(TASK, title="Follow-up, with bonds", rounds=1, policy=policy)
    story.ended = teller.do(OPERATOR, task, ARCHITECTURE)
    teller.do(EVALUATOR, entries.Bond(story.ended, 200))
    teller.do(ALICE, entries.Bond(story.ended, 20))
    teller.commit(story.ended, ALICE, "f0")
    teller.do(CAROL, entries.Bond(entries.NOTHING, 100))
    teller.do(CAROL, entries.Transfer(DORA.public, 25))
    next_key = signer("bob's second key")
    nonce = teller.ledger.state.nonce(BOB.public)
    message = rotate_message(ORIGIN, BOB.public, nonce, "ed25519", next_key.public)
    proof = sign(next_key, ROTATE_DOMAIN, message)
    teller.do(BOB, entries.IdentityRotate("ed25519", next_key.public, proof))
    teller.do(DORA, entries.IdentityRevoke(DORA.public))


def _attacks(teller: Teller, story: Story) -> None:
    teller.do(MALLORY, entries.IdentityRegister(ATTACK))
    task = replace(TASK, title=ATTACK + SCRIPT, backend="sumcheck", vk="0" * 64, srs="0" * 64)
    story.attack = teller.do(OPERATOR, task)
    teller.do(MALLORY, entries.ModelRelease(SCRIPT, ATTACK[:50], digest_of("evil")))


def _refusals(teller: Teller, story: Story) -> None:
    """Two that are refused: too many units, and a round that is over."""
    for who, body in (
        (ALICE, entries.Transfer(BOB.public, 10**9)),
        (CAROL, ledger_world.commitment(story.task, CAROL, "late", 1)),
    ):
        with contextlib.suppress(EntryRefused):
            teller.do(who, body)


def _cosign(ledger: Ledger, folder: Path) -> None:
    """Let the first validator cosign, and keep it where the service keeps cosignatures."""
    note = ledger.checkpoint()
    witness = Witness.create(folder / "witness", VALIDATORS[0].name, FIRST, [ledger.key])
    lines = witness.add_checkpoint(0, (), note)
    cosigned = add_cosignatures(note, lines, VALIDATORS[:1])
    place = folder / "ledger" / "service"
    place.mkdir()
    (place / "cosigned").write_bytes(canonical_json([cosigned]))


Change = Callable[[bytes], bytes]


class Tampering:
    """Between service and browser: answers of some addresses are changed on their way."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.changes: dict[str, Change] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        change = self.changes.get(path)
        if scope["type"] != "http" or change is None:
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        body = bytearray()

        async def collect(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            changed = change(bytes(body))
            start["headers"] = [
                (name, str(len(changed)).encode() if name == b"content-length" else value)
                for name, value in start["headers"]
            ]
            await send(start)
            await send({"type": "http.response.body", "body": changed})

        await self.app(scope, receive, collect)


@dataclass
class Site:
    """A running service."""

    url: str
    tampering: Tampering


@contextlib.contextmanager
def site(story: Story) -> Iterator[Site]:
    """Serve the ledger, read only, until the block ends."""
    service = Service(
        story.folder,
        lambda: Ledger.open(story.folder),
        replace(FAST, quorum=1),
        # Nobody is at home there: what is kept of the first is all there is.
        validators=[Validator(key, "http://127.0.0.1:9") for key in VALIDATORS],
    )
    tampering = Tampering(create_app(service))
    listening = bind("127.0.0.1", 0)
    server = Server(tampering, service.settings)  # type: ignore[arg-type]
    thread = threading.Thread(target=asyncio.run, args=(server.serve(sockets=[listening]),))
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.01)
        yield Site(f"http://127.0.0.1:{listening.getsockname()[1]}", tampering)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
