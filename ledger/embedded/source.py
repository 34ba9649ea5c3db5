"""Where the entries and blobs of a log can be had from: an export, or what a ledger publishes."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator
from pathlib import Path

from circuits.encoding import parse_canonical, read_bytes
from circuits.errors import CorruptedArtefact, MissingArtefact
from ledger.embedded.blobs import BLOBS
from ledger.embedded.publish import FOLDER
from ledger.embedded.tiles import CHECKPOINT, Fetch, TileReader, Tiles
from ledger.entries import blob_digest
from ledger.envelope import SignedEntry
from ledger.errors import BadNote, LedgerCorrupt, MissingBlob
from ledger.tlog.note import Checkpoint, Note, VerifierKey

CHECKPOINTS = "checkpoints"
MOVED = "moved"


class Source:
    """The files of a log. Nothing in them is believed but what its key has signed for.

    Parameters
    ----------
    fetch : Fetch
        Returns a file of an export.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path) -> Iterator[Source]:
        """Open what was exported to a folder or a tar file, or the folder of a ledger.

        Raises
        ------
        MissingArtefact
            If there is nothing.
        CorruptedArtefact
            If it is a file, and no tar file.
        """
        if path.is_dir():
            yield cls(_from_folder(path))
            return
        try:
            with tarfile.open(path, "r:") as archive:
                yield cls(_from_tar(archive))
        except FileNotFoundError:
            raise MissingArtefact(f"{path} does not exist", path=str(path)) from None
        except tarfile.TarError as error:
            raise CorruptedArtefact(f"{path} is no export: {error}", path=str(path)) from None

    def key(self) -> VerifierKey:
        """Return the key that the log itself says it has, which proves nothing.

        Raises
        ------
        BadNote, LedgerCorrupt, MalformedEntry
            If it says none.
        """
        checkpoint = Checkpoint.parse(Note.parse(self._text(CHECKPOINT)).text)
        if checkpoint.size == 0:
            raise BadNote("the log is empty")
        genesis = SignedEntry.decode(next(Tiles(self._fetch, checkpoint.size).entries()))
        return VerifierKey(checkpoint.origin, genesis.signer)

    def reader(self, log: VerifierKey) -> TileReader:
        """Return a reader of the tiles, for the log with a key."""
        return TileReader(self._fetch, log)

    def checkpoints(self) -> list[str]:
        """Return the older checkpoints that came along, not verified.

        Raises
        ------
        CorruptedArtefact
            If their file is something else.
        """
        try:
            data = self._fetch(CHECKPOINTS)
        except MissingArtefact:
            return []
        notes = parse_canonical(data, CHECKPOINTS)
        if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
            raise CorruptedArtefact(f"{CHECKPOINTS} is not a list of notes")
        return notes

    def moved(self) -> str | None:
        """Return the note by which the log says that it was moved; None if it was not."""
        try:
            return self._text(MOVED)
        except MissingArtefact:
            return None

    def blob(self, digest: str) -> bytes:
        """Return a blob.

        Raises
        ------
        MissingBlob
            If it did not come along.
        LedgerCorrupt
            If its bytes are others.
        """
        try:
            data = self._fetch(f"{BLOBS}/{digest}")
        except MissingArtefact:
            raise MissingBlob(f"blob {digest} is not there either", digest=digest) from None
        if blob_digest(data) != digest:
            raise LedgerCorrupt(f"blob {digest} has digest {blob_digest(data)}", digest=digest)
        return data

    def _text(self, path: str) -> str:
        return self._fetch(path).decode(errors="replace")


def _from_folder(folder: Path) -> Fetch:
    # A ledger keeps its blobs beside what it publishes, an export among it.
    published = folder / FOLDER

    def fetch(path: str) -> bytes:
        inside = published.is_dir() and not path.startswith(f"{BLOBS}/")
        return read_bytes((published if inside else folder) / path, "file")

    return fetch


def _from_tar(archive: tarfile.TarFile) -> Fetch:
    def fetch(path: str) -> bytes:
        try:
            member = archive.extractfile(path)
        except KeyError:
            raise MissingArtefact(f"{path} is not in the archive", path=path) from None
        if member is None:
            raise MissingArtefact(f"{path} in the archive is no file", path=path)
        return member.read()

    return fetch
