"""Keys that introduce themselves, follow one another, and end."""

from dataclasses import replace
from itertools import pairwise

import pytest
from ledger_world import (
    ALICE,
    BOB,
    CAROL,
    DATA,
    EVALUATOR,
    GENESIS,
    GOVERNORS,
    OPERATOR,
    ORIGIN,
    RICH,
    TASK,
    World,
    approvals,
    commitment,
    digest_of,
    opened,
    ready,
    signer,
    statement,
    submission,
)

from circuits.statement import Context
from ledger import entries, errors, signatures
from ledger.charter import Charter
from ledger.envelope import SignedEntry
from ledger.evm_keys import EvmSigner, N
from ledger.rules import apply
from ledger.rules.identity import (
    LINK_DOMAIN,
    MOST_KEYS,
    REVOKE_DOMAIN,
    ROTATE_DOMAIN,
    link_message,
    revoke_message,
    rotate_message,
)
from ledger.state import State

NEXT = signer("alice's next key")
ACCOUNT = EvmSigner(bytes.fromhex(digest_of("account")))
ADDRESS = ACCOUNT.public[24:]


def rotation(world, who, new, identity=None, origin=ORIGIN, by=None, nonce=None):
    """A rotation of `who`, each part of whose proof can be spoilt."""
    nonce = world.state.nonce(who) if nonce is None else nonce
    message = rotate_message(origin, identity or who, nonce, new.scheme, new.public)
    proof = signatures.sign(by or new, ROTATE_DOMAIN, message)
    return entries.IdentityRotate(new.scheme, new.public, proof)


def revocation(who, governors, of=None, origin=ORIGIN):
    message = revoke_message(origin, of or who.public)
    return entries.IdentityRevoke(who.public, approvals(REVOKE_DOMAIN, message, governors))


def link(who, account=ACCOUNT, identity=None, origin=ORIGIN):
    message = link_message(origin, identity or who.public)
    signature = signatures.sign(account, LINK_DOMAIN, message)
    return entries.IdentityRegister("linked", ADDRESS, signature)


@pytest.fixture
def world():
    return opened(RICH)[0]


# Rotation


@pytest.mark.parametrize("new", [NEXT, ACCOUNT], ids=["ed25519", "evm"])
def test_the_next_key_alone_signs(world, new):
    world.do(ALICE, rotation(world, ALICE.public, new))
    world.refuse("BAD_SIGNATURE", ALICE, entries.Transfer(BOB.public, 1), match="present key")
    world.do(new, entries.Transfer(BOB.public, 1), identity=ALICE.public)
    # Who it is, its numbers and what it owns stay.
    assert world.balance(ALICE) == 999
    known = world.state.identity(ALICE.public)
    assert (known.nonce, known.scheme, known.key) == (3, new.scheme, new.public)
    assert new.public not in world.state.identities
    assert world.replay() == world.state


def test_a_proof_names_the_identity_and_not_its_key():
    world, task = ready()
    world.do(ALICE, rotation(world, ALICE.public, NEXT))
    body = submission(task, statement(task, ALICE, "m", 80))
    world.do(NEXT, body, identity=ALICE.public)
    assert world.balance(ALICE) == 600


def test_another_key_cannot_be_taken(world):
    """Without this, whoever rotates to the key of another could be punished for its notes."""
    who = ALICE.public
    for spoilt in (
        rotation(world, who, BOB, by=ALICE),
        rotation(world, who, BOB, identity=BOB.public),
        rotation(world, who, BOB, nonce=world.state.nonce(who) + 1),
        rotation(world, who, BOB, origin="elsewhere"),
        replace(rotation(world, who, NEXT), key=BOB.public),
        replace(rotation(world, who, ACCOUNT), key=EvmSigner(b"\1" * 32).public),
    ):
        world.refuse("BAD_SIGNATURE", ALICE, spoilt, match="new key")


def test_the_key_of_another_with_its_owners_consent(world):
    """Both sign with it from now on, each in its own sequence."""
    world.do(ALICE, rotation(world, ALICE.public, BOB))
    entry = world.sign(BOB, entries.Transfer(CAROL.public, 1), identity=ALICE.public)
    with pytest.raises(errors.BadSignature):
        world.push(replace(entry, signer=BOB.public))
    world.push(entry)


def test_a_weak_key_is_no_next_key(world):
    weak = entries.IdentityRotate("ed25519", "01" + "00" * 31, "00" * 64)
    world.refuse("BAD_KEY", ALICE, weak, match="small order")
    zero = entries.IdentityRotate("evm", "00" * 32, "00" * 65)
    world.refuse("BAD_KEY", ALICE, zero)


