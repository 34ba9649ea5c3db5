"""What the reduction asks of a prover, who alone knows the secret values (protocol, 5.2 to 5.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from circuits.sumcheck.affine import Affine
from circuits.sumcheck.channel import Channel
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import K
from circuits.sumcheck.running_claim import RunningClaim


@dataclass(frozen=True)
class ZeroChallenges:
    """The challenges of the zero check (section 5.3).

    Attributes
    ----------
    beta : K
        Weight of P D. For "well-formed", where there is no such term, eta.
    tau : list of K
        The point of eq(tau, .): the variables of the samples, then the high ones.
    omega, psi, theta, phi : list of K
        One element for each class (omega, repeated if need be; theta and phi with confusion only)
        or group (psi). Empty where there is no such term.
    """

    beta: K
    tau: list[K]
    omega: list[K]
    psi: list[K]
    theta: list[K]
    phi: list[K]


class Rounds(Protocol):
    """The prover's side of one sumcheck."""

    def message(self) -> list[K]:
        """Return the true g(0), g(2), .. of the next round."""

    def bind(self, c: K) -> None:
        """Bind that round's variable to the challenge."""

    def claims(self) -> list[K]:
        """Return the true claims at the end, in the order in which they are sent."""


class Lookups(Protocol):
    """The prover's side of the tree of fractions (section 5.4)."""

    def layer(self, j: int, point: list[K], combine: K | None) -> Rounds:
        """Return step j: over layer j + 1, from `point` of j elements with lambda = `combine`.

        Step 0 has no rounds and no `combine`.
        """


class Secrets(Protocol):
    """The prover's side of a reduction."""

    def zero_check(self, challenges: ZeroChallenges) -> Rounds:
        """Return the zero check."""

    def lookups(self, alpha: K, gamma: K) -> Lookups:
        """Return the lookups."""

    def linear(self, rho: U64Array, accumulators: Mapping[str, U64Array]) -> Rounds:
        """Return the sumcheck of the linear layers.

        Parameters
        ----------
        rho : uint64 array [a, 2]
            The samples' point.
        accumulators : mapping of str to uint64 [outputs, 2]
            Coefficients e of every dense layer and convolution.
        """


def run(
    channel: Channel, claim: RunningClaim, count: int, degree: int, rounds: Rounds | None
) -> list[K]:
    """Run rounds of a sumcheck (section 5.2); return the point, variable 0 first."""
    point = []
    for _ in range(count):
        sent = channel.send("round", rounds.message() if rounds else None, degree)
        c = channel.challenge("round")
        claim.bind(sent, c)
        if rounds:
            rounds.bind(c)
        point.append(c)
    return point


def run_factored(
    channel: Channel, claim: RunningClaim, point: Sequence[K], rounds: Rounds | None
) -> list[K]:
    """Run rounds from which eq(point, .) is factored out (section 5.4); return the new point."""
    bound = []
    for r in point:
        sent = channel.send("round", rounds.message() if rounds else None, 2)
        c = channel.challenge("round")
        claim.bind_factored(r, sent, c)
        if rounds:
            rounds.bind(c)
        bound.append(c)
    return bound


def claims(channel: Channel, rounds: Rounds | None, count: int) -> list[Affine]:
    """Send the claims at the end of a sumcheck."""
    return channel.send("claims", rounds.claims() if rounds else None, count)
