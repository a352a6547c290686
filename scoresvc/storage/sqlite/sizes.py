"""How much is stored, for the metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scoresvc.storage.cache import Cache
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.store import Sizes

AGE_MAX = 30.0  # seconds; to count the players of ten million scores takes half a second


class SizeReader:
    """Measures the database at `path`; `clock` returns Unix seconds."""

    def __init__(self, path: Path, readers: Readers, clock: Callable[[], float]) -> None:
        self._path = path
        self._readers = readers
        self._clock = clock
        self._cache: Cache[str, Sizes] = Cache(1, AGE_MAX)

    def measure(self) -> Sizes:
        """Returns what was true at most AGE_MAX ago. Raises Unavailable."""
        return self._cache.get("", 0, self._measure)

    def _measure(self) -> Sizes:
        ((sessions, players),) = self._readers.read(
            """
            SELECT (SELECT count(*)
                      FROM sessions
                     WHERE expires_at > :now),
                   (SELECT count(DISTINCT user_id)
                      FROM scores)
            """,
            {"now": self._clock()},
        )
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return Sizes(sessions, players, sum(file.stat().st_size for file in files if file.exists()))
