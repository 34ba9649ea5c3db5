"""The log as one process has read it: replayed from the entries, believing nothing else."""

from __future__ import annotations

from circuits.errors import LedgerError, ZkpotError
from circuits.merkle import Frontier, leaf_hash
from ledger.entries import Credit, ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt
from ledger.note import Checkpoint, VerifierKey
from ledger.rules import apply
from ledger.state import Accepted, State
from ledger.store import Store


class Replica:
    """State and tree of a log, brought up to date on demand.

    Proofs are not verified again here: that a proof is on the log, under a checkpoint that the
    log signed, is the log's word that it was. An audit does not take its word.

    Attributes
    ----------
    state : State
        What the entries read so far amount to.
    frontier : Frontier
        Their Merkle tree.
    leaves : list of bytes
        Their leaf hashes.
    places : dict of bytes to int
        Index of each leaf hash.
    credits : dict of int to int
        What each paid proof earned, by the index of its entry.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = 0
        self._reset()

    def _reset(self) -> None:
        self.state = State()
        self.frontier = Frontier()
        self.leaves: list[bytes] = []
        self.places: dict[bytes, int] = {}
        self.credits: dict[int, int] = {}

    def add(self, entry: SignedEntry, data: bytes, state: State) -> None:
        """Take in the next entry, its bytes on the log, and the state after it."""
        leaf = leaf_hash(data)
        if isinstance(entry.body, Credit):
            self.credits[entry.body.proof] = entry.body.amount
        self.places[leaf] = len(self.leaves)
        self.leaves.append(leaf)
        self.frontier = self.frontier.append(leaf)
        self.state = state

    def refresh(self) -> None:
        """Replay what was appended since the last look, and check it against its checkpoint.

        Raises
        ------
        LedgerCorrupt
            If it does not hold together, or the log has become shorter.
        """
        size = self._store.size
        if size < self._seen:
            raise LedgerCorrupt(f"the log shrank from {self._seen} entries to {size}")
        self._seen = size
        if size == self.state.size > 0:
            return
        try:
            self._replay_news()
        except ZkpotError:
            # Nothing half-checked is kept: the next call finds the same fault again.
            self._reset()
            raise

    def _replay_news(self) -> None:
        for index, data, _ in self._store.entries(self.state.size):
            try:
                entry = SignedEntry.decode(data)
                body = entry.body
                accepted = Accepted.claimed_by(body) if isinstance(body, ProofSubmit) else None
                self.add(entry, data, apply(self.state, entry, accepted))
            except ZkpotError as error:
                raise LedgerCorrupt(f"entry {index}: {error.message}", index=index) from error
        size, note = self._store.checkpoint_of(self.state.size - 1)
        try:
            key = VerifierKey(self.state.origin, self.state.operator)
            checkpoint = Checkpoint.open(note, key)
        except LedgerError as error:
            raise LedgerCorrupt(f"checkpoint {size}: {error.message}") from error
        if checkpoint != Checkpoint(key.name, self.frontier.size, self.frontier.root):
            raise LedgerCorrupt(f"checkpoint {size} is not that of the entries")
