"""The ranks of a board: where a score stands, and whether the counts behind that are right.

How they are kept is told at the top of migrations/sqlite/0004_boards.sql.
"""

from __future__ import annotations

from collections.abc import Iterator

from scoresvc.periods import name_of_board
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


def rebuild(connection: sqlite3.Connection) -> None:
    """Counts the bands and the boards again from the scores, in the caller's transaction."""
    connection.execute("DELETE FROM bands")
    connection.execute("DELETE FROM boards")
    connection.execute(
        """
        INSERT INTO bands (level_id, period, lowest_score, width, players)
        SELECT level_id, period, lowest_score, width, players FROM counted_bands
        """
    )
    connection.execute(
        """
        INSERT INTO boards (level_id, period, players)
        SELECT level_id, period, count(*) FROM scores GROUP BY level_id, period
        """
    )


def faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Yields a line for each count that is wrong, row that is missing and row too many."""
    yield from _board_faults(connection)
    yield from _band_faults(connection)


def _board_faults(connection: sqlite3.Connection) -> Iterator[str]:
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
        board = name_of_board(level_id, period)
        if players != counted:
            yield f"{board} has {counted} players, not {players}"
        if first_score is None and counted > UNDIVIDED_PLAYERS_MAX:
            yield f"{board} has {counted} players, but no bands"
        elif first_score not in (None, 0):
            yield f"{board} has its first band from {first_score}, not from 0"


def _band_faults(connection: sqlite3.Connection) -> Iterator[str]:
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
    for level_id, period, lowest_score, width, players, next_score, counted in rows:
        board = name_of_board(level_id, period)
        if players != counted:
            yield f"{board}: the band from {lowest_score} has {counted} players, not {players}"
        if lowest_score + width != next_score or width & (width - 1) or lowest_score & (width - 1):
            yield f"{board}: the band from {lowest_score} to {next_score} cannot be {width} wide"
