"""The ranks of a board: where a score stands, and whether the counts behind that are right.

How they are kept is told at the top of migrations/sqlite/0004_boards.sql.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from scoresvc.periods import name_of_board
from scoresvc.scores import Position
from scoresvc.storage.pages import BoardId
from scoresvc.storage.sqlite.library import sqlite3

UNDIVIDED_PLAYERS_MAX = 4096  # of a board without bands, as the migration has it


def rank_of(connection: sqlite3.Connection, board: BoardId, score: int) -> int:
    """Returns one plus the number of players of the board with a higher score."""
    ((rank,),) = connection.execute(
        """
        WITH above (lowest_score) AS (
             SELECT coalesce(min(lowest_score), 2147483648)
               FROM bands
              WHERE level_id = :level_id AND period = :period AND lowest_score > :score)
        SELECT 1 + (SELECT count(*)
                      FROM scores
                     WHERE level_id = :level_id
                       AND period = :period
                       AND score > :score
                       AND score < above.lowest_score)
                 + (SELECT coalesce(sum(players), 0)
                      FROM bands
                     WHERE level_id = :level_id AND period = :period AND lowest_score >= above.lowest_score)
          FROM above
        """,
        {"level_id": board.level_id, "period": board.period, "score": score},
    ).fetchall()
    return int(rank)


def players_of(connection: sqlite3.Connection, board: BoardId) -> int:
    """Returns how many users have a score on the board."""
    rows = connection.execute(
        "SELECT players FROM boards WHERE level_id = :level_id AND period = :period", board._asdict()
    ).fetchall()
    return int(rows[0][0]) if rows else 0


def read_position(connection: sqlite3.Connection, board: BoardId, user_id: int) -> Position | None:
    """Returns None for a user without a score."""
    rows = connection.execute(
        """
        SELECT score, reached_at, user_id, name
          FROM scores
          LEFT JOIN users USING (user_id)
         WHERE level_id = :level_id AND period = :period AND user_id = :user_id
        """,
        {**board._asdict(), "user_id": user_id},
    ).fetchall()
    return Position(*rows[0]) if rows else None


class RankFault(NamedTuple):
    """A count that is wrong, or bands that are. `lacking` is how many players more there are than the count says."""

    board: BoardId
    said: str
    lacking: int
    band: tuple[int, int] | None = None  # the lowest score and the width; None: the board itself
    is_divided_wrongly: bool = False  # its bands have to be made again


def find_faults(connection: sqlite3.Connection) -> Iterator[RankFault]:
    """Yields each count that is wrong, row that is missing and row too many."""
    yield from _board_faults(connection)
    yield from _band_faults(connection)


def _board_faults(connection: sqlite3.Connection) -> Iterator[RankFault]:
    rows = connection.execute(
        """
        SELECT level_id, period, sum(players), sum(counted), max(first_score)
          FROM (SELECT level_id, period, players, 0 AS counted, NULL AS first_score FROM boards
                 UNION ALL
                SELECT level_id, period, 0, count(*), NULL FROM scores GROUP BY level_id, period
                 UNION ALL
                SELECT level_id, period, 0, 0, min(lowest_score) FROM bands GROUP BY level_id, period)
         GROUP BY level_id, period
        """
    )
    for level_id, period, players, counted, first_score in rows:
        board, name = BoardId(level_id, period), name_of_board(level_id, period)
        if first_score is None and counted > UNDIVIDED_PLAYERS_MAX:
            yield RankFault(board, f"{name} has {counted} players, but no bands", 0, None, True)
        elif first_score not in (None, 0):
            yield RankFault(board, f"{name} has its first band from {first_score}, not from 0", 0, None, True)
        if players != counted:
            yield RankFault(board, f"{name} has {counted} players, not {players}", counted - players)


def _band_faults(connection: sqlite3.Connection) -> Iterator[RankFault]:
    rows = connection.execute(
        """
        SELECT level_id, period, lowest_score, width, players, next_score,
               (SELECT count(*)
                  FROM scores
                 WHERE level_id = band.level_id
                   AND period = band.period
                   AND score >= band.lowest_score
                   AND score < band.next_score)
          FROM (SELECT level_id, period, lowest_score, width, players,
                       lead(lowest_score, 1, 2147483648)
                         OVER (PARTITION BY level_id, period ORDER BY lowest_score) AS next_score
                  FROM bands) AS band
        """
    )
    for level_id, period, first, width, players, next_score, counted in rows:
        board, name = BoardId(level_id, period), name_of_board(level_id, period)
        if first + width != next_score or width & (width - 1) or first & (width - 1):
            said = f"{name}: the band from {first} to {next_score} cannot be {width} wide"
            yield RankFault(board, said, 0, (first, width), True)
        if players != counted:
            said = f"{name}: the band from {first} has {counted} players, not {players}"
            is_undivided = counted > UNDIVIDED_PLAYERS_MAX and width > 1
            yield RankFault(board, said, counted - players, (first, width), is_undivided)
