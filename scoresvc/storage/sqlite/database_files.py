"""Whether the files of a database that is open to write are still those that were opened."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path

from scoresvc.storage.sqlite.database_lock import DatabaseLock
from scoresvc.storage.sqlite.foreign_logs import refuse_foreign_log
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.marks import CLOSED, MarkRecord, is_same_log, make_mark, read_header, read_salt
from scoresvc.storage.sqlite.placing import beside, has_name

HOLD_INTERVAL = 0.1  # seconds between two looks at the lock


class FileChange(Enum):
    """What has happened to the files of a database that is open."""

    MOVED = "was moved, replaced or deleted"
    OVERWRITTEN = "was written over by another program"
    LOG_MOVED = "has lost its log, which was moved, replaced or deleted"
    LOG_OVERWRITTEN = "has lost its log, which was written over by another program"
    LOCK_TAKEN = "has lost its lock, which was deleted, and another process writes to it"


class DatabaseFiles:
    """The files of the database at `path`, locked until they are closed.

    Raises StartError, see DatabaseLock and `refuse_foreign_log`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_path = beside(path, "-wal")
        self.is_closed = False
        self._lock = DatabaseLock(path)
        self._file: int | None = None
        self._log: int | None = None
        self._file_found: os.stat_result | None = None
        self._log_found: os.stat_result | None = None
        self._names = os.fspath(path), os.fspath(self.log_path)
        self._mark = self._salt = self._changes = 0
        self._hold_at = 0.0  # of time.monotonic, when to look at the lock again
        try:
            with suppress(FileNotFoundError):
                self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            refuse_foreign_log(path, self._file, self._lock.read_record())
        except BaseException:
            self.close()
            raise

    def open(self) -> None:
        """To be called when SQLite has opened the database, and before it writes."""
        if self._file is None:
            self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._file_found = os.fstat(self._file)
        if self._lock.is_alone():
            self._lock.write_record(None)

    def mark(self, connection: sqlite3.Connection) -> None:
        """Makes the files known by their marks, unless another program keeps that from being written just now."""
        assert self._file is not None
        if self._lock.is_alone():
            self._mark_afresh(connection, self._file)
            return
        header, record = read_header(self._file), self._lock.read_record()
        if header and record and header.mark in record.marks:
            self._watch(header.mark, record.salt)

    def _mark_afresh(self, connection: sqlite3.Connection, file: int) -> None:
        mark = make_mark()
        connection.execute(f"PRAGMA application_id = {mark}")
        salt = read_salt(self.log_path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        header = read_header(file)
        if header and header.mark == mark and salt is not None:
            self._lock.write_record(MarkRecord((mark,), salt))
            self._watch(mark, salt)

    def _watch(self, mark: int, salt: int) -> None:
        self._log = os.open(self.log_path, os.O_RDONLY | os.O_CLOEXEC)
        self._log_found = os.fstat(self._log)
        self._mark, self._salt = mark, salt

    def find_change(self) -> FileChange | None:
        """Returns what has happened to the files since they were opened.

        The writer asks after each of its commits: it takes 8 us.
        """
        assert self._file is not None
        assert self._file_found is not None
        name, log_name = self._names
        if not has_name(self._file_found, name):
            return FileChange.MOVED
        if time.monotonic() > self._hold_at:
            self._hold_at = time.monotonic() + HOLD_INTERVAL
            if not self._lock.hold():
                return FileChange.LOCK_TAKEN
        if self._log is None or self._log_found is None:
            return None
        header = read_header(self._file)
        if not header or not header.is_wal or header.mark != self._mark or header.changes < self._changes:
            return FileChange.OVERWRITTEN
        self._changes = header.changes
        if not has_name(self._log_found, log_name):
            return FileChange.LOG_MOVED
        salt = read_salt(self._log)
        return None if salt is None or is_same_log(salt, self._salt) else FileChange.LOG_OVERWRITTEN

    def has_name(self) -> bool:
        """Returns whether the database still has a name somewhere, as it has not after it was deleted."""
        assert self._file is not None
        return os.fstat(self._file).st_nlink > 0

    def find_name(self) -> str:
        """Returns where the database is now, as far as the system tells (Linux)."""
        try:
            return os.readlink(f"/proc/self/fd/{self._file}")
        except OSError:
            return "where it is now"

    def has_log(self) -> bool:
        """Returns whether the log that was opened is still beside the database."""
        return self._log_found is not None and has_name(self._log_found, self._names[1])

    def unmark(self, connection: sqlite3.Connection) -> None:
        """To be called before the last connection closes: a database that is closed needs no log."""
        if self._log is None or not self._lock.is_alone():
            return
        with suppress(sqlite3.Error, OSError):  # it can be opened with the mark as well
            salt = read_salt(self._log)
            self._lock.write_record(MarkRecord((self._mark, CLOSED), self._salt if salt is None else salt))
            connection.execute(f"PRAGMA application_id = {CLOSED}")

    def close(self) -> None:
        """To be called after all connections of this process are closed."""
        self.is_closed = True
        for descriptor in (self._file, self._log):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._log = None
        self._lock.close()
