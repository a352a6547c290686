"""The scores of a user over all levels, each answer read from one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from scoresvc.levels import LevelSettings
from scoresvc.storage.pages import BoardId
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.rules import make_settings
from scoresvc.storage.user_pages import UserScore


class SharedUserSnapshot(NamedTuple):
    """Reads in a transaction; see `user_pages.UserSnapshot`."""

    connection: Connection

    def levels_of(self, user_id: int, after: int, count: int) -> list[int]:
        rows = self.connection.execute(
            """
              WITH RECURSIVE level (level_id) AS (
                   (SELECT level_id
                      FROM scores
                     WHERE user_id = %(user_id)s AND level_id > %(after)s
                     ORDER BY level_id
                     LIMIT 1)
                    UNION ALL
                   SELECT (SELECT scores.level_id
                             FROM scores
                            WHERE user_id = %(user_id)s AND scores.level_id > level.level_id
                            ORDER BY scores.level_id
                            LIMIT 1)
                     FROM level
                    WHERE level_id IS NOT NULL)
            SELECT level_id
              FROM level
             WHERE level_id IS NOT NULL
             LIMIT %(count)s
            """,
            {"user_id": user_id, "after": after, "count": count},
        )
        return [level_id for (level_id,) in rows.fetchall()]

    def scores_of(self, user_id: int, boards: Sequence[BoardId]) -> list[tuple[int, int]]:
        """The condition on `previous`, which is always true, makes it take the primary key.

        The index by rank has all else: PostgreSQL would read it without the table, but all of a board for one user.
        """
        return self.connection.execute(
            """
            SELECT scores.level_id, score
              FROM unnest(%(levels)s::int[], %(periods)s::int[]) AS board (level_id, period)
              JOIN scores
                ON user_id = %(user_id)s
               AND scores.level_id = board.level_id
               AND scores.period = board.period
               AND previous IS DISTINCT FROM 2147483648
             ORDER BY scores.level_id
            """,
            {"user_id": user_id, **_columns_of(boards)},
        ).fetchall()

    def ranks_of(self, scores: Sequence[UserScore]) -> list[tuple[int, int]]:
        """Returns the rank of each and the players of its board."""
        return self.connection.execute(
            """
            SELECT rank_of(level_id, period, score), players
              FROM unnest(%(levels)s::int[], %(periods)s::int[], %(scores)s::int[]) AS stands (level_id, period, score)
              JOIN boards USING (level_id, period)
             ORDER BY level_id
            """,
            {**_columns_of([each.view.board for each in scores]), "scores": [each.score for each in scores]},
        ).fetchall()

    def settings_of(self, levels: Sequence[int], defaults: LevelSettings) -> dict[int, LevelSettings]:
        """Returns the settings of levels that have scores, in one query."""
        rows = self.connection.execute(
            "SELECT level_id, settings FROM level_settings WHERE level_id = ANY(%(levels)s::int[])",
            {"levels": list(levels)},
        )
        own: dict[int, Any] = dict(rows.fetchall())
        plain = make_settings(defaults, None, has_scores=True)
        return {
            level_id: make_settings(defaults, own[level_id], has_scores=True) if level_id in own else plain
            for level_id in levels
        }


class DistributedUserSnapshot(SharedUserSnapshot):
    """The same, where Citus distributes the tables by level: what is of a user is read from all nodes."""

    def levels_of(self, user_id: int, after: int, count: int) -> list[int]:
        rows = self.connection.execute(
            """
            SELECT DISTINCT level_id
              FROM scores
             WHERE user_id = %(user_id)s AND level_id > %(after)s
             ORDER BY level_id
             LIMIT %(count)s
            """,
            {"user_id": user_id, "after": after, "count": count},
        )
        return [level_id for (level_id,) in rows.fetchall()]

    def ranks_of(self, scores: Sequence[UserScore]) -> list[tuple[int, int]]:
        """Citus reads `stands` from all shards first, then each rank from the shard of its level."""
        return self.connection.execute(
            """
              WITH stands AS MATERIALIZED (
                   SELECT level_id, period, score, players
                     FROM unnest(%(levels)s::int[], %(periods)s::int[], %(scores)s::int[])
                          AS stands (level_id, period, score)
                     JOIN boards USING (level_id, period))
            SELECT rank_of(level_id, period, score), players
              FROM stands
             ORDER BY level_id
            """,
            {**_columns_of([each.view.board for each in scores]), "scores": [each.score for each in scores]},
        ).fetchall()


def _columns_of(boards: Sequence[BoardId]) -> dict[str, list[int]]:
    return {"levels": [board.level_id for board in boards], "periods": [board.period for board in boards]}
