"""The part of the ledger that is about scores."""

from __future__ import annotations

from scoresvc.storage.ledger import StoredScore
from scoresvc.storage.sqlite.ledger_submissions import SubmissionLedger


class ScoreLedger(SubmissionLedger):
    """Methods are told in `Ledger`."""

    def lock_level(self, level_id: int) -> None:
        """The transaction has the whole database."""

    def has_scores(self, level_id: int) -> bool:
        rows = self._fetch(
            """
            SELECT 1
             WHERE EXISTS (SELECT 1 FROM scores WHERE level_id = :level_id AND period = 0)
                OR EXISTS (SELECT 1 FROM submissions WHERE level_id = :level_id AND state = 0)
            """,
            {"level_id": level_id},
        )
        return bool(rows)

    def users_of(self, level_id: int) -> list[int]:
        rows = self._fetch(
            """
            SELECT user_id FROM scores WHERE level_id = :level_id
             UNION
            SELECT user_id FROM submissions WHERE level_id = :level_id
             ORDER BY user_id
            """,
            {"level_id": level_id},
        )
        return [user_id for (user_id,) in rows]

    def levels_of(self, user_id: int) -> list[int]:
        rows = self._fetch(
            """
            SELECT level_id FROM scores WHERE user_id = :user_id
             UNION
            SELECT level_id FROM submissions WHERE user_id = :user_id
             ORDER BY level_id
            """,
            {"user_id": user_id},
        )
        return [level_id for (level_id,) in rows]

    def scores(self, level_id: int, user_id: int) -> list[StoredScore]:
        # SQLite would take the index that covers the question, and go through the whole level.
        rows = self._fetch(
            """
            SELECT period, user_id, score, reached_at
              FROM scores
             WHERE user_id = :user_id AND level_id = :level_id
            """,
            {"user_id": user_id, "level_id": level_id},
        )
        return [StoredScore(*row) for row in rows]

    def put_score(self, level_id: int, score: StoredScore) -> None:
        self._touched.levels.add(level_id)
        self._connection.execute(
            """
            INSERT INTO scores (level_id, period, user_id, score, reached_at)
            VALUES (:level_id, :period, :user_id, :score, :reached_at)
            ON CONFLICT (level_id, period, user_id)
              DO UPDATE SET score = excluded.score,
                            reached_at = excluded.reached_at
            """,
            {"level_id": level_id, **score._asdict()},
        )

    def delete_score(self, level_id: int, period: int, user_id: int) -> None:
        self._touched.levels.add(level_id)
        self._connection.execute(
            """
            DELETE FROM scores
             WHERE level_id = :level_id AND period = :period AND user_id = :user_id
            """,
            {"level_id": level_id, "period": period, "user_id": user_id},
        )
