"""What a task pays for, in exact arithmetic: no float ever decides over a credit."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ledger.errors import MalformedEntry

_JSON_INTEGERS = 2**53


def require(condition: bool, message: str) -> None:
    """Refuse a field of an entry.

    Raises
    ------
    MalformedEntry
        If `condition` does not hold.
    """
    if not condition:
        raise MalformedEntry(message)


def is_count(value: object, least: int = 0) -> bool:
    """Tell whether `value` is an integer, not a bool, that JSON carries exactly."""
    return type(value) is int and least <= value < _JSON_INTEGERS


def ratio_from_json(value: object) -> Fraction:
    """Read ``[numerator, denominator]``."""
    if not isinstance(value, list) or len(value) != 2:
        raise MalformedEntry(f"{value!r} is not a ratio [numerator, denominator]")
    numerator, denominator = value
    require(is_count(numerator) and is_count(denominator, 1), f"{value!r} is not a ratio")
    return Fraction(numerator, denominator)


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
        ``gain``: proportional to the gain over the best credited score.
    """

    minimum_accuracy: Fraction
    eta: Fraction
    pool: int
    submissions_per_identity: int
    openings: int
    rule: str = "gain"

    def __post_init__(self) -> None:
        ratios = (self.minimum_accuracy, self.eta)
        require(
            all(
                isinstance(r, Fraction) and is_count(r.numerator) and is_count(r.denominator, 1)
                for r in ratios
            ),
            "minimum_accuracy and eta are ratios of non-negative integers",
        )
        require(self.minimum_accuracy < 1, "a minimum accuracy of 1 leaves no gain to pay for")
        require(0 < self.eta <= 1, "eta is above 0 and at most 1")
        require(is_count(self.pool), "pool is a non-negative integer")
        require(
            is_count(self.submissions_per_identity, 1) and is_count(self.openings, 1),
            "budgets are positive integers",
        )
        require(self.rule == "gain", f"reward rule {self.rule!r} is unknown")

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as JSON-ready values."""
        return {
            "minimum_accuracy": list(self.minimum_accuracy.as_integer_ratio()),
            "eta": list(self.eta.as_integer_ratio()),
            "pool": self.pool,
            "submissions_per_identity": self.submissions_per_identity,
            "openings": self.openings,
            "rule": self.rule,
        }

    @classmethod
    def from_dict(cls, value: Any) -> Policy:
        """Read a policy back; the caller compares encodings."""
        require(isinstance(value, dict), "policy is not an object")
        fields = dict(value)
        for name in ("minimum_accuracy", "eta"):
            fields[name] = ratio_from_json(fields.get(name))
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
