"""Ends bans that have run out and deletes old submissions and old periods, a slice at a time.

Theory of operation: as on SQLite, see `sqlite/maintenance.py`. Every node does this; a slice is a transaction that
takes the lock of the actions, so no action sees half of what it needs. Where a pass is, only its node knows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from scoresvc.actions import EndBan
from scoresvc.config import Config
from scoresvc.levels import PERIOD_KINDS
from scoresvc.periods import ALL
from scoresvc.storage.passes import Pass
from scoresvc.storage.postgres.acting import LOCK_ACTIONS, QueuedActions
from scoresvc.storage.postgres.clocks import read_now
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.ledger import PostgresLedger
from scoresvc.storage.postgres.transactions import PipelinedTransactions
from scoresvc.storage.rebuilding import is_kept

ACTOR = "scoresvc"  # in the audit log
DAY = 86400.0  # seconds


class SharedMaintenance:
    """What a node does periodically; `clock` returns Unix seconds, None stands for the clock of the database."""

    def __init__(
        self,
        transactions: PipelinedTransactions,
        acting: QueuedActions,
        config: Config,
        clock: Callable[[], float] | None,
    ) -> None:
        self._transactions = transactions
        self._acting = acting
        self._levels = config.levels
        self._days = config.history.days
        self._clock = clock
        self._keeps_all = not any(getattr(config.levels, f"keep_{kind}s") for kind in PERIOD_KINDS)
        self._submissions = Pass(0)
        self._boards = Pass((-1, ALL))

    def maintain(self, count: int) -> int:
        """See `AdminStore`."""
        user_id = self._transactions.run(self._find_ended_ban)
        if user_id is not None:
            self._acting.act(ACTOR, EndBan(user_id))
        looked_at = 0
        if self._days:
            looked_at = self._transactions.run(partial(self._purge_submissions, count))
        if not self._keeps_all:
            looked_at = max(looked_at, self._transactions.run(partial(self._purge_periods, count)))
        return count if user_id is not None else looked_at

    def _find_ended_ban(self, connection: Connection) -> int | None:
        now = read_now(connection, self._clock)
        rows = connection.execute("SELECT user_id FROM bans WHERE until <= %s::bigint LIMIT 1", (now,)).fetchall()
        return rows[0][0] if rows else None

    def _purge_submissions(self, count: int, connection: Connection) -> int:
        """Deletes old ones that stand on no board; those that wait for an operator, or for the end of a ban, stay."""
        connection.execute(LOCK_ACTIONS)
        now = read_now(connection, self._clock)
        if not self._submissions.is_due(now / 1_000_000):
            return 0
        values = {
            "after": self._submissions.after,
            "count": count,
            "posted_before": now - int(self._days * DAY * 1_000_000),
            "keep": self._levels.keep,
        }
        looked_at = connection.execute(LOOK_AT_SUBMISSIONS, values).fetchall()
        if looked_at:
            values["last"] = self._submissions.after = looked_at[-1][0]
            actions = connection.execute(DELETE_SUBMISSIONS, values).fetchall()
            ledger = PostgresLedger(connection, self._levels, now)
            ledger.forget_submissions([action_id for (action_id,) in actions])
        if len(looked_at) < count:
            self._submissions.end(now / 1_000_000)
        return len(looked_at)

    def _purge_periods(self, count: int, connection: Connection) -> int:
        """Deletes the boards that [levels] keep_days, keep_weeks and keep_months let go, the submissions not."""
        connection.execute(LOCK_ACTIONS)
        now = read_now(connection, self._clock)
        if not self._boards.is_due(now / 1_000_000):
            return 0
        level_id, period = self._boards.after
        looked_at = connection.execute(
            """
            SELECT level_id, period
              FROM boards
             WHERE (level_id, period) > (%(level_id)s, %(period)s)
             ORDER BY level_id, period
             LIMIT %(count)s
            """,
            {"level_id": level_id, "period": period, "count": count},
        ).fetchall()
        ledger = PostgresLedger(connection, self._levels, now)
        for level_id, period in looked_at:
            if period != ALL and not is_kept(period, ledger.oldest_periods(level_id)):
                is_gone = _delete_board(ledger, connection, level_id, period, count)
                self._boards.after = (level_id, period if is_gone else period - 1)
                return count
            self._boards.after = (level_id, period)
        if len(looked_at) < count:
            self._boards.end(now / 1_000_000)
        return len(looked_at)


def _delete_board(ledger: PostgresLedger, connection: Connection, level_id: int, period: int, count: int) -> bool:
    """Deletes `count` scores at most; returns whether the board is gone."""
    board = {"level_id": level_id, "period": period, "count": count}
    ledger.lock_level(level_id)
    users = connection.execute(USERS, board).fetchall()
    for (user_id,) in users:
        ledger.delete_score(level_id, period, user_id)
    if len(users) == count:
        return False
    connection.execute("DELETE FROM bands WHERE level_id = %(level_id)s AND period = %(period)s", board)
    connection.execute("DELETE FROM boards WHERE level_id = %(level_id)s AND period = %(period)s", board)
    return True


LOOK_AT_SUBMISSIONS = """
    SELECT submission_id
      FROM submissions
     WHERE submission_id > %(after)s
     ORDER BY submission_id
     LIMIT %(count)s
"""
# Where submissions are summed, all of them stand there. A level without settings of its own keeps the best. A board has
# what was posted, or turned.
DELETE_SUBMISSIONS = """
    DELETE FROM submissions
     WHERE submission_id > %(after)s
       AND submission_id <= %(last)s
       AND posted_at < %(posted_before)s
       AND (state = 2
            OR (state = 0
                AND coalesce((SELECT coalesce(settings ->> 'keep', %(keep)s)
                                FROM level_settings
                               WHERE level_settings.level_id = submissions.level_id), 'best') <> 'sum'
                AND NOT EXISTS (SELECT
                                  FROM scores
                                 WHERE scores.user_id = submissions.user_id
                                   AND scores.level_id = submissions.level_id
                                   AND scores.score IN (submissions.score, 2147483647 - submissions.score)
                                   AND scores.reached_at = submissions.posted_at)
                AND NOT EXISTS (SELECT FROM bans WHERE bans.user_id = submissions.user_id)))
    RETURNING action_id
"""
USERS = """
    SELECT user_id
      FROM scores
     WHERE level_id = %(level_id)s AND period = %(period)s
     ORDER BY user_id
     LIMIT %(count)s
"""
