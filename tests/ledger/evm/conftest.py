"""A chain that every test finds as it was when it began."""

from __future__ import annotations

import pytest

from circuits.statement import Context
from ledger import entries

try:
    from tests.ledger.evm.evm_world import ALICE, BOB, Ledger
    from tests.ledger.evm.halo2_world import Halo2World
except ImportError as error:
    if error.name not in ("web3", "eth_account", "eth_tester", "eth_utils"):
        raise
    # Without the extra there is nothing to test; a run of everything else goes on.
    collect_ignore_glob = ["test_chain_*.py"]


@pytest.fixture(scope="session")
def deployed():
    return Ledger.deploy(grants={ALICE.public: 50})


@pytest.fixture(scope="session")
def prepared(deployed):
    """With test set, task, commitments of alice (m) and bob (n), and round 0 released."""
    deployed.introduce()
    task = deployed.open()
    deployed.commit(ALICE, task, "m")
    deployed.commit(ALICE, task, "m2")
    deployed.commit(BOB, task, "n")
    deployed.release(task)
    return deployed, task, deployed.tester.take_snapshot()


@pytest.fixture
def ready(prepared):
    """The prepared ledger and its task; put back as it was afterwards."""
    ledger, task, snapshot = prepared
    yield ledger, task
    ledger.tester.revert_to_snapshot(snapshot)


@pytest.fixture(scope="session")
def proven():
    """A halo2 task with alice's and bob's commitments to alice's model, round 0 released."""
    ledger, world = Ledger.deploy(), Halo2World.load()
    task = world.open(ledger)
    said = world.bundle.statement
    for who in (ALICE, BOB):
        context = Context(who.public, task, 0, ledger.origin).digest
        ledger.do(who, entries.ModelCommit(task, 0, said.model, context))
    ledger.release(task)
    return ledger, task, ledger.tester.take_snapshot()


@pytest.fixture
def halo2(proven):
    """The ledger with the halo2 task, and the task; put back afterwards."""
    ledger, task, snapshot = proven
    yield ledger, task
    ledger.tester.revert_to_snapshot(snapshot)
