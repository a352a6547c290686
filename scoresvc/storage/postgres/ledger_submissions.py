"""The part of the ledger that is about submissions."""

from __future__ import annotations

from typing import Any

from scoresvc.storage.ledger import StoredSubmission
from scoresvc.storage.postgres.connections import Connection


class PostgresSubmissionLedger:
    """Methods are told in `Ledger`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _fetch(self, sql: str, values: dict[str, Any]) -> list[Any]:
        return self._connection.execute(sql.encode(), values).fetchall()

    def submission(self, submission_id: int) -> StoredSubmission | None:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM submissions
             WHERE submission_id = %(submission_id)s
            """,
            {"submission_id": submission_id},
        )
        return StoredSubmission(*rows[0]) if rows else None

    def submissions(self, level_id: int, user_id: int) -> list[StoredSubmission]:
        rows = self._fetch(
            """
            SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
              FROM submissions
             WHERE user_id = %(user_id)s AND level_id = %(level_id)s
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
             WHERE action_id = %(action_id)s
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
            VALUES (%(level_id)s, %(user_id)s, %(score)s, %(posted_at)s, %(day)s, %(meta)s,
                    (SELECT coalesce(max(submission_id), 0)
                       FROM submissions
                      WHERE user_id = %(user_id)s
                        AND level_id = %(level_id)s
                        AND posted_at < %(posted_at)s
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
               SET state = %(state)s,
                   state_before = %(state_before)s,
                   action_id = %(action_id)s
             WHERE level_id = %(level_id)s AND submission_id = %(submission_id)s
            """,
            {
                "state": state,
                "state_before": submission.state,
                "action_id": action_id,
                "level_id": submission.level_id,
                "submission_id": submission.submission_id,
            },
        )
