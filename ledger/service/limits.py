"""Rates: who asks too often is told when to come back."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from ledger.service.errors import RateLimited

_REMEMBERED = 50_000


class Rates:
    """A token bucket for each caller.

    Parameters
    ----------
    per_second : float
        Tokens that come back in a second.
    burst : float
        Tokens of a caller that was quiet for long.
    clock : callable, optional
        Seconds of a clock that never goes back.
    """

    def __init__(
        self, per_second: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, tokens: float = 1.0) -> None:
        """Take tokens of a caller.

        Raises
        ------
        RateLimited
            If there are not enough of them.
        """
        now = self._clock()
        left, since = self._buckets.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        taken = left >= tokens
        self._buckets[caller] = (left - tokens if taken else left, now)
        # Whoever was not seen for longest has a full bucket, or is one of very many: forgetting
        # them costs memory nothing and a flood of new names cannot fill it.
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        if not taken:
            wait = (tokens - left) / self._rate if self._rate > 0 else 3600.0
            raise RateLimited(f"too many requests by {caller}", wait)
