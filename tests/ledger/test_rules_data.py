"""Test sets, training data, released models and what is said about them."""

from dataclasses import replace

import pytest
from ledger_world import (
    ALICE,
    BOB,
    CAROL,
    DATA,
    EVALUATOR,
    GENESIS,
    TRAINING,
    commitment,
    digest_of,
    opened,
    ready,
    statement,
    submission,
)

from ledger import entries, records
from ledger.errors import MalformedEntry

OTHER = replace(TRAINING, root=digest_of("other"))


@pytest.fixture
def world():
    return opened()[0]


# Data


def test_training_data_with_its_parents(world):
    world.do(ALICE, TRAINING)
    assert world.state.training[TRAINING.root] == records.Training(ALICE.public, TRAINING)
    parents = tuple(sorted((TRAINING.root, DATA.root)))
    world.do(BOB, replace(OTHER, parents=parents))
    assert world.state.training[OTHER.root].terms.parents == parents
    assert dict(world.state.testsets) == {DATA.root: records.Testset(EVALUATOR.public, DATA)}


def test_a_test_set_made_from_training_data(world):
    world.do(ALICE, TRAINING)
    world.do(BOB, replace(DATA, root=digest_of("split"), parents=(TRAINING.root,)))


def test_unknown_parents(world):
    world.refuse("UNKNOWN_DATA", ALICE, replace(TRAINING, parents=(digest_of("?"),)))
    # Nor is it its own, so lineage has no circles.
    world.refuse("UNKNOWN_DATA", ALICE, replace(TRAINING, parents=(TRAINING.root,)))


def test_data_is_registered_once_whatever_it_is_called(world):
    world.do(ALICE, TRAINING)
    for who in (ALICE, BOB):
        world.refuse("ALREADY_REGISTERED", who, TRAINING)
        world.refuse("ALREADY_REGISTERED", who, replace(DATA, root=TRAINING.root))
        world.refuse("ALREADY_REGISTERED", who, replace(TRAINING, root=DATA.root))
        # Nobody takes over a set, and its evaluator does not get a second budget.
        world.refuse("ALREADY_REGISTERED", who, replace(DATA, openings=100))
    world.refuse("ALREADY_REGISTERED", EVALUATOR, DATA)


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (DATA, {"kind": "validation"}),
        (DATA, {"kind": "training"}),
        (DATA, {"openings": 0}),
        (DATA, {"samples": 0}),
        (DATA, {"unit": "rows"}),
        (DATA, {"licence": "MIT"}),
        (TRAINING, {"kind": "testset"}),
        (TRAINING, {"openings": 1}),
        (TRAINING, {"openings": False}),
        (TRAINING, {"well_formed": digest_of("proof")}),
        (TRAINING, {"unit": ""}),
        (TRAINING, {"unit": "pages"}),
        (TRAINING, {"licence": ""}),
        (TRAINING, {"licence": "a\u202eb"}),
        (TRAINING, {"parents": (OTHER.root, OTHER.root)}),
        (TRAINING, {"parents": tuple(sorted(digest_of(str(i)) for i in range(257)))}),
        (TRAINING, {"parents": tuple(sorted((OTHER.root, DATA.root), reverse=True))}),
    ],
)
def test_data_that_cannot_be(body, changes):
    with pytest.raises(MalformedEntry):
        replace(body, **changes)


def test_the_blobs_of_data():
    assert DATA.blobs == (DATA.manifest,)
    assert replace(DATA, well_formed=digest_of("p")).blobs == (DATA.manifest, digest_of("p"))
    assert TRAINING.blobs == (TRAINING.manifest,)


# Models


@pytest.fixture
def proven():
    """A world in which Alice has proven her model, and the index of the proof."""
    world, task = ready([("alice", "m"), ("bob", "n")])
    world.do(ALICE, TRAINING)
    index = world.state.size
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 80)))
    body = entries.ModelRelease("digits", "1.0", digest_of("m"), task, index, data=(TRAINING.root,))
    return world, task, index, body


def test_a_proven_model_is_released(proven):
    world, _, _, body = proven
    entry = world.do(ALICE, body)
    known = world.state.releases[entry.digest]
    assert (known.owner, known.terms) == (ALICE.public, body)
    # The next version names what it was made from.
    nxt = replace(body, release="1.1", task=entries.NOTHING, proof=None, parents=(entry.digest,))
    world.do(ALICE, nxt)
    assert world.replay().digest == world.state.digest


