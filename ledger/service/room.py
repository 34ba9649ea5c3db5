"""How much of the disk entries may take up: what they name is kept for ever."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from ledger.entries import DataRegister, PredictionAttest, ProofSubmit
from ledger.envelope import SignedEntry
from ledger.errors import StorageFailed
from ledger.service.catalogue import Catalogue
from ledger.service.config import Limits
from ledger.service.errors import StorageFull, StorageSpent, TooLarge

_RETRY_SECONDS = 600.0


def require_free(folder: Path, limits: Limits) -> None:
    """Refuse more blobs where the disk is nearly full: entries must still have room.

    Raises
    ------
    StorageFull
        If it is.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StorageFailed(f"the service's folder cannot be used: {error}") from error
    if free < limits.free_bytes:
        raise StorageFull("the service takes no blobs now: its disk is nearly full", _RETRY_SECONDS)


def require_documents(entry: SignedEntry, sizes: Mapping[str, int], limits: Limits) -> None:
    """Refuse documents that are as large as only a proof may be.

    Raises
    ------
    TooLarge
        If one of the blobs is.
    """
    proof = _proof(entry)
    for name, size in sizes.items():
        if name != proof and size > limits.document_bytes:
            raise TooLarge(f"blob {name} has {size} bytes, of {limits.document_bytes}")


def require_room(
    entry: SignedEntry, sizes: Mapping[str, int], limits: Limits, catalogue: Catalogue
) -> None:
    """Refuse an entry that names more new bytes than may be kept.

    Entries of one identity that arrive together are each held against what is on the log: they
    may have as much more as blobs can wait, but no more than that.

    Parameters
    ----------
    entry : SignedEntry
        The entry.
    sizes : mapping of str to int
        Sizes of its blobs, as far as its author has put them.
    limits : Limits
        What may be kept.
    catalogue : Catalogue
        What is.

    Raises
    ------
    StorageSpent
        If its author has too much.
    StorageFull
        If all together have.
    """
    more = sum(size for name, size in sizes.items() if not catalogue.names_blob(name))
    own, total = catalogue.kept(entry.signer)
    if more and own + more > limits.kept_of_one:
        raise StorageSpent(
            f"entries of {entry.signer} name {own} bytes, of {limits.kept_of_one} that are kept"
        )
    if more and total + more > limits.kept_total:
        raise StorageFull("the service keeps as many bytes as it may", _RETRY_SECONDS)


def _proof(entry: SignedEntry) -> str:
    match entry.body:
        case ProofSubmit(bundle=name) | DataRegister(well_formed=name):
            return name
        case PredictionAttest(evidence=name):
            return name
    return ""
