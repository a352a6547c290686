"""Whole copies of a database: each is made beside the place where it belongs, and appears there at once or not at all.

Theory of operation. `copy_database` reads one snapshot through a connection that cannot write: the open transaction
keeps SQLite's backup interface from starting again whenever somebody commits, and keeps the write-ahead log from being
reset, so the log grows by what is posted meanwhile. It copies a few pages at a time, flushes them, and rests longer
than that took: else the one fsync of the whole file would hold up the commits of the service, as the check of the copy
would without `low_priority`. The copy has no log of its own (journal_mode DELETE): it is the one file, wherever it is
moved.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from scoresvc.errors import StartError
from scoresvc.levels import LevelOptions
from scoresvc.storage.sqlite.check import find_faults
from scoresvc.storage.sqlite.connections import connect_reading
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.marks import CLOSED, MAGIC
from scoresvc.storage.sqlite.migrate import newest_version

PAGES_AT_ONCE = 64  # 256 KB
REST = 3.0  # times as long as the pages took

NICENESS = 15  # of 19


@contextmanager
def low_priority() -> Iterator[None]:
    """Has this thread give way to all others that have something to do, where the system can (Linux)."""
    thread, before = threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, max(before, NICENESS))
    try:
        yield
    finally:
        with suppress(OSError):  # most may not take it back
            os.setpriority(os.PRIO_PROCESS, thread, before)


def copy_database(source: Path, part: Path, on_pages: Callable[[int, int], object]) -> None:
    """Copies a database as it is now; calls `on_pages` with the pages that are left and all there are, often.

    Raises StartError where it is none of scoresvc, sqlite3.Error, OSError, and what `on_pages` raises.
    """
    descriptor = os.open(part, os.O_RDWR | os.O_CLOEXEC)
    began = time.monotonic()

    def rest(status: int, left: int, total: int) -> None:
        nonlocal began
        os.fdatasync(descriptor)
        on_pages(left, total)
        time.sleep((time.monotonic() - began) * REST)
        began = time.monotonic()

    try:
        with closing(connect_reading(source)) as reader, closing(_connect(part)) as copy:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # the snapshot is of this moment
            reader.backup(copy, pages=PAGES_AT_ONCE, progress=rest)
            reader.execute("ROLLBACK")
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute(f"PRAGMA application_id = {CLOSED}")
            ((version,),) = copy.execute("PRAGMA user_version").fetchall()
    finally:
        os.close(descriptor)
    if version == 0:
        raise StartError(f"{source} is no database of scoresvc")


def _connect(part: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(part, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")  # it is flushed while it is written, and at the end
    return connection


def refuse_faults(part: Path, source: Path, options: LevelOptions) -> None:
    """Raises StartError where a copy of `source` has a fault."""
    for fault in _find_faults(part, options):
        raise StartError(f"{source} has faults, which `scoresvc check` lists; the first is: {fault}")


def _find_faults(part: Path, options: LevelOptions) -> Iterator[str]:
    """Of a database of another version, as one is that is backed up before it is migrated, it checks less."""
    with closing(connect_reading(part)) as connection:
        ((version,),) = connection.execute("PRAGMA user_version").fetchall()
        if version != newest_version():
            rows = connection.execute("PRAGMA integrity_check").fetchall()
            yield from (text for (text,) in rows if text != "ok")
            return
    yield from find_faults(part, options)


def is_database(path: Path) -> bool:
    """Returns whether a file begins as one of SQLite does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
