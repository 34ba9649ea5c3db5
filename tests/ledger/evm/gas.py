"""Prints what every entry costs in gas: ``python -m tests.ledger.evm.gas``, as in docs/evm.md.

The same numbers on every machine: the chain, the accounts and the proofs are always the same.
"""

from __future__ import annotations

from circuits.halo2.proof import instances
from ledger import entries
from ledger.evm.artefact import ledger_contract
from ledger.evm.deploy import deploy_verifier
from tests.ledger.evm.evm_world import (
    ALICE,
    ATTESTERS,
    BOB,
    DATA,
    ENOUGH_GAS,
    EVALUATOR,
    OPERATOR,
    TASK,
    Ledger,
    commitment,
)
from tests.ledger.evm.halo2_world import Halo2World


def measure() -> list[tuple[str, int]]:
    """Return what was done and the gas that took."""
    return [*_sumcheck(), *_halo2()]


def _sumcheck():
    ledger = Ledger.deploy()
    yield "deploy the ledger", ledger.deployed.gas

    def gas(who, body, evidence=None):
        return ledger.push(who, ledger.entry(who, body), evidence).gas

    yield "identity.register", gas(EVALUATOR, entries.IdentityRegister("evaluator"))
    for who in (ALICE, BOB):
        ledger.do(who, entries.IdentityRegister("somebody"))
    yield "data.register", gas(EVALUATOR, DATA)
    opening = ledger.entry(OPERATOR, TASK)
    yield "task.open, sumcheck", ledger.push(OPERATOR, opening).gas
    task = opening.digest
    yield "model.commit", gas(ALICE, commitment(ledger.origin, ALICE, task, "m"))
    ledger.commit(BOB, task, "n")
    yield "testset.release", gas(EVALUATOR, entries.TestsetRelease(task, 0))
    for who, model, correct, count in ((ALICE, "m", 5, 2), (BOB, "n", 8, 3)):
        entry = ledger.submission(who, task, model, correct)
        submitted = ledger.push(who, entry, ledger.attested(entry, ATTESTERS[:count]))
        yield f"proof.submit, sumcheck, {count} attesters, with credit", submitted.gas
    yield "transfer", gas(ALICE, entries.Transfer(BOB.public, 1))


def _halo2():
    ledger, world = Ledger.deploy(), Halo2World.load()
    verifier = deploy_verifier(ledger.node, OPERATOR, world.verifier)
    yield "deploy a verifier", verifier.gas
    task = world.open(ledger, verifier.address)
    said = world.bundle.statement
    ledger.do(ALICE, entries.ModelCommit(task, 0, said.model, said.context))
    ledger.release(task)
    shards = len(world.bundle.proofs)
    submitted = ledger.push(ALICE, world.submission(ledger), world.evidence)
    yield f"proof.submit, halo2, {shards} shards, with credit", submitted.gas
    place = ledger.node.contract(verifier.address).address
    contract = ledger.node.web3.eth.contract(place, abi=world.verifier.abi)
    public = instances(world.circuit, correct=2, samples=3, context=said.context)
    function = contract.functions.verifyProof(world.bundle.proofs[0], public)
    alone = ledger.node.send(ALICE, function, ENOUGH_GAS)
    yield "one shard, by the verifier alone", alone.gas


def table() -> str:
    """Return the measurements as Markdown."""
    rows = "\n".join(f"| {what} | {gas:,} |" for what, gas in measure())
    size = f"Code of the ledger: {len(ledger_contract().runtime):,} of 24,576 bytes; "
    size += f"of this verifier: {len(Halo2World.load().verifier.runtime):,}."
    return f"| what | gas |\n|---|---:|\n{rows}\n\n{size}"


if __name__ == "__main__":
    print(table())  # noqa: T201 - this is what the module is for