def test_a_version_is_released_once(proven):
    world, _, _, body = proven
    world.do(ALICE, body)
    world.refuse("ALREADY_REGISTERED", ALICE, body)
    world.refuse("ALREADY_REGISTERED", ALICE, replace(body, task=entries.NOTHING, proof=None))
    world.do(ALICE, replace(body, name="other digits"))
    # The names of one owner are of no concern to another's.
    world.do(BOB, replace(body, task=entries.NOTHING, proof=None))


def test_nobody_claims_the_proof_of_another(proven):
    world, _, _, body = proven
    world.refuse("STATEMENT_MISMATCH", BOB, body)
    for changes in (
        {"model": digest_of("n")},
        {"task": digest_of("other")},
        {"proof": body.proof + 1},
        {"proof": 0},
    ):
        world.refuse("STATEMENT_MISMATCH", ALICE, replace(body, **changes))


def test_lineage_is_of_what_is_there(proven):
    world, _, _, body = proven
    world.refuse("UNKNOWN_RELEASE", ALICE, replace(body, parents=(digest_of("?"),)))
    world.refuse("UNKNOWN_DATA", ALICE, replace(body, data=(digest_of("?"),)))
    # A model that was made from a test set is none to be proven on it.
    world.refuse("UNKNOWN_DATA", ALICE, replace(body, data=(DATA.root,)))


@pytest.mark.parametrize(
    "changes",
    [
        {"proof": None},
        {"proof": -1},
        {"proof": True},
        {"task": entries.NOTHING},
        {"name": ""},
        {"release": "1" * 51},
        {"parents": (digest_of("a"),) * 2},
        {"data": tuple(sorted(digest_of(str(i)) for i in range(257)))},
    ],
)
def test_releases_that_cannot_be(changes):
    body = entries.ModelRelease("digits", "1.0", digest_of("m"), digest_of("t"), 3)
    with pytest.raises(MalformedEntry):
        replace(body, **changes)


def test_only_its_owner_stands_for_a_prediction(proven):
    world, _, _, body = proven
    release = world.do(ALICE, body).digest
    said = entries.PredictionAttest(release, digest_of("asked"), digest_of("answered"))
    world.do(ALICE, said)
    world.do(ALICE, replace(said, evidence=digest_of("proof")))
    world.refuse("NOT_AUTHORISED", BOB, said)
    world.refuse("UNKNOWN_RELEASE", ALICE, replace(said, release=digest_of("?")))


def test_anyone_reports_on_a_release_resting_on_its_proof(proven):
    world, _, index, body = proven
    release = world.do(ALICE, body).digest
    for who in (ALICE, CAROL):
        world.do(who, entries.AuditAttest(release, index, digest_of("report")))
    world.refuse(
        "STATEMENT_MISMATCH", CAROL, entries.AuditAttest(release, index + 1, digest_of("r"))
    )
    world.refuse(
        "UNKNOWN_RELEASE", CAROL, entries.AuditAttest(digest_of("?"), index, digest_of("r"))
    )


def test_nobody_decks_themselves_out_with_the_proof_of_another(proven):
    """Bob releases under the commitment to Alice's model, and has it audited by her proof."""
    world, _, index, body = proven
    copied = replace(body, task=entries.NOTHING, proof=None)
    release = world.do(BOB, copied).digest
    report = entries.AuditAttest(release, index, digest_of("report"))
    world.refuse("STATEMENT_MISMATCH", BOB, report, match="by its owner")


def test_a_later_proof_is_as_good_for_a_report(proven):
    world, task, _, body = proven
    release = world.do(ALICE, body).digest
    world.do(ALICE, commitment(task, ALICE, "m", 1))
    world.do(EVALUATOR, entries.TestsetRelease(task, 1))
    later = world.state.size
    world.do(ALICE, submission(task, statement(task, ALICE, "m", 70, 1), 1))
    world.do(CAROL, entries.AuditAttest(release, later, digest_of("report")))


def test_what_must_be_there_to_be_looked_at():
    release = entries.ModelRelease("digits", "1.0", digest_of("m"))
    assert release.blobs == ()
    assert replace(release, card=digest_of("card")).blobs == (digest_of("card"),)
    said = entries.PredictionAttest(*map(digest_of, "abc"))
    assert said.blobs == ()
    assert replace(said, evidence=digest_of("d")).blobs == (digest_of("d"),)
    assert entries.AuditAttest(digest_of("a"), 1, digest_of("r")).blobs == (digest_of("r"),)
    assert GENESIS.blobs == ()
