"""Cosignatures of witnesses: C2SP tlog-cosignature, the kind over Ed25519 (cosignature/v1).

One says that, at its time, the largest consistent tree that its maker had seen of the log has
this size and root.
"""

from __future__ import annotations

from collections.abc import Iterable

from ledger.errors import BadNote
from ledger.keys import Signer
from ledger.tlog.encoding import MAX_INTEGER
from ledger.tlog.note import (
    TIME_BYTES,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    cosigned_message,
)


def cosign(text: str, name: str, signer: Signer, time: int) -> NoteSignature:
    """Return a cosignature over the text of a checkpoint.

    Only a `Witness` may call this: it is what remembers the signer's promises.

    Parameters
    ----------
    text : str
        The whole text of the note, extension lines and final newline included.
    name : str
        Name of the witness. It is not signed, so a key must never serve under two names.
    signer : Signer
        Its key.
    time : int
        Seconds since the epoch; not zero, which would disclaim that this is the largest tree.

    Raises
    ------
    BadNote
        If the text is not a checkpoint, or there is no such time.
    """
    Checkpoint.parse(text)
    if not 0 < time <= MAX_INTEGER:
        raise BadNote(f"{time} is no time of a cosignature")
    key = VerifierKey(name, signer.public, "cosignature")
    signature = time.to_bytes(TIME_BYTES) + signer.sign(cosigned_message(text, time))
    return NoteSignature(name, key.key_id, signature)


def cosigned_at(note: Note, key: VerifierKey) -> int | None:
    """Return the time of the newest cosignature by `key`, None where there is none by it.

    Raises
    ------
    BadNote
        If the text is not a checkpoint, `key` is no witness's, or a cosignature by it does not
        verify.
    """
    if key.kind != "cosignature":
        raise BadNote(f"{key} is not the key of a witness")
    # The signed message of a note that is no checkpoint could be read in two ways.
    Checkpoint.parse(note.text)
    return max((int.from_bytes(s[:TIME_BYTES]) for s in note.verified(key)), default=None)


def add_cosignatures(note: str, lines: str, keys: Iterable[VerifierKey]) -> str:
    """Return a note with those of the signature lines that are by `keys`.

    Parameters
    ----------
    note : str
        A signed checkpoint.
    lines : str
        What a witness answered.
    keys : iterable of VerifierKey
        The witnesses one knows; lines of others are ignored, as the protocol demands.

    Raises
    ------
    BadNote
        If the lines are malformed, none is by the keys, or one that is does not verify.
    """
    parsed = Note.parse(note)
    answer = Note.parse(f"{parsed.text}\n{lines}")
    known = tuple(keys)
    times = [cosigned_at(answer, key) for key in known]
    if all(time is None for time in times):
        raise BadNote("none of the cosignatures is by a known witness")
    return parsed.add(s for s in answer.signatures if any(s.is_by(key) for key in known)).encode()