def test_a_key_that_was_left_does_not_come_back(world):
    world.refuse("ALREADY_REGISTERED", ALICE, rotation(world, ALICE.public, ALICE))
    world.do(ALICE, rotation(world, ALICE.public, NEXT))
    back = rotation(world, ALICE.public, ALICE)
    world.refuse("ALREADY_REGISTERED", NEXT, back, identity=ALICE.public)


def test_an_identity_has_so_many_keys_and_no_more(world):
    keys = [ALICE, *(signer(f"key {i}") for i in range(MOST_KEYS))]
    for old, new in pairwise(keys[:-1]):
        world.do(old, rotation(world, ALICE.public, new), identity=ALICE.public)
    last = rotation(world, ALICE.public, keys[-1])
    world.refuse("OVER_BUDGET", keys[-2], last, identity=ALICE.public)
    assert len(world.state.identity(ALICE.public).keys) == MOST_KEYS


def test_the_operator_stays_who_it_is(world):
    world.refuse("NOT_AUTHORISED", OPERATOR, rotation(world, OPERATOR.public, NEXT))
    world.refuse("NOT_AUTHORISED", OPERATOR, entries.IdentityRevoke(OPERATOR.public))
    world.refuse("NOT_AUTHORISED", BOB, revocation(OPERATOR, GOVERNORS))


def test_an_identity_begins_with_the_key_that_it_is_called_by():
    """Nobody takes the name of a key that has not come yet."""
    world = World()
    world.refuse("BAD_SIGNATURE", BOB, entries.IdentityRegister("alice"), identity=ALICE.public)


# The end of an identity


def test_the_owner_ends_it(world):
    world.do(ALICE, entries.IdentityRevoke(ALICE.public))
    for body in (entries.Transfer(BOB.public, 1), entries.IdentityRevoke(ALICE.public)):
        world.refuse("REVOKED", ALICE, body)
    world.refuse("REVOKED", ALICE, rotation(world, ALICE.public, NEXT))
    # It does not begin again, and nobody else has its units.
    world.refuse("ALREADY_REGISTERED", ALICE, entries.IdentityRegister("again"))
    world.refuse("REVOKED", BOB, entries.Transfer(ALICE.public, 1))
    assert world.balance(ALICE) == 1000


def test_nobody_ends_another(world):
    world.refuse("NOT_APPROVED", BOB, entries.IdentityRevoke(ALICE.public))
    world.refuse("NOT_APPROVED", GOVERNORS[0], entries.IdentityRevoke(ALICE.public))


def test_governors_end_it_whoever_brings_their_word(world):
    world.do(BOB, revocation(ALICE, GOVERNORS[1:]))
    world.refuse("REVOKED", ALICE, entries.Transfer(BOB.public, 1))
    world.refuse("REVOKED", BOB, revocation(ALICE, GOVERNORS[1:]), match="already")


@pytest.mark.parametrize(
    ("code", "spoilt"),
    [
        ("NOT_APPROVED", revocation(ALICE, GOVERNORS[:1])),
        ("NOT_AUTHORISED", revocation(ALICE, (GOVERNORS[0], BOB))),
        ("NOT_AUTHORISED", revocation(ALICE, (GOVERNORS[0], signer("nobody")))),
        ("BAD_SIGNATURE", revocation(ALICE, GOVERNORS, of=BOB.public)),
        ("BAD_SIGNATURE", revocation(ALICE, GOVERNORS, origin="elsewhere")),
    ],
)
def test_approvals_that_do_not_count(world, code, spoilt):
    world.refuse(code, BOB, spoilt)


def test_governors_who_were_ended_or_have_another_key(world):
    word = revocation(ALICE, GOVERNORS[:2])
    world.do(GOVERNORS[0], rotation(world, GOVERNORS[0].public, NEXT))
    # By a rotation a governor takes back every word given so far.
    world.refuse("BAD_SIGNATURE", BOB, word)
    message = revoke_message(ORIGIN, ALICE.public)
    fresh = {GOVERNORS[0].public: signatures.sign(NEXT, REVOKE_DOMAIN, message)}
    new = tuple((who, fresh.get(who, signature)) for who, signature in word.approvals)
    world.do(GOVERNORS[1], entries.IdentityRevoke(GOVERNORS[1].public))
    world.refuse("REVOKED", BOB, replace(word, approvals=new))
    third = approvals(REVOKE_DOMAIN, message, GOVERNORS[2:])
    world.do(BOB, replace(word, approvals=tuple(sorted((*new[:1], *third)))))


# EVM accounts


def test_an_account_is_an_identity():
    world = World()
    world.do(ACCOUNT, entries.IdentityRegister("account"))
    world.do(ACCOUNT, DATA)
    assert world.state.testsets[DATA.root].evaluator == ACCOUNT.public
    assert world.replay() == world.state


