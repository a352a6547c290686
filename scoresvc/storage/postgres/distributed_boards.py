"""Boards of a database that Citus distributes."""

from __future__ import annotations

from scoresvc.scores import LevelScore, Position, Standing, UserScores
from scoresvc.storage.pages import make_standing
from scoresvc.storage.postgres.boards import SharedBoards
from scoresvc.storage.postgres.distributed import RANK


class DistributedBoards(SharedBoards):
    """Reads what is of one level from one snapshot of its node; what is of a user, from all nodes."""

    def standing(self, level_id: int, user_id: int) -> Standing | None:
        rows = self._reader.read(RANK, {"level_id": level_id, "users": f"{{{user_id}}}"})
        for _, _, score, rank, players, reached_at in rows:
            return make_standing(level_id, Position(score, reached_at, user_id), rank, players)
        return None

    def user_scores(self, user_id: int) -> UserScores:
        """Citus reads `best` from all shards first, then each rank from the shard of its level."""
        rows = self._reader.read(
            """
              WITH best AS MATERIALIZED (
                   SELECT level_id, score, levels.players
                     FROM scores
                     JOIN levels USING (level_id)
                    WHERE user_id = %(user_id)s)
            SELECT level_id, score, rank_of(level_id, score), players
              FROM best
             ORDER BY level_id
            """,
            {"user_id": user_id},
        )
        return UserScores(user_id, tuple(LevelScore(*row) for row in rows))
