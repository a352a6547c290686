"""Compares boards with bans and submissions, and puts right what differs.

Theory of operation: what is wrong is told in ../board_faults.py. All users on all levels are gone through in the order
of user and level, some at a time, so that neither memory nor the time of a snapshot grows with the database. Only where
a board differs are all submissions of the user to the level read. A repair finds faults in the same way, without a
lock. It then changes at most STEP scores in one transaction, each only where it is still what it was, and none where an
operator has acted since: the submissions may be others now. What is passed over is found in the next round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from typing import NamedTuple

import msgspec

from scoresvc.levels import LevelOptions, LevelSettings
from scoresvc.periods import name_of_board
from scoresvc.storage.board_faults import BoardFault, boards_in, faults_of_banned, find_board_faults
from scoresvc.storage.ledger import StoredScore, StoredSubmission, merge_settings
from scoresvc.storage.rebuilding import boards_of, oldest_periods
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.ledger_rules import RuleLedger
from scoresvc.storage.sqlite.ledger_scores import Touched
from scoresvc.storage.sqlite.library import sqlite3

SLICE = 1000  # users on a level that are compared in one snapshot
STEP = 200  # scores that a repair changes in one transaction
LEVELS_CACHED = 10_000

Key = tuple[int, int]  # user and level
Tick = Callable[[int], object]  # gets how many scores were compared


class UserFault(NamedTuple):
    level_id: int
    user_id: int
    last_action_id: int  # when it was found
    fault: BoardFault


def faults(connection: sqlite3.Connection, options: LevelOptions, tick: Tick) -> Iterator[str]:
    """Yields a line for each level whose settings cannot be read, and for each score that is wrong.

    `options` are of [levels]. The connection has no transaction open.
    """
    audit = _Audit(connection, options, tick)
    for level_id, user_id, _, fault in audit.find():
        yield f"{name_of_board(level_id, fault.period)}: user {user_id} {fault.said}"
    for level_id in sorted(audit.unreadable):
        yield f"level {level_id} has settings that cannot be read"


def repair(database: WritingConnection, reader: sqlite3.Connection, options: LevelOptions, tick: Tick) -> bool:
    """Puts the scores that are wrong as the submissions say; returns whether there were any. Raises StartError.

    To be called until there are none: what others change in between is passed over.
    """
    found = False
    faults = _Audit(reader, options, tick).find()
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


class _Audit:
    """A look at all boards; `unreadable` are the levels that were passed over for their settings."""

    def __init__(self, connection: sqlite3.Connection, options: LevelOptions, tick: Tick) -> None:
        self._connection = connection
        self._options = options
        self._tick = tick
        self._now = int(time.time() * 1_000_000)
        self._ledger = RuleLedger(connection, Touched(), options, self._now)
        self._plain = merge_settings(options.defaults, None, has_scores=True)
        self._settings: dict[int, LevelSettings | None] = {}
        self._last_action_id = 0
        self.unreadable: set[int] = set()

    def find(self) -> Iterator[UserFault]:
        after: Key | None = (-1, -1)
        while after:
            self._connection.execute("BEGIN")
            try:
                last = self._last_of_slice(after)
                found = self._find_between(after, last) if last else []
            finally:
                self._connection.execute("ROLLBACK")
            yield from found
            after = last

    def _last_of_slice(self, after: Key) -> Key | None:
        values = {"user_id": after[0], "level_id": after[1], "count": SLICE}
        keys: list[Key] = self._connection.execute(KEYS, values).fetchall()
        return keys[-1] if keys else None

    def _find_between(self, after: Key, last: Key) -> list[UserFault]:
        """Returns what is wrong with those who come behind `after`, up to `last`, in this snapshot."""
        self._forget_settings()
        values = {"user_id": after[0], "level_id": after[1], "last_user_id": last[0], "last_level_id": last[1]}
        rows = self._connection.execute(SCORES, values).fetchall()
        scores = {key: [StoredScore(*row[1:]) for row in group] for key, group in groupby(rows, _key_of_score)}
        banned = {user_id for (user_id,) in self._connection.execute(BANNED, values)}
        submissions = map(StoredSubmission._make, self._connection.execute(SUBMISSIONS, values))
        found = []
        for key, group in groupby(submissions, _key_of_submission):
            found += self._compare(key, scores.pop(key, []), group, key[0] in banned)
        for key, of_user in scores.items():  # nothing contradicts scores without a submission
            if key[0] in banned:
                found += self._compare(key, of_user, (), True)
        self._tick(len(rows))
        return found

    def _compare(
        self, key: Key, scores: list[StoredScore], submissions: Iterable[StoredSubmission], is_banned: bool
    ) -> list[UserFault]:
        user_id, level_id = key
        settings = self._settings_of(level_id)
        if is_banned:
            found = faults_of_banned(scores)
        elif settings is None:
            found = []
        else:
            present, counted = boards_in(scores, settings), boards_of(submissions, settings)
            if present == counted:
                return []
            oldest = oldest_periods(self._options, settings.zone, self._now)
            own = self._ledger.submissions(level_id, user_id)
            found = find_board_faults(present, counted, own, settings, oldest)
        return [UserFault(level_id, user_id, self._last_action_id, each) for each in found]

    def _settings_of(self, level_id: int) -> LevelSettings | None:
        """Returns None where they cannot be read."""
        if level_id not in self._settings:
            try:
                own = self._ledger.own_settings(level_id)
                settings = self._plain if own is None else merge_settings(self._options.defaults, own, has_scores=False)
            except msgspec.MsgspecError:
                self.unreadable.add(level_id)
                settings = None
            self._settings[level_id] = settings
        return self._settings[level_id]

    def _forget_settings(self) -> None:
        """Lets settings be read again that an operator has changed since the slice before."""
        last_action_id = _last_action_id(self._connection)
        if last_action_id != self._last_action_id or len(self._settings) > LEVELS_CACHED:
            self._settings.clear()
        self._last_action_id = last_action_id


def _key_of_score(row: tuple[int, int, int, int, int]) -> Key:
    return row[2], row[0]


def _key_of_submission(submission: StoredSubmission) -> Key:
    return submission.user_id, submission.level_id


def _last_action_id(connection: sqlite3.Connection) -> int:
    rows = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'actions'").fetchall()
    return int(rows[0][0]) if rows else 0


KEYS = """
    SELECT user_id, level_id
      FROM scores INDEXED BY scores_by_user
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
      FROM scores INDEXED BY scores_by_user
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
BANNED = "SELECT user_id FROM bans WHERE user_id BETWEEN :user_id AND :last_user_id"
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
