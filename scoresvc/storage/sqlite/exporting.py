"""Reads the rows that are exported, all of one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from scoresvc.rows import ActionRow, LevelRow, Row, ScoreRow, Selection, SubmissionRow, UserRow
from scoresvc.storage.exporting import LevelOrders, make_level_row
from scoresvc.storage.sqlite.library import sqlite3


def count_rows(connection: sqlite3.Connection, what: str) -> int:
    """Returns how many rows there are of a kind, whatever is selected of them."""
    ((count,),) = connection.execute(COUNTS[what]).fetchall()
    return int(count or 0)


def export_rows(
    connection: sqlite3.Connection, what: str, selection: Selection, order_of: Callable[[int], str]
) -> Iterator[Row]:
    """Yields rows of a kind. `order_of` returns the order of a level."""
    return EXPORTING[what](connection, selection, order_of)


def _export_scores(
    connection: sqlite3.Connection, selection: Selection, order_of: Callable[[int], str]
) -> Iterator[ScoreRow]:
    """Yields scores by user, or of one level from the best."""
    orders = LevelOrders(order_of)
    rows = connection.execute(SCORES if selection.level_id is None else SCORES_OF_LEVEL, selection._asdict())
    for level_id, period, user_id, score, reached_at, name, meta in rows:
        yield ScoreRow(level_id, period, user_id, orders.turn(level_id, score), reached_at, name, meta)


def _export_submissions(connection: sqlite3.Connection, selection: Selection, _: Any) -> Iterator[SubmissionRow]:
    for row in connection.execute(SUBMISSIONS, selection._asdict()):
        yield SubmissionRow(*row)


def _export_users(connection: sqlite3.Connection, selection: Selection, _: Any) -> Iterator[UserRow]:
    for row in connection.execute(USERS):
        yield UserRow(*row)


def _export_levels(connection: sqlite3.Connection, selection: Selection, _: Any) -> Iterator[LevelRow]:
    for level_id, settings in connection.execute(LEVELS, selection._asdict()):
        yield make_level_row(level_id, msgspec.json.decode(settings))


def _export_actions(connection: sqlite3.Connection, selection: Selection, _: Any) -> Iterator[ActionRow]:
    for row in connection.execute(ACTIONS):
        action = ActionRow(*row)
        yield action._replace(before=msgspec.json.decode(row[7]), after=msgspec.json.decode(row[8]))


EXPORTING: dict[str, Callable[[sqlite3.Connection, Selection, Any], Iterator[Row]]] = {
    "scores": _export_scores,
    "submissions": _export_submissions,
    "users": _export_users,
    "levels": _export_levels,
    "actions": _export_actions,
}
COUNTS = {
    "scores": "SELECT sum(players) FROM boards",
    "submissions": "SELECT count(*) FROM submissions",
    "users": """
        SELECT count(*) FROM (SELECT user_id FROM users UNION SELECT user_id FROM bans)
    """,
    "levels": "SELECT count(*) FROM level_settings",
    "actions": "SELECT count(*) FROM actions",
}
SCORES = """
    SELECT scores.level_id, period, scores.user_id, score, reached_at, name,
           (SELECT meta
              FROM submissions INDEXED BY submissions_with_meta
             WHERE user_id = scores.user_id
               AND level_id = scores.level_id
               AND posted_at = scores.reached_at
               AND meta IS NOT NULL
             LIMIT 1)
      FROM scores
      LEFT JOIN users ON users.user_id = scores.user_id
     WHERE :period IS NULL OR period = :period
     ORDER BY scores.user_id, scores.level_id, period
"""
SCORES_OF_LEVEL = """
    SELECT scores.level_id, period, scores.user_id, score, reached_at, name,
           (SELECT meta
              FROM submissions INDEXED BY submissions_with_meta
             WHERE user_id = scores.user_id
               AND level_id = scores.level_id
               AND posted_at = scores.reached_at
               AND meta IS NOT NULL
             LIMIT 1)
      FROM scores INDEXED BY scores_by_rank
      LEFT JOIN users ON users.user_id = scores.user_id
     WHERE scores.level_id = :level_id
       AND (:period IS NULL OR period = :period)
     ORDER BY period, score DESC, reached_at, scores.user_id
"""
SUBMISSIONS = """
    SELECT submission_id, level_id, user_id, score, posted_at, day, state, meta, action_id, state_before, follows
      FROM submissions INDEXED BY submissions_by_user
     WHERE :level_id IS NULL OR level_id = :level_id
     ORDER BY user_id, level_id, submission_id
"""
USERS = """
    SELECT users.user_id, name, external, secret_hash, iif(hide, 'hidden', iif(hide IS NULL, NULL, 'yes')), until,
           reason
      FROM users
      LEFT JOIN bans ON bans.user_id = users.user_id
     UNION ALL
    SELECT user_id, NULL, NULL, NULL, iif(hide, 'hidden', 'yes'), until, reason
      FROM bans
     WHERE user_id NOT IN (SELECT user_id FROM users)
     ORDER BY 1
"""
LEVELS = """
    SELECT level_id, settings
      FROM level_settings
     WHERE :level_id IS NULL OR level_id = :level_id
     ORDER BY level_id
"""
ACTIONS = """
    SELECT action_id, acted_at, actor, kind, level_id, user_id, submission_id, before, after, undoes
      FROM actions
     ORDER BY action_id
"""
