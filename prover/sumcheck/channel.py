"""The prover's side of the conversation: secrets under one-time pads (docs/protocol.md, 5.5)."""

from __future__ import annotations

from collections.abc import Sequence

from circuits.sumcheck.channel import Channel
from circuits.sumcheck.field_jit import U64Array
from circuits.sumcheck.field_k import K, from_array, to_array
from circuits.sumcheck.randomness import Randomness
from circuits.sumcheck.schedule import Schedule
from circuits.sumcheck.transcript import Transcript


def draw_pads(schedule: Schedule, randomness: Randomness) -> U64Array:
    """Return the pads of a proof, to be committed: uint64 [pads, 2].

    The pads of messages are uniform. Then every product of messages with the pads x and y has
    z = x y, x' uniform and z' = x' y.
    """
    pads = from_array(randomness.elements(schedule.messages, 2))
    fresh = from_array(randomness.elements(len(schedule.products), 2))
    for (i, j), other in zip(schedule.products, fresh, strict=True):
        x, y = pads[i], pads[j]
        pads += [x * y, other, other * y]
    return to_array(pads)


class MaskingChannel(Channel):
    """Adds a pad to each message, and keeps what is sent.

    Parameters
    ----------
    schedule : Schedule
        Of the relation.
    transcript : Transcript
        Fresh.
    root : bytes
        Of the proof matrix, in which the pads are.
    pads : uint64 array [pads, 2]
        From `draw_pads`, for this proof alone.

    Attributes
    ----------
    messages, opened : list of K
        The masked values in order, and the differences.
    """

    def __init__(
        self, schedule: Schedule, transcript: Transcript, root: bytes, pads: U64Array
    ) -> None:
        super().__init__(schedule, transcript, root)
        self.messages: list[K] = []
        self.opened: list[K] = []
        self._pads = from_array(pads)

    def mask(self, values: Sequence[K] | None, count: int) -> list[K]:
        """Return the values, each plus the next pad."""
        # A pad that masks two values would give away their difference. There is one for each
        # message that is kept, and messages are only ever appended. Not an assert statement, which
        # `python -O` would remove.
        kept = len(self.messages) == self.sent <= self._schedule.messages - count
        if values is None or len(values) != count or not kept:
            raise AssertionError("a pad would be used twice, or a message has another length")
        masked = [value + self._pads[self.sent + i] for i, value in enumerate(values)]
        self.messages += masked
        return masked

    def differences(self, epsilon: K) -> list[K]:
        """Return d_j = epsilon x - x' for every product."""
        # A second epsilon would give away x.
        if self.opened:
            raise AssertionError("differences are opened once")
        first = self._schedule.messages
        for number, (i, _) in enumerate(self._schedule.products):
            self.opened.append(epsilon * self._pads[i] - self._pads[first + 3 * number + 1])
        return self.opened
