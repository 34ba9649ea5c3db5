"""A small cast and a stand-in verifier, for the ledger's own tests.

The stand-in is honest: it accepts a bundle if, and only if, it is the canonical encoding of a
statement bound to the pinned context, as a real bundle's statement would be.
"""

from dataclasses import replace
from fractions import Fraction

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from circuits.errors import ProofRejected, ZkpotError
from circuits.statement import Context, Statement
from ledger import entries, invariants, signatures
from ledger.charter import CHARTER_DOMAIN, Charter
from ledger.entries import blob_digest
from ledger.envelope import SignedEntry
from ledger.keys import Signer
from ledger.policy import Policy, Windows
from ledger.records import Accepted
from ledger.rules import apply
from ledger.rules.governance import charter_message
from ledger.state import State
from verifier.verdict import Check, Verdict

ORIGIN = "ledger.example/tests"
MANIFEST, ARCHITECTURE = b'{"manifest":1}', b'{"architecture":1}'
SAMPLES = 100
POLICY = Policy(
    minimum_accuracy=Fraction(1, 2),
    eta=Fraction(1, 50),
    pool=1000,
    submissions_per_identity=3,
    openings=4,
)


def digest_of(text):
    return blob_digest(text.encode())


def signer(name):
    return Signer(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(digest_of(name))))


OPERATOR, EVALUATOR, ALICE, BOB = (signer(n) for n in ("operator", "evaluator", "alice", "bob"))
# Three governors, and somebody who is nobody.
GOVERNORS = tuple(sorted((signer(f"governor {i}") for i in range(3)), key=lambda g: g.public))
CAROL = signer("carol")
CAST = {
    EVALUATOR: "evaluator",
    ALICE: "alice",
    BOB: "bob",
    CAROL: "carol",
    **{who: f"governor {i}" for i, who in enumerate(GOVERNORS)},
}

GENESIS = entries.Genesis(allow_insecure_srs=False, charter=Charter.alone(OPERATOR.public))
CHARTER = replace(
    GENESIS.charter, governors=tuple(g.public for g in GOVERNORS), threshold=2, bond_entries=10
)
# Two of three govern, and everyone has something to lose.
RICH = replace(
    GENESIS,
    charter=CHARTER,
    grants=tuple(sorted((who.public, 1000) for who in (OPERATOR, *CAST))),
)
DATA = entries.DataRegister(
    kind="testset", root=digest_of("testset"), manifest=blob_digest(MANIFEST),
    well_formed=entries.NOTHING, samples=SAMPLES, openings=5,
)  # fmt: skip
TRAINING = entries.DataRegister(
    kind="training", root=digest_of("training"), samples=7, manifest=digest_of("card"),
    unit="rows", licence="CC-BY-4.0",
)  # fmt: skip
TASK = entries.TaskOpen(
    title="digits",
    backend="halo2",
    circuit=digest_of("circuit"),
    vk=digest_of("vk"),
    srs=digest_of("srs"),
    architecture=blob_digest(ARCHITECTURE),
    testset=DATA.root,
    prover="evaluator",
    rounds=2,
    policy=POLICY,
)


# Commitments for 10 entries, then 5 for the release, then 10 for proofs.
WINDOWED = replace(POLICY, windows=Windows("entries", 10, 5, 10))
BONDED = replace(WINDOWED, bond=50, evaluator_bond=100)


def verify(bundle, pins):
    try:
        statement = Statement.decode(bundle)
    except ZkpotError as error:
        return Verdict(None, (), ProofRejected("bundle", error.message))
    ok = statement.context == pins.context.digest
    error = None if ok else ProofRejected("context", "another context")
    return Verdict(statement, (Check("context", ok),), error)


def statement(task, who, model, correct, round_=0, **changes):
    found = Statement(
        backend=TASK.backend,
        circuit=TASK.circuit,
        model=digest_of(model),
        testset=DATA.root,
        samples=SAMPLES,
        correct=correct,
        shard_correct=(correct,),
        context=Context(who.public, task, round_, ORIGIN).digest,
    )
    return replace(found, **changes)


def submission(task, said, round_=0):
    return entries.ProofSubmit(task, round_, blob_digest(said.encode()), said, srs_insecure=False)


def commitment(task, who, model, round_=0):
    context = Context(who.public, task, round_, ORIGIN).digest
    return entries.ModelCommit(task, round_, digest_of(model), context)


