"""Boards: who stands where on a level, each answer read from one snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from scoresvc.scores import Board, LevelScore, Position, Standing, UserScores
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.pages import TOP, make_standing, read_around, read_page, read_users
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.lists import ListReader
from scoresvc.storage.postgres.reading import Reader
from scoresvc.storage.write import Write


class SharedBoards:
    """Reads boards, see `BoardStore`. Nothing is cached: another node may change any level at any time."""

    def __init__(self, reader: Reader, lists: ListReader, cursors: Cursors) -> None:
        self._reader = reader
        self._lists = lists
        self._cursors = cursors

    def high_scores(self, level_id: int) -> Write[str]:
        return self._lists.begin(level_id)

    def page(self, level_id: int, limit: int, after: str | None) -> Board:
        position = TOP if after is None else self._cursors.read(level_id, after)
        with self._snapshot() as snapshot:
            return read_page(snapshot, self._cursors, level_id, limit, position)

    def around(self, level_id: int, user_id: int, count: int) -> Board | None:
        with self._snapshot() as snapshot:
            return read_around(snapshot, self._cursors, level_id, user_id, count)

    def of_users(self, level_id: int, user_ids: Sequence[int]) -> Board:
        with self._snapshot() as snapshot:
            return read_users(snapshot, level_id, user_ids)

    def standing(self, level_id: int, user_id: int) -> Standing | None:
        rows = self._reader.read(
            """
            SELECT score, reached_at, user_id, rank_of(level_id, score), levels.players
              FROM scores
              JOIN levels USING (level_id)
             WHERE level_id = %(level_id)s AND user_id = %(user_id)s
            """,
            {"level_id": level_id, "user_id": user_id},
        )
        return next((make_standing(level_id, Position(*row[:3]), *row[3:]) for row in rows), None)

    def bests(self, user_id: int) -> list[tuple[int, int]]:
        rows = self._reader.read(
            """
            SELECT level_id, score
              FROM scores
             WHERE user_id = %(user_id)s
             ORDER BY level_id
            """,
            {"user_id": user_id},
        )
        return [(level_id, score) for level_id, score in rows]

    def user_scores(self, user_id: int) -> UserScores:
        rows = self._reader.read(
            """
            SELECT level_id, score, rank_of(level_id, score), levels.players
              FROM scores
              JOIN levels USING (level_id)
             WHERE user_id = %(user_id)s
             ORDER BY level_id
            """,
            {"user_id": user_id},
        )
        return UserScores(user_id, tuple(LevelScore(*row) for row in rows))

    @contextmanager
    def _snapshot(self) -> Iterator[SharedSnapshot]:
        with self._reader.snapshot() as connection:
            yield SharedSnapshot(connection)


class SharedSnapshot(NamedTuple):
    """Reads in a transaction; see `Snapshot`."""

    connection: Connection

    def position(self, level_id: int, user_id: int) -> Position | None:
        rows = self._read(
            """
            SELECT score, reached_at, user_id
              FROM scores
             WHERE level_id = %(level_id)s AND user_id = %(user_id)s
            """,
            level_id=level_id,
            user_id=user_id,
        )
        return rows[0] if rows else None

    def positions(self, level_id: int, user_ids: Sequence[int]) -> list[Position]:
        return self._read(
            """
            SELECT score, reached_at, user_id
              FROM scores
             WHERE level_id = %(level_id)s AND user_id = ANY(%(user_ids)s::int[])
             ORDER BY score DESC, reached_at, user_id
            """,
            level_id=level_id,
            user_ids=list(user_ids),
        )

    def below(self, level_id: int, position: Position, count: int) -> list[Position]:
        """Those with the score of `position`, then those with a lower one."""
        return self._read(
            """
            SELECT score, reached_at, user_id
              FROM (SELECT score, reached_at, user_id
                      FROM scores
                     WHERE level_id = %(level_id)s
                       AND score = %(score)s
                       AND (reached_at, user_id) > (%(reached_at)s, %(user_id)s)
                     ORDER BY reached_at, user_id
                     LIMIT %(count)s) AS equal
             UNION ALL
            SELECT score, reached_at, user_id
              FROM (SELECT score, reached_at, user_id
                      FROM scores
                     WHERE level_id = %(level_id)s AND score < %(score)s
                     ORDER BY score DESC, reached_at, user_id
                     LIMIT %(count)s) AS lower
             ORDER BY score DESC, reached_at, user_id
             LIMIT %(count)s
            """,
            level_id=level_id,
            count=count,
            **position._asdict(),
        )

    def above(self, level_id: int, position: Position, count: int) -> list[Position]:
        """Those with the score of `position`, then those with a higher one, the nearest first."""
        return self._read(
            """
            SELECT score, reached_at, user_id
              FROM (SELECT score, reached_at, user_id
                      FROM scores
                     WHERE level_id = %(level_id)s
                       AND score = %(score)s
                       AND (reached_at, user_id) < (%(reached_at)s, %(user_id)s)
                     ORDER BY reached_at DESC, user_id DESC
                     LIMIT %(count)s) AS equal
             UNION ALL
            SELECT score, reached_at, user_id
              FROM (SELECT score, reached_at, user_id
                      FROM scores
                     WHERE level_id = %(level_id)s AND score > %(score)s
                     ORDER BY score, reached_at DESC, user_id DESC
                     LIMIT %(count)s) AS higher
             ORDER BY score, reached_at DESC, user_id DESC
             LIMIT %(count)s
            """,
            level_id=level_id,
            count=count,
            **position._asdict(),
        )

    def rank_of(self, level_id: int, score: int) -> int:
        ((rank,),) = self.connection.execute("SELECT rank_of(%s::int, %s::int)", (level_id, score)).fetchall()
        return int(rank)

    def players_of(self, level_id: int) -> int:
        rows = self.connection.execute("SELECT players FROM levels WHERE level_id = %s", (level_id,)).fetchall()
        return int(rows[0][0]) if rows else 0

    def _read(self, sql: str, **values: Any) -> list[Position]:
        return [Position._make(row) for row in self.connection.execute(sql.encode(), values).fetchall()]
