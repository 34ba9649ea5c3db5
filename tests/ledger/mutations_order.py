"""Rules about history, authors and phases, each doing the wrong thing (7, 9, 10, 11, 13)."""

from dataclasses import replace

from immutables import Map
from ledger_world import (
    ALICE,
    BOB,
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
    ready,
    signer,
)
from mutations import (
    bonded,
    closing,
    mutation,
    proof,
    rich,
    skipped,
    spoilt,
    unchecked,
)

from ledger import entries
from ledger.envelope import SignedEntry
from ledger.rules import machine, money, phases, proofs

# 7 and 9: the state's part in a log that only grows


@mutation(7)
def governors_change_what_never_changes(patch):
    world, _ = rich()
    lax = replace(RICH, allow_insecure_srs=True)
    spoilt(patch, entries.PolicyChange, lambda after, *_: replace(after, genesis=lax))
    world.do(ALICE, charter_change(replace(CHARTER, number=1), GOVERNORS))


@mutation(7)
def another_becomes_the_log(patch):
    world, _ = rich()
    spoilt(patch, entries.Clock, lambda after, *_: replace(after, operator=ALICE.public))
    world.tick(1)


@mutation(7)
def a_task_is_forgotten(patch):
    world, _ = rich()
    spoilt(patch, entries.TaskOpen, lambda after, before, _: replace(after, tasks=Map()))
    world.do(OPERATOR, replace(TASK, title="another"))


@mutation(7)
def a_fault_is_forgotten(patch):
    world, task = bonded()
    world.wait(world.state.task(task).opened + 15)
    world.do(BOB, entries.Slash("no-release", EVALUATOR.public, task))
    spoilt(patch, entries.Clock, lambda after, *_: replace(after, slashed=Map()))
    world.tick(10**6)


@mutation(7)
def a_set_changes_while_units_move(patch):
    world, _ = rich()
    other = Map({DATA.root: replace(world.state.testsets[DATA.root], evaluator=ALICE.public)})
    spoilt(patch, entries.Transfer, lambda after, *_: replace(after, testsets=other))
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(7)
def a_bond_closes_a_task(patch):
    world, task = bonded()
    closed = world.state.tasks.set(task, replace(world.state.task(task), closed=True))
    spoilt(patch, entries.Bond, lambda after, *_: replace(after, tasks=closed))
    world.do(ALICE, entries.Bond(task, 5))


@mutation(7)
def one_registration_makes_two(patch):
    world, _ = rich()

    def spoil(after, before, _):
        twin = after.identities[ALICE.public]
        return replace(after, identities=after.identities.set(digest_of("twin"), twin))

    spoilt(patch, entries.IdentityRegister, spoil)
    world.do(signer("somebody"), entries.IdentityRegister("somebody"))


@mutation(9)
def an_entry_is_not_counted(patch):
    world, _ = rich()
    spoilt(patch, entries.Clock, lambda after, before, _: replace(after, size=before.size - 1))
    world.tick(1)


@mutation(9)
def time_goes_back(patch):
    world, _ = rich()
    world.tick(10)
    spoilt(patch, entries.Clock, lambda after, *_: replace(after, time=5))
    world.tick(11)


# 10 and 11: authors


@mutation(10)
def an_ended_identity_speaks(patch):
    world, _ = rich()
    world.do(ALICE, entries.IdentityRevoke(ALICE.public))
    unchecked(patch)
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(10)
def a_key_of_somebody_else_speaks(patch):
    world, _ = rich()
    unchecked(patch)
    world.do(CAROL, entries.Transfer(CAROL.public, 5), identity=ALICE.public)


@mutation(10)
def a_stranger_speaks(patch):
    world, _ = rich()
    unchecked(patch)
    world.do(signer("stranger"), replace(DATA, root=digest_of("another")))


@mutation(10)
def an_entry_is_said_again(patch):
    world, _ = rich()
    entry = world.do(ALICE, entries.Transfer(BOB.public, 5))
    unchecked(patch)
    world.push(entry)


@mutation(10)
def a_number_is_left_out(patch):
    world, _ = rich()
    unchecked(patch)
    world.push(
        SignedEntry.sign(entries.Transfer(BOB.public, 5), origin=ORIGIN, nonce=7, signer=ALICE)
    )


@mutation(10)
def numbers_are_what_their_authors_say(patch):
    def numbered(state, entry):
        known = replace(state.identities[entry.signer], nonce=entry.nonce + 1)
        return replace(state, identities=state.identities.set(entry.signer, known))

    world, _ = rich()
    unchecked(patch)
    patch.setattr(machine, "_numbered", numbered)
    world.push(
        SignedEntry.sign(entries.Transfer(BOB.public, 5), origin=ORIGIN, nonce=7, signer=ALICE)
    )


@mutation(10)
def numbers_are_not_counted(patch):
    world, _ = rich()
    patch.setattr(machine, "_numbered", lambda state, entry: state)
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(10)
def an_identity_begins_with_the_key_of_another(patch):
    world = World()
    unchecked(patch)
    entry = SignedEntry.sign(
        entries.IdentityRegister("alice"),
        origin=ORIGIN,
        nonce=0,
        signer=BOB,
        identity=ALICE.public,
    )
    world.push(entry)


