"""Who may extend a log, and in which order that is done.

The order of a commit, each step durable before the next:

1. what needs no log is verified by the caller, proofs above all;
2. the blobs that the entries name are written;
3. the mark of the log's key is locked and compared, see `ledger.embedded.mark`;
4. one SQLite transaction: entries, nullifiers, balances and the signed checkpoint, on condition
   that the log still has the size it was signed for;
5. the mark is raised;
6. the tiles are published, and then the checkpoint;
7. the caller is told.

A process that ends in between leaves entries that are there whole or not at all, and nobody was
told of them; whoever opens the log next takes steps 5 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from immutables import Map

from circuits.errors import ZkpotError
from circuits.merkle import Frontier, leaf_hash
from ledger.embedded import clock
from ledger.embedded.mark import Mark
from ledger.embedded.moved import Moved, open_moved, sign_moved
from ledger.embedded.publish import Publication
from ledger.embedded.replica import Replica
from ledger.embedded.store import Batch, Conflict, Store
from ledger.envelope import SignedEntry
from ledger.errors import (
    BadKey,
    BadNote,
    LedgerBusy,
    LedgerCorrupt,
    LedgerIsBackup,
    LedgerMoved,
    StorageFailed,
)
from ledger.keys import Signer
from ledger.records import Vouched
from ledger.rules import apply
from ledger.state import State
from ledger.tlog.note import Checkpoint

# Digests of the whole state are stored as the log grows by this share, so that they cost every
# entry the same however many there are.
_STATE_SHARE = 4


@dataclass(frozen=True)
class Item:
    """An entry on its way into the log.

    Attributes
    ----------
    entry : SignedEntry
        The entry.
    vouched : Accepted or InvalidReveal or None
        What was verified for it.
    blobs : mapping of str to bytes
        What it names, as far as it was given, by digest.
    """

    entry: SignedEntry
    vouched: Vouched = None
    blobs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass
class _Growth:
    """Entries that the rules allow after what is on the log."""

    state: State
    frontier: Frontier
    added: list[tuple[SignedEntry, bytes, bytes, State]] = field(default_factory=list)
    places: dict[bytes, int] = field(default_factory=dict)

    def add(self, entry: SignedEntry, data: bytes, state: State) -> None:
        leaf = leaf_hash(data)
        self.places[leaf] = self.frontier.size
        self.frontier = self.frontier.append(leaf)
        self.added.append((entry, data, leaf, state))
        self.state = state


class Writer:
    """Extends a log that it has the key of.

    Parameters
    ----------
    store, replica : Store, Replica
        The log.
    signer : Signer
        Its key.
    mark : Mark
        What the key has signed.
    now : callable
        The time.
    """

    def __init__(
        self, store: Store, replica: Replica, signer: Signer, mark: Mark, now: clock.Now
    ) -> None:
        self._store = store
        self._replica = replica
        self._signer = signer
        self._mark = mark
        self._now = now
        self._publication = Publication.of(store.folder)
        self._settled = 0
        self._published = 0

    def open(self) -> None:
        """Check that this log may go on from here, and publish what was not yet.

        Raises
        ------
        BadKey
            If the key is not that of the log.
        LedgerRolledBack, NoMark, LedgerIsBackup, LedgerMoved
            If it may not go on.
        LedgerCorrupt
            If it contradicts itself.
        """
        # Most of it before anyone is kept waiting.
        self._replica.refresh()
        with self._mark.locked():
            self._replica.refresh()
            if self._signer.public != self._replica.state.operator:
                raise BadKey(f"{self._signer.public} is not the key of this log")
            self._require_live()
            self._publication.clean()
            self._store.blobs.clean()
            self._published = self._published_before()
            self._settle()

    def put_blob(self, data: bytes) -> str:
        """Keep a blob durably and return its digest."""
        with self._mark.locked():
            return self._store.blobs.put(data)

    def move(self) -> None:
        """Sign that this ledger goes on somewhere else, and nothing after that."""
        with self._mark.locked():
            self._replica.refresh()
            self._require_live()
            self._settle()
            newest, log = self._replica.newest, self._replica.log
            before = self._mark.moved(log)
            move = Moved(newest, 1 if before is None else before.number + 1)
            note = sign_moved(move, self._signer)
            # The mark first: it holds back every copy of the database, and this one too.
            self._mark.move(log, self._store.checkpoint_of(newest.size - 1)[1], note)
            self._store.stand("moved", note)

    def settle(self) -> None:
        """Take the last steps of commits that were not seen to their end."""
        if self._settled < self._replica.tree.size:
            with self._mark.locked():
                self._replica.refresh()
                self._require_live()
                self._settle()

    def append(self, items: Sequence[Item | ZkpotError]) -> list[int | ZkpotError]:
        """Append entries, in one durable commit; what the rules refuse is left out.

        Parameters
        ----------
        items : sequence of Item
            In order. One that is on the log already is not appended again; where there is an
            error, it was refused before.

        Returns
        -------
        list of int or ZkpotError
            The index of each entry, or why it was refused.
        """
        with self._mark.locked():
            while True:
                self._replica.refresh()
                self._require_live()
                growth = _Growth(self._replica.state, self._replica.tree.frontier)
                outcomes = [
                    self._try(item, growth) if isinstance(item, Item) else item for item in items
                ]
                if growth.added and not self._commit(growth):
                    continue
                self._settle()
                return outcomes

    def check(self, entry: SignedEntry, vouched: Vouched) -> None:
        """Ask the rules about an entry as if it were appended now, after what was last read.

        Raises
        ------
        EntryRefused
            By name, if they do not allow it.
        """
        _, state = self._timed(self._replica.state, entry)
        apply(state, entry, vouched)

    def _timed(self, state: State, entry: SignedEntry) -> tuple[SignedEntry | None, State]:
        """Return the clock entry that comes before another, if any, and the state after it."""
        tick = clock.before(state, entry, self._now(), self._signer)
        return tick, state if tick is None else apply(state, tick)

    def _try(self, item: Item, growth: _Growth) -> int | ZkpotError:
        try:
            data = item.entry.encode()
            leaf = leaf_hash(data)
            place = growth.places.get(leaf, self._replica.place(leaf))
            if place is not None:
                return place
            tick, state = self._timed(growth.state, item.entry)
            after = apply(state, item.entry, item.vouched)
            # Only now: whom the rules refuse cannot fill the disk either.
            self._keep(item)
        except (LedgerBusy, LedgerCorrupt, StorageFailed):
            raise
        except ZkpotError as error:
            return error
        if tick is not None:
            growth.add(tick, tick.encode(), state)
        index = growth.frontier.size
        growth.add(item.entry, data, after)
        while growth.state.due:
            credit = SignedEntry.by_rule(growth.state.due[0], growth.state.origin)
            growth.add(credit, credit.encode(), apply(growth.state, credit))
        return index

    def _keep(self, item: Item) -> None:
        for name in item.entry.body.blobs:
            if name in item.blobs:
                self._store.blobs.put(item.blobs[name])
            else:
                self._store.blobs.get(name)

    def _commit(self, growth: _Growth) -> bool:
        """Write the entries, or return False if somebody else was first."""
        before, after = self._replica.state, growth.state
        checkpoint = Checkpoint(before.origin, growth.frontier.size, growth.frontier.root)
        # Signed before the transaction, but shown to nobody unless it and the mark succeed:
        # whatever happens in between, no second checkpoint of this size is ever published.
        batch = Batch(
            entries=[data for _, data, _, _ in growth.added],
            checkpoints={checkpoint.size: checkpoint.sign(self._signer)},
            nullifiers=changed(before.nullifiers, after.nullifiers),
            balances=changed(before.balances, after.balances),
            states={after.size: after.digest} if self._state_is_due(after.size) else {},
        )
        try:
            self._store.commit(before.size, batch)
        except Conflict:
            return False
        for entry, _, leaf, state in growth.added:
            self._replica.add(entry, leaf, state)
        return True

    def _state_is_due(self, size: int) -> bool:
        last = max(self._store.states(), default=0)
        return size - last > last // _STATE_SHARE

    def _require_live(self) -> None:
        """Refuse to go on from what the log's key has signed past, or otherwise."""
        standing, moved = self._store.standing, self._mark.away(self._replica.log)
        if moved is not None and standing == "live":
            # The move ended half-way, or this is a copy from before it.
            self._finish_move(moved)
        if moved is not None or standing == "moved":
            raise LedgerMoved("this ledger was moved; it goes on somewhere else")
        if standing == "copy":
            raise LedgerIsBackup("this is a backup or a mirror; restore it before it goes on")
        self._replica.require_reached(self._mark.require(self._replica.log))

    def _finish_move(self, note: str) -> None:
        """Take the last step of a move, so that it can be exported; not in an older copy."""
        if open_moved(note, self._replica.log).checkpoint == self._replica.newest:
            self._store.stand("moved", note)

    def _settle(self) -> None:
        """Raise the mark, then publish; both only ever catch up with what is committed."""
        size = self._replica.tree.size
        if self._settled == size:
            return
        notes = self._store.checkpoints(min(self._published + 1, size))
        self._mark.write(self._replica.log, notes[size])
        self._publication.publish(
            self._replica.tree, self._store.data, notes, notes[size], self._published
        )
        self._settled = self._published = size

    def _published_before(self) -> int:
        """Return the size that is published already, 0 where that cannot be told."""
        note = self._publication.note()
        if note is None:
            return 0
        try:
            reader = self._publication.reader(self._replica.log, note)
        except BadNote:
            return 0
        self._replica.require_reached(reader.checkpoint)
        return reader.checkpoint.size


def changed(before: Map[str, int], after: Map[str, int]) -> dict[str, int]:
    """Return what is new or different in a mapping."""
    if before is after:
        return {}
    return {key: value for key, value in after.items() if before.get(key) != value}