def test_an_account_commits_and_proves():
    world, task = opened()
    world.do(ACCOUNT, entries.IdentityRegister("account"))
    context = Context(ACCOUNT.public, task, 0, ORIGIN).digest
    world.do(ACCOUNT, replace(commitment(task, ALICE, "m"), context=context))
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    said = statement(task, ALICE, "m", 80, context=context)
    world.do(ACCOUNT, submission(task, said))
    assert world.balance(ACCOUNT) == 600


def test_a_signature_of_an_account_has_one_spelling():
    world = World()
    entry = world.sign(ACCOUNT, entries.IdentityRegister("account"))
    r, s, v = entry.signature[:64], int(entry.signature[64:128], 16), entry.signature[128:]
    high = r + (N - s).to_bytes(32, "big").hex() + {"1b": "1c", "1c": "1b"}[v]
    for spoilt in (high, entry.signature[:128] + {"1b": "00", "1c": "01"}[v], "00" * 65):
        with pytest.raises(errors.BadSignature):
            world.push(replace(entry, signature=spoilt))
    world.push(entry)


def test_kinds_of_keys_are_not_confused():
    world = World()
    entry = world.sign(ACCOUNT, entries.IdentityRegister("account"))
    with pytest.raises(errors.BadSignature):
        world.push(replace(entry, scheme="ed25519", signature=entry.signature[:128]))
    entry = world.sign(ALICE, entries.IdentityRegister("alice"))
    with pytest.raises(errors.BadKey):
        world.push(replace(entry, scheme="evm", signature=entry.signature + "1b"))


def test_a_linked_account_signed_so():
    world = World()
    world.do(ALICE, link(ALICE))
    assert world.state.identity(ALICE.public).evm == ADDRESS


@pytest.mark.parametrize(
    ("code", "spoilt"),
    [
        ("BAD_SIGNATURE", link(ALICE, identity=BOB.public)),
        ("BAD_SIGNATURE", link(ALICE, origin="elsewhere")),
        ("BAD_SIGNATURE", link(ALICE, account=EvmSigner(b"\1" * 32))),
        ("BAD_SIGNATURE", replace(link(ALICE), evm_signature="00" * 65)),
        ("BAD_KEY", replace(link(ALICE), evm="00" * 20)),
    ],
)
def test_links_that_the_account_did_not_sign(code, spoilt):
    World().refuse(code, ALICE, spoilt)


def test_the_log_itself_is_no_account():
    """Its key signs checkpoints, which are Ed25519 notes."""
    entry = SignedEntry.sign(
        replace(GENESIS, charter=Charter.alone(ACCOUNT.public)),
        origin=ORIGIN,
        nonce=0,
        signer=ACCOUNT,
    )
    with pytest.raises(errors.NotAuthorised):
        apply(State(), entry)


# A contract keeps the ledger

CHAIN = replace(
    GENESIS,
    chain=entries.Chain(31337, "ab" * 20),
    charter=Charter.alone(ACCOUNT.public),
)


def on_chain(state, body, account=ACCOUNT.public):
    nonce = state.nonce(account)
    entry = SignedEntry.by_chain(body, origin=ORIGIN, nonce=nonce, account=account)
    return apply(state, SignedEntry.decode(entry.encode()))


def test_where_a_contract_says_who_spoke():
    state = on_chain(State(), CHAIN)
    assert state.operator == ACCOUNT.public
    other = EvmSigner(b"\1" * 32).public
    state = on_chain(state, entries.IdentityRegister("other"), other)
    state = on_chain(state, DATA, other)
    state = on_chain(state, TASK)
    # It vouches for accounts, and for these only under their one key.
    new = entries.IdentityRotate("ed25519", ALICE.public, "00" * 64)
    with pytest.raises(errors.NotAuthorised):
        on_chain(state, new, other)
    with pytest.raises(errors.BadKey):
        on_chain(state, entries.IdentityRegister("alice"), ALICE.public)
    with pytest.raises(errors.NotAuthorised):
        on_chain(state, DATA, EvmSigner(b"\2" * 32).public)
    # Nobody signs anything beside it.
    for who in (ALICE, ACCOUNT):
        entry = SignedEntry.sign(entries.IdentityRegister("a"), origin=ORIGIN, nonce=0, signer=who)
        with pytest.raises(errors.NotAuthorised, match="scheme"):
            apply(state, entry)


def test_nobody_is_believed_where_no_contract_keeps_the_ledger():
    world = World()
    register = entries.IdentityRegister("a")
    for account in (ACCOUNT.public, OPERATOR.public):
        entry = SignedEntry.by_chain(register, origin=ORIGIN, nonce=0, account=account)
        with pytest.raises(errors.NotAuthorised, match="scheme"):
            world.push(entry)
    genesis = SignedEntry.by_chain(GENESIS, origin=ORIGIN, nonce=0, account=ACCOUNT.public)
    with pytest.raises(errors.NotAuthorised, match="scheme"):
        apply(State(), genesis)
