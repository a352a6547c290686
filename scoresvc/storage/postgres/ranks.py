"""The bands of a board, behind its ranks: how they are divided, rebuilt and checked.

What they are is told in migrations/postgres/0001_tables.sql, where a level had one board. A board or a band may be
divided at any time after it has grown: until then a rank counts more players one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from scoresvc.periods import name_of_board
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.transactions import Begin

PLAYERS_MAX = 1024  # of a band that is not divided, and of a board without bands
WIDTHS = (1 << 24, 1 << 16, 1 << 8, 1)
BANDS = 256  # in a row
NO_BANDS = 2**31 - 1  # `boards.narrowest` of a board without any


class Band(NamedTuple):
    """One that may be divided; a whole board where `width` is None."""

    level_id: int
    period: int
    width: int | None
    lowest_score: int


class BandFault(NamedTuple):
    """A count that is wrong, or a row; of the players of a board where `width` is None."""

    level_id: int
    period: int
    said: str
    width: int | None = None
    lowest_score: int = 0
    lacking: list[int] | None = None  # what each count is short of; None where the row is missing, or no row of counts


def divide(begin: Begin, band: Band) -> None:
    """Counts the bands that divide one, and those that divide the full ones of them.

    Each row of bands is counted in a transaction of its own, which `begin` limits: it holds the lock of the level.
    """
    own_width = band.width // BANDS if band.width else WIDTHS[0]
    values = {**band._asdict(), "width": own_width}
    with begin() as connection:
        if _is_divided(connection, values):
            return
        counts = _add_row(connection, values)
    for place, players in enumerate(counts):
        if players > PLAYERS_MAX and own_width > 1:
            divide(begin, Band(band.level_id, band.period, own_width, band.lowest_score + place * own_width))


def _is_divided(connection: Connection, values: dict[str, int | None]) -> bool:
    found = connection.execute(
        """
        SELECT FROM bands
         WHERE level_id = %(level_id)s
           AND period = %(period)s
           AND width = %(width)s
           AND lowest_score = %(lowest_score)s
        """,
        values,
    )
    return found.rowcount > 0


def _add_row(connection: Connection, values: dict[str, int | None]) -> list[int]:
    """Returns the counts, nothing where another node was faster. The lock keeps posts out until all are counted."""
    connection.execute("SELECT FROM boards WHERE level_id = %(level_id)s AND period = 0 FOR UPDATE", values)
    rows = connection.execute(
        """
        INSERT INTO bands (level_id, period, width, lowest_score, counts)
        SELECT %(level_id)s, %(period)s, %(width)s, %(lowest_score)s,
               add_counts(array_fill(0, '{256}'), array_agg(band %% 256 + 1), array_agg(players))
          FROM (SELECT score / %(width)s AS band, count(*) AS players
                  FROM scores
                 WHERE level_id = %(level_id)s
                   AND period = %(period)s
                   AND score >= %(lowest_score)s
                   AND score < %(lowest_score)s + 256::bigint * %(width)s
                 GROUP BY band) AS counted
        HAVING count(*) > 0
            ON CONFLICT DO NOTHING
        RETURNING counts
        """,
        values,
    ).fetchall()
    connection.execute(
        """
        UPDATE boards
           SET narrowest = least(narrowest, %(width)s)
         WHERE level_id = %(level_id)s AND period = %(period)s
        """,
        values,
    )
    return rows[0][0] if rows else []


def rebuild(connection: Connection) -> None:
    """Counts the boards and the bands again from the scores, in the caller's transaction; no post comes in between."""
    connection.execute("LOCK TABLE boards, bands, scores IN EXCLUSIVE MODE")
    connection.execute("DELETE FROM bands")
    connection.execute("UPDATE boards SET players = 0, narrowest = %s", (NO_BANDS,))
    connection.execute(
        """
        INSERT INTO boards AS board (level_id, period, players, latest_at)
        SELECT level_id, period, count(*), max(reached_at)
          FROM scores
         GROUP BY level_id, period
            ON CONFLICT (level_id, period)
               DO UPDATE SET players = excluded.players,
                             latest_at = greatest(board.latest_at, excluded.latest_at)
        """
    )
    for width in WIDTHS:
        _add_rows(connection, width)
    connection.execute(
        """
        UPDATE boards
           SET narrowest = narrowest_of.width
          FROM (SELECT level_id, period, min(width) AS width FROM bands GROUP BY level_id, period) AS narrowest_of
         WHERE narrowest_of.level_id = boards.level_id AND narrowest_of.period = boards.period
        """
    )


