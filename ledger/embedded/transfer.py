"""A whole ledger as files that anyone can check, and a ledger made of such files.

What is exported is what is published, C2SP tlog-tiles, and beside it

    blobs/<digest>     what the entries name
    checkpoints        all checkpoints so far, so that receipts stay the same
    moved              if it goes on elsewhere: the log's word that it signs nothing more here

An export that says it was moved is to be imported once. Each mark takes a move once, so that
nothing goes on where the log was moved from, and no older move counts after a later one. But it
names no destination: two hosts with a mark of their own each could both import it, and that they
sign two histories then is for witnesses to see.
"""

from __future__ import annotations

import contextlib
import os
import tarfile
import tempfile
from pathlib import Path

from circuits.encoding import canonical_json, sync_folder, write_atomic
from ledger.embedded.backup import keep_blobs
from ledger.embedded.blobs import Blobs
from ledger.embedded.mark import Mark
from ledger.embedded.moved import open_moved
from ledger.embedded.publish import Publication
from ledger.embedded.replica import Replica, believed, require_reached
from ledger.embedded.source import CHECKPOINTS, MOVED, Source
from ledger.embedded.store import Batch, Store
from ledger.embedded.tree import Tree
from ledger.envelope import SignedEntry
from ledger.errors import BadKey, LedgerCorrupt, NoMark, StorageFailed
from ledger.keys import Signer
from ledger.rules import apply
from ledger.state import State
from ledger.tlog.note import Checkpoint, VerifierKey

_TAR = ".tar"


def export(store: Store, replica: Replica, to: Path) -> None:
    """Write a log and its blobs to a folder or, if it is called .tar, to a file.

    An earlier export of the same log in the same folder is brought up to date.

    Raises
    ------
    LedgerCorrupt
        If a blob is damaged, or the folder has an export of another log.
    MissingBlob
        If one is missing.
    StorageFailed
        If it cannot be written.
    """
    try:
        if to.suffix != _TAR:
            _write(store, replica, to)
            return
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as scratch:
            folder, archive = Path(scratch) / "files", Path(scratch) / to.name
            _write(store, replica, folder)
            _pack(folder, archive)
            archive.replace(to)
        sync_folder(to.parent)
    except OSError as error:
        raise StorageFailed(f"{to} cannot be written: {error}") from error


def _write(store: Store, replica: Replica, folder: Path) -> None:
    tree = replica.tree
    notes = {size: note for size, note in store.checkpoints().items() if size <= tree.size}
    Blobs.create(folder)
    kept = Blobs(folder)
    for data in store.data(0, tree.size):
        for name in SignedEntry.decode(data).body.blobs:
            kept.put(store.blobs.get(name))
    write_atomic(folder / CHECKPOINTS, canonical_json(list(notes.values())))
    if store.moved_note:
        write_atomic(folder / MOVED, store.moved_note.encode())
    # Last of all, with the checkpoint at its end: without one it is no export. Nobody is still
    # reading an export at an older checkpoint, so it has the tiles of the newest alone.
    publication = Publication(folder)
    publication.publish(tree, store.data, [], notes[tree.size])
    publication.prune(tree.size)


def _pack(folder: Path, archive: Path) -> None:
    """Write a tar file, the same for the same files."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(archive, "w") as target:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            target.add(path, path.relative_to(folder).as_posix(), filter=plain)
    with archive.open("rb") as stream:
        os.fsync(stream.fileno())


def import_(
    source: Path,
    to: Path,
    signer: Signer | None = None,
    *,
    mark: Path | None = None,
    log: VerifierKey | None = None,
) -> Checkpoint:
    """Make a ledger of an export, having checked all but its proofs; these an audit verifies.

    Parameters
    ----------
    source : pathlib.Path
        What was exported: a folder or a tar file.
    to : pathlib.Path
        Folder of the new ledger.
    signer : Signer, optional
        The log's key, if the ledger is to go on here; else it is a mirror, to be read.
    mark : pathlib.Path, optional
        As for `Ledger.open`.
    log : VerifierKey, optional
        The log's key as published elsewhere; without it the export is taken at its word.

    Returns
    -------
    Checkpoint
        The newest one.

    Raises
    ------
    NoMark
        If it is to go on here, but nothing says that it does not where it came from: neither
        was it moved, nor is the mark of its key here.
    LedgerRolledBack
        If the log's key has signed for more than was exported, or something else.
    LedgerMoved
        If it was moved away from here, by the mark, and this is not the import of that move.
    LedgerExists
        If there is a ledger in `to`.
    BadKey, BadNote, MissingBlob, LedgerCorrupt, EntryRefused
        If anything does not hold.
    """
    Store.require_none(to)
    with Source.open(source) as files, contextlib.ExitStack() as stack:
        key = log or files.key()
        if signer is not None and signer.public != key.public:
            raise BadKey(f"{signer.public} is not the key of log {key}")
        reader = files.reader(key)
        tree, entries = reader.rebuild()
        notes = {reader.size: reader.note, **_checked(files, tree, key)}
        state, blobs = State(), Blobs(to)
        Blobs.create(to)
        for index, data in enumerate(entries):
            entry = SignedEntry.decode(data)
            state = apply(state, entry, believed(entry))
            if index == 0 and VerifierKey(state.origin, state.operator) != key:
                raise LedgerCorrupt(f"this is no ledger of {key}")
            keep_blobs(blobs, entry, files)
        if signer is not None:
            marked = Mark.of(to, mark)
            stack.enter_context(marked.locked())
            move = _require_ours(files, tree, key, marked)
            if move is None:
                marked.write(key, reader.note)
            else:
                marked.take(key, reader.note, move)
        batch = Batch(
            entries,
            notes,
            dict(state.nullifiers),
            dict(state.balances),
            {state.size: state.digest},
            "live" if signer is not None else "copy",
        )
        Store.create(to, batch)
        if signer is not None:
            Publication.of(to).publish(
                tree, lambda start, count: entries[start : start + count], notes, reader.note
            )
    return reader.checkpoint


def _checked(files: Source, tree: Tree, key: VerifierKey) -> dict[int, str]:
    """Return the older checkpoints, each of which must be that of a prefix."""
    notes: dict[int, str] = {}
    for note in files.checkpoints():
        checkpoint = Checkpoint.open(note, key)
        require_reached(tree, checkpoint)
        notes[checkpoint.size] = note
    return notes


def _require_ours(files: Source, tree: Tree, key: VerifierKey, mark: Mark) -> str | None:
    """Refuse to go on with a log that may still go on elsewhere; return by what it was moved."""
    known, note = mark.read(key), files.moved()
    if note is not None:
        moved = open_moved(note, key).checkpoint
        require_reached(tree, moved)
        if moved.size != tree.size:
            raise LedgerCorrupt("the log went on after it was moved")
    elif known is None:
        raise NoMark(
            "the ledger may go on where it came from: move it from there, or bring the mark of "
            "its key"
        )
    if known is not None:
        require_reached(tree, known)
    return note
