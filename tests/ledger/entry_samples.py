"""One entry of every type, for tests of what all have in common."""

from dataclasses import replace

from ledger_world import (
    ALICE,
    BOB,
    DATA,
    GENESIS,
    GOVERNORS,
    ORIGIN,
    RICH,
    TASK,
    TRAINING,
    WINDOWED,
    approvals,
    charter_change,
    commitment,
    digest_of,
    statement,
    submission,
)

from ledger import entries
from ledger.charter import Charter
from ledger.envelope import SignedEntry

ID = digest_of("task")

BODIES = [
    RICH,
    replace(GENESIS, chain=entries.Chain(1, "ab" * 20)),
    entries.PolicyChange(replace(RICH.charter, number=1), ()),
    charter_change(replace(Charter.alone(ALICE.public), number=1), GOVERNORS),
    entries.Clock(1700000000),
    entries.IdentityRegister("Ålice"),
    entries.IdentityRegister("linked", "ab" * 20, "cd" * 65),
    entries.IdentityRotate("ed25519", BOB.public, "ab" * 64),
    entries.IdentityRotate("evm", BOB.public, "ab" * 65),
    entries.IdentityRevoke(BOB.public, approvals(b"", b"", GOVERNORS)),
    DATA,
    replace(DATA, well_formed=digest_of("proof")),
    replace(TRAINING, parents=(DATA.root,)),
    TASK,
    replace(TASK, policy=replace(WINDOWED, rule="best", bond=3)),
    commitment(ID, ALICE, "m"),
    entries.TestsetRelease(ID, 0, digest_of("opening")),
    submission(ID, statement(ID, ALICE, "m", 80)),
    entries.TaskClose(ID),
    entries.Transfer(BOB.public, 5),
    entries.Bond(ID, 5),
    entries.BondReturn(ID),
    entries.Slash("equivocation", BOB.public, entries.NOTHING, ("note\n\n— a b\n", "other")),
    entries.Slash("invalid-reveal", BOB.public, ID, blob=digest_of("opening")),
    entries.ModelRelease("digits", "1.0", digest_of("m"), ID, 7, data=(TRAINING.root,)),
    entries.ModelRelease("digits", "1.1", digest_of("m"), parents=(ID,)),
    entries.PredictionAttest(ID, digest_of("asked"), digest_of("answered")),
    entries.AuditAttest(ID, 7, digest_of("report")),
]


def signed(body):
    return SignedEntry.sign(body, origin=ORIGIN, nonce=3, signer=ALICE)


ALL = [*map(signed, BODIES), SignedEntry.by_rule(entries.Credit(ID, ALICE.public, 5, 7), ORIGIN)]
