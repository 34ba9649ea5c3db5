"""Rules about units, credit, nullifiers and statements, each doing the wrong thing (1 to 4)."""

from dataclasses import replace
from fractions import Fraction

from immutables import Map
from ledger_world import (
    ALICE,
    BOB,
    CHARTER,
    EVALUATOR,
    ORIGIN,
    POLICY,
    RICH,
    World,
    commitment,
    digest_of,
    opened,
    ready,
)
from mutations import (
    bonded,
    changed,
    closing,
    mutation,
    paid,
    proof,
    rich,
    skipped,
    spoilt,
)

from ledger import entries
from ledger.checks import NOTHING
from ledger.envelope import SignedEntry
from ledger.policy import Policy
from ledger.records import Proven
from ledger.rules import machine, money, proofs, tasks

# 1: units


@mutation(1)
def a_credit_is_paid_twice(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: paid(honest(s, e, b), ALICE, b.amount))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def a_credit_is_not_counted_as_minted(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: replace(honest(s, e, b), minted=s.minted))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def a_credit_is_not_counted_by_its_task(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: replace(honest(s, e, b), tasks=s.tasks))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def the_ladder_pays_beyond_the_pool(patch):
    patch.setattr(Policy, "paid_at", lambda self, step: step and self.pool + 1)
    world, task = ready(genesis=RICH, policy=replace(POLICY, pool=10))
    world.open(title="so that the sum is promised")
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def more_is_minted_than_was_promised(patch):
    spoilt(patch, entries.TaskOpen, lambda after, before, _: replace(after, promised=0))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(1)
def a_transfer_costs_nothing(patch):
    world, _ = rich()
    spoilt(patch, entries.Transfer, lambda after, before, body: paid(after, ALICE, body.amount))
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(1)
def a_transfer_of_what_is_not_there(patch):
    def take(state, identity, amount):
        owned = state.balances.get(identity, 0)
        return replace(state, balances=state.balances.set(identity, owned - amount))

    patch.setattr(money, "_take", take)
    world, _ = rich()
    world.do(ALICE, entries.Transfer(BOB.public, 1001))


@mutation(1)
def a_commitment_is_rewarded(patch):
    world, task = rich()
    spoilt(patch, entries.ModelCommit, lambda after, *_: paid(after, ALICE, 1))
    world.do(ALICE, commitment(task, ALICE, "m"))


@mutation(1)
def a_bond_is_not_locked(patch):
    world, task = bonded()
    spoilt(patch, entries.Bond, lambda after, before, _: replace(after, bonds=before.bonds))
    world.do(ALICE, entries.Bond(task, 5))


@mutation(1)
def the_sum_of_bonds_is_not_kept(patch):
    world, task = bonded()
    spoilt(patch, entries.Bond, lambda after, before, _: replace(after, bonded=before.bonded))
    world.do(ALICE, entries.Bond(task, 5))


@mutation(1)
def a_bond_comes_out_of_nowhere(patch):
    patch.setattr(money, "_take", lambda state, *_: state)
    world, _ = rich()
    world.do(ALICE, entries.Bond(NOTHING, 5))


@mutation(1)
def a_bond_is_returned_and_kept(patch):
    patch.setattr(money, "_unlock", lambda state, *_: state)
    world, _ = opened(replace(RICH, charter=replace(CHARTER, bond_entries=0)))
    world.do(ALICE, entries.Bond(NOTHING, 5))
    world.do(ALICE, entries.BondReturn(NOTHING))
    world.do(ALICE, entries.BondReturn(NOTHING))


@mutation(1)
def a_bond_of_another_is_returned(patch):
    honest = money._unlock
    patch.setattr(money, "_unlock", lambda s, who, subject: honest(s, BOB.public, subject))
    world, _ = opened(replace(RICH, charter=replace(CHARTER, bond_entries=0)))
    for who in (ALICE, BOB):
        world.do(who, entries.Bond(NOTHING, 5))
    world.do(ALICE, entries.BondReturn(NOTHING))
    world.do(ALICE, entries.BondReturn(NOTHING))


@mutation(1)
def what_is_slashed_vanishes_without_being_burned(patch):
    world, task = bonded()
    world.wait(world.state.task(task).opened + 15)
    spoilt(patch, entries.Slash, lambda after, before, _: replace(after, burned=before.burned))
    world.do(BOB, entries.Slash("no-release", EVALUATOR.public, task))


@mutation(1)
def a_fault_burns_and_pays_the_whole(patch):
    del patch
    world, task = bonded()
    world.wait(world.state.task(task).opened + 15)
    # A charter whose finders get twice the bond, which its class would refuse.
    charter = replace(CHARTER)
    object.__setattr__(charter, "finder_share", Fraction(2))
    world.state = changed(world.state, task, charter=charter)
    world.do(BOB, entries.Slash("no-release", EVALUATOR.public, task))


@mutation(1)
def genesis_grants_more_than_it_says(patch):
    spoilt(patch, entries.Genesis, lambda after, *_: replace(after, minted=5, promised=5))
    World()


@mutation(1)
def the_clock_burns(patch):
    world, _ = rich()
    spoilt(patch, entries.Clock, lambda after, *_: replace(after, burned=1))
    world.tick(5)


# 2: credit


@mutation(2)
def a_commitment_makes_a_credit_due(patch):
    world, task = rich()
    due = (entries.Credit(task, ALICE.public, 5, 3),)
    spoilt(patch, entries.ModelCommit, lambda after, *_: replace(after, due=due))
    world.do(ALICE, commitment(task, ALICE, "m"))


