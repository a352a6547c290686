"""Refuses a database whose log is missing, or beside which there is the log of another one."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from scoresvc.errors import StartError
from scoresvc.storage.sqlite.marks import CLOSED, FileHeader, MarkRecord, is_same_log, read_header, read_salt
from scoresvc.storage.sqlite.placing import beside

SHM_DEAD_MAN_SWITCH = 128  # the byte of -shm that each process has locked which has the database open

log = logging.getLogger("scoresvc.database")


def refuse_foreign_log(path: Path, file: int | None, record: MarkRecord | None) -> None:
    """To be called before SQLite opens the database, whose descriptor is `file`, None where there is none.

    `record` is what the lock file says. Raises StartError with the line that says what to do.
    """
    header = None if file is None else read_header(file)
    log_path = beside(path, "-wal")
    salt = read_salt(log_path)
    if salt is None:
        if file is not None and header and header.mark != CLOSED and header.is_wal and not log_path.exists():
            _report_missing_log(path, file)
        return
    is_empty = file is None or os.fstat(file).st_size == 0
    reason = _orphan() if is_empty else _find_reason(header, record, salt)
    if reason and not _is_open_elsewhere(path):
        raise StartError(f"{log_path} is not the log of {path}: {reason}")


def _orphan() -> str:
    return (
        "its database was moved or deleted. Put that back beside it, or move the log away to begin with an empty"
        " database"
    )


def _find_reason(header: FileHeader | None, record: MarkRecord | None, salt: int) -> str:
    if header and (not header.is_wal or (record and header.mark not in record.marks)):
        return (
            "the database was replaced while its log was still there. Put the former one back, or move the log away to"
            " go on with the one that is there"
        )
    if record and not is_same_log(salt, record.salt):
        return "it belongs to another database. Move it away, or put the right one in its place"
    return ""


def _report_missing_log(path: Path, file: int) -> None:
    if os.fstat(file).st_nlink > 1:
        raise StartError(
            f"{path} is a second name of a database whose log is beside the first one; open it by that name, or copy"
            " it with scoresvc backup"
        )
    log.warning(
        "%s was copied or moved without its log while a service had it open: the latest scores may be missing", path
    )


def _is_open_elsewhere(path: Path) -> bool:
    """Returns whether a process that lives has the database open, so that its log is the one that SQLite uses.

    Only where this process has not opened it yet: the locks of SQLite end with the descriptor that is closed here.
    """
    try:
        with beside(path, "-shm").open("rb+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, SHM_DEAD_MAN_SWITCH)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
