"""Ledgers with something on them, and the tools to look after them."""

import shutil

from ledger import Ledger, Receipt, VerifierKey, entries
from ledger.embedded.mark import Mark
from ledger.envelope import SignedEntry
from tests.ledger.ledger_world import ALICE, BOB, EVALUATOR, OPERATOR, ORIGIN, signer

KEY = VerifierKey(ORIGIN, OPERATOR.public)
PEOPLE = (ALICE, BOB, EVALUATOR)
GRANTS = {who.public: 1_000_000 for who in PEOPLE}


def create(folder, mark=None):
    """Return a new ledger on which Alice, Bob and the evaluator are registered, 4 entries."""
    made = Ledger.init(folder, ORIGIN, OPERATOR, allow_insecure_srs=False, grants=GRANTS, mark=mark)
    names = zip(PEOPLE, ("alice", "bob", "evaluator"), strict=True)
    made.append_many([(made.sign(entries.IdentityRegister(name), who), ()) for who, name in names])
    return made


def payments(ledger, count, who=ALICE, to=BOB):
    """Return as many signed transfers that can follow each other."""
    nonce = ledger.state.nonce(who.public)
    return [
        SignedEntry.sign(
            entries.Transfer(to.public, 1), origin=ledger.origin, nonce=nonce + i, signer=who
        )
        for i in range(count)
    ]


def pay(ledger, count=1, who=ALICE):
    """Append transfers, in one commit each; returns the receipts."""
    return [ledger.append(entry) for entry in payments(ledger, count, who)]


def pay_at_once(ledger, count, who=ALICE):
    """Append transfers in one commit."""
    for receipt in ledger.append_many([(entry, ()) for entry in payments(ledger, count, who)]):
        assert isinstance(receipt, Receipt), receipt


def document(ledger, who, text):
    """Return an entry by `who` that names a blob, and the blob."""
    blob = text.encode()
    body = entries.DataRegister(
        kind="training", root=entries.blob_digest(b"root" + blob), unit="rows", licence="CC0-1.0",
        manifest=entries.blob_digest(blob), well_formed=entries.NOTHING, samples=1, openings=0,
    )  # fmt: skip
    return ledger.sign(body, who), [blob]


def copy_of(folder, to):
    """Copy a ledger's folder as a careless restore would, its mark and locks left out."""
    return shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.mark*"))


def mark_size(path):
    return Mark(path).read(KEY).size


def stranger(number):
    return signer(f"stranger {number}")
