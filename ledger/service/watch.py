"""What a client remembers of a log, so that the log cannot tell it two histories.

Kept in a file: the log's key and the newest checkpoint that was seen. A newer one is taken only
with the proof that it goes on from there; where it does not, what was signed is kept as evidence.
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
from ledger.service.errors import LogForked
from ledger.tlog.evidence import Evidence
from ledger.tlog.note import Checkpoint, VerifierKey

_VERSION = 1
_LIMIT = 1 << 20
_SUSPICION = "zkpot/two-checkpoints"

Proof = Callable[[int, int], Sequence[bytes]]
"""Asks the log for a consistency proof between two sizes."""


class Watch:
    """The newest checkpoint seen of a log.

    Parameters
    ----------
    path : Path or None
        File to remember it in; None to forget it in the end.

    Attributes
    ----------
    key : VerifierKey or None
        The log's key, if anything was seen yet.
    note : str
        The newest checkpoint.

    Raises
    ------
    LedgerCorrupt
        If the file is something else. It is not taken for that of a first visit.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.key: VerifierKey | None = None
        self.note = ""
        self._load()

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            value = parse_canonical(read_bytes(self._path, "watch", _LIMIT), "watch")
            if value["version"] != _VERSION:
                raise LedgerCorrupt(f"{self._path} is of another version")
            key, note = VerifierKey.parse(value["log"]), value["note"]
            Checkpoint.open(note, key)
        except (ZkpotError, KeyError, TypeError, AttributeError) as error:
            raise LedgerCorrupt(
                f"{self._path}, which remembers what the log has shown, is damaged: {error}",
                path=str(self._path),
            ) from None
        self.key, self.note = key, note

    @property
    def seen(self) -> Checkpoint:
        """The newest checkpoint seen, or that of an empty log."""
        if self.key is None:
            return Checkpoint("", 0, EMPTY_ROOT)
        return Checkpoint.open(self.note, self.key)

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
        self, note: str, key: VerifierKey, prove: Proof, fetch: Fetch, *, newest: bool
    ) -> Checkpoint:
        """Hold a checkpoint against what was seen before, and remember it if it is newer.

        Parameters
        ----------
        note : str
            The checkpoint.
        key : VerifierKey
            The log's key.
        prove, fetch
            Where the log's proofs and tiles are.
        newest : bool
            Whether the log says that this is its newest one.

        Raises
        ------
        BadNote
            If the log did not sign it.
        LedgerRolledBack
            If its newest one has fewer entries than one before.
        LogForked
            If they are not of one history; evidence was kept.
        """
        new = Checkpoint.open(note, key)
        self.pin(key)
        old = self.seen
        if new.size >= old.size:
            if self.note:
                self._compare(self.note, note, key, prove, fetch)
            self._remember(key, note)
        elif newest:
            self._keep(key, self.note, note, None)
            raise LedgerRolledBack(
                f"the log had {old.size} entries and now says {new.size}; both are signed",
                signed=old.size, size=new.size,
            )  # fmt: skip
        else:
            self._compare(note, self.note, key, prove, fetch)
        return new

    def _compare(
        self, older: str, newer: str, key: VerifierKey, prove: Proof, fetch: Fetch
    ) -> None:
        old, new = Checkpoint.open(older, key), Checkpoint.open(newer, key)
        try:
            proof = prove(old.size, new.size) if old.size < new.size else ()
            verify_consistency(old.size, old.root, new.size, new.root, proof)
        except (ProofRejected, MissingArtefact) as error:
            self._keep(key, older, newer, _evidence(key, older, newer, fetch))
            where = "" if self.evidence_path is None else f"; see {self.evidence_path}"
            raise LogForked(
                f"the log shows two histories, of {old.size} and {new.size} entries: "
                f"{error.message}{where}"
            ) from None

    def _remember(self, key: VerifierKey, note: str) -> None:
        if self._path is not None:
            # Somebody else may have seen more meanwhile.
            with contextlib.suppress(ZkpotError):
                other = Watch(self._path)
                if other.key == key and other.seen.size > Checkpoint.open(note, key).size:
                    self.key, self.note = key, other.note
                    return
            content = {"version": _VERSION, "log": str(key), "note": note}
            write_atomic(self._path, canonical_json(content))
        self.key, self.note = key, note

    def _keep(self, key: VerifierKey, old: str, new: str, evidence: Evidence | None) -> None:
        """Write down what contradicts itself: proof where there is one, else what was signed."""
        path = self.evidence_path
        if path is None or path.exists():
            return
        content = {"format": _SUSPICION, "version": 1, "log": str(key), "notes": [old, new]}
        write_atomic(path, canonical_json(content) if evidence is None else evidence.encode())


def _evidence(key: VerifierKey, old: str, new: str, fetch: Fetch) -> Evidence | None:
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
