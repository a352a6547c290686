"""Boards: who stands where on a level, each answer read from one snapshot."""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from scoresvc.limits import COUNT_MAX
from scoresvc.periods import Period, PeriodWish, find_period_of_user
from scoresvc.scores import Board, Entry, Position, Standing, UserScores
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.pages import (
    TOP,
    BoardId,
    View,
    fields_of,
    make_standing,
    read_around,
    read_page,
    read_users,
    with_meta,
)
from scoresvc.storage.postgres.clocks import DatabaseClock
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.lists import ListReader
from scoresvc.storage.postgres.reading import Reader
from scoresvc.storage.postgres.rules import SharedRules
from scoresvc.storage.postgres.user_boards import SharedUserSnapshot
from scoresvc.storage.user_pages import UserPage, find_views, read_level, read_user_page, write_level
from scoresvc.storage.write import Write


class SharedBoards:
    """Reads boards, see `BoardStore`. No board is cached: another node may change any at any time."""

    user_snapshot: ClassVar[type[SharedUserSnapshot]] = SharedUserSnapshot

    def __init__(
        self, reader: Reader, lists: ListReader, cursor_key: bytes, rules: SharedRules, clock: DatabaseClock
    ) -> None:
        self._reader = reader
        self._lists = lists
        self._cursors = Cursors(cursor_key)
        self._user_cursors = Cursors(hmac.digest(cursor_key, b"users", "sha256"))
        self._rules = rules
        self._clock = clock

    def high_scores(self, level_id: int) -> Write[str]:
        return self._lists.begin(level_id)

    def page(self, level_id: int, period: Period, limit: int, after: str | None, has_meta: bool = False) -> Board:
        position = TOP if after is None else self._cursors.read(level_id, after, period.number)
        view = self._view(level_id, period)
        with self._snapshot() as snapshot:
            board = read_page(snapshot, self._cursors, view, limit, position)
            return with_meta(snapshot, board) if has_meta else board

    def around(self, level_id: int, period: Period, user_id: int, count: int, has_meta: bool = False) -> Board | None:
        view = self._view(level_id, period)
        with self._snapshot() as snapshot:
            board = read_around(snapshot, self._cursors, view, user_id, count)
            return with_meta(snapshot, board) if board and has_meta else board

    def of_users(self, level_id: int, period: Period, user_ids: Sequence[int], has_meta: bool = False) -> Board:
        view = self._view(level_id, period)
        with self._snapshot() as snapshot:
            board = read_users(snapshot, view, user_ids)
            return with_meta(snapshot, board) if has_meta else board

    def standing(self, level_id: int, period: Period, user_id: int) -> Standing | None:
        view = self._view(level_id, period)
        for score, reached_at, rank, players in self._read_standing(view.board, user_id):
            return make_standing(view, Position(score, reached_at, user_id), rank, players)
        return None

    def _read_standing(self, board: BoardId, user_id: int) -> list[tuple[Any, ...]]:
        """Returns turned score, time, rank and players, of a user with a score."""
        return self._reader.read(
            """
            SELECT score, reached_at, rank_of(level_id, period, score), boards.players
              FROM scores
              JOIN boards USING (level_id, period)
             WHERE level_id = %(level_id)s AND period = %(period)s AND user_id = %(user_id)s
            """,
            {**board._asdict(), "user_id": user_id},
        )

    def bests(
        self, user_id: int, wish: PeriodWish, limit: int = COUNT_MAX, after: str | None = None
    ) -> list[tuple[int, int]]:
        def read(connection: Connection) -> UserPage:
            return self._read_user_page(self.user_snapshot(connection), user_id, wish, limit, after)

        page = self._reader.read_snapshot(read)
        self._period_of_user(wish, page)
        return [each.level_score for each in page.scores]

    def user_scores(
        self, user_id: int, wish: PeriodWish, limit: int = COUNT_MAX, after: str | None = None
    ) -> UserScores:
        def read(connection: Connection) -> tuple[UserPage, list[tuple[int, int]]]:
            snapshot = self.user_snapshot(connection)
            page = self._read_user_page(snapshot, user_id, wish, limit, after)
            return page, snapshot.ranks_of(page.scores)

        page, ranks = self._reader.read_snapshot(read)
        scores = [each.ranked(*rank) for each, rank in zip(page.scores, ranks, strict=True)]
        cursor = write_level(self._user_cursors, user_id, wish, page.last)
        return UserScores(user_id, tuple(scores), cursor, **fields_of(self._period_of_user(wish, page)))

    def _read_user_page(
        self, snapshot: SharedUserSnapshot, user_id: int, wish: PeriodWish, limit: int, after: str | None
    ) -> UserPage:
        now = self._clock.now()

        def find(levels: list[int]) -> list[View]:
            settings = snapshot.settings_of(levels, self._rules.defaults)
            return find_views(levels, wish, settings.__getitem__, now)

        return read_user_page(snapshot, user_id, find, limit, read_level(self._user_cursors, user_id, wish, after))

    def _period_of_user(self, wish: PeriodWish, page: UserPage) -> Period:
        return find_period_of_user(wish, self._rules.defaults.zone, self._clock.now(), bool(page.scores))

    def _view(self, level_id: int, period: Period) -> View:
        return View(level_id, period, self._rules.settings_of(level_id))

    @contextmanager
    def _snapshot(self) -> Iterator[SharedSnapshot]:
        with self._reader.snapshot() as connection:
            yield SharedSnapshot(connection)


