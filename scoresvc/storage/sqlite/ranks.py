"""The ranks of a level: where a score stands, and whether the counts behind that are right.

How they are kept is told at the top of migrations/0003_bands.sql.
"""

from __future__ import annotations

from collections.abc import Iterator

from scoresvc.storage.sqlite.library import sqlite3

UNDIVIDED_PLAYERS_MAX = 4096  # of a level without bands, as the migration has it


def rank_of(connection: sqlite3.Connection, level_id: int, score: int) -> int:
    """Returns one plus the number of players of the level with a higher score."""
    ((rank,),) = connection.execute(
        """
        WITH above (lowest_score) AS (
             SELECT coalesce(min(lowest_score), 2147483648)
               FROM bands
              WHERE level_id = :level_id AND lowest_score > :score)
        SELECT 1 + (SELECT count(*)
                      FROM scores
                     WHERE level_id = :level_id AND score > :score AND score < above.lowest_score)
                 + (SELECT coalesce(sum(players), 0)
                      FROM bands
                     WHERE level_id = :level_id AND lowest_score >= above.lowest_score)
          FROM above
        """,
        {"level_id": level_id, "score": score},
    ).fetchall()
    return int(rank)


def players_of(connection: sqlite3.Connection, level_id: int) -> int:
    """Returns how many users have a score on the level."""
    rows = connection.execute(
        "SELECT players FROM levels WHERE level_id = :level_id", {"level_id": level_id}
    ).fetchall()
    return int(rows[0][0]) if rows else 0


def rebuild(connection: sqlite3.Connection) -> None:
    """Counts the bands and the levels again from the scores, in the caller's transaction."""
    connection.execute("DELETE FROM bands")
    connection.execute("DELETE FROM levels")
    connection.execute(
        """
        INSERT INTO bands (level_id, lowest_score, width, players)
        SELECT level_id, lowest_score, width, players FROM counted_bands
        """
    )
    connection.execute(
        """
        INSERT INTO levels (level_id, players)
        SELECT level_id, count(*) FROM scores GROUP BY level_id
        """
    )


def faults(connection: sqlite3.Connection) -> Iterator[str]:
    """Yields a line for each count that is wrong, row that is missing and row too many."""
    yield from _level_faults(connection)
    yield from _band_faults(connection)


def _level_faults(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        SELECT level_id, sum(players), sum(counted), max(first_score)
          FROM (SELECT level_id, players, 0 AS counted, NULL AS first_score FROM levels
                 UNION ALL
                SELECT level_id, 0, count(*), NULL FROM scores GROUP BY level_id
                 UNION ALL
                SELECT level_id, 0, 0, min(lowest_score) FROM bands GROUP BY level_id)
         GROUP BY level_id
        """
    )
    for level_id, players, counted, first_score in rows:
        if players != counted:
            yield f"level {level_id} has {counted} players, not {players}"
        if first_score is None and counted > UNDIVIDED_PLAYERS_MAX:
            yield f"level {level_id} has {counted} players, but no bands"
        elif first_score not in (None, 0):
            yield f"level {level_id} has its first band from {first_score}, not from 0"


def _band_faults(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        SELECT level_id, lowest_score, width, players, next_score,
               (SELECT count(*)
                  FROM scores
                 WHERE level_id = band.level_id AND score >= band.lowest_score AND score < band.next_score)
          FROM (SELECT level_id, lowest_score, width, players,
                       lead(lowest_score, 1, 2147483648) OVER (PARTITION BY level_id ORDER BY lowest_score)
                         AS next_score
                  FROM bands) AS band
        """
    )
    for level_id, lowest_score, width, players, next_score, counted in rows:
        if players != counted:
            yield f"level {level_id}: the band from {lowest_score} has {counted} players, not {players}"
        if lowest_score + width != next_score or width & (width - 1) or lowest_score & (width - 1):
            yield f"level {level_id}: the band from {lowest_score} to {next_score} cannot be {width} wide"
