"""High-score lists as text, cached.

Theory of operation: a list that a post has made stale costs its next reader a transaction of some 60 us, on the event
loop between all other requests. So before the writer acknowledges posts, it adds them to the cached lists that somebody
has asked for lately. What a post does to a list follows from the list alone: who is not on a full list
has no higher score than its last entry, and one that is not full has all players of the level. A list that has a post
already, because it was read after the commit, stays as it is.

Lists may be added to only while nobody else changes the scores: where another process writes too, a list that it has
made stale would become current again without its posts. `PRAGMA data_version` tells whether another connection has
committed. The writer advances the versions of the levels first and asks then: what others commit later advances
them again. What was cached before their last commit came to light is not added to; the next reader reads it again.
"""

from __future__ import annotations

import math
import time
from bisect import insort_right
from collections.abc import Callable, Iterable

from scoresvc.levels import LevelSettings
from scoresvc.storage.cache import Cache
from scoresvc.storage.ledger import turn
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.transactions import log
from scoresvc.storage.sqlite.versions import LevelVersions

CACHE_AGE_MAX = 1.0  # seconds; then a change that was made by hand in the database shows, too
LEVELS_CACHED = 10_000
LIST_LENGTH = 15

Post = tuple[int, int, int, str | None]  # level, user, score, meta


class Lists:
    """The lists in the database of `readers`."""

    def __init__(self, readers: Readers, versions: LevelVersions, settings_of: Callable[[int], LevelSettings]) -> None:
        self._readers = readers
        self._settings_of = settings_of
        self._versions = versions
        self._cache: Cache[int, str] = Cache(LEVELS_CACHED, CACHE_AGE_MAX)
        self._data_version = -1  # of the writer's connection
        self._alone_since = -math.inf  # of time.monotonic, in seconds

    def list_of(self, level_id: int) -> str:
        """Returns a level's list; see `Boards.high_scores`."""
        return self._cache.get(level_id, self._versions.version_of(level_id), self._read, level_id)

    def _read(self, level_id: int) -> str:
        """Python's lock is given up for each row that is fetched, so SQLite makes them one."""
        ((text,),) = self._readers.read(
            """
            SELECT coalesce(group_concat(user_id || '=' || abs(:turn - score)), '')
              FROM (SELECT user_id, score
                      FROM scores
                     WHERE level_id = :level_id AND period = 0
                     ORDER BY score DESC, reached_at
                     LIMIT 15)
            """,
            {"level_id": level_id, "turn": turn(0, self._settings_of(level_id).order)},
        )
        return str(text)

    def update(self, connection: sqlite3.Connection, posts: Iterable[Post], levels: Iterable[int] = ()) -> None:
        """To be called by the writer when posts may have changed their levels, after the commit. Never raises.

        The best of each user is kept on the levels of `posts`, and more is better; `levels` have changed otherwise.
        """
        for level_id in levels:
            self._versions.advance(level_id)
        by_level: dict[int, list[Post]] = {}
        for post in posts:
            by_level.setdefault(post[0], []).append(post)
        texts: dict[int, str | None] = {}
        for level_id in by_level:
            texts[level_id] = self._cache.wanted(level_id, self._versions.version_of(level_id), self._alone_since)
        changed = {level_id: self._versions.advance(level_id) for level_id in by_level}
        if not any(text is not None for text in texts.values()) or not self._is_alone(connection):
            return
        for level_id, text in texts.items():
            if text is not None:
                for _, user_id, score, _ in by_level[level_id]:
                    text = add_score(text, user_id, score)
                self._cache.put(level_id, changed[level_id], text)

    def _is_alone(self, connection: sqlite3.Connection) -> bool:
        """Returns whether no other connection has committed since this was asked last."""
        try:
            ((version,),) = connection.execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:  # each reader tries for itself, and is refused if it must be
            log.exception("cannot update lists after a commit")
            return False
        if version == self._data_version:
            return True
        self._data_version = version
        self._alone_since = time.monotonic()
        return False


def add_score(text: str, user_id: int, score: int) -> str:
    """Returns a list with a user's score that comes later than all that are on it."""
    entries = text.split(",") if text else []
    own = next((entry for entry in entries if entry.startswith(f"{user_id}=")), None)
    if own is not None:
        if _score_of(own) >= score:
            return text
        entries.remove(own)
    insort_right(entries, f"{user_id}={score}", key=lambda entry: -_score_of(entry))
    return ",".join(entries[:LIST_LENGTH])


def _score_of(entry: str) -> int:
    return int(entry.partition("=")[2])
