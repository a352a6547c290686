"""Users: their secrets and names.

Theory of operation: what depends on what it reads on the way, such as whether a name is taken, is a transaction of its
own in one of a few threads, with locks of ledger_users.py. There are few of them: a plain login is not among them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from scoresvc.errors import Refusal
from scoresvc.scores import ClaimedUser, NamedUser
from scoresvc.storage import users
from scoresvc.storage.keys import hash_key, make_key
from scoresvc.storage.postgres.connections import Connection
from scoresvc.storage.postgres.ledger_users import PostgresUserLedger
from scoresvc.storage.postgres.reading import Reader
from scoresvc.storage.postgres.transactions import PipelinedTransactions
from scoresvc.storage.postgres.workers import Batch, Workers
from scoresvc.storage.users import NameRules
from scoresvc.storage.write import Write

THREADS = 2

T = TypeVar("T")

Work = Callable[[Connection], T]


class UserTransactions:
    """Does work in threads, each in a transaction of its own."""

    def __init__(self, transactions: PipelinedTransactions) -> None:
        self._transactions = transactions
        self._workers = Workers("users", THREADS, self._run_all, lambda waiting: None)

    def begin(self, work: Work[T]) -> Write[T]:
        """Queues work, which may raise a Refusal. Raises Unavailable where no more may wait."""
        return self._workers.begin(None, work, _as_it_is)

    def stop(self) -> None:
        self._workers.stop()

    def _run_all(self, batch: Batch) -> None:
        for write in batch:
            try:
                write.output = self._transactions.run(write.row)
            except Refusal as refusal:
                write.fail(refusal)
            else:
                write.finish()


class SharedUsers:
    """Names users, and reads what is known of them; see `UserStore`."""

    def __init__(self, reader: Reader, transactions: UserTransactions, rules: NameRules) -> None:
        self._reader = reader
        self._transactions = transactions
        self._rules = rules

    def reading_with(self, reader: Reader) -> SharedUsers:
        """Returns the same users, read by another reader."""
        return SharedUsers(reader, self._transactions, self._rules)

    def claim(self, user_id: int) -> Write[ClaimedUser]:
        secret = make_key()

        def claim(connection: Connection) -> ClaimedUser:
            users.claim(PostgresUserLedger(connection), user_id, hash_key(secret))
            return ClaimedUser(user_id, secret)

        return self._transactions.begin(claim)

    def rename(self, user_id: int, name: str | None) -> Write[NamedUser]:
        checked = self._rules.check(name)

        def rename(connection: Connection) -> NamedUser:
            users.rename(PostgresUserLedger(connection), user_id, checked, self._rules.are_unique)
            return NamedUser(user_id, name)

        return self._transactions.begin(rename)

    def name_of(self, user_id: int) -> NamedUser:
        rows = self._reader.read(
            """
            SELECT name
              FROM users
             WHERE user_id = %(user_id)s
               AND NOT EXISTS (SELECT FROM bans WHERE bans.user_id = users.user_id)
            """,
            {"user_id": user_id},
        )
        return NamedUser(user_id, rows[0][0] if rows else None)


def _as_it_is(output: Any) -> Any:
    return output
