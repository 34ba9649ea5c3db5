"""Signed requests count once: what was seen is remembered for as long as it is valid."""

from __future__ import annotations

import heapq

from ledger.service.errors import Overloaded, ReplayedRequest

_REMEMBERED = 200_000


class Nonces:
    """The nonces of signatures that are still valid.

    Parameters
    ----------
    limit : int
        Most that are remembered.
    """

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._limit = limit
        self._known: set[tuple[str, str]] = set()
        self._ends: list[tuple[float, tuple[str, str]]] = []

    def check(self, identity: str, nonce: str) -> None:
        """Refuse a nonce that is used up.

        Raises
        ------
        ReplayedRequest
            If it is.
        """
        if (identity, nonce) in self._known:
            raise ReplayedRequest("this signed request was seen before; sign it anew")

    def use(self, identity: str, nonce: str, end: float, now: float) -> None:
        """Use a nonce up until `end`.

        Raises
        ------
        ReplayedRequest
            If it is used up already.
        Overloaded
            If there are too many to remember.
        """
        while self._ends and self._ends[0][0] < now:
            self._known.discard(heapq.heappop(self._ends)[1])
        pair = (identity, nonce)
        self.check(identity, nonce)
        # None may be forgotten before its time, so that it is the newcomer who waits.
        if len(self._known) >= self._limit:
            raise Overloaded("too many signed requests at a time", self._ends[0][0] - now)
        self._known.add(pair)
        heapq.heappush(self._ends, (end, pair))
