"""The one writer, which commits in groups."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from scoresvc.errors import Unavailable
from scoresvc.sqlite import fsync_failed, is_busy, is_fault, sqlite3

R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")

# Makes one change for each of the rows, returns one result for each. May be called again after a rollback.
Change = Callable[[sqlite3.Connection, list[R]], Iterable[T]]

BATCH_MAX = 256  # changes in one transaction
QUEUE_MAX = 4096  # changes that wait for the writer
LOCKED_QUEUE_MAX = 2  # the same while another program holds the database: the other threads are for readers
LOCKED_WAIT = 2.0  # seconds until a change that waits for another program is refused

log = logging.getLogger("scoresvc.database")


@dataclass(frozen=True)
class OneStatement(Generic[R, T]):
    """A change of one statement, which SQLite by itself makes wholly or not at all.

    It spares BEGIN and COMMIT, at each of which the writer gives up the interpreter's lock and waits for it again.
    """

    change: Change[R, T]

    def __call__(self, connection: sqlite3.Connection, rows: list[R]) -> Iterable[T]:
        return self.change(connection, rows)


class Writer:
    """The thread with the only writing connection: it commits what has gathered in one transaction.

    A failed change fails alone, a failed commit fails its whole batch. After a failed
    fsync nobody knows what is on disk, and where the file is no longer in its place,
    `is_in_place`, it soon is on none: the writer stops for good. `on_broken` is called in
    its thread whenever it has stopped without being told to. Each batch is written within `turn`.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        turn: AbstractContextManager[None],
        is_in_place: Callable[[], bool],
        on_broken: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._turn = turn
        self._is_in_place = is_in_place
        self._on_broken = on_broken
        self._queue: queue.SimpleQueue[Write[Any]] = queue.SimpleQueue()
        self._batch: list[Write[Any]] = []
        self._locked = False
        self._stopping = False
        self._ended = False
        self._fault = ""
        self._refusing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="scoresvc-writer", daemon=True)
        self._thread.start()

    def begin(self, change: Change[R, T], row: R, then: Callable[[T], U]) -> Write[U]:
        """As `Database.begin`."""
        queue_max = LOCKED_QUEUE_MAX if self._locked else QUEUE_MAX
        if self._stopping or self._ended or self._queue.qsize() + len(self._batch) >= queue_max:
            raise Unavailable
        write = Write(change, row, then)
        self._queue.put(write)
        if self._ended:  # it may have ended before it could see this one
            self._refuse_all()
        return write

    def stop(self) -> None:
        """Commits what waits, then closes the connection."""
        self._stopping = True
        self._queue.put(Write(OneStatement(_change_nothing), None, as_made))  # needs no lock
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        try:
            while not (self._stopping and self._queue.empty()):
                self._batch.append(self._queue.get())
                while self._batch:  # as long as another program holds the database
                    with self._turn:
                        self._gather()
                        self._commit(self._batch)
        except (sqlite3.DatabaseError, FileNotFoundError) as error:
            log.critical("the writer has stopped for good: %s", error)
        except BaseException:
            log.critical("the writer has stopped for good", exc_info=True)
        finally:
            self._ended = True
            self._refuse_all()
            if not self._stopping:
                self._on_broken()

    def _gather(self) -> None:
        """Takes what else is there."""
        while len(self._batch) < BATCH_MAX and not self._queue.empty():
            self._batch.append(self._queue.get())

    def _commit(self, batch: list[Write[Any]]) -> None:
        """Makes the changes of a batch in one transaction, then tells each its result.

        While another program holds the database, those that still may wait are left in `batch`.
        """
        try:
            self._make_at_once(batch)
        except Exception as error:
            if self._is_locked_out(error):
                self._refuse_late(batch)
            else:
                self._run_apart(batch, error)
            return
        self._locked = False
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._roll_back()
            self._fail_unavailable(batch, error)
            return
        self._note_fault("")
        if not self._is_in_place():
            raise FileNotFoundError("the file of the database was moved or deleted; what is written now is lost")
        # All results before any is told: who is told first may ask for what another has changed.
        for write in batch:
            write.succeed()
        for write in batch:
            write.end()
        batch.clear()

    def _is_locked_out(self, error: Exception) -> bool:
        """Tells whether another program holds the database, so that nothing was done yet."""
        if self._connection.in_transaction or not (isinstance(error, sqlite3.OperationalError) and is_busy(error)):
            return False
        self._locked = True
        self._note_fault(str(error))
        return True

    def _make_at_once(self, batch: list[Write[Any]]) -> None:
        changes = _by_change(batch)
        if len(changes) > 1 or not isinstance(batch[0].change, OneStatement):
            self._connection.execute("BEGIN IMMEDIATE")
        for change, writes in changes.items():
            results = change(self._connection, [write.row for write in writes])
            for write, result in zip(writes, results, strict=True):
                write.made = result

    def _run_apart(self, batch: list[Write[Any]], error: Exception) -> None:
        """After a change failed: fails it, and runs its neighbours again where the database is well."""
        database_is_well = self._roll_back() or not is_fault(error)
        if len(batch) == 1 or not database_is_well:
            self._fail(batch, error)
            return
        for write in batch:
            alone = [write]
            while alone:
                self._commit(alone)
        batch.clear()

    def _roll_back(self) -> bool:
        """Returns False where SQLite had rolled back already, as it does after most faults of the disk."""
        if not self._connection.in_transaction:
            return False
        self._connection.execute("ROLLBACK")
        return True

    def _fail(self, batch: list[Write[Any]], error: Exception) -> None:
        if is_fault(error):
            self._fail_unavailable(batch, error)
            return
        for write in batch:
            write.fail(error)
        batch.clear()

    def _fail_unavailable(self, batch: list[Write[Any]], error: Exception) -> None:
        if fsync_failed(error):
            raise error
        self._note_fault(str(error))
        for write in batch:
            write.fail(Unavailable())
        batch.clear()

    def _refuse_late(self, batch: list[Write[Any]]) -> None:
        while not self._queue.empty():
            batch.append(self._queue.get())
        since = time.monotonic() - LOCKED_WAIT
        kept = [write for write in batch if write.queued_at > since][:LOCKED_QUEUE_MAX]
        for write in batch:
            if write not in kept:
                write.fail(Unavailable())
        batch[:] = kept

    def _refuse_all(self) -> None:
        with self._refusing:
            with suppress(queue.Empty):
                while True:
                    self._batch.append(self._queue.get_nowait())
            for write in self._batch:
                write.fail(Unavailable())

    def _note_fault(self, fault: str) -> None:
        """Logs that writing began or ceased to fail, once each."""
        if fault == self._fault:
            return
        self._fault = fault
        if fault:
            log.error("cannot write: %s", fault)
        else:
            log.warning("can write again")