def approvals(domain, message, governors):
    """Return what governors sign, in the order in which an entry has it."""
    return tuple(sorted((who.public, signatures.sign(who, domain, message)) for who in governors))


def charter_change(charter, governors, origin=ORIGIN):
    message = charter_message(origin, charter)
    return entries.PolicyChange(charter, approvals(CHARTER_DOMAIN, message, governors))


def spelt(body):
    """Return what an honest engine vouches for when it appends `body`, if anything."""
    return Accepted.claimed_by(body) if isinstance(body, entries.ProofSubmit) else None


class World:
    """The pure state machine with a hand on its lever."""

    def __init__(self, genesis=GENESIS):
        self.state = State()
        self.log = []
        self.vouched = []
        self.do(OPERATOR, genesis)

    def sign(self, who, body, identity=None):
        identity = identity or who.public
        nonce = self.state.nonce(identity)
        return SignedEntry.sign(body, origin=ORIGIN, nonce=nonce, signer=who, identity=identity)

    def push(self, entry, vouched=None):
        self.state = apply(self.state, entry, vouched)
        self.log.append(entry)
        self.vouched.append(vouched)

    def do(self, who, body, identity=None, vouched=None):
        """Append, with an accepting verifier, and with the credit that follows."""
        entry = self.sign(who, body, identity)
        self.append(entry, vouched)
        return entry

    def append(self, entry, vouched=None):
        self.push(entry, vouched or spelt(entry.body))
        while self.state.due:
            self.push(SignedEntry.by_rule(self.state.due[0], ORIGIN))
        invariants.check_all(self.state)

    def refuse(self, code, who, body, identity=None, vouched=None, match=""):
        """Check that `body` is refused with this code, and changes nothing."""
        before, length = self.state, len(self.log)
        try:
            self.do(who, body, identity, vouched)
        except ZkpotError as error:
            assert error.code == code, f"{error.code}: {error.message}"
            assert match in error.message
            assert self.state is before
            assert len(self.log) == length
        else:
            raise AssertionError(f"{body} is accepted, not refused with {code}")

    def introduce(self):
        for who, name in CAST.items():
            self.do(who, entries.IdentityRegister(name))
        self.do(EVALUATOR, DATA)

    def open(self, **changes):
        return self.do(OPERATOR, replace(TASK, **changes)).digest

    def tick(self, time):
        self.do(OPERATOR, entries.Clock(time))

    def wait(self, index):
        """Let entries go by until the next one has this index."""
        assert self.state.size <= index
        while self.state.size < index:
            self.tick(self.state.time + 1)

    def balance(self, who):
        return self.state.balances.get(who.public, 0)

    def replay(self):
        """Return the state of the log that others read, from its bytes."""
        state = State()
        for entry, vouched in zip(self.log, self.vouched, strict=True):
            state = apply(state, SignedEntry.decode(entry.encode()), vouched)
        return state


def opened(genesis=GENESIS, **changes):
    """Return a world with everyone registered, and an open task."""
    world = World(genesis)
    world.introduce()
    return world, world.open(**changes)


def ready(models=(("alice", "m"),), **changes):
    """Return a world in which the models are committed and round 0 is released."""
    world, task = opened(**changes)
    for who, model in models:
        world.do(signer(who), commitment(task, signer(who), model))
    world.do(EVALUATOR, entries.TestsetRelease(task, 0))
    return world, task


def filled(ledger):
    """Do on a real ledger what `ready` does in the pure one; returns the task."""
    for who, name in ((EVALUATOR, "evaluator"), (ALICE, "alice"), (BOB, "bob")):
        ledger.append(ledger.sign(entries.IdentityRegister(name), who))
    ledger.append(ledger.sign(DATA, EVALUATOR), [MANIFEST])
    opening = ledger.sign(TASK, OPERATOR)
    ledger.append(opening, [ARCHITECTURE])
    task = opening.digest
    for who, model in ((ALICE, "m"), (ALICE, "m2"), (BOB, "n")):
        ledger.append(ledger.sign(commitment(task, who, model), who))
    ledger.append(ledger.sign(entries.TestsetRelease(task, 0), EVALUATOR))
    return task


def submit(ledger, task, who, model, correct, check=verify, **changes):
    said = statement(task, who, model, correct, **changes)
    return ledger.submit(said.encode(), ledger.sign(submission(task, said), who), check)
