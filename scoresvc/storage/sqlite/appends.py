"""Posts and logins, which the writer stores in one SQL statement.

Theory of operation: a thread gives up the interpreter's lock for each SQL statement. While the event loop is busy it
waits up to a millisecond to have it back, for the loop is without it only for moments: a batch with a statement for
BEGIN, posts, logins and COMMIT lasts twice as long as one with a single statement, which is a transaction by itself.
No statement of SQLite writes to two tables, but a trigger may. So the writing connection has a view, `appends`, which
holds nothing; a row that is inserted there is a whole batch. View and trigger are in the connection's own schema TEMP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import Post

POST, LOG_IN = "post", "log_in"  # names of the changes

NewSession = tuple[bytes, int, float]  # the SHA-256 of the key, the user, when it expires in Unix seconds


VIEW = """
    CREATE TEMP VIEW appends (posts, now, hashes, sessions) AS
    SELECT NULL, NULL, NULL, NULL
"""
# The statement for the scores reads before it writes, so `key`, the place in the batch, is what orders equal posts.
# JSON has no bytes: the hashes of the sessions are one blob.
TRIGGER = """
    CREATE TEMP TRIGGER append INSTEAD OF INSERT ON appends BEGIN
        INSERT INTO scores (level_id, user_id, score, reached_at)
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
               key + max(NEW.now, (SELECT coalesce(max(reached_at) + 1, 0)
                                     FROM scores
                                    WHERE level_id = json_extract(value, '$[0]')
                                      AND score = json_extract(value, '$[2]')))
          FROM json_each(NEW.posts)
         WHERE true
        ON CONFLICT (level_id, user_id)
          DO UPDATE SET score = excluded.score,
                        reached_at = excluded.reached_at
                  WHERE excluded.score > scores.score;

        INSERT INTO sessions (key_hash, user_id, expires_at)
        SELECT substr(NEW.hashes, 32 * key + 1, 32), json_extract(value, '$[0]'), json_extract(value, '$[1]')
          FROM json_each(NEW.sessions);
    END
"""


def create_view(connection: sqlite3.Connection) -> None:
    """To be called once for the connection that writes."""
    connection.execute(VIEW)
    connection.execute(TRIGGER)


class Appends:
    """Stores posts and new sessions; `clock` returns Unix seconds.

    Who reaches a score later comes later on the board, even where the clock stands still or jumps back: only then is
    a time later than the clock says.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def store(self, connection: sqlite3.Connection, rows: Mapping[str, Sequence[Any]]) -> dict[str, list[bool]]:
        """Stores the posts and the new sessions among `rows`, which are by name of the change.

        Returns for each row whether it may have changed something.
        """
        posts: Sequence[Post] = rows.get(POST, ())
        sessions: Sequence[NewSession] = rows.get(LOG_IN, ())
        before = connection.total_changes
        connection.execute(
            """
            INSERT INTO appends (posts, now, hashes, sessions)
            VALUES (:posts, :now, :hashes, :sessions)
            """,
            {
                "posts": _write(posts),
                "now": int(self._clock() * 1_000_000),
                "hashes": b"".join([key_hash for key_hash, _, _ in sessions]),
                "sessions": _write([(user_id, expires_at) for _, user_id, expires_at in sessions]),
            },
        )
        # What a trigger does is in no `rowcount`.
        has_changed = connection.total_changes - before > len(sessions)
        return {POST: [has_changed] * len(posts), LOG_IN: [True] * len(sessions)}

    def store_posts(self, connection: sqlite3.Connection, posts: list[Post]) -> list[bool]:
        return self.store(connection, {POST: posts})[POST]

    def store_sessions(self, connection: sqlite3.Connection, sessions: list[NewSession]) -> list[bool]:
        return self.store(connection, {LOG_IN: sessions})[LOG_IN]


def _write(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()
