"""When the log tells the time: before entries that are about windows in seconds.

Checkpoints carry no time, and a replay must not depend on when it is made. So time is entries of
its own, by the log, and the rules know no other.
"""

from __future__ import annotations

from collections.abc import Callable

from ledger.entries import Bond, BondReturn, Clock, Entry, Slash, TaskOpen
from ledger.envelope import SignedEntry
from ledger.errors import BadNonce
from ledger.keys import Signer
from ledger.state import State

Now = Callable[[], float]
"""Returns the seconds since 1970, UTC."""

_SLACK_SECONDS = 60


def due(state: State, body: Entry, now: float) -> int | None:
    """Return the time that the log has to tell before an entry; None if it has not to.

    It only goes forward: where the host's clock was set back, the log's stands still meanwhile.
    """
    return int(now) if int(now) > state.time and _in_seconds(state, body) else None


def before(state: State, entry: SignedEntry, now: float, signer: Signer) -> SignedEntry | None:
    """Return the clock entry that comes right before another one, if any.

    Parameters
    ----------
    state : State
        What comes before both.
    entry : SignedEntry
        The other one.
    now : float
        The time.
    signer : Signer
        The log's key.

    Raises
    ------
    BadNonce
        If it is by the log itself, left no number for the clock, and the clock is behind.
    """
    seconds, nonce = due(state, entry.body, now), state.nonce(state.operator)
    if seconds is None:
        return None
    # An entry by the log itself has its number already. `Ledger.sign` leaves one out for this.
    if entry.signer == state.operator and entry.nonce != nonce + 1:
        # Somebody else may have set the clock since; but no task begins at a time long past.
        if entry.nonce == nonce and seconds - state.time > _SLACK_SECONDS:
            raise BadNonce(f"number {nonce} is for the clock, which comes first; take {nonce + 1}")
        return None
    return SignedEntry.sign(Clock(seconds), origin=state.origin, nonce=nonce, signer=signer)


def _in_seconds(state: State, body: Entry) -> bool:
    if isinstance(body, TaskOpen):
        return body.policy.windows.unit == "seconds"
    about = body.subject if isinstance(body, Bond | BondReturn | Slash) else None
    task = state.tasks.get(str(getattr(body, "task", about)))
    return task is not None and task.terms.policy.windows.unit == "seconds"
