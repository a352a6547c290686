"""Saves what was acknowledged when the files of a database were taken from under its writer.

Theory of operation. The writer's descriptors still lead to the files that it opened, wherever they are now. A database
that was moved is made whole by a checkpoint, since its log stays behind; one that was deleted or replaced is written to
a new file. A log that was moved or deleted is read to its end by a checkpoint as well. Where another program has
written over either of the two, a checkpoint would mix them: then nothing is written, and the log is moved away, or left
for the next start to refuse. In each case no log stays beside a database that it does not belong to.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from scoresvc.storage.sqlite.database_files import DatabaseFiles, FileChange
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.marks import CLOSED
from scoresvc.storage.sqlite.placing import beside, name_aside, part_beside, put_in_place, unlink_beside

CHECKPOINT_WAIT = 2000  # milliseconds, for those who read


class FilesChanged(Exception):
    """The files of a database are not those that were opened; says what happened and what has been saved."""


def rescue(files: DatabaseFiles, connection: sqlite3.Connection, change: FileChange) -> FilesChanged:
    """Saves what can be saved, with the writer's connection, which is in no transaction and not to be used again."""
    try:
        saved = RESCUES[change](files, connection)
    except (sqlite3.Error, OSError) as error:
        saved = f"what was acknowledged could not be saved: {error}"
    return FilesChanged(f"the database {files.path} {change.value}; {saved}")


def _rescue_database(files: DatabaseFiles, connection: sqlite3.Connection) -> str:
    is_whole = _checkpoint(connection)
    if files.has_log():
        unlink_beside(files.path, "-wal", "-shm")  # before another database may come in between
    if is_whole and files.has_name():
        return f"it is whole: {files.find_name()}"
    target = name_aside(files.path) if files.path.exists() else files.path
    _copy(connection, target)
    return f"all of it is in {target}"


def _checkpoint(connection: sqlite3.Connection) -> bool:
    """Returns whether all of the log is in the database."""
    connection.execute(f"PRAGMA busy_timeout = {CHECKPOINT_WAIT}")
    connection.execute(f"PRAGMA application_id = {CLOSED}")
    ((_, pages, checkpointed),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return bool(pages == checkpointed)


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    with part_beside(target) as part:
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            connection.backup(copy)
        put_in_place(part, target)


def _rescue_log(files: DatabaseFiles, connection: sqlite3.Connection) -> str:
    if not _checkpoint(connection):
        target = name_aside(files.path)
        _copy(connection, target)
        return f"all of it is in {target}"
    _move_log_aside(files.path)
    return "all that was in the log is in the database"


def _move_log_aside(path: Path) -> Path:
    aside = beside(name_aside(path), "-wal")
    if beside(path, "-wal").exists():
        beside(path, "-wal").rename(aside)
    unlink_beside(path, "-shm")
    return aside


def _set_log_aside(files: DatabaseFiles, connection: sqlite3.Connection) -> str:
    return f"what its log still held is in {_move_log_aside(files.path)}"


def _save_nothing(files: DatabaseFiles, connection: sqlite3.Connection) -> str:
    return (
        f"what was acknowledged since the last checkpoint is lost. Move {files.log_path} away to go on with what"
        " the database holds"
    )


def _leave(files: DatabaseFiles, connection: sqlite3.Connection) -> str:
    return "all that was acknowledged is in it"


RESCUES: dict[FileChange, Callable[[DatabaseFiles, sqlite3.Connection], str]] = {
    FileChange.MOVED: _rescue_database,
    FileChange.OVERWRITTEN: _set_log_aside,
    FileChange.LOG_MOVED: _rescue_log,
    FileChange.LOG_OVERWRITTEN: _save_nothing,
    FileChange.LOCK_TAKEN: _leave,
}
