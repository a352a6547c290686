"""Commits a batch of writes in one transaction, in one round trip.

Theory of operation: the statements of a transaction are sent in a pipeline, BEGIN first and COMMIT last, and nothing in
between depends on an answer. Only then the answers are read. Three things may come of it. It is committed: the server
says COMMIT, without a warning. It is rolled back because another transaction was in its way: it is run again. Or the
server failed, and nobody knows whether it was committed: every write of it is refused with 503, and sending a post
again is safe. A change that fails by itself fails alone; the others are run again without it.

`SETTINGS` are for the transaction alone, so that a pooler may lend the session to somebody else in between. A node that
dies in the middle holds locks until idle_in_transaction_session_timeout, and a lock is waited for lock_timeout at most.
The planner is kept from sequential scans and hash joins: it makes plans while the tables are young and small, and keeps
them when they have grown.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from scoresvc.errors import Refusal, Unavailable
from scoresvc.storage.postgres.connections import Connection, log
from scoresvc.storage.postgres.library import is_retried, psycopg
from scoresvc.storage.postgres.pool import ConnectionPool
from scoresvc.storage.postgres.workers import Batch

if TYPE_CHECKING:
    from typing_extensions import LiteralString

R = TypeVar("R")
T = TypeVar("T")

ATTEMPTS_MAX = 8  # of a transaction that others are in the way of
LOCK_TIMEOUT = 4.0  # seconds
WORK_MAX = 600.0  # seconds that the work of an operator may take
LATER_LOCK_TIMEOUT = 0.2  # seconds, for what may be done later, or never
RETRY_PAUSE = 0.01  # seconds, at most, times the number of attempts

SETTINGS = """
SELECT set_config('lock_timeout', %(lock_timeout)s, true),
       set_config('statement_timeout', '5s', true),
       set_config('idle_in_transaction_session_timeout', '5s', true),
       set_config('synchronous_commit',
                  CASE WHEN %(durability)s = 'process' THEN 'off'
                       WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply'
                       ELSE 'on' END,
                  true),
       set_config('enable_seqscan', 'off', true),
       set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true)
