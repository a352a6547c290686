"""Marks by which a database and its log are told from others that somebody has put in their place.

Theory of operation. Each time that a writer opens a database which nobody else has open, it writes a random mark into
the header of the file (`PRAGMA application_id`), and a record of it into `<database>.lock`, with the first salt of the
log: SQLite draws that at random for a new log, and adds one whenever it begins the log again. So a copy that was made
in another run has another mark, and another's log a salt that is far away. A database that was closed has the mark 0.
The change counter in the header rises with each change of the header, so an older copy of the same run is known by it,
unless nothing in the header has changed since; and all copies by SQLite's backup interface, by VACUUM INTO and by
`scoresvc backup` are in no WAL mode.

SQLite itself has no such check: a log beside another database is applied to it, which ruins both
(https://sqlite.org/howtocorrupt.html, 1.4).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import NamedTuple

# https://sqlite.org/fileformat2.html, 1.3: the header of a database, big-endian.
MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
IS_WAL = b"\x02\x02"  # the versions of the format for writing and for reading

# 4.1: the header of a log.
LOG_HEADER_BYTES = 32
SALT_STEPS_MAX = 1 << 20  # times that a log begins again in one run, at most: that many logs are 33 TB

CLOSED = 0
_MARKS = 1 << 31


class FileHeader(NamedTuple):
    """What the header of a database says."""

    is_wal: bool
    mark: int
    changes: int


class MarkRecord(NamedTuple):
    """What a lock file says of the database and of its log."""

    marks: tuple[int, ...]  # of the database: one of them
    salt: int

    def write(self) -> bytes:
        return f"marks {' '.join(f'{mark:08x}' for mark in self.marks)} salt {self.salt:08x}\n".encode()


def make_mark() -> int:
    return 1 + secrets.randbelow(_MARKS - 1)


def read_header(descriptor: int) -> FileHeader | None:
    """Returns None where the file is no database."""
    header = os.pread(descriptor, HEADER_BYTES, 0)
    if len(header) < HEADER_BYTES or not header.startswith(MAGIC):
        return None
    return FileHeader(
        header[18:20] == IS_WAL, int.from_bytes(header[68:72], "big"), int.from_bytes(header[24:28], "big")
    )


def read_salt(log: Path | int) -> int | None:
    """Returns the first salt of a log, by its path or descriptor; None where it is empty or not there."""
    if isinstance(log, Path):
        try:
            with log.open("rb") as file:
                return read_salt(file.fileno())
        except FileNotFoundError:
            return None
    header = os.pread(log, LOG_HEADER_BYTES, 0)
    return int.from_bytes(header[16:20], "big") if len(header) == LOG_HEADER_BYTES else None


def is_same_log(salt: int, earlier: int) -> bool:
    """Returns whether a log with one salt can be what has become of the log with the other."""
    return (salt - earlier) % (1 << 32) < SALT_STEPS_MAX


def read_record(text: bytes) -> MarkRecord | None:
    """Returns what `MarkRecord.write` wrote; None where there is no record, or one of another version."""
    match text.split():
        case [b"marks", *marks, b"salt", salt]:
            try:
                return MarkRecord(tuple(int(mark, 16) for mark in marks), int(salt, 16))
            except ValueError:
                return None
    return None
