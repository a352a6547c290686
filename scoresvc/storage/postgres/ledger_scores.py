"""The part of the ledger that is about levels, and the scores that submissions come to."""

from __future__ import annotations

from scoresvc.storage.ledger import StoredScore
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.ledger_submissions import PostgresSubmissionLedger
from scoresvc.storage.postgres.ranks import NO_BANDS, PLAYERS_MAX, Band

BoardKey = tuple[int, int]  # level, period


class PostgresScoreLedger(PostgresSubmissionLedger):
    """Methods are told in `Ledger`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.full: set[Band] = set()  # to be divided after the commit

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
