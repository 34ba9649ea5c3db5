"""Large artefacts beside the log, each under its digest in a folder."""

from __future__ import annotations

from pathlib import Path

from circuits.encoding import is_hex, read_bytes, sync_folder, write_atomic
from circuits.errors import CorruptedArtefact, MissingArtefact
from ledger.entries import blob_digest
from ledger.errors import LedgerCorrupt, MissingBlob, StorageFailed

BLOBS = "blobs"
"""Name of their folder, in a ledger and in what is exported of one."""


class Blobs:
    """Bytes that entries name by digest; checked whenever they are read."""

    def __init__(self, ledger: Path) -> None:
        self._folder = ledger / BLOBS

    @classmethod
    def create(cls, ledger: Path) -> None:
        """Make the folder for the blobs of the ledger in folder `ledger`, durably.

        Raises
        ------
        StorageFailed
            If it cannot be made.
        """
        try:
            cls(ledger)._folder.mkdir(parents=True, exist_ok=True)
            sync_folder(ledger)
            sync_folder(ledger.parent)
        except OSError as error:
            raise StorageFailed(f"{ledger} cannot be written: {error}") from error

    def put(self, data: bytes) -> str:
        """Keep `data` durably and return its digest; to be done before an entry names it.

        Raises
        ------
        StorageFailed
            If it cannot be written.
        """
        name = blob_digest(data)
        try:
            self.get(name)
        except (MissingBlob, LedgerCorrupt):
            try:
                write_atomic(self._folder / name, data)
            except OSError as error:
                raise StorageFailed(f"blob {name} cannot be written: {error}") from error
        return name

    def get(self, name: str) -> bytes:
        """Return the blob of a digest.

        Raises
        ------
        MissingBlob
            If it is not there.
        LedgerCorrupt
            If its bytes are others.
        """
        # Also keeps names from leaving the folder.
        if not is_hex(name, 32):
            raise MissingBlob(f"{name!r} is not a digest")
        try:
            data = read_bytes(self._folder / name, "blob")
        except (MissingArtefact, CorruptedArtefact) as error:
            raise MissingBlob(error.message, digest=name) from None
        if blob_digest(data) != name:
            raise LedgerCorrupt(f"blob {name} has digest {blob_digest(data)}", digest=name)
        return data

    def names(self) -> set[str]:
        """Return the digests of all blobs that are there."""
        return {path.name for path in self._folder.iterdir() if is_hex(path.name, 32)}

    def clean(self) -> None:
        """Remove what interrupted writes have left; only where nobody else writes."""
        for path in self._folder.glob(".*"):
            path.unlink(missing_ok=True)
