"""High-score lists as text, cached.

Theory of operation: a list that a post has made stale costs its next reader a transaction of some 60 us, on the event
loop between all other requests. The writer has the pages of the changed levels at hand, so it reads the lists again
that somebody has asked for since it did so last, all in one query, before it acknowledges the posts. It advances a
level's version first and reads then, as any reader does: another process that changes the level in between advances it
again, and the list counts as stale.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from scoresvc.storage.cache import Cache
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.transactions import log
from scoresvc.storage.sqlite.versions import LevelVersions

CACHE_AGE_MAX = 1.0  # seconds; then a change that was made by hand in the database shows, too
LEVELS_CACHED = 10_000


class Lists:
    """The lists in the database of `readers`."""

    def __init__(self, readers: Readers, versions: LevelVersions) -> None:
        self._readers = readers
        self._versions = versions
        self._cache: Cache[int, str] = Cache(LEVELS_CACHED, CACHE_AGE_MAX)

    def list_of(self, level_id: int) -> str:
        """Returns a level's list; see `Boards.high_scores`."""
        return self._cache.get(level_id, self._versions.version_of(level_id), self._read, level_id)

    def _read(self, level_id: int) -> str:
        """Python's lock is given up for each row that is fetched, so SQLite makes them one."""
        ((text,),) = self._readers.read(
            """
            SELECT coalesce(group_concat(user_id || '=' || score), '')
              FROM (SELECT user_id, score
                      FROM scores
                     WHERE level_id = :level_id
                     ORDER BY score DESC, reached_at
                     LIMIT 15)
            """,
            {"level_id": level_id},
        )
        return str(text)

    def update(self, connection: sqlite3.Connection, level_ids: Iterable[int]) -> None:
        """To be called by the writer when levels have changed, after the commit. Never raises."""
        changed = {level_id: self._versions.advance(level_id) for level_id in level_ids}
        wanted = [level_id for level_id in changed if self._cache.is_used(level_id)]
        if not wanted:
            return
        try:
            texts = _read_all(connection, wanted)
        except sqlite3.Error:  # each reader tries for itself, and is refused if it must be
            log.exception("cannot read lists after a commit")
            return
        for level_id, text in texts.items():
            self._cache.put(level_id, changed[level_id], text)


def _read_all(connection: sqlite3.Connection, level_ids: list[int]) -> dict[int, str]:
    ((texts,),) = connection.execute(
        """
        SELECT json_group_object(level_id,
                                 (SELECT coalesce(group_concat(user_id || '=' || score), '')
                                    FROM (SELECT user_id, score
                                            FROM scores
                                           WHERE scores.level_id = levels.level_id
                                           ORDER BY score DESC, reached_at
                                           LIMIT 15)))
          FROM (SELECT value AS level_id
                  FROM json_each(:level_ids)) AS levels
        """,
        {"level_ids": json.dumps(level_ids)},
    ).fetchall()
    return {int(level_id): text for level_id, text in json.loads(texts).items()}
