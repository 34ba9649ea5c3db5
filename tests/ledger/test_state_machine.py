"""Anyone does anything, in any order, on the rules and on a model of plain dicts."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from machine import BEGIN, FAULTS, KINDS, Comparison, propose, walk
from machine_entries import PureDriver

from circuits.errors import ZkpotError
from ledger import invariants
from ledger.rules import apply


class Rules(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.both = Comparison(PureDriver())
        for action in BEGIN:
            assert self.both.do(action) == ""

    @rule(data=st.data())
    def act(self, data):
        def pick(options):
            return data.draw(st.sampled_from(list(options)))

        self.both.do(propose(self.both.model, pick))

    @rule(entry=st.integers(0, 100))
    def again(self, entry):
        """What was said once is not said a second time, whatever it was."""
        world = self.both.driver.world
        old = world.log[entry % len(world.log)]
        try:
            apply(world.state, old, world.vouched[entry % len(world.log)])
        except ZkpotError:
            return
        raise AssertionError(f"{old} counts twice")

    @invariant()
    def holds(self):
        invariants.check_all(self.both.driver.world.state)

    def teardown(self):
        world = self.both.driver.world
        assert world.replay().digest == world.state.digest


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=25, stateful_step_count=50, deadline=None)

CODES = {
    "ALREADY_REGISTERED", "BAD_SIGNATURE", "BELOW_POLICY", "INSUFFICIENT_FUNDS", "NOT_APPROVED",
    "NOT_AUTHORISED", "NOT_BONDED", "NOT_COMMITTED", "NO_FAULT", "NULLIFIER_SPENT",
    "OPENING_NOT_NAMED", "OVER_BUDGET", "REVOKED", "STATEMENT_MISMATCH", "TOO_LATE",
    "UNKNOWN_DATA", "UNKNOWN_RELEASE", "UNKNOWN_TASK", "UNKNOWN_TESTSET", "WRONG_CONTEXT",
    "WRONG_PHASE",
}  # fmt: skip


@pytest.fixture(scope="module")
def walks():
    return [walk(PureDriver(), seed, 250) for seed in range(20)]


def test_long_walks_go_everywhere(walks):
    """All kinds of actions succeed and all refusals occur, so the comparison is one of both."""
    seen = set().union(*(both.seen for both in walks))
    assert {kind for kind, code in seen if not code} == {*KINDS, *FAULTS} - {"slash"}
    assert {code for _, code in seen if code} == CODES
    assert {("prove", "OVER_BUDGET"), ("prove", "TOO_LATE"), ("release", "TOO_LATE")} <= seen


def test_long_walks_are_replayed(walks):
    for both in walks:
        world = both.driver.world
        assert world.replay().digest == world.state.digest
        assert world.state.time == both.model.time
        assert world.state.size == both.model.size
        assert world.state.burned == both.model.burned
        assert world.state.minted == both.model.minted
