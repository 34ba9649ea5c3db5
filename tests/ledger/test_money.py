"""Units are moved, locked and lost, and none comes from nowhere."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import (
    ALICE,
    BOB,
    BONDED,
    CAROL,
    CHARTER,
    DATA,
    EVALUATOR,
    GOVERNORS,
    OPERATOR,
    ORIGIN,
    POLICY,
    RICH,
    TASK,
    World,
    charter_change,
    commitment,
    digest_of,
    opened,
    signer,
    statement,
    submission,
)

from ledger import entries, signatures
from ledger.checks import MOST_UNITS, NOTHING
from ledger.errors import MalformedEntry
from ledger.records import Accepted, InvalidReveal
from ledger.rules.identity import ROTATE_DOMAIN, rotate_message
from ledger.tlog.cosignature import cosign
from ledger.tlog.note import Checkpoint, Note

OPENING = digest_of("an opening file")


@pytest.fixture
def world():
    return opened(RICH)[0]


def bonded(**changes):
    """Return a world with a bonded task, all bonds posted and Alice's model committed."""
    world = World(RICH)
    world.introduce()
    task = world.open(policy=BONDED, **changes)
    world.do(EVALUATOR, entries.Bond(task, 100))
    world.do(ALICE, entries.Bond(task, 50))
    world.do(ALICE, commitment(task, ALICE, "m"))
    return world, task


def at(world, task, place):
    world.wait(world.state.task(task).opened + place)


# Transfers


def test_a_transfer(world):
    world.do(ALICE, entries.Transfer(BOB.public, 300))
    assert (world.balance(ALICE), world.balance(BOB)) == (700, 1300)
    world.do(ALICE, entries.Transfer(ALICE.public, 700))
    assert world.balance(ALICE) == 700


def test_nobody_gives_what_they_have_not(world):
    world.refuse("INSUFFICIENT_FUNDS", ALICE, entries.Transfer(BOB.public, 1001))
    world.do(ALICE, entries.Transfer(BOB.public, 1000))
    world.refuse("INSUFFICIENT_FUNDS", ALICE, entries.Transfer(BOB.public, 1))
    world.refuse("INSUFFICIENT_FUNDS", ALICE, entries.Transfer(ALICE.public, 1))


def test_nothing_goes_to_who_is_not_there(world):
    body = entries.Transfer(signer("nobody").public, 1)
    world.refuse("NOT_AUTHORISED", ALICE, body)


@pytest.mark.parametrize("amount", [0, -1, True, 1.0, MOST_UNITS + 1])
@pytest.mark.parametrize("make", [entries.Transfer, entries.Bond])
def test_amounts_that_cannot_be(make, amount):
    with pytest.raises(MalformedEntry):
        make(ALICE.public, amount)


# Bonds to a task


def test_no_model_without_the_bonds():
    world = World(RICH)
    world.introduce()
    task = world.open(policy=BONDED)
    body = commitment(task, ALICE, "m")
    world.refuse("NOT_BONDED", ALICE, body, match=EVALUATOR.public)
    world.do(EVALUATOR, entries.Bond(task, 99))
    world.refuse("NOT_BONDED", ALICE, body, match="99 units")
    world.do(EVALUATOR, entries.Bond(task, 1))
    world.refuse("NOT_BONDED", ALICE, body, match=ALICE.public)
    # A bond to the ledger is none to the task.
    world.do(ALICE, entries.Bond(NOTHING, 50))
    world.refuse("NOT_BONDED", ALICE, body)
    world.do(ALICE, entries.Bond(task, 50))
    world.do(ALICE, body)
    assert world.balance(ALICE) == 900


