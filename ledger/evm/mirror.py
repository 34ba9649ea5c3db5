"""Follows a contract's events and holds them against the ledger's rules.

The contract is not believed: every event becomes an entry that `ledger.rules.apply` must allow
and come to the same digests and credits with. What it is believed for is what its chain is there
for: that an account sent what its entries say, that a halo2 proof was accepted by the pinned
verifier or a sumcheck proof attested, and that the order is this one. `EvmLedger.audit` verifies
the proofs again.

Blocks can be taken back. The state after each block that held entries is kept with its hash; if
a hash is no longer the chain's, the mirror goes back to the last block that still is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from circuits.errors import ZkpotError
from circuits.merkle import Frontier, leaf_hash
from ledger.entries import Chain, ProofSubmit, TaskOpen
from ledger.envelope import SignedEntry
from ledger.errors import ChainDisagrees, ChainUnavailable, MalformedEntry
from ledger.evm import events
from ledger.evm.artefact import known_runtimes
from ledger.evm.events import Event
from ledger.evm.node import Block, Node, NodeRefused
from ledger.records import Accepted
from ledger.rules import apply
from ledger.state import State

SPAN = 2000
_TRIES = 5
"""A chain whose head changes faster than this is asked about cannot be followed."""


@dataclass(frozen=True)
class _Point:
    """What was known after a block."""

    block: Block
    state: State
    frontier: Frontier


@dataclass
class Mirror:
    """A copy of a chain's ledger, as far as it is confirmed.

    Parameters
    ----------
    node : Node
        Where the chain is read.
    contract : str
        Address of the ledger contract, 20 bytes of hex.
    first : int
        Number of the block that has its genesis.
    confirmations : int
        Blocks that must follow a block before it counts.
    span : int
        Blocks asked for at once; some nodes refuse more than a few.

    Attributes
    ----------
    events : list of Event
        Of all entries, in order.
    rollbacks : int
        How often blocks were found to have been taken back.
    """

    node: Node
    contract: str
    first: int
    confirmations: int
    span: int = SPAN
    events: list[Event] = field(default_factory=list)
    rollbacks: int = 0
    _points: list[_Point] = field(default_factory=list)
    _at: Block | None = None

    def __post_init__(self) -> None:
        self._handle = self.node.contract(self.contract)
        self.chain = Chain(self.node.chain_id, self.contract)

    @property
    def state(self) -> State:
        """What the entries so far amount to."""
        return self._points[-1].state if self._points else State()

    @property
    def frontier(self) -> Frontier:
        """The Merkle tree over the entries, as every other log has it."""
        return self._points[-1].frontier if self._points else Frontier()

    @property
    def entries(self) -> Sequence[SignedEntry]:
        """All entries, in order."""
        return [event.entry for event in self.events]

    @property
    def block(self) -> Block | None:
        """The block up to which the chain was read."""
        return self._at

    def refresh(self) -> None:
        """Read on to the newest confirmed block, after going back where blocks were taken back.

        Raises
        ------
        ChainDisagrees
            If the contract is another, or an event is not what the rules come to.
        ChainUnavailable
            If the node does not answer, or its chain changes all the time.
        """
        for _ in range(_TRIES):
            self._go_back()
            if self._at is None and not self._is_there():
                return
            if self._read_on():
                return
        raise ChainUnavailable("the chain changes while it is read")

    def _is_there(self) -> bool:
        """Tell whether the ledger is on the chain; any other code could announce anything."""
        code = self.node.code(self.contract)
        if code and code not in known_runtimes():
            raise ChainDisagrees(f"the contract at {self.contract} is not a ledger of this kind")
        return bool(code)

    def _read_on(self) -> bool:
        goal = self.node.head().number - self.confirmations
        start = self.first if self._at is None else self._at.number + 1
        while start <= goal:
            end = min(goal, start + self.span - 1)
            try:
                if not self._read(start, end):
                    return False
            except NodeRefused:
                # Too many blocks or events at once, perhaps.
                if self.span == 1:
                    raise
                self.span = max(1, self.span // 2)
            else:
                start = end + 1
        return True

    def _go_back(self) -> None:
        """Forget what lies behind the last block that is still the chain's."""
        if self._at is None or self.node.block(self._at.number) == self._at:
            return
        self.rollbacks += 1
        while self._points and self.node.block(self._points[-1].block.number) != (
            self._points[-1].block
        ):
            self._points.pop()
        self._at = self._points[-1].block if self._points else None
        del self.events[self.state.size :]

    def _read(self, start: int, end: int) -> bool:
        """Take in the entries of some blocks; False if the chain changed meanwhile."""
        last = self.node.block(end)
        logs = self.node.logs(self._handle, start, end)
        blocks = {int(log["blockNumber"]): bytes(log["blockHash"]).hex() for log in logs}
        # A block's hash covers all before it: if it is the same as before, so are they.
        if last is None or self.node.block(end) != last:
            return False
        if any(self.node.block(number) != Block(number, name) for number, name in blocks.items()):
            return False
        if logs and not self._in_sequence(logs[0]):
            return False
        for number, name in sorted(blocks.items()):
            here = [log for log in logs if int(log["blockNumber"]) == number]
            state, frontier, found = self.state, self.frontier, []
            for log in here:
                event = events.read(self._handle, log, state, self.chain)
                state = _applied(state, event)
                frontier = frontier.append(leaf_hash(_encoded(event)))
                found.append(event)
            if state.due:
                raise ChainDisagrees(
                    f"the contract did not pay for the proof in entry {state.due[0].proof}"
                )
            # Block by block: if the next one holds a lie, this one need not be read again.
            self._at = Block(number, name)
            self.events += found
            self._points.append(_Point(self._at, state, frontier))
        self._at = last
        return True

    def _in_sequence(self, log: Any) -> bool:
        """Tell whether an event is the next one; if not, go back once, to ask again.

        A node that lags behind its own head says once that there are no events.
        """
        first = int.from_bytes(bytes(log["data"])[:32], "big")
        behind = self._points[-1].block if self._points else None
        if first <= self.state.size or self._at == behind:
            return True
        self._at = behind
        return False


def _encoded(event: Event) -> bytes:
    try:
        return event.entry.encode()
    except MalformedEntry as error:
        raise ChainDisagrees(f"entry {event.index} is none: {error.message}") from error


def _applied(state: State, event: Event) -> State:
    """Apply an event's entry, and compare what the contract made of it."""
    if event.index != state.size:
        raise ChainDisagrees(f"the contract calls entry {state.size} number {event.index}")
    entry, body = event.entry, event.entry.body
    accepted = Accepted.claimed_by(body) if isinstance(body, ProofSubmit) else None
    try:
        after = apply(state, entry, accepted)
    except ZkpotError as error:
        raise ChainDisagrees(
            f"the contract took entry {event.index}, a {body.type} in transaction "
            f"{event.transaction}, which the rules refuse: {error.code}: {error.message}",
            index=event.index,
            reason=error.code,
        ) from error
    expected = ""
    if isinstance(body, TaskOpen):
        expected = entry.digest
    elif isinstance(body, ProofSubmit):
        expected = body.statement.digest
    if event.digest != expected:
        raise ChainDisagrees(
            f"entry {event.index}: the contract computed the digest {event.digest}, the rules "
            f"{expected}",
            index=event.index,
        )
    return after