class Write(Generic[T]):
    """A change on its way through the writer."""

    __slots__ = ("_calls", "_error", "_has_ended", "_result", "_then", "change", "made", "queued_at", "row")

    def __init__(self, change: Change[Any, Any], row: Any, then: Callable[[Any], T]) -> None:
        self.change = change
        self.row = row
        self.queued_at = time.monotonic()
        self.made: Any = None  # what `change` returned for the row
        self._then = then
        self._result: T
        self._error: Exception | None = None
        self._has_ended = False
        self._calls: list[Callable[[], None]] = []

    def result(self) -> T:
        """Returns what came of it; waits for the commit. Raises Unavailable, and what the change raised."""
        if not self._has_ended:
            ended = threading.Lock()
            ended.acquire()
            self.when_ended(ended.release)
            ended.acquire()
        if self._error is not None:
            raise self._error
        return self._result

    def when_ended(self, call: Callable[[], None]) -> None:
        """Has `call` called once `result` no longer waits: by the writer's thread, or here and now."""
        self._calls.append(call)
        if self._has_ended:
            self._tell()

    def succeed(self) -> None:
        """To be called after the commit and before `end`."""
        try:
            self._result = self._then(self.made)
        except Exception as error:
            self._error = error

    def end(self) -> None:
        self._has_ended = True
        self._tell()

    def fail(self, error: Exception) -> None:
        if not self._has_ended:
            self._error = error
            self.end()

    def _tell(self) -> None:
        while self._calls:
            try:
                call = self._calls.pop()
            except IndexError:  # the other thread was faster
                return
            call()


def _change_nothing(connection: sqlite3.Connection, rows: list[None]) -> list[None]:
    return rows


def as_made(made: T) -> T:
    return made


def _by_change(batch: list[Write[Any]]) -> dict[Change[Any, Any], list[Write[Any]]]:
    """What is in one batch came at the same time: its changes may be made in any order."""
    writes: dict[Change[Any, Any], list[Write[Any]]] = {}
    for write in batch:
        writes.setdefault(write.change, []).append(write)
    return writes
