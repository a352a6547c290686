"""Whether boards are as bans and submissions say.

Only boards of all time that keep the best are compared with submissions, and only of levels whose `order` and `keep`
the database itself says: those without settings, or with both among them.
"""

from __future__ import annotations

from collections.abc import Iterator

from scoresvc.periods import name_of_board
from scoresvc.storage.sqlite.library import sqlite3


def faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Yields a line for each user who stands on a board in spite of a ban, or lower than a submission says."""
    yield from _ban_faults(connection)
    yield from _submission_faults(connection)


def _ban_faults(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        SELECT level_id, period, user_id
          FROM scores
         WHERE user_id IN (SELECT user_id FROM bans)
         ORDER BY level_id, period, user_id
        """
    )
    for level_id, period, user_id in rows:
        yield f"{name_of_board(level_id, period)}: user {user_id} is banned, but stands there"


def _submission_faults(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        WITH level (level_id, sort, keep) AS (
             SELECT submitted.level_id,
                    CASE WHEN settings IS NULL THEN 'desc' ELSE json_extract(settings, '$.order') END,
                    CASE WHEN settings IS NULL THEN 'best' ELSE json_extract(settings, '$.keep') END
               FROM (SELECT DISTINCT level_id FROM submissions) AS submitted
               LEFT JOIN level_settings USING (level_id)),
             best (level_id, user_id, score) AS (
             SELECT level_id, user_id, max(CASE sort WHEN 'asc' THEN 2147483647 - score ELSE score END)
               FROM submissions
               JOIN level USING (level_id)
              WHERE state = 0
                AND keep = 'best'
                AND sort IS NOT NULL
                AND user_id NOT IN (SELECT user_id FROM bans)
              GROUP BY level_id, user_id)
        SELECT best.level_id, best.user_id, scores.score IS NULL
          FROM best
          LEFT JOIN scores
            ON scores.level_id = best.level_id AND scores.period = 0 AND scores.user_id = best.user_id
         WHERE scores.score IS NULL OR scores.score < best.score
        """
    )
    for level_id, user_id, is_missing in rows:
        fault = "has a submission that stands, but no score" if is_missing else "has a better submission than the score"
        yield f"level {level_id}: user {user_id} {fault}"
