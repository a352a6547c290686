"""The part of the ledger that is about submissions and the scores made of them."""

from __future__ import annotations

from typing import Any

from scoresvc.storage.ledger import StoredScore, StoredSubmission
from scoresvc.storage.sqlite.library import sqlite3


class Touched:
    """What a transaction has changed, for the caches to drop once it is committed."""

    def __init__(self) -> None:
        self.levels: set[int] = set()  # whose boards
        self.rules: set[int] = set()  # keys of LevelVersions.rule_version_of
        self.has_erased = False


class ScoreLedger:
    """Methods are told in `Ledger`."""

    def __init__(self, connection: sqlite3.Connection, touched: Touched) -> None:
        self._connection = connection
        self._touched = touched

    def _fetch(self, sql: str, values: dict[str, Any]) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

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

    def submission(self, submission_id: int) -> StoredSubmission | None:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM submissions
             WHERE submission_id = :submission_id
            """,
            {"submission_id": submission_id},
        )
        return StoredSubmission(*rows[0]) if rows else None

    def submissions(self, level_id: int, user_id: int) -> list[StoredSubmission]:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM submissions
             WHERE user_id = :user_id AND level_id = :level_id
             ORDER BY coalesce(follows, submission_id), follows IS NOT NULL, posted_at, submission_id
            """,
            {"user_id": user_id, "level_id": level_id},
        )
        return [StoredSubmission(*row) for row in rows]

    def changed_by(self, action_id: int) -> list[StoredSubmission]:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM submissions
             WHERE action_id = :action_id
             ORDER BY submission_id
            """,
            {"action_id": action_id},
        )
        return [StoredSubmission(*row) for row in rows]

    def add_submission(self, level_id: int, user_id: int, score: int, posted_at: int, day: int) -> None:
        self._connection.execute(
            """
            INSERT INTO submissions (level_id, user_id, score, posted_at, day, follows)
            VALUES (:level_id, :user_id, :score, :posted_at, :day,
                    (SELECT coalesce(max(submission_id), 0)
                       FROM submissions
                      WHERE user_id = :user_id
                        AND level_id = :level_id
                        AND posted_at < :posted_at
                        AND follows IS NULL))
            """,
            {"level_id": level_id, "user_id": user_id, "score": score, "posted_at": posted_at, "day": day},
        )

    def set_state(self, submission: StoredSubmission, state: int, action_id: int) -> None:
        self._connection.execute(
            """
            UPDATE submissions
               SET state = :state,
                   state_before = :state_before,
                   action_id = :action_id
             WHERE submission_id = :submission_id
            """,
            {
                "state": state,
                "state_before": submission.state,
                "action_id": action_id,
                "submission_id": submission.submission_id,
            },
        )

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
