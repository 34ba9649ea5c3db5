"""Who decides over the charter, what a change reaches, and who tells the time."""

from dataclasses import replace
from fractions import Fraction

import pytest
from ledger_world import (
    ALICE,
    BOB,
    BONDED,
    CHARTER,
    EVALUATOR,
    GENESIS,
    GOVERNORS,
    OPERATOR,
    ORIGIN,
    POLICY,
    RICH,
    TASK,
    World,
    approvals,
    charter_change,
    digest_of,
    opened,
    signer,
    statement,
    submission,
)

from ledger import entries
from ledger.charter import Charter
from ledger.checks import LONGEST, MOST_UNITS
from ledger.envelope import SignedEntry
from ledger.errors import BadKey, BadNote, MalformedEntry
from ledger.rules import apply
from ledger.rules.governance import charter_message
from ledger.state import State

# Alice may open tasks too, each of no more than 500 units.
NEW = replace(
    CHARTER,
    number=1,
    task_owners=tuple(sorted((OPERATOR.public, ALICE.public))),
    max_pool=500,
)


@pytest.fixture
def world():
    return opened(RICH)[0]


def test_k_governors_change_the_charter_whoever_brings_it(world):
    small = replace(TASK, policy=replace(POLICY, pool=500))
    world.refuse("NOT_AUTHORISED", ALICE, small)
    world.do(BOB, charter_change(NEW, GOVERNORS[:2]))
    assert world.state.charter == NEW
    world.do(ALICE, small)
    world.refuse("OVER_BUDGET", ALICE, TASK)
    assert world.replay() == world.state


def test_every_k_of_them_do():
    for chosen in (GOVERNORS, GOVERNORS[1:], (GOVERNORS[0], GOVERNORS[2])):
        world, _ = opened(RICH)
        world.do(ALICE, charter_change(NEW, chosen))


@pytest.mark.parametrize(
    ("code", "spoilt"),
    [
        ("NOT_APPROVED", charter_change(NEW, ())),
        ("NOT_APPROVED", charter_change(NEW, GOVERNORS[:1])),
        ("NOT_AUTHORISED", charter_change(NEW, (GOVERNORS[0], ALICE))),
        # One too many is not overlooked either.
        ("NOT_AUTHORISED", charter_change(NEW, (*GOVERNORS, ALICE))),
        ("BAD_SIGNATURE", charter_change(NEW, GOVERNORS, origin="elsewhere")),
        (
            "BAD_SIGNATURE",
            replace(charter_change(NEW, GOVERNORS), charter=replace(NEW, max_pool=501)),
        ),
        ("WRONG_PHASE", charter_change(replace(NEW, number=0), GOVERNORS)),
        ("WRONG_PHASE", charter_change(replace(NEW, number=2), GOVERNORS)),
    ],
)
def test_changes_that_were_not_agreed(world, code, spoilt):
    world.refuse(code, ALICE, spoilt)
    world.refuse(code, GOVERNORS[0], spoilt)


def test_an_approval_counts_once(world):
    """What was agreed on once does not come back after it was changed again."""
    first = charter_change(NEW, GOVERNORS[:2])
    world.do(ALICE, first)
    world.refuse("WRONG_PHASE", ALICE, first)
    world.do(ALICE, charter_change(replace(CHARTER, number=2), GOVERNORS[:2]))
    world.refuse("WRONG_PHASE", ALICE, first)
    renumbered = replace(first, charter=replace(NEW, number=3))
    world.refuse("BAD_SIGNATURE", ALICE, renumbered)


def test_an_approval_of_another_kind_does_not_count(world):
    message = charter_message(ORIGIN, NEW)
    other = approvals(b"zkpot/identity-revoke\x00", message, GOVERNORS)
    world.refuse("BAD_SIGNATURE", ALICE, entries.PolicyChange(NEW, other))


def test_nobody_counts_twice():
    (one, two) = charter_change(NEW, GOVERNORS[:2]).approvals
    for spoilt in ((one, one), (two, one), (one, (one[0], two[1]))):
        with pytest.raises(MalformedEntry):
            entries.PolicyChange(NEW, spoilt)


def test_old_governors_lose_their_say(world):
    new = replace(CHARTER, number=1, governors=(ALICE.public,), threshold=1)
    world.do(ALICE, charter_change(new, GOVERNORS))
    world.refuse("NOT_AUTHORISED", ALICE, charter_change(replace(new, number=2), GOVERNORS))
    world.do(BOB, charter_change(replace(new, number=2), (ALICE,)))


def test_governors_must_be_there_to_govern(world):
    """A mistyped identity must not end all changes for ever."""
    stranger = replace(NEW, governors=(signer("stranger").public,), threshold=1)
    world.refuse("NOT_AUTHORISED", ALICE, charter_change(stranger, GOVERNORS))
    world.do(ALICE, entries.IdentityRevoke(ALICE.public))
    ended = replace(NEW, governors=(ALICE.public,), threshold=1)
    world.refuse("REVOKED", BOB, charter_change(ended, GOVERNORS))


