"""Boards: who stands where on a level, each answer read from one snapshot."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from scoresvc.limits import COUNT_DEFAULT, COUNT_MAX
from scoresvc.periods import Period, PeriodWish, find_period_of_user
from scoresvc.scores import Board, Entry, Position, Standing, UserScores
from scoresvc.storage.cache import Cache
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
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import CACHE_AGE_MAX, LEVELS_CACHED, Lists
from scoresvc.storage.sqlite.ranks import players_of, rank_of, read_position
from scoresvc.storage.sqlite.rules import Rules
from scoresvc.storage.sqlite.versions import LevelVersions
from scoresvc.storage.user_pages import UserPage, find_views, read_level, read_user_page, write_level

LIMIT_CACHED_MAX = COUNT_DEFAULT  # entries of a page that is cached


class Boards:
    """Reads boards, see `BoardStore`; `clock` returns Unix seconds."""

    def __init__(
        self, readers: Readers, versions: LevelVersions, lists: Lists, rules: Rules, clock: Callable[[], float]
    ) -> None:
        self._readers = readers
        self._versions = versions
        self._lists = lists
        self._rules = rules
        self._clock = clock
        ((cursor_key,),) = readers.read("SELECT key FROM cursor_key", {})
        self._cursors = Cursors(cursor_key)
        self._user_cursors = Cursors(hmac.digest(cursor_key, b"users", "sha256"))
        self._first_pages: Cache[tuple[int, Period, int], Board] = Cache(LEVELS_CACHED, CACHE_AGE_MAX)

    def high_scores(self, level_id: int) -> str:
        return self._lists.list_of(level_id)

    def page(self, level_id: int, period: Period, limit: int, after: str | None, has_meta: bool = False) -> Board:
        if after is not None:
            position = self._cursors.read(level_id, after, period.number)
            return self._read_page(level_id, period, limit, position, has_meta)
        if limit > LIMIT_CACHED_MAX or has_meta:
            return self._read_page(level_id, period, limit, TOP, has_meta)
        key, version = (level_id, period, limit), self._versions.version_of(level_id)
        return self._first_pages.get(key, version, self._read_page, level_id, period, limit, TOP)

    def _read_page(self, level_id: int, period: Period, limit: int, after: Position, has_meta: bool = False) -> Board:
        with self._snapshot() as snapshot:
            board = read_page(snapshot, self._cursors, self._view(level_id, period), limit, after)
            return with_meta(snapshot, board) if has_meta else board

    def around(self, level_id: int, period: Period, user_id: int, count: int, has_meta: bool = False) -> Board | None:
        with self._snapshot() as snapshot:
            board = read_around(snapshot, self._cursors, self._view(level_id, period), user_id, count)
            return with_meta(snapshot, board) if board and has_meta else board

    def of_users(self, level_id: int, period: Period, user_ids: Sequence[int], has_meta: bool = False) -> Board:
        with self._snapshot() as snapshot:
            board = read_users(snapshot, self._view(level_id, period), user_ids)
            return with_meta(snapshot, board) if has_meta else board

    def standing(self, level_id: int, period: Period, user_id: int) -> Standing | None:
        view = self._view(level_id, period)
        with self._snapshot() as snapshot:
            position = snapshot.position(view.board, user_id)
            if position is None:
                return None
            rank, players = snapshot.rank_of(view.board, position.score), snapshot.players_of(view.board)
        return make_standing(view, position, rank, players)

    def bests(
        self, user_id: int, wish: PeriodWish, limit: int = COUNT_MAX, after: str | None = None
    ) -> list[tuple[int, int]]:
        with self._snapshot() as snapshot:
            page = self._read_user_page(snapshot, user_id, wish, limit, after)
        self._period_of_user(wish, page)
        return [each.level_score for each in page.scores]

    def user_scores(
        self, user_id: int, wish: PeriodWish, limit: int = COUNT_MAX, after: str | None = None
    ) -> UserScores:
        with self._snapshot() as snapshot:
            page = self._read_user_page(snapshot, user_id, wish, limit, after)
            scores = [
                each.ranked(snapshot.rank_of(each.view.board, each.score), snapshot.players_of(each.view.board))
                for each in page.scores
            ]
        cursor = write_level(self._user_cursors, user_id, wish, page.last)
        return UserScores(user_id, tuple(scores), cursor, **fields_of(self._period_of_user(wish, page)))

    def has_at_most(self, user_id: int, levels_max: int) -> bool:
        """Returns whether a user has scores on so many levels or fewer."""
        with self._snapshot() as snapshot:
            return len(snapshot.levels_of(user_id, -1, levels_max + 1)) <= levels_max

    def _read_user_page(
        self, snapshot: BoardSnapshot, user_id: int, wish: PeriodWish, limit: int, after: str | None
    ) -> UserPage:
        def find(levels: list[int]) -> list[View]:
            return find_views(levels, wish, self._rules.settings_of, self._now())

        return read_user_page(snapshot, user_id, find, limit, read_level(self._user_cursors, user_id, wish, after))

    def _period_of_user(self, wish: PeriodWish, page: UserPage) -> Period:
        return find_period_of_user(wish, self._rules.defaults.zone, self._now(), bool(page.scores))

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)

    def _view(self, level_id: int, period: Period) -> View:
        return View(level_id, period, self._rules.settings_of(level_id))

    @contextmanager
    def _snapshot(self) -> Iterator[BoardSnapshot]:
        with self._readers.snapshot() as connection:
            yield BoardSnapshot(connection)


# Each user is looked up: SQLite would rather read the whole board for an IN.
RANKED = """
    SELECT 1 + (SELECT count(*)
                  FROM scores
                 WHERE level_id = :level_id
                   AND period = :period
                   AND score > found.score
                   AND score < coalesce((SELECT min(lowest_score)
                                           FROM bands
                                          WHERE level_id = :level_id
                                            AND period = :period
                                            AND lowest_score > found.score), 2147483648))
             + (SELECT coalesce(sum(players), 0)
                  FROM bands
                 WHERE level_id = :level_id AND period = :period AND lowest_score > found.score),
           score, reached_at, found.user_id, name
      FROM (SELECT DISTINCT value FROM json_each(:user_ids)) AS wanted
     CROSS JOIN scores AS found
        ON level_id = :level_id AND period = :period AND found.user_id = wanted.value
      LEFT JOIN users ON users.user_id = found.user_id
     ORDER BY score DESC, reached_at, found.user_id