@mutation(10)
def a_credit_gives_somebody_a_key(patch):
    def spoil(state, entry, body):
        after = honest(state, entry, body)
        known = replace(after.identities[ALICE.public], key=BOB.public)
        return replace(after, identities=after.identities.set(ALICE.public, known))

    honest = money.credit
    patch.setattr(money, "credit", spoil)
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(11)
def an_entry_of_another_ledger_counts(patch):
    world, _ = rich()
    unchecked(patch)
    world.push(
        SignedEntry.sign(entries.Transfer(BOB.public, 5), origin="elsewhere", nonce=1, signer=ALICE)
    )


# 13: phases


def in_task(spoil):
    """Spoil the task of an entry."""

    def change(after, before, body):
        task = after.tasks[body.task]
        return replace(after, tasks=after.tasks.set(task.id, spoil(task)))

    return change


@mutation(13)
def a_release_opens_a_closed_task_again(patch):
    world, task = closing()
    world.do(BOB, entries.TaskClose(task))
    state = world.state
    skipped(patch, phases, "require_commit_phase")
    skipped(patch, phases, "require_before")
    spoilt(patch, entries.TestsetRelease, in_task(lambda t: replace(t, closed=False)))
    assert state.task(task).closed
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))


@mutation(13)
def a_commitment_closes_a_task(patch):
    world, task = opened()
    spoilt(patch, entries.ModelCommit, in_task(lambda t: replace(t, closed=True)))
    world.do(ALICE, commitment(task, ALICE, "m"))


@mutation(13)
def a_commitment_in_a_round_that_was_released(patch):
    world, task = ready()
    skipped(patch, phases, "require_commit_phase")
    world.do(BOB, commitment(task, BOB, "late", 0))


@mutation(13)
def a_commitment_to_a_set_that_was_opened(patch):
    world, early = opened()
    task = world.open(prover="contributor", rounds=1, title="opens it")
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    honest = machine.RULES[entries.ModelCommit]

    def blind(state, *args):
        hidden = replace(state.testsets[DATA.root], opened=False)
        after = honest(replace(state, testsets=state.testsets.set(DATA.root, hidden)), *args)
        return replace(after, testsets=state.testsets)

    patch.setitem(machine.RULES, entries.ModelCommit, blind)
    world.do(ALICE, commitment(early, ALICE, "m"))


@mutation(13)
def a_set_that_was_opened_is_hidden_again(patch):
    world, task = opened(prover="contributor", rounds=1)
    other = world.open(title="other")
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))

    def hide(after, before, body):
        hidden = replace(after.testsets[DATA.root], opened=False)
        return replace(after, testsets=after.testsets.set(DATA.root, hidden))

    spoilt(patch, entries.TestsetRelease, hide)
    world.do(EVALUATOR, entries.TestsetRelease(other, 0))


@mutation(13)
def a_release_of_two_rounds_at_once(patch):
    world, task = opened()
    spoilt(
        patch,
        entries.TestsetRelease,
        in_task(lambda t: replace(t, releases=t.releases.set(1, 0))),
    )
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))


@mutation(13)
def a_release_of_a_round_that_there_is_not(patch):
    world, task = ready()
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    skipped(patch, phases, "require_commit_phase")
    world.do(EVALUATOR, entries.TestsetRelease(task, 2))


@mutation(13)
def a_round_is_taken_back(patch):
    world, task = ready()
    spoilt(patch, entries.ModelCommit, in_task(lambda t: replace(t, releases=Map())))
    world.do(ALICE, commitment(task, ALICE, "m", 1))


@mutation(13)
def a_proof_before_the_release(patch):
    world, task = opened()
    world.do(ALICE, commitment(task, ALICE, "m"))
    skipped(patch, proofs, "_require_phase")
    world.do(ALICE, proof(task, ALICE))


@mutation(13)
def a_proof_after_the_end(patch):
    world, task = closing()
    world.do(BOB, entries.TaskClose(task))
    skipped(patch, proofs, "_require_phase")
    # Of another model, which was committed in time.
    found = world.state.task(task)
    late = found.commits.set((0, ALICE.public, digest_of("n")), 1)
    world.state = replace(
        world.state, tasks=world.state.tasks.set(task, replace(found, commits=late))
    )
    world.do(ALICE, proof(task, ALICE, "n"))


@mutation(13)
def a_proof_of_a_model_that_came_to_mind_later(patch):
    world, task = ready()
    skipped(patch, proofs, "_require_statement")
    world.do(ALICE, proof(task, ALICE, "better"))


@mutation(13)
def the_terms_of_a_task_change(patch):
    world, task = opened()
    policy = replace(POLICY, pool=10**6)
    spoilt(
        patch,
        entries.ModelCommit,
        in_task(lambda t: replace(t, terms=replace(t.terms, policy=policy))),
    )
    world.do(ALICE, commitment(task, ALICE, "m"))


@mutation(13)
def a_task_comes_under_another_charter(patch):
    world, task = opened()
    spoilt(patch, entries.ModelCommit, in_task(lambda t: replace(t, charter=CHARTER)))
    world.do(ALICE, commitment(task, ALICE, "m"))
