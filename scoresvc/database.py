"""The SQLite database: its connections, with the one writer that commits in groups."""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from scoresvc.errors import StartError, Unavailable

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        import pysqlite3 as sqlite3
    except ImportError:
        import sqlite3

R = TypeVar("R")
T = TypeVar("T")

# Makes one change for each of the rows, returns one result for each. May be called again after a rollback.
Change = Callable[["sqlite3.Connection", list[R]], Iterable[T]]


@dataclass(frozen=True)
class OneStatement(Generic[R, T]):
    """A change of one statement, which SQLite by itself makes wholly or not at all.

    It spares BEGIN and COMMIT, at each of which the writer gives up the interpreter's lock and waits for it again.
    """

    change: Change[R, T]

    def __call__(self, connection: sqlite3.Connection, rows: list[R]) -> Iterable[T]:
        return self.change(connection, rows)


BATCH_MAX = 256  # changes in one transaction
QUEUE_MAX = 4096  # changes that wait for the writer
LOCKED_QUEUE_MAX = 2  # the same while another program holds the database: the other threads are for readers
LOCKED_WAIT = 2.0  # seconds until a change that waits for another program is refused
OPEN_WAIT = 5.0  # seconds that the start waits for another program
ANSWERS_WAIT = 0.5  # seconds for the last answers to leave before a broken process ends

OPENING = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA journal_size_limit = 4194304",
    "PRAGMA busy_timeout = 100",
)
SYNCHRONOUS = {
    "full": "PRAGMA synchronous = FULL",
    "process": "PRAGMA synchronous = NORMAL",  # whole after a power cut, but without its last commits
}

# Result codes: https://sqlite.org/rescode.html
SQLITE_BUSY = 5
SQLITE_IOERR = 10
SQLITE_IOERR_FSYNC = 1034
SQLITE_IOERR_DIR_FSYNC = 1290

# https://sqlite.org/wal.html#walresetbug: before these, two writing connections can corrupt a database.
SEVERAL_WRITERS_SINCE = (3, 51, 3)
SEVERAL_WRITERS_BACKPORTS = ((3, 44, 6), (3, 50, 7))

SQLITE_VERSION = sqlite3.sqlite_version

log = logging.getLogger("scoresvc.database")


