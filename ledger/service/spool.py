"""Where blobs wait for the entry that names them, and submissions for their verification.

A folder beside the log. What is in it was acknowledged, so it is durable; but none of it is on
the ledger, and whatever no entry names is thrown away in time. Each identity has its own folder
and its own quota. For one thread: that of the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from circuits.encoding import sync_folder, write_atomic
from ledger.errors import StorageFailed
from ledger.service.config import Limits
from ledger.service.errors import Overloaded, QuotaSpent, TooLarge
from ledger.service.room import require_free

_LOOK_BYTES = 1 << 20
_BLOBS, _SUBMISSIONS = "blobs", "submissions"
_TAG = b"zkpot/blob"


def blob_hasher() -> hashlib._Hash:
    """Return a hash that gives `blob_digest` of what it is fed piece by piece."""
    return hashlib.sha256(len(_TAG).to_bytes(2, "big") + _TAG)


@dataclass(frozen=True)
class Waiting:
    """A submission that was taken and is not decided.

    Attributes
    ----------
    name : str
        Digest of its entry.
    entry : bytes
        The signed entry.
    tries : int
        How often a verification of it was begun; each that was not also ended took the service
        down with it, or was cut off when it stopped.
    """

    name: str
    entry: bytes
    tries: int


class Upload:
    """A blob on its way in; use `Spool.upload`."""

    def __init__(self, spool: Spool, identity: str, path: Path, stream: IO[bytes]) -> None:
        self._spool = spool
        self.identity = identity
        self._path = path
        self._stream = stream
        self._hash = blob_hasher()
        self.content = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Add to it.

        Raises
        ------
        TooLarge, QuotaSpent, Overloaded
            If it gets larger than a blob, the identity's quota, or the disk allows.
        """
        self._spool.charge(self.identity, self.size, len(piece))
        self.size += len(piece)
        self._hash.update(piece)
        self.content.update(piece)
        self._stream.write(piece)

    @property
    def digest(self) -> str:
        """Blob digest of what has come in."""
        return self._hash.hexdigest()

    def store(self) -> int:
        """Give it its name, durably; return the size of what had that name before."""
        final = self._path.parent / self.digest
        with _translated():
            self._stream.flush()
            os.fsync(self._stream.fileno())
            replaced = final.stat().st_size if final.exists() else 0
            self._path.replace(final)
            sync_folder(final.parent)
        return replaced


