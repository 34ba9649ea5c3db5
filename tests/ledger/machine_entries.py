"""What the actions of `machine` are on a ledger, and the rules alone as an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from circuits.errors import ZkpotError
from circuits.statement import Context, Statement
from ledger import entries, signatures
from ledger.charter import CHARTER_DOMAIN, Charter
from ledger.entries import NOTHING
from ledger.envelope import SignedEntry
from ledger.keys import Signer
from ledger.policy import Policy, Windows
from ledger.records import InvalidReveal
from ledger.rules.governance import charter_message
from ledger.rules.identity import (
    REVOKE_DOMAIN,
    ROTATE_DOMAIN,
    revoke_message,
    rotate_message,
)
from ledger.tlog.note import Checkpoint
from tests.ledger.ledger_world import (
    MANIFEST,
    ORIGIN,
    TASK,
    World,
    blob_digest,
    charter_change,
    digest_of,
    signer,
)
from tests.ledger.machine import Action
from tests.ledger.machine_model import (
    CHARTER,
    CHARTERS,
    ETA,
    GRANT,
    MINIMUM,
    PEOPLE,
    SAMPLES,
    SETS,
    SPECS,
)


def key_of(who: str, number: int = 0) -> Signer:
    return signer(who if number == 0 else f"{who} key {number}")


def charter_of(fields: dict[str, Any], identity: Callable[[str], str]) -> Charter:
    return Charter(
        number=fields["number"],
        governors=tuple(sorted(map(identity, fields["governors"]))),
        threshold=fields["threshold"],
        task_owners=tuple(sorted(map(identity, fields["owners"]))),
        max_pool=fields["max_pool"],
        bond_entries=fields["bond_entries"],
        finder_share=fields["share"],
    )


def policy_of(terms: dict[str, Any]) -> Policy:
    return Policy(
        minimum_accuracy=Fraction(MINIMUM, SAMPLES),
        eta=Fraction(ETA, SAMPLES),
        pool=terms["pool"],
        submissions_per_identity=terms["each"],
        openings=terms["openings"],
        rule=terms["rule"],
        bond=terms["bond"],
        evaluator_bond=terms["evaluator_bond"],
        windows=Windows(terms["unit"], *terms["windows"]),
    )


def genesis(identity: Callable[[str], str]) -> entries.Genesis:
    grants = tuple(sorted((identity(who), GRANT) for who in PEOPLE[:-1]))
    return entries.Genesis(False, charter_of(CHARTER, identity), grants=grants)


class Translator:
    """Makes entries of actions, for an engine that calls people and itself by other names."""

    def __init__(self, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.tasks: list[str] = []
        self.releases: list[str] = []

    def identity(self, who: str) -> str:
        return key_of(who).public

    def body(self, a: Action, nonce: int, keys: Callable[[str], int]) -> entries.Entry:
        """Return the entry; `keys` tells the number of a person's present key."""
        made: entries.Entry = getattr(self, f"_{a.kind}")(a, nonce, keys)
        return made

    def task(self, number: int | None) -> str:
        if number is None:
            return NOTHING
        return self.tasks[number] if number < len(self.tasks) else digest_of(f"task {number}")

    def release(self, number: int) -> str:
        known = number < len(self.releases)
        return self.releases[number] if known else digest_of(f"release {number}")

    def context(self, a: Action) -> str:
        author = self.identity(a.author)
        return Context(author, self.task(a.task), a.round, self.origin).digest

    def approved(self, domain, message, approvers, keys):
        return tuple(
            sorted(
                (self.identity(who), signatures.sign(key_of(who, keys(who)), domain, message))
                for who in approvers
            )
        )

    def _register(self, a, nonce, keys):
        return entries.IdentityRegister(a.who)

    def _rotate(self, a, nonce, keys):
        new = key_of(a.who, a.new)
        who = self.identity(a.who)
        message = rotate_message(self.origin, who, nonce, new.scheme, new.public)
        by = key_of("mallory") if a.forged else new
        proof = signatures.sign(by, ROTATE_DOMAIN, message)
        return entries.IdentityRotate(new.scheme, new.public, proof)

    def _revoke(self, a, nonce, keys):
        who = self.identity(a.to)
        message = revoke_message(self.origin, who)
        return entries.IdentityRevoke(who, self.approved(REVOKE_DOMAIN, message, a.approvers, keys))

    def _charter(self, a, nonce, keys):
        fields = {**CHARTER, **CHARTERS[a.variant], "number": a.number}
        charter = charter_of(fields, self.identity)
        change = charter_change(charter, (), self.origin)
        message = charter_message(self.origin, charter)
        return replace(change, approvals=self.approved(CHARTER_DOMAIN, message, a.approvers, keys))

    def _clock(self, a, nonce, keys):
        return entries.Clock(a.time)

    def _testset(self, a, nonce, keys):
        return entries.DataRegister(
            "testset", digest_of(a.name), SAMPLES, blob_digest(MANIFEST), SETS[a.name]
        )

    def _training(self, a, nonce, keys):
        parents = tuple(sorted(map(digest_of, a.parents)))
        return entries.DataRegister(
            "training", digest_of(a.name), 10, blob_digest(MANIFEST), unit="rows", licence="MIT",
            parents=parents,
        )  # fmt: skip

    def _publish(self, a, nonce, keys):
        return entries.ModelRelease(
            "model", a.name, digest_of(a.model), self.task(a.task), a.proof,
            data=tuple(sorted(map(digest_of, a.parents))),
        )  # fmt: skip

    def _predict(self, a, nonce, keys):
        asked, answered = digest_of("asked"), digest_of("answered")
        return entries.PredictionAttest(self.release(a.release), asked, answered)

    def _audit(self, a, nonce, keys):
        return entries.AuditAttest(self.release(a.release), a.proof, blob_digest(MANIFEST))

    def _open(self, a, nonce, keys):
        terms = SPECS[a.name]
        return replace(
            TASK, title=a.name, testset=digest_of(a.set), prover=terms["prover"],
            rounds=terms["rounds"], policy=policy_of(terms),
        )  # fmt: skip

    def _commit(self, a, nonce, keys):
        return entries.ModelCommit(self.task(a.task), a.round, digest_of(a.model), self.context(a))

    def _release(self, a, nonce, keys):
        opening = NOTHING if a.name is None else digest_of(a.name)
        return entries.TestsetRelease(self.task(a.task), a.round, opening)

    def _prove(self, a, nonce, keys):
        said = Statement(
            backend=TASK.backend,
            circuit=digest_of("easier") if a.forged else TASK.circuit,
            model=digest_of(a.model),
            testset=digest_of(a.set),
            samples=SAMPLES,
            correct=a.correct,
            shard_correct=(a.correct,),
            context=self.context(a),
        )
        bundle = blob_digest(said.encode())
        return entries.ProofSubmit(self.task(a.task), a.round, bundle, said, srs_insecure=False)

    def _close(self, a, nonce, keys):
        return entries.TaskClose(self.task(a.task))

    def _transfer(self, a, nonce, keys):
        return entries.Transfer(self.identity(a.to), a.amount)

    def _bond(self, a, nonce, keys):
        return entries.Bond(self.task(a.task), a.amount)

    def _unbond(self, a, nonce, keys):
        return entries.BondReturn(self.task(a.task))

    def _slash(self, a, nonce, keys):
        notes: tuple[str, ...] = ()
        if a.fault == "equivocation":
            roots = [b"\1" * 32, b"\1" * 32 if a.forged else b"\2" * 32]
            key = key_of(a.to, a.new)
            notes = tuple(Checkpoint(self.origin, a.size, root).sign(key) for root in roots)
        blob = digest_of(a.name) if a.fault == "invalid-reveal" else NOTHING
        return entries.Slash(a.fault, self.identity(a.to), self.task(a.task), notes, blob)