def unpaid():
    """A world with a proof that earned nothing, and a credit that would go with it."""
    world, task = ready([("alice", "m"), ("alice", "n")], genesis=RICH)
    index = world.log.index(world.do(ALICE, proof(task, ALICE, correct=50)))
    return world, task, entries.Credit(task, ALICE.public, 5, index)


@mutation(2)
def a_transfer_makes_a_proof_pay_after_all(patch):
    world, _, credit = unpaid()
    spoilt(patch, entries.Transfer, lambda after, *_: replace(after, due=(credit,)))
    world.do(ALICE, entries.Transfer(BOB.public, 1))


@mutation(2)
def a_proof_makes_another_proof_pay(patch):
    world, task, credit = unpaid()
    spoilt(patch, entries.ProofSubmit, lambda after, *_: replace(after, due=(credit,)))
    world.do(ALICE, proof(task, ALICE, "n"))


@mutation(2)
def a_proof_makes_a_credit_due_to_another(patch):
    def spoil(after, *_):
        return replace(after, due=(replace(after.due[0], identity=BOB.public),))

    world, task = ready()
    spoilt(patch, entries.ProofSubmit, spoil)
    world.do(ALICE, proof(task, ALICE))


@mutation(2)
def the_end_of_a_task_pays_whoever_proved_nothing(patch):
    world, task = closing()
    patch.setattr(
        tasks, "_settled", lambda state, task: (entries.Credit(task.id, BOB.public, 5, 3),)
    )
    world.do(BOB, entries.TaskClose(task))


@mutation(2)
def the_end_of_a_task_pays_a_proof_twice(patch):
    honest = tasks._settled
    patch.setattr(tasks, "_settled", lambda *args: honest(*args) * 2)
    world, task = closing()
    world.do(BOB, entries.TaskClose(task))


@mutation(2)
def a_credit_is_not_recorded(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: replace(honest(s, e, b), credits=s.credits))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(2)
def a_credit_stays_due(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: replace(honest(s, e, b), due=s.due))
    world, task = ready()
    world.do(ALICE, proof(task, ALICE))


@mutation(2)
def a_credit_of_ones_own_making(patch):
    honest = money.credit
    patch.setattr(money, "credit", lambda s, e, b: honest(replace(s, due=(b,)), e, b))
    world, task = ready()
    entry = world.do(ALICE, proof(task, ALICE, correct=50))
    credit = entries.Credit(task, ALICE.public, 400, world.log.index(entry))
    world.push(SignedEntry.by_rule(credit, ORIGIN))


@mutation(2)
def a_transfer_counts_as_a_payment(patch):
    world, _ = rich()
    spoilt(patch, entries.Transfer, lambda after, *_: replace(after, credits=Map({3: 5})))
    world.do(ALICE, entries.Transfer(BOB.public, 5))


@mutation(2)
def a_proof_comes_without_a_submission(patch):
    world, task = rich()
    made = Map({3: Proven(task, 0, ALICE.public, digest_of("m"), 100, 100)})
    spoilt(patch, entries.ModelCommit, lambda after, *_: replace(after, proofs=made))
    world.do(ALICE, commitment(task, ALICE, "m"))


# 3: nullifiers


@mutation(3)
def a_model_is_proven_twice(patch):
    honest = machine.RULES[entries.ProofSubmit]
    patch.setitem(
        machine.RULES,
        entries.ProofSubmit,
        lambda state, *args: honest(replace(state, nullifiers=Map()), *args),
    )
    world, task = ready([("alice", "m"), ("bob", "m")])
    world.do(ALICE, proof(task, ALICE))
    world.do(BOB, proof(task, BOB))


@mutation(3)
def a_nullifier_is_forgotten(patch):
    world, task = ready()
    spoilt(
        patch,
        entries.ProofSubmit,
        lambda after, before, _: replace(after, nullifiers=before.nullifiers),
    )
    world.do(ALICE, proof(task, ALICE))


@mutation(3)
def the_contributor_is_part_of_the_nullifier(patch):
    """Two accounts would cash one model."""
    honest = proofs.nullifier
    world, task = ready([("alice", "m"), ("bob", "m")])
    for who in (ALICE, BOB):
        patch.setattr(
            proofs, "nullifier", lambda *args, w=who: honest(*args[:3], args[3] + w.public)
        )
        world.do(who, proof(task, who))


@mutation(3)
def a_commitment_spends_a_nullifier(patch):
    world, task = rich()
    spoilt(patch, entries.ModelCommit, lambda after, *_: replace(after, nullifiers=Map({"a": 1})))
    world.do(ALICE, commitment(task, ALICE, "m"))


# 4: what a proof is about


@mutation(4)
def any_circuit_will_do(patch):
    skipped(patch, proofs, "_require_statement")
    world, task = ready()
    world.do(ALICE, proof(task, ALICE, circuit=digest_of("easier")))


@mutation(4)
def any_backend_will_do(patch):
    skipped(patch, proofs, "_require_statement")
    world, task = ready()
    world.do(ALICE, proof(task, ALICE, backend="sumcheck"))


@mutation(4)
def any_set_will_do(patch):
    skipped(patch, proofs, "_require_statement")
    world, task = ready()
    world.do(ALICE, proof(task, ALICE, testset=digest_of("easier")))


@mutation(4)
def the_proof_of_another_will_do(patch):
    skipped(patch, proofs, "_require_statement")
    world, task = ready([("alice", "m"), ("bob", "m")])
    world.do(BOB, proof(task, ALICE))


@mutation(4)
def the_count_is_rounded_up(patch):
    def spoil(after, before, _):
        made = after.proofs[before.size]
        better = replace(made, correct=made.correct + 1)
        return replace(after, proofs=after.proofs.set(before.size, better))

    world, task = ready()
    spoilt(patch, entries.ProofSubmit, spoil)
    world.do(ALICE, proof(task, ALICE))
