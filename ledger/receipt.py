"""Receipts: proof that an entry is on a log, which verifies offline and without the log.

The text form is C2SP tlog-proof, with the entry itself as its extra data.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from circuits.errors import ProofRejected
from circuits.merkle import leaf_hash, verify_inclusion
from ledger.envelope import SignedEntry
from ledger.errors import BadNote
from ledger.note import Checkpoint, VerifierKey, from_base64

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class Receipt:
    """An entry, its place on the log, and the log's signature over both.

    Attributes
    ----------
    index : int
        Index of the entry.
    entry : bytes
        The entry as logged.
    proof : tuple of bytes
        Inclusion proof, from the leaf's sibling upwards.
    checkpoint : str
        Signed checkpoint of a log that has the entry.
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
        index = _INDEX.fullmatch(lines[2])
        if not lines[1].startswith("extra ") or index is None:
            raise BadNote("receipt lacks its entry or its index")
        return cls(
            int(index[1]),
            from_base64(lines[1].removeprefix("extra ")),
            tuple(from_base64(line) for line in lines[3:]),
            checkpoint,
        )

    def verify(self, log: VerifierKey) -> SignedEntry:
        """Check everything against the log's key alone and return the entry.

        Raises
        ------
        BadNote
            If the log did not sign the checkpoint, or the entry is not under it.
        BadSignature
            If its author did not sign the entry.
        """
        checkpoint = Checkpoint.open(self.checkpoint, log)
        try:
            verify_inclusion(
                leaf_hash(self.entry), self.index, checkpoint.size, self.proof, checkpoint.root
            )
        except ProofRejected as error:
            raise BadNote(f"the entry is not under the checkpoint: {error.message}") from None
        entry = SignedEntry.decode(self.entry)
        if not entry.body.by_rule:
            entry.require_signature()
        return entry