class PureDriver(Translator):
    """The rules alone."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(genesis(self.identity))

    def present_key(self, who: str) -> int:
        known = self.world.state.identities.get(self.identity(who))
        return 0 if known is None else [key_of(who, n).public for n in range(4)].index(known.key)

    def signed(self, a: Action) -> SignedEntry:
        who = self.identity(a.who)
        body = self.body(a, self.world.state.nonce(who), self.present_key)
        key = self.present_key(a.who) if a.key is None else a.key
        return self.world.sign(key_of(a.who, key), body, who)

    def do(self, action: Action) -> str:
        entry = self.signed(action)
        vouched = None
        if action.fault == "invalid-reveal" and not action.forged:
            vouched = InvalidReveal(entry.body.blob)
        before, length = self.world.state, len(self.world.log)
        try:
            self.world.append(entry, vouched)
        except ZkpotError as error:
            assert self.world.state is before
            assert len(self.world.log) == length
            return error.code
        if action.kind == "open":
            self.tasks.append(entry.digest)
        elif action.kind == "publish":
            self.releases.append(entry.digest)
        return ""

    def balances(self) -> dict[str, int]:
        owned = self.world.state.balances
        return {who: owned.get(self.identity(who), 0) for who in PEOPLE}

    def nullifiers(self) -> set[str]:
        return set(self.world.state.nullifiers)
