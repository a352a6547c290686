"""What stands where on a level's board, as one connection sees it in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from scoresvc.cursors import Place
from scoresvc.errors import UINT31_MAX
from scoresvc.sqlite import sqlite3

TOP = Place(UINT31_MAX + 1, 0, 0)  # before all entries


class Entry(NamedTuple):
    rank: int  # from 1; equal scores share it
    user_id: int
    score: int
    reached_at: int  # Unix microseconds


class Stretch(NamedTuple):
    """Some of the entries of a level, in its order."""

    players: int  # of the whole level
    entries: tuple[Entry, ...]
    goes_on: bool  # whether another entry follows the last one


class LevelScore(NamedTuple):
    """The best of a user on a level."""

    level_id: int
    score: int
    reached_at: int  # Unix microseconds


class Standing(NamedTuple):
    """Where a user stands on a level."""

    user_id: int
    level_id: int
    score: int
    reached_at: int  # Unix microseconds
    rank: int
    players: int  # of the level


def rank_of(connection: sqlite3.Connection, level_id: int, score: int) -> int:
    """Returns one plus the number of players of the level with a higher score."""
    ((rank,),) = connection.execute(
        """
        WITH above (first_block, first_group) AS (
             SELECT coalesce((SELECT min(lowest_score)
                                FROM rank_blocks
                               WHERE level_id = :level_id AND lowest_score > :score), 2147483648),
                    coalesce((SELECT min(lowest_score)
                                FROM rank_groups
                               WHERE level_id = :level_id AND lowest_score > :score), 2147483648))
        SELECT 1 + (SELECT count(*)
                      FROM scores
                     WHERE level_id = :level_id AND score > :score AND score < first_block)
                 + (SELECT coalesce(sum(players), 0)
                      FROM rank_blocks
                     WHERE level_id = :level_id AND lowest_score >= first_block AND lowest_score < first_group)
                 + (SELECT coalesce(sum(players), 0)
                      FROM rank_groups
                     WHERE level_id = :level_id AND lowest_score >= first_group)
          FROM above
        """,
        {"level_id": level_id, "score": score},
    ).fetchall()
    return int(rank)


def players_of(connection: sqlite3.Connection, level_id: int) -> int:
    """Returns how many users have a score on the level."""
    ((players,),) = connection.execute(
        "SELECT coalesce(sum(players), 0) FROM rank_groups WHERE level_id = :level_id", {"level_id": level_id}
    ).fetchall()
    return int(players)


def read_page(connection: sqlite3.Connection, level_id: int, after: Place, limit: int) -> Stretch:
    """Returns at most `limit` entries that follow `after`."""
    rows = _read_below(connection, level_id, after, limit + 1)
    return _stretch(connection, level_id, rows[:limit], goes_on=len(rows) > limit)


def read_around(connection: sqlite3.Connection, level_id: int, user_id: int, count: int) -> Stretch | None:
    """Returns a user and their neighbours, `count` in all; None for a user without a score.

    `(count - 1) // 2` stand above, the rest below; what is missing at one end is made up at the other.
    """
    place = _read_place(connection, level_id, user_id)
    if place is None:
        return None
    above = _read_above(connection, level_id, place, count - 1)
    below = _read_below(connection, level_id, place, count)
    taken_above = min(len(above), max((count - 1) // 2, count - 1 - len(below)))
    taken_below = min(len(below), count - 1 - taken_above)
    rows = [*reversed(above[:taken_above]), place, *below[:taken_below]]
    return _stretch(connection, level_id, rows, goes_on=len(below) > taken_below)


def read_users(connection: sqlite3.Connection, level_id: int, user_ids: Sequence[int]) -> Stretch:
    """Returns those of the users that have a score, with their ranks on the whole board."""
    rows = connection.execute(
        """
        SELECT score, reached_at, user_id
          FROM scores
         WHERE level_id = :level_id
           AND user_id IN (SELECT value FROM json_each(:user_ids))
         ORDER BY score DESC, reached_at, user_id
        """,
        {"level_id": level_id, "user_ids": json.dumps(user_ids)},
    ).fetchall()
    ranks = {score: rank_of(connection, level_id, score) for score in {score for score, _, _ in rows}}
    entries = tuple(Entry(ranks[score], user_id, score, reached_at) for score, reached_at, user_id in rows)
    return Stretch(players_of(connection, level_id), entries, goes_on=False)


def read_standing(connection: sqlite3.Connection, level_id: int, user_id: int) -> Standing | None:
    """Returns None for a user without a score."""
    place = _read_place(connection, level_id, user_id)
    return place and standing_of(connection, user_id, LevelScore(level_id, place.score, place.reached_at))


def read_level_scores(connection: sqlite3.Connection, user_id: int) -> list[LevelScore]:
    """Returns the best of a user on each level, by level."""
    rows = connection.execute(
        """
        SELECT level_id, score, reached_at
          FROM scores
         WHERE user_id = :user_id
         ORDER BY level_id
        """,
        {"user_id": user_id},
    )
    return [LevelScore._make(row) for row in rows.fetchall()]


def standing_of(connection: sqlite3.Connection, user_id: int, best: LevelScore) -> Standing:
    rank, players = rank_of(connection, best.level_id, best.score), players_of(connection, best.level_id)
    return Standing(user_id, *best, rank, players)


def _read_place(connection: sqlite3.Connection, level_id: int, user_id: int) -> Place | None:
    rows = connection.execute(
        """
        SELECT score, reached_at, user_id
          FROM scores
         WHERE level_id = :level_id AND user_id = :user_id
        """,
        {"level_id": level_id, "user_id": user_id},
    ).fetchall()
    return Place(*rows[0]) if rows else None


def _read_below(connection: sqlite3.Connection, level_id: int, place: Place, count: int) -> list[Place]:
    """Returns at most `count` that follow `place`: those with its score, then those with a lower one."""
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
        {"level_id": level_id, "count": count, **place._asdict()},
    )
    return [Place._make(row) for row in rows.fetchall()]


def _read_above(connection: sqlite3.Connection, level_id: int, place: Place, count: int) -> list[Place]:
    """Returns at most `count` that come before `place`, the nearest first."""
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
        {"level_id": level_id, "count": count, **place._asdict()},
    )
    return [Place._make(row) for row in rows.fetchall()]


def _stretch(connection: sqlite3.Connection, level_id: int, places: Sequence[Place], goes_on: bool) -> Stretch:
    ranks = _ranks(connection, level_id, [place.score for place in places])
    entries = [
        Entry(rank, user_id, score, reached_at)
        for rank, (score, reached_at, user_id) in zip(ranks, places, strict=True)
    ]
    return Stretch(players_of(connection, level_id), tuple(entries), goes_on)


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
