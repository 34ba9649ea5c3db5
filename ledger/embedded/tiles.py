"""The log as static files, exactly as C2SP tlog-tiles lays them out; any web server can serve them.

    checkpoint                          the newest signed checkpoint
    tile/<L>/<N>[.p/<W>]                256 (or W) hashes of level 8 L of the Merkle tree
    tile/entries/<N>[.p/<W>]            as many entries, each behind its length in 16 bits

A tile never changes once written: a checkpoint is signed for its content. A partial tile may be
removed when the full one is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from circuits.encoding import DIGEST_BYTES, read_bytes
from circuits.errors import CorruptedArtefact, MissingArtefact
from circuits.merkle import leaf_hash
from ledger.embedded.tree import Tree
from ledger.errors import LedgerCorrupt
from ledger.tlog.note import Checkpoint, VerifierKey

WIDTH = 256
CHECKPOINT = "checkpoint"
_HEIGHT = 8
_LENGTH_BYTES = 2
_BUNDLE_BYTES = WIDTH * (_LENGTH_BYTES + 65_535)
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)

Fetch = Callable[[str], bytes]
"""Returns the file at a path of the layout above; raises `MissingArtefact` where there is none."""


@dataclass(frozen=True, order=True)
class Tile:
    """Name of a tile.

    Attributes
    ----------
    level : int
        Level of a tile of hashes; -1 for a bundle of entries.
    index : int
        Number of the tile in its level.
    width : int
        How many of its 256 places are filled.
    """

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The tile's path, relative to the prefix of the log."""
        digits = f"{self.index:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        *parents, last = (digits[i : i + 3] for i in range(0, len(digits), 3))
        number = "/".join([*(f"x{part}" for part in parents), last])
        kind = "entries" if self.level < 0 else str(self.level)
        return f"tile/{kind}/{number}" + (f".p/{self.width}" if self.width < WIDTH else "")

    @classmethod
    def parse(cls, path: str) -> Tile | None:
        """Read a path; None for anything that is not exactly the path of a tile."""
        match = _PATH.fullmatch(path)
        if match is None:
            return None
        level = -1 if match[1] == "entries" else int(match[1])
        index = int(match[2].replace("x", "").replace("/", "") + match[3])
        tile = cls(level, index, int(match[4] or WIDTH))
        # Not with leading zeroes, not of width 256 or more where the path says it is partial.
        return tile if tile.path == path and level < 64 else None

    @property
    def full(self) -> Tile:
        """The same tile when it is full."""
        return Tile(self.level, self.index)

    @property
    def start(self) -> int:
        """Index of the first node, or entry, on its level."""
        return self.index * WIDTH

    @property
    def node_level(self) -> int:
        """Level of the Merkle tree whose nodes the tile has."""
        return _HEIGHT * max(self.level, 0)


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """List the tiles of a log of `size` entries that one of `since` entries did not have."""
    for level in range(-1, 64):
        shift = _HEIGHT * max(level, 0)
        old, new = since >> shift, size >> shift
        if new == 0:
            return
        if new > old:
            for index in range(old // WIDTH, -(-new // WIDTH)):
                yield Tile(level, index, min(WIDTH, new - index * WIDTH))


def content(tile: Tile, tree: Tree, entries: Sequence[bytes]) -> bytes:
    """Return a tile's bytes; `entries` are those of a bundle, and not looked at for others."""
    if tile.level < 0:
        return b"".join(len(e).to_bytes(_LENGTH_BYTES, "big") + e for e in entries)
    return tree.nodes(tile.node_level, tile.start, tile.start + tile.width)


def decode_bundle(data: bytes, tile: Tile) -> list[bytes]:
    """Return the entries of a bundle.

    Raises
    ------
    LedgerCorrupt
        If it has not exactly as many as its name says.
    """
    found: list[bytes] = []
    place = 0
    while place + _LENGTH_BYTES <= len(data) and len(found) < tile.width:
        end = place + _LENGTH_BYTES + int.from_bytes(data[place : place + _LENGTH_BYTES], "big")
        found.append(data[place + _LENGTH_BYTES : end])
        place = end
    if place != len(data) or len(found) != tile.width:
        raise LedgerCorrupt(f"{tile.path} has not {tile.width} whole entries", tile=tile.path)
    return found


def folder_fetch(folder: Path) -> Fetch:
    """Return what reads the tiles of a folder."""

    def fetch(path: str) -> bytes:
        return read_bytes(folder / path, "tile", _BUNDLE_BYTES)

    return fetch


class Tiles:
    """The tiles of somebody's log, not checked against anything.

    Parameters
    ----------
    fetch : Fetch
        Where the files come from.
    size : int
        Number of entries.
    """

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self.size = size

    def entries(self, start: int = 0) -> Iterator[bytes]:
        """Give the entries from `start` on.

        Raises
        ------
        LedgerCorrupt
            If a bundle is missing or malformed.
        """
        for index in range(start // WIDTH, -(-self.size // WIDTH)):
            tile = Tile(-1, index, min(WIDTH, self.size - index * WIDTH))
            found = decode_bundle(self.get(tile), tile)
            yield from found[max(0, start - tile.start) :]

    def get(self, tile: Tile) -> bytes:
        """Return the tile, or as much of the full one; a partial tile may have been removed.

        Raises
        ------
        LedgerCorrupt
            If it is missing or too large.
        """
        for candidate in dict.fromkeys((tile, tile.full)):
            try:
                data = self._fetch(candidate.path)
            except MissingArtefact:
                continue
            except CorruptedArtefact as error:
                raise LedgerCorrupt(f"{candidate.path}: {error.message}") from None
            if candidate == tile:
                return data
            if tile.level >= 0:
                return data[: tile.width * DIGEST_BYTES]
            return content(tile, Tree(), decode_bundle(data, candidate)[: tile.width])
        raise LedgerCorrupt(f"{tile.path} is missing", tile=tile.path)


class TileReader(Tiles):
    """Reads somebody's tiles and believes only what hashes to a signed checkpoint.

    Parameters
    ----------
    fetch : Fetch
        Where the files come from.
    key : VerifierKey
        The log's key.
    note : str, optional
        The published checkpoint, if it was fetched before.

    Attributes
    ----------
    note : str
        The published checkpoint, whose signature holds.
    checkpoint : Checkpoint
        What it says.

    Raises
    ------
    MissingArtefact
        If nothing is published.
    BadNote
        If the checkpoint is not one that the log signed.
    """

    def __init__(self, fetch: Fetch, key: VerifierKey, note: str | None = None) -> None:
        self.note = fetch(CHECKPOINT).decode(errors="replace") if note is None else note
        self.checkpoint = Checkpoint.open(self.note, key)
        super().__init__(fetch, self.checkpoint.size)

    def rebuild(self) -> tuple[Tree, list[bytes]]:
        """Read everything, and check every tile and the checkpoint against the entries.

        Raises
        ------
        LedgerCorrupt
            Naming the first tile that is missing or wrong.
        """
        tree, entries = Tree(), list(self.entries())
        for entry in entries:
            tree.append(leaf_hash(entry))
        for tile in tiles_of(self.size):
            if tile.level >= 0 and self.get(tile) != content(tile, tree, ()):
                raise LedgerCorrupt(f"{tile.path} is not that of the entries", tile=tile.path)
        if tree.root() != self.checkpoint.root:
            raise LedgerCorrupt("the published entries are not those of the published checkpoint")
        return tree, entries


def required(sizes: Iterable[int], size: int, since: int = 0) -> set[Tile]:
    """Return the tiles that checkpoints of `sizes` need, where the log has `size` entries.

    Somebody who holds an older checkpoint may fetch the partial tiles of its size, unless the
    full ones are there. What a log of `since` entries had already is left out.
    """
    found: set[Tile] = set()
    for signed in sorted({*sizes, size}):
        for tile in tiles_of(signed, since):
            full = (tile.index + 1) * WIDTH <= size >> tile.node_level
            found.add(tile.full if full else tile)
        since = signed
    return found
