"""Values that were read from the database, for as long as they are known to be current."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

PUTS_MAX = 8  # of a value that nobody asks for

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class CacheEntry(Generic[V]):
    value: V
    version: int
    read_at: float  # of time.monotonic, in seconds
    puts: int = 0  # since somebody has asked for it


class Cache(Generic[K, V]):
    """Up to `count_max` values, each for at most `age_max` seconds and while its version stays the same.

    A full cache is emptied: that is rare, and costs less than to keep an order. Safe in
    several threads, which may read the same value at the same time.
    """

    def __init__(self, count_max: int, age_max: float) -> None:
        self._count_max = count_max
        self._age_max = age_max
        self._entries: dict[K, CacheEntry[V]] = {}

    def get(self, key: K, version: int, read: Callable[..., V], *arguments: Any) -> V:
        """Returns the cached value, or what `read` returns for `arguments`; None is not cached.

        `version` must have been taken before this call: what is read afterwards is at least as new.
        """
        now = time.monotonic()
        entry = self._entries.get(key)
        if entry and entry.version == version and now - entry.read_at <= self._age_max:
            entry.puts = 0
            return entry.value
        value = read(*arguments)
        if value is not None:
            self._put(key, CacheEntry(value, version, now))
        return value

    def wanted(self, key: K, version: int, read_since: float) -> V | None:
        """Returns the value of this version that was read since then, unless nobody asks for it any more."""
        entry = self._entries.get(key)
        if entry and entry.puts < PUTS_MAX and entry.version == version and entry.read_at > read_since:
            return entry.value
        return None

    def put(self, key: K, version: int, value: V) -> None:
        """Caches a value that is at least as new as `version`, in the place of another."""
        entry = self._entries.get(key)
        puts = entry.puts + 1 if entry else 1
        self._put(key, CacheEntry(value, version, time.monotonic(), puts))

    def drop(self, key: K) -> None:
        self._entries.pop(key, None)

    def _put(self, key: K, entry: CacheEntry[V]) -> None:
        if not self._count_max:
            return
        if len(self._entries) >= self._count_max:
            self._entries.clear()
        self._entries[key] = entry
