"""What a verifier says of a bundle: the statement, and each check with its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from circuits.errors import ProofRejected
from circuits.statement import Statement


@dataclass(frozen=True)
class Check:
    """One check of the verifier.

    Attributes
    ----------
    name : str
        Stable name of the check, as in docs/verification.md.
    passed : bool
        Whether it held.
    detail : str
        What was compared; for a failure, what was expected and what was found.
    seconds : float
        Wall time it took.
    """

    name: str
    passed: bool
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """Outcome of a verification.

    Attributes
    ----------
    statement : Statement or None
        What was claimed; None where the bundle could not even be read.
    checks : tuple of Check
        In the order in which they ran; the verifier stops at the first that fails.
    error : ProofRejected or None
        Why it was refused, None where it was accepted.
    srs_insecure : bool
        Whether the proof rests on a development SRS, under which its maker could forge.
    """

    statement: Statement | None
    checks: tuple[Check, ...]
    error: ProofRejected | None = None
    srs_insecure: bool = False

    @property
    def accepted(self) -> bool:
        """Whether every check ran and held."""
        return self.error is None and bool(self.checks) and all(c.passed for c in self.checks)

    def require(self) -> Statement:
        """Return the statement of an accepted bundle.

        Raises
        ------
        ProofRejected
            If it was not accepted.
        """
        if self.error is not None:
            raise self.error
        if not self.accepted or self.statement is None:
            raise ProofRejected("verdict", "not every check was made")
        return self.statement

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return {
            "accepted": self.accepted,
            "srs_insecure": self.srs_insecure,
            "statement": self.statement.to_dict() if self.statement else None,
            "error": self.error.to_dict() if self.error else None,
            "checks": [
                {"name": c.name, "passed": c.passed, "detail": c.detail, "ms": int(c.seconds * 1e3)}
                for c in self.checks
            ],
        }
