"""The log's own word that it goes on somewhere else, which makes the move safe to finish there."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import BadNote
from ledger.keys import Signer
from ledger.tlog.encoding import from_decimal
from ledger.tlog.note import Checkpoint, VerifierKey, open_note, sign_note

# No origin, since that is followed by a size: a checkpoint is never taken for this, nor this for
# a checkpoint.
_FIRST_LINE = "zkpot/ledger-moved\n"


@dataclass(frozen=True)
class Moved:
    """A move of a log from one place to another.

    Attributes
    ----------
    checkpoint : Checkpoint
        The last one that was signed in the place that it moved from.
    number : int
        One more than that of the move before: a log can be moved there and back, and nothing be
        appended in between.
    """

    checkpoint: Checkpoint
    number: int

    @property
    def order(self) -> tuple[int, int]:
        """Larger for later moves of a log."""
        return self.checkpoint.size, self.number


def sign_moved(move: Moved, signer: Signer) -> str:
    """Return the signed note by which a log says that it signs nothing more here.

    Parameters
    ----------
    move : Moved
        From where it goes on.
    signer : Signer
        The log's key.
    """
    newest = move.checkpoint
    return sign_note(f"{_FIRST_LINE}{move.number}\n{newest.text}", newest.origin, signer)


def open_moved(note: str, log: VerifierKey) -> Moved:
    """Return what the note of a log says that was moved.

    Raises
    ------
    BadNote
        If the note is something else, or not signed by the log.
    """
    return parse_moved(open_note(note, log))


def parse_moved(text: str) -> Moved:
    """Return what the text of a note says, whoever signed it.

    Raises
    ------
    BadNote
        If it is something else.
    """
    if not text.startswith(_FIRST_LINE):
        raise BadNote("the note does not say that a log was moved")
    number, _, checkpoint = text.removeprefix(_FIRST_LINE).partition("\n")
    return Moved(Checkpoint.parse(checkpoint), from_decimal(number))
