"""Where a task stands: commit, release, prove; then the next round; then closed (13)."""

from __future__ import annotations

from ledger.errors import TooLate, WrongPhase
from ledger.records import Task
from ledger.state import State


def require_commit_phase(state: State, task: Task, round_: int) -> None:
    """Check that a round is the one that takes commitments now, whatever the deadline.

    Raises
    ------
    WrongPhase
        If it is another, or the task is over.
    """
    if task.closed:
        raise WrongPhase("the task is closed")
    if round_ != task.released or round_ >= task.terms.rounds:
        raise WrongPhase(
            f"round {round_} takes no commitments: {task.released} of {task.terms.rounds} "
            f"rounds of the task are released, at entry {state.size}"
        )


def position(state: State, task: Task) -> int:
    """Return where the next entry stands against the windows of a task."""
    return state.position(task.terms.policy.windows.unit)


def commit_ends(task: Task) -> int | None:
    """Return the position at which the present round's commitments end; None if at the release."""
    windows = task.terms.policy.windows
    return task.opened + windows.commit if windows.commit else None


def release_ends(task: Task) -> int | None:
    """Return the position by which the present round must be released; None if at any time."""
    windows = task.terms.policy.windows
    return task.opened + windows.commit + windows.release if windows.release else None


def prove_ends(task: Task, round_: int) -> int | None:
    """Return the position at which a released round's proofs end; None if never."""
    windows = task.terms.policy.windows
    return task.releases[round_] + windows.prove if windows.prove else None


def require_before(position: int, end: int | None, what: str) -> None:
    """Check a deadline.

    Raises
    ------
    TooLate
        If it has passed.
    """
    if end is not None and position >= end:
        raise TooLate(f"{what} ended at {end}, it is {position}")


def unreleased(state: State, task: Task) -> bool:
    """Tell whether the evaluator let the deadline of the present round's release pass."""
    end = release_ends(task)
    return task.released < task.terms.rounds and end is not None and position(state, task) >= end


def over(state: State, task: Task) -> bool:
    """Tell whether nothing can be committed, released or proven any more."""
    if task.released < task.terms.rounds and not unreleased(state, task):
        return False
    if task.released == 0:
        return True
    end = prove_ends(task, task.released - 1)
    return end is not None and position(state, task) >= end
