"""The way back from a backup, or from any older copy of a ledger.

A backup is whole and consistent, and it is always old. So it opens to be read only, and becomes
the ledger again only where it is known what the log's key has signed since, and where that is
there too. Else entries that others hold receipts for would be gone, and others signed in their
place. What is missing can be filled up from what the newer copy has published.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from circuits.merkle import leaf_hash
from ledger.embedded.blobs import Blobs
from ledger.embedded.mark import Mark
from ledger.embedded.publish import Publication
from ledger.embedded.replica import Replica, believed
from ledger.embedded.source import Source
from ledger.embedded.store import Batch, Store
from ledger.embedded.writer import changed
from ledger.envelope import SignedEntry
from ledger.errors import BadKey, LedgerCorrupt, LedgerMoved, MissingBlob, NoMark
from ledger.keys import Signer
from ledger.rules import apply
from ledger.tlog.note import Checkpoint


def restore(
    folder: Path,
    signer: Signer,
    *,
    mark: Path | None = None,
    newest: str | None = None,
    source: Path | None = None,
) -> Checkpoint:
    """Make an older copy of a ledger the ledger again.

    Parameters
    ----------
    folder : pathlib.Path
        The copy.
    signer : Signer
        The log's key.
    mark : pathlib.Path, optional
        As for `Ledger.open`. Where it is lost, something else must say what the key has signed.
    newest : str, optional
        The newest checkpoint that is known elsewhere: from a witness, or a receipt.
    source : pathlib.Path, optional
        Where missing entries and blobs are taken from: what the newer copy has published, or an
        export of it.

    Returns
    -------
    Checkpoint
        From where the ledger goes on.

    Raises
    ------
    NoMark
        If nothing says what the key has signed.
    LedgerRolledBack
        If it has signed more than is here and in the source, or something else.
    LedgerMoved
        If the ledger was moved, so that it goes on somewhere else.
    MissingBlob
        If a missing entry names a blob that is nowhere.
    BadKey, BadNote, LedgerCorrupt
        If the key is not the log's, or anything does not hold.
    """
    with contextlib.closing(Store.open(folder)) as store, contextlib.ExitStack() as stack:
        files = None if source is None else stack.enter_context(Source.open(source))
        marked = Mark.of(folder, mark)
        stack.enter_context(marked.locked())
        replica = Replica(store, signer.public)
        replica.refresh()
        if signer.public != replica.state.operator:
            raise BadKey(f"{signer.public} is not the key of this log")
        if store.standing == "moved" or marked.away(replica.log) is not None:
            raise LedgerMoved("this ledger was moved; it goes on somewhere else")
        signed = [marked.read(replica.log)]
        if newest is not None:
            signed.append(Checkpoint.open(newest, replica.log))
        before = replica.tree.size
        note, batch = store.checkpoint_of(before - 1)[1], Batch([], {}, standing="live")
        if files is not None:
            reader = files.reader(replica.log)
            signed.append(reader.checkpoint)
            if reader.size > before:
                note, batch = reader.note, _missing(store, replica, files)
        known = [checkpoint for checkpoint in signed if checkpoint is not None]
        if not known:
            raise NoMark("nothing says what the log's key has signed; name its newest checkpoint")
        for checkpoint in known:
            replica.require_reached(checkpoint)
        store.commit(before, batch)
        marked.write(replica.log, note)
        notes = store.checkpoints()
        Publication.of(folder).publish(replica.tree, store.data, notes, note)
        return replica.newest


def _missing(store: Store, replica: Replica, files: Source) -> Batch:
    """Take what is missing into the replica, and return the transaction that does it on disk."""
    before, reader = replica.state, files.reader(replica.log)
    entries = list(reader.entries(before.size))
    frontier = replica.tree.frontier
    for data in entries:
        frontier = frontier.append(leaf_hash(data))
    if frontier.root != reader.checkpoint.root:
        raise LedgerCorrupt("the source's entries do not go on from here to its checkpoint")
    for data in entries:
        entry = SignedEntry.decode(data)
        state = apply(replica.state, entry, believed(entry))
        keep_blobs(store.blobs, entry, files)
        replica.add(entry, leaf_hash(data), state)
    after = replica.state
    return Batch(
        entries,
        {after.size: reader.note},
        changed(before.nullifiers, after.nullifiers),
        changed(before.balances, after.balances),
        {after.size: after.digest},
        "live",
    )


def keep_blobs(blobs: Blobs, entry: SignedEntry, files: Source) -> None:
    """Take the blobs that an entry names from a source, as far as they are not here."""
    for name in entry.body.blobs:
        try:
            blobs.get(name)
        except MissingBlob:
            blobs.put(files.blob(name))
