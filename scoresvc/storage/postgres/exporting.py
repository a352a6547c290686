"""Reads the rows that are exported, all of one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from scoresvc.rows import ActionRow, LevelRow, Row, ScoreRow, Selection, SubmissionRow, UserRow
from scoresvc.storage.exporting import LevelOrders, make_level_row
from scoresvc.storage.postgres.connections import Connection

ROWS_AT_ONCE = 10_000


def count_rows(connection: Connection, what: str) -> int:
    """Returns how many rows there are of a kind, whatever is selected of them."""
    ((count,),) = connection.execute(COUNTS[what].encode()).fetchall()
    return int(count or 0)


def export_rows(
    connection: Connection, what: str, selection: Selection, order_of: Callable[[int], str]
) -> Iterator[Row]:
    """Yields rows of a kind. `order_of` returns the order of a level."""
    orders = LevelOrders(order_of)
    with connection.cursor(f"export_{what}") as cursor:  # a cursor of the server: rows come as they are needed
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(QUERIES[what].encode(), selection._asdict())
        for row in cursor:
            yield MAKING[what](row, orders)


def _make_score(row: tuple[Any, ...], orders: LevelOrders) -> ScoreRow:
    level_id, period, user_id, score, *rest = row
    return ScoreRow(level_id, period, user_id, orders.turn(level_id, score), *rest)


def _make_level(row: tuple[Any, ...], orders: LevelOrders) -> LevelRow:
    return make_level_row(*row)


MAKING: dict[str, Callable[[tuple[Any, ...], LevelOrders], Row]] = {
    "scores": _make_score,
    "submissions": lambda row, orders: SubmissionRow(*row),
    "users": lambda row, orders: UserRow(*row),
    "levels": _make_level,
    "actions": lambda row, orders: ActionRow(*row),
}
COUNTS = {
    "scores": "SELECT sum(players) FROM boards",
    "submissions": "SELECT count(*) FROM submissions",
    "users": "SELECT count(*) FROM users FULL JOIN bans USING (user_id)",
    "levels": "SELECT count(*) FROM level_settings",
    "actions": "SELECT count(*) FROM actions",
}
QUERIES = {
    "scores": """
        SELECT scores.level_id, period, scores.user_id, score, reached_at, name,
               (SELECT meta
                  FROM submissions
                 WHERE user_id = scores.user_id
                   AND level_id = scores.level_id
                   AND posted_at = scores.reached_at
                   AND meta IS NOT NULL
                 LIMIT 1)
          FROM scores
          LEFT JOIN users ON users.user_id = scores.user_id
         WHERE (%(level_id)s::int IS NULL OR scores.level_id = %(level_id)s)
           AND (%(period)s::int IS NULL OR period = %(period)s)
         ORDER BY scores.level_id, period, score DESC, reached_at, scores.user_id
    """,
    "submissions": """
        SELECT submission_id, level_id, user_id, score, posted_at, day, state, meta, action_id, state_before, follows
          FROM submissions
         WHERE %(level_id)s::int IS NULL OR level_id = %(level_id)s
         ORDER BY user_id, level_id, submission_id
    """,
    "users": """
        SELECT user_id, name, external, secret_hash, CASE WHEN hide THEN 'hidden' WHEN NOT hide THEN 'yes' END, until,
               reason
          FROM users
          FULL JOIN bans USING (user_id)
         ORDER BY user_id
    """,
    "levels": """
        SELECT level_id, settings
          FROM level_settings
         WHERE %(level_id)s::int IS NULL OR level_id = %(level_id)s
         ORDER BY level_id
    """,
    "actions": """
        SELECT action_id, acted_at, actor, kind, level_id, user_id, submission_id, before, after, undoes
          FROM actions
         ORDER BY action_id
    """,
}
