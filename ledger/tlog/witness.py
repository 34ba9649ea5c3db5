"""A witness: cosigns a log's checkpoints, and only ones that go on from what it has seen.

It never cosigns two roots of one size, nor a size below one it has recorded. What it promises is
durable before it is signed: a process that is killed anywhere has at most recorded a checkpoint
that it did not cosign, and the log asks again. Two processes on one folder take turns.

A folder restored from a backup has forgotten promises, and the witness would break them. Make a
new witness, with a new key, instead.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from circuits.encoding import (
    canonical_json,
    is_hex,
    json_digest,
    parse_canonical,
    read_bytes,
    sync_folder,
    write_atomic,
)
from circuits.errors import ArtefactError, MissingArtefact, ProofRejected
from circuits.merkle import EMPTY_ROOT, verify_consistency
from ledger.errors import (
    BadEvidence,
    BadKey,
    BadNote,
    BadWitnessRequest,
    LedgerCorrupt,
    LedgerExists,
    LedgerMissing,
    NotConsistent,
    NotSignedByLog,
    StorageFailed,
    UnknownLog,
    WitnessConflict,
)
from ledger.keys import Signer
from ledger.tlog.cosignature import cosign
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Checkpoint, Note, VerifierKey

_MARKER = "witness"
_LOCK = "lock"
_STATE_VERSION = 1


@dataclass(frozen=True)
class _Record:
    """What is durable of a log: the last checkpoint promised, and when.

    The note has the log's signatures, against which evidence can be held.
    """

    note: str
    time: int

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint.parse(Note.parse(self.note).text)

    def encode(self) -> bytes:
        content = {"version": _STATE_VERSION, "note": self.note, "time": self.time}
        return canonical_json({**content, "digest": json_digest("witness-record", content)})

    @classmethod
    def decode(cls, data: bytes, path: Path) -> _Record:
        try:
            value = parse_canonical(data, "witness record")
            record = cls(value["note"], value["time"])
            intact = record.encode() == data
        except (ArtefactError, KeyError, TypeError):
            intact = False
        # A record that cannot be read is no record of nothing: the promise was made.
        if not intact:
            raise LedgerCorrupt(f"record {path} of the witness is damaged", path=str(path))
        return record


def _now() -> int:
    return int(time.time())


class Witness:
    """A witness with its key and what it has promised.

    Parameters
    ----------
    folder : pathlib.Path
        Made by `create`; belongs to one key for ever.
    name : str
        The witness's name, a URL without its scheme by convention.
    signer : Signer
        Its key, which serves nothing else: no log and no other witness.
    logs : iterable of VerifierKey
        The logs it watches, by their keys; the name of a key is its log's origin. A log may have
        several.
    clock : callable, optional
        Seconds since the epoch.

    Raises
    ------
    LedgerMissing
        If there is no witness in the folder. It is never taken for a new one.
    BadKey
        If the witness there has another key, or a log's key is a witness's or this one.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        signer: Signer,
        logs: Iterable[VerifierKey] = (),
        *,
        clock: Callable[[], int] = _now,
    ) -> None:
        self.key = VerifierKey(name, signer.public, "cosignature")
        self._folder, self._signer, self._clock = folder, signer, clock
        self._logs: dict[str, list[VerifierKey]] = {}
        for log in logs:
            if log.kind != "ed25519" or log.public == signer.public:
                raise BadKey(f"{log} is not the key of a log that could be witnessed")
            self._logs.setdefault(log.name, []).append(log)
        try:
            marker = read_bytes(folder / _MARKER, "witness", 4096)
        except MissingArtefact:
            raise LedgerMissing(f"there is no witness in {folder}", path=str(folder)) from None
        if marker != f"{self.key}\n".encode():
            raise BadKey(f"the witness in {folder} is not {self.key}", path=str(folder))
        with _locked(folder):
            # Temporary files of a process that was killed.
            for stray in folder.glob(".*"):
                stray.unlink()

    @classmethod
    def create(
        cls,
        folder: Path,
        name: str,
        signer: Signer,
        logs: Iterable[VerifierKey] = (),
        *,
        clock: Callable[[], int] = _now,
    ) -> Witness:
        """Start a witness that has seen nothing yet; the parameters are the class's.

        Raises
        ------
        LedgerExists
            If there is one in the folder.
        """
        key = VerifierKey(name, signer.public, "cosignature")
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if (folder / _MARKER).exists():
                raise LedgerExists(f"there is a witness in {folder}", path=str(folder))
            write_atomic(folder / _MARKER, f"{key}\n".encode())
        # Were the folder itself to vanish in a power cut, so would its promises.
        sync_folder(folder.parent)
        return cls(folder, name, signer, logs, clock=clock)

    def add_checkpoint(self, old_size: int, proof: Sequence[bytes], note: str) -> str:
        """Cosign a checkpoint.

        Parameters
        ----------
        old_size : int
            The size that the caller believes the witness to be at.
        proof : sequence of bytes
            The consistency proof from there.
        note : str
            The checkpoint, signed by its log.

        Returns
        -------
        str
            The signature line, with its newline.

        Raises
        ------
        BadWitnessRequest
            If the note is no checkpoint, or is below `old_size`.
        UnknownLog
            If the witness does not watch its log.
        NotSignedByLog
            If its log did not sign it.
        WitnessConflict
            If the witness is not at `old_size`; says where it is.
        NotConsistent
            If the checkpoint does not go on from what was seen. Where it is another root for a
            size already seen, `evidence` has the proof of that.
        LedgerCorrupt
            If what is recorded of the log is damaged.
        StorageFailed
            If the folder cannot be read or written. The checkpoint may have been recorded.
        """
        parsed, checkpoint = self._opened(note)
        origin = checkpoint.origin
        if old_size > checkpoint.size:
            raise BadWitnessRequest(f"old size {old_size} is above size {checkpoint.size}")
        with _locked(self._folder):
            seen = self._record(origin)
            known = Checkpoint(origin, 0, EMPTY_ROOT) if seen is None else seen.checkpoint
            if old_size != known.size:
                raise WitnessConflict(known.size)
            if seen and checkpoint.size == known.size and checkpoint.root != known.root:
                self._keep_evidence(origin, seen.note, note)
            try:
                verify_consistency(old_size, known.root, checkpoint.size, checkpoint.root, proof)
            except ProofRejected as error:
                raise NotConsistent(error.message) from None
            # A clock that was set back must not make a smaller tree the newer one.
            now = max(self._clock(), seen.time if seen else 1)
            # First the promise, then the signature: whoever gets hold of one, even of a process
            # that dies in the next line, holds one that the witness knows of.
            write_atomic(self._path(origin, "record"), _Record(parsed.encode(), now).encode())
            cosignature = cosign(parsed.text, self.key.name, self._signer, now)
            cosigned = parsed.add([cosignature]).encode()
            write_atomic(self._path(origin, "checkpoint"), cosigned.encode())
        return cosignature.line

    def checkpoint(self, origin_hash: str) -> str | None:
        """Return the last cosigned checkpoint of a log, for monitors; None if there is none.

        Parameters
        ----------
        origin_hash : str
            SHA-256 of the origin in hex, as in the protocol's URL.
        """
        if not is_hex(origin_hash, 32):
            return None
        path = self._folder / f"{origin_hash}.checkpoint"
        return path.read_text() if path.exists() else None

    def evidence(self, origin: str) -> Evidence | None:
        """Return the first evidence found of a log signing two roots of one size, if any."""
        path = self._path(origin, "evidence.json")
        return Evidence.decode(path.read_bytes()) if path.exists() else None

    def opened(self, note: str) -> Checkpoint:
        """Return a checkpoint of a log that is watched; raises as `add_checkpoint`."""
        return self._opened(note)[1]

    def _opened(self, note: str) -> tuple[Note, Checkpoint]:
        """Return a note with its log's signatures only, and its checkpoint."""
        try:
            parsed = Note.parse(note)
            checkpoint = Checkpoint.parse(parsed.text)
        except BadNote as error:
            raise BadWitnessRequest(error.message) from None
        if checkpoint.origin not in self._logs:
            raise UnknownLog(f"log {checkpoint.origin!r} is not watched here")
        keys = self._logs[checkpoint.origin]
        try:
            signatures = [signature for key in keys for signature in parsed.verified(key)]
        except BadNote as error:
            raise NotSignedByLog(error.message) from None
        if not signatures:
            raise NotSignedByLog(f"checkpoint is not signed by log {checkpoint.origin!r}")
        # The signatures of strangers would be kept, and served, for nothing.
        own = (s for s in parsed.signatures if any(s.is_by(key) for key in keys))
        return Note(parsed.text, (*own,)), checkpoint

    def _path(self, origin: str, what: str) -> Path:
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()}.{what}"

    def _record(self, origin: str) -> _Record | None:
        path = self._path(origin, "record")
        if not path.exists():
            return None
        record = _Record.decode(path.read_bytes(), path)
        if record.checkpoint.origin != origin:
            raise LedgerCorrupt(f"record {path} is of another log", path=str(path))
        return record

    def _keep_evidence(self, origin: str, first: str, second: str) -> None:
        # One piece is enough, and a log cannot fill the disk with more.
        path = self._path(origin, "evidence.json")
        if path.exists():
            return
        for key in self._logs[origin]:
            with contextlib.suppress(BadEvidence):
                write_atomic(path, Evidence.of(key, first, second).encode())
                return


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other threads and processes away from the folder; a dead one holds no lock."""
    try:
        with (folder / _LOCK).open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StorageFailed(f"folder {folder} of the witness: {error}", path=str(folder)) from None
