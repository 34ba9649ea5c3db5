"""The log's own word that it goes on somewhere else, which makes the move safe to finish there."""

from __future__ import annotations

from ledger.errors import BadNote
from ledger.keys import Signer
from ledger.tlog.note import Checkpoint, VerifierKey, open_note, sign_note

# No origin, since that is followed by a size: a checkpoint is never taken for this, nor this for
# a checkpoint.
_FIRST_LINE = "zkpot/ledger-moved\n"


def sign_moved(newest: Checkpoint, signer: Signer) -> str:
    """Return the signed note by which a log says that it signs nothing more here.

    Parameters
    ----------
    newest : Checkpoint
        The last checkpoint that it signed here.
    signer : Signer
        The log's key.
    """
    return sign_note(_FIRST_LINE + newest.text, newest.origin, signer)


def open_moved(note: str, log: VerifierKey) -> Checkpoint:
    """Return the last checkpoint that a log signed in the place that it moved from.

    Raises
    ------
    BadNote
        If the note is something else, or not signed by the log.
    """
    text = open_note(note, log)
    if not text.startswith(_FIRST_LINE):
        raise BadNote("the note does not say that a log was moved")
    return Checkpoint.parse(text.removeprefix(_FIRST_LINE))
