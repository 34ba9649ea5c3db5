"""Signed notes and checkpoints, byte for byte as in C2SP signed-note and tlog-checkpoint.

Anyone's transparency-log tools can therefore read what this ledger signs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from circuits.encoding import DIGEST_BYTES
from ledger.errors import BadKey, BadNote
from ledger.keys import Signer, check_public_key, verify_signature

_ED25519 = b"\x01"
_MAX_SIGNATURES = 100
_MAX_NOTE_BYTES = 1 << 20
_SIGNATURE_LINE = re.compile(r"— (\S+) (\S+)")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def check_name(name: str) -> None:
    """Refuse a key name or origin that a signed note cannot carry.

    Raises
    ------
    BadNote
        If it is empty, too long, or has a space, a plus sign or a control character.
    """
    printable = all(c.isprintable() and not c.isspace() and c != "+" for c in name)
    if not name or len(name.encode(errors="replace")) > 255 or not printable:
        raise BadNote(f"{name!r} is no key name: no spaces, no plus, at most 255 bytes")


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name under which it signs notes.

    Attributes
    ----------
    name : str
        For a log, its origin.
    public : str
        Ed25519 public key, 32 bytes of lowercase hex.
    """

    name: str
    public: str

    def __post_init__(self) -> None:
        check_name(self.name)
        check_public_key(self.public)

    @property
    def _key_bytes(self) -> bytes:
        return _ED25519 + bytes.fromhex(self.public)

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._key_bytes).digest()[:4]

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
            key = from_base64(encoded)
        except BadNote as error:
            raise BadKey(f"verifier key {text!r}: {error.message}") from None
        if key[:1] != _ED25519 or len(key) != 1 + 32:
            raise BadKey(f"verifier key {text!r} is not an Ed25519 key")
        verifier = cls(name, key[1:].hex())
        if verifier.key_id.hex() != key_id:
            raise BadKey(f"verifier key {text!r}: the hash of its key is {verifier.key_id.hex()}")
        return verifier


def sign_note(text: str, name: str, signer: Signer) -> str:
    """Return `text`, which must end in a newline, with one signature."""
    verifier = VerifierKey(name, signer.public)
    if not text.endswith("\n") or _CONTROL.search(text):
        raise BadNote("the text of a note ends in a newline and has no other control characters")
    signature = verifier.key_id + signer.sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def open_note(note: str, verifier: VerifierKey) -> str:
    """Return the text of a note that `verifier` signed.

    Signatures by other keys are ignored, as the format demands: that is what lets witnesses add
    theirs. One by `verifier` that fails spoils the note, even beside a good one.

    Raises
    ------
    BadNote
        If the note is malformed or not signed by `verifier`.
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
    text = body + "\n"
    lines = signatures[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise BadNote(f"note has more than {_MAX_SIGNATURES} signatures")
    signed = False
    for line in lines:
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise BadNote(f"malformed signature line {line!r}")
        check_name(match[1])
        blob = from_base64(match[2])
        if len(blob) < 5:
            raise BadNote(f"malformed signature line {line!r}")
        if match[1] != verifier.name or blob[:4] != verifier.key_id:
            continue
        if not verify_signature(verifier.public, blob[4:], text.encode()):
            raise BadNote(f"signature of {verifier.name} does not verify")
        signed = True
    if not signed:
        raise BadNote(f"note is not signed by {verifier}")
    return text


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
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text: origin, size and root, a line each."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

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
        text = open_note(note, verifier)
        lines = text[:-1].split("\n")
        if len(lines) != 3 or not _DECIMAL.fullmatch(lines[1]):
            raise BadNote("checkpoint is not origin, size and root")
        checkpoint = cls(lines[0], int(lines[1]), from_base64(lines[2]))
        if len(checkpoint.root) != DIGEST_BYTES:
            raise BadNote(f"root of a checkpoint has {len(checkpoint.root)} bytes")
        if checkpoint.origin != verifier.name:
            raise BadNote(f"checkpoint is of log {checkpoint.origin!r}, not {verifier.name!r}")
        return checkpoint


def from_base64(text: str) -> bytes:
    """Decode RFC 4648 base64, section 4, refusing all but the one canonical spelling.

    Raises
    ------
    BadNote
        If it is anything else.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise BadNote(f"{text!r} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadNote(f"{text!r} is not canonical base64")
    return data
