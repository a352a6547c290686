"""Finds the times of posts that come while the clock is not ahead of all scores.

The time of a post is later than those of the equal scores on its boards, and no later than that needs: a clock that was
ahead for a while leaves later posts with the right time. Where posts are summed, the score to compare is the sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from scoresvc.limits import UINT31_MAX
from scoresvc.storage.sqlite.library import sqlite3

Counted = tuple[int, int, int, int, int]  # on a board: level, period, user, turned score, time


def late_times(
    connection: sqlite3.Connection, now: int, times: Sequence[int], counted: Mapping[str, Sequence[Counted]]
) -> list[int]:
    """Returns the time of each post of a batch in place of `times`, which are `now` plus the place in the batch."""
    reached = [
        *counted["best"],
        *counted["latest"],
        *_add_up(connection, counted["sum"], 0),
        *_add_up(connection, counted["turned_sum"], UINT31_MAX),
    ]
    late = list(times)
    for time, reached_at in connection.execute(
        """
        SELECT json_extract(value, '$[4]'),
               (SELECT max(reached_at)
                  FROM scores
                 WHERE level_id = json_extract(value, '$[0]')
                   AND period = json_extract(value, '$[1]')
                   AND score = json_extract(value, '$[3]'))
          FROM json_each(:reached)
        """,
        {"reached": _write(reached)},
    ).fetchall():
        place = time - now
        if reached_at is not None:
            late[place] = max(late[place], reached_at + 1 + place)
    return late


def _add_up(connection: sqlite3.Connection, counted: Sequence[Counted], nothing: int) -> list[Counted]:
    """Returns posts with the sums that they lead to; `nothing` is what a sum of zero is on the board."""
    rows = connection.execute(
        """
        SELECT level_id, period, user_id, score
          FROM scores
         WHERE (level_id, period, user_id) IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
                                                      json_extract(value, '$[2]')
                                                 FROM json_each(:counted))
        """,
        {"counted": _write(counted)},
    ).fetchall()
    sums = {(level_id, period, user_id): score for level_id, period, user_id, score in rows}
    reached = []
    for level_id, period, user_id, score, time in counted:
        board = (level_id, period, user_id)
        sums[board] = max(0, min(UINT31_MAX, sums.get(board, nothing) + score - nothing))
        reached.append((*board, sums[board], time))
    return reached


def _write(rows: Sequence[Counted]) -> str:
    return msgspec.json.encode(rows).decode()
