"""Tasks, commitments, releases, proofs and credit; and who may say anything at all."""

from dataclasses import replace

import pytest
from ledger_world import (
    ALICE,
    BOB,
    DATA,
    EVALUATOR,
    GENESIS,
    OPERATOR,
    ORIGIN,
    POLICY,
    SAMPLES,
    TASK,
    TRAINING,
    World,
    commitment,
    digest_of,
    opened,
    ready,
    statement,
    submission,
)

from circuits.errors import CorruptedArtefact
from circuits.statement import Context
from ledger import entries, errors
from ledger import rules as ledger_rules
from ledger.envelope import SignedEntry
from ledger.records import Accepted, InvalidReveal
from ledger.rules import apply
from ledger.state import State, nullifier


def proof(task, who, model, correct, round_=0, **changes):
    return submission(task, statement(task, who, model, correct, round_, **changes), round_)


def test_the_whole_story():
    world, task = ready()
    world.do(ALICE, proof(task, ALICE, "m", 80))
    # 0.8 is 15 steps of 1/50 above 1/2, of 25 to perfection.
    assert dict(world.state.balances) == {ALICE.public: 600}
    assert world.state.minted == 600
    assert world.log[-1].body == entries.Credit(task, ALICE.public, 600, world.state.size - 2)


def test_replay_gives_the_same_state():
    world, task = ready()
    world.do(ALICE, proof(task, ALICE, "m", 80))
    assert world.replay() == world.state
    assert world.replay().digest == world.state.digest


# Who may say something


def test_genesis_is_first_and_only():
    entry = SignedEntry.sign(entries.IdentityRegister("a"), origin=ORIGIN, nonce=0, signer=ALICE)
    with pytest.raises(errors.WrongPhase):
        apply(State(), entry)
    world = World()
    world.refuse("WRONG_PHASE", OPERATOR, GENESIS)
    world.introduce()
    world.refuse("WRONG_PHASE", ALICE, GENESIS)


def test_unregistered_signer():
    World().refuse("NOT_AUTHORISED", ALICE, DATA)


def test_registering_twice():
    world, _ = opened()
    world.refuse("ALREADY_REGISTERED", ALICE, entries.IdentityRegister("alice"))


@pytest.mark.parametrize("nonce", [0, 1, 3])
def test_nonces_are_contiguous(nonce):
    world, _ = opened()
    body = replace(DATA, root=digest_of("other"))
    assert world.state.nonce(EVALUATOR.public) == 2
    with pytest.raises(errors.BadNonce):
        world.push(SignedEntry.sign(body, origin=ORIGIN, nonce=nonce, signer=EVALUATOR))


def test_signature_covers_everything():
    world, _ = opened()
    entry = world.sign(ALICE, replace(DATA, root=digest_of("other")))
    for changed in (
        replace(entry, body=replace(entry.body, openings=6)),
        replace(entry, signer=BOB.public),
        replace(entry, nonce=entry.nonce + 1),
        replace(entry, key=BOB.public),
        replace(entry, signature="00" * 64),
    ):
        with pytest.raises(errors.BadSignature):
            world.push(changed)
    world.push(entry)


def test_an_entry_for_another_ledger():
    world, _ = opened()
    body = replace(DATA, root=digest_of("other"))
    entry = SignedEntry.sign(body, origin="elsewhere", nonce=1, signer=ALICE)
    with pytest.raises(errors.NotAuthorised, match="elsewhere"):
        world.push(entry)
    with pytest.raises(errors.BadSignature):
        world.push(replace(entry, origin=ORIGIN))


def test_a_signature_over_something_else_is_none_over_an_entry():
    """The key signs checkpoints and approvals too; each kind under a domain of its own (11)."""
    world, _ = opened()
    entry = world.sign(ALICE, replace(DATA, root=digest_of("other")))
    payload = entry.encode()
    for message in (payload, b"zkpot/charter\x00" + payload, b""):
        with pytest.raises(errors.BadSignature):
            world.push(replace(entry, signature=ALICE.sign(message).hex()))


