"""Reads for an audit of the boards, see ../auditing.py, and puts right what it finds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from scoresvc.levels import LevelOptions
from scoresvc.storage.auditing import Audit, Key, ScoreRow, Tick, UserFault
from scoresvc.storage.ledger import OwnSettings, StoredSubmission
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.ledger_rules import RuleLedger
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.touched import Touched

STEP = 200  # scores that a repair changes in one transaction


def faults(connection: sqlite3.Connection, options: LevelOptions, tick: Tick) -> Iterator[str]:
    """Yields a line for each level whose settings cannot be read, and for each score that is wrong.

    `options` are of [levels]. The connection has no transaction open.
    """
    return Audit(SqliteAuditRows(connection, options), options, tick).describe()


def repair(database: WritingConnection, reader: sqlite3.Connection, options: LevelOptions, tick: Tick) -> bool:
    """Puts the scores that are wrong as the submissions say; returns whether there were any. Raises StartError.

    To be called until there are none: what others change in between is passed over.
    """
    found = False
    faults = Audit(SqliteAuditRows(reader, options), options, tick).find()
    while step := list(islice(faults, STEP)):
        found = True
        _mend(database, step)
    return found


def _mend(database: WritingConnection, found: list[UserFault]) -> None:
    with database.transaction() as connection:
        last_action_id = _last_action_id(connection)
        for each in found:
            if each.last_action_id == last_action_id:
                _mend_score(connection, each)


def _mend_score(connection: sqlite3.Connection, found: UserFault) -> None:
    stands, wanted = found.fault.stands, found.fault.wanted
    values = {
        "level_id": found.level_id,
        "period": found.fault.period,
        "user_id": found.user_id,
        "old_score": stands and stands[0],
        "old_reached_at": stands and stands[1],
        "score": wanted and wanted[0],
        "reached_at": wanted and wanted[1],
    }
    connection.execute(DELETE_SCORE if wanted is None else INSERT_SCORE if stands is None else UPDATE_SCORE, values)


class SqliteAuditRows:
    """See `AuditRows`; the connection has no transaction open."""

    def __init__(self, connection: sqlite3.Connection, options: LevelOptions) -> None:
        self._connection = connection
        self._ledger = RuleLedger(connection, Touched(), options, now=0)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def last_key(self, after: Key, count: int) -> Key | None:
        values = {"user_id": after[0], "level_id": after[1], "count": count}
        keys: list[Key] = self._connection.execute(KEYS, values).fetchall()
        return keys[-1] if keys else None

    def scores(self, after: Key, last: Key) -> list[ScoreRow]:
        return self._connection.execute(SCORES, _between(after, last)).fetchall()

    def submissions(self, after: Key, last: Key) -> Iterable[StoredSubmission]:
        return map(StoredSubmission._make, self._connection.execute(SUBMISSIONS, _between(after, last)))

    def submissions_of(self, key: Key) -> list[StoredSubmission]:
        user_id, level_id = key
        return self._ledger.submissions(level_id, user_id)

    def banned(self, first_user_id: int, last_user_id: int) -> set[int]:
        rows = self._connection.execute(BANNED, {"first_user_id": first_user_id, "last_user_id": last_user_id})
        return {user_id for (user_id,) in rows}

    def own_settings(self, level_id: int) -> OwnSettings | None:
        return self._ledger.own_settings(level_id)

    def last_action_id(self) -> int:
        return _last_action_id(self._connection)


def _between(after: Key, last: Key) -> dict[str, int]:
    return {"user_id": after[0], "level_id": after[1], "last_user_id": last[0], "last_level_id": last[1]}


def _last_action_id(connection: sqlite3.Connection) -> int:
    rows = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'actions'").fetchall()
    return int(rows[0][0]) if rows else 0


KEYS = """
    SELECT user_id, level_id
      FROM scores
     WHERE (user_id, level_id) > (:user_id, :level_id)
     UNION
    SELECT user_id, level_id
      FROM submissions INDEXED BY submissions_by_user
     WHERE (user_id, level_id) > (:user_id, :level_id)
     ORDER BY user_id, level_id
     LIMIT :count
"""
SCORES = """
    SELECT level_id, period, user_id, score, reached_at
      FROM scores
     WHERE (user_id, level_id) > (:user_id, :level_id)
       AND (user_id, level_id) <= (:last_user_id, :last_level_id)
     ORDER BY user_id, level_id
"""
# In the order in which they were accepted, as in ledger_scores.py.
SUBMISSIONS = """
    SELECT submission_id, level_id, user_id, score, posted_at, day, state, action_id, state_before
      FROM submissions INDEXED BY submissions_by_user
     WHERE (user_id, level_id) > (:user_id, :level_id)
       AND (user_id, level_id) <= (:last_user_id, :last_level_id)
     ORDER BY user_id, level_id, coalesce(follows, submission_id), follows IS NOT NULL, posted_at, submission_id
"""
BANNED = "SELECT user_id FROM bans WHERE user_id BETWEEN :first_user_id AND :last_user_id"
# Each changes nothing where the score is no longer what it was.
INSERT_SCORE = """
    INSERT INTO scores (level_id, period, user_id, score, reached_at)
    VALUES (:level_id, :period, :user_id, :score, :reached_at)
    ON CONFLICT (level_id, period, user_id)
      DO NOTHING
"""
UPDATE_SCORE = """
    UPDATE scores
       SET score = :score,
           reached_at = :reached_at
     WHERE level_id = :level_id
       AND period = :period
       AND user_id = :user_id
       AND score = :old_score
       AND reached_at = :old_reached_at
"""
DELETE_SCORE = """
    DELETE FROM scores
     WHERE level_id = :level_id
       AND period = :period
       AND user_id = :user_id
       AND score = :old_score
       AND reached_at = :old_reached_at
"""
