"""The claim T that a sumcheck carries from round to round (docs/protocol.md, 5.2 and 5.4)."""

from __future__ import annotations

from collections.abc import Sequence

from circuits.errors import ProofRejected
from circuits.sumcheck.affine import Affine
from circuits.sumcheck.field_k import ONE, K
from circuits.sumcheck.sums import combine


def _barycentric(degree: int) -> list[K]:
    """Return 1 / prod_{j != i} (i - j) for the nodes i = 0 .. degree."""
    found = []
    for i in range(degree + 1):
        product = ONE
        for j in range(degree + 1):
            product *= i - j if j != i else 1
        found.append(product.inverse())
    return found


_BARYCENTRIC = {degree: _barycentric(degree) for degree in (2, 3)}


def lagrange(degree: int, c: K) -> list[K]:
    """Return the weights with which values at 0 .. degree give a polynomial's value at c."""
    found = []
    for i, scale in enumerate(_BARYCENTRIC[degree]):
        weight = scale
        for j in range(degree + 1):
            if j != i:
                weight *= c - j
        found.append(weight)
    return found


class RunningClaim:
    """T as an affine form of all messages.

    Every round multiplies the claim before it, so the rounds are only noted: `value` gives each
    message its final weight once, where rescaling T in every round would be quadratic.

    Parameters
    ----------
    start : Affine
        The claim before the first round.
    """

    def __init__(self, start: Affine) -> None:
        self._start = start
        self._rounds: list[tuple[K, list[tuple[K, Affine]]]] = []

    def bind(self, sent: Sequence[Affine], c: K) -> None:
        """Bind a round of g(0), g(2), .., g(d) to c; g(1) = T - g(0)."""
        at_0, at_1, *others = lagrange(len(sent), c)
        self._note(at_1, [at_0 - at_1, *others], sent)

    def bind_factored(self, r: K, sent: Sequence[Affine], c: K) -> None:
        """Bind a round of t(0), t(2), where T = (1 - r) t(0) + r t(1) (section 5.4), to c.

        Raises
        ------
        ProofRejected
            If r = 0, which leaves t(1) open.
        """
        if not r:
            raise ProofRejected("lookups", "a coordinate of the point is zero")
        at_0, at_1, at_2 = lagrange(2, c)
        carried = at_1 / r
        self._note(carried, [at_0 - carried * (1 - r), at_2], sent)

    def _note(self, carried: K, weights: Sequence[K], sent: Sequence[Affine]) -> None:
        self._rounds.append((carried, list(zip(weights, sent, strict=True))))

    def value(self) -> Affine:
        """Return T after the rounds so far."""
        terms: list[tuple[K, Affine]] = []
        later = ONE
        for carried, messages in reversed(self._rounds):
            terms += [(later * weight, message) for weight, message in messages]
            later *= carried
        return combine([*terms, (later, self._start)])
