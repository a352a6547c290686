"""The lock beside a database, which shows other processes that this one writes to it."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from scoresvc.errors import StartError
from scoresvc.storage.sqlite.library import SQLITE_VERSION, supports_multiple_writers
from scoresvc.storage.sqlite.marks import MarkRecord, read_record
from scoresvc.storage.sqlite.placing import beside, has_name

LOCK_WAIT = 1.0  # seconds, for a process that opens or closes the database just now


class DatabaseLock:
    """Locks the database at `path` until it is closed; its file also has the record of the marks.

    It is a file of its own: SQLite's locks on the database end when any descriptor of it is closed. Raises StartError
    where another process writes to the database, and this SQLite does not support two.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kind = fcntl.LOCK_SH if supports_multiple_writers() else fcntl.LOCK_EX
        self._file = _open_lock(path)
        self._found, self._name = os.fstat(self._file.fileno()), os.fspath(beside(path, ".lock"))
        try:
            self._lock()
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        until = time.monotonic() + LOCK_WAIT
        while not _try_lock(self._file, self._kind):
            if self._kind == fcntl.LOCK_EX or time.monotonic() > until:
                raise StartError(
                    f"another process writes to {self._path}, and SQLite {SQLITE_VERSION} does not support two;"
                    " stop the other one, or install scoresvc[sqlite] for both"
                )
            time.sleep(0.01)

    def is_alone(self) -> bool:
        """Returns whether no other process has locked the database."""
        if self._kind == fcntl.LOCK_EX:
            return True
        is_alone = _try_lock(self._file, fcntl.LOCK_EX)
        fcntl.flock(self._file, fcntl.LOCK_SH)  # the attempt has given it up
        return is_alone

    def hold(self) -> bool:
        """Makes the lock again where somebody has deleted it; returns False where another process was faster."""
        if has_name(self._found, self._name):
            return True
        record = self._read()
        self._file.close()
        self._file = _open_lock(self._path)
        self._found = os.fstat(self._file.fileno())
        if not _try_lock(self._file, self._kind):
            return False
        if self.is_alone():
            self._write(record)
        return True

    def read_record(self) -> MarkRecord | None:
        return read_record(self._read())

    def write_record(self, record: MarkRecord | None) -> None:
        self._write(record.write() if record else b"")

    def _read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()

    def _write(self, record: bytes) -> None:
        if record != self._read():
            self._file.truncate(0)
            self._file.write(record)
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def lock_alone(path: Path) -> IO[bytes]:
    """Keeps every process from writing to a database until the file that is returned is closed.

    Raises StartError where one has it open.
    """
    lock_file = _open_lock(path)
    if not _try_lock(lock_file, fcntl.LOCK_EX):
        lock_file.close()
        raise StartError(f"a service, or a command, has {path} open; stop it first")
    return lock_file


def _open_lock(path: Path) -> IO[bytes]:
    try:
        return beside(path, ".lock").open("ab+")
    except OSError as error:
        raise StartError(f"cannot open the database {path}: {error.strerror}") from None


def _try_lock(lock_file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(lock_file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
