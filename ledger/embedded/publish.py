"""Writes the static tiles of a log, and checks what was written.

Published is what the log has signed and committed, never more: tiles first, then the checkpoint
that they belong to. A process that ends in between leaves tiles that the next one finds right.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from circuits.encoding import write_atomic
from circuits.errors import MissingArtefact
from ledger.embedded.tiles import (
    CHECKPOINT,
    WIDTH,
    Tile,
    TileReader,
    content,
    folder_fetch,
    required,
    tiles_of,
)
from ledger.embedded.tree import Tree
from ledger.errors import LedgerCorrupt, StorageFailed
from ledger.tlog.note import VerifierKey

FOLDER = "tlog"

ReadEntries = Callable[[int, int], Sequence[bytes]]
"""Returns a number of entries from an index on."""


class Publication:
    """Published tiles.

    Attributes
    ----------
    folder : pathlib.Path
        Where they are; what to serve as the log's prefix.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, ledger: Path) -> Publication:
        """Return what the ledger in a folder publishes."""
        return cls(ledger / FOLDER)

    def note(self) -> str | None:
        """Return the published checkpoint as it is; None if there is none."""
        try:
            return folder_fetch(self.folder)(CHECKPOINT).decode(errors="replace")
        except MissingArtefact:
            return None

    def reader(self, key: VerifierKey, note: str) -> TileReader:
        """Return a reader of what was published when `note` was the checkpoint.

        Raises
        ------
        BadNote
            If the log with this key did not sign it.
        """
        return TileReader(folder_fetch(self.folder), key, note)

    def publish(
        self, tree: Tree, entries: ReadEntries, sizes: Iterable[int], note: str, since: int = 0
    ) -> None:
        """Write what is missing of the tiles of a tree, and then its checkpoint.

        Parameters
        ----------
        tree : Tree
            All of the log.
        entries : ReadEntries
            Where the entries of bundles come from.
        sizes : iterable of int
            Sizes that checkpoints were signed for, as far as they are larger than `since`.
        note : str
            Checkpoint of the whole tree.
        since : int, optional
            The size that is published already.

        Raises
        ------
        LedgerCorrupt
            If another tile is there already: it is not replaced, since somebody may have it.
        StorageFailed
            If something cannot be written.
        """
        wanted = sorted(required(sizes, tree.size, since))
        try:
            for tile in wanted:
                self._write(tile, self._content(tile, tree, entries))
            if self.note() != note:
                write_atomic(self.folder / CHECKPOINT, note.encode())
            for tile in wanted:
                if tile.width == WIDTH:
                    self._remove_partial(tile)
        except OSError as error:
            raise StorageFailed(f"the tiles cannot be published: {error}") from error

    def prune(self, size: int) -> None:
        """Remove the partial tiles that only checkpoints smaller than `size` need."""
        for tile in self._present(size) - set(tiles_of(size)):
            (self.folder / tile.path).unlink()

    def clean(self) -> None:
        """Remove what interrupted writes have left; only where nobody else writes."""
        for path in self.folder.rglob(".*"):
            path.unlink(missing_ok=True)

    def check(
        self, reader: TileReader, tree: Tree, entries: ReadEntries, notes: Mapping[int, str]
    ) -> None:
        """Compare every published file with the log.

        Parameters
        ----------
        reader : TileReader
            Of this folder, made before the log was read: it may have grown since.
        tree, entries :
            As for `publish`.
        notes : mapping of int to str
            The log's checkpoints by size.

        Raises
        ------
        LedgerCorrupt
            Naming the first file that is missing or wrong.
        """
        size = reader.checkpoint.size
        if reader.note != notes.get(size):
            raise LedgerCorrupt(f"the published checkpoint is not that of {size} entries")
        wanted = required((signed for signed in notes if signed <= size), size)
        for tile in sorted(wanted | self._present(size)):
            if reader.get(tile) != self._content(tile, tree, entries):
                raise LedgerCorrupt(f"{tile.path} is not that of the entries", tile=tile.path)

    def _present(self, size: int) -> set[Tile]:
        """Return the tiles that are there, wanted or not, as far as a log of `size` fills them."""
        found: set[Tile] = set()
        for path in self.folder.rglob("*"):
            tile = Tile.parse(path.relative_to(self.folder).as_posix())
            if tile is not None and tile.start + tile.width <= size >> tile.node_level:
                found.add(tile)
        return found

    def _content(self, tile: Tile, tree: Tree, entries: ReadEntries) -> bytes:
        return content(tile, tree, entries(tile.start, tile.width) if tile.level < 0 else ())

    def _write(self, tile: Tile, data: bytes) -> None:
        path = self.folder / tile.path
        if not path.exists():
            write_atomic(path, data)
        elif path.read_bytes() != data:
            raise LedgerCorrupt(f"{tile.path} is published with other content", tile=tile.path)

    def _remove_partial(self, tile: Tile) -> None:
        path = self.folder / tile.path
        shutil.rmtree(path.with_name(path.name + ".p"), ignore_errors=True)
