"""The part of the ledger that is about submissions and the scores made of them."""

from __future__ import annotations

from typing import Any

from scoresvc.storage.ledger import StoredScore, StoredSubmission
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.ranks import NO_BANDS, PLAYERS_MAX, Band

BoardKey = tuple[int, int]  # level, period


class ScoreLedger:
    """Methods are told in `Ledger`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.full: set[Band] = set()  # to be divided after the commit

    def _fetch(self, sql: str, values: dict[str, Any]) -> list[Any]:
        return self._connection.execute(sql.encode(), values).fetchall()

    def lock_level(self, level_id: int) -> None:
        self._fetch(
            """
            INSERT INTO boards AS board (level_id, period, players)
            VALUES (%(level_id)s, 0, 0)
                ON CONFLICT (level_id, period) DO UPDATE SET players = board.players
            RETURNING level_id
            """,
            {"level_id": level_id},
        )

    def has_scores(self, level_id: int) -> bool:
        rows = self._fetch(
            """
            SELECT EXISTS (SELECT FROM scores WHERE level_id = %(level_id)s AND period = 0)
                OR EXISTS (SELECT FROM submissions WHERE level_id = %(level_id)s AND state = 0)
            """,
            {"level_id": level_id},
        )
        return bool(rows[0][0])

    def users_of(self, level_id: int) -> list[int]:
        rows = self._fetch(
            """
            SELECT user_id FROM scores WHERE level_id = %(level_id)s
             UNION
            SELECT user_id FROM submissions WHERE level_id = %(level_id)s
             ORDER BY user_id
            """,
            {"level_id": level_id},
        )
        return [user_id for (user_id,) in rows]

    def levels_of(self, user_id: int) -> list[int]:
        rows = self._fetch(
            """
            SELECT level_id FROM scores WHERE user_id = %(user_id)s
             UNION
            SELECT level_id FROM submissions WHERE user_id = %(user_id)s
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

    def add_submission(self, level_id: int, user_id: int, score: int, posted_at: int, day: int) -> None:
        self._connection.execute(
            """
            INSERT INTO submissions (level_id, user_id, score, posted_at, day, follows)
            VALUES (%(level_id)s, %(user_id)s, %(score)s, %(posted_at)s, %(day)s,
                    (SELECT coalesce(max(submission_id), 0)
                       FROM submissions
                      WHERE user_id = %(user_id)s
                        AND level_id = %(level_id)s
                        AND posted_at < %(posted_at)s
                        AND follows IS NULL))
            """,
            {"level_id": level_id, "user_id": user_id, "score": score, "posted_at": posted_at, "day": day},
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

    def scores(self, level_id: int, user_id: int) -> list[StoredScore]:
        rows = self._fetch(
            """
            SELECT period, user_id, score, reached_at
              FROM scores
             WHERE user_id = %(user_id)s AND level_id = %(level_id)s
            """,
            {"user_id": user_id, "level_id": level_id},
        )
        return [StoredScore(*row) for row in rows]

    def put_score(self, level_id: int, score: StoredScore) -> None:
        board = {"level_id": level_id, **score._asdict()}
        previous = self._fetch(
            """
            SELECT score
              FROM scores
             WHERE level_id = %(level_id)s AND period = %(period)s AND user_id = %(user_id)s
            """,
            board,
        )
        self._connection.execute(
            """
            INSERT INTO scores (level_id, period, user_id, score, reached_at)
            VALUES (%(level_id)s, %(period)s, %(user_id)s, %(score)s, %(reached_at)s)
                ON CONFLICT (level_id, period, user_id)
                   DO UPDATE SET score = excluded.score,
                                 reached_at = excluded.reached_at
            """,
            board,
        )
        key = level_id, score.period
        if previous:
            self._step(key, previous[0][0], -1)
        else:
            self._count(key, 1)
        self._step(key, score.score, 1)

    def delete_score(self, level_id: int, period: int, user_id: int) -> None:
        rows = self._fetch(
            """
            DELETE FROM scores
             WHERE level_id = %(level_id)s AND period = %(period)s AND user_id = %(user_id)s
            RETURNING score
            """,
            {"level_id": level_id, "period": period, "user_id": user_id},
        )
        for (score,) in rows:
            self._count((level_id, period), -1)
            self._step((level_id, period), score, -1)

    def _count(self, key: BoardKey, players: int) -> None:
        """Adds players to a board, less where they are below 0."""
        rows = self._fetch(
            """
            INSERT INTO boards AS board (level_id, period, players)
            VALUES (%(level_id)s, %(period)s, %(players)s)
                ON CONFLICT (level_id, period) DO UPDATE SET players = board.players + excluded.players
            RETURNING players, narrowest
            """,
            {"level_id": key[0], "period": key[1], "players": players},
        )
        ((counted, narrowest),) = rows
        if counted > PLAYERS_MAX and narrowest == NO_BANDS:
            self.full.add(Band(*key, None, 0))

    def _step(self, key: BoardKey, score: int, players: int) -> None:
        """Adds players to the bands of a score."""
        rows = self._fetch(
            """
            UPDATE bands
               SET counts[%(score)s / width %% 256 + 1] = counts[%(score)s / width %% 256 + 1] + %(players)s
             WHERE level_id = %(level_id)s
               AND period = %(period)s
               AND (width, lowest_score) IN (SELECT digit.width, %(score)s - %(score)s %% (256::bigint * digit.width)
                                               FROM (VALUES (16777216), (65536), (256), (1)) AS digit (width))
            RETURNING width, %(score)s - %(score)s %% width, counts[%(score)s / width %% 256 + 1]
            """,
            {"level_id": key[0], "period": key[1], "score": score, "players": players},
        )
        for width, lowest_score, counted in rows:
            if players > 0 and width > 1 and counted % PLAYERS_MAX == 0:
                self.full.add(Band(*key, width, lowest_score))
