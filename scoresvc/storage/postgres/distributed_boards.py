"""Boards of a database that Citus distributes."""

from __future__ import annotations

from typing import Any

from scoresvc.storage.pages import BoardId
from scoresvc.storage.postgres.boards import SharedBoards
from scoresvc.storage.postgres.user_boards import DistributedUserSnapshot

STANDING = """
SELECT stands.score, stands.reached_at,
       1 + above.players::bigint
         + (SELECT count(*)
              FROM scores AS better
             WHERE better.level_id = %(level_id)s
               AND better.period = %(period)s
               AND better.score > stands.score
               AND better.score < stands.score - stands.score %% above.narrowest + above.narrowest),
       board.players
  FROM scores AS stands
  JOIN boards AS board ON board.level_id = %(level_id)s AND board.period = %(period)s
 CROSS JOIN LATERAL (
       SELECT coalesce(sum((SELECT sum(count)
                              FROM unnest(counts[stands.score / row.width %% 256 + 2:]) AS count)), 0) AS players,
              coalesce(min(row.width), 2147483648) AS narrowest
         FROM (VALUES (16777216::bigint), (65536), (256), (1)) AS digit (width)
         JOIN bands AS row
           ON row.level_id = %(level_id)s
          AND row.period = %(period)s
          AND row.width = digit.width
          AND row.lowest_score = stands.score - stands.score %% (256 * digit.width)) AS above
 WHERE stands.level_id = %(level_id)s AND stands.period = %(period)s AND stands.user_id = %(user_id)s
"""


class DistributedBoards(SharedBoards):
    """Reads what is of one level from one snapshot of its node; what is of a user, from all nodes."""

    user_snapshot = DistributedUserSnapshot

    def _read_standing(self, board: BoardId, user_id: int) -> list[tuple[Any, ...]]:
        return self._reader.read(STANDING, {**board._asdict(), "user_id": user_id})
