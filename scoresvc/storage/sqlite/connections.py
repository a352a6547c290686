"""The connections to one SQLite file in WAL mode: one that writes, any number that read."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scoresvc.errors import StartError, Unavailable
from scoresvc.storage.sqlite.database_files import DatabaseFiles
from scoresvc.storage.sqlite.library import OLDEST, SQLITE_VERSION, is_fault, sqlite3
from scoresvc.storage.sqlite.rescuing import FilesChanged, rescue

OPEN_TIMEOUT = 5.0  # seconds that the start waits for another program
READ_TIMEOUT = 2.0  # seconds that a reader waits for another program

# A checkpoint writes each page once, however many commits changed it, and syncs twice: with 8,000 pages of log instead
# of SQLite's 1,000 there are a tenth to a quarter more posts, and no longer ones. The log takes 33 MB, which a start
# after a kill reads in 0.2 s. The limit is above what a batch can add, or the file would be cut and grown each time.
OPENING = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA wal_autocheckpoint = 8000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -65536",  # KiB, at most
    "PRAGMA secure_delete = ON",  # a user who is erased is in no page that was freed before either
)
SYNCHRONOUS = {
    "full": "PRAGMA synchronous = FULL",
    "process": "PRAGMA synchronous = NORMAL",  # intact after a power cut, but without its last commits
}

log = logging.getLogger("scoresvc.database")


class WritingConnection:
    """The one connection that writes; the file at `path` is made where there is none, its folder is not.

    `durability` is "full" (a commit survives a power cut) or "process" (it survives the
    death of the process only). May be used in another thread than the one that opens it.

    Raises StartError where the file cannot be opened, or another process writes to it
    and this SQLite does not support two.
    """

    def __init__(self, path: Path, durability: str = "full") -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            raise StartError(f"SQLite {SQLITE_VERSION} is too old; install scoresvc[sqlite]")
        self.path = path.resolve()  # there must be one lock, whatever links lead here
        self._files = DatabaseFiles(self.path)
        try:
            self.connection = _connect(self.path, durability)
            self._files.open()
        except (sqlite3.Error, OSError) as error:
            self._files.close()
            raise StartError(f"cannot open the database {self.path}: {error}") from None

    def verify_files(self) -> None:
        """Raises FilesChanged where the files are not those that were opened; what can be saved has been then.

        Only outside of a transaction.
        """
        if change := self._files.find_change():
            raise rescue(self._files, self.connection, change)

    def prepare_for_writer(self) -> None:
        """Marks the database, which is up to date. A writer itself tries again while another program holds it.

        A statement in a transaction notes how to undo it, in a temporary file: a quarter of a batch is spent on that.
        """
        try:
            self._files.mark(self.connection)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StartError(f"cannot write to the database {self.path}: {error}") from None
        self.connection.execute("PRAGMA busy_timeout = 100")
        self.connection.execute("PRAGMA temp_store = MEMORY")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commits what is done in a `with` block, or nothing of it. Raises StartError where the database is at fault.

        For what happens before or without the writer.
        """
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            if is_fault(error):
                raise StartError(f"cannot write to the database {self.path}: {error}") from None
            raise

    def close(self) -> None:
        """To be called after all other connections of this process are closed."""
        if self._files.is_closed:
            return
        try:
            self.verify_files()
            self._files.unmark(self.connection)
        except FilesChanged as error:
            log.critical("%s", error)
        self.connection.close()
        self._files.close()


class Readers:
    """Connections that cannot write to the database at `path`, which exists; for any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()

    def read(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        """Returns all rows of one query. Raises Unavailable where the database cannot be read."""
        with self._connection() as connection:
            # All rows at once: an unfinished cursor would keep the write-ahead log from being reset.
            return connection.execute(sql, values).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Lends a connection whose queries all see the same commits. Raises Unavailable as `read` does."""
        with self._connection() as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("ROLLBACK")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Lends a connection, which is closed after any error: what state it is in, nobody knows."""
        connection = None
        try:
            connection = self._take()
            yield connection
        except BaseException as error:
            if connection:
                connection.close()
            if not is_fault(error):
                raise
            log.exception("cannot read")
            raise Unavailable from None
        self._idle.append(connection)

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return connect_reading(self._path)

    def close(self) -> None:
        """Closes those that nobody uses."""
        while self._idle:
            self._idle.pop().close()


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=OPEN_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        ((mode,),) = connection.execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != "wal":  # after a fault of the disk it says so instead of raising
            raise sqlite3.OperationalError(f"its journal mode stays {mode}")
        for pragma in (*OPENING, SYNCHRONOUS[durability]):
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """Returns a connection that cannot write, to a database that exists."""
    uri = f"file:{quote(str(path))}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=READ_TIMEOUT, isolation_level=None, check_same_thread=False)
