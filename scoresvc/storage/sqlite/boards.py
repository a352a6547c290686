"""Boards: who stands where on a level, each answer read from one snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from scoresvc.limits import COUNT_DEFAULT
from scoresvc.scores import Board, LevelScore, Position, Standing, UserScores
from scoresvc.storage.cache import Cache
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.pages import TOP, make_standing, read_around, read_page, read_users
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import CACHE_AGE_MAX, LEVELS_CACHED, Lists
from scoresvc.storage.sqlite.ranks import players_of, rank_of
from scoresvc.storage.sqlite.versions import LevelVersions

LIMIT_CACHED_MAX = COUNT_DEFAULT  # entries of a page that is cached


class Boards:
    """Reads boards, see `BoardStore`."""

    def __init__(self, readers: Readers, versions: LevelVersions, lists: Lists) -> None:
        self._readers = readers
        self._versions = versions
        self._lists = lists
        ((cursor_key,),) = readers.read("SELECT key FROM cursor_key", {})
        self._cursors = Cursors(cursor_key)
        self._first_pages: Cache[tuple[int, int], Board] = Cache(LEVELS_CACHED, CACHE_AGE_MAX)

    def high_scores(self, level_id: int) -> str:
        return self._lists.list_of(level_id)

    def page(self, level_id: int, limit: int, after: str | None) -> Board:
        if after is not None:
            return self._read_page(level_id, limit, self._cursors.read(level_id, after))
        if limit > LIMIT_CACHED_MAX:
            return self._read_page(level_id, limit, TOP)
        version = self._versions.version_of(level_id)
        return self._first_pages.get((level_id, limit), version, self._read_page, level_id, limit, TOP)

    def _read_page(self, level_id: int, limit: int, after: Position) -> Board:
        with self._snapshot() as snapshot:
            return read_page(snapshot, self._cursors, level_id, limit, after)

    def around(self, level_id: int, user_id: int, count: int) -> Board | None:
        with self._snapshot() as snapshot:
            return read_around(snapshot, self._cursors, level_id, user_id, count)

    def of_users(self, level_id: int, user_ids: Sequence[int]) -> Board:
        with self._snapshot() as snapshot:
            return read_users(snapshot, level_id, user_ids)

    def standing(self, level_id: int, user_id: int) -> Standing | None:
        with self._snapshot() as snapshot:
            position = snapshot.position(level_id, user_id)
            if position is None:
                return None
            rank, players = snapshot.rank_of(level_id, position.score), snapshot.players_of(level_id)
        return make_standing(level_id, position, rank, players)

    def bests(self, user_id: int) -> list[tuple[int, int]]:
        with self._snapshot() as snapshot:
            return snapshot.bests(user_id)

    def user_scores(self, user_id: int) -> UserScores:
        with self._snapshot() as snapshot:
            scores = [
                LevelScore(level_id, score, snapshot.rank_of(level_id, score), snapshot.players_of(level_id))
                for level_id, score in snapshot.bests(user_id)
            ]
        return UserScores(user_id, tuple(scores))

    @contextmanager
    def _snapshot(self) -> Iterator[BoardSnapshot]:
        with self._readers.snapshot() as connection:
            yield BoardSnapshot(connection)


class BoardSnapshot(NamedTuple):
    """Reads in a transaction; see `Snapshot`."""

    connection: sqlite3.Connection

    def position(self, level_id: int, user_id: int) -> Position | None:
        return read_position(self.connection, level_id, user_id)

    def rank_of(self, level_id: int, score: int) -> int:
        return rank_of(self.connection, level_id, score)

    def players_of(self, level_id: int) -> int:
        return players_of(self.connection, level_id)

    def positions(self, level_id: int, user_ids: Sequence[int]) -> list[Position]:
        rows = self.connection.execute(
            """
            SELECT score, reached_at, user_id
              FROM scores
             WHERE level_id = :level_id
               AND user_id IN (SELECT value FROM json_each(:user_ids))
             ORDER BY score DESC, reached_at, user_id
            """,
            {"level_id": level_id, "user_ids": json.dumps(user_ids)},
        )
        return [Position._make(row) for row in rows.fetchall()]

    def below(self, level_id: int, position: Position, count: int) -> list[Position]:
        """Returns at most `count` that follow `position`: those with its score, then those with a lower one."""
        rows = self.connection.execute(
            """
            SELECT score, reached_at, user_id
              FROM (SELECT score, reached_at, user_id
                      FROM scores
                     WHERE level_id = :level_id AND score = :score AND (reached_at, user_id) > (:reached_at, :user_id)
                     ORDER BY reached_at, user_id
                     LIMIT :count)
             UNION ALL
            SELECT score, reached_at, user_id
              FROM (SELECT score, reached_at, user_id
                      FROM scores
                     WHERE level_id = :level_id AND score < :score
                     ORDER BY score DESC, reached_at, user_id
                     LIMIT :count)
             ORDER BY score DESC, reached_at, user_id
             LIMIT :count
            """,
            {"level_id": level_id, "count": count, **position._asdict()},
        )
        return [Position._make(row) for row in rows.fetchall()]

    def above(self, level_id: int, position: Position, count: int) -> list[Position]:
        """Returns at most `count` that come before `position`, the nearest first."""
        rows = self.connection.execute(
            """
            SELECT score, reached_at, user_id
              FROM (SELECT score, reached_at, user_id
                      FROM scores
                     WHERE level_id = :level_id AND score = :score AND (reached_at, user_id) < (:reached_at, :user_id)
                     ORDER BY reached_at DESC, user_id DESC
                     LIMIT :count)
             UNION ALL
            SELECT score, reached_at, user_id
              FROM (SELECT score, reached_at, user_id
                      FROM scores
                     WHERE level_id = :level_id AND score > :score
                     ORDER BY score, reached_at DESC, user_id DESC
                     LIMIT :count)
             ORDER BY score, reached_at DESC, user_id DESC
             LIMIT :count
            """,
            {"level_id": level_id, "count": count, **position._asdict()},
        )
        return [Position._make(row) for row in rows.fetchall()]

    def bests(self, user_id: int) -> list[tuple[int, int]]:
        return self.connection.execute(
            """
            SELECT level_id, score
              FROM scores
             WHERE user_id = :user_id
             ORDER BY level_id
            """,
            {"user_id": user_id},
        ).fetchall()


def read_position(connection: sqlite3.Connection, level_id: int, user_id: int) -> Position | None:
    """Returns None for a user without a score."""
    rows = connection.execute(
        """
        SELECT score, reached_at, user_id
          FROM scores
         WHERE level_id = :level_id AND user_id = :user_id
        """,
        {"level_id": level_id, "user_id": user_id},
    ).fetchall()
    return Position(*rows[0]) if rows else None
