"""One history on two engines: a contract, and a log in SQLite signed by the same accounts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger import Ledger as Embedded
from ledger import Signer, blob_digest, entries
from ledger.envelope import SignedEntry
from ledger.errors import NullifierSpent
from ledger.evm.mirror import Mirror
from ledger.evm_keys import EvmSigner
from ledger.records import Accepted
from tests.ledger.evm.evm_world import (
    ALICE,
    BOB,
    CHARTER,
    DATA,
    EVALUATOR,
    OPERATOR,
    SECRETS,
    Ledger,
    statement,
)
from verifier.verdict import Check, Verdict

MANIFEST, ARCHITECTURE = b"manifest", b"architecture"
SET = replace(DATA, manifest=blob_digest(MANIFEST), well_formed=entries.NOTHING)
STORY = ((ALICE, "m", 4), (BOB, "n", 6), (ALICE, "m2", 5))
"""Who proves which model, and how many samples it gets right."""


def told(chain: Ledger) -> str:
    """Tell the story to the contract; returns the task."""
    for who, name in ((EVALUATOR, "evaluator"), (ALICE, "alice"), (BOB, "bob")):
        chain.do(who, entries.IdentityRegister(name))
    chain.do(EVALUATOR, SET)
    task = chain.open(architecture=blob_digest(ARCHITECTURE))
    for who, model, _ in STORY:
        chain.commit(who, task, model)
    chain.release(task)
    for who, model, correct in STORY:
        entry = chain.entry(who, proof(chain.origin, task, who, model, correct))
        chain.push(who, entry, chain.attested(entry))
    chain.do(BOB, entries.Transfer(ALICE.public, 30))
    return task


def proof(origin: str, task: str, who, model: str, correct: int) -> entries.ProofSubmit:
    said = statement(origin, who, task, model, correct)
    return entries.ProofSubmit(task, 0, blob_digest(said.encode()), said, srs_insecure=False)


def accepts(body: entries.ProofSubmit):
    """Return what stands in for the verifier: the contract counted attestations of this."""
    claimed = Accepted.claimed_by(body)
    return lambda *_: Verdict(claimed.statement, (Check("attested", True),), None)


def retold(history: list[SignedEntry], book: Embedded) -> None:
    """Say the same on the log, each entry signed by the same account under the same number."""
    blobs = [MANIFEST, ARCHITECTURE]
    for entry in history:
        if isinstance(entry.body, entries.Genesis | entries.Credit):
            continue
        signer = EvmSigner(SECRETS[entry.signer])
        again = SignedEntry.sign(entry.body, origin=entry.origin, nonce=entry.nonce, signer=signer)
        assert again.digest == entry.digest
        if isinstance(entry.body, entries.ProofSubmit):
            book.submit(entry.body.statement.encode(), again, accepts(entry.body))
        else:
            book.append(again, blobs)


def test_the_same_history_gives_the_same_balances_and_nullifiers(tmp_path: Path) -> None:
    chain = Ledger.deploy(grants={ALICE.public: 50})
    task = told(chain)
    mirror = Mirror(chain.node, chain.address, chain.first, 0)
    mirror.refresh()
    # On the log its own key signs the genesis entry; there the contract's deployer introduces
    # itself with the number that it spent on the contract's.
    operator = EvmSigner(SECRETS[OPERATOR.public])
    with Embedded.init(
        tmp_path / "book", chain.origin, Signer.generate(), allow_insecure_srs=True,
        charter=CHARTER, grants={ALICE.public: 50},
    ) as book:  # fmt: skip
        book.append(book.sign(entries.IdentityRegister("operator"), operator))
        retold([event.entry for event in mirror.events], book)
        ours, theirs = book.state, mirror.state
        assert dict(ours.balances) == dict(theirs.balances) != {ALICE.public: 50}
        assert set(ours.nullifiers) == set(theirs.nullifiers) and len(ours.nullifiers) == 3
        assert set(ours.tasks) == set(theirs.tasks) == {task}
        assert (ours.minted, ours.task(task).step) == (theirs.minted, theirs.task(task).step)
        assert ours.credits.values() and sorted(ours.credits.values()) == sorted(
            theirs.credits.values()
        )
        assert book.audit().ok
        # What is spent on one is spent on the other.
        body = proof(chain.origin, task, BOB, "n", 6)
        again = book.sign(body, EvmSigner(SECRETS[BOB.public]))
        with pytest.raises(NullifierSpent):
            book.submit(body.statement.encode(), again, accepts(body))
