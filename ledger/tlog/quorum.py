"""How many witnesses are enough, and which: k of n of keys, or of groups of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ledger.errors import BadTrustPolicy, NoQuorum
from ledger.tlog.cosignature import cosigned_at
from ledger.tlog.note import Note, VerifierKey


@dataclass(frozen=True)
class Quorum:
    """At least `threshold` of `members`.

    That two notes have a quorum each shows that they agree only where any two quorums share an
    honest witness: with f dishonest ones among n, where 2 * threshold > n + f.

    Attributes
    ----------
    threshold : int
        How many must have cosigned; 0, of no members, asks for nothing.
    members : tuple of VerifierKey or Quorum
        Witnesses, and groups of witnesses that count where their own threshold is reached.
    """

    threshold: int
    members: tuple[VerifierKey | Quorum, ...] = ()

    def __post_init__(self) -> None:
        low, high = (1 if self.members else 0), len(self.members)
        if not low <= self.threshold <= high:
            raise BadTrustPolicy(f"a quorum of {self.threshold} of {high} is none")
        if any(isinstance(m, Quorum) and m.threshold == 0 for m in self.members):
            raise BadTrustPolicy("a group that asks for nobody is no member of a quorum")
        keys = self.keys
        if any(key.kind != "cosignature" for key in keys):
            raise BadTrustPolicy("a quorum is of witnesses' keys, of type 0x04")
        # A cosignature does not say its maker's name: one key under two names is one witness.
        if len({key.public for key in keys}) != len(keys):
            raise BadTrustPolicy("a quorum counts every key once, and has one of them twice")

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """All the witnesses' keys."""
        return tuple(
            key
            for member in self.members
            for key in (member.keys if isinstance(member, Quorum) else (member,))
        )

    def require(self, note: str) -> list[tuple[VerifierKey, int]]:
        """Check that enough witnesses cosigned a checkpoint.

        The log's own signature is not looked at, see `Checkpoint.open`. Cosignatures by other
        keys are ignored; how old these may be is for the caller to judge.

        Returns
        -------
        list of (VerifierKey, int)
            The members that cosigned, also those beyond the threshold, each once, with the time.

        Raises
        ------
        NoQuorum
            If too few did.
        BadNote
            If the note is not a signed checkpoint, or a cosignature by a member does not verify.
        """
        parsed = Note.parse(note)
        times = {key: cosigned_at(parsed, key) for key in self.keys}
        found = {key: time for key, time in times.items() if time is not None}
        if not self._reached(found.keys()):
            names = ", ".join(key.name for key in found) or "nobody"
            raise NoQuorum(f"checkpoint is cosigned by {names}: no quorum of {self}")
        return list(found.items())

    def _reached(self, cosigners: Collection[VerifierKey]) -> bool:
        reached = (
            member._reached(cosigners) if isinstance(member, Quorum) else member in cosigners
            for member in self.members
        )
        return sum(reached) >= self.threshold

    def __str__(self) -> str:
        names = (f"({m})" if isinstance(m, Quorum) else m.name for m in self.members)
        return f"{self.threshold} of {', '.join(names) or 'none'}"
