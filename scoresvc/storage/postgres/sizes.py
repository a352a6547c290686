"""How much is stored, for the metrics."""

from __future__ import annotations

from collections.abc import Callable

from scoresvc.storage.cache import Cache
from scoresvc.storage.postgres.reading import Reader
from scoresvc.storage.store import Sizes

AGE_MAX = 30.0  # seconds


class SharedSizes:
    """Measures the database; `clock` returns Unix seconds, None stands for the clock of the database."""

    def __init__(self, reader: Reader, clock: Callable[[], float] | None) -> None:
        self._reader = reader
        self._clock = clock
        self._cache: Cache[str, Sizes] = Cache(1, AGE_MAX)

    def measure(self) -> Sizes:
        """Returns what was true at most AGE_MAX ago; above a million scores, the players as the planner estimates them.

        Raises Unavailable.
        """
        return self._cache.get("", 0, self._measure)

    def _measure(self) -> Sizes:
        ((sessions, players, database_bytes),) = self._reader.read(
            """
            SELECT (SELECT count(*)
                      FROM sessions
                     WHERE expires_at > coalesce(%(now)s::double precision,
                                                 extract(epoch FROM statement_timestamp()))),
                   (SELECT CASE WHEN reltuples < 1000000 THEN (SELECT count(DISTINCT user_id) FROM scores)
                                ELSE (SELECT CASE WHEN n_distinct < 0 THEN -n_distinct * reltuples ELSE n_distinct END
                                        FROM pg_stats
                                       WHERE tablename = 'scores' AND attname = 'user_id') END
                      FROM pg_class
                     WHERE oid = 'scores'::regclass),
                   pg_database_size(current_database())
            """,
            {"now": self._clock() if self._clock else None},
        )
        return Sizes(sessions, int(players), database_bytes)