# Tasks


def test_only_task_owners_mint():
    world, _ = opened()
    world.refuse("NOT_AUTHORISED", ALICE, TASK, match="may not open tasks")


@pytest.mark.parametrize("kind", ["unknown", "training"])
def test_a_task_needs_a_registered_test_set(kind):
    world, _ = opened()
    world.do(ALICE, TRAINING)
    root = TRAINING.root if kind == "training" else digest_of("other")
    world.refuse("UNKNOWN_TESTSET", OPERATOR, replace(TASK, testset=root))


def test_a_task_cannot_overdraw_its_set():
    world, _ = opened()
    policy = replace(POLICY, openings=DATA.openings + 1)
    world.refuse("OVER_BUDGET", OPERATOR, replace(TASK, policy=policy), match="openings")


def test_a_task_cannot_mint_more_than_the_charter_allows():
    charter = replace(GENESIS.charter, max_pool=1000)
    world, _ = opened(replace(GENESIS, charter=charter))
    policy = replace(POLICY, pool=1001)
    world.refuse("OVER_BUDGET", OPERATOR, replace(TASK, policy=policy), match="units")


def test_two_tasks_of_the_same_terms_are_two():
    world, task = opened()
    assert world.open() != task


def test_unknown_task():
    world, _ = opened()
    other = digest_of("other")
    for who, body in (
        (ALICE, commitment(other, ALICE, "m")),
        (EVALUATOR, entries.TestsetRelease(other, 0)),
        (ALICE, proof(other, ALICE, "m", 80)),
        (ALICE, entries.TaskClose(other)),
        (ALICE, entries.Bond(other, 1)),
        (ALICE, entries.Slash("no-release", EVALUATOR.public, other)),
    ):
        world.refuse("UNKNOWN_TASK", who, body)


# Phases


def test_no_proof_before_release():
    world, task = opened()
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.refuse("WRONG_PHASE", ALICE, proof(task, ALICE, "m", 80))


def test_no_commitment_after_release():
    world, task = ready()
    world.refuse("WRONG_PHASE", BOB, commitment(task, BOB, "late"))
    world.refuse("WRONG_PHASE", EVALUATOR, entries.TestsetRelease(task, 0))


def test_rounds_follow_one_another():
    world, task = ready()
    world.refuse("WRONG_PHASE", ALICE, commitment(task, ALICE, "m", 0))
    world.refuse("WRONG_PHASE", EVALUATOR, entries.TestsetRelease(task, 2))
    world.do(ALICE, commitment(task, ALICE, "m", 1))
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    world.refuse("WRONG_PHASE", ALICE, commitment(task, ALICE, "m", 2))
    world.refuse("WRONG_PHASE", EVALUATOR, entries.TestsetRelease(task, 2))


def test_proofs_of_an_earlier_round_are_taken_still():
    world, task = ready()
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    world.do(ALICE, proof(task, ALICE, "m", 80))
    assert world.state.minted == 600


def test_an_opened_set_is_of_no_use_for_new_commitments():
    world, early = opened()
    task = world.open(prover="contributor", rounds=1, title="opens it")
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    world.refuse("WRONG_PHASE", ALICE, commitment(early, ALICE, "m"))
    world.refuse("WRONG_PHASE", OPERATOR, replace(TASK, title="too late"))
    # Releasing the other task does not hide it again.
    world.do(EVALUATOR, entries.TestsetRelease(early, 0))
    assert world.state.testsets[DATA.root].opened


def test_only_the_evaluator_releases():
    world, task = opened()
    for who in (OPERATOR, ALICE):
        world.refuse("NOT_AUTHORISED", who, entries.TestsetRelease(task, 0))


