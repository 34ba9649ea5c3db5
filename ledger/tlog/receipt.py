"""Receipts: proof that an entry is on a log, which verifies offline and without the log.

The text form is C2SP tlog-proof, with the entry itself as its extra data.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from circuits.errors import ProofRejected
from circuits.merkle import leaf_hash, verify_inclusion
from ledger.envelope import SignedEntry
from ledger.errors import BadNote
from ledger.tlog.encoding import from_base64, from_decimal
from ledger.tlog.note import Checkpoint, VerifierKey
from ledger.tlog.quorum import Quorum

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Receipt:
    """An entry, its place on the log, and the signatures over both.

    Attributes
    ----------
    index : int
        Index of the entry.
    entry : bytes
        The entry as logged.
    proof : tuple of bytes
        Inclusion proof, from the leaf's sibling upwards.
    checkpoint : str
        Signed, and perhaps cosigned, checkpoint of a log that has the entry.
    """

    index: int
    entry: bytes
    proof: tuple[bytes, ...]
    checkpoint: str

    def encode(self) -> str:
        """Return the tlog-proof text."""
        lines = [
            _HEADER,
            f"extra {base64.b64encode(self.entry).decode()}",
            f"index {self.index}",
            *(base64.b64encode(h).decode() for h in self.proof),
        ]
        return "\n".join(lines) + "\n\n" + self.checkpoint

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Read a receipt; nothing in it may be believed before `verify`.

        Raises
        ------
        BadNote
            If it is malformed.
        """
        head, separator, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or len(lines) < 3 or lines[0] != _HEADER:
            raise BadNote("receipt is not a tlog-proof with an entry")
        if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
            raise BadNote("receipt lacks its entry or its index")
        return cls(
            from_decimal(lines[2].removeprefix("index ")),
            from_base64(lines[1].removeprefix("extra ")),
            tuple(from_base64(line) for line in lines[3:]),
            checkpoint,
        )

    def verify(self, log: VerifierKey, quorum: Quorum | None = None) -> SignedEntry:
        """Check everything against the log's key, and the witnesses', and return the entry.

        Parameters
        ----------
        log : VerifierKey
            The log.
        quorum : Quorum, optional
            The witnesses that must have cosigned. Without one, a log that shows different
            entries to different people is not found out.

        Raises
        ------
        BadNote
            If the log did not sign the checkpoint, the entry is not under it, or is meant for
            another log; or if the log is in its own quorum.
        NoQuorum
            If too few witnesses cosigned.
        BadSignature
            If its author did not sign the entry. Whether that key was the author's at this
            place is for the log's rules to tell: see `Ledger.audit`.
        """
        checkpoint = Checkpoint.open(self.checkpoint, log)
        if quorum is not None:
            if any(key.public == log.public for key in quorum.keys):
                raise BadNote("the log is no witness of its own")
            quorum.require(self.checkpoint)
        try:
            verify_inclusion(
                leaf_hash(self.entry), self.index, checkpoint.size, self.proof, checkpoint.root
            )
        except ProofRejected as error:
            raise BadNote(f"the entry is not under the checkpoint: {error.message}") from None
        entry = SignedEntry.decode(self.entry)
        if entry.origin != log.name:
            raise BadNote(f"the entry is for log {entry.origin!r}, not {log.name!r}")
        if not entry.body.by_rule:
            entry.require_signature()
        return entry
