"""Puts the counts behind the ranks right, beside nodes that post.

Theory of operation: counting a large board takes long, so no level is locked meanwhile. Posts add the same to a count
as to what it counts. So how far a count is off, read in a snapshot, is still how far it is off when it is changed
later, whatever was posted in between. A row of bands that is missing is counted under the lock of its level, as when a
board has grown.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from scoresvc.storage.postgres.connections import Connection, read_snapshot
from scoresvc.storage.postgres.ranks import BANDS, NO_BANDS, WIDTHS, Band, BandFault, divide, find_faults

ROUNDS_MAX = 10


def repair(connection: Connection) -> None:
    """Repairs until nothing is wrong, or a round has not helped often enough."""
    for _ in range(ROUNDS_MAX):
        with read_snapshot(connection):
            found = list(find_faults(connection))
        if not found:
            return
        for fault in found:
            if fault.lacking is not None:
                _change_counts(connection, fault, fault.lacking)
            elif fault.width is not None:
                _count_bands(connection, fault, fault.width)
        for level_id, period in {(fault.level_id, fault.period) for fault in found}:
            _set_narrowest(connection, level_id, period)


def _change_counts(connection: Connection, fault: BandFault, lacking: list[int]) -> None:
    places = [place for place, count in enumerate(lacking, 1) if count]
    values = {**fault._asdict(), "places": places, "changes": [lacking[place - 1] for place in places]}
    connection.execute(ADD_TO_BOARD if fault.width is None else ADD_TO_BANDS, values)


def _count_bands(connection: Connection, fault: BandFault, width: int) -> None:
    """Makes a row that is missing, or whose counts are not as many as there are bands."""
    connection.execute(DELETE_MALFORMED, {**fault._asdict(), "bands": BANDS})
    wider = None if width == WIDTHS[0] else width * BANDS
    divide(partial(_transaction, connection), Band(fault.level_id, fault.period, wider, fault.lowest_score))


@contextmanager
def _transaction(connection: Connection) -> Iterator[Connection]:
    with connection.transaction():
        yield connection


def _set_narrowest(connection: Connection, level_id: int, period: int) -> None:
    """Whoever adds a row of bands has the lock of the level."""
    values = {"level_id": level_id, "period": period, "none": NO_BANDS}
    with connection.transaction():
        connection.execute("SELECT FROM boards WHERE level_id = %(level_id)s AND period = 0 FOR UPDATE", values)
        connection.execute(SET_NARROWEST, values)


ADD_TO_BOARD = """
    INSERT INTO boards AS board (level_id, period, players)
    VALUES (%(level_id)s, %(period)s, (%(changes)s::bigint[])[1])
        ON CONFLICT (level_id, period) DO UPDATE SET players = board.players + excluded.players
"""
ADD_TO_BANDS = """
    UPDATE bands
       SET counts = add_counts(counts, %(places)s::integer[], %(changes)s::bigint[])
     WHERE level_id = %(level_id)s
       AND period = %(period)s
       AND width = %(width)s
       AND lowest_score = %(lowest_score)s
"""
DELETE_MALFORMED = """
    DELETE FROM bands
     WHERE level_id = %(level_id)s
       AND period = %(period)s
       AND width = %(width)s
       AND lowest_score = %(lowest_score)s
       AND (cardinality(counts) <> %(bands)s OR array_position(counts, NULL) IS NOT NULL)
"""
SET_NARROWEST = """
    UPDATE boards
       SET narrowest = coalesce((SELECT min(width)
                                   FROM bands
                                  WHERE level_id = %(level_id)s AND period = %(period)s), %(none)s)
     WHERE level_id = %(level_id)s AND period = %(period)s
"""