def test_a_commitment_is_bound_to_its_maker():
    world, task = opened()
    world.refuse("STATEMENT_MISMATCH", BOB, commitment(task, ALICE, "m"))
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.refuse("ALREADY_REGISTERED", ALICE, commitment(task, ALICE, "m"))


def test_a_copied_commitment_neither_helps_nor_hurts():
    """Bob sees Alice's commitment on its way and is first with it."""
    world, task = opened()
    world.do(BOB, commitment(task, BOB, "m"))
    world.do(ALICE, commitment(task, ALICE, "m"))
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    # He cannot open it, so all he has is her proof, which is bound to her.
    world.refuse("WRONG_CONTEXT", BOB, proof(task, ALICE, "m", 80))
    world.do(ALICE, proof(task, ALICE, "m", 80))
    assert world.balance(ALICE) == 600


# Proofs


def test_a_proof_needs_a_verdict_for_its_very_statement():
    world, task = ready()
    said = statement(task, ALICE, "m", 80)
    entry = world.sign(ALICE, submission(task, said))
    other = Accepted(statement(task, ALICE, "m", 79), srs_insecure=False)
    insecure = Accepted(said, srs_insecure=True)
    for vouched in (None, other, insecure, InvalidReveal(entry.body.bundle)):
        with pytest.raises(errors.StatementMismatch):
            world.push(entry, vouched)


@pytest.mark.parametrize(
    "changes",
    [
        {"backend": "sumcheck"},
        {"circuit": digest_of("other")},
        {"testset": digest_of("other")},
        {"samples": SAMPLES + 1},
    ],
)
def test_a_statement_about_something_else(changes):
    world, task = ready()
    world.refuse("STATEMENT_MISMATCH", ALICE, proof(task, ALICE, "m", 80, **changes))


def test_replay_under_another_identity():
    world, task = ready([("alice", "m"), ("bob", "m")])
    world.do(ALICE, proof(task, ALICE, "m", 80))
    world.refuse("WRONG_CONTEXT", BOB, proof(task, ALICE, "m", 80))


def test_replay_under_another_task():
    world, task = ready()
    other = world.open(title="other")
    world.do(ALICE, commitment(other, ALICE, "m"))
    world.do(EVALUATOR, entries.TestsetRelease(other, 0))
    said = statement(task, ALICE, "m", 80)
    world.refuse("WRONG_CONTEXT", ALICE, submission(other, said))


def test_replay_under_another_round():
    world, task = ready()
    world.do(ALICE, commitment(task, ALICE, "m", 1))
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    said = statement(task, ALICE, "m", 80)
    world.refuse("WRONG_CONTEXT", ALICE, submission(task, said, round_=1))


def test_replay_on_another_ledger():
    world, task = ready()
    context = Context(ALICE.public, task, 0, "elsewhere").digest
    world.refuse("WRONG_CONTEXT", ALICE, proof(task, ALICE, "m", 80, context=context))


def test_double_spend():
    world, task = ready([("alice", "m"), ("bob", "m")])
    world.do(ALICE, proof(task, ALICE, "m", 80))
    # Also with a proof of their own: the contributor is not part of the nullifier.
    for who in (ALICE, BOB):
        world.refuse("NULLIFIER_SPENT", who, proof(task, who, "m", 80))


def test_a_nullifier_is_of_task_round_model_and_set():
    spent = [digest_of("t"), 0, digest_of("m"), digest_of("s")]
    others = [[digest_of("u"), *spent[1:]], [spent[0], 1, *spent[2:]], [*spent[:2], *spent[:1:-1]]]
    assert len({nullifier(*args) for args in (spent, *others)}) == 4


def test_a_model_is_good_for_every_round_it_is_committed_in():
    world, task = ready()
    world.do(ALICE, commitment(task, ALICE, "m", 1))
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    for round_ in (1, 0):
        world.do(ALICE, proof(task, ALICE, "m", 80, round_))
        world.refuse("NULLIFIER_SPENT", ALICE, proof(task, ALICE, "m", 80, round_))


