"""Signed notes and checkpoints, byte for byte as in C2SP signed-note and tlog-checkpoint.

A note is a text with signatures by several keys: a log signs its checkpoints with one of type
0x01, and witnesses add cosignatures, type 0x04. Signatures of other types, such as those by
post-quantum keys, are carried along and prove nothing here.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from circuits.encoding import DIGEST_BYTES
from ledger.errors import BadKey, BadNote
from ledger.keys import Signer, check_public_key, verify_signature
from ledger.tlog.encoding import MAX_INTEGER, from_base64, from_decimal

KeyKind = Literal["ed25519", "cosignature"]

_TYPES: dict[KeyKind, bytes] = {"ed25519": b"\x01", "cosignature": b"\x04"}
TIME_BYTES = 8
_KEY_ID_BYTES = 4
# The format asks for room for 16 signatures; these limits, those of its first implementation,
# have it even where each of them is a post-quantum one.
_MAX_SIGNATURES = 100
_MAX_NOTE_BYTES = 1_000_000
_MAX_NAME_BYTES = 255
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) (\S+)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


def check_name(name: str) -> None:
    """Refuse a key name or origin that this ledger does not give or trust.

    The format refuses spaces and plus signs. What cannot be printed is refused beyond it: a name
    is what a person goes by.

    Raises
    ------
    BadNote
        If it is empty, too long, or has a space, a plus sign or a control character.
    """
    printable = all(c.isprintable() and not c.isspace() and c != "+" for c in name)
    if not name or len(name.encode(errors="replace")) > _MAX_NAME_BYTES or not printable:
        raise BadNote(
            f"{name!r} is no key name: no spaces, no plus, at most {_MAX_NAME_BYTES} bytes"
        )


def cosigned_message(text: str, time: int) -> bytes:
    """Return what a cosignature/v1 signs: the text of a checkpoint with a header and a time."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name under which it signs notes: a *vkey*.

    Attributes
    ----------
    name : str
        For a log, its origin.
    public : str
        Ed25519 public key, 32 bytes of lowercase hex.
    kind : str
        ``ed25519`` (type 0x01) for signatures over the text, which logs make; ``cosignature``
        (type 0x04) for the timestamped ones of witnesses.
    """

    name: str
    public: str
    kind: KeyKind = "ed25519"

    def __post_init__(self) -> None:
        check_name(self.name)
        check_public_key(self.public)
        if self.kind not in _TYPES:
            raise BadKey(f"no such kind of verifier key: {self.kind!r}")

    @property
    def _key_bytes(self) -> bytes:
        return _TYPES[self.kind] + bytes.fromhex(self.public)

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name || 0x0A || type || public key)."""
        digest = hashlib.sha256(self.name.encode() + b"\n" + self._key_bytes).digest()
        return digest[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._key_bytes).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a ``name+hash+key`` line.

        Raises
        ------
        BadKey
            If it is malformed, of another key type, or its hash does not fit.
        """
        # The base64 part may hold plus signs of its own; the name and the hash may not.
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise BadKey(f"{text!r} is not of the form name+hash+key")
        name, key_id, encoded = parts
        try:
            check_name(name)
            key = from_base64(encoded)
        except BadNote as error:
            raise BadKey(f"verifier key {text!r}: {error.message}") from None
        kind = next((k for k, byte in _TYPES.items() if key[:1] == byte), None)
        if kind is None or len(key) != 1 + 32:
            raise BadKey(f"verifier key {text!r} is neither an Ed25519 nor a cosignature/v1 key")
        verifier = cls(name, key[1:].hex(), kind)
        if verifier.key_id.hex() != key_id:
            raise BadKey(f"verifier key {text!r}: the hash of its key is {verifier.key_id.hex()}")
        return verifier

    def verify(self, text: str, signature: bytes) -> bool:
        """Tell whether `signature` is this key's over the text of a note."""
        if self.kind == "ed25519":
            return verify_signature(self.public, signature, text.encode())
        time = int.from_bytes(signature[:TIME_BYTES])
        # A time of zero says that the signer makes no statement about the tree's size, which a
        # witness does.
        if not 0 < time <= MAX_INTEGER:
            return False
        message = cosigned_message(text, time)
        return verify_signature(self.public, signature[TIME_BYTES:], message)


