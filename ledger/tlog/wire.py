"""What goes over HTTP between a log and a witness: C2SP tlog-witness, without the HTTP.

The service and the client use the same functions: `AddCheckpoint` is the request's body, `answer`
makes the response and `read_answer` reads it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from circuits.encoding import DIGEST_BYTES
from ledger.errors import (
    BadNote,
    BadWitnessRequest,
    NotConsistent,
    NotSignedByLog,
    UnknownLog,
    WitnessConflict,
    WitnessRefused,
)
from ledger.tlog.cosignature import add_cosignatures
from ledger.tlog.encoding import from_base64, from_decimal
from ledger.tlog.note import VerifierKey

# Room for a proof, and for a checkpoint with 16 post-quantum signatures.
MAX_REQUEST_BYTES = 1 << 17
SIZE_TYPE = "text/x.tlog.size"
_TEXT_TYPE = "text/plain; charset=utf-8"
_MAX_PROOF_LINES = 63
_MESSAGE_LIMIT = 200
_REFUSALS = {
    refusal.status: refusal
    for refusal in (BadWitnessRequest, NotSignedByLog, UnknownLog, NotConsistent)
}


@dataclass(frozen=True)
class AddCheckpoint:
    """The request to cosign a checkpoint.

    Attributes
    ----------
    old_size : int
        Size of the last checkpoint that the witness recorded, 0 for none.
    proof : tuple of bytes
        Consistency proof from there, empty from 0.
    note : str
        The signed checkpoint.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    def encode(self) -> bytes:
        """Return the body of the request."""
        hashes = (base64.b64encode(h).decode() for h in self.proof)
        return "\n".join((f"old {self.old_size}", *hashes, "", self.note)).encode()

    @classmethod
    def parse(cls, body: bytes) -> AddCheckpoint:
        """Read the body of a request; the checkpoint is not looked at.

        Raises
        ------
        BadWitnessRequest
            If it is malformed.
        """
        if len(body) > MAX_REQUEST_BYTES:
            raise BadWitnessRequest(f"request has more than {MAX_REQUEST_BYTES} bytes")
        try:
            head, separator, note = body.decode().partition("\n\n")
            old, *lines = head.split("\n")
            if not separator or not old.startswith("old "):
                raise BadWitnessRequest("request is not an old size, a proof and a checkpoint")
            if len(lines) > _MAX_PROOF_LINES:
                raise BadWitnessRequest(f"proof has more than {_MAX_PROOF_LINES} lines")
            size = from_decimal(old.removeprefix("old "))
            proof = tuple(from_base64(line) for line in lines)
        except UnicodeDecodeError:
            raise BadWitnessRequest("request is not UTF-8") from None
        except BadNote as error:
            raise BadWitnessRequest(error.message) from None
        if any(len(h) != DIGEST_BYTES for h in proof):
            raise BadWitnessRequest(f"a hash of the proof is not of {DIGEST_BYTES} bytes")
        return cls(size, proof, note)


@dataclass(frozen=True)
class Answer:
    """A response over HTTP.

    Attributes
    ----------
    status : int
        The status code.
    content_type : str
        The header of that name.
    body : bytes
        Signature lines where the status is 200, the witness's size where it is 409, otherwise a
        message for a person.
    """

    status: int
    content_type: str
    body: bytes


def answer(add_checkpoint: Callable[[int, tuple[bytes, ...], str], str], body: bytes) -> Answer:
    """Answer a request.

    Parameters
    ----------
    add_checkpoint : callable
        `Witness.add_checkpoint`; what else it raises than refusals is passed on.
    body : bytes
        As received.
    """
    try:
        request = AddCheckpoint.parse(body)
        lines = add_checkpoint(request.old_size, request.proof, request.note)
    except WitnessConflict as conflict:
        return Answer(conflict.status, SIZE_TYPE, f"{conflict.size}\n".encode())
    except WitnessRefused as refusal:
        return Answer(refusal.status, _TEXT_TYPE, f"{refusal.message}\n".encode())
    return Answer(200, _TEXT_TYPE, lines.encode())


def read_answer(answered: Answer, note: str, witnesses: Iterable[VerifierKey]) -> str:
    """Return the checkpoint with the cosignatures that a witness answered with.

    Parameters
    ----------
    answered : Answer
        As received, from a stranger.
    note : str
        The checkpoint that was sent.
    witnesses : iterable of VerifierKey
        The keys that the witness is known by.

    Raises
    ------
    WitnessConflict
        If the witness is at another size: try again from there.
    WitnessRefused
        If it refused for another reason, as the class that stands for it where there is one.
    BadNote
        If it answers with anything but a good cosignature.
    """
    try:
        text = answered.body.decode()
    except UnicodeDecodeError:
        raise BadNote("answer of the witness is not UTF-8") from None
    if answered.status == 200:
        return add_cosignatures(note, text, witnesses)
    media_type = answered.content_type.partition(";")[0].strip().lower()
    if (answered.status, media_type) == (WitnessConflict.status, SIZE_TYPE):
        raise WitnessConflict(from_decimal(text.removesuffix("\n")))
    # repr: whatever it says is shown to a person, perhaps on a terminal.
    said = f"status {answered.status}: {text.strip()[:_MESSAGE_LIMIT]!r}"
    raise _REFUSALS.get(answered.status, WitnessRefused)(f"the witness refused, {said}")