def test_an_uncommitted_model():
    world, task = ready()
    world.refuse("NOT_COMMITTED", ALICE, proof(task, ALICE, "other", 80))
    world.refuse("NOT_COMMITTED", BOB, proof(task, BOB, "m", 80))


def test_submission_budget():
    world, task = ready([("alice", f"m{i}") for i in range(4)])
    for i in range(3):
        world.do(ALICE, proof(task, ALICE, f"m{i}", 60))
    world.refuse("OVER_BUDGET", ALICE, proof(task, ALICE, "m3", 60), match="submissions")


def test_opening_budgets():
    world, first = ready([(who, f"{who}{i}") for who in ("alice", "bob") for i in range(3)])
    for who, model in ((ALICE, "alice0"), (ALICE, "alice1"), (ALICE, "alice2"), (BOB, "bob0")):
        world.do(who, proof(first, who, model, 60))
    world.refuse("OVER_BUDGET", BOB, proof(first, BOB, "bob1", 60), match="of the task")
    # The set has one opening left, whatever task asks for it.
    second = world.open(title="second")
    for model in ("x", "y"):
        world.do(BOB, commitment(second, BOB, model))
    world.do(EVALUATOR, entries.TestsetRelease(second, 0))
    world.do(BOB, proof(second, BOB, "x", 60))
    world.refuse("OVER_BUDGET", BOB, proof(second, BOB, "y", 60), match="of the test set")


def test_minimum_accuracy():
    world, task = ready()
    world.refuse("BELOW_POLICY", ALICE, proof(task, ALICE, "m", 49))
    world.do(ALICE, proof(task, ALICE, "m", 50))
    assert world.state.minted == 0


def test_development_srs():
    world, task = ready()
    world.refuse("SRS_INSECURE", ALICE, replace(proof(task, ALICE, "m", 80), srs_insecure=True))
    lax, task = ready(genesis=replace(GENESIS, allow_insecure_srs=True))
    lax.do(ALICE, replace(proof(task, ALICE, "m", 80), srs_insecure=True))
    assert lax.state.minted == 600


# Credit


def test_nobody_posts_a_credit():
    world, task = ready()
    credit = entries.Credit(task, ALICE.public, 5, 0)
    with pytest.raises(errors.NotAuthorised):
        world.push(SignedEntry.by_rule(credit, ORIGIN))
    with pytest.raises(errors.MalformedEntry):
        SignedEntry.sign(credit, origin=ORIGIN, nonce=2, signer=ALICE)


def test_the_credit_is_the_one_that_is_due_and_comes_next():
    world, task = ready()
    body = proof(task, ALICE, "m", 80)
    world.push(world.sign(ALICE, body), Accepted.claimed_by(body))
    (due,) = world.state.due
    for wrong in (
        replace(due, amount=due.amount + 1),
        replace(due, identity=BOB.public),
        replace(due, proof=0),
    ):
        with pytest.raises(errors.NotAuthorised):
            world.push(SignedEntry.by_rule(wrong, ORIGIN))
    with pytest.raises(errors.NotAuthorised):
        world.push(SignedEntry.by_rule(due, "elsewhere"))
    world.refuse("WRONG_PHASE", BOB, commitment(task, BOB, "m", 1), match="comes next")
    world.push(SignedEntry.by_rule(due, ORIGIN))
    with pytest.raises(errors.NotAuthorised):
        world.push(SignedEntry.by_rule(due, ORIGIN))


def test_rules_module_does_no_io():
    """The rules stay pure: nothing of the engine is within their reach."""
    assert not {"Store", "sqlite3", "os", "Path"} & set(vars(ledger_rules))


def test_statement_in_an_entry_is_strict():
    said = statement(digest_of("t"), ALICE, "m", 80)
    with pytest.raises(CorruptedArtefact):
        replace(said, correct=81)
