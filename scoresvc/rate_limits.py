"""Limits how often something may happen, for each key.

Theory of operation: the generic cell rate algorithm, a token bucket of which one number is kept for each key: the time
until which its past events count, at an even pace. `count` events may come at once, then one every `seconds / count`.
A key whose time has passed is as good as unknown. Where too many keys are known, those whose time has passed are
dropped, or else those that were new first: a flood of addresses must not fill the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import islice

BUCKETS_MAX = 100_000  # of all limits of a process together
DROPPED = 1000  # of the oldest keys, where no time has passed
ROUNDING = 1e-6  # seconds


@dataclass(frozen=True)
class Rate:
    """At most `count` events in `seconds`; any number where `count` is 0."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count}/{self.seconds}" if self.count else "0"


class RateLimiter:
    """Counts events by key; `clock` returns seconds that only rise. Safe in several threads, but for a lost event."""

    def __init__(self, rate: Rate, clock: Callable[[], float], buckets_max: int = BUCKETS_MAX) -> None:
        self.is_on = rate.count > 0
        self._interval = rate.seconds / rate.count if rate.count else 0.0
        self._burst = rate.seconds - self._interval + ROUNDING
        self._clock = clock
        self._buckets_max = buckets_max
        self._until: dict[Hashable, float] = {}

    def take(self, key: Hashable) -> float:
        """Counts an event; returns 0, or in how many seconds the next one may come where this one is too many."""
        now = self._clock()
        until = self._until.get(key, now)
        if until < now:
            until = now
        elif until - now > self._burst:
            return until - now - self._burst
        if key not in self._until and len(self._until) >= self._buckets_max:
            self._drop(now)
        self._until[key] = until + self._interval
        return 0.0

    def wait(self, key: Hashable) -> float:
        """Returns what `take` would, and counts nothing."""
        now = self._clock()
        return max(0.0, self._until.get(key, now) - now - self._burst)

    def _drop(self, now: float) -> None:
        left = {key: until for key, until in list(self._until.items()) if until > now}
        for key in list(islice(left, DROPPED)) if len(left) >= self._buckets_max else ():
            del left[key]
        self._until = left
