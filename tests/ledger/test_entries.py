"""What the fields of an entry can be, wherever it came from."""

from dataclasses import replace

import pytest
from entry_samples import ALL, BODIES, ID
from ledger_world import (
    ALICE,
    BOB,
    DATA,
    GOVERNORS,
    TASK,
    approvals,
    commitment,
    digest_of,
    statement,
    submission,
)

from ledger import entries
from ledger.errors import MalformedEntry

REGISTER = entries.IdentityRegister("a")
ROTATE = entries.IdentityRotate("ed25519", BOB.public, "ab" * 64)
REVOKE = entries.IdentityRevoke(BOB.public, approvals(b"", b"", GOVERNORS))
COMMIT = commitment(ID, ALICE, "m")
RELEASE = entries.TestsetRelease(ID, 0)
PROOF = submission(ID, statement(ID, ALICE, "m", 80))
CREDIT = entries.Credit(ID, ALICE.public, 5, 7)
PAIR = REVOKE.approvals[0]


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (REGISTER, {"name": ""}),
        (REGISTER, {"name": "a" * 65}),
        (REGISTER, {"name": "a\nb"}),
        (REGISTER, {"name": "a\u202eb"}),
        (REGISTER, {"name": "\ud800"}),
        (REGISTER, {"name": None}),
        (REGISTER, {"evm": "ab" * 20}),
        (REGISTER, {"evm_signature": "ab" * 65}),
        (REGISTER, {"evm": "AB" * 20, "evm_signature": "ab" * 65}),
        (REGISTER, {"evm": "0x" + "ab" * 19, "evm_signature": "ab" * 65}),
        (ROTATE, {"scheme": "chain"}),
        (ROTATE, {"scheme": "evm"}),
        (ROTATE, {"proof": "ab" * 65}),
        (ROTATE, {"key": "ab"}),
        (REVOKE, {"identity": "bob"}),
        (REVOKE, {"approvals": (PAIR, PAIR)}),
        (REVOKE, {"approvals": REVOKE.approvals[::-1]}),
        (REVOKE, {"approvals": ((*PAIR, "more"),)}),
        (REVOKE, {"approvals": ((PAIR[0], "ab"),)}),
        (REVOKE, {"approvals": tuple((f"{i:064x}", PAIR[1]) for i in range(101))}),
        (DATA, {"root": DATA.root.upper()}),
        (TASK, {"backend": "other"}),
        (TASK, {"prover": "anyone"}),
        # A set that is opened to contributors is good for one round.
        (TASK, {"prover": "contributor"}),
        (TASK, {"rounds": 0}),
        (TASK, {"rounds": 2**32}),
        (TASK, {"title": "a\nb"}),
        (TASK, {"title": "a" * 201}),
        (TASK, {"vk": ""}),
        (COMMIT, {"round": 2**32}),
        (COMMIT, {"round": -1}),
        (COMMIT, {"model": "m"}),
        (RELEASE, {"round": True}),
        (RELEASE, {"opening": ""}),
        (PROOF, {"srs_insecure": 0}),
        (PROOF, {"statement": PROOF.statement.to_dict()}),
        (CREDIT, {"amount": 0}),
        (CREDIT, {"proof": -1}),
        (entries.TaskClose(ID), {"task": "task"}),
        (entries.BondReturn(ID), {"subject": ""}),
        (entries.Chain(1, "ab" * 20), {"id": 0}),
        (entries.Chain(1, "ab" * 20), {"contract": "0x" + "ab" * 20}),
    ],
)
def test_fields_that_cannot_be(body, changes):
    with pytest.raises(MalformedEntry):
        replace(body, **changes)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.type)
def test_entries_are_values(body):
    assert type(body).from_dict(body.to_dict()) == body
    assert hash(body) == hash(replace(body))


def test_types_are_known_by_name():
    assert {cls.type for cls in entries.ENTRY_TYPES.values()} == set(entries.ENTRY_TYPES)
    assert [entry.body.type for entry in ALL if entry.body.by_rule] == ["credit"]


@pytest.mark.parametrize(
    ("body", "blobs"),
    [
        (TASK, (TASK.architecture,)),
        (PROOF, (PROOF.bundle,)),
        (COMMIT, ()),
        # What is handed to contributors is not given to everybody by naming it, right or wrong.
        (replace(RELEASE, opening=digest_of("opening")), ()),
        (entries.Slash("invalid-reveal", BOB.public, ID, blob=digest_of("o")), ()),
        (entries.Slash("no-release", BOB.public, ID), ()),
        (REGISTER, ()),
    ],
)
def test_the_blobs_of_an_entry(body, blobs):
    assert body.blobs == blobs
