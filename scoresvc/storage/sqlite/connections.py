"""The connections to one SQLite file in WAL mode: any number of readers, one writer."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import quote

from scoresvc.errors import StartError, Unavailable
from scoresvc.storage.sqlite.library import OLDEST, SQLITE_VERSION, is_fault, sqlite3, supports_multiple_writers
from scoresvc.storage.sqlite.lock import FairLock
from scoresvc.storage.sqlite.transactions import Change, Transactions
from scoresvc.storage.sqlite.writer import LOCKED_TIMEOUT, Writer
from scoresvc.storage.write import Write

R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")

OPEN_TIMEOUT = 5.0  # seconds that the start waits for another program
LAST_RESPONSES_WAIT = 0.5  # seconds for the last responses to leave before a broken process ends

OPENING = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA journal_size_limit = 4194304",
    "PRAGMA busy_timeout = 100",
)
SYNCHRONOUS = {
    "full": "PRAGMA synchronous = FULL",
    "process": "PRAGMA synchronous = NORMAL",  # intact after a power cut, but without its last commits
}

log = logging.getLogger("scoresvc.database")


def end_process() -> None:
    """Ends this process with status 1, so that its supervisor starts a new one."""
    try:
        time.sleep(LAST_RESPONSES_WAIT)
        logging.shutdown()
    finally:
        os._exit(1)


class Connections:
    """The file at `path` is made where there is none, its folder is not.

    `durability` is "full" (a commit survives a power cut) or "process" (it survives the
    death of the process only). Where several `processes` write, a fair lock orders them.
    `on_broken` is called in the writer's thread when that has stopped for good.

    Raises StartError where the file cannot be opened, or another process writes to it
    and this SQLite does not support two.
    """

    def __init__(
        self, path: Path, durability: str = "full", processes: int = 1, on_broken: Callable[[], None] = end_process
    ) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise StartError(f"SQLite {SQLITE_VERSION} is too old; install scoresvc[sqlite]")
        self.path = path.resolve()  # there must be one lock, whatever links lead here
        self._lock_file = _lock_beside(self.path)
        try:
            connection = _connect_writing(self.path, durability)
        except sqlite3.Error as error:
            self._lock_file.close()
            raise StartError(f"cannot open the database {self.path}: {error}") from None
        self._file = self.path.stat()
        lock = FairLock(self._lock_file.fileno()) if processes > 1 else nullcontext()
        self._writer = Writer(Transactions(connection, self._is_in_place), lock, on_broken)
        self._idle_readers: deque[sqlite3.Connection] = deque()

    def write(self, change: Change[R, T], row: R) -> T:
        """Makes `change` for `row` in a transaction; returns its result once that is committed.

        Rows that gather for the same change are handed to it together. Raises
        Unavailable where the database cannot take it now, and what `change` raises.
        """
        return self.begin(change, row, lambda output: output).result()

    def begin(self, change: Change[R, T], row: R, after_commit: Callable[[T], U]) -> Write[U]:
        """Begins what `write` does; the result is what `after_commit` makes of it, see `Write`.

        Raises Unavailable where no more writes may wait.
        """
        return self._writer.begin(change, row, after_commit)

    def read(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        """Returns all rows of one query. Raises Unavailable where the database cannot be read."""
        with self._reader() as reader:
            # All rows at once: an unfinished cursor would keep the write-ahead log from being reset.
            return reader.execute(sql, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Lends a reader whose queries all see the same commits. Raises Unavailable as `read` does."""
        with self._reader() as reader:
            reader.execute("BEGIN")
            yield reader
            reader.execute("ROLLBACK")

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Lends a reader, which is closed after any error: what state it is in, nobody knows."""
        reader = None
        try:
            reader = self._take_reader()
            yield reader
        except BaseException as error:
            if reader:
                reader.close()
            if not is_fault(error):
                raise
            log.exception("cannot read")
            raise Unavailable from None
        self._idle_readers.append(reader)

    def _take_reader(self) -> sqlite3.Connection:
        try:
            return self._idle_readers.pop()
        except IndexError:
            return connect_reading(self.path)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), self._file)
        except OSError:
            return False

    def close(self) -> None:
        """Commits what waits, then closes the connections."""
        while self._idle_readers:
            self._idle_readers.pop().close()
        self._writer.stop()  # last: only a writing connection leaves no write-ahead log behind
        self._lock_file.close()


def _connect_writing(path: Path, durability: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=OPEN_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (*OPENING, SYNCHRONOUS[durability]):
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """Returns a connection that cannot write, to a database that exists."""
    uri = f"file:{quote(str(path))}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=LOCKED_TIMEOUT, isolation_level=None, check_same_thread=False)


def _lock_beside(path: Path) -> IO[bytes]:
    """Opens a file whose lock shows other processes that this one writes, until it is closed.

    The lock is on a file of its own: opening the database itself would drop SQLite's locks.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        lock_file = lock_path.open("ab")
    except OSError as error:
        raise StartError(f"cannot open the database {path}: {error.strerror}") from None
    try:
        fcntl.flock(lock_file, (fcntl.LOCK_SH if supports_multiple_writers() else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        lock_file.close()
        raise StartError(
            f"another process writes to {path}, and SQLite {SQLITE_VERSION} does not support two;"
            " stop the other one, or install scoresvc[sqlite] for both"
        ) from None
    return lock_file
