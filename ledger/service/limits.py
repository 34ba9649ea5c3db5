"""Rates: who asks too often is told when to come back."""

from __future__ import annotations

import contextlib
import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from ledger.service.errors import Overloaded, RateLimited

_REMEMBERED = 50_000
_SITE_BITS = 64
_PLACE_SECONDS = 2.0


def network(address: str) -> str:
    """Return what a caller is counted by: an IPv6 address stands for its /64, of one site."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _SITE_BITS), strict=False))


class Places:
    """Places that are taken for a while, by callers of whom none may have many.

    Parameters
    ----------
    total : int
        All of them.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken: Counter[str] = Counter()
        self._all = 0

    @property
    def scarce(self) -> bool:
        """Whether half of them are taken."""
        return 2 * self._all >= self._total

    @contextlib.contextmanager
    def take(self, *shares: tuple[str, int]) -> Iterator[None]:
        """Have a place, counted by each of some names, with the most that it may have.

        Raises
        ------
        RateLimited
            If a name has its share already.
        Overloaded
            If all are taken.
        """
        for name, most in shares:
            if self._taken[name] >= most:
                raise RateLimited(f"{name} has {most} at a time already", _PLACE_SECONDS)
        if self._all >= self._total:
            raise Overloaded("too many are at it at a time", _PLACE_SECONDS)
        names = Counter(name for name, _ in shares)
        self._taken += names
        self._all += 1
        try:
            yield
        finally:
            self._taken -= names
            self._all -= 1


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