def bears_several_writers(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Tells whether several processes may write to one database with this SQLite."""
    backported = any(version[:2] == good[:2] and version >= good for good in SEVERAL_WRITERS_BACKPORTS)
    return backported or version >= SEVERAL_WRITERS_SINCE


def end_process() -> None:
    """Ends this process with status 1, so that its supervisor starts a new one."""
    time.sleep(ANSWERS_WAIT)
    logging.shutdown()
    os._exit(1)


class Database:
    """One SQLite file in WAL mode: any number of readers, one writer.

    The file at `path` is made where there is none, its folder is not.
    `durability` is "full" (a commit survives a power cut) or "process" (it
    survives the death of the process only). `on_broken` is called in the
    writer's thread when that has stopped for good.

    Raises StartError where the file cannot be opened, or another process writes
    to it and this SQLite cannot bear two.
    """

    def __init__(self, path: Path, durability: str = "full", on_broken: Callable[[], None] = end_process) -> None:
        self.path = path.absolute()
        self._lock = _lock_beside(self.path)
        try:
            self._writer = Writer(_connect_writing(self.path, durability), on_broken)
        except sqlite3.Error as error:
            self._lock.close()
            raise StartError(f"cannot open the database {self.path}: {error}") from None
        self._idle_readers: deque[sqlite3.Connection] = deque()

    def write(self, change: Change[R, T], row: R) -> T:
        """Makes `change` for `row` in a transaction; returns its result once that is committed.

        Rows that gather for the same change are handed to it together. Raises
        Unavailable where the database cannot take it now, and what `change` raises.
        """
        return self._writer.write(change, row)

    def read(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        """Returns all rows of one query. Raises Unavailable where the database cannot be read."""
        try:
            reader = self._take_reader()
            # All rows at once: an unfinished cursor would keep the write-ahead log from being reset.
            rows = reader.execute(sql, values).fetchall()
        except sqlite3.DatabaseError:
            log.exception("cannot read")
            raise Unavailable from None
        self._idle_readers.append(reader)
        return rows

    def _take_reader(self) -> sqlite3.Connection:
        try:
            return self._idle_readers.pop()
        except IndexError:
            return _connect_reading(self.path)

    def close(self) -> None:
        """Commits what waits, then closes the connections."""
        self._writer.stop()
        while self._idle_readers:
            self._idle_readers.pop().close()
        self._lock.close()


class Writer:
    """The thread with the only writing connection: it commits what has gathered in one transaction.

    A failed change fails alone, a failed commit fails its whole batch. After a failed
    fsync nobody knows what is on disk: the writer stops for good. `on_broken` is called
    in its thread whenever it has stopped without being told to.
    """

    def __init__(self, connection: sqlite3.Connection, on_broken: Callable[[], None]) -> None:
        self._connection = connection
        self._on_broken = on_broken
        self._queue: queue.SimpleQueue[AnyWrite] = queue.SimpleQueue()
        self._batch: list[AnyWrite] = []
        self._locked = False
        self._stopping = False
        self._ended = False
        self._fault = ""
        self._thread = threading.Thread(target=self._run, name="scoresvc-writer", daemon=True)
        self._thread.start()

    def write(self, change: Change[R, T], row: R) -> T:
        """As `Database.write`."""
        queue_max = LOCKED_QUEUE_MAX if self._locked else QUEUE_MAX
        if self._stopping or self._ended or self._queue.qsize() + len(self._batch) >= queue_max:
            raise Unavailable
        write = _Write(change, row)
        self._queue.put(write)
        if self._ended:  # it may have ended before it could see this one
            self._refuse_all()
        return write.wait()

    def stop(self) -> None:
        """Commits what waits, then closes the connection."""
        self._stopping = True
        self._queue.put(_Write(_change_nothing, None))
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        try:
            while not (self._stopping and self._queue.empty()):
                self._gather()
                self._commit(self._batch)
                self._batch = []
        except BaseException:
            log.critical("the writer has stopped for good", exc_info=True)
        self._ended = True
        self._refuse_all()
        if not self._stopping:
            self._on_broken()

    def _gather(self) -> None:
        """Waits for one change, then takes what else is there."""
        self._batch.append(self._queue.get())
        while len(self._batch) < BATCH_MAX and not self._queue.empty():
            self._batch.append(self._queue.get())

    def _commit(self, batch: list[AnyWrite]) -> None:
        """Makes the changes of a batch in one transaction, then tells each its result."""
        try:
            made = self._make(batch)
        except Exception as error:
            self._run_apart(batch, error)
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._roll_back()
            self._fail_unavailable(batch, error)
            return
        if made:
            self._note_fault("")
        for write in batch:
            write.done.release()

    def _make(self, batch: list[AnyWrite]) -> bool:
        """Makes the changes; while another program holds the database, `batch` shrinks, and at last it is given up."""
        while batch:
            try:
                self._make_at_once(batch)
            except sqlite3.OperationalError as error:
                if self._connection.in_transaction or not _is_busy(error):
                    raise
                self._locked = True
                self._note_fault(str(error))
                self._refuse_late(batch)
            else:
                self._locked = False
                return True
        return False

    def _make_at_once(self, batch: list[AnyWrite]) -> None:
        changes = _by_change(batch)
        if len(changes) > 1 or not isinstance(batch[0].change, OneStatement):
            self._connection.execute("BEGIN IMMEDIATE")
        for change, writes in changes.items():
            results = change(self._connection, [write.row for write in writes])
            for write, result in zip(writes, results, strict=True):
                write.result = result

    def _run_apart(self, batch: list[AnyWrite], error: Exception) -> None:
        """After a change failed: fails it, and runs its neighbours again where the database is well."""
        database_is_well = self._roll_back() or not _is_fault(error)
        if len(batch) == 1 or not database_is_well:
            self._fail(batch, error)
            return
        for write in batch:
            self._commit([write])

    def _roll_back(self) -> bool:
        """Returns False where SQLite had rolled back already, as it does after most faults of the disk."""
        if not self._connection.in_transaction:
            return False
        self._connection.execute("ROLLBACK")
        return True

    def _fail(self, batch: list[AnyWrite], error: Exception) -> None:
        if _is_fault(error):
            self._fail_unavailable(batch, error)
            return
        for write in batch:
            write.fail(error)

    def _fail_unavailable(self, batch: list[AnyWrite], error: Exception) -> None:
        if _fsync_failed(error):
            raise error
        self._note_fault(str(error))
        for write in batch:
            write.fail(Unavailable())

    def _refuse_late(self, batch: list[AnyWrite]) -> None:
        while not self._queue.empty():
            batch.append(self._queue.get())
        since = time.monotonic() - LOCKED_WAIT
        kept = [write for write in batch if write.queued_at > since][:LOCKED_QUEUE_MAX]
        for write in batch:
            if write not in kept:
                write.fail(Unavailable())
        batch[:] = kept

    def _refuse_all(self) -> None:
        while not self._queue.empty():
            self._batch.append(self._queue.get())
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


class _Write(Generic[R, T]):
    """A change on its way through the writer, and what came of it."""

    __slots__ = ("change", "done", "error", "queued_at", "result", "row")

    def __init__(self, change: Change[R, T], row: R) -> None:
        self.change = change
        self.row = row
        self.done = threading.Lock()
        self.done.acquire()
        self.error: BaseException | None = None
        self.queued_at = time.monotonic()
        self.result: T

    def fail(self, error: Exception) -> None:
        if self.done.locked():
            self.error = error
            self.done.release()

    def wait(self) -> T:
        self.done.acquire()
        if self.error is not None:
            raise self.error
        return self.result


AnyWrite = _Write[Any, Any]


def _change_nothing(connection: sqlite3.Connection, rows: list[None]) -> list[None]:
    return rows


def _by_change(batch: list[AnyWrite]) -> dict[Change[Any, Any], list[AnyWrite]]:
    """What is in one batch came at the same time: its changes may be made in any order."""
    writes: dict[Change[Any, Any], list[AnyWrite]] = {}
    for write in batch:
        writes.setdefault(write.change, []).append(write)
    return writes


def _is_fault(error: Exception) -> bool:
    """Tells what the database did from what a change did wrong."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _is_busy(error: sqlite3.OperationalError) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF == SQLITE_BUSY if code is not None else "locked" in str(error)


def _fsync_failed(error: Exception) -> bool:
    """Python 3.10 and pysqlite3 do not tell the faults of the disk apart: there each of them counts."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error) == "disk I/O error"
    return code in (SQLITE_IOERR, SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC)


def _connect_writing(path: Path, durability: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=OPEN_WAIT, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (*OPENING, SYNCHRONOUS[durability]):
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect_reading(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=LOCKED_WAIT, isolation_level=None, check_same_thread=False)


def _lock_beside(path: Path) -> IO[bytes]:
    """Tells other processes that this one writes, for as long as the file that it returns is open.

    The lock is on a file of its own: opening the database itself would drop SQLite's locks.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock = lock_path.open("ab")
    except OSError as error:
        raise StartError(f"cannot open the database {path}: {error.strerror}") from None
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if bears_several_writers() else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StartError(
            f"another process writes to {path}, and SQLite {SQLITE_VERSION} cannot bear two;"
            " stop the other one, or install scoresvc[sqlite] for both"
        ) from None
    return lock