"""


class LockNotTaken(Unavailable):
    """Another session held a lock for too long; nothing was done, and the server can go on."""


# Begins a transaction with the settings of one that writes, for a `with` block.
Begin = Callable[[], AbstractContextManager[Connection]]


def _nothing(begin: Begin) -> None:
    return None


class SentChange(NamedTuple, Generic[T]):
    """Statements whose answers are there when the transaction has ended."""

    outputs: Callable[[], Iterable[T]]  # reads an output for each row
    after_commit: Callable[[Begin], object] = _nothing  # for what may be done later, or never


@dataclass(frozen=True, eq=False)
class PipelinedChange(Generic[R, T]):
    """A kind of change, made for all the rows that gathered for it at once; `send` may be called again."""

    name: str
    send: Callable[[Connection, list[R]], SentChange[T]]


Changes = dict[PipelinedChange[Any, Any], Batch]


class PipelinedTransactions:
    """The transactions of the threads that write. `on_commit` is called with the number of writes in each.

    `settings` is SETTINGS, or another query that makes these for the transaction.
    """

    def __init__(
        self, pool: ConnectionPool, durability: str, on_commit: Callable[[int], object], settings: LiteralString
    ) -> None:
        self._pool = pool
        self._durability = durability
        self._on_commit = on_commit
        self._settings: LiteralString = settings

    def commit(self, batch: Batch, lock_timeout: float = LOCK_TIMEOUT) -> None:
        """Makes the changes of a batch, commits, and finishes each write. Raises LockNotTaken, Unavailable."""
        changes = _by_change(batch)
        try:
            with self._pool.lend() as connection:
                sent = self._commit_on(connection, changes, lock_timeout)
                self._on_commit(len(batch))
                for write in batch:
                    write.finish()
                self._follow(connection, [each.after_commit for each in sent])
        except Unavailable:
            raise
        except Exception as error:
            if batch[0].is_done:
                raise
            self._run_separately(batch, error, lock_timeout)

    def run(self, work: Callable[[Connection], T], lock_timeout: float = LOCK_TIMEOUT) -> T:
        """Does `work` in a transaction of its own, again where others were in its way; returns what it returns.

        A refusal that it raises takes the transaction back. Raises LockNotTaken, Unavailable.
        """
        with self._pool.lend(WORK_MAX) as connection:
            for attempt in range(1, ATTEMPTS_MAX):
                try:
                    return self._work(connection, work, lock_timeout)
                except psycopg.errors.LockNotAvailable:
                    connection.execute("ROLLBACK")
                    raise LockNotTaken from None
                except psycopg.Error as error:
                    if not is_retried(error) or connection.closed:
                        raise
                connection.execute("ROLLBACK")
                time.sleep(random.uniform(0, RETRY_PAUSE * attempt))
            return self._work(connection, work, lock_timeout)

    def _work(self, connection: Connection, work: Callable[[Connection], T], lock_timeout: float) -> T:
        warnings: list[str] = []
        with _noting_warnings(connection, warnings):
            connection.execute("BEGIN")
            self._set(connection, lock_timeout)
            try:
                result = work(connection)
            except Refusal:
                connection.execute("ROLLBACK")
                raise
            _require_commit(connection, connection.execute("COMMIT"), warnings)
        return result

    def follow(self, work: Callable[[Begin], object]) -> None:
        """Does `work`, where a server and the locks can be had: it may be done later, or never."""
        with suppress(Unavailable), self._pool.lend(WORK_MAX) as connection:
            self._follow(connection, [work])

    def _commit_on(self, connection: Connection, changes: Changes, lock_timeout: float) -> list[SentChange[Any]]:
        for attempt in range(1, ATTEMPTS_MAX):
            try:
                return self._send(connection, changes, lock_timeout)
            except psycopg.errors.LockNotAvailable:
                connection.execute("ROLLBACK")
                raise LockNotTaken from None
            except psycopg.Error as error:
                if not is_retried(error) or connection.closed:
                    raise
            connection.execute("ROLLBACK")
            time.sleep(random.uniform(0, RETRY_PAUSE * attempt))
        return self._send(connection, changes, lock_timeout)

    def _send(self, connection: Connection, changes: Changes, lock_timeout: float) -> list[SentChange[Any]]:
        """Sets the output of each write. Raises Unavailable where the server does not say that it has committed."""
        warnings: list[str] = []
        with _noting_warnings(connection, warnings), connection.pipeline():
            connection.execute("BEGIN")
            self._set(connection, lock_timeout)
            sent = [change.send(connection, [write.row for write in writes]) for change, writes in changes.items()]
            end = connection.execute("COMMIT")
        _require_commit(connection, end, warnings)
        for each, writes in zip(sent, changes.values(), strict=True):
            for write, output in zip(writes, each.outputs(), strict=True):
                write.output = output
        return sent

    def _set(self, connection: Connection, lock_timeout: float) -> None:
        values = {"durability": self._durability, "lock_timeout": f"{lock_timeout * 1000:.0f}ms"}
        connection.execute(self._settings, values)

    def _follow(self, connection: Connection, works: Iterable[Callable[[Begin], object]]) -> None:
        """Does what follows a commit, as far as nobody holds a lock that it needs: the next batch waits for this."""
        with suppress(psycopg.errors.LockNotAvailable):
            for work in works:
                work(partial(self._begin, connection))

    @contextmanager
    def _begin(self, connection: Connection) -> Iterator[Connection]:
        with connection.transaction():
            self._set(connection, LATER_LOCK_TIMEOUT)
            yield connection

    def _run_separately(self, batch: Batch, error: Exception, lock_timeout: float) -> None:
        """After a change failed: fails it, and runs the others again."""
        if len(batch) == 1:
            batch[0].fail(error)
            return
        for write in batch:
            if not write.is_done:
                self.commit([write], lock_timeout)


def _require_commit(connection: Connection, end: psycopg.Cursor[Any], warnings: list[str]) -> None:
    """Raises Unavailable where the server does not say that it has committed."""
    if end.statusmessage != "COMMIT" or warnings:
        log.warning("a commit ended with %s: %s", end.statusmessage, "; ".join(warnings))
        connection.close()
        raise Unavailable


@contextmanager
def _noting_warnings(connection: Connection, warnings: list[str]) -> Iterator[None]:
    def note(notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            warnings.append(f"{notice.message_primary}")

    connection.add_notice_handler(note)
    try:
        yield
    finally:
        connection.remove_notice_handler(note)


def _by_change(batch: Batch) -> Changes:
    """The writes of one batch came at the same time: their changes may be made in any order."""
    writes: Changes = {}
    for write in batch:
        writes.setdefault(write.change, []).append(write)
    return writes