@dataclass(frozen=True)
class NoteSignature:
    """One signature line of a note, by a key that may be unknown.

    Attributes
    ----------
    name, key_id
        What identifies the key.
    signature : bytes
        In the form of the key's type.
    """

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line, with its newline."""
        return f"— {self.name} {base64.b64encode(self.key_id + self.signature).decode()}\n"

    @classmethod
    def parse(cls, line: str) -> NoteSignature:
        """Read a line, which comes without its newline.

        Raises
        ------
        BadNote
            If it is malformed.
        """
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None or _CONTROL.search(line):
            raise BadNote(f"malformed signature line {line!r}")
        blob = from_base64(match[2])
        if len(blob) <= _KEY_ID_BYTES:
            raise BadNote(f"malformed signature line {line!r}")
        return cls(match[1], blob[:_KEY_ID_BYTES], blob[_KEY_ID_BYTES:])

    def is_by(self, key: VerifierKey) -> bool:
        """Tell whether name and hash are those of `key`; nothing is verified."""
        return (self.name, self.key_id) == (key.name, key.key_id)


@dataclass(frozen=True)
class Note:
    """A text and the signatures that came with it, verified or not.

    Attributes
    ----------
    text : str
        Ends in a newline.
    signatures : tuple of NoteSignature
        In the order of their lines.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, note: str) -> Note:
        """Read a note; its text may not be believed before a signature is verified.

        Raises
        ------
        BadNote
            If it is malformed, too long, or has no or too many signatures.
        """
        try:
            size = len(note.encode())
        except UnicodeEncodeError:
            raise BadNote("note is not UTF-8") from None
        if size > _MAX_NOTE_BYTES or _CONTROL.search(note):
            raise BadNote("note is too long or has control characters")
        body, separator, signatures = note.rpartition("\n\n")
        if not separator or not signatures.endswith("\n"):
            raise BadNote("note has no signatures")
        lines = signatures[:-1].split("\n")
        if len(lines) > _MAX_SIGNATURES:
            raise BadNote(f"note has more than {_MAX_SIGNATURES} signatures")
        return cls(body + "\n", tuple(NoteSignature.parse(line) for line in lines))

    def encode(self) -> str:
        """Return the note as it is stored and sent."""
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    def add(self, signatures: Iterable[NoteSignature]) -> Note:
        """Return the note with more signatures; a newer one replaces an older one of its key."""
        kept = {(s.name, s.key_id): s for s in self.signatures}
        kept.update({(s.name, s.key_id): s for s in signatures})
        return Note(self.text, tuple(kept.values()))

    def verified(self, key: VerifierKey) -> tuple[bytes, ...]:
        """Return the signatures by `key`; those of other keys are ignored, as the format demands.

        Raises
        ------
        BadNote
            If one by `key` does not verify: it spoils the note, even beside a good one.
        """
        found = tuple(s.signature for s in self.signatures if s.is_by(key))
        if not all(key.verify(self.text, signature) for signature in found):
            raise BadNote(f"signature of {key.name} does not verify")
        return found


def sign_note(text: str, name: str, signer: Signer) -> str:
    """Return `text`, which must end in a newline, with one signature over it.

    Raises
    ------
    BadNote
        If the text has no final newline or control characters, or the name cannot be one.
    """
    key = VerifierKey(name, signer.public)
    if not text.endswith("\n") or _CONTROL.search(text):
        raise BadNote("the text of a note ends in a newline and has no other control characters")
    return Note(text, (NoteSignature(name, key.key_id, signer.sign(text.encode())),)).encode()


def open_note(note: str, verifier: VerifierKey) -> str:
    """Return the text of a note that `verifier` signed.

    Raises
    ------
    BadNote
        If the note is malformed or not signed by `verifier`.
    """
    parsed = Note.parse(note)
    if not parsed.verified(verifier):
        raise BadNote(f"note is not signed by {verifier}")
    return parsed.text


@dataclass(frozen=True)
class Checkpoint:
    """A log's commitment to its first `size` entries.

    Attributes
    ----------
    origin : str
        Name of the log.
    size : int
        Number of entries.
    root : bytes
        RFC 6962 root over them.
    extensions : tuple of str
        Further lines, which other logs may write and nobody can audit.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note's text: origin, size, root and extensions, a line each."""
        root = base64.b64encode(self.root).decode()
        return "\n".join((self.origin, str(self.size), root, *self.extensions)) + "\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note as a checkpoint.

        Raises
        ------
        BadNote
            If it is not one.
        """
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines):
            raise BadNote("checkpoint is not origin, size and root, a line each")
        checkpoint = cls(lines[0], from_decimal(lines[1]), from_base64(lines[2]), (*lines[3:],))
        if len(checkpoint.root) != DIGEST_BYTES:
            raise BadNote(f"root of a checkpoint has {len(checkpoint.root)} bytes")
        return checkpoint

    def sign(self, signer: Signer) -> str:
        """Return the signed note."""
        return sign_note(self.text, self.origin, signer)

    @classmethod
    def open(cls, note: str, verifier: VerifierKey) -> Checkpoint:
        """Read a checkpoint signed by the log with key `verifier`.

        Extension lines are refused, since this ledger writes none and nobody could audit them.

        Raises
        ------
        BadNote
            If it is malformed, of another log, or not signed by this one.
        """
        checkpoint = cls.parse(open_note(note, verifier))
        if checkpoint.extensions:
            raise BadNote("checkpoint has lines beside origin, size and root")
        if checkpoint.origin != verifier.name:
            raise BadNote(f"checkpoint is of log {checkpoint.origin!r}, not {verifier.name!r}")
        return checkpoint