class SharedSnapshot(NamedTuple):
    """Reads in a transaction; see `Snapshot`."""

    connection: Connection

    def position(self, board: BoardId, user_id: int) -> Position | None:
        rows = self._read(
            """
            SELECT score, reached_at, user_id, name
              FROM scores
              LEFT JOIN users USING (user_id)
             WHERE level_id = %(level_id)s AND period = %(period)s AND user_id = %(user_id)s
            """,
            **board._asdict(),
            user_id=user_id,
        )
        return rows[0] if rows else None

    def ranked(self, board: BoardId, user_ids: Sequence[int]) -> list[tuple[int, Position]]:
        """See `SharedUserSnapshot.scores_of` for the condition on `previous`."""
        positions = self._read(
            """
            SELECT score, reached_at, user_id, name
              FROM scores
              LEFT JOIN users USING (user_id)
             WHERE level_id = %(level_id)s
               AND period = %(period)s
               AND user_id = ANY(%(user_ids)s::int[])
               AND previous IS DISTINCT FROM 2147483648
             ORDER BY score DESC, reached_at, user_id
            """,
            **board._asdict(),
            user_ids=list(user_ids),
        )
        ranks = self.connection.execute(
            """
            SELECT rank_of(%(level_id)s::int, %(period)s::int, score)
              FROM unnest(%(scores)s::int[]) WITH ORDINALITY AS stands (score, place)
             ORDER BY place
            """,
            {**board._asdict(), "scores": [position.score for position in positions]},
        )
        return [(int(rank), position) for (rank,), position in zip(ranks.fetchall(), positions, strict=True)]

    def below(self, board: BoardId, position: Position, count: int) -> list[Position]:
        """Those with the score of `position`, then those with a lower one."""
        return self._read(
            """
            SELECT score, reached_at, user_id, name
              FROM (SELECT score, reached_at, user_id
                      FROM (SELECT score, reached_at, user_id
                              FROM scores
                             WHERE level_id = %(level_id)s
                               AND period = %(period)s
                               AND score = %(score)s
                               AND (reached_at, user_id) > (%(reached_at)s, %(user_id)s)
                             ORDER BY reached_at, user_id
                             LIMIT %(count)s) AS equal
                     UNION ALL
                    SELECT score, reached_at, user_id
                      FROM (SELECT score, reached_at, user_id
                              FROM scores
                             WHERE level_id = %(level_id)s AND period = %(period)s AND score < %(score)s
                             ORDER BY score DESC, reached_at, user_id
                             LIMIT %(count)s) AS lower
                     ORDER BY score DESC, reached_at, user_id
                     LIMIT %(count)s) AS page
              LEFT JOIN users USING (user_id)
             ORDER BY score DESC, reached_at, user_id
            """,
            **board._asdict(),
            count=count,
            **position._asdict(),
        )

    def above(self, board: BoardId, position: Position, count: int) -> list[Position]:
        """Those with the score of `position`, then those with a higher one, the nearest first."""
        return self._read(
            """
            SELECT score, reached_at, user_id, name
              FROM (SELECT score, reached_at, user_id
                      FROM (SELECT score, reached_at, user_id
                              FROM scores
                             WHERE level_id = %(level_id)s
                               AND period = %(period)s
                               AND score = %(score)s
                               AND (reached_at, user_id) < (%(reached_at)s, %(user_id)s)
                             ORDER BY reached_at DESC, user_id DESC
                             LIMIT %(count)s) AS equal
                     UNION ALL
                    SELECT score, reached_at, user_id
                      FROM (SELECT score, reached_at, user_id
                              FROM scores
                             WHERE level_id = %(level_id)s AND period = %(period)s AND score > %(score)s
                             ORDER BY score, reached_at DESC, user_id DESC
                             LIMIT %(count)s) AS higher
                     ORDER BY score, reached_at DESC, user_id DESC
                     LIMIT %(count)s) AS page
              LEFT JOIN users USING (user_id)
             ORDER BY score, reached_at DESC, user_id DESC
            """,
            **board._asdict(),
            count=count,
            **position._asdict(),
        )

    def metas(self, level_id: int, entries: Sequence[Entry]) -> dict[int, str]:
        rows = self.connection.execute(
            """
            SELECT submissions.user_id, meta
              FROM unnest(%(users)s::int[], %(times)s::bigint[]) AS stands (user_id, reached_at)
              JOIN submissions
                ON submissions.level_id = %(level_id)s
               AND submissions.user_id = stands.user_id
               AND submissions.posted_at = stands.reached_at
             WHERE meta IS NOT NULL
            """,
            {
                "level_id": level_id,
                "users": [each.user_id for each in entries],
                "times": [int(each.reached_at) for each in entries],
            },
        )
        return dict(rows.fetchall())

    def rank_of(self, board: BoardId, score: int) -> int:
        ((rank,),) = self.connection.execute(
            "SELECT rank_of(%(level_id)s::int, %(period)s::int, %(score)s::int)", {**board._asdict(), "score": score}
        ).fetchall()
        return int(rank)

    def players_of(self, board: BoardId) -> int:
        rows = self.connection.execute(
            "SELECT players FROM boards WHERE level_id = %(level_id)s AND period = %(period)s", board._asdict()
        ).fetchall()
        return int(rows[0][0]) if rows else 0

    def _read(self, sql: str, **values: Any) -> list[Position]:
        return [Position._make(row) for row in self.connection.execute(sql.encode(), values).fetchall()]
