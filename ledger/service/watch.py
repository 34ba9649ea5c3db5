"""What a client remembers of a log, so that the log cannot tell it two histories.

Kept in a file: the log's key, the newest checkpoint that was seen, and the newest one that each
quorum of validators had cosigned. A checkpoint is taken only with the proof that it is of the
same history; where it is not, what was signed is kept as evidence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from circuits.encoding import canonical_json, parse_canonical, read_bytes, write_atomic
from circuits.errors import ArtefactError, MissingArtefact, ProofRejected, ZkpotError
from circuits.merkle import EMPTY_ROOT, leaf_hash, verify_consistency
from ledger.embedded.tiles import Fetch, TileReader
from ledger.embedded.tree import Tree
from ledger.errors import BadEvidence, BadKey, LedgerCorrupt, LedgerRolledBack
from ledger.service.errors import LogForked, NotCosigned
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Checkpoint, VerifierKey

_VERSION = 1
_LIMIT = 1 << 20
_MOST_TRACKS = 64
_SUSPICION = "zkpot/two-checkpoints"

NEWEST = "newest"
"""The track of what the log calls its newest checkpoint, whoever cosigned it."""

Proof = Callable[[int, int], Sequence[bytes]]
"""Asks the log for a consistency proof between two sizes."""


class Watch:
    """The newest checkpoints seen of a log.

    Parameters
    ----------
    path : Path or None
        File to remember them in; None to forget them in the end.

    Attributes
    ----------
    key : VerifierKey or None
        The log's key, if anything was seen yet.

    Raises
    ------
    LedgerCorrupt
        If the file is something else. It is not taken for that of a first visit.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.key: VerifierKey | None = None
        self._notes: dict[str, str] = {}
        self._load()

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            value = parse_canonical(read_bytes(self._path, "watch", _LIMIT), "watch")
            if value["version"] != _VERSION:
                raise LedgerCorrupt(f"{self._path} is of another version")
            key, notes = VerifierKey.parse(value["log"]), dict(value["notes"])
            sizes = [Checkpoint.open(note, key).size for note in notes.values()]
            if max(sizes) != Checkpoint.open(notes[NEWEST], key).size:
                raise LedgerCorrupt(f"{self._path} contradicts itself")
        except (ZkpotError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise LedgerCorrupt(
                f"{self._path}, which remembers what the log has shown, is damaged: {error}",
                path=str(self._path),
            ) from None
        self.key, self._notes = key, notes

    @property
    def seen(self) -> Checkpoint:
        """The newest checkpoint seen, or that of an empty log."""
        return self._on(NEWEST)

    def _on(self, track: str) -> Checkpoint:
        if self.key is None or track not in self._notes:
            return Checkpoint("", 0, EMPTY_ROOT)
        return Checkpoint.open(self._notes[track], self.key)

    @property
    def evidence_path(self) -> Path | None:
        """Where evidence is kept."""
        path = self._path
        return None if path is None else path.with_name(path.name + ".evidence.json")

    def pin(self, key: VerifierKey) -> None:
        """Say which key the log has.

        Raises
        ------
        BadKey
            If another one is remembered.
        """
        if self.key not in (None, key):
            raise BadKey(f"the log's key is remembered as {self.key}, not {key}")

    def observe(
        self, note: str, key: VerifierKey, prove: Proof, fetch: Fetch, *, track: str | None,
        newest: bool = True,
    ) -> Checkpoint:  # fmt: skip
        """Hold a checkpoint against what was seen before, and remember it if it is newer.

        Parameters
        ----------
        note : str
            The checkpoint.
        key : VerifierKey
            The log's key.
        prove, fetch
            Where the log's proofs and tiles are.
        track : str or None
            Of which kind this is: `NEWEST`, or the name of a quorum. None if of no kind.
        newest : bool
            Whether it is said to be the newest of its kind.

        Raises
        ------
        BadNote
            If the log did not sign it.
        LedgerRolledBack, NotCosigned
            If it is said to be the newest, or the newest of a quorum, and has fewer entries
            than one before.
        LogForked
            If it is not of the same history.
        """
        new = Checkpoint.open(note, key)
        self.pin(key)
        before = self._on(track) if track and newest else new
        if new.size < before.size:
            said = f"the log had {before.size} entries and now says {new.size}"
            if track != NEWEST:
                # Which of its checkpoints a quorum cosigned last, a server may be slow to learn.
                raise NotCosigned(f"{said} with the cosignatures that are asked for", 2)
            self._keep(key, self._notes[NEWEST], note, None)
            raise LedgerRolledBack(f"{said}; both are signed", signed=before.size, size=new.size)
        last = self._notes.get(NEWEST)
        if last is not None:
            older, newer = (last, note) if new.size >= self.seen.size else (note, last)
            self._compare(older, newer, key, prove, fetch)
        changed = {
            name: note for name in (track, NEWEST) if name and new.size >= self._on(name).size
        }
        self._remember(key, changed)
        return new

    def _compare(
        self, older: str, newer: str, key: VerifierKey, prove: Proof, fetch: Fetch
    ) -> None:
        old, new = Checkpoint.open(older, key), Checkpoint.open(newer, key)
        try:
            proof = prove(old.size, new.size) if old.size < new.size else ()
            verify_consistency(old.size, old.root, new.size, new.root, proof)
        except (ProofRejected, MissingArtefact) as error:
            self._keep(key, older, newer, evidence_of(key, older, newer, fetch))
            where = "" if self.evidence_path is None else f"; see {self.evidence_path}"
            raise LogForked(
                f"the log shows two histories, of {old.size} and {new.size} entries: "
                f"{error.message}{where}"
            ) from None

    def _remember(self, key: VerifierKey, notes: dict[str, str]) -> None:
        merged = {**self._notes, **notes}
        if self._path is not None and merged != self._notes:
            # Somebody else may have seen more meanwhile.
            with contextlib.suppress(ZkpotError):
                other = Watch(self._path)
                merged = {
                    name: max(
                        (w[name] for w in (merged, other._notes) if name in w),
                        key=lambda note: Checkpoint.open(note, key).size,
                    )
                    for name in {*merged, *other._notes}
                }
            kept = dict(sorted(merged.items())[-_MOST_TRACKS:])
            content = {"version": _VERSION, "log": str(key), "notes": kept}
            write_atomic(self._path, canonical_json(content))
        self.key, self._notes = key, merged

    def _keep(self, key: VerifierKey, old: str, new: str, evidence: Evidence | None) -> None:
        """Write down what contradicts itself: proof where there is one, else what was signed."""
        path = self.evidence_path
        if path is None:
            return
        if evidence is not None:
            if not path.exists() or _SUSPICION.encode() in path.read_bytes():
                write_atomic(path, evidence.encode())
        elif not path.exists():
            content = {"format": _SUSPICION, "version": 1, "log": str(key), "notes": [old, new]}
            write_atomic(path, canonical_json(content))


def evidence_of(key: VerifierKey, old: str, new: str, fetch: Fetch) -> Evidence | None:
    """Return evidence that two checkpoints contradict each other, if the log gives it away."""
    first, second = Checkpoint.open(old, key), Checkpoint.open(new, key)
    with contextlib.suppress(BadEvidence, ArtefactError, LedgerCorrupt):
        if first.size == second.size:
            return Evidence.of(key, old, new)
        tree = Tree()
        for data in TileReader(fetch, key, new).entries():
            tree.append(leaf_hash(data))
        # Only entries that hash to what it signed convince anybody else.
        if tree.root() == second.root:
            proof = tree.consistency(first.size, second.size)
            prefix = tree.root(first.size)
            return Evidence.of(key, old, new, prefix=prefix, proof=proof)
    return None
