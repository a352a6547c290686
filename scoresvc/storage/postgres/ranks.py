"""The bands of a level, behind its ranks: how they are opened, rebuilt and checked.

What they are is told in migrations/postgres/0001_tables.sql. Opening one may be done at any time after it has grown:
until then a rank counts more players one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from scoresvc.storage.postgres.connections import Connection

PLAYERS_MAX = 1024  # of a band that is not open, and of a level without bands
WIDEST = 1 << 28
WIDTHS = tuple(1 << bits for bits in range(28, -1, -4))
NO_BANDS = 2**31 - 1  # `levels.narrowest` of a level without any


class Band(NamedTuple):
    level_id: int
    width: int
    lowest_score: int


def open_level(connection: Connection, level_id: int) -> None:
    """Counts the widest bands of a level that has none, in a transaction of its own."""
    with connection.transaction():
        connection.execute("SELECT FROM levels WHERE level_id = %(level_id)s FOR UPDATE", {"level_id": level_id})
        connection.execute(
            """
            INSERT INTO bands (level_id, width, lowest_score, players)
            SELECT %(level_id)s, %(width)s, lowest,
                   (SELECT count(*)
                      FROM scores
                     WHERE level_id = %(level_id)s AND score >= lowest AND score < lowest + %(width)s)
              FROM generate_series(0, 2147483647, %(width)s::bigint) AS lowest
                ON CONFLICT DO NOTHING
            """,
            {"level_id": level_id, "width": WIDEST},
        )
        connection.execute(
            "UPDATE levels SET narrowest = least(narrowest, %(width)s) WHERE level_id = %(level_id)s",
            {"level_id": level_id, "width": WIDEST},
        )


def open_band(connection: Connection, band: Band) -> None:
    """Counts the players of a band in the sixteen that divide it, in a transaction of its own."""
    with connection.transaction():
        connection.execute("SELECT FROM levels WHERE level_id = %(level_id)s FOR UPDATE", band._asdict())
        connection.execute(
            """
            INSERT INTO bands (level_id, width, lowest_score, players)
            SELECT %(level_id)s, %(width)s / 16, lowest,
                   (SELECT count(*)
                      FROM scores
                     WHERE level_id = %(level_id)s AND score >= lowest AND score < lowest + %(width)s / 16)
              FROM generate_series(%(lowest_score)s::bigint, %(lowest_score)s::bigint + %(width)s - 1, %(width)s / 16)
                AS lowest
                ON CONFLICT DO NOTHING
            """,
            band._asdict(),
        )
        connection.execute(
            """
            UPDATE bands
               SET is_open = true
             WHERE level_id = %(level_id)s AND width = %(width)s AND lowest_score = %(lowest_score)s
            """,
            band._asdict(),
        )
        connection.execute(
            "UPDATE levels SET narrowest = least(narrowest, %(width)s / 16) WHERE level_id = %(level_id)s",
            band._asdict(),
        )


def rebuild(connection: Connection) -> None:
    """Counts the levels and the bands again from the scores, in the caller's transaction; no post comes in between."""
    connection.execute("LOCK TABLE levels, bands, scores IN EXCLUSIVE MODE")
    connection.execute("DELETE FROM bands")
    connection.execute("DELETE FROM levels")
    connection.execute(
        """
        INSERT INTO levels (level_id, players, narrowest)
        SELECT level_id, count(*), CASE WHEN count(*) > %(most)s THEN %(widest)s ELSE %(none)s END
          FROM scores
         GROUP BY level_id
        """,
        {"most": PLAYERS_MAX, "widest": WIDEST, "none": NO_BANDS},
    )
    connection.execute(
        """
        INSERT INTO bands (level_id, width, lowest_score, players)
        SELECT level_id, %(width)s, lowest,
               (SELECT count(*)
                  FROM scores
                 WHERE scores.level_id = levels.level_id AND score >= lowest AND score < lowest + %(width)s)
          FROM levels
         CROSS JOIN generate_series(0, 2147483647, %(width)s::bigint) AS lowest
         WHERE players > %(most)s
        """,
        {"most": PLAYERS_MAX, "width": WIDEST},
    )
    for width in WIDTHS[:-1]:
        _divide_all(connection, width)


