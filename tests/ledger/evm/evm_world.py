"""A chain in this process, with a ledger contract on it and people who use it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, cached_property

from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from eth_utils import ValidationError as EvmValidationError
from web3 import EthereumTesterProvider, Web3

from circuits.encoding import digest
from circuits.statement import Context, Statement
from ledger import entries
from ledger.charter import Charter
from ledger.entries import NOTHING, Chain
from ledger.envelope import SignedEntry
from ledger.evm import attest
from ledger.evm.accounts import ChainAccount
from ledger.evm.calls import Attested, Opening, call
from ledger.evm.deploy import Deployed, deploy_ledger
from ledger.evm.events import read
from ledger.evm.node import Node
from ledger.policy import Policy
from ledger.state import State

NAME = "chain.example/tests"
MAX_POOL = 10_000
SAMPLES = 8


ENOUGH_GAS = 16_000_000


class TesterProvider(EthereumTesterProvider):
    """eth-tester, with reverts told as nodes tell them: an RPC error with the returned data.

    Gas is estimated by one run, not by the dozen that eth-tester makes: a pairing takes a second.
    """

    def make_request(self, method, params):
        try:
            if method == "eth_estimateGas":
                answer = super().make_request("eth_call", [params[0], "latest"])
                return answer | {"result": ENOUGH_GAS}
            return super().make_request(method, params)
        except TransactionFailed as error:
            data = "0x" + _reverted(error).hex()
            fault = {"code": 3, "message": "execution reverted", "data": data}
        except EvmValidationError as error:
            fault = {"code": -32000, "message": str(error)}
        return {"jsonrpc": "2.0", "id": 0, "error": fault}


def _reverted(error):
    said = error.__context__.args[0]
    if isinstance(said, Exception):
        said = said.args[0]
    if isinstance(said, str):
        said = ast.literal_eval(said) if said.startswith(("b'", 'b"')) else b""
    return said if isinstance(said, bytes) else b""


def new_chain():
    """Return a node of a chain that has nothing on it, and its tester."""
    tester = EthereumTester(PyEVMBackend())
    return Node(Web3(TesterProvider(tester))), tester


SECRETS = {
    ChainAccount.from_secret(secret).public: secret
    for secret in (n.to_bytes(32, "big") for n in (*range(1, 11), 99))
}
POOR = ChainAccount.from_secret((99).to_bytes(32, "big"))


@cache
def account(number):
    """One of the ten accounts that eth-tester gives funds to, in order of their addresses."""
    rich = sorted(public for public in SECRETS if public != POOR.public)
    return ChainAccount.from_secret(SECRETS[rich[number]])


OPERATOR, EVALUATOR, ALICE, BOB, STRANGER = (account(n) for n in range(5))
ATTESTERS = tuple(account(n) for n in (5, 6, 7))

CHARTER = Charter(
    number=0,
    governors=tuple(who.public for who in ATTESTERS),
    threshold=2,
    task_owners=(OPERATOR.public,),
    max_pool=MAX_POOL,
    bond_entries=0,
    finder_share=Fraction(0),
)


def digest_of(text):
    return digest("test", text.encode())


DATA = entries.DataRegister(
    kind="testset",
    root=digest_of("root"),
    samples=SAMPLES,
    manifest=digest_of("manifest"),
    openings=6,
    well_formed=digest_of("well-formed"),
)
POLICY = Policy(Fraction(1, 4), Fraction(1, 8), 700, 3, 5)
TASK = entries.TaskOpen(
    title="a task",
    backend="sumcheck",
    circuit=digest_of("circuit"),
    vk=NOTHING,
    srs=NOTHING,
    architecture=digest_of("architecture"),
    testset=DATA.root,
    prover="contributor",
    rounds=1,
    policy=POLICY,
)


@dataclass
class Ledger:
    """The contract, called directly: no engine, no mirror, no rules in front of it."""

    node: Node
    tester: EthereumTester
    deployed: Deployed
    origin: str = ""

    @classmethod
    def deploy(cls, node=None, tester=None, *, charter=CHARTER, insecure=True, grants=None):
        if node is None:
            node, tester = new_chain()
        made = deploy_ledger(
            node, OPERATOR, NAME, allow_insecure_srs=insecure, charter=charter, grants=grants
        )
        ledger = cls(node, tester, made)
        ledger.origin = ledger.ask("origin")
        return ledger

    @property
    def address(self):
        return self.deployed.address

    @property
    def first(self):
        return self.deployed.block

    @cached_property
    def contract(self):
        return self.node.contract(self.address)

    @property
    def chain(self):
        return Chain(self.node.chain_id, self.address)

    def ask(self, name, *arguments):
        function = getattr(self.contract.functions, name)(*arguments)
        return self.node.call(function, sender=STRANGER.address)

    def entry(self, who, body, nonce=None):
        if nonce is None:
            nonce = self.ask("nonces", who.address)
        return SignedEntry.by_chain(body, origin=self.origin, nonce=nonce, account=who.public)

    def push(self, who, entry, evidence=None):
        """Send an entry; returns what was mined. Refusals are found in its block."""
        return self.node.send(who, self.call(entry, evidence), ENOUGH_GAS)

    def call(self, entry, evidence=None):
        """The call of an entry; a task names the evaluator that is registered."""
        if evidence is None and isinstance(entry.body, entries.TaskOpen):
            found = self.ask("testsets", bytes.fromhex(entry.body.testset))[0]
            evidence = Opening(found[2:].lower())
        return call(self.contract, entry, evidence)

    def attempt(self, who, entry, evidence=None):
        """Make the transaction of an entry, which runs it, and do not send it."""
        return self.node.sign(who, self.call(entry, evidence))

    def do(self, who, body, evidence=None):
        """Append an entry of somebody; returns it."""
        entry = self.entry(who, body)
        self.push(who, entry, evidence)
        return entry

    def seen(self, state=None):
        """The events so far; without the rules' state, statements cannot be read."""
        logs = self.node.logs(self.contract, 0, self.node.head().number)
        state = state or replace(State(), origin=self.origin)
        return [read(self.contract, log, state, self.chain) for log in logs]

    def introduce(self):
        for who, name in ((EVALUATOR, "evaluator"), (ALICE, "alice"), (BOB, "bob")):
            self.do(who, entries.IdentityRegister(name))
        self.do(EVALUATOR, DATA)

    def open(self, evidence=None, **changes):
        return self.do(OPERATOR, replace(TASK, **changes), evidence).digest

    def commit(self, who, task, model, round_=0):
        return self.do(who, commitment(self.origin, who, task, model, round_))

    def release(self, task, round_=0):
        return self.do(EVALUATOR, entries.TestsetRelease(task, round_))

    def submission(self, who, task, model, correct, round_=0, **changes):
        """An entry for a sumcheck proof, and nothing that shows it."""
        said = statement(self.origin, who, task, model, correct, round_, **changes)
        body = entries.ProofSubmit(task, round_, digest_of(f"{said.digest}"), said, False)
        return self.entry(who, body)

    def attested(self, entry, attesters=ATTESTERS[:2]):
        """Signatures without any verification, in the order of the attesters."""
        text = attest.message(self.chain, entry)
        return Attested(tuple(who.sign_typed(text) for who in attesters))

    def opening(self, entry, pins, governors=ATTESTERS[:2]):
        """Approvals without any check, in the order of the governors."""
        text = attest.pinning(self.chain, entry, pins, self.node.code(pins.verifier))
        signatures = tuple(who.sign_typed(text) for who in governors)
        return Opening(EVALUATOR.address[2:].lower(), pins, signatures)

    def prove(self, who, task, model, correct, round_=0, **changes):
        entry = self.submission(who, task, model, correct, round_, **changes)
        self.push(who, entry, self.attested(entry))
        return entry


def commitment(origin, who, task, model, round_=0):
    context = Context(who.public, task, round_, origin).digest
    return entries.ModelCommit(task, round_, digest_of(model), context)


def statement(origin, who, task, model, correct, round_=0, **changes):
    fields = {
        "backend": TASK.backend,
        "circuit": TASK.circuit,
        "model": digest_of(model),
        "testset": DATA.root,
        "samples": SAMPLES,
        "correct": correct,
        "shard_correct": (correct,),
        "context": Context(who.public, task, round_, origin).digest,
    }
    return Statement(**fields | changes)
