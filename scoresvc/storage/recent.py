"""Reads for those who look at a board all the time.

Each is as new as the database while few ask for it. Where many do, as the viewers of one live board, they share what
was read at most AGE_MAX ago: so they cost the same however many they are, on either engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from scoresvc.rate_limits import Rate, RateLimiter
from scoresvc.storage.cache import Cache

AGE_MAX = 0.5  # seconds
READS = Rate(20, 1)  # of one key, which are never shared
KEYS_MAX = 256

V = TypeVar("V")


class RecentReads:
    """What was read by key; safe in several threads."""

    def __init__(self) -> None:
        self._values: Cache[tuple[Any, ...], Any] = Cache(KEYS_MAX, AGE_MAX)
        self._limiter = RateLimiter(READS, time.monotonic, KEYS_MAX)

    def get(self, read: Callable[..., V], *key: Any) -> V:
        """Returns what `read` returns for the parts of the key, or returned lately; raises what it raises."""
        if not self._limiter.take(key):
            self._values.drop(key)
        value: V = self._values.get(key, 0, read, *key)
        return value
