"""Boards: who stands where on a level, each answer read from one snapshot."""

from __future__ import annotations

import json
from collections.abc import Sequence

from scoresvc.limits import COUNT_DEFAULT, UINT31_MAX
from scoresvc.scores import (
    Board,
    Entry,
    LevelScore,
    Position,
    Standing,
    Timestamp,
    UserScores,
    percentile,
)
from scoresvc.storage.cache import Cache
from scoresvc.storage.cursors import Cursors
from scoresvc.storage.sqlite.connections import Readers
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.lists import CACHE_AGE_MAX, LEVELS_CACHED, Lists
from scoresvc.storage.sqlite.ranks import players_of, rank_of
from scoresvc.storage.sqlite.versions import LevelVersions

LIMIT_CACHED_MAX = COUNT_DEFAULT  # entries of a page that is cached

TOP = Position(UINT31_MAX + 1, 0, 0)  # before all entries


class Boards:
    """Reads boards; methods raise Unavailable where the database cannot be read."""

    def __init__(self, readers: Readers, versions: LevelVersions, lists: Lists) -> None:
        self._readers = readers
        self._versions = versions
        self._lists = lists
        ((cursor_key,),) = readers.read("SELECT key FROM cursor_key", {})
        self._cursors = Cursors(cursor_key)
        self._first_pages: Cache[tuple[int, int], Board] = Cache(LEVELS_CACHED, CACHE_AGE_MAX)

    def high_scores(self, level_id: int) -> str:
        """Returns the best 15 of a level as `<userid>=<score>,…`: highest first, of equal ones who was first."""
        return self._lists.list_of(level_id)

    def page(self, level_id: int, limit: int, after: str | None) -> Board:
        """Returns at most `limit` entries that follow the cursor `after`, or the first. Raises BadCursor."""
        if after is not None:
            return self._read_page(level_id, limit, self._cursors.read(level_id, after))
        if limit > LIMIT_CACHED_MAX:
            return self._read_page(level_id, limit, TOP)
        version = self._versions.version_of(level_id)
        return self._first_pages.get((level_id, limit), version, self._read_page, level_id, limit, TOP)

    def _read_page(self, level_id: int, limit: int, after: Position) -> Board:
        with self._readers.snapshot() as connection:
            positions = _read_below(connection, level_id, after, limit + 1)
            return self._make_board(connection, level_id, positions[:limit], has_more=len(positions) > limit)

    def around(self, level_id: int, user_id: int, count: int) -> Board | None:
        """Returns a user and their neighbours, `count` in all; None for a user without a score.

        `(count - 1) // 2` stand above, the rest below; what one end lacks is taken at the other.
        """
        with self._readers.snapshot() as connection:
            position = read_position(connection, level_id, user_id)
            if position is None:
                return None
            above = _read_above(connection, level_id, position, count - 1)
            below = _read_below(connection, level_id, position, count)
            above_count = min(len(above), max((count - 1) // 2, count - 1 - len(below)))
            below_count = min(len(below), count - 1 - above_count)
            positions = [*reversed(above[:above_count]), position, *below[:below_count]]
            return self._make_board(connection, level_id, positions, has_more=len(below) > below_count)

    def of_users(self, level_id: int, user_ids: Sequence[int]) -> Board:
        """Returns those of the users that have a score, with their ranks on the whole board."""
        with self._readers.snapshot() as connection:
            positions = _read_users(connection, level_id, user_ids)
            ranks = {score: rank_of(connection, level_id, score) for score in {each.score for each in positions}}
            entries = tuple([_entry(ranks[position.score], position) for position in positions])
            return Board(level_id, players_of(connection, level_id), entries, None)

    def standing(self, level_id: int, user_id: int) -> Standing | None:
        """Returns None for a user without a score."""
        with self._readers.snapshot() as connection:
            position = read_position(connection, level_id, user_id)
            if position is None:
                return None
            rank, players = rank_of(connection, level_id, position.score), players_of(connection, level_id)
        return Standing(
            level_id,
            user_id,
            position.score,
            rank,
            players,
            percentile(rank, players),
            Timestamp(position.reached_at),
        )

    def bests(self, user_id: int) -> list[tuple[int, int]]:
        """Returns level and score of each of a user's bests, by level."""
        with self._readers.snapshot() as connection:
            return _read_bests(connection, user_id)

    def user_scores(self, user_id: int) -> UserScores:
        """Returns each of a user's bests with its rank, by level."""
        with self._readers.snapshot() as connection:
            scores = [
                LevelScore(level_id, score, rank_of(connection, level_id, score), players_of(connection, level_id))
                for level_id, score in _read_bests(connection, user_id)
            ]
        return UserScores(user_id, tuple(scores))

    def _make_board(
        self, connection: sqlite3.Connection, level_id: int, positions: Sequence[Position], has_more: bool
    ) -> Board:
        ranks = _ranks(connection, level_id, [position.score for position in positions])
        entries = tuple([_entry(rank, position) for rank, position in zip(ranks, positions, strict=True)])
        cursor = self._cursors.write(level_id, positions[-1]) if has_more else None
        return Board(level_id, players_of(connection, level_id), entries, cursor)


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


def _read_bests(connection: sqlite3.Connection, user_id: int) -> list[tuple[int, int]]:
    return connection.execute(
        """
        SELECT level_id, score
          FROM scores
         WHERE user_id = :user_id
         ORDER BY level_id
        """,
        {"user_id": user_id},
    ).fetchall()


def _read_users(connection: sqlite3.Connection, level_id: int, user_ids: Sequence[int]) -> list[Position]:
    rows = connection.execute(
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


def _read_below(connection: sqlite3.Connection, level_id: int, position: Position, count: int) -> list[Position]:
    """Returns at most `count` that follow `position`: those with its score, then those with a lower one."""
    rows = connection.execute(
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


def _read_above(connection: sqlite3.Connection, level_id: int, position: Position, count: int) -> list[Position]:
    """Returns at most `count` that come before `position`, the nearest first."""
    rows = connection.execute(
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


def _entry(rank: int, position: Position) -> Entry:
    return Entry(rank, position.user_id, position.score, Timestamp(position.reached_at))


def _ranks(connection: sqlite3.Connection, level_id: int, scores: Sequence[int]) -> list[int]:
    """Returns the ranks of neighbours: the first two different scores are looked up, the others follow from them."""
    if not scores:
        return []
    first_count = next((index for index, score in enumerate(scores) if score != scores[0]), len(scores))
    ranks = [rank_of(connection, level_id, scores[0])] * first_count
    if first_count < len(scores):
        offset = rank_of(connection, level_id, scores[first_count]) - first_count
        for index in range(first_count, len(scores)):
            ranks.append(ranks[-1] if scores[index] == scores[index - 1] else offset + index)
    return ranks
