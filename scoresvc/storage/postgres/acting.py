"""Carries out the actions of operators.

Theory of operation: each action is a transaction of its own, in a thread, for it depends on what it reads on the way.
LOCK_ACTIONS lets one action of all nodes be under way at a time: so they are numbered without gaps, and none waits for
a level that another one has. Posts take no notice of it, but wait for the levels that an action locks.

A ban must not overlook what its user posts to a level meanwhile. So every transaction of posts shares a lock before it
looks for bans, and keeps it; an action that changes a ban waits until all those have ended, and those that follow wait
for its end. The locks are of numbers, not of the tables: those may be on several servers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from scoresvc.actions import Action, ActionRecord, AnyAction, BanUser, EndBan, EraseUser, UndoAction
from scoresvc.config import Config
from scoresvc.errors import Refusal
from scoresvc.storage.moderation import perform
from scoresvc.storage.postgres.clocks import read_now
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.ledger import PostgresLedger
from scoresvc.storage.postgres.posting import LOCK_BANS
from scoresvc.storage.postgres.ranks import divide
from scoresvc.storage.postgres.rules import RuleVersion
from scoresvc.storage.postgres.transactions import LOCK_TIMEOUT, Begin, PipelinedTransactions
from scoresvc.storage.postgres.workers import Batch, Workers
from scoresvc.storage.write import Write

BAN_LOCK_TIMEOUT = 1.0  # seconds that a ban, for which all posts wait, waits for a level

ABOUT_BANS = (BanUser, EndBan, EraseUser, UndoAction)

Work = Callable[[PostgresLedger], ActionRecord | None]


class QueuedActions:
    """Acts in a thread; `clock` returns Unix seconds, None stands for the clock of the database."""

    def __init__(
        self,
        transactions: PipelinedTransactions,
        config: Config,
        clock: Callable[[], float] | None,
        version: RuleVersion,
    ) -> None:
        self._transactions = transactions
        self._levels = config.levels
        self._names_are_unique = config.users.unique_names
        self._clock = clock
        self._version = version
        self._workers = Workers("operator", 1, self._act_all, _nothing)

    def begin(self, actor: str, action: AnyAction) -> Write[ActionRecord | None]:
        """Queues an action. Raises Unavailable where no more may wait."""
        return self._workers.begin(None, (actor, action), _as_it_is)

    def stop(self) -> None:
        self._workers.stop()

    def _act_all(self, batch: Batch) -> None:
        for write in batch:
            try:
                write.output = self.act(*write.row)
            except Refusal as refusal:
                write.fail(refusal)
            except Exception as error:
                write.fail(error)
            else:
                write.finish()

    def act(self, actor: str, action: Action) -> ActionRecord | None:
        """Does an action, see `AdminStore.perform`."""

        def do(connection: Connection) -> tuple[ActionRecord | None, PostgresLedger]:
            connection.execute(LOCK_ACTIONS)
            connection.execute(LOCK_BANS_ALONE if isinstance(action, ABOUT_BANS) else LOCK_BANS)
            now = self._now(connection)
            ledger = PostgresLedger(connection, self._levels, now, self._names_are_unique)
            return perform(ledger, actor, action, now), ledger

        timeout = BAN_LOCK_TIMEOUT if isinstance(action, ABOUT_BANS) else LOCK_TIMEOUT
        record, ledger = self._transactions.run(do, timeout)
        self._version.advance()
        if ledger.full:
            self._transactions.follow(partial(_divide, ledger))
        return record

    def _now(self, connection: Connection) -> int:
        return read_now(connection, self._clock)


LOCK_BANS_ALONE = "SELECT pg_advisory_xact_lock(7202)"
LOCK_ACTIONS = "SELECT pg_advisory_xact_lock(7203)"


def _divide(ledger: PostgresLedger, begin: Begin) -> None:
    for band in ledger.full:
        divide(begin, band)


def _nothing(waiting: int) -> None:
    return None


def _as_it_is(record: ActionRecord | None) -> ActionRecord | None:
    return record
