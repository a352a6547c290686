"""Counts requests: a number and a sum in shared memory, some 0.5 us each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from scoresvc.api.calls import CALLS
from scoresvc.api.metrics_text import BOUNDS, BUCKETS, LIMITED, OTHER, STATUSES
from scoresvc.counters import Counters
from scoresvc.storage import COUNTERS

CALL_NAMES = (*(call.name for call in CALLS), OTHER)
CELLS = ("seconds", *(f"{status}\t{bucket}" for status in STATUSES for bucket in BUCKETS))
NAMES = (*(f"{call}\t{cell}" for call in CALL_NAMES for cell in CELLS), LIMITED, *COUNTERS)

_FIRST_BUCKETS = {status: 1 + len(BUCKETS) * place for place, status in enumerate(STATUSES)}  # among the CELLS
_SHORT = BOUNDS[0]


class RequestMetrics:
    """Counts the requests of this process in `counters`, which has NAMES."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._lock, self._slots = counters.lock, counters.slots
        self._starts: Mapping[str, int] = {name: counters.place_of(f"{name}\t{CELLS[0]}") for name in CALL_NAMES}

    def count(self, call: str, status: str, seconds: float) -> None:
        start = self._starts[call]
        place = start + (_FIRST_BUCKETS.get(status[:3]) or _FIRST_BUCKETS[OTHER])
        if seconds > _SHORT:
            place += bisect_left(BOUNDS, seconds)
        slots = self._slots
        with self._lock:
            slots[place] += 1.0
            slots[start] += seconds

    def count_limit(self) -> None:
        """Counts a request that a limit has refused."""
        self._counters.add(self._counters.place_of(LIMITED), 1)
