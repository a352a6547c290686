"""The part of the ledger that is about submissions."""

from __future__ import annotations

from typing import Any

from scoresvc.storage.ledger import StoredSubmission
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.touched import Touched


class SubmissionLedger:
    """Methods are told in `Ledger`."""

    def __init__(self, connection: sqlite3.Connection, touched: Touched) -> None:
        self._connection = connection
        self._touched = touched

    def _fetch(self, sql: str, values: dict[str, Any]) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

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

    def add_submission(
        self, level_id: int, user_id: int, score: int, posted_at: int, day: int, meta: str | None = None
    ) -> None:
        self._connection.execute(
            """
            INSERT INTO submissions (level_id, user_id, score, posted_at, day, meta, follows)
            VALUES (:level_id, :user_id, :score, :posted_at, :day, :meta,
                    (SELECT coalesce(max(submission_id), 0)
                       FROM submissions
                      WHERE user_id = :user_id
                        AND level_id = :level_id
                        AND posted_at < :posted_at
                        AND follows IS NULL))
            """,
            {
                "level_id": level_id,
                "user_id": user_id,
                "score": score,
                "posted_at": posted_at,
                "day": day,
                "meta": meta,
            },
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
