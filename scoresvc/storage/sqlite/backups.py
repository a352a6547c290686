"""Backups of a database, made while it is in use."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from scoresvc.errors import StartError
from scoresvc.levels import LevelOptions
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.placing import part_beside, put_in_place, sync
from scoresvc.storage.sqlite.whole_files import copy_database, is_database, low_priority, refuse_faults

NAME_FORMAT = "scores-%Y%m%dT%H%M%SZ.sqlite3"  # in UTC
NEXT_NAME = "scores.sqlite3"  # of a backup in a folder until it is made: one at a time

_NAME = re.compile(r"scores-[0-9]{8}T[0-9]{6}Z\.sqlite3")

OnPages = Callable[[int, int], object]


def back_up(
    source: Path, to: Path, keep: int | None, options: LevelOptions, on_pages: OnPages = lambda left, total: None
) -> Path:
    """Makes a backup at `to`, or in that folder with the time as its name; returns its path.

    A file that is there is replaced by the whole new one. Of those in a folder the newest `keep` are kept, or all.
    Raises StartError; then what was there before is still there.
    """
    if not source.is_file():
        raise StartError(f"there is no database {source}")
    target = _find_target(source, to)
    try:
        with low_priority(), part_beside(to / NEXT_NAME if to.is_dir() else target) as part:
            copy_database(source, part, on_pages)
            refuse_faults(part, source, options)
            put_in_place(part, target)
    except (sqlite3.Error, OSError) as error:
        raise StartError(f"cannot back up {source} to {target}: {error}") from None
    if to.is_dir() and keep is not None:
        _delete_older(to, keep)
    return target


def _find_target(source: Path, to: Path) -> Path:
    """Raises StartError where a backup would replace what is none."""
    if to.is_dir():
        return to / datetime.now(timezone.utc).strftime(NAME_FORMAT)
    if not to.parent.is_dir():
        raise StartError(f"there is no folder {to.parent}")
    if to.exists():
        if not to.is_file() or to.samefile(source):
            raise StartError(f"{to} is no place for a backup of {source}; name another file, or a folder")
        if to.stat().st_size and not is_database(to):
            raise StartError(f"{to} is no database, so a backup does not replace it; name another file, or a folder")
    return to


def find_backups(folder: Path) -> list[Path]:
    """Returns the backups in a folder, oldest first; none where there is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except OSError:
        return []


def time_of(backup: Path) -> float:
    """Returns when a backup in a folder was made, in Unix seconds."""
    return datetime.strptime(backup.name, NAME_FORMAT).replace(tzinfo=timezone.utc).timestamp()


def _delete_older(folder: Path, keep: int) -> None:
    for backup in find_backups(folder)[:-keep]:
        backup.unlink(missing_ok=True)
    sync(folder)
