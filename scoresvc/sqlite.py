"""Which SQLite there is, what it can do, and what its errors mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3 as sqlite3
else:
    try:
        import pysqlite3 as sqlite3
    except ImportError:
        import sqlite3

# Result codes: https://sqlite.org/rescode.html
SQLITE_BUSY = 5
SQLITE_IOERR = 10
SQLITE_IOERR_FSYNC = 1034
SQLITE_IOERR_DIR_FSYNC = 1290

# https://sqlite.org/wal.html#walresetbug: before these, two writing connections can corrupt a database.
SEVERAL_WRITERS_SINCE = (3, 51, 3)
SEVERAL_WRITERS_BACKPORTS = ((3, 44, 6), (3, 50, 7))

OLDEST = (3, 37, 0)  # the first with STRICT tables
SQLITE_VERSION = sqlite3.sqlite_version


def bears_several_writers(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Tells whether several processes may write to one database with this SQLite."""
    backported = any(version[:2] == good[:2] and version >= good for good in SEVERAL_WRITERS_BACKPORTS)
    return backported or version >= SEVERAL_WRITERS_SINCE


def is_fault(error: Exception) -> bool:
    """Tells what the database did from what a change did wrong."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def is_busy(error: sqlite3.OperationalError) -> bool:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF == SQLITE_BUSY if code is not None else "locked" in str(error)


def fsync_failed(error: Exception) -> bool:
    """Python 3.10 and pysqlite3 do not tell the faults of the disk apart: there each of them counts."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error) == "disk I/O error"
    return code in (SQLITE_IOERR, SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC)
