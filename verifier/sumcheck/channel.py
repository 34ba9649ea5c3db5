"""The verifier's side of the conversation: messages come from the proof (protocol, 5.2, 5.5)."""

from __future__ import annotations

from collections.abc import Sequence

from circuits.sumcheck.channel import Channel
from circuits.sumcheck.field_k import K, from_array
from circuits.sumcheck.proof_bytes import Proof
from circuits.sumcheck.schedule import Schedule
from circuits.sumcheck.transcript import Transcript


class ReadingChannel(Channel):
    """Reads the masked messages and the differences of a parsed proof.

    Parameters
    ----------
    schedule : Schedule
        Of the relation; the proof was parsed for it.
    transcript : Transcript
        Fresh.
    proof : Proof
        The proof.
    """

    def __init__(self, schedule: Schedule, transcript: Transcript, proof: Proof) -> None:
        super().__init__(schedule, transcript, proof.root)
        self._messages = from_array(proof.messages)
        self._read = from_array(proof.differences)

    def mask(self, _values: Sequence[K] | None, count: int, /) -> list[K]:
        """Return the next messages of the proof; the verifier has no values."""
        return self._messages[self.sent : self.sent + count]

    def differences(self, _epsilon: K, /) -> list[K]:
        """Return the differences of the proof."""
        return self._read
