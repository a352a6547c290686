"""Puts the counts behind the ranks right, beside others that write.

Theory of operation: counting a large board takes long, so nothing is counted while the database is locked. The triggers
add the same to a count as to what it counts. So how far a count is off, read in a snapshot, is still how far it is off
when it is changed later, whatever was posted in between. Bands that are divided wrongly are replaced by those that a
snapshot has; how far these are off by then is found in the next round, as is what a band that split or merged in
between has left.
"""

from __future__ import annotations

from itertools import islice

from scoresvc.storage.pages import BoardId
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.ranks import RankFault, find_faults

STEP = 200  # counts that are changed in one transaction
ROUNDS_MAX = 10


def repair(database: WritingConnection, reader: sqlite3.Connection) -> None:
    """Repairs until nothing is wrong, or a round has not helped often enough. Raises StartError."""
    for _ in range(ROUNDS_MAX):
        reader.execute("BEGIN")
        try:
            if not _repair_once(database, reader):
                return
        finally:
            reader.execute("ROLLBACK")


def _repair_once(database: WritingConnection, reader: sqlite3.Connection) -> bool:
    """Returns whether there was anything to repair."""
    divided: set[BoardId] = set()
    faults = find_faults(reader)
    found = False
    while step := list(islice(faults, STEP)):
        found = True
        for board in {fault.board for fault in step if fault.is_divided_wrongly} - divided:
            _divide(database, reader, board)
            divided.add(board)
        _change_counts(database, [each for each in step if each.lacking and not (each.band and each.board in divided)])
    return found


def _divide(database: WritingConnection, reader: sqlite3.Connection, board: BoardId) -> None:
    """Replaces the bands of a board."""
    bands = [
        {**board._asdict(), "lowest_score": first, "width": width, "players": players}
        for first, width, players in _counted_bands(reader, board)
    ]
    with database.transaction() as connection:
        connection.execute("DELETE FROM bands WHERE level_id = :level_id AND period = :period", board._asdict())
        connection.executemany(
            """
            INSERT INTO bands (level_id, period, lowest_score, width, players)
            VALUES (:level_id, :period, :lowest_score, :width, :players)
            """,
            bands,
        )


def _counted_bands(reader: sqlite3.Connection, board: BoardId) -> list[tuple[int, int, int]]:
    """Returns lowest score, width and players of the bands that a board should have, as the view counted_bands."""
    return reader.execute(
        """
          WITH RECURSIVE band (lowest_score, width, players) AS (
               SELECT 0, 2147483648, count(*)
                 FROM scores
                WHERE level_id = :level_id AND period = :period
                UNION ALL
               SELECT lowest_score + half * width / 2, width / 2,
                      abs((1 - half) * players
                          - (SELECT count(*)
                               FROM scores
                              WHERE level_id = :level_id
                                AND period = :period
                                AND score >= band.lowest_score + band.width / 2
                                AND score < band.lowest_score + band.width))
                 FROM band
                 JOIN (SELECT 0 AS half UNION ALL SELECT 1)
                WHERE players > 4096 AND width > 1)
        SELECT lowest_score, width, players
          FROM band
         WHERE (players <= 4096 OR width = 1) AND width < 2147483648
        """,
        board._asdict(),
    ).fetchall()


def _change_counts(database: WritingConnection, faults: list[RankFault]) -> None:
    if not faults:
        return
    with database.transaction() as connection:
        for board, _, lacking, band, _ in faults:
            values = {**board._asdict(), "lacking": lacking}
            if band is None:
                connection.execute(ADD_TO_BOARD, values)
            else:
                connection.execute(ADD_TO_BAND, {**values, "lowest_score": band[0], "width": band[1]})


ADD_TO_BOARD = """
    INSERT INTO boards (level_id, period, players)
    VALUES (:level_id, :period, :lacking)
    ON CONFLICT (level_id, period)
      DO UPDATE SET players = players + excluded.players
"""
# A band of another width has split or merged since, which counted it again.
ADD_TO_BAND = """
    UPDATE bands
       SET players = players + :lacking
     WHERE level_id = :level_id
       AND period = :period
       AND lowest_score = :lowest_score
       AND width = :width
"""
