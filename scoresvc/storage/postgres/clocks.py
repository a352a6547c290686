"""The clock of the database, by which periods go on all nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from scoresvc.storage.cache import Cache
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.reading import Reader

CACHE_AGE_MAX = 60.0  # seconds that the difference from the clock of this process is taken for the same


class DatabaseClock(NamedTuple):
    """Reads the time with `reader`; `clock` returns Unix seconds instead, where it is not None.

    The event loop shares the cache, and does not wait for what is not in it.
    """

    reader: Reader
    clock: Callable[[], float] | None
    cache: Cache[str, float]

    def reading_with(self, reader: Reader) -> DatabaseClock:
        return self._replace(reader=reader)

    def now(self) -> int:
        """Returns Unix microseconds. Raises Unavailable, or what the reader raises."""
        if self.clock:
            return int(self.clock() * 1_000_000)
        return int((time.monotonic() + self.cache.get("", 0, self._read_difference)) * 1_000_000)

    def _read_difference(self) -> float:
        """Returns how many seconds the database's clock is ahead of time.monotonic."""
        ((now,),) = self.reader.read("SELECT extract(epoch FROM statement_timestamp())::double precision", {})
        return float(now) - time.monotonic()


def make_clock(reader: Reader, clock: Callable[[], float] | None) -> DatabaseClock:
    return DatabaseClock(reader, clock, Cache(1, CACHE_AGE_MAX))


def read_now(connection: Connection, clock: Callable[[], float] | None) -> int:
    """Returns Unix microseconds, by the clock of the database where there is no other."""
    if clock:
        return int(clock() * 1_000_000)
    ((now,),) = connection.execute("SELECT (extract(epoch FROM statement_timestamp()) * 1000000)::bigint").fetchall()
    return int(now)
