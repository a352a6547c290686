"""Reads for an audit of the boards, see ../auditing.py, and puts right what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

from scoresvc.levels import LevelOptions
from scoresvc.storage.auditing import Audit, Key, ScoreRow, Tick, UserFault
from scoresvc.storage.ledger import OwnSettings, StoredScore, StoredSubmission
from scoresvc.storage.postgres.acting import LOCK_ACTIONS
from scoresvc.storage.postgres.connections import Connection, read_snapshot
from scoresvc.storage.postgres.ledger import PostgresLedger

STEP = 50  # scores that a repair changes in one transaction


def faults(connection: Connection, options: LevelOptions, tick: Tick) -> Iterator[str]:
    """Yields a line for each level whose settings cannot be read, and for each score that is wrong.

    `options` are of [levels]. The connection has no transaction open.
    """
    return Audit(PostgresAuditRows(connection, options), options, tick).describe()


def repair(connection: Connection, options: LevelOptions, tick: Tick) -> bool:
    """Puts the scores that are wrong as the submissions say; returns whether there were any.

    To be called until there are none: what others change in between is passed over.
    """
    found = False
    faults = Audit(PostgresAuditRows(connection, options), options, tick).find()
    while step := list(islice(faults, STEP)):
        found = True
        _mend(connection, options, step)
    return found


def _mend(connection: Connection, options: LevelOptions, found: list[UserFault]) -> None:
    """Levels are locked in the order of their numbers, as posts do it. Bands that get full are divided by a post."""
    with connection.transaction():
        connection.execute(LOCK_ACTIONS)
        ledger = PostgresLedger(connection, options, now=0)
        for level_id in sorted({each.level_id for each in found}):
            ledger.lock_level(level_id)
        last_action_id = _last_action_id(connection)
        for each in found:
            if each.last_action_id == last_action_id:
                _mend_score(ledger, each)


def _mend_score(ledger: PostgresLedger, found: UserFault) -> None:
    """Changes nothing where the score is no longer what it was."""
    level_id, user_id, _, (period, _, stands, wanted) = found
    now = {score.period: (score.score, score.reached_at) for score in ledger.scores(level_id, user_id)}
    if now.get(period) != stands:
        return
    if wanted is None:
        ledger.delete_score(level_id, period, user_id)
    else:
        ledger.put_score(level_id, StoredScore(period, user_id, *wanted))


class PostgresAuditRows:
    """See `AuditRows`; the connection has no transaction open."""

    def __init__(self, connection: Connection, options: LevelOptions) -> None:
        self._connection = connection
        self._ledger = PostgresLedger(connection, options, now=0)

    def snapshot(self) -> AbstractContextManager[object]:
        return read_snapshot(self._connection)

    def last_key(self, after: Key, count: int) -> Key | None:
        keys = self._fetch(KEYS, {"user_id": after[0], "level_id": after[1], "count": count})
        return keys[-1] if keys else None

    def scores(self, after: Key, last: Key) -> list[ScoreRow]:
        return self._fetch(SCORES, _between(after, last))

    def submissions(self, after: Key, last: Key) -> list[StoredSubmission]:
        return [StoredSubmission(*row) for row in self._fetch(SUBMISSIONS, _between(after, last))]

    def submissions_of(self, key: Key) -> list[StoredSubmission]:
        user_id, level_id = key
        return self._ledger.submissions(level_id, user_id)

    def banned(self, first_user_id: int, last_user_id: int) -> set[int]:
        rows = self._fetch(BANNED, {"first_user_id": first_user_id, "last_user_id": last_user_id})
        return {user_id for (user_id,) in rows}

    def own_settings(self, level_id: int) -> OwnSettings | None:
        return self._ledger.own_settings(level_id)

    def last_action_id(self) -> int:
        return _last_action_id(self._connection)

    def _fetch(self, sql: str, values: dict[str, Any]) -> list[Any]:
        return self._connection.execute(sql.encode(), values).fetchall()


def _between(after: Key, last: Key) -> dict[str, int]:
    return {"user_id": after[0], "level_id": after[1], "last_user_id": last[0], "last_level_id": last[1]}


def _last_action_id(connection: Connection) -> int:
    ((action_id,),) = connection.execute("SELECT coalesce(max(action_id), 0) FROM actions").fetchall()
    return int(action_id)


# Each half has its limit, so that workers of a distributed database send no more.
KEYS = """
    (SELECT DISTINCT user_id, level_id
       FROM scores
      WHERE (user_id, level_id) > (%(user_id)s, %(level_id)s)
      ORDER BY user_id, level_id
      LIMIT %(count)s)
     UNION
    (SELECT DISTINCT user_id, level_id
       FROM submissions
      WHERE (user_id, level_id) > (%(user_id)s, %(level_id)s)
      ORDER BY user_id, level_id
      LIMIT %(count)s)
     ORDER BY user_id, level_id
     LIMIT %(count)s
"""
SCORES = """
    SELECT level_id, period, user_id, score, reached_at
      FROM scores
     WHERE (user_id, level_id) > (%(user_id)s, %(level_id)s)
       AND (user_id, level_id) <= (%(last_user_id)s, %(last_level_id)s)
     ORDER BY user_id, level_id
"""
# In the order in which they were accepted, as in ledger_submissions.py.
SUBMISSIONS = """
    SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
      FROM submissions
     WHERE (user_id, level_id) > (%(user_id)s, %(level_id)s)
       AND (user_id, level_id) <= (%(last_user_id)s, %(last_level_id)s)
     ORDER BY user_id, level_id, coalesce(follows, submission_id), follows IS NOT NULL, posted_at, submission_id
"""
BANNED = "SELECT user_id FROM bans WHERE user_id BETWEEN %(first_user_id)s AND %(last_user_id)s"
