"""What a task pays for, in exact arithmetic: no float ever decides over a credit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from ledger.checks import LONGEST, is_count, is_ratio, ratio_from_json, require

RULES = ("gain", "best", "equal")

_EQUALS = 1000


@dataclass(frozen=True)
class Windows:
    """How long the phases of a round last; 0 sets no limit.

    Attributes
    ----------
    unit : {"entries", "seconds"}
        Entries of the log, or seconds of its clock entries.
    commit : int
        Models are committed for so long, and the test set is not released before.
    release : int
        For how long after that it can be released.
    prove : int
        Proofs are taken for so long after the release.
    """

    unit: str = "entries"
    commit: int = 0
    release: int = 0
    prove: int = 0

    def __post_init__(self) -> None:
        require(self.unit in ("entries", "seconds"), f"no such unit of windows: {self.unit!r}")
        require(
            all(is_count(n, most=LONGEST) for n in (self.commit, self.release, self.prove)),
            f"windows are integers from 0 to {LONGEST}",
        )
        require(
            self.release == 0 or self.commit > 0,
            "a deadline for the release needs one for the commitments before it",
        )

    @classmethod
    def from_dict(cls, value: Any) -> Windows:
        """Read windows back; the caller compares encodings."""
        require(isinstance(value, dict), "windows are not an object")
        return cls(**value)


@dataclass(frozen=True)
class Policy:
    """What a task pays, for what, and how often one may ask.

    Attributes
    ----------
    minimum_accuracy : fractions.Fraction
        Proofs of less are refused; also the score from which gains are counted. Below 1.
    eta : fractions.Fraction
        Credit is paid only for a gain of more than this over the best credited score, and in
        whole multiples of it. This is Blum and Hardt's Ladder: repeated submissions learn next
        to nothing about the hidden set from whether they were paid.
    pool : int
        Most that the task can ever mint. A perfect model exhausts it (but for rounding).
    submissions_per_identity : int
        Accepted proofs one identity may submit to the task.
    openings : int
        Accepted proofs the task may make on its test set; at most the set's own budget.
    rule : str
        ``gain``: proportional to the gain over the best credited score, at once. ``best``: all
        to the best accuracy, ``equal``: the same to everyone who passed, when the task closes.
    bond : int
        Units that a contributor must have bonded to the task for each model that they commit to
        in a round. Nothing costs it; it is what makes many identities and models dear.
    evaluator_bond : int
        Units that the evaluator must have bonded to the task before any model is committed; lost
        if the test set is not released, or is not what was committed.
    windows : Windows
        Deadlines of the phases.
    """

    minimum_accuracy: Fraction
    eta: Fraction
    pool: int
    submissions_per_identity: int
    openings: int
    rule: str = "gain"
    bond: int = 0
    evaluator_bond: int = 0
    windows: Windows = Windows()

    def __post_init__(self) -> None:
        require(
            is_ratio(self.minimum_accuracy) and is_ratio(self.eta),
            "minimum_accuracy and eta are ratios of non-negative integers",
        )
        require(self.minimum_accuracy < 1, "a minimum accuracy of 1 leaves no gain to pay for")
        require(0 < self.eta <= 1, "eta is above 0 and at most 1")
        require(is_count(self.pool), "pool is a non-negative integer")
        require(
            is_count(self.submissions_per_identity, 1) and is_count(self.openings, 1),
            "budgets are positive integers",
        )
        require(self.rule in RULES, f"reward rule {self.rule!r} is unknown")
        require(
            is_count(self.bond) and is_count(self.evaluator_bond),
            "bonds are non-negative integers",
        )
        require(isinstance(self.windows, Windows), "windows are not windows")
        # What is settled or given back when a task closes needs a task that closes.
        require(
            self.rule == "gain" or self.windows.prove > 0,
            f"the rule {self.rule!r} pays at the end, so proofs need a deadline",
        )
        # All of it comes due at once, and an engine appends it in one transaction.
        require(
            self.rule != "equal" or self.openings <= _EQUALS,
            f"the rule 'equal' shares among at most {_EQUALS} proofs",
        )
        require(
            self.bond == self.evaluator_bond == 0
            or (self.windows.prove > 0 and self.windows.release > 0),
            "bonds need deadlines for commitments, release and proofs, or they stay locked",
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as JSON-ready values."""
        return {
            "minimum_accuracy": list(self.minimum_accuracy.as_integer_ratio()),
            "eta": list(self.eta.as_integer_ratio()),
            "pool": self.pool,
            "submissions_per_identity": self.submissions_per_identity,
            "openings": self.openings,
            "rule": self.rule,
            "bond": self.bond,
            "evaluator_bond": self.evaluator_bond,
            "windows": asdict(self.windows),
        }

    @classmethod
    def from_dict(cls, value: Any) -> Policy:
        """Read a policy back; the caller compares encodings."""
        require(isinstance(value, dict), "policy is not an object")
        fields = dict(value)
        for name in ("minimum_accuracy", "eta"):
            fields[name] = ratio_from_json(fields.get(name))
        fields["windows"] = Windows.from_dict(fields.get("windows"))
        return cls(**fields)

    def step(self, accuracy: Fraction, best: int) -> int:
        """Return the step of the ladder that a proven accuracy reaches.

        Parameters
        ----------
        accuracy : fractions.Fraction
            Proven accuracy, at least the minimum.
        best : int
            Step of the best credited score: multiples of eta above the minimum.

        Returns
        -------
        int
            The new step; `best` where the gain is not above eta.
        """
        gain = accuracy - (self.minimum_accuracy + best * self.eta)
        # Rounded down: what was not proven is not paid for.
        return best + int(gain / self.eta) if gain > self.eta else best

    def paid_at(self, step: int) -> int:
        """Return what the task has paid in all once `step` is credited.

        A credit is the difference of two such sums, so that all credits together cannot exceed
        the pool, whatever the order and the rounding.
        """
        return int(self.pool * step * self.eta / (1 - self.minimum_accuracy))
