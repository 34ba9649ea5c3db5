"""Evidence that a key signed two histories of one log, in a file that convinces anybody.

It accuses the holder of the key, a log or a witness, and nobody else: not one of the notes can be
made without the private key. It does not say which history is the true one, nor whether the key
was stolen, and where it accuses a witness it says nothing about the log.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from circuits.encoding import DIGEST_BYTES, canonical_json, is_hex, parse_canonical
from circuits.errors import ArtefactError, ProofRejected
from circuits.merkle import verify_consistency
from ledger.errors import BadEvidence, BadKey, BadNote
from ledger.tlog.note import Checkpoint, Note, VerifierKey

MAX_EVIDENCE_BYTES = 1 << 16
_FORMAT = "zkpot/equivocation"
_VERSION = 1
_MAX_PROOF = 64


@dataclass(frozen=True)
class Offence:
    """What evidence that holds has shown.

    Attributes
    ----------
    key : VerifierKey
        The key that signed both.
    first, second : Checkpoint
        Of one log, and not to be had together.
    """

    key: VerifierKey
    first: Checkpoint
    second: Checkpoint

    @property
    def same_size(self) -> bool:
        """Whether it signed two roots for one size; otherwise it rewrote what it had signed."""
        return self.first.size == self.second.size


@dataclass(frozen=True)
class Evidence:
    """Two notes by one key, and what is needed to see that they contradict each other.

    Nothing in it may be believed before `verify`.

    Attributes
    ----------
    key : VerifierKey
        The accused.
    notes : tuple of two str
        Signed checkpoints of one log, the smaller one first and in the order of their texts
        where they are of one size. Each has one signature, the accused's.
    prefix : bytes
        Where the sizes differ: the root that the larger tree had at the smaller one's size.
        Empty otherwise.
    proof : tuple of bytes
        The consistency proof from `prefix` to the larger tree.
    """

    key: VerifierKey
    notes: tuple[str, str]
    prefix: bytes = b""
    proof: tuple[bytes, ...] = ()

    @classmethod
    def of(
        cls,
        key: VerifierKey,
        first: str,
        second: str,
        *,
        prefix: bytes = b"",
        proof: Sequence[bytes] = (),
    ) -> Evidence:
        """Make evidence of two notes, in any order, and check it.

        Parameters
        ----------
        key : VerifierKey
            The accused, a log's or a witness's.
        first, second : str
            The notes; signatures by others on them are left out.
        prefix, proof
            As in the class, where the checkpoints are of different sizes. A log that proves its
            larger checkpoint consistent with `prefix`, which is not what it signed at that
            size, hands them over.

        Raises
        ------
        BadEvidence
            If it shows nothing.
        """
        try:
            notes = sorted((_stripped(first, key), _stripped(second, key)), key=_order)
        except BadNote as error:
            raise BadEvidence(error.message) from None
        evidence = cls(key, (notes[0], notes[1]), prefix, tuple(proof))
        evidence.verify([key])
        return evidence

    def verify(self, keys: Collection[VerifierKey]) -> Offence:
        """Check everything, offline.

        Parameters
        ----------
        keys : collection of VerifierKey
            Whom it may accuse: keys known from elsewhere. Anyone can equivocate under a key of
            his own making.

        Raises
        ------
        BadEvidence
            If it does not show that one of the keys signed two histories of one log.
        """
        if self.key not in keys:
            raise BadEvidence(f"{self.key} is not a key that was asked about")
        try:
            first, second = (self._checkpoint(note) for note in self.notes)
        except BadNote as error:
            raise BadEvidence(error.message) from None
        if first.origin != second.origin:
            raise BadEvidence(f"the notes are of two logs, {first.origin!r} and {second.origin!r}")
        if list(self.notes) != sorted(self.notes, key=_order):
            raise BadEvidence("the notes are not in order")
        if first.size != second.size:
            self._require_rewritten(first, second)
        elif first.root == second.root:
            raise BadEvidence(f"both notes have the same root at size {first.size}")
        elif self.prefix or self.proof:
            raise BadEvidence("two roots of one size need no proof")
        return Offence(self.key, first, second)

    def _checkpoint(self, note: str) -> Checkpoint:
        if _stripped(note, self.key) != note:
            raise BadNote(f"note has other signatures than one by {self.key}")
        checkpoint = Checkpoint.parse(Note.parse(note).text)
        # What else a log's key may have signed under another name is no promise about this log.
        if self.key.kind == "ed25519" and checkpoint.origin != self.key.name:
            raise BadNote(f"{self.key} is not the key of log {checkpoint.origin!r}")
        return checkpoint

    def _require_rewritten(self, first: Checkpoint, second: Checkpoint) -> None:
        # The proof ties `prefix`, and no other root, to the larger tree. A tree of no entries is
        # a prefix of all of them, with a root that is known.
        if first.size == 0 or self.prefix == first.root:
            raise BadEvidence(f"nothing shows that sizes {first.size} and {second.size} differ")
        try:
            verify_consistency(first.size, self.prefix, second.size, second.root, self.proof)
        except ProofRejected as error:
            raise BadEvidence(f"proof of the other prefix: {error.message}") from None

    def encode(self) -> bytes:
        """Return the file: canonical JSON, one for each piece of evidence."""
        return canonical_json(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "key": str(self.key),
                "notes": list(self.notes),
                "prefix": self.prefix.hex(),
                "proof": [h.hex() for h in self.proof],
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Evidence:
        """Read a file.

        Raises
        ------
        BadEvidence
            If it is not the canonical form of evidence; whether that holds is for `verify`.
        """
        if len(data) > MAX_EVIDENCE_BYTES:
            raise BadEvidence(f"evidence has more than {MAX_EVIDENCE_BYTES} bytes")
        try:
            value = parse_canonical(data, "evidence")
            first, second = value["notes"]
            evidence = cls(
                VerifierKey.parse(value["key"]),
                (_text(first), _text(second)),
                _hash(value["prefix"]) if value["prefix"] else b"",
                tuple(_hash(h) for h in value["proof"]),
            )
            again = evidence.encode()
        except (ArtefactError, BadKey) as error:
            raise BadEvidence(error.message) from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadEvidence(f"evidence is not well-formed: {error!r}") from None
        # An unknown field or another version is lost in the second encoding.
        if again != data or len(evidence.proof) > _MAX_PROOF:
            raise BadEvidence("evidence has another version, or fields of its own")
        return evidence


def _stripped(note: str, key: VerifierKey) -> str:
    """Return the note with one signature, by `key`, which is verified."""
    parsed = Note.parse(note)
    if not parsed.verified(key):
        raise BadNote(f"note is not signed by {key}")
    signature = next(s for s in parsed.signatures if s.is_by(key))
    return Note(parsed.text, (signature,)).encode()


def _order(note: str) -> tuple[int, str]:
    return Checkpoint.parse(Note.parse(note).text).size, note


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a note is not text")
    return value


def _hash(text: object) -> bytes:
    text = _text(text)
    if not is_hex(text, DIGEST_BYTES):
        raise ValueError("a hash is not 32 bytes of lowercase hex")
    return bytes.fromhex(text)