"""


class BoardSnapshot(NamedTuple):
    """Reads in a transaction; see `Snapshot`."""

    connection: sqlite3.Connection

    def position(self, board: BoardId, user_id: int) -> Position | None:
        return read_position(self.connection, board, user_id)

    def rank_of(self, board: BoardId, score: int) -> int:
        return rank_of(self.connection, board, score)

    def players_of(self, board: BoardId) -> int:
        return players_of(self.connection, board)

    def ranked(self, board: BoardId, user_ids: Sequence[int]) -> list[tuple[int, Position]]:
        rows = self.connection.execute(RANKED, {**board._asdict(), "user_ids": json.dumps(user_ids)})
        return [(rank, Position._make(position)) for rank, *position in rows.fetchall()]

    def below(self, board: BoardId, position: Position, count: int) -> list[Position]:
        """Returns at most `count` that follow `position`: those with its score, then those with a lower one."""
        rows = self.connection.execute(
            """
            SELECT score, reached_at, user_id, name
              FROM (SELECT score, reached_at, user_id
                      FROM (SELECT score, reached_at, user_id
                              FROM scores
                             WHERE level_id = :level_id
                               AND period = :period
                               AND score = :score
                               AND (reached_at, user_id) > (:reached_at, :user_id)
                             ORDER BY reached_at, user_id
                             LIMIT :count)
                     UNION ALL
                    SELECT score, reached_at, user_id
                      FROM (SELECT score, reached_at, user_id
                              FROM scores
                             WHERE level_id = :level_id AND period = :period AND score < :score
                             ORDER BY score DESC, reached_at, user_id
                             LIMIT :count)
                     ORDER BY score DESC, reached_at, user_id
                     LIMIT :count)
              LEFT JOIN users USING (user_id)
             ORDER BY score DESC, reached_at, user_id
            """,
            {**board._asdict(), "count": count, **position._asdict()},
        )
        return [Position._make(row) for row in rows.fetchall()]

    def above(self, board: BoardId, position: Position, count: int) -> list[Position]:
        """Returns at most `count` that come before `position`, the nearest first."""
        rows = self.connection.execute(
            """
            SELECT score, reached_at, user_id, name
              FROM (SELECT score, reached_at, user_id
                      FROM (SELECT score, reached_at, user_id
                              FROM scores
                             WHERE level_id = :level_id
                               AND period = :period
                               AND score = :score
                               AND (reached_at, user_id) < (:reached_at, :user_id)
                             ORDER BY reached_at DESC, user_id DESC
                             LIMIT :count)
                     UNION ALL
                    SELECT score, reached_at, user_id
                      FROM (SELECT score, reached_at, user_id
                              FROM scores
                             WHERE level_id = :level_id AND period = :period AND score > :score
                             ORDER BY score, reached_at DESC, user_id DESC
                             LIMIT :count)
                     ORDER BY score, reached_at DESC, user_id DESC
                     LIMIT :count)
              LEFT JOIN users USING (user_id)
             ORDER BY score, reached_at DESC, user_id DESC
            """,
            {**board._asdict(), "count": count, **position._asdict()},
        )
        return [Position._make(row) for row in rows.fetchall()]

    def metas(self, level_id: int, entries: Sequence[Entry]) -> dict[int, str]:
        rows = self.connection.execute(
            """
            SELECT user_id, meta
              FROM json_each(:stands) AS stands
             CROSS JOIN submissions
                ON user_id = json_extract(stands.value, '$[0]')
               AND level_id = :level_id
               AND posted_at = json_extract(stands.value, '$[1]')
             WHERE meta IS NOT NULL
            """,
            {"level_id": level_id, "stands": json.dumps([(each.user_id, each.reached_at) for each in entries])},
        )
        return dict(rows.fetchall())

    def levels_of(self, user_id: int, after: int, count: int) -> list[int]:
        rows = self.connection.execute(
            """
            WITH RECURSIVE level (level_id) AS (
                 SELECT min(level_id)
                   FROM scores
                  WHERE user_id = :user_id AND level_id > :after
                  UNION ALL
                 SELECT (SELECT min(scores.level_id)
                           FROM scores
                          WHERE user_id = :user_id AND scores.level_id > level.level_id)
                   FROM level
                  WHERE level_id IS NOT NULL
                  LIMIT :count)
            SELECT level_id
              FROM level
             WHERE level_id IS NOT NULL
            """,
            {"user_id": user_id, "after": after, "count": count},
        )
        return [level_id for (level_id,) in rows.fetchall()]

    def scores_of(self, user_id: int, boards: Sequence[BoardId]) -> list[tuple[int, int]]:
        return self.connection.execute(
            """
            SELECT scores.level_id, score
              FROM json_each(:boards) AS board
             CROSS JOIN scores  -- in this order: the user may have far more rows
                ON user_id = :user_id
               AND scores.level_id = json_extract(board.value, '$[0]')
               AND period = json_extract(board.value, '$[1]')
             ORDER BY board.key
            """,
            {"user_id": user_id, "boards": json.dumps(boards)},
        ).fetchall()