def _divide_all(connection: Connection, width: int) -> None:
    """Opens all bands of a width that are full."""
    values = {"width": width, "most": PLAYERS_MAX}
    connection.execute(
        """
        INSERT INTO bands (level_id, width, lowest_score, players)
        SELECT level_id, %(width)s / 16, lowest,
               (SELECT count(*)
                  FROM scores
                 WHERE scores.level_id = band.level_id AND score >= lowest AND score < lowest + %(width)s / 16)
          FROM bands AS band
         CROSS JOIN generate_series(lowest_score::bigint, lowest_score::bigint + %(width)s - 1, %(width)s / 16)
            AS lowest
         WHERE width = %(width)s AND players > %(most)s
        """,
        values,
    )
    connection.execute(
        """
        UPDATE levels
           SET narrowest = %(width)s / 16
          FROM bands
         WHERE bands.level_id = levels.level_id AND bands.width = %(width)s AND bands.players > %(most)s
        """,
        values,
    )
    connection.execute("UPDATE bands SET is_open = true WHERE width = %(width)s AND players > %(most)s", values)


def faults(connection: Connection) -> Iterator[str]:
    """Yields a line for each count that is wrong, row that is missing and row too many."""
    yield from _level_faults(connection)
    yield from _count_faults(connection)
    yield from _shape_faults(connection)


def _level_faults(connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        SELECT level_id, coalesce(levels.players, 0), coalesce(counted.players, 0), narrowest,
               (SELECT coalesce(min(width), %(none)s) FROM bands WHERE bands.level_id = levels.level_id)
          FROM levels
          FULL JOIN (SELECT level_id, count(*) AS players FROM scores GROUP BY level_id) AS counted USING (level_id)
         ORDER BY level_id
        """,
        {"none": NO_BANDS},
    )
    for level_id, players, counted, narrowest, narrowest_band in rows:
        if players != counted:
            yield f"level {level_id} has {counted} players, not {players}"
        if narrowest is not None and narrowest != narrowest_band:
            yield f"level {level_id}: its narrowest band is {narrowest_band} wide, not {narrowest}"


def _count_faults(connection: Connection) -> Iterator[str]:
    rows = connection.execute(
        """
        SELECT level_id, width, lowest_score, players, counted
          FROM (SELECT band.*,
                       (SELECT count(*)
                          FROM scores
                         WHERE scores.level_id = band.level_id
                           AND score >= lowest_score
                           AND score < lowest_score::bigint + width) AS counted
                  FROM bands AS band) AS band
         WHERE players <> counted
         ORDER BY level_id, lowest_score, width DESC
        """
    )
    for level_id, width, lowest_score, players, counted in rows:
        yield f"level {level_id}: the band from {lowest_score}, {width} wide, has {counted} players, not {players}"


def _shape_faults(connection: Connection) -> Iterator[str]:
    """Finds bands without all of their sixteen parts, and those that are parts of nothing."""
    rows = connection.execute(
        """
        SELECT level_id, width, lowest_score, is_open, parts
          FROM (SELECT band.level_id, band.width, band.lowest_score, band.is_open, count(part.level_id) AS parts
                  FROM bands AS band
                  LEFT JOIN bands AS part
                    ON part.level_id = band.level_id
                   AND part.width = band.width / 16
                   AND part.lowest_score >= band.lowest_score
                   AND part.lowest_score < band.lowest_score::bigint + band.width
                 GROUP BY band.level_id, band.width, band.lowest_score, band.is_open) AS band
         WHERE parts <> CASE WHEN is_open THEN 16 ELSE 0 END
         ORDER BY level_id, lowest_score, width DESC
        """
    )
    for level_id, width, lowest_score, is_open, parts in rows:
        state = "open" if is_open else "not open"
        yield f"level {level_id}: the band from {lowest_score}, {width} wide, is {state} and has {parts} parts"