def test_an_open_task_keeps_its_charter(world):
    """Its pool, and the share of who finds a fault in it, are as they were when it was opened."""
    task = world.open(policy=BONDED, title="bonded")
    new = replace(NEW, finder_share=Fraction(0), max_pool=0, task_owners=(ALICE.public,))
    world.do(ALICE, charter_change(new, GOVERNORS))
    assert world.state.task(task).charter == CHARTER
    world.do(EVALUATOR, entries.Bond(task, 100))
    world.wait(world.state.task(task).opened + 15)
    world.do(BOB, entries.Slash("no-release", EVALUATOR.public, task))
    assert world.balance(BOB) == 1050


def test_credit_of_an_open_task_is_paid_under_its_charter(world):
    (task,) = world.state.tasks
    context = submission(task, statement(task, ALICE, "m", 100)).statement.context
    world.do(ALICE, entries.ModelCommit(task, 0, digest_of("m"), context))
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.do(BOB, charter_change(replace(NEW, max_pool=0), GOVERNORS))
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 100)))
    assert world.balance(ALICE) == 2000


# The neutral point, under which anyone signs anything, and the zero address.
WEAK = ("01" + "00" * 31, "00" * 32)


@pytest.mark.parametrize("nobody", WEAK)
def test_nobody_governs_or_owns_who_cannot_be(world, nobody):
    """A slip that cannot be put right: no such identity can ever be registered."""
    for people in ({"governors": (nobody,), "threshold": 1}, {"task_owners": (nobody,)}):
        world.refuse("BAD_KEY", ALICE, charter_change(replace(NEW, **people), GOVERNORS))
        first = replace(GENESIS, charter=replace(GENESIS.charter, **people))
        with pytest.raises(BadKey):
            World(first)
    with pytest.raises(BadKey):
        World(replace(GENESIS, grants=((nobody, 5),)))


@pytest.mark.parametrize(
    "changes",
    [
        {"number": -1},
        {"governors": ()},
        {"governors": CHARTER.governors[::-1]},
        {"governors": (ALICE.public, ALICE.public)},
        {"governors": tuple(sorted(digest_of(str(i)) for i in range(101)))},
        {"threshold": 0},
        {"threshold": 4},
        {"threshold": True},
        {"task_owners": ()},
        {"max_pool": MOST_UNITS + 1},
        {"bond_entries": LONGEST + 1},
        {"bond_entries": -1},
        {"finder_share": Fraction(1)},
        {"finder_share": Fraction(-1, 2)},
        {"finder_share": 0.5},
    ],
)
def test_charters_that_cannot_be(changes):
    with pytest.raises(MalformedEntry):
        replace(CHARTER, **changes)


def test_a_change_by_as_many_governors_as_can_be_fits_into_an_entry():
    many = sorted((signer(f"g{i}") for i in range(100)), key=lambda who: who.public)
    owners = tuple(sorted(digest_of(f"o{i}") for i in range(256)))
    charter = replace(
        NEW, governors=tuple(who.public for who in many), threshold=100, task_owners=owners
    )
    change = charter_change(charter, many)
    entry = SignedEntry.sign(change, origin=ORIGIN, nonce=1, signer=ALICE)
    assert SignedEntry.decode(entry.encode()) == entry


# The first entry


def test_grants_are_units_from_the_start():
    world = World(RICH)
    assert world.state.minted == world.state.promised == 8000
    assert world.balance(ALICE) == 1000
    # Whoever it is for has to come first.
    world.refuse("NOT_AUTHORISED", ALICE, entries.Transfer(BOB.public, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"charter": NEW},
        {"charter": None},
        {"grants": ((ALICE.public, 0),)},
        {"grants": ((ALICE.public, 1), (ALICE.public, 1))},
        {"grants": tuple((who, MOST_UNITS) for who in sorted((ALICE.public, BOB.public)))},
        {"chain": "ab" * 20},
        {"allow_insecure_srs": 0},
    ],
)
def test_genesis_entries_that_cannot_be(changes):
    with pytest.raises(MalformedEntry):
        replace(GENESIS, **changes)


@pytest.mark.parametrize("origin", ["with space", "with+plus", "a" * 256])
def test_a_ledger_has_a_name_that_checkpoints_can_carry(origin):
    entry = SignedEntry.sign(GENESIS, origin=origin, nonce=0, signer=OPERATOR)
    with pytest.raises(BadNote):
        apply(State(), entry)


def test_the_operator_need_not_govern():
    world = World(replace(GENESIS, charter=replace(CHARTER, task_owners=(ALICE.public,))))
    world.introduce()
    world.refuse("NOT_AUTHORISED", OPERATOR, TASK)
    world.do(ALICE, TASK)
    assert world.state.charter != Charter.alone(OPERATOR.public)


# Time


def test_the_clock_goes_forward_and_only_the_operator_winds_it(world):
    world.refuse("NOT_AUTHORISED", ALICE, entries.Clock(5))
    world.refuse("NOT_AUTHORISED", GOVERNORS[0], entries.Clock(5))
    world.tick(5)
    for time in (5, 4, 1):
        world.refuse("WRONG_PHASE", OPERATOR, entries.Clock(time))
    world.tick(6)
    assert world.state.time == 6


@pytest.mark.parametrize("time", [0, -1, True, 1.5, 2**53])
def test_times_that_cannot_be(time):
    with pytest.raises(MalformedEntry):
        entries.Clock(time)
