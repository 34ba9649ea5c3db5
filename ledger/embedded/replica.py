"""The log as one process has read it: replayed from the entries, believing nothing else."""

from __future__ import annotations

from circuits.errors import LedgerError, ZkpotError
from circuits.merkle import leaf_hash
from ledger.embedded.store import Store
from ledger.embedded.tree import Tree
from ledger.entries import ProofSubmit, Slash
from ledger.envelope import SignedEntry
from ledger.errors import LedgerCorrupt, LedgerRolledBack
from ledger.records import Accepted, InvalidReveal, Vouched
from ledger.rules import apply
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey

_CHUNK = 4096


class Replica:
    """State and tree of a log, brought up to date on demand.

    Proofs are not verified again here: that a proof is on the log, under a checkpoint that the
    log signed, is the log's word that it was. An audit does not take its word.

    Parameters
    ----------
    store : Store
        The log.
    own : str
        Public key of the log, if its private key is at hand; else empty.

    Attributes
    ----------
    state : State
        What the entries read so far amount to.
    tree : Tree
        Their Merkle tree.
    """

    def __init__(self, store: Store, own: str = "") -> None:
        self._store = store
        self._own = own
        self._seen = 0
        self._reset()

    def _reset(self) -> None:
        self.state = State()
        self.tree = Tree()
        self._places: dict[bytes, int] = {}
        self._submissions: dict[str, list[int]] = {}

    @property
    def log(self) -> VerifierKey:
        """The log's public key."""
        return VerifierKey(self.state.origin, self.state.operator)

    @property
    def newest(self) -> Checkpoint:
        """What the log's checkpoint of the entries read so far says."""
        return Checkpoint(self.state.origin, self.tree.size, self.tree.root())

    def place(self, leaf: bytes) -> int | None:
        """Return the index of the entry with a leaf hash, or None."""
        return self._places.get(leaf)

    def submissions(self, bundle: str) -> list[int]:
        """Return the indices of the entries that submitted a bundle."""
        return self._submissions.get(bundle, [])

    def add(self, entry: SignedEntry, leaf: bytes, state: State) -> None:
        """Take in the next entry, its leaf hash, and the state after it."""
        if isinstance(entry.body, ProofSubmit):
            self._submissions.setdefault(entry.body.bundle, []).append(self.tree.size)
        self._places[leaf] = self.tree.size
        self.tree.append(leaf)
        self.state = state

    def refresh(self) -> None:
        """Replay what was appended since the last look, and check it against its checkpoints.

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
            self._replay_news(self.state.size, size)
        except ZkpotError:
            # Nothing half-checked is kept: the next call finds the same fault again.
            self._reset()
            raise

    def require_reached(self, signed: Checkpoint) -> None:
        """Refuse a log that lacks what its key has signed for; see `require_reached`."""
        require_reached(self.tree, signed)

    def _replay_news(self, start: int, size: int) -> None:
        signatures = not self._signed_here(start, size)
        while self.state.size < size:
            begin = self.state.size
            rows = self._store.entries(begin, min(_CHUNK, size - begin))
            if [index for index, _, _ in rows] != list(range(begin, begin + len(rows))) or not rows:
                raise LedgerCorrupt(f"entries from {begin} on are not all there")
            for index, data, _ in rows:
                try:
                    entry = SignedEntry.decode(data)
                    vouched = believed(entry)
                    state = apply(self.state, entry, vouched, signatures=signatures)
                except ZkpotError as error:
                    raise LedgerCorrupt(f"entry {index}: {error.message}", index=index) from error
                self.add(entry, leaf_hash(data), state)
        self._check_checkpoints(start)

    def _signed_here(self, start: int, size: int) -> bool:
        """Tell whether our own key has signed a checkpoint over all these entries.

        Whoever signs with it has checked the authors' signatures of every entry under it before,
        since an entry comes into the tree only through the rules. Checking them again, in every
        process that opens the ledger with that key, would say nothing new: who could put an entry
        under such a checkpoint without its author has the log's key or a SHA-256 collision. An
        audit checks all of them, and so does everyone who opens the ledger without the key.
        """
        if not self._own:
            return False
        frontier = self.tree.frontier
        data = b""
        for begin in range(start, size, _CHUNK):
            for data in self._store.data(begin, min(_CHUNK, size - begin)):
                frontier = frontier.append(leaf_hash(data))
        try:
            origin = self.state.origin or SignedEntry.decode(data).origin
            _, note = self._store.checkpoint_of(size - 1)
            checkpoint = Checkpoint.open(note, VerifierKey(origin, self._own))
        except LedgerError:
            return False
        return checkpoint == Checkpoint(origin, frontier.size, frontier.root)

    def _check_checkpoints(self, since: int) -> None:
        """Check that every checkpoint after `since` is that of a prefix, and the last one signed.

        Whoever could forge an earlier signature gains nothing here: what counts is that the
        stored notes say what the entries say. An audit verifies all of them.
        """
        notes = self._store.checkpoints(since + 1)
        signed = [size for size in notes if size <= self.tree.size]
        if not signed or signed[-1] != self.tree.size:
            raise LedgerCorrupt(f"no checkpoint covers all {self.tree.size} entries")
        for size in signed:
            checkpoint = Checkpoint(self.log.name, size, self.tree.root(size))
            if not notes[size].startswith(checkpoint.text + "\n"):
                raise LedgerCorrupt(f"checkpoint {size} is not that of the entries")
        try:
            Checkpoint.open(notes[self.tree.size], self.log)
        except LedgerError as error:
            raise LedgerCorrupt(f"checkpoint {self.tree.size}: {error.message}") from error


def believed(entry: SignedEntry) -> Vouched:
    """Take the log's word for what it verified before it took an entry in."""
    body = entry.body
    if isinstance(body, ProofSubmit):
        return Accepted.claimed_by(body)
    if isinstance(body, Slash) and body.fault == "invalid-reveal":
        return InvalidReveal(body.blob)
    return None


def require_reached(tree: Tree, signed: Checkpoint) -> None:
    """Refuse a log that lacks what its key has signed for.

    Raises
    ------
    LedgerRolledBack
        Unless the checkpoint is that of a prefix of the entries.
    """
    if signed.size > tree.size:
        raise LedgerRolledBack(
            f"the log's key has signed for {signed.size} entries and only {tree.size} are here: "
            "an older copy was restored, or another copy went on",
            signed=signed.size,
            size=tree.size,
        )
    if tree.root(signed.size) != signed.root:
        raise LedgerRolledBack(
            f"the log's key has signed for other entries than the first {signed.size} here: "
            "another copy went on",
            signed=signed.size,
            size=tree.size,
        )