def test_a_bond_for_each_model_of_a_round():
    """Who may prove the best of a hundred random models has a good one by chance."""
    world, task = bonded()
    world.refuse("NOT_BONDED", ALICE, commitment(task, ALICE, "m2"), match="not 100")
    world.do(ALICE, entries.Bond(task, 50))
    world.do(ALICE, commitment(task, ALICE, "m2"))
    # The next round begins to count anew.
    at(world, task, 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    for model in ("m", "m2"):
        world.do(ALICE, commitment(task, ALICE, model, 1))
    world.refuse("NOT_BONDED", ALICE, commitment(task, ALICE, "m3", 1), match="not 150")


def test_an_evaluator_who_takes_part_has_both_bonds_to_post():
    world, task = bonded()
    world.refuse("NOT_BONDED", EVALUATOR, commitment(task, EVALUATOR, "e"), match="not 150")
    world.do(EVALUATOR, entries.Bond(task, 50))
    world.do(EVALUATOR, commitment(task, EVALUATOR, "e"))


def test_a_bond_is_returned_when_the_task_is_closed_and_not_before():
    world, task = bonded(rounds=1)
    world.refuse("INSUFFICIENT_FUNDS", ALICE, entries.Bond(task, 951))
    world.refuse("NOT_BONDED", BOB, entries.BondReturn(task))
    for who in (ALICE, EVALUATOR):
        world.refuse("WRONG_PHASE", who, entries.BondReturn(task), match="not closed")
    at(world, task, 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.refuse("WRONG_PHASE", ALICE, entries.BondReturn(task))
    at(world, task, 10)
    world.do(CAROL, entries.TaskClose(task))
    for who in (ALICE, EVALUATOR):
        world.do(who, entries.BondReturn(task))
        assert world.balance(who) == 1000
        world.refuse("NOT_BONDED", who, entries.BondReturn(task))
    world.refuse("WRONG_PHASE", ALICE, entries.Bond(task, 1), match="closed")
    assert world.state.bonded == 0


def test_no_bond_to_a_task_that_may_never_close(world):
    (task,) = world.state.tasks
    world.refuse("NOT_AUTHORISED", ALICE, entries.Bond(task, 1))


@pytest.mark.parametrize("policy", [{"bond": 0}, {"evaluator_bond": 0}])
def test_a_task_may_ask_for_one_of_the_bonds(policy):
    world = World(RICH)
    world.introduce()
    task = world.open(policy=replace(BONDED, **policy))
    world.do(EVALUATOR if "bond" in policy else ALICE, entries.Bond(task, 100))
    world.do(ALICE, commitment(task, ALICE, "m"))


def test_bonds_of_one_subject_add_up_and_others_are_others():
    world, task = bonded()
    world.do(ALICE, entries.Bond(task, 25))
    world.do(ALICE, entries.Bond(NOTHING, 10))
    assert world.state.locked(ALICE.public, task) == 75
    assert world.state.locked(ALICE.public, NOTHING) == 10
    assert (world.balance(ALICE), world.state.bonded) == (915, 185)


# Bonds to the ledger


def test_a_bond_to_the_ledger_comes_back_some_time_after_notice(world):
    world.do(BOB, entries.Bond(NOTHING, 100))
    world.wait(100)
    notice = world.do(BOB, entries.BondReturn(NOTHING))
    # Ten entries later, by the charter; else who broke faith would be gone first.
    index = world.log.index(notice)
    assert world.balance(BOB) == 900
    world.refuse("WRONG_PHASE", BOB, entries.BondReturn(NOTHING))
    world.wait(index + 9)
    world.refuse("WRONG_PHASE", BOB, entries.BondReturn(NOTHING))
    world.wait(index + 10)
    world.do(BOB, entries.BondReturn(NOTHING))
    assert world.balance(BOB) == 1000
    world.refuse("NOT_BONDED", BOB, entries.BondReturn(NOTHING))


def test_notice_is_void_when_more_is_bonded(world):
    world.do(BOB, entries.Bond(NOTHING, 100))
    world.do(BOB, entries.BondReturn(NOTHING))
    world.do(BOB, entries.Bond(NOTHING, 1))
    world.wait(world.state.size + 20)
    world.do(BOB, entries.BondReturn(NOTHING))
    world.refuse("WRONG_PHASE", BOB, entries.BondReturn(NOTHING))


def test_governors_cannot_hold_back_who_gave_notice(world):
    world.do(BOB, entries.Bond(NOTHING, 100))
    world.do(BOB, entries.BondReturn(NOTHING))
    longer = replace(CHARTER, number=1, bond_entries=10**9)
    world.do(ALICE, charter_change(longer, GOVERNORS))
    world.wait(world.state.size + 10)
    world.do(BOB, entries.BondReturn(NOTHING))
    assert world.balance(BOB) == 1000


# Slashing: the evaluator


def no_release(task, who=EVALUATOR):
    return entries.Slash("no-release", who.public, task)


def invalid(task, blob=OPENING, who=EVALUATOR):
    return entries.Slash("invalid-reveal", who.public, task, blob=blob)


def test_an_evaluator_who_does_not_release_loses_the_bond():
    world, task = bonded()
    at(world, task, 14)
    world.refuse("NO_FAULT", BOB, no_release(task))
    at(world, task, 15)
    for body in (no_release(task, ALICE), no_release(task, OPERATOR)):
        world.refuse("NO_FAULT", BOB, body, match="the evaluator")
    world.do(BOB, no_release(task))
    # Half to the finder, half to nobody.
    assert (world.balance(BOB), world.state.burned) == (1050, 50)
    assert world.balance(EVALUATOR) == 900
    world.refuse("ALREADY_REGISTERED", CAROL, no_release(task))
    assert world.replay() == world.state


def test_an_evaluator_cannot_save_the_bond_by_closing_first():
    world, task = bonded()
    at(world, task, 15)
    world.do(EVALUATOR, entries.TaskClose(task))
    world.refuse("WRONG_PHASE", EVALUATOR, entries.BondReturn(task), match="forfeit")
    # Contributors get theirs, whatever the evaluator did.
    world.do(ALICE, entries.BondReturn(task))
    world.do(BOB, no_release(task))
    world.refuse("NOT_BONDED", EVALUATOR, entries.BondReturn(task))


def test_a_round_that_was_released_does_not_excuse_the_next():
    world, task = bonded()
    at(world, task, 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.refuse("NO_FAULT", BOB, no_release(task))
    at(world, task, 15)
    world.do(BOB, no_release(task))


def test_an_evaluator_who_released_everything_has_nothing_to_fear():
    world, task = bonded(rounds=1)
    at(world, task, 14)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.wait(world.state.size + 100)
    world.refuse("NO_FAULT", BOB, no_release(task))
    world.refuse("NO_FAULT", BOB, invalid(task), vouched=InvalidReveal(OPENING))


def handed_out(opening=OPENING):
    world, task = bonded(prover="contributor", rounds=1)
    at(world, task, 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0, opening))
    return world, task


def test_an_invalid_reveal_costs_the_bond():
    world, task = handed_out()
    world.do(BOB, invalid(task), vouched=InvalidReveal(OPENING))
    assert (world.balance(BOB), world.state.burned) == (1050, 50)
    world.refuse("ALREADY_REGISTERED", BOB, invalid(task), vouched=InvalidReveal(OPENING))
    # Proofs go on, should there be any; the rest was for the engine to see.
    assert not world.state.task(task).closed


def test_an_invalid_reveal_is_what_the_engine_found_and_the_evaluator_gave():
    world, task = handed_out()
    other = digest_of("a file of Bob's making")
    body = submission(task, statement(task, ALICE, "m", 80))
    for vouched in (None, InvalidReveal(other), Accepted.claimed_by(body)):
        world.refuse("NO_FAULT", BOB, invalid(task), vouched=vouched)
    world.refuse("NO_FAULT", BOB, invalid(task, other), vouched=InvalidReveal(other))
    world.refuse("NO_FAULT", BOB, invalid(task, who=ALICE), vouched=InvalidReveal(OPENING))


def test_a_bonded_evaluator_names_what_is_handed_out():
    """A file that nobody knows the digest of could never be shown to be the wrong one."""
    world, task = bonded(prover="contributor", rounds=1)
    at(world, task, 10)
    world.refuse("OPENING_NOT_NAMED", EVALUATOR, entries.TestsetRelease(task, 0))
    world.do(EVALUATOR, entries.TestsetRelease(task, 0, OPENING))


def test_every_invalid_file_is_a_fault_of_its_own():
    world, task = bonded()
    files = (OPENING, digest_of("another"))
    for round_, name in enumerate(files):
        at(world, task, 10)
        world.do(EVALUATOR, entries.TestsetRelease(task, round_, name))
        world.do(BOB, invalid(task, name), vouched=InvalidReveal(name))
        world.refuse("ALREADY_REGISTERED", BOB, invalid(task, name), vouched=InvalidReveal(name))
        if round_ == 0:
            # Without a bond the next round does not begin.
            body = commitment(task, ALICE, "m", 1)
            world.refuse("NOT_BONDED", ALICE, body)
            world.do(EVALUATOR, entries.Bond(task, 100))
            world.do(ALICE, body)
    assert world.state.burned == 100


def test_nothing_to_lose():
    world = World(RICH)
    world.introduce()
    task = world.open(policy=BONDED)
    at(world, task, 15)
    world.refuse("NOT_BONDED", BOB, no_release(task))
    # It was not held against the evaluator: a bond that comes later can still be lost.
    world.do(EVALUATOR, entries.Bond(task, 30))
    world.do(BOB, no_release(task))
    assert world.balance(BOB) == 1015


def test_to_punish_oneself_costs_too():
    world, task = bonded()
    at(world, task, 15)
    world.do(EVALUATOR, no_release(task))
    assert (world.balance(EVALUATOR), world.state.burned) == (950, 50)


@pytest.mark.parametrize(
    ("share", "found", "burned"),
    [(Fraction(0), 0, 100), (Fraction(1, 3), 33, 67), (Fraction(999, 1000), 99, 1)],
)
def test_the_share_of_the_finder_is_rounded_down(share, found, burned):
    world = World(replace(RICH, charter=replace(CHARTER, finder_share=share)))
    world.introduce()
    task = world.open(policy=BONDED)
    world.do(EVALUATOR, entries.Bond(task, 100))
    at(world, task, 15)
    world.do(BOB, no_release(task))
    assert (world.balance(BOB), world.state.burned) == (1000 + found, burned)


def test_an_ended_evaluator_is_punished_still():
    world, task = bonded()
    world.do(EVALUATOR, entries.IdentityRevoke(EVALUATOR.public))
    at(world, task, 15)
    world.do(BOB, no_release(task))
    assert world.state.locked(EVALUATOR.public, task) == 0


# Slashing: two histories

ROOTS = tuple(bytes([i]) * 32 for i in range(3))


def note(who, root=0, size=7, origin=ORIGIN):
    return Checkpoint(origin, size, ROOTS[root]).sign(who)


def cosigned(who, root=0, size=7, origin=ORIGIN, name="witness.example", log=OPERATOR):
    signed = Checkpoint(origin, size, ROOTS[root]).sign(log)
    parsed = Note.parse(signed)
    return parsed.add([cosign(parsed.text, name, who, 1700000000)]).encode()


def equivocation(who, *notes):
    return entries.Slash("equivocation", who.public, NOTHING, notes)


def with_witness():
    """Return a world in which Bob, a witness, and the log itself answer with bonds."""
    world, _ = opened(RICH)
    world.do(BOB, entries.Bond(NOTHING, 100))
    world.do(OPERATOR, entries.Bond(NOTHING, 200))
    return world


@pytest.fixture
def witnessed():
    return with_witness()


WITNESSED = with_witness()


def test_an_operator_with_two_histories_loses_the_bond(witnessed):
    witnessed.do(ALICE, equivocation(OPERATOR, note(OPERATOR), note(OPERATOR, 1)))
    assert (witnessed.balance(ALICE), witnessed.state.burned) == (1100, 100)
    assert witnessed.replay() == witnessed.state


def test_a_witness_of_two_histories_loses_the_bond(witnessed):
    witnessed.do(ALICE, equivocation(BOB, cosigned(BOB, 1), cosigned(BOB)))
    assert (witnessed.balance(ALICE), witnessed.state.burned) == (1050, 50)
    # The log's own signatures on these notes are evidence against the log.
    witnessed.do(CAROL, equivocation(OPERATOR, cosigned(BOB, 1), cosigned(BOB)))


@pytest.mark.parametrize(
    "notes",
    [
        (note(BOB), note(BOB)),
        (note(BOB), note(BOB, 1, size=8)),
        (note(BOB), note(ALICE, 1)),
        (note(ALICE), note(ALICE, 1)),
        (note(BOB, origin="elsewhere"), note(BOB, 1, origin="elsewhere")),
        (note(BOB, origin="elsewhere"), note(BOB, 1)),
        (cosigned(BOB), cosigned(BOB)),
        (cosigned(BOB), cosigned(BOB, 1, size=8)),
        (cosigned(BOB), cosigned(ALICE, 1)),
        (cosigned(ALICE), cosigned(ALICE, 1)),
        (cosigned(BOB, origin="elsewhere"), cosigned(BOB, 1, origin="elsewhere")),
        (cosigned(BOB), note(BOB, 1)),
        (cosigned(BOB), cosigned(BOB, 1, name="another.name")),
        ("nonsense", "nonsense too"),
        (note(BOB), note(BOB, 1).replace("\n7\n", "\n8\n")),
        (note(BOB), note(BOB, 1)[:-10] + "\n"),
        (note(BOB), "\n\n"),
    ],
)
def test_notes_that_show_nothing(witnessed, notes):
    witnessed.refuse("NO_FAULT", ALICE, equivocation(BOB, *notes))
    witnessed.refuse("NO_FAULT", ALICE, equivocation(BOB, *notes[::-1]))


GOOD = note(BOB, 1)


@given(
    st.one_of(
        st.text(min_size=1, max_size=200),
        st.builds(
            lambda at, character: GOOD[:at] + character + GOOD[at + 1 :],
            st.integers(0, len(GOOD) - 1),
            st.characters(codec="utf-8"),
        ).filter(lambda text: text != GOOD),
    )
)
def test_no_other_text_shows_anything(text):
    """Nor is it an error of any other kind."""
    WITNESSED.refuse("NO_FAULT", ALICE, equivocation(BOB, note(BOB), text))


def test_one_size_is_punished_once(witnessed):
    witnessed.do(ALICE, equivocation(BOB, note(BOB), note(BOB, 1)))
    witnessed.do(BOB, entries.Bond(NOTHING, 10))
    for other in (
        (note(BOB), note(BOB, 1)),
        (note(BOB), note(BOB, 2)),
        (cosigned(BOB), cosigned(BOB, 1)),
    ):
        witnessed.refuse("ALREADY_REGISTERED", ALICE, equivocation(BOB, *other))
    witnessed.do(ALICE, equivocation(BOB, note(BOB, size=8), note(BOB, 1, size=8)))


def test_a_witness_without_bond_has_nothing_to_lose(witnessed):
    witnessed.refuse("NOT_BONDED", ALICE, equivocation(CAROL, note(CAROL), note(CAROL, 1)))
    nobody = signer("nobody")
    witnessed.refuse("NOT_AUTHORISED", ALICE, equivocation(nobody, note(nobody), note(nobody, 1)))


def test_no_escape_by_giving_notice_after_the_deed(witnessed):
    witnessed.do(BOB, entries.BondReturn(NOTHING))
    witnessed.refuse("WRONG_PHASE", BOB, entries.BondReturn(NOTHING))
    witnessed.do(ALICE, equivocation(BOB, note(BOB), note(BOB, 1)))
    witnessed.refuse("NOT_BONDED", BOB, entries.BondReturn(NOTHING))


def rotated(world, who, new):
    message = rotate_message(
        ORIGIN, who.public, world.state.nonce(who.public), new.scheme, new.public
    )
    proof = signatures.sign(new, ROTATE_DOMAIN, message)
    world.do(who, entries.IdentityRotate(new.scheme, new.public, proof))


def test_a_key_counts_for_a_while_after_it_was_replaced(witnessed):
    """Nobody escapes by rotating; and who finds a key years later has no hold on its owner."""
    new = signer("bob's next key")
    old = equivocation(BOB, note(BOB), note(BOB, 1))
    rotated(witnessed, BOB, new)
    left = witnessed.state.size - 1
    witnessed.do(ALICE, old)
    witnessed.do(new, entries.Bond(NOTHING, 100), identity=BOB.public)
    later = equivocation(BOB, note(BOB, size=9), note(BOB, 1, size=9))
    witnessed.wait(left + 11)
    witnessed.refuse("NO_FAULT", ALICE, later)
    # What the present key signs counts for as long as it is the present one.
    fresh = (note(new, size=9), note(new, 1, size=9))
    witnessed.do(ALICE, equivocation(BOB, *fresh))


def test_the_last_entry_for_which_a_replaced_key_counts(witnessed):
    rotated(witnessed, BOB, signer("bob's next key"))
    left = witnessed.state.size - 1
    witnessed.wait(left + 10)
    witnessed.do(ALICE, equivocation(BOB, note(BOB), note(BOB, 1)))


@pytest.mark.parametrize(
    "fields",
    [
        {"fault": "laziness"},
        {"notes": ("a",)},
        {"notes": ("a", "b", "c")},
        {"notes": ("a", "")},
        {"notes": ("a", "b" * 2049)},
        {"notes": ()},
        {"subject": DATA.root},
        {"blob": OPENING},
        {"fault": "no-release"},
        {"fault": "no-release", "notes": (), "subject": NOTHING},
        {"fault": "invalid-reveal", "notes": (), "subject": DATA.root},
        {"fault": "invalid-reveal", "notes": (), "blob": OPENING},
    ],
)
def test_slashes_that_cannot_be(fields):
    with pytest.raises(MalformedEntry):
        replace(equivocation(BOB, "a", "b"), **fields)


# The end of the integers


def test_no_more_units_than_json_has_integers():
    """Balances are bounded by what tasks may mint together, and not only each for itself."""
    world, _ = opened(RICH)
    promised = 8000 + POLICY.pool
    assert world.state.promised == promised
    rest = MOST_UNITS - promised
    world.refuse("OVER_BUDGET", OPERATOR, replace(TASK, policy=replace(POLICY, pool=rest + 1)))
    world.open(policy=replace(POLICY, pool=rest))
    world.refuse("OVER_BUDGET", OPERATOR, replace(world.log[-1].body, title="one more"))
    assert world.state.digest


def test_what_a_task_did_not_pay_can_be_promised_again():
    world, task = bonded(rounds=1)
    before = world.state.promised
    at(world, task, 10)
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
    assert world.state.promised == before
    at(world, task, 10)
    world.do(ALICE, entries.TaskClose(task))
    assert world.state.promised == before - 400
