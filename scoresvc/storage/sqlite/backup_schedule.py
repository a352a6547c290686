"""Makes backups by itself, as `[backup]` says.

Each process that writes to a database has this thread, and the folder is all that they know of each other: a backup is
due when the newest one there is too old, and the first process to begin one keeps the others from it.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from scoresvc.config import BackupOptions
from scoresvc.errors import StartError
from scoresvc.levels import LevelOptions
from scoresvc.storage.sqlite.backups import back_up, find_backups, time_of
from scoresvc.storage.sqlite.placing import AlreadyRunning

RETRY = 60.0  # seconds after a backup that failed, or that another process makes
LOOK_INTERVAL_MAX = 3600.0  # seconds, for clocks that are set

log = logging.getLogger("scoresvc.backup")


class _Stopped(StartError):
    """The service shuts down."""


class BackupSchedule:
    """Backs up the database at `source` in a thread until it is stopped; does nothing without a folder."""

    def __init__(self, source: Path, options: BackupOptions, levels: LevelOptions) -> None:
        self._source = source
        self._options = options
        self._levels = levels
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scoresvc-backup", daemon=True)

    def start(self) -> None:
        if self._options.folder:
            self._thread.start()

    def stop(self) -> None:
        """A backup that is being made is given up at its next pages, or ends with the process."""
        self._closing.set()

    def _run(self) -> None:
        wait = self._wait()
        while not self._closing.wait(wait):
            wait = self._wait() or self._back_up()

    def _wait(self) -> float:
        """Returns in how many seconds to look again; 0 where a backup is due."""
        newest = last_backup(self._options.folder)
        due = 0.0 if newest is None else newest + self._options.every - time.time()
        return min(max(0.0, due), LOOK_INTERVAL_MAX)

    def _back_up(self) -> float:
        """Returns in how many seconds to look again."""
        folder = self._options.folder
        assert folder
        try:
            folder.mkdir(exist_ok=True)
            backup = back_up(self._source, folder, self._options.keep, self._levels, self._check_closing)
        except AlreadyRunning:
            return RETRY
        except (StartError, OSError) as error:
            if not isinstance(error, _Stopped):
                log.error("no backup was made: %s", error)
            return RETRY
        log.info("backed up to %s", backup)
        return 0.0

    def _check_closing(self, left: int, total: int) -> None:
        if self._closing.is_set():
            raise _Stopped("the service shuts down")


def last_backup(folder: Path | None) -> float | None:
    """Returns when the newest backup in a folder was made, in Unix seconds; None where there is none."""
    backups = find_backups(folder) if folder else []
    return time_of(backups[-1]) if backups else None
