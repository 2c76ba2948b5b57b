"""How often one client may do something: a bucket for each client network that fills with time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from mailward.reputation.address import V4_NEIGHBOURS, V6_NEIGHBOURS, source

MAX_BUCKETS = 50_000  # of one rate, about 10 MB; the one not used for longest makes room


class Rate:
    """`burst` at once, then `per_second`. Safe from several threads."""

    def __init__(self, burst: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was so
        self._lock = Lock()

    def take(self, who: str, amount: float = 1.0) -> float:
        """Seconds to wait until this may be done; 0.0 when it may be done now (and counts)."""
        with self._lock:
            left = self._left(who)
            if left < min(amount, self._burst):
                return (min(amount, self._burst) - left) / self._per_second
            self._keep(who, left - amount)
            return 0.0

    def _left(self, who: str) -> float:
        left, then = self._buckets.get(who, (self._burst, 0.0))
        return min(self._burst, left + (self._clock() - then) * self._per_second)

    def _keep(self, who: str, left: float) -> None:
        self._buckets[who] = (left, self._clock())
        self._buckets.move_to_end(who)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)


def client_network(address: str) -> str:
    """The network that shares one allowance: /24 of v4, /64 of v6; what is no address stands for itself."""
    found = source(address)
    if found is None:
        return address[:64]
    shift = 32 - V4_NEIGHBOURS if found.version == 4 else 128 - V6_NEIGHBOURS
    return f"{found.version}:{found.number >> shift:x}"
