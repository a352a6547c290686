"""Puts a backup in the place of a database that nobody serves.

Theory of operation. All is done under the lock that every process holds which writes to the database, alone: no service
runs meanwhile, and none can start. The backup is copied beside the database, brought up to date and checked there. Then
the present database is checkpointed, so that it is one file, and gets a second name; the rename of the copy over the
first name is the one moment at which the new database takes the place of the old one. What else belongs to the old one,
its log above all, is gone before that moment.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from scoresvc.errors import StartError
from scoresvc.levels import LevelOptions
from scoresvc.storage.sqlite import migrate
from scoresvc.storage.sqlite.connections import WritingConnection
from scoresvc.storage.sqlite.database_lock import lock_alone
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.placing import (
    SUFFIXES,
    beside,
    name_aside,
    part_beside,
    put_in_place,
    sync,
    unlink_beside,
)
from scoresvc.storage.sqlite.whole_files import copy_database, is_database, refuse_faults

CACHES = (".changes", ".metrics")  # of the processes that served the old database


def restore(path: Path, backup: Path, options: LevelOptions, on_pages: Callable[[int, int], object]) -> Path | None:
    """Puts `backup` in the place of the database at `path`; returns where that one is now, None where there was none.

    Raises StartError; then the database is as it was.
    """
    path = path.resolve()
    if not backup.is_file():
        raise StartError(f"there is no backup {backup}")
    if path.exists() and backup.samefile(path):
        raise StartError(f"{backup} is the database itself; name a backup")
    try:
        with closing(lock_alone(path)), part_beside(path) as part:
            copy_database(backup, part, on_pages)
            _bring_up_to_date(part, backup)
            refuse_faults(part, backup, options)
            sync(part)
            aside = _move_aside(path)
            put_in_place(part, path)
    except (sqlite3.Error, OSError) as error:
        raise StartError(f"cannot restore {backup} to {path}: {error}") from None
    return aside


def _bring_up_to_date(part: Path, backup: Path) -> None:
    database = WritingConnection(part)
    try:
        migrate.migrate(database)
        database.connection.execute("PRAGMA journal_mode = DELETE")
    except StartError as error:
        raise StartError(str(error).replace(str(part), str(backup))) from None
    finally:
        database.close()
        unlink_beside(part, ".lock")


def _move_aside(path: Path) -> Path | None:
    """Gives the database a second name, and leaves nothing beside its first one."""
    if path.exists() and is_database(path):
        with suppress(sqlite3.Error):  # one that is damaged keeps its log
            _checkpoint(path)
    aside = name_aside(path)
    found = [suffix for suffix in ("", *SUFFIXES) if beside(path, suffix).exists()]
    for suffix in found:
        os.link(beside(path, suffix), beside(aside, suffix))
    sync(path.parent)
    unlink_beside(path, *SUFFIXES, *CACHES)
    return aside if found else None


def _checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
