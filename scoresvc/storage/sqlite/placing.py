"""How a file gets beside a database, or in its place, whole or not at all.

Names with SUFFIXES belong to a database; none of one database may ever stand beside another.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from scoresvc.errors import StartError

SUFFIXES = ("-wal", "-shm", "-journal")


class AlreadyRunning(StartError):
    """Another process makes the same copy."""


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def unlink_beside(path: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        beside(path, suffix).unlink(missing_ok=True)


def name_aside(path: Path) -> Path:
    """Returns a name beside `path`, which nothing has, for what was there until now."""
    stem = f"{path.stem}-replaced-{datetime.now(timezone.utc).strftime('%Y%m%dT%H%M%SZ')}"
    names = (path.with_name(f"{stem}{number}{path.suffix}") for number in ("", *[f"-{n}" for n in range(2, 1000)]))
    return next(name for name in names if not any(beside(name, suffix).exists() for suffix in ("", *SUFFIXES)))


@contextmanager
def part_beside(target: Path) -> Iterator[Path]:
    """Lends the path of an empty file for a `with` block, of which nothing is left if that raises.

    Raises AlreadyRunning where another process has it, OSError.
    """
    part = beside(target, ".part")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"another process writes {part}; wait until it is done") from None
        if not is_at(descriptor, part):  # the other one was done a moment ago
            raise AlreadyRunning(f"another process has just written {target}")
        unlink_beside(part, *SUFFIXES)
        os.ftruncate(descriptor, 0)
        try:
            yield part
        except BaseException:
            unlink_beside(part, "", *SUFFIXES)
            raise
    finally:
        os.close(descriptor)


def is_at(descriptor: int, path: Path) -> bool:
    """Returns whether an open file has this name."""
    return has_name(os.fstat(descriptor), os.fspath(path))


def has_name(found: os.stat_result, path: str) -> bool:
    """Returns whether a file that was looked at before has this name now."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return (there.st_ino, there.st_dev) == (found.st_ino, found.st_dev)


def put_in_place(part: Path, target: Path) -> None:
    """Puts a file where another one may be, so that after a power cut there is one of the two."""
    sync(part)
    os.replace(part, target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Flushes a file, or the entries of a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
