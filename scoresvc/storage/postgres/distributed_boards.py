"""Boards of a database that Citus distributes."""

from __future__ import annotations

from typing import Any

from scoresvc.storage.pages import BoardId
from scoresvc.storage.postgres.boards import SharedBoards
from scoresvc.storage.postgres.distributed import STANDING


class DistributedBoards(SharedBoards):
    """Reads what is of one level from one snapshot of its node; what is of a user, from all nodes."""

    def _read_standing(self, board: BoardId, user_id: int) -> list[tuple[Any, ...]]:
        return self._reader.read(STANDING, {**board._asdict(), "user_id": user_id})

    def _read_user_scores(self, user_id: int, lowest: int, highest: int) -> list[tuple[Any, ...]]:
        """Citus reads `best` from all shards first, then each rank from the shard of its level."""
        return self._reader.read(
            """
              WITH best AS MATERIALIZED (
                   SELECT level_id, period, score, boards.players
                     FROM scores
                     JOIN boards USING (level_id, period)
                    WHERE user_id = %(user_id)s AND period BETWEEN %(lowest)s AND %(highest)s)
            SELECT level_id, period, score, rank_of(level_id, period, score), players
              FROM best
             ORDER BY level_id
            """,
            {"user_id": user_id, "lowest": lowest, "highest": highest},
        )