class Spool:
    """The folder.

    Parameters
    ----------
    folder : pathlib.Path
        Where it is, or is made.
    limits : Limits
        Sizes and ages.

    Attributes
    ----------
    needed : callable
        Returns identity and digest of the blobs that may not be thrown away.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._blobs = folder / _BLOBS
        self._submissions = folder / _SUBMISSIONS
        self._limits = limits
        self._used: Counter[str] = Counter()
        self.needed: Callable[[], set[tuple[str, str]]] = set
        with _translated():
            for part in (self._blobs, self._submissions):
                part.mkdir(parents=True, exist_ok=True)
            for path in self._blobs.glob("*/*"):
                # What was on its way in when the service was killed.
                if path.name.startswith("."):
                    path.unlink()
                else:
                    self._used[path.parent.name] += path.stat().st_size

    def used(self, identity: str) -> int:
        """Return the bytes that an identity has here."""
        return self._used[identity]

    def charge(self, identity: str, size: int, more: int) -> None:
        """Count bytes of a blob that had `size` against its identity's quota."""
        limits = self._limits
        if size + more > limits.blob_bytes:
            raise TooLarge(f"a blob has at most {limits.blob_bytes} bytes")
        if self._used[identity] + more > limits.spool_bytes:
            raise QuotaSpent(
                f"{identity} has {self._used[identity]} bytes that no entry names, of "
                f"{limits.spool_bytes}",
                limits.spool_seconds,
            )
        if size // _LOOK_BYTES != (size + more) // _LOOK_BYTES:
            require_free(self._blobs, limits)
        while self._used.total() + more > limits.spool_total:
            if not self._make_room(identity):
                raise Overloaded("the service has too many bytes that no entry names", 60)
        self._used[identity] += more

    def _make_room(self, identity: str) -> bool:
        """Throw away the oldest blob of who has most; False if that is the one who asks."""
        needed = self.needed()
        for who, _ in self._used.most_common():
            if who == identity:
                return False
            found = [
                path for path in (self._blobs / who).glob("[!.]*") if (who, path.name) not in needed
            ]
            if found:
                self.discard(who, min(found, key=lambda path: path.stat().st_mtime).name)
                return True
        return False

    @contextlib.contextmanager
    def upload(self, identity: str) -> Iterator[Upload]:
        """Take in a blob; it is there for good only after `keep`."""
        require_free(self._blobs, self._limits)
        folder = self._blobs / identity
        with _translated():
            folder.mkdir(exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".", dir=folder)
        path, upload = Path(name), None
        try:
            with os.fdopen(handle, "wb") as stream:
                upload = Upload(self, identity, path, stream)
                yield upload
        finally:
            if path.exists():
                path.unlink()
                if upload is not None:
                    self._used[identity] -= upload.size

    async def keep(self, upload: Upload) -> None:
        """Make a blob that has come in whole durable, under its digest."""
        replaced = await asyncio.to_thread(upload.store)
        self._used[upload.identity] -= replaced

    def find(self, identity: str, digest: str) -> Path | None:
        """Return the file of a blob, or None; the digest must be one."""
        path = self._blobs / identity / digest
        return path if path.is_file() else None

    def sizes(self, identity: str, digests: Iterable[str]) -> dict[str, int]:
        """Return the sizes of those of some blobs that are there."""
        found: dict[str, int] = {}
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                found[digest] = (self._blobs / identity / digest).stat().st_size
        return found

    def read(self, identity: str, digests: Iterable[str]) -> tuple[bytes, ...]:
        """Return those of some blobs that are there."""
        found: list[bytes] = []
        for digest in digests:
            with contextlib.suppress(FileNotFoundError):
                found.append((self._blobs / identity / digest).read_bytes())
        return tuple(found)

    def discard(self, identity: str, digest: str) -> None:
        """Throw a blob away, if it is there."""
        path = self._blobs / identity / digest
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            path.unlink()
            self._used[identity] -= size

    def sweep(self) -> None:
        """Throw away blobs that are too old, but for those that are needed."""
        needed = self.needed()
        oldest = time.time() - self._limits.spool_seconds
        for path in self._blobs.glob("*/[!.]*"):
            pair = (path.parent.name, path.name)
            with contextlib.suppress(FileNotFoundError):
                if pair not in needed and path.stat().st_mtime < oldest:
                    self.discard(*pair)
        for folder in self._blobs.iterdir():
            # Fails where something is in it, as it should.
            with contextlib.suppress(OSError):
                folder.rmdir()

    def enter(self, name: str, entry: bytes) -> None:
        """Keep a submission, durably, by the digest of its entry."""
        with _translated():
            write_atomic(self._submissions / name, entry)

    def begin(self, name: str, tries: int) -> None:
        """Note that a submission is verified for the time number `tries`."""
        with _translated():
            (self._submissions / f"{name}.tries").write_text(str(tries))

    def leave(self, name: str) -> None:
        """Forget a submission that is decided."""
        for path in (self._submissions / name, self._submissions / f"{name}.tries"):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def waiting(self) -> list[Waiting]:
        """Return the submissions that were entered and not left, oldest first."""
        with _translated():
            found = [p for p in self._submissions.iterdir() if "." not in p.name]
            found.sort(key=lambda path: path.stat().st_mtime_ns)
            return [Waiting(path.name, path.read_bytes(), self._tries(path.name)) for path in found]

    def _tries(self, name: str) -> int:
        try:
            return int((self._submissions / f"{name}.tries").read_text())
        except (OSError, ValueError):
            return 0


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"the service's folder cannot be used: {error}") from error
