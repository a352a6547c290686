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

# Primary result codes: https://sqlite.org/rescode.html
SQLITE_BUSY = 5
SQLITE_IOERR = 10
SQLITE_IOERR_FSYNC = 1034
SQLITE_IOERR_DIR_FSYNC = 1290

# What the database, its file or the system did: with a healthy one the same statement would have worked. All
# others, SQLITE_ERROR and SQLITE_CONSTRAINT among them, are about the statement or its values.
FAULTS = {
    SQLITE_BUSY: "database is locked",
    6: "database table is locked",
    7: "out of memory",
    8: "attempt to write a readonly database",
    9: "interrupted",
    SQLITE_IOERR: "disk I/O error",
    11: "database disk image is malformed",
    13: "database or disk is full",
    14: "unable to open database file",
    15: "locking protocol",
    22: "large file support is disabled",
    23: "authorization denied",
    26: "file is not a database",
}
MALFORMED_SCHEMA = "malformed database schema"  # how a message of SQLITE_CORRUPT may begin, too

# https://sqlite.org/wal.html#walresetbug: before these, two writing connections can corrupt a database.
MULTIPLE_WRITERS_SINCE = (3, 51, 3)
MULTIPLE_WRITERS_BACKPORTS = ((3, 44, 6), (3, 50, 7))

OLDEST = (3, 37, 0)  # the first with STRICT tables
SQLITE_VERSION = sqlite3.sqlite_version


def supports_multiple_writers(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Returns whether several processes may write to one database with this SQLite."""
    backported = any(version[:2] == fixed[:2] and version >= fixed for fixed in MULTIPLE_WRITERS_BACKPORTS)
    return backported or version >= MULTIPLE_WRITERS_SINCE


def is_fault(error: BaseException) -> bool:
    """Returns whether it is a fault of the database rather than a bug in a statement.

    Python 3.10 and pysqlite3 give no codes; there the fixed messages of SQLite are compared.
    """
    if not isinstance(error, sqlite3.DatabaseError):
        return False
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error) in FAULTS.values() or str(error).startswith(MALFORMED_SCHEMA)
    return code & 0xFF in FAULTS


def is_busy(error: BaseException) -> bool:
    """Returns whether another program holds the database."""
    if not isinstance(error, sqlite3.OperationalError):
        return False
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF == SQLITE_BUSY if code is not None else "locked" in str(error)


def fsync_failed(error: BaseException) -> bool:
    """Python 3.10 and pysqlite3 do not tell the faults of the disk apart: there each of them counts."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error) == FAULTS[SQLITE_IOERR]
    return code in (SQLITE_IOERR, SQLITE_IOERR_FSYNC, SQLITE_IOERR_DIR_FSYNC)
