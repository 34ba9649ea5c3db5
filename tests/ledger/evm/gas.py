"""Prints what every entry costs in gas: ``python -m tests.ledger.evm.gas``, as in docs/evm.md.

The same numbers on every machine: the chain, the accounts and the proofs are always the same.
"""

from __future__ import annotations

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
    entry = ledger.submission(ALICE, task, "m", 5)
    evidence = ledger.attested(entry)
    yield (
        "proof.submit, sumcheck, 2 attesters, with credit",
        ledger.push(ALICE, entry, evidence).gas,
    )
    entry = ledger.submission(BOB, task, "n", 8)
    evidence = ledger.attested(entry, ATTESTERS)
    yield "proof.submit, sumcheck, 3 attesters, with credit", ledger.push(BOB, entry, evidence).gas
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
    context = int(said.context, 16)
    instances = [said.shard_correct[0], 3, context >> 128, context % 2**128, world.circuit.in_range]
    function = contract.functions.verifyProof(world.bundle.proofs[0], instances)
    yield (
        "of that, one shard by the verifier alone",
        ledger.node.send(ALICE, function, ENOUGH_GAS).gas,
    )


def table() -> str:
    """Return the measurements as Markdown."""
    rows = "\n".join(f"| {what} | {gas:,} |" for what, gas in measure())
    size = f"Code of the ledger: {len(ledger_contract().runtime):,} of 24,576 bytes; "
    size += f"of this verifier: {len(Halo2World.load().verifier.runtime):,}."
    return f"| what | gas |\n|---|---:|\n{rows}\n\n{size}"


if __name__ == "__main__":
    print(table())  # noqa: T201 - this is what the module is for
