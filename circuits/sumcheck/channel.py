"""The conversation of a proof: secret messages, their products, challenges (protocol, 5.2, 5.5).

Prover and verifier do the same with it; they differ in where a masked value comes from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, TypeAlias

from circuits.sumcheck.affine import Affine
from circuits.sumcheck.field_k import ONE, ZERO, K, to_array
from circuits.sumcheck.proof_bytes import element_bytes
from circuits.sumcheck.schedule import Schedule
from circuits.sumcheck.transcript import Transcript

Label: TypeAlias = Literal["round", "claims"]
"""What a group of messages is: of one round of a sumcheck, or claims at its end."""


class Channel(ABC):
    """One proof's messages, in order.

    Parameters
    ----------
    schedule : Schedule
        Numbers the pads, and says which messages are multiplied.
    transcript : Transcript
        Fresh; challenges are drawn from it.
    root : bytes
        Root of the proof matrix.

    Attributes
    ----------
    transcript : Transcript
    root : bytes
    sent : int
        Number of messages so far.
    constraints : list of Affine
        The two constraints of every product so far.
    """

    def __init__(self, schedule: Schedule, transcript: Transcript, root: bytes) -> None:
        self.transcript = transcript
        self.root = root
        self.sent = 0
        self.constraints: list[Affine] = []
        self._schedule = schedule
        self._epsilon = ZERO
        self._differences: list[K] = []

    @abstractmethod
    def mask(self, values: Sequence[K] | None, count: int, /) -> list[K]:
        """Return the masked values of messages `sent` .. ``sent + count - 1``.

        The prover adds pad i to message i; the verifier has no `values` and reads them.
        """

    @abstractmethod
    def differences(self, epsilon: K, /) -> list[K]:
        """Return d_j = epsilon x - x' of every product: computed by the prover, or read."""

    def open_products(self, epsilon: K) -> None:
        """Absorb the differences of all products, for the challenge drawn for them."""
        self._epsilon = epsilon
        self._differences = self.differences(epsilon)
        self.transcript.absorb("differences", element_bytes(to_array(self._differences)))

    def send(self, label: Label, values: Sequence[K] | None, count: int) -> list[Affine]:
        """Send secret values under the next pads; return the true values as affine forms.

        Parameters
        ----------
        label : str
            What the group is absorbed as.
        values : sequence of K, or None
            The true values; None on the verifier's side.
        count : int
            How many there are.
        """
        masked = self.mask(values, count)
        self.transcript.absorb(label, element_bytes(to_array(masked)))
        first, self.sent = self.sent, self.sent + count
        return [Affine.sent(value, first + i) for i, value in enumerate(masked)]

    def challenge(self, label: str) -> K:
        """Draw one challenge."""
        return self.transcript.draw(label, 1)[0]

    def product(self, x: Affine, y: Affine) -> Affine:
        """Return the product of the true values of two messages, and record its constraints.

        Parameters
        ----------
        x, y : Affine
            Results of `send`.

        Raises
        ------
        ValueError
            If these are not the messages whose product is next in the schedule.
        """
        number = len(self.constraints) // 2
        pairs = [(i, j) for i in x.pads for j in y.pads]
        if pairs != [self._schedule.products[number]]:
            raise ValueError(f"product {number} is not of the messages {pairs}")
        pad_x, pad_y = pairs[0]
        z = self._schedule.messages + 3 * number
        epsilon, difference, minus = self._epsilon, self._differences[number], K.of(-1)
        self.constraints.append(Affine(-difference, {pad_x: epsilon, z + 1: minus}))
        self.constraints.append(Affine(ZERO, {z: epsilon, z + 2: minus, pad_y: -difference}))
        # X^ Y^ - X^ y - Y^ x + z; x and y may be the same pad.
        factors = Affine(x.constant * y.constant, {pad_x: -y.constant})
        return factors + Affine(ZERO, {pad_y: -x.constant, z: ONE})
