"""Ends bans that have run out and deletes old submissions and old periods, a slice at a time, in the writer.

Theory of operation: like the purge of sessions, this is a change whose row is (now in Unix seconds, how many rows at
most). Its output is how many rows it looked at: as many as allowed means that there may be more, and another slice
follows at once. Old submissions and old periods are found by going through all of them in the order of their keys;
after the last one the next pass waits for PASS_INTERVAL. Where a pass is, only this process knows: after a restart it
starts again.
"""

from __future__ import annotations

from scoresvc.actions import EndBan
from scoresvc.config import Config
from scoresvc.levels import PERIOD_KINDS
from scoresvc.periods import ALL
from scoresvc.storage.moderation import perform
from scoresvc.storage.passes import Pass
from scoresvc.storage.purging import Slice
from scoresvc.storage.rebuilding import is_kept
from scoresvc.storage.sqlite.acting import Announcer
from scoresvc.storage.sqlite.checkpoints import SliceCheckpoints
from scoresvc.storage.sqlite.ledger import SqliteLedger
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.touched import Touched
from scoresvc.storage.sqlite.transactions import Change

ACTOR = "scoresvc"  # in the audit log
DAY = 86400.0  # seconds


class Maintenance:
    """What the writer does periodically."""

    def __init__(self, announcer: Announcer, config: Config) -> None:
        self._announcer = announcer
        self._levels = config.levels
        self._days = config.history.days
        self._keeps_all = not any(getattr(config.levels, f"keep_{kind}s") for kind in PERIOD_KINDS)
        self._touched = Touched()
        self._checkpoints = SliceCheckpoints()
        self._submissions = Pass(0)
        self._boards = Pass((-1, ALL))
        self.maintain = Change("maintain", self._maintain, self._after_commit)

    def _maintain(self, connection: sqlite3.Connection, slices: list[Slice]) -> list[int]:
        self._touched = Touched()
        return [
            max(
                self._end_ban(connection, now, count),
                self._purge_submissions(connection, now, count),
                self._purge_periods(connection, now, count),
            )
            for now, count in slices
        ]

    def _after_commit(self, connection: sqlite3.Connection, slices: list[Slice], outputs: list[int]) -> None:
        self._announcer.announce(connection, self._touched)
        if any(outputs):
            self._checkpoints.after_slice(connection)

    def _ledger(self, connection: sqlite3.Connection, now: float) -> SqliteLedger:
        return SqliteLedger(connection, self._touched, self._levels, int(now * 1_000_000))

    def _end_ban(self, connection: sqlite3.Connection, now: float, count: int) -> int:
        """Ends one, with an action."""
        microseconds = int(now * 1_000_000)
        rows = connection.execute(
            "SELECT user_id FROM bans WHERE until <= :now LIMIT 1", {"now": microseconds}
        ).fetchall()
        for (user_id,) in rows:
            perform(self._ledger(connection, now), ACTOR, EndBan(user_id), microseconds)
        return count if rows else 0

    def _purge_submissions(self, connection: sqlite3.Connection, now: float, count: int) -> int:
        """Deletes old ones that stand on no board; those that wait for an operator, or for the end of a ban, stay."""
        if not self._days or not self._submissions.is_due(now):
            return 0
        values = {
            "after": self._submissions.after,
            "count": count,
            "posted_before": int((now - self._days * DAY) * 1_000_000),
            "keep": self._levels.keep,
        }
        looked_at = connection.execute(LOOK_AT_SUBMISSIONS, values).fetchall()
        if looked_at:
            values["last"] = self._submissions.after = looked_at[-1][0]
            actions = connection.execute(DELETE_SUBMISSIONS, values).fetchall()
            self._ledger(connection, now).forget_submissions(actions)
        if len(looked_at) < count:
            self._submissions.end(now)
        return len(looked_at)

    def _purge_periods(self, connection: sqlite3.Connection, now: float, count: int) -> int:
        """Deletes the boards that [levels] keep_days, keep_weeks and keep_months let go, the submissions not."""
        if self._keeps_all or not self._boards.is_due(now):
            return 0
        level_id, period = self._boards.after
        looked_at = connection.execute(
            """
            SELECT level_id, period
              FROM boards
             WHERE (level_id, period) > (:level_id, :period)
             ORDER BY level_id, period
             LIMIT :count
            """,
            {"level_id": level_id, "period": period, "count": count},
        ).fetchall()
        ledger = self._ledger(connection, now)
        for level_id, period in looked_at:
            if period != ALL and not is_kept(period, ledger.oldest_periods(level_id)):
                if not self._delete_board(connection, level_id, period, count):
                    self._boards.after = (level_id, period - 1)
                return count
            self._boards.after = (level_id, period)
        if len(looked_at) < count:
            self._boards.end(now)
        return len(looked_at)

    def _delete_board(self, connection: sqlite3.Connection, level_id: int, period: int, count: int) -> bool:
        """Deletes `count` scores at most; returns whether the board is gone."""
        self._touched.levels.add(level_id)
        board = {"level_id": level_id, "period": period, "count": count}
        if connection.execute(DELETE_SCORES, board).rowcount == count:
            return False
        connection.execute("DELETE FROM bands WHERE level_id = :level_id AND period = :period", board)
        connection.execute("DELETE FROM boards WHERE level_id = :level_id AND period = :period", board)
        return True


LOOK_AT_SUBMISSIONS = """
    SELECT submission_id
      FROM submissions
     WHERE submission_id > :after
     ORDER BY submission_id
     LIMIT :count
"""
# Where submissions are summed, all of them stand there. A level without settings of its own keeps the best. A board has
# what was posted, or turned.
DELETE_SUBMISSIONS = """
    DELETE FROM submissions
     WHERE submission_id > :after
       AND submission_id <= :last
       AND posted_at < :posted_before
       AND (state = 2
            OR (state = 0
                AND coalesce((SELECT coalesce(json_extract(settings, '$.keep'), :keep)
                                FROM level_settings
                               WHERE level_id = submissions.level_id), 'best') <> 'sum'
                AND NOT EXISTS (SELECT 1
                                  FROM scores
                                 WHERE user_id = submissions.user_id
                                   AND level_id = submissions.level_id
                                   AND score IN (submissions.score, 2147483647 - submissions.score)
                                   AND reached_at = submissions.posted_at)
                AND NOT EXISTS (SELECT 1 FROM bans WHERE user_id = submissions.user_id)))
    RETURNING action_id
"""
DELETE_SCORES = """
    DELETE FROM scores
     WHERE (level_id, period, user_id) IN (SELECT level_id, period, user_id
                                             FROM scores
                                            WHERE level_id = :level_id AND period = :period
                                            LIMIT :count)
"""