def _add_rows(connection: Connection, width: int) -> None:
    """Adds the rows of a width for all boards, or wider bands, that are full."""
    connection.execute(
        """
        INSERT INTO bands (level_id, period, width, lowest_score, counts)
        SELECT level_id, period, %(width)s, band / 256 * 256 * %(width)s,
               add_counts(array_fill(0, '{256}'), array_agg(band %% 256 + 1), array_agg(players))
          FROM (SELECT level_id, period, score / %(width)s AS band, count(*) AS players
                  FROM scores
                 GROUP BY level_id, period, band) AS counted
         GROUP BY level_id, period, band / 256
        HAVING sum(players) > %(most)s
        """,
        {"width": width, "most": PLAYERS_MAX},
    )


def find_faults(connection: Connection) -> Iterator[BandFault]:
    """Yields each count that is wrong, row that is missing and row too many."""
    yield from _board_faults(connection)
    for width in WIDTHS:
        yield from _band_faults(connection, width)


def _board_faults(connection: Connection) -> Iterator[BandFault]:
    rows = connection.execute(
        """
        SELECT level_id, period, coalesce(boards.players, 0), coalesce(counted.players, 0), narrowest,
               coalesce(narrowest_band, %(none)s)
          FROM boards
          FULL JOIN (SELECT level_id, period, count(*) AS players FROM scores GROUP BY level_id, period) AS counted
               USING (level_id, period)
          LEFT JOIN (SELECT level_id, period, min(width) AS narrowest_band FROM bands GROUP BY level_id, period) AS band
               USING (level_id, period)
         ORDER BY level_id, period
        """,
        {"none": NO_BANDS},
    )
    for level_id, period, players, counted, narrowest, narrowest_band in rows:
        board = name_of_board(level_id, period)
        if players != counted:
            said = f"{board} has {counted} players, not {players}"
            yield BandFault(level_id, period, said, lacking=[counted - players])
        if narrowest is not None and narrowest != narrowest_band:
            yield BandFault(level_id, period, f"{board}: its narrowest band is {narrowest_band} wide, not {narrowest}")


def _band_faults(connection: Connection, width: int) -> Iterator[BandFault]:
    """A row that has grown twice as large as it should without being there was forgotten, not only not made yet."""
    rows = connection.execute(
        """
        SELECT level_id, period, lowest_score, bands.counts, counted.counts
          FROM (SELECT level_id, period, band / 256 * 256 * %(width)s AS lowest_score, sum(players) AS players,
                       add_counts(array_fill(0, '{256}'), array_agg(band %% 256 + 1), array_agg(players)) AS counts
                  FROM (SELECT level_id, period, score / %(width)s AS band, count(*) AS players
                          FROM scores
                         GROUP BY level_id, period, band) AS band
                 GROUP BY level_id, period, band / 256) AS counted
          FULL JOIN (SELECT * FROM bands WHERE width = %(width)s) AS bands USING (level_id, period, lowest_score)
         WHERE CASE WHEN bands.counts IS NULL THEN counted.players > 2 * %(most)s
                    ELSE bands.counts <> coalesce(counted.counts, array_fill(0, '{256}')) END
         ORDER BY level_id, period, lowest_score
        """,
        {"width": width, "most": PLAYERS_MAX},
    )
    for level_id, period, lowest_score, counts, counted in rows:
        bands = f"{name_of_board(level_id, period)}: the bands from {lowest_score}, {width} wide,"
        said, lacking = _compare_counts(counts, counted or [0] * BANDS)
        yield BandFault(level_id, period, f"{bands} {said}", width, lowest_score, lacking)


def _compare_counts(counts: list[int] | None, counted: list[int]) -> tuple[str, list[int] | None]:
    """Says what is wrong with a row, with what its counts are short of."""
    if counts is None:
        return "are missing", None
    if len(counts) != BANDS or None in counts:
        return f"are not {BANDS} counts", None
    lacking = [right - count for right, count in zip(counted, counts, strict=True)]
    place = next(place for place, count in enumerate(lacking) if count)
    return f"have {counted[place]} players at place {place + 1}, not {counts[place]}", lacking
