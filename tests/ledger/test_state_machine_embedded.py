"""The same random walks on the embedded engine: it says what the rules say, and keeps it."""

import pytest
from ledger_world import ARCHITECTURE, MANIFEST, OPERATOR, ORIGIN, verify
from machine import FAULTS, walk
from machine_entries import PureDriver, genesis
from machine_model import PEOPLE

from circuits.errors import ZkpotError
from ledger.ledger import Ledger


class EmbeddedDriver(PureDriver):
    """A ledger on disk."""

    def __init__(self, folder):
        super().__init__()
        first = genesis(self.identity)
        self.ledger = Ledger.init(
            folder, ORIGIN, OPERATOR, allow_insecure_srs=False, charter=first.charter,
            grants=dict(first.grants), clock=lambda: 0,
        )  # fmt: skip

    def do(self, action):
        entry = self.signed(action)
        try:
            if action.kind == "prove":
                self.ledger.submit(entry.body.statement.encode(), entry, verify)
            else:
                self.ledger.append(entry, [MANIFEST, ARCHITECTURE])
        except ZkpotError as error:
            return error.code
        # The rules alone come to the same.
        assert super().do(action) == ""
        return ""

    def balances(self):
        return {who: self.ledger.balance(self.identity(who)) for who in PEOPLE}

    def nullifiers(self):
        return set(self.ledger.state.nullifiers)


# Opening files of these sets are shown to nobody: there is nothing real behind the manifest.
SHOWN = [fault for fault in FAULTS if fault != "invalid-reveal"]


@pytest.mark.parametrize("seed", [4, 16])
def test_a_walk_on_disk(tmp_path, seed):
    driver = EmbeddedDriver(tmp_path / "ledger")
    with driver.ledger as ledger:
        walk(driver, seed, 120, faults=SHOWN)
        pure = driver.world.state
        assert pure.credits, "nothing was earned on this walk"
        assert [e.digest for e in ledger.entries()] == [e.digest for e in driver.world.log]
        assert ledger.state.digest == pure.digest
        ledger.audit(verify).require()
    # Opened again, it comes to the same from what is on the disk.
    with Ledger.open(tmp_path / "ledger", OPERATOR) as again:
        assert again.state.digest == pure.digest
        assert again.balances() == dict(pure.balances)
